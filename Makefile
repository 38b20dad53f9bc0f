# Each target is one command; what it does is in tests/rig. Everything that is made lands under one cache directory outside the
# checkout ($IAM_SSH_CACHE, by default ~/.cache/iam-ssh), so a fresh clone builds on what the last one left.

IAM_SSH_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/iam-ssh
CARGO_TARGET_DIR ?= $(IAM_SSH_CACHE)/target
IAM_SSH_REPOSITORY ?= $(IAM_SSH_CACHE)/repository
export IAM_SSH_CACHE CARGO_TARGET_DIR
RIG := tests/rig

.PHONY: setup build deb deb-arm64 rpm repo lambda lambda-arm64 test demo lint bench clean

setup: ; @$(RIG)/setup                  # what tests, demo and benchmark need: packages, moto, root file systems, cargo-deb
build: ; @$(RIG)/build dev              # everything, unoptimised
deb:   ; @$(RIG)/setup build && $(RIG)/build deb     # the package for instances
deb-arm64: ; @$(RIG)/setup build && $(RIG)/build deb && $(RIG)/arm64 deb # for aarch64, where Debian has the std source of this Rust
rpm:   ; @$(RIG)/setup build && $(RIG)/build rpm     # the same for RPM systems
repo:                                   # both as signed repositories, in $(IAM_SSH_REPOSITORY): tests/rig/repository
	@: "$${IAM_SSH_SIGNING_KEY:?names the secret key in your gpg that signs (gpg --list-secret-keys)}"
	@$(RIG)/setup build && $(RIG)/build rpm
	@$(RIG)/repository "$(IAM_SSH_REPOSITORY)" "$(CARGO_TARGET_DIR)/debian/iam-ssh.deb" "$(CARGO_TARGET_DIR)/rpm/iam-ssh.rpm"
lambda: ; @$(RIG)/setup build && $(RIG)/build lambda # the sync's zip for AWS Lambda
lambda-arm64: ; @$(RIG)/setup build && $(RIG)/arm64 lambda # for aarch64, like deb-arm64
test:  ; @$(RIG)/test                   # unit, property and end-to-end tests
demo:  ; @$(RIG)/program demo           # the whole path, explained step by step
bench: ; @$(RIG)/program bench          # what lookups and logins cost: docs/benchmarks.md
lint:  ; @$(RIG)/lint                   # formatting, clippy, cargo-deny, the login path's dependencies, shell scripts
clean: ; rm -rf "$(CARGO_TARGET_DIR)" "$(IAM_SSH_CACHE)/target-arm64"   # what was built; root file systems and tools stay

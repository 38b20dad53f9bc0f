# What every script of the rig shares: where things are cached, and how a step is announced. Sourced, never run.
set -euo pipefail

cache=${IAM_SSH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/iam-ssh}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export IAM_SSH_ROOTS=$cache/roots IAM_SSH_VENV=$cache/venv IAM_SSH_SCRATCH=$cache/scratch
export PATH=$cache/tools/bin:$PATH

# say TEXT: one line a step, with the name of the script that speaks.
say() { printf '%s: %s\n' "${0##*/}" "$*"; }

# die TEXT: the reason on stderr, status 1.
die() {
    say "$*" >&2
    exit 1
}

# lambda_zip PROGRAM ZIP: what AWS Lambda starts, alone in a zip. The same program gives the same zip: a fixed time stamp and no extra
# fields.
lambda_zip() {
    local dir
    dir=$(mktemp -d)
    install -m 0755 "$1" "$dir/bootstrap"
    touch -d 2000-01-01T00:00:00Z "$dir/bootstrap"
    rm -f "$2"
    (cd "$dir" && TZ=UTC zip -qX "$2" bootstrap)
    rm -r "$dir"
    say "made $2 ($(stat -c %s "$2") bytes)"
}

# quietly LOG COMMAND...: its output goes to LOG and is shown only when it fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        cat "$log" >&2
        die "failed: $*"
    }
}

//! Terraform with the provider that this machine has, in a copy of `deploy/terraform`, against moto.
//!
//! Neither can be installed from a package registry: `make test` looks for them (tests/rig/terraform), and leaves out, and counts, what
//! needs them. Nothing is downloaded, and no call goes anywhere but to moto.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::inputs;
use crate::moto::Moto;
use crate::process::{Daemon, command, run, text, unlinked};
use crate::wait::wait_for;
use crate::world::World;

/// Longer than a whole `apply` takes on a busy machine; the provider itself waits for a minute.
const BOUND: Duration = Duration::from_secs(300);

/// The provider, pointed at moto: one block each for the Region of the example and its alias.
const PROVIDERS: &str = r#"
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

provider "aws" {
  alias                       = "us_east_1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"#;

/// A root module with its state.
#[derive(Debug)]
pub struct Terraform {
    program: PathBuf,
    folder: PathBuf,
    // Its own, because the world's holds the bucket already.
    moto: Moto,
}

impl Terraform {
    /// Copies the modules and makes a root module of the example; `more` is added to it.
    ///
    /// # Panics
    /// Without Terraform and its provider.
    #[must_use]
    pub fn example(world: &World, more: &str) -> Self {
        let found = run(
            command(inputs::source().join("tests/rig/terraform"))
                .env("TF_PLUGIN_DIR", std::env::var_os("TF_PLUGIN_DIR").unwrap_or_default())
                .env("PATH", std::env::var_os("PATH").unwrap_or_default()),
            b"",
        );
        let mut lines = found.expect_ok().lines();
        let (program, plugins) = (lines.next().expect("a program"), lines.next().expect("a directory"));
        let modules = world.scratch().join("terraform");
        run(command("cp").arg("-r").arg(inputs::source().join("deploy/terraform")).arg(&modules), b"").expect_ok();
        let this = Self { program: program.into(), folder: modules.join("examples/complete"), moto: Moto::start() };
        std::fs::write(this.folder.join("double_override.tf"), PROVIDERS).unwrap();
        std::fs::write(this.folder.join("more.tf"), more).unwrap();
        std::fs::write(this.folder.join("terraform.tfvars"), format!("zip = {:?}\n", zip(world))).unwrap();
        this.run(&["init", "-input=false", &format!("-plugin-dir={plugins}")]);
        this
    }

    /// Runs it with these arguments and gives its standard output.
    ///
    /// # Panics
    /// When it fails or takes longer than five minutes.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let (said, complained) = (unlinked(), unlinked());
        let mut terraform = command(&self.program);
        terraform
            .args(arguments)
            .arg("-no-color")
            .current_dir(&self.folder)
            .envs([("HOME", "/nonexistent"), ("CHECKPOINT_DISABLE", "1"), ("TF_IN_AUTOMATION", "1")])
            .envs([("AWS_ENDPOINT_URL", self.moto.url()), ("AWS_ACCESS_KEY_ID", "moto")])
            .env("AWS_SECRET_ACCESS_KEY", "moto");
        let mut running = Daemon::start_split(&mut terraform, &said, &complained);
        let status = wait_for(BOUND, || running.ended())
            .unwrap_or_else(|| panic!("terraform {arguments:?} goes on after {BOUND:?}"));
        assert!(status.success(), "terraform {arguments:?}: {status}\n{}{}", text(&said), text(&complained));
        text(&said)
    }

    /// All resources that are deployed, as (address, values).
    ///
    /// # Panics
    /// When there is no state.
    #[must_use]
    pub fn resources(&self) -> Vec<(String, Value)> {
        let state: Value = serde_json::from_str(&self.run(&["show", "-json"])).expect("a state");
        let modules = state["values"]["root_module"]["child_modules"].as_array().expect("modules");
        let resources = modules.iter().flat_map(|module| module["resources"].as_array().cloned().unwrap_or_default());
        resources
            .map(|resource| (resource["address"].as_str().unwrap().to_owned(), resource["values"].clone()))
            .collect()
    }

    /// What a plan would change: addresses, with before and after where these differ in more than the way a JSON text is written, in
    /// which moto differs from AWS.
    ///
    /// # Panics
    /// When no plan can be made.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.run(&["plan", "-input=false", "-out=plan"]);
        let plan: Value = serde_json::from_str(&self.run(&["show", "-json", "plan"])).expect("a plan");
        let all = plan["resource_changes"].as_array().expect("what may change");
        let differs =
            |change: &&Value| understood(&change["change"]["before"]) != understood(&change["change"]["after"]);
        all.iter().filter(differs).map(ToString::to_string).collect()
    }
}

/// A value with JSON texts in it read.
fn understood(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('{') => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        Value::Array(items) => items.iter().map(understood).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), understood(field))).collect(),
        other => other.clone(),
    }
}

/// A zip as `make lambda` makes it, with a program that does nothing.
fn zip(world: &World) -> PathBuf {
    let (program, made) = (world.scratch().join("bootstrap"), world.scratch().join("iam-ssh-sync.zip"));
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    let script = r#"set -eu; here=$0; . "$here/lib.sh"; lambda_zip "$1" "$2""#;
    let rig = inputs::source().join("tests/rig");
    let mut shell = command("bash");
    shell.args(["-c", script]).arg(Path::new(&rig)).args([&program, &made]).env("HOME", world.scratch());
    run(&mut shell, b"").expect_ok();
    made
}

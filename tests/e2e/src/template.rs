//! The CloudFormation templates of `deploy/sam`, read by a script in the rig's Python, because no Rust crate here reads YAML.

use serde_json::Value;

use crate::inputs;
use crate::process::{Outcome, command, run};

/// What a template becomes for these parameters, each `name=value`: its resources by name, every function resolved.
///
/// # Panics
/// When the template cannot be read, or a parameter is not one of its own.
#[must_use]
pub fn template(file: &str, parameters: &[&str]) -> Value {
    serde_json::from_str(resolve(file, parameters).expect_ok()).expect("the script's JSON")
}

/// Whether a template takes these parameters.
#[must_use]
pub fn template_takes(file: &str, parameters: &[&str]) -> bool {
    resolve(file, parameters).ok()
}

fn resolve(file: &str, parameters: &[&str]) -> Outcome {
    let source = inputs::source();
    let mut python = command(inputs::venv("python"));
    python.arg(source.join("tests/e2e/tests/template.py")).arg(source.join("deploy/sam").join(file)).args(parameters);
    run(&mut python, b"")
}

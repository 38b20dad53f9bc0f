//! What is deployed: the CloudFormation template, the Terraform module and the policies for a deployment by hand say the same, and
//! Terraform carries it out, is then done, and takes all of it away again.
//!
//! That the template is a good one says cfn-lint, in `make lint`. The test of Terraform is left out, and counted, where it is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use iam_ssh_e2e::policy::Policy;
use iam_ssh_e2e::terraform::Terraform;
use iam_ssh_e2e::{World, template, template_takes};
use serde_json::{Value, json};

/// The example of deploy/terraform.
const EXAMPLE: [&str; 5] = [
    "BucketName=company-iam",
    "ReaderOrganizationId=o-exampleorgid",
    "InstanceRoleName=web-server",
    "EnableEvents=true",
    "EventAccountIds=111122223333",
];
/// Another deployment, which uses what the first does not.
const SEVERAL: [&str; 13] = [
    "BucketName=several",
    "FunctionName=several",
    "S3Prefix=ssh/",
    "ReaderAccountIds=444455556666,777788889999",
    "AccountRoleArns=arn:aws:iam::111122223333:role/iam-ssh-reader",
    "RoleExternalId=secret",
    "KeyOptions=restrict,pty",
    "Scope=group:Administrators;path:/people/",
    "KeySources=iam;tags",
    "Exclude=none",
    "MaxShrinkGroup=10",
    "HeartbeatMaxAge=3600",
    "AlarmTopicArn=arn:aws:sns:eu-central-1:123456789012:on-call",
];
/// The same for Terraform, and the role in the other account.
const SEVERAL_IN_TERRAFORM: &str = r#"
module "several" {
  source = "../.."

  bucket_name        = "several"
  function_name      = "several"
  zip                = var.zip
  s3_prefix          = "ssh/"
  reader_account_ids = ["444455556666", "777788889999"]
  account_role_arns  = ["arn:aws:iam::111122223333:role/iam-ssh-reader"]
  role_external_id   = "secret"
  key_options        = "restrict,pty"
  scope              = ["group:Administrators", "path:/people/"]
  key_sources        = ["iam", "tags"]
  exclude            = ["none"]
  max_shrink_group   = 10
  heartbeat_max_age  = 3600
  alarm_topic_arn    = "arn:aws:sns:eu-central-1:123456789012:on-call"
}

module "reader" {
  source = "../../reader-role"

  sync_role_arn = module.several.sync_role_arn
  external_id   = "secret"
}
"#;

/// A policy document in one form: what may be one thing or several is a sorted list, and accounts are named by their root.
fn alike(document: &Value) -> Value {
    match document {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let several =
                    matches!(name.as_str(), "Action" | "Resource" | "NotResource" | "AWS") || name.contains(':');
                (name.clone(), if several { sorted(value) } else { alike(value) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(alike).collect(),
        other => other.clone(),
    }
}

fn sorted(value: &Value) -> Value {
    let account = |text: &str| match text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("arn:aws:iam::{text}:root"),
        false => text.to_owned(),
    };
    let items = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut texts: Vec<String> = items.iter().map(|item| account(item.as_str().expect("a text"))).collect();
    texts.sort();
    json!(texts)
}

/// The policies of a template's resources: bucket, sync, its running, and instances.
fn template_policies(resources: &Value) -> BTreeMap<&'static str, Value> {
    let mut role = resources["SyncRole"]["Properties"]["Policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| &policy["PolicyDocument"]);
    let mut all = BTreeMap::from([
        ("publish", alike(role.next().unwrap())),
        ("run", alike(role.next().unwrap())),
        ("bucket", alike(&resources["BucketPolicy"]["Properties"]["PolicyDocument"])),
        ("instance", alike(&resources["InstancePolicy"]["Properties"]["PolicyDocument"])),
        ("trust", alike(&resources["SyncRole"]["Properties"]["AssumeRolePolicyDocument"])),
        ("schedule", alike(&resources["ScheduleRole"]["Properties"]["Policies"][0]["PolicyDocument"])),
        ("schedule's trust", alike(&resources["ScheduleRole"]["Properties"]["AssumeRolePolicyDocument"])),
    ]);
    if let Some(queue) = resources.get("EventQueuePolicy") {
        all.insert("queue", alike(&queue["Properties"]["PolicyDocument"]));
    }
    if let Some(bus) = resources.get("EventBusPolicy") {
        let mut statement = bus["Properties"]["Statement"].clone();
        statement["Sid"] = bus["Properties"]["StatementId"].clone();
        all.insert("bus", alike(&json!({ "Version": "2012-10-17", "Statement": [statement] })));
    }
    all
}

#[test]
fn the_template_says_what_the_policies_say() {
    let one = template_policies(&template("template.yaml", &EXAMPLE));
    for (name, file) in [("publish", "sync"), ("bucket", "bucket"), ("instance", "instance")] {
        assert_eq!(one[name], alike(Policy::deployed(file).document()), "{file}");
    }
    let role = "AccountRoleArns=arn:aws:iam::111122223333:role/iam-ssh-reader";
    let several = template_policies(&template("template.yaml", &["BucketName=company-iam", role]));
    assert_eq!(several["publish"], alike(Policy::deployed("sync-accounts").document()));

    let reader = template("reader-role.yaml", &["SyncRoleArn=arn:aws:iam::123456789012:role/iam-ssh-sync"]);
    let here = reader["Role"]["Properties"]["Policies"][0]["PolicyDocument"].to_string();
    let there = Policy::parse(&here.replace("123456789012", "111122223333"));
    assert_eq!(alike(there.document()), alike(Policy::deployed("reader").document()));
}

#[test]
fn the_template_takes_no_settings_that_the_sync_refuses() {
    let takes = |setting: &str| template_takes("template.yaml", &["BucketName=company-iam", setting]);
    for good in ["S3Prefix=", "S3Prefix=ssh/", "S3Prefix=a..b/.c/", "MetricsNamespace=company/iam-ssh", "LeaseWait=600"]
    {
        assert!(takes(good), "{good}");
    }
    for bad in ["S3Prefix=ssh", "S3Prefix=/", "S3Prefix=/ssh/", "S3Prefix=a//b/", "S3Prefix=../", "S3Prefix=a/../b/"] {
        assert!(!takes(bad), "{bad}");
    }
    for bad in ["S3Prefix=./", "MetricsNamespace=", "MetricsNamespace=AWS/Lambda", "LeaseWait=601"] {
        assert!(!takes(bad), "{bad}");
    }
}

/// What Terraform made of one module, by address inside it; texts of JSON read.
struct Deployed(BTreeMap<String, Value>);

impl Deployed {
    fn of(terraform: &Terraform, module: &str) -> Self {
        let module = format!("module.{module}.");
        let resources = terraform.resources().into_iter();
        Self(
            resources
                .filter_map(|(address, values)| Some((address.strip_prefix(&module)?.to_owned(), values)))
                .collect(),
        )
    }

    fn json(&self, address: &str, field: &str) -> Value {
        serde_json::from_str(self.0[address][field].as_str().unwrap()).unwrap()
    }

    fn policies(&self) -> BTreeMap<&'static str, Value> {
        let places = [
            ("publish", "aws_iam_role_policy.publish", "policy"),
            ("run", "aws_iam_role_policy.run", "policy"),
            ("bucket", "aws_s3_bucket_policy.this", "policy"),
            ("instance", "aws_iam_policy.instance", "policy"),
            ("trust", "aws_iam_role.sync", "assume_role_policy"),
            ("schedule", "aws_iam_role_policy.schedule", "policy"),
            ("schedule's trust", "aws_iam_role.schedule", "assume_role_policy"),
            ("queue", "aws_sqs_queue_policy.events[0]", "policy"),
            ("bus", "aws_cloudwatch_event_bus_policy.accounts[0]", "policy"),
        ];
        let there = places.into_iter().filter(|(_, address, _)| self.0.contains_key(*address));
        there.map(|(name, address, field)| (name, alike(&self.json(address, field)))).collect()
    }

    /// What a function is: size, time, settings.
    fn function(&self, name: &str) -> Value {
        let function = &self.0[&format!("aws_lambda_function.{name}")];
        let fields = ["function_name", "handler", "runtime", "architectures", "memory_size", "timeout"];
        json!([fields.map(|field| loose(&function[field])), function["environment"][0]["variables"]])
    }

    fn alarms(&self) -> BTreeMap<String, Value> {
        let alarms = self.0.iter().filter(|(address, _)| address.starts_with("aws_cloudwatch_metric_alarm."));
        let fields = [
            "namespace",
            "metric_name",
            "statistic",
            "period",
            "threshold",
            "treat_missing_data",
            "comparison_operator",
        ];
        let told = |alarm: &Value| {
            json!([
                fields.map(|field| loose(&alarm[field])),
                alarm["dimensions"],
                alarm["alarm_actions"].as_array().cloned().unwrap_or_default()
            ])
        };
        alarms.map(|(_, alarm)| (alarm["alarm_name"].as_str().unwrap().to_owned(), told(alarm))).collect()
    }
}

/// A number or a text as a text: CloudFormation's parameters are texts.
fn loose(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn template_function(resources: &Value, name: &str) -> Value {
    let function = &resources[name]["Properties"];
    let fields = ["FunctionName", "Handler", "Runtime", "Architectures", "MemorySize", "Timeout"];
    let variables = function["Environment"]["Variables"].as_object().unwrap();
    let variables: BTreeMap<&String, String> = variables.iter().map(|(name, value)| (name, loose(value))).collect();
    json!([fields.map(|field| loose(&function[field])), variables])
}

fn template_alarms(resources: &Value) -> BTreeMap<String, Value> {
    let resources =
        resources.as_object().unwrap().values().filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm");
    let fields =
        ["Namespace", "MetricName", "Statistic", "Period", "Threshold", "TreatMissingData", "ComparisonOperator"];
    resources
        .map(|resource| {
            let alarm = &resource["Properties"];
            let dimensions = alarm["Dimensions"].as_array().unwrap().iter();
            let dimensions: BTreeMap<&str, &Value> =
                dimensions.map(|dimension| (dimension["Name"].as_str().unwrap(), &dimension["Value"])).collect();
            let told = json!([
                fields.map(|field| loose(&alarm[field])),
                dimensions,
                alarm["AlarmActions"].as_array().cloned().unwrap_or_default()
            ]);
            (alarm["AlarmName"].as_str().unwrap().to_owned(), told)
        })
        .collect()
}

#[test]
fn terraform_deploys_what_the_template_does() {
    let world = World::new();
    let terraform = Terraform::example(&world, SEVERAL_IN_TERRAFORM);
    terraform.run(&["validate"]);
    terraform.run(&["apply", "-auto-approve", "-input=false"]);
    assert_eq!(terraform.changes(), [""; 0], "a second plan has nothing to do");

    for (module, parameters, functions) in [
        ("iam_ssh", &EXAMPLE[..], &[("sync", "Function"), ("events[0]", "EventFunction")][..]),
        ("several", &SEVERAL[..], &[("sync", "Function")][..]),
    ] {
        let (deployed, template) = (Deployed::of(&terraform, module), template("template.yaml", parameters));
        assert_eq!(deployed.policies(), template_policies(&template), "{module}");
        assert_eq!(deployed.alarms(), template_alarms(&template), "{module}");
        for (here, there) in functions {
            assert_eq!(deployed.function(here), template_function(&template, there), "{module}");
        }
    }

    let template_rule = |file: &str, parameters: &[&str], rule: &str| {
        template(file, parameters)[rule]["Properties"]["EventPattern"].clone()
    };
    let pattern = template_rule("template.yaml", &EXAMPLE, "EventRule");
    let bus = "EventBusArn=arn:aws:events:eu-central-1:123456789012:event-bus/default";
    assert_eq!(pattern, template_rule("events-us-east-1.yaml", &[bus], "Rule"));
    assert_eq!(pattern, Deployed::of(&terraform, "iam_ssh").json("aws_cloudwatch_event_rule.iam[0]", "event_pattern"));
    let forward = Deployed::of(&terraform, "forward_events");
    assert_eq!(pattern, forward.json("aws_cloudwatch_event_rule.iam", "event_pattern"));
    let forwarding = template("events-us-east-1.yaml", &[bus]);
    let forwarding = &forwarding["Role"]["Properties"]["Policies"][0]["PolicyDocument"];
    assert_eq!(alike(&forward.json("aws_iam_role_policy.forward", "policy")), alike(forwarding));

    let reader = Deployed::of(&terraform, "reader");
    let parameters = ["SyncRoleArn=arn:aws:iam::123456789012:role/several", "ExternalId=secret"];
    let role = &template("reader-role.yaml", &parameters)["Role"]["Properties"];
    assert_eq!(
        alike(&reader.json("aws_iam_role_policy.this", "policy")),
        alike(&role["Policies"][0]["PolicyDocument"])
    );
    assert_eq!(
        alike(&reader.json("aws_iam_role.this", "assume_role_policy")),
        alike(&role["AssumeRolePolicyDocument"])
    );

    terraform.run(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(terraform.run(&["state", "list"]), "");
}

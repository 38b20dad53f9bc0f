//! Events as the services send them: EventBridge's schedule, its Scheduler, CloudTrail's records of IAM calls through EventBridge,
//! bare and in a batch from SQS. Full documents, so that nothing is easier than it will be.

use serde_json::{Value, json};

/// The account in which everything happens.
pub const ACCOUNT: &str = "123456789012";

/// A rule with a schedule (EventBridge user guide, "Creating a rule that runs on a schedule").
pub fn schedule() -> Value {
    json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": ACCOUNT, "time": "2026-11-23T03:00:00Z", "region": "eu-central-1",
        "resources": [format!("arn:aws:events:eu-central-1:{ACCOUNT}:rule/iam-ssh-sync")], "detail": {}
    })
}

/// EventBridge Scheduler, to whose target nobody gave an input.
pub fn scheduler() -> Value {
    json!({
        "version": "0", "id": "d32c5kdf-ae9a-11ed-9b9f-0242ac120002", "detail-type": "Scheduled Event", "source": "aws.scheduler",
        "account": ACCOUNT, "time": "2026-11-23T03:00:00Z", "region": "eu-central-1",
        "resources": [format!("arn:aws:scheduler:eu-central-1:{ACCOUNT}:schedule/default/iam-ssh-sync")], "detail": "{}"
    })
}

/// One IAM call by an administrator, with what it was given.
pub fn event(name: &str, parameters: &Value) -> Value {
    let admin = format!("arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice");
    json!({
        "version": "0", "id": "36eb8523-97d0-4518-b33d-ee3579ff19f0",
        "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam",
        "account": ACCOUNT, "time": "2026-11-23T03:10:12Z", "region": "us-east-1", "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole", "principalId": "AROAEXAMPLEEXAMPLEEXA:alice", "arn": admin, "accountId": ACCOUNT,
                "accessKeyId": "ASIAEXAMPLEEXAMPLEEX",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role", "principalId": "AROAEXAMPLEEXAMPLEEXA", "arn": format!("arn:aws:iam::{ACCOUNT}:role/Admin"),
                        "accountId": ACCOUNT, "userName": "Admin"
                    },
                    "attributes": { "creationDate": "2026-11-23T03:05:00Z", "mfaAuthenticated": "true" }
                }
            },
            "eventTime": "2026-11-23T03:10:12Z", "eventSource": "iam.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
            "sourceIPAddress": "203.0.113.7",
            "userAgent": "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.13",
            "requestParameters": parameters, "responseElements": null,
            "requestID": "7f2e1a4c-0b5d-4a38-9f27-0d3f2c4b5a69", "eventID": "e9e6d2a5-2a0e-4d5b-b8c5-3f1f0c8a7b60",
            "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
            "tlsDetails": {
                "tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "iam.amazonaws.com"
            }
        }
    })
}

/// A batch from SQS: each message's id, how often it was delivered, and the event in it (Lambda developer guide, "Using Lambda with
/// Amazon SQS").
pub fn batch(messages: &[(&str, u32, &Value)]) -> Value {
    let records = messages.iter().map(|(id, receives, event)| {
        json!({
            "messageId": id,
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": event.to_string(),
            "attributes": {
                "ApproximateReceiveCount": receives.to_string(), "SentTimestamp": "1795403415123",
                "SenderId": "AIDAJXNJGGKNS7OSV23OI", "ApproximateFirstReceiveTimestamp": "1795403425123"
            },
            "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:eu-central-1:{ACCOUNT}:iam-ssh-events"), "awsRegion": "eu-central-1"
        })
    });
    json!({ "Records": records.collect::<Vec<Value>>() })
}

/// The answer that asks SQS for these messages once more.
pub fn again(ids: &[&str]) -> Value {
    json!({ "batchItemFailures": ids.iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<Value>>() })
}

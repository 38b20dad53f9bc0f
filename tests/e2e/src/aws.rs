//! What an administrator does in AWS: users, groups, keys, objects, parameters, over the SDK and against the fake.
//!
//! Each helper blocks; the runtime is made after the world's namespaces and lives in them.

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_iam::types::StatusType;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_ssm::types::ParameterType;
use tokio::runtime::Runtime;

use crate::world::BUCKET;

const REGION: &str = "us-east-1";

/// The same for a program of its own.
pub(crate) fn admin_environment(url: &str) -> Vec<(&'static str, String)> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIAADMIN"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

fn credentials() -> Credentials {
    Credentials::new("AKIAADMIN", "secret", None, None, "test")
}

/// IAM.
#[derive(Debug)]
pub struct Iam {
    client: aws_sdk_iam::Client,
    runtime: Runtime,
}

impl Iam {
    pub(crate) fn new(url: &str) -> Self {
        let config = aws_sdk_iam::Config::builder().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
        let config = config.region(Region::new(REGION)).credentials_provider(credentials()).http_client(http()).build();
        Self { client: aws_sdk_iam::Client::from_conf(config), runtime: runtime() }
    }

    /// Creates a user who is in these groups.
    pub fn create_user(&self, user: &str, groups: &[&str]) {
        self.runtime.block_on(self.client.create_user().user_name(user).send()).expect("create_user");
        for group in groups {
            self.add_to_group(user, group);
        }
    }

    /// Creates an empty group.
    pub fn create_group(&self, group: &str) {
        self.runtime.block_on(self.client.create_group().group_name(group).send()).expect("create_group");
    }

    /// Makes a user a member.
    pub fn add_to_group(&self, user: &str, group: &str) {
        let call = self.client.add_user_to_group().user_name(user).group_name(group);
        self.runtime.block_on(call.send()).expect("add_user_to_group");
    }

    /// Uploads a public key and returns its id.
    pub fn upload_key(&self, user: &str, line: &str) -> String {
        let call = self.client.upload_ssh_public_key().user_name(user).ssh_public_key_body(line);
        let answer = self.runtime.block_on(call.send()).expect("upload_ssh_public_key");
        answer.ssh_public_key.expect("the key").ssh_public_key_id
    }

    /// Makes a key inactive.
    pub fn deactivate_key(&self, user: &str, id: &str) {
        let call = self.client.update_ssh_public_key().user_name(user).ssh_public_key_id(id);
        self.runtime.block_on(call.status(StatusType::Inactive).send()).expect("update_ssh_public_key");
    }
}

/// S3: the bucket.
#[derive(Debug)]
pub struct S3 {
    client: aws_sdk_s3::Client,
    runtime: Runtime,
}

impl S3 {
    pub(crate) fn new(url: &str) -> Self {
        let config = aws_sdk_s3::Config::builder().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
        let config = config.region(Region::new(REGION)).credentials_provider(credentials()).http_client(http());
        Self { client: aws_sdk_s3::Client::from_conf(config.force_path_style(true).build()), runtime: runtime() }
    }

    pub(crate) fn create_bucket(&self, bucket: &str) {
        self.runtime.block_on(self.client.create_bucket().bucket(bucket).send()).expect("create_bucket");
    }

    /// Writes an object.
    pub fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let call = self.client.put_object().bucket(BUCKET).key(key).body(body.into().into());
        self.runtime.block_on(call.send()).expect("put_object");
    }

    /// Reads an object, if it is there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        self.runtime.block_on(async {
            let answer = match self.client.get_object().bucket(BUCKET).key(key).send().await {
                Ok(answer) => answer,
                Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return None,
                Err(error) => panic!("get_object {key}: {error:?}"),
            };
            let body = answer.body.collect().await.expect("the object's body").into_bytes();
            Some(String::from_utf8_lossy(&body).into_owned())
        })
    }

    /// The keys of all objects (at most a thousand).
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let answer =
            self.runtime.block_on(self.client.list_objects_v2().bucket(BUCKET).send()).expect("list_objects_v2");
        answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
    }
}

/// SSM's parameters.
#[derive(Debug)]
pub struct Ssm {
    client: aws_sdk_ssm::Client,
    runtime: Runtime,
}

impl Ssm {
    pub(crate) fn new(url: &str) -> Self {
        let config = aws_sdk_ssm::Config::builder().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
        let config = config.region(Region::new(REGION)).credentials_provider(credentials()).http_client(http()).build();
        Self { client: aws_sdk_ssm::Client::from_conf(config), runtime: runtime() }
    }

    /// Writes a plain parameter.
    pub fn put(&self, name: &str, value: &str) {
        let call = self.client.put_parameter().name(name).value(value).r#type(ParameterType::String).overwrite(true);
        self.runtime.block_on(call.send()).expect("put_parameter");
    }
}

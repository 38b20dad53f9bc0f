//! Lookups that nothing is cached for, beside the seed's command with the AWS CLI and beside curl, all asking the same moto for the
//! same objects. The lookup and the AWS CLI take their credentials from the metadata service, as on an instance; curl is handed its
//! own.

use std::path::{Path, PathBuf};
use std::process::Command;

use iam_ssh_e2e::measure::{Bar, Cost};
use iam_ssh_e2e::scene::configuration;
use iam_ssh_e2e::{BUCKET, Machine};

use crate::documents::{DOCUMENTED, Document};
use crate::inside::{Cache, Inside, Words};
use crate::{figure, ms, times};

/// The seed's AuthorizedKeysCommand with inline principals, its cheapest form (the one with SSM starts the AWS CLI once more).
pub(crate) const SEED: &str = r#"#!/bin/bash
SSH_USER=$1
IAM_BUCKET='company-iam'
IAM_PRINCIPALS=$2
SSH_USER_HOME=$(getent passwd ${SSH_USER} | cut -d: -f6)
if [ "$SSH_USER" == 'ec2-user' ]; then
    for iam_principal in ${IAM_PRINCIPALS//,/ } ; do
        aws s3 cp s3://${IAM_BUCKET}/${iam_principal}/authorized_keys -
    done
fi
"#;

/// What runs beside the lookup.
pub(crate) struct Rivals {
    /// The seed's script.
    pub(crate) script: PathBuf,
    /// `PATH` with the AWS CLI in it.
    pub(crate) path: String,
    /// The offered key's base64.
    pub(crate) wanted: String,
}

/// One endpoint, plain or with TLS, and the principals to ask for there.
pub(crate) struct Way {
    name: &'static str,
    endpoint: String,
    root: Option<PathBuf>,
    principals: &'static [&'static str],
    cold: Vec<Cost>,
    seed: Vec<Cost>,
    curl: Vec<Cost>,
}

impl Way {
    pub(crate) fn new(
        name: &'static str,
        endpoint: &str,
        root: Option<&Path>,
        principals: &'static [&'static str],
    ) -> Self {
        let (endpoint, root) = (endpoint.to_owned(), root.map(Path::to_owned));
        Self { name, endpoint, root, principals, cold: Vec::new(), seed: Vec::new(), curl: Vec::new() }
    }

    /// Makes the machine ask here.
    pub(crate) fn configure(&self, machine: &Machine) {
        let trust = if self.root.is_some() { "ca_bundle = \"/etc/iam-ssh/root.pem\"\n" } else { "" };
        let login = format!("principals = {:?}", self.principals);
        machine.configure(&format!("{trust}{}", configuration(&self.endpoint, &login)));
    }

    /// Publishes documents here; makes the bucket if it is there already, too.
    pub(crate) fn publish(&self, scratch: &Path, documents: &[Document]) {
        let file = scratch.join("upload");
        let put = |path: &str, text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut curl = self.curl_to(&[path.to_owned()]);
            curl.args(["-X", "PUT", "-H", "Content-Type: text/plain", "--data-binary"]);
            curl.arg(format!("@{}", file.display()));
            assert!(curl.status().expect("curl").success(), "PUT {path}");
        };
        put(BUCKET, "");
        for (principal, text) in documents {
            put(&format!("{BUCKET}/{principal}/authorized_keys"), text);
        }
    }

    /// One round: the seed once, because one run of the AWS CLI is long enough to warm itself up, and the fast ones several times.
    pub(crate) fn round(&mut self, inside: &Inside, lookup: &Words, rivals: &Rivals, fast: usize, counts: bool) {
        let seed = Cost::of(&mut self.seed_command(rivals), &rivals.wanted);
        let cold = inside.run(Cache::Empty, fast, std::slice::from_ref(lookup)).costs.remove(0);
        let curl: Vec<Cost> = (0..fast).map(|_| Cost::of(&mut self.curl_command(), &rivals.wanted)).collect();
        if counts {
            self.seed.push(seed);
            self.cold.extend(cold);
            self.curl.extend(curl);
        }
    }

    /// What the seed's command costs here.
    pub(crate) fn seed(&self) -> Cost {
        Cost::median(&self.seed)
    }

    /// Prints its figures.
    pub(crate) fn report(&self) {
        let [cold, seed, curl] = [&self.cold, &self.seed, &self.curl].map(|runs| Cost::median(runs));
        let name = self.name;
        for (who, cost) in [("cold", cold), ("seed", seed), ("curl", curl)] {
            figure(&format!("{who}-{name}-cpu"), ms(cost.cpu), "ms", Bar::None);
            figure(&format!("{who}-{name}-wall"), ms(cost.wall), "ms", Bar::None);
        }
        let (two, judged) = (self.principals == DOCUMENTED, name == "tls");
        let bar = |bar: Bar, judged: bool| if judged { bar } else { Bar::None };
        figure(&format!("cold-{name}-vs-seed-cpu"), times(seed.cpu, cold.cpu), "times", bar(Bar::AtLeast(200.0), two));
        figure(&format!("cold-{name}-vs-seed-wall"), times(seed.wall, cold.wall), "times", Bar::None);
        let vs_curl = |measure: &str| format!("cold-{name}-vs-curl-{measure}");
        figure(&vs_curl("cpu"), times(cold.cpu, curl.cpu), "times", bar(Bar::AtMost(0.5), judged));
        figure(&vs_curl("wall"), times(cold.wall, curl.wall), "times", bar(Bar::AtMost(0.9), judged));
    }

    fn seed_command(&self, rivals: &Rivals) -> Command {
        let mut seed = Command::new("/bin/bash");
        seed.arg(&rivals.script).args(["ec2-user", &self.principals.join(",")]);
        seed.env_clear().env("PATH", &rivals.path).env("HOME", "/nonexistent");
        seed.env("AWS_ENDPOINT_URL_S3", &self.endpoint).env("AWS_DEFAULT_REGION", "us-east-1");
        if let Some(root) = &self.root {
            seed.env("AWS_CA_BUNDLE", root);
        }
        seed
    }

    fn curl_command(&self) -> Command {
        let paths: Vec<String> = self.principals.iter().map(|p| format!("{BUCKET}/{p}/authorized_keys")).collect();
        self.curl_to(&paths)
    }

    fn curl_to(&self, paths: &[String]) -> Command {
        let mut curl = Command::new("curl");
        curl.env_clear().env("PATH", "/usr/bin:/bin");
        curl.args(["-q", "-sS", "-f", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "AKIABENCH:secret"]);
        if let Some(root) = &self.root {
            curl.arg("--cacert").arg(root);
        }
        curl.args(paths.iter().map(|path| format!("{}/{path}", self.endpoint)));
        curl
    }
}

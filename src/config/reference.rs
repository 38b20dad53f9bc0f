//! The reference of all settings, in the order of the shipped file: what the manual is made from. Pure text; what is
//! accepted is decided in `raw` and `values`, and tests hold the three together.
//!
//! The texts have the light markup of [`crate::program::commands`].

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Tables and key, with a dot between: `login.<user>.principals`.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What holds where it is not set, as TOML; `None`: nothing, or something that no value can say, see the text.
    pub default: Option<&'static str>,
    /// Another value, as TOML.
    pub example: &'static str,
    /// One sentence, without a full stop.
    pub summary: &'static str,
    /// Paragraphs for the manual.
    pub text: &'static [&'static str],
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string; what it holds, in one word.
    Text(&'static str),
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A boolean.
    Boolean,
    /// A string with a number and a unit of time.
    Duration,
    /// A list of principals.
    Principals,
}

impl Setting {
    /// The table's path, empty at the top level, and the key.
    #[must_use]
    pub fn table_and_key(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    Setting {
        path: "bucket",
        kind: Kind::Text("name"),
        default: None,
        example: "\"company-iam\"",
        summary: "The S3 bucket that `iam-ssh-sync` publishes to",
        text: &[
            "It has 3 to 63 of `a-z 0-9 - .`, with a letter or digit at both ends, no two dots in a row. Default: \
             none; then every lookup answers nothing and no request leaves the machine.",
        ],
    },
    Setting {
        path: "bucket_owner",
        kind: Kind::Text("account"),
        default: None,
        example: "\"123456789012\"",
        summary: "The AWS account that must own the bucket",
        text: &[
            "It has 12 digits. A bucket of another account is refused by S3. Default: any owner. Recommended, because \
             the name of a deleted bucket can be taken by anybody.",
        ],
    },
    Setting {
        path: "region",
        kind: Kind::Text("region"),
        default: None,
        example: "\"eu-central-1\"",
        summary: "The bucket's region",
        text: &[
            "For example `eu-central-1`: 2 to 32 of `a-z 0-9 -`, no `-` at either end. Default: the instance's own, \
             from the metadata service; with `credentials = \"default-chain\"`, the chain's first.",
        ],
    },
    Setting {
        path: "prefix",
        kind: Kind::Text("prefix"),
        default: Some("\"\""),
        example: "\"ssh/\"",
        summary: "What stands in front of every key in the bucket",
        text: &[
            "It has at most 512 of `A-Z a-z 0-9 _ . - = /`, ending in a slash, not beginning with one, no part empty \
             or `.` or `..`. It must equal the sync's `S3_PREFIX`.",
        ],
    },
    Setting {
        path: "endpoint_url",
        kind: Kind::Text("url"),
        default: None,
        example: "\"https://s3.example.org\"",
        summary: "An S3- and SSM-compatible endpoint instead of AWS's",
        text: &[
            "It is `http://<host>:<port>` or `https://<host>:<port>`, the port may be left out, without path, query or \
             user. Plain `http` is accepted for `localhost` and loopback addresses only. Buckets are asked for path \
             style. Default: AWS's endpoints of the region.",
        ],
    },
    Setting {
        path: "ca_bundle",
        kind: Kind::Text("path"),
        default: None,
        example: "\"/etc/ssl/my-ca.pem\"",
        summary: "A PEM file of the root certificates to trust instead of those that are built in",
        text: &["The path is absolute. Built in are Amazon Root CA 1 to 4 and Starfield Services Root CA - G2. The \
             system's own roots are not used. If the file is not trusted or not usable, no document can be fetched; \
             this is logged, and counts as AWS not answering. Default: those that are built in."],
    },
    Setting {
        path: "aws.credentials",
        kind: Kind::Choice(&["instance", "default-chain"]),
        default: Some("\"instance\""),
        example: "\"default-chain\"",
        summary: "Where the credentials for AWS come from",
        text: &["`instance`: the role of this instance, by version 2 of the metadata service, and nothing else. \
                 `default-chain`: what the AWS SDK finds in environment variables, files of the user \"iam-ssh\", and \
                 so on; for hosts outside EC2. sshd(8) hands on no AWS variables."],
    },
    Setting {
        path: "aws.imds_endpoint",
        kind: Kind::Text("url"),
        default: Some("\"http://169.254.169.254\""),
        example: "\"http://[fd00:ec2::254]\"",
        summary: "The metadata service",
        text: &["It is a plain `http` URL of the same form as `endpoint_url`, any host."],
    },
    Setting {
        path: "lookup.deadline",
        kind: Kind::Duration,
        default: Some("\"2s\""),
        example: "\"5s\"",
        summary: "The time for a whole lookup, from `1s` to `60s`",
        text: &[
            "sshd(8) makes one lookup per key that a client offers, and one more for the key that logs in. When the \
             time is over, what has arrived is the answer, together with copies that are younger than `max_stale`. \
             Half of this time at most is spent on waiting for another process that asks the same.",
        ],
    },
    Setting {
        path: "lookup.network",
        kind: Kind::Boolean,
        default: Some("true"),
        example: "false",
        summary: "Whether a lookup may ask AWS",
        text: &["Where it is `false`, a lookup opens no network socket and answers from the cache, as far as that is \
                 younger than `fresh_for` or `max_stale`. Then something else must fill the cache: enable \
                 `iam-ssh-refresh.timer`, see iam-ssh(1), whose `refresh` asks whatever is set here."],
    },
    Setting {
        path: "lookup.fresh_for",
        kind: Kind::Duration,
        default: Some("\"30s\""),
        example: "\"5m\"",
        summary: "How old a document in the cache, a parameter or a tag may be to count without being asked for",
        text: &["A key that is withdrawn counts so much longer. `0s`: every lookup asks. A shorter time than \
                 `iam-ssh-refresh.timer` takes from one refresh to the next, up to about 30 seconds, makes logins ask \
                 in between."],
    },
    Setting {
        path: "lookup.max_stale",
        kind: Kind::Duration,
        default: Some("\"24h\""),
        example: "\"1h\"",
        summary: "How old it may be to count where AWS gives no answer",
        text: &["No answer is a timeout, an outage, throttling, credentials that are missing or have ended, or \
                 `network = false`. An answer that says no counts at once, whatever is set here. A key that is \
                 withdrawn meanwhile counts until this time is over. `0s`: nothing older than `fresh_for` ever counts, \
                 so that nobody gets in through iam-ssh while AWS does not answer."],
    },
    Setting {
        path: "login.<user>.principals",
        kind: Kind::Principals,
        default: Some("[]"),
        example: "[\"groups/Administrators\", \"users/john@example.org\"]",
        summary: "Principals named here",
        text: &["One that is not of the right form is an error of the configuration."],
    },
    Setting {
        path: "login.<user>.principals_file",
        kind: Kind::Text("path"),
        default: None,
        example: "\"/etc/iam-ssh/principals\"",
        summary: "A file with a list of principals",
        text: &[
            "The path is absolute. If the file is missing or not trusted, it names no principal; this is logged as an \
             error at each lookup. Default: none.",
        ],
    },
    Setting {
        path: "login.<user>.principals_parameter",
        kind: Kind::Text("name"),
        default: None,
        example: "\"/IAM/{role}/principals\"",
        summary: "Name or ARN of an SSM parameter in the instance's region, with a list of principals",
        text: &[
            "It has at most 1011 of `A-Z a-z 0-9 _ . - / :`, where `{role}` stands for the name of the instance's \
             role. A role whose name holds one of `+ = , @` cannot stand in a parameter's name. The instance's role \
             needs `ssm:GetParameter` on it. A SecureString is decrypted. Default: none.",
        ],
    },
    Setting {
        path: "login.<user>.principals_tag",
        kind: Kind::Text("key"),
        default: None,
        example: "\"iam-ssh-principals\"",
        summary: "Key of a tag of the instance, with a list of principals",
        text: &[
            "It has 1 to 128 of `A-Z a-z 0-9 + - = . , _ : @`, not `.`, `..` or `_index`. The instance's metadata \
             option `InstanceMetadataTags` must be enabled. Default: none.",
        ],
    },
    Setting {
        path: "sshd.user_environment",
        kind: Kind::Boolean,
        default: Some("true"),
        example: "false",
        summary: "Whether the drop-in sets `PermitUserEnvironment SSH_KEY_OWNER`, so that sessions have this variable",
        text: &[
            "Where it is `false`, as CIS and DISA STIG rules demand, `sshrc` logs \"unknown\", and the owner stands in \
             the lookup's line only.",
        ],
    },
    Setting {
        path: "sshd.user_rc",
        kind: Kind::Boolean,
        default: Some("false"),
        example: "true",
        summary: "Whether `~/.ssh/rc` may run for keys that iam-ssh answers",
        text: &["It replaces `/etc/ssh/sshrc`, and with it the owner line. Where it is `false`, these keys carry \
                 `no-user-rc`. It counts at once, without `wire`."],
    },
    Setting {
        path: "sshd.chain",
        kind: Kind::Boolean,
        default: Some("true"),
        example: "false",
        summary: "Whether, on a miss, the `AuthorizedKeysCommand` is asked that was in effect before iam-ssh",
        text: &[
            "`wire` notes it in `/etc/iam-ssh/wired.toml`. Where a lookup finds no key of ours, also for login users \
             without a table here, that command is run, for at most 5 seconds beside `deadline`. Where it is `false`, \
             iam-ssh takes the place of any other command, which is then not asked.",
        ],
    },
    Setting {
        path: "sshd.session_audit",
        kind: Kind::Boolean,
        default: Some("true"),
        example: "false",
        summary: "Whether `session-audit` logs who opened and closed each connection",
        text: &[
            "sshd(8) runs it by way of PAM, as root, with the key that was proven: that log cannot be forged by the user \
             of a session. It needs `UsePAM yes`. Where it is `false`, `wire` takes it out of PAM's configuration.",
        ],
    },
    Setting {
        path: "sshd.audit",
        kind: Kind::Choice(&["optional", "required"]),
        default: Some("\"optional\""),
        example: "\"required\"",
        summary: "What becomes of a connection whose opening could not be logged",
        text: &[
            "`optional`: it goes on. `required`: it is refused, whoever opens it and with whatever key or password, also \
             where `session-audit` cannot be run; so a second way into the machine is needed. Logged means taken by \
             journald or by the syslog daemon at `/dev/log`. Where sshd(8) does not use PAM, or PAM's configuration \
             cannot be changed, `wire` then declines and changes nothing.",
        ],
    },
];

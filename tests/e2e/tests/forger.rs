//! Whoever has a shell on the shared account tries to have a connection recorded as another's, or not at all. Each attack is really made,
//! from a session of the forger's; where it is one that works against others, that is seen, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::Write;

use iam_ssh_e2e::audit::{Connection, HOOK, records};
use iam_ssh_e2e::scene::{armed, publish, published};
use iam_ssh_e2e::{BUCKET, Key, KeyKind, Login, Machine, Outcome, Suite, World, command, eventually, run};

const MALLORY: &str = "mallory@example.org";
const BOSS: &str = "boss@example.org";
const USERS: &str = r#"principals = ["users/mallory@example.org", "users/boss@example.org"]"#;
/// Everything that a client may want to set is taken, which no administrator should do.
const SSHD: &str = "AcceptEnv *\n";
/// Says so where it is loaded: for root, and for everybody.
const EVIL: &str = r#"
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void load(void) {
    close(open("/root/loaded", O_CREAT | O_WRONLY, 0600));
    close(open("/tmp/loaded", O_CREAT | O_WRONLY, 0666));
}
"#;
const HOME: &str = "/home/ec2-user";

struct Scene {
    world: World,
    machine: Machine,
    mallory: Key,
    boss: Key,
}

impl Scene {
    fn new(suite: Suite) -> Self {
        let world = World::new();
        let [mallory, boss] = [MALLORY, BOSS].map(|name| {
            let key = world.key(name, KeyKind::Ed25519);
            publish(&world, name, &key);
            key
        });
        let machine = armed(&world, suite, &world.double().url(), USERS);
        machine.write("/etc/ssh/sshd_config.d/90-test.conf", SSHD, 0o600);
        // Nothing is said that the test does not make be said.
        machine.run("touch ~ec2-user/.hushlogin").expect_ok();
        machine.reload_sshd();
        Self { world, machine, mallory, boss }
    }

    fn login(&self) -> Login {
        self.machine.login("ec2-user").key(&self.mallory)
    }

    /// In a session of Mallory's; what goes wrong there is an error of the test.
    #[track_caller]
    fn prepares(&self, script: &str) {
        let prepared = self.login().run_with(&["-T"], "", format!("set -e\n{script}\n").as_bytes());
        assert!(prepared.ok(), "{script}: {prepared}");
    }

    /// What root says of a connection that was made after this was prepared: it was Mallory's, whatever she does in it.
    fn is_mallory_s(&self, what: &str, script: &str, connect: impl Fn(Login) -> Outcome) -> Connection {
        self.prepares(&format!("mkdir -p -m 700 ~/.ssh\n{script}"));
        let connection = self.machine.connection_of(what, || {
            let _ = connect(self.login());
        });
        connection.expect(what, &[("owner", MALLORY), ("key", &self.mallory.fingerprint()), ("from", "127.0.0.1")]);
        self.undone(what);
        connection
    }

    /// Root never names the boss; and what was prepared goes.
    fn undone(&self, what: &str) {
        for record in records(&self.machine.logs()) {
            assert!(!record.get("owner").contains("boss") && !record.text.contains("203.0.113"), "{what}: {record:?}");
            assert!(self.machine.is_sealed(&record.text), "{what}: {record:?}");
        }
        self.machine.run(&format!("rm -rf {HOME}/.ssh {HOME}/.pam_environment {HOME}/.bashrc")).expect_ok();
    }

    /// What sshd would say of a connection of the boss's, and more that programs listen to.
    fn forged(&self) -> Vec<(&'static str, String)> {
        let info = format!("publickey {}", self.boss.bare());
        [
            ("CANARY", "alive"),
            ("SSH_AUTH_INFO_0", &info),
            ("SSH_CONNECTION", "203.0.113.9 9 10.0.0.1 22"),
            ("PAM_RHOST", "203.0.113.9"),
            ("PAM_TYPE", "open_session"),
            ("PAM_USER", "root"),
            ("PAM_SERVICE", "su"),
            ("SSH_KEY_OWNER", BOSS),
            ("IAM_SSH_OWNER", BOSS),
            ("IAM_SSH_NESTED", "1"),
            ("PATH", "/home/ec2-user/bin"),
            ("HOME", "/home/ec2-user"),
            ("GLIBC_TUNABLES", "glibc.malloc.check=3"),
            ("RUST_BACKTRACE", "full"),
            ("LD_PRELOAD", "/home/ec2-user/evil.so"),
            ("LD_AUDIT", "/home/ec2-user/evil.so"),
            ("LD_LIBRARY_PATH", "/home/ec2-user"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn bring_evil(&self) {
        let made = self.machine.path("/home/ec2-user/evil.so");
        let mut compiler = command("cc");
        compiler.args(["-shared", "-fPIC", "-x", "c", "-", "-o"]).arg(&made).env("TMPDIR", self.world.scratch());
        run(&mut compiler, EVIL.as_bytes()).expect_ok();
    }

    fn is_loaded(&self, by: &str) -> bool {
        let path = self.machine.path(&format!("/{by}/loaded"));
        let is_there = path.exists();
        let _ = std::fs::remove_file(path);
        is_there
    }
}

fn connects(login: &Login) -> Outcome {
    login.run("true")
}

fn what_the_user_may_write(suite: Suite) {
    let scene = Scene::new(suite);
    let (machine, boss) = (&scene.machine, &scene.boss);
    let lines = |separator: &str| -> String {
        scene.forged().iter().map(|(name, value)| format!("{name}{separator}\"{value}\"\n")).collect()
    };
    let environment = lines("=").replace('"', "");
    scene.is_mallory_s("~/.ssh/environment", &format!("cat >~/.ssh/environment <<'X'\n{environment}X"), |login| {
        let session = login.run("echo $SSH_KEY_OWNER");
        // As sshd has it: the variable is a convenience.
        assert_eq!(session.stdout, format!("{BOSS}\n"), "{session}");
        session
    });
    let rc = "echo 'kill -9 $PPID; touch ~/rc-ran' >~/.ssh/rc; echo 'exit 1' >~/.bashrc";
    scene.is_mallory_s("~/.ssh/rc", rc, |login| connects(&login));

    let own_line = |key: &Key, options: &str| format!("echo '{options} {}' >>~/.ssh/authorized_keys", key.line());
    let named = format!("environment=\"SSH_KEY_OWNER={BOSS}\"");
    let same = own_line(&scene.mallory, &named);
    let connection = scene.is_mallory_s("her key in her own file", &same, |login| connects(&login));
    assert_eq!(connection.get("principal"), "none");
    // The boss's key is offered first, which the lookup notes: in front of her key from the bucket, and of her key in her file.
    let public = format!("{}.pub", boss.private().display());
    let offering = |login: Login| connects(&login.instead(&format!("IdentityFile={public}")).instead("LogLevel=FATAL"));
    std::fs::rename(boss.private(), boss.private().with_extension("away")).unwrap();
    let connection = scene.is_mallory_s("the boss's key offered first", "true", offering);
    assert_eq!(connection.get("principal"), "users/mallory@example.org");
    let connection = scene.is_mallory_s("the boss's key offered first, hers in a file", &same, offering);
    assert_eq!(connection.get("principal"), "none");
    let both = own_line(boss, "");
    scene.is_mallory_s("the boss's key in her file", &both, offering);
    // That alone opens nothing.
    machine.records_nothing("the boss's public key", || {
        let session = machine.login("ec2-user").option(&format!("IdentityFile={public}")).run("true");
        assert!(session.refused(), "{session}");
    });
    // A key of her own that nobody published is nobody's.
    let other = scene.world.key("other", KeyKind::Ed25519);
    scene.prepares(&format!(
        "mkdir -m 700 ~/.ssh; {} {BOSS}",
        own_line(&other, &named).replace(" other'", " owner=boss\x1b[2J'")
    ));
    let connection =
        machine.connection_of("another key", || assert!(machine.login("ec2-user").key(&other).run("true").ok()));
    connection.expect("another key", &[("owner", "unknown"), ("principal", "none"), ("key", &other.fingerprint())]);
    scene.undone("another key");

    // An authority of her own, which says what she likes.
    let authority = scene.world.key("authority", KeyKind::Ed25519);
    for (name, options) in [("certified", "cert-authority"), ("certified-2", "cert-authority,principals=\"boss\"")] {
        let key = scene.world.key(name, KeyKind::Ed25519);
        key.certify(&authority, &["-I", BOSS, "-n", "ec2-user,boss"]);
        scene.prepares(&format!("mkdir -m 700 ~/.ssh; {}", own_line(&authority, options)));
        let login = machine.login("ec2-user").key(&key);
        let connection = machine.connection_of("her own authority", || assert!(login.run("true").ok()));
        let fields = [("owner", "unknown"), ("principal", "none"), ("certificate", BOSS)];
        connection.expect("her own authority", &fields);
        assert_eq!(connection.get("authority"), authority.fingerprint());
        scene.undone("her own authority");
    }
}

/// `~/.pam_environment`, which Debian 11 and 12 read within the session's PAM stack, so that it is in the hook's environment.
fn variables(suite: Suite, reads_users_file: bool) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    scene.bring_evil();
    let file: String = scene.forged().iter().map(|(name, value)| format!("{name} DEFAULT=\"{value}\"\n")).collect();
    let prepare = format!("cat >~/.pam_environment <<'X'\n{file}X");
    let canary = |login: Login| {
        let session = login.run("/bin/echo $CANARY");
        assert_eq!(session.stdout.trim() == "alive", reads_users_file, "{session}");
        session
    };
    scene.is_mallory_s("~/.pam_environment", &prepare, canary);
    assert!(!scene.is_loaded("root"), "the forger's library was loaded by root");
    assert_eq!(scene.is_loaded("tmp"), reads_users_file, "her own programs load it");
    if reads_users_file {
        // Another program in the hook's place, which is not static, is the forger's.
        machine.run("echo 'session optional pam_exec.so quiet /bin/true' >>/etc/pam.d/sshd").expect_ok();
        scene.is_mallory_s("~/.pam_environment, and another hook", &prepare, canary);
        assert!(scene.is_loaded("root"), "the attack works");
        machine.run("sed -i '$d' /etc/pam.d/sshd").expect_ok();
        scene.is_loaded("tmp");
    }
    // From the client, which may set whatever it likes.
    scene.is_mallory_s("SetEnv", "true", |login| {
        let all: Vec<String> = scene.forged().iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let session = login.option(&format!("SetEnv={}", all.join(" "))).run("/bin/echo $CANARY");
        assert_eq!(session.stdout, "alive\n", "{session}");
        session
    });
    assert!(!scene.is_loaded("root"), "the forger's library was loaded by root");
}

fn within_the_session(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    let forged: String = scene.forged().iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    scene.is_mallory_s("$SSH_USER_AUTH", "true", |login| {
        let session =
            login.run(&format!("echo 'publickey {}' >$SSH_USER_AUTH && cat $SSH_USER_AUTH", scene.boss.bare()));
        assert!(session.stdout.contains(scene.boss.base64()), "{session}");
        session
    });

    // The hook is root's: she may not even call it.
    let before = machine.logs().len();
    let forged = forged.replace("LD_PRELOAD", "X").replace("LD_AUDIT", "Y");
    for kind in ["open_session", "close_session", "auth"] {
        scene.is_mallory_s("the hook by hand", "true", |login| {
            let session = login.run(&format!("env {forged} PAM_TYPE={kind} PAM_USER=ec2-user {HOOK}"));
            assert!(!session.ok() && session.stderr.contains("Permission denied"), "{session}");
            session
        });
    }
    let names_boss = |line: &&iam_ssh_e2e::LogLine| line.message.contains("owner=boss");
    assert_eq!(machine.logs()[before..].iter().filter(names_boss).count(), 0, "{}", machine.log_text());

    // Lines of her own, copied from root's. The kernel says who sent them, and what is changed has no seal that fits.
    let genuine = records(&machine.logs()).last().unwrap().text.clone();
    for line in [
        genuine.replace(MALLORY, BOSS),
        genuine.replace("127.0.0.1", "203.0.113.9"),
        format!("{genuine}\nsession opened owner=boss"),
    ] {
        for tag in ["iam-ssh", "sshd", "iam-ssh[1]: x"] {
            scene.is_mallory_s("logger", "true", |login| {
                login.run_with(
                    &["-T"],
                    &format!("logger -i -t '{tag}' -p authpriv.notice"),
                    format!("{line}\n").as_bytes(),
                )
            });
        }
        assert!(!machine.is_sealed(&line), "{line:?}");
    }
    assert!(machine.is_sealed(&genuine));
    assert!(machine.logs().iter().any(|line| names_boss(&line)), "they did reach the log");

    // Her own processes are hers to kill, sshd's part that runs as her among them.
    for script in ["kill -9 -1", "kill -9 $PPID", "kill -TERM -1; sleep 1000"] {
        scene.is_mallory_s(script, "true", |login| login.run_with(&["-T"], "", format!("{script}\n").as_bytes()));
    }
    // Stood still, it is ended by the next who may.
    let connection = machine.connections("SIGSTOP", || {
        let client = scene.login().start(&[], "kill -STOP $PPID; sleep 1000");
        eventually("it to stand still", || machine.run("grep -q 'T (stopped)' /proc/[0-9]*/status").ok().then_some(()));
        drop(client);
        let _ = scene.login().run("pkill -9 -u ec2-user sshd");
    });
    assert_eq!(connection.len(), 2, "{connection:#?}");

    // Sessions of other services, and of an sshd of her own.
    machine.run_with("chpasswd", b"ec2-user:secret\n").expect_ok();
    scene.is_mallory_s("su", "true", |login| {
        let session = login.run_with(&["-T"], "su ec2-user -c 'echo by su'", b"secret\n");
        assert!(session.stdout.contains("by su"), "{session}");
        session
    });
    let own = "set -e; ssh-keygen -q -t ed25519 -N '' -f ~/host; ssh-keygen -q -t ed25519 -N '' -f ~/key; cp ~/key.pub ~/keys\n\
        /usr/sbin/sshd -f /dev/null -h ~/host -p 2222 -o UsePAM=yes -o PidFile=$HOME/pid -o AuthorizedKeysFile=$HOME/keys -o StrictModes=no\n\
        until ssh -nF none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i ~/key -p 2222 ec2-user@127.0.0.1 \
        true 2>/dev/null || [ $((n += 1)) = 50 ]; do sleep 0.1; done; [ $((n)) -lt 50 ] && echo in; kill $(cat ~/pid)\n";
    scene.is_mallory_s("an sshd of her own", "true", |login| {
        let session = login.run_with(&["-T"], "", own.as_bytes());
        assert!(session.stdout.starts_with("in"), "{session}");
        session
    });
}

/// What she can reach of our files: nothing to change, nothing to put in another's place, no secret.
fn files(suite: Suite) {
    let scene = Scene::new(suite);
    let script = "for top in /run/iam-ssh /var/cache/iam-ssh /var/lib/iam-ssh /etc/iam-ssh /usr/libexec/iam-ssh; do
            [ -d $top ] || echo there is no $top
            find $top -writable 2>/dev/null
            mv $top $top.away && echo moved $top
            for file in $top/x $top/sessions/1 $top/granted/1 $top/owners/1 $top/audit-secret; do
                { echo x >$file || ln -s /etc/passwd $file || mkdir $file || rm $file; } && echo wrote $file
            done
        done 2>/dev/null; true";
    scene.is_mallory_s("files", "true", |login| {
        let session = login.run_with(&["-T"], "", script.as_bytes());
        assert_eq!(session.expect_ok(), "");
        session
    });
    let secrets = "cat /var/lib/iam-ssh/audit-secret; ls /run/iam-ssh/*/ /var/lib/iam-ssh /var/cache/iam-ssh";
    let seen = scene.login().run(secrets);
    assert!(!seen.ok() && seen.stdout.is_empty(), "{seen}");
}

/// Texts that an attacker can choose, and that a log must not take for its own.
fn names(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    // Her key is known here.
    scene.prepares("true");
    // No control characters: our client refuses to send them.
    for (number, name) in ["x owner=boss", "x\u{85}\u{a0}é\\n="].iter().enumerate() {
        let home = format!("/home/odd{number}");
        // useradd would refuse it.
        let mut passwd = machine.read("/etc/passwd").unwrap();
        passwd.push_str(&format!("{name}:x:{0}:{0}::{home}:/bin/bash\n", 3000 + number));
        machine.write("/etc/passwd", passwd, 0o644);
        machine.run(&format!("echo '{name}:*:19000:0:99999:7:::' >>/etc/shadow")).expect_ok();
        machine.write(&format!("{home}/.ssh/authorized_keys"), format!("{}\n", scene.mallory.line()), 0o644);
        machine.run(&format!("chown -R {} {home}", 3000 + number)).expect_ok();
        let before = machine.logs().len();
        let session = machine.login(name).key(&scene.mallory).run("echo in");
        assert_eq!(session.expect_ok(), "in\n", "{name:?}: {session}");
        let record = |event: &str| {
            let line = machine.wait_log_from(before, |line| line.sender == 0 && line.message.starts_with(event));
            line.unwrap_or_else(|| panic!("{name:?}: {event}: {}", machine.log_text()))
        };
        for line in [record("session opened"), record("session closed")] {
            assert!(line.raw.bytes().all(|b| (0x20..=0x7e).contains(&b)), "{name:?}: {line:?}");
            let record = iam_ssh_e2e::audit::Record::parse(&line.message).unwrap();
            assert_eq!(record.get("owner"), MALLORY, "{name:?}: {record:?}");
            assert!(record.get("login").starts_with("x\\") && machine.is_sealed(&line.message), "{name:?}: {record:?}");
        }
    }
    // Who is nobody, under a name that reads like a record, and a client whose version does.
    machine.records_nothing("no such user", || {
        assert!(!machine.login("nobody opened owner=boss").key(&scene.mallory).run("true").ok());
        let mut client = std::net::TcpStream::connect("127.0.0.1:22").unwrap();
        client.write_all(b"SSH-2.0-x\x1b[2J session opened owner=boss\r\n").unwrap();
        machine.wait_log(|line| line.message.contains("owner=boss") || line.message.contains("x\\033")).unwrap();
    });
    scene.undone("names");
    // In a document: a comment that is no name is no owner.
    let lines = format!("{}{}", published(MALLORY, &scene.mallory), published(BOSS, &scene.mallory));
    scene.world.double().put_object(BUCKET, "users/mallory@example.org/authorized_keys", lines);
    machine.empty_cache();
    scene.is_mallory_s("another's name in her document", "true", |login| connects(&login));
}

/// One connection, several sessions, each of which tries to be somebody else.
fn multiplexed(suite: Suite) {
    let scene = Scene::new(suite);
    let socket = format!("ControlPath={}", scene.world.scratch().join("control").display());
    let session = |login: &Login, remote: &str| login.clone().option(&socket).option("ControlMaster=no").run(remote);
    scene.is_mallory_s("multiplexing", "true", |login| {
        let mut master = login.clone().option(&socket).start(&["-M", "-N"], "");
        let slave = scene.machine.login("ec2-user").option(&socket);
        eventually("the master", || slave.run_with(&["-O", "check"], "", b"").ok().then_some(()));
        for _ in 0..3 {
            session(&slave, "echo publickey >$SSH_USER_AUTH").expect_ok();
        }
        // The boss's own client would have to be on her machine: a key that is offered over her connection counts for nothing.
        let ended = session(&slave.clone().key(&scene.boss), "kill -9 -1");
        eventually("the master's end", || master.ended().then_some(()));
        ended
    });
}

macro_rules! on {
    ($($name:ident: $run:expr;)*) => { $(#[test] fn $name() { $run } )* };
}

on! {
    what_the_user_may_write_on_bullseye: what_the_user_may_write(Suite::Bullseye);
    what_the_user_may_write_on_forky: what_the_user_may_write(Suite::Forky);
    variables_on_bullseye: variables(Suite::Bullseye, true);
    variables_on_bookworm: variables(Suite::Bookworm, true);
    variables_on_forky: variables(Suite::Forky, false);
    within_the_session_on_bullseye: within_the_session(Suite::Bullseye);
    within_the_session_on_forky: within_the_session(Suite::Forky);
    files_on_bullseye: files(Suite::Bullseye);
    files_on_forky: files(Suite::Forky);
    names_on_bullseye: names(Suite::Bullseye);
    names_on_forky: names(Suite::Forky);
    multiplexed_on_bullseye: multiplexed(Suite::Bullseye);
    multiplexed_on_forky: multiplexed(Suite::Forky);
}

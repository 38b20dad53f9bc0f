//! How the system that this project replaces reads IAM, for the benchmark: its algorithm, with the paging added that it lacked.
//!
//! All users and all groups are asked for at once. A user's keys are listed and each is read; a group's members' keys likewise,
//! unless that user's are known completely by then. Requests wait in one line for one of fifty connections, as Node's AWS SDK has
//! them. It must make every request that the original makes, and no other.

use std::collections::{HashSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// How many sockets Node's AWS SDK opens at most.
const CONNECTIONS: usize = 50;

/// One reading of one user's keys; there may be several at a time.
struct Fetch {
    user: String,
    left: AtomicUsize,
}

enum Job {
    Group(String),
    List(String),
    Get(Arc<Fetch>, String),
}

/// What waits, what is on its way, and whose keys are known completely.
#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    busy: usize,
    known: HashSet<String>,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

/// Asks the IAM at this address for everything, once.
///
/// # Panics
/// When anything goes wrong.
pub fn read(address: SocketAddr) {
    let mut connection = Connection::open(address);
    let users = connection.all("ListUsers", "UserName");
    let groups = connection.all("ListGroups", "GroupName");
    let line = Line::default();
    line.state.lock().unwrap().jobs =
        users.into_iter().map(Job::List).chain(groups.into_iter().map(Job::Group)).collect();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| line.work(Connection::open(address)));
        }
    });
}

impl Line {
    fn work(&self, mut connection: Connection) {
        while let Some(job) = self.next() {
            let (more, known) = connection.answer(job, |user| self.state.lock().unwrap().known.contains(user));
            let mut state = self.state.lock().unwrap();
            state.jobs.extend(more);
            state.known.extend(known);
            state.busy -= 1;
            self.changed.notify_all();
        }
    }

    /// The next of the line; nothing once all is done.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.busy += 1;
                return Some(job);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap();
        }
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// What is to be asked next, and whose keys are known now.
    fn answer(&mut self, job: Job, is_known: impl Fn(&str) -> bool) -> (Vec<Job>, Option<String>) {
        match job {
            Job::Group(name) => {
                let members = self.all(&format!("GetGroup&GroupName={name}"), "UserName");
                (members.into_iter().filter(|user| !is_known(user)).map(Job::List).collect(), None)
            }
            Job::List(user) => {
                let ids = self.all(&format!("ListSSHPublicKeys&UserName={user}"), "SSHPublicKeyId");
                let fetch = Arc::new(Fetch { user, left: AtomicUsize::new(ids.len()) });
                let known = ids.is_empty().then(|| fetch.user.clone());
                (ids.into_iter().map(|id| Job::Get(Arc::clone(&fetch), id)).collect(), known)
            }
            Job::Get(fetch, id) => {
                let user = &fetch.user;
                self.ask(&format!("GetSSHPublicKey&UserName={user}&SSHPublicKeyId={id}&Encoding=SSH"));
                let is_last = fetch.left.fetch_sub(1, Ordering::SeqCst) == 1;
                (Vec::new(), is_last.then(|| user.clone()))
            }
        }
    }

    /// What stands in every such tag of all pages.
    fn all(&mut self, action: &str, tag: &str) -> Vec<String> {
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let page = self.ask(&format!("{action}&MaxItems=1000{marker}"));
            found.extend(tags(&page, tag));
            let Some(next) = tags(&page, "Marker").pop() else { return found };
            marker = format!("&Marker={next}");
        }
    }

    fn ask(&mut self, action: &str) -> String {
        let form = format!("Action={action}&Version=2010-05-08");
        let request = format!(
            "POST / HTTP/1.1\r\nHost: iam.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (String::new(), None);
        self.0.read_line(&mut status).unwrap();
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let mut body = vec![0; length.expect("an answer with a length")];
        self.0.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{form}: {status}{body}");
        body
    }
}

fn tags(xml: &str, tag: &str) -> Vec<String> {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let found = xml.split(&begin).skip(1).filter_map(|rest| rest.split_once(&end));
    found.map(|(inside, _)| inside.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use iam_ssh_doubles::{Double, Match};

    #[test]
    fn it_asks_for_every_user_and_key_and_once_more_for_members() {
        let double = Double::start("127.0.0.1:0").unwrap();
        double.populate(1200, 2, 30, 1);
        super::read(double.address());
        let asked = |action| double.count(&Match::action(action));
        assert_eq!((asked("ListUsers"), asked("ListGroups"), asked("GetGroup")), (2, 1, 30));
        let lists = asked("ListSSHPublicKeys");
        assert!((1200..=2400).contains(&lists), "{lists}");
        assert_eq!(asked("GetSSHPublicKey"), 2 * lists);
    }
}

//! A client that shows exactly what is on the wire: one request per connection, no library in between.
//!
//! It must never interpret more than the status line and the headers.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use iam_ssh_doubles::Double;

/// What came back.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    }
}

/// Sends one request and reads to the end of the connection; `None` where it was closed without an answer.
pub fn try_send(double: &Double, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut stream = open(double, method, target, headers, body);
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    if bytes.is_empty() {
        return None;
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Sends one request and returns its answer.
pub fn send(double: &Double, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    try_send(double, method, target, headers, body).expect("an answer")
}

/// Sends one request and returns the connection, on which reads give up after a quarter of a second.
pub fn open(double: &Double, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(double.address()).unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: double\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// A GET.
pub fn get(double: &Double, target: &str) -> Answer {
    send(double, "GET", target, &[], b"")
}

/// An IAM call, its form given as it is sent.
pub fn iam(double: &Double, form: &str) -> Answer {
    send(double, "POST", "/", &[("content-type", "application/x-www-form-urlencoded")], form.as_bytes())
}

/// One page of everything that GetAccountAuthorizationDetails gives of users, groups and the account's own policies.
pub fn details(double: &Double, more: &str) -> String {
    let answer = iam(double, &format!("Action=GetAccountAuthorizationDetails{more}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The user names of each page of GetAccountAuthorizationDetails, read to its end; `between` comes before each page but the first.
pub fn user_pages(double: &Double, mut between: impl FnMut(usize)) -> Vec<Vec<String>> {
    let (mut pages, mut marker) = (Vec::new(), String::new());
    loop {
        let page = details(double, &format!("&MaxItems=1000&Filter.member.1=User{marker}"));
        pages.push(tags(&page, "UserName"));
        let Some(next) = tags(&page, "Marker").pop() else { return pages };
        between(pages.len());
        marker = format!("&Marker={next}");
    }
}

/// The text between `<name>` and `</name>`, every time it occurs.
pub fn tags(xml: &str, name: &str) -> Vec<String> {
    xml.split(&format!("<{name}>"))
        .skip(1)
        .map(|rest| rest.split(&format!("</{name}>")).next().unwrap().to_owned())
        .collect()
}

//! The instance metadata service, version 2 only, over one plain HTTP connection.
//!
//! Our own small client on hyper, because the SDK's asks twice for the token, reads the environment and the home
//! directory, and retries for seconds. Each thing is asked for at most once in a lookup; the caller's deadline bounds
//! everything. It never follows a redirect, never uses version 1, and believes at most 64 KiB.

use crate::cache::state::RoleCredentials;
use crate::config::Endpoint;
use crate::lookup::ports::FetchError;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use iam_ssh_core::text::escape;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OnceCell};

/// Most bytes of an answer.
const MAX_BODY: usize = 64 * 1024;
/// Life of the token in seconds; one lookup needs it once.
const TOKEN_TTL: &str = "60";

/// A client of the metadata service.
#[derive(Debug)]
pub struct Imds {
    endpoint: Endpoint,
    connection: Mutex<Option<Session>>,
    role: OnceCell<Result<String, FetchError>>,
    region: OnceCell<Result<String, FetchError>>,
    credentials: OnceCell<Result<RoleCredentials, FetchError>>,
}

#[derive(Debug)]
struct Session {
    sender: SendRequest<Empty<Bytes>>,
    token: HeaderValue,
}

impl Imds {
    /// A client for `endpoint`. Nothing is asked yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        Self {
            endpoint: endpoint.clone(),
            connection: Mutex::new(None),
            role: OnceCell::new(),
            region: OnceCell::new(),
            credentials: OnceCell::new(),
        }
    }

    /// Name of the instance's role.
    ///
    /// # Errors
    /// [`FetchError::Transient`] where no instance profile is attached, or the service does not answer.
    pub async fn role(&self) -> Result<String, FetchError> {
        self.role.get_or_init(|| self.fetch_role()).await.clone()
    }

    async fn fetch_role(&self) -> Result<String, FetchError> {
        let list = self.get("/latest/meta-data/iam/security-credentials/").await.map_err(|error| match error {
            // Transient: a profile can be attached or come back at any time, and it says nothing about principals.
            FetchError::Missing(_) => self.failed("the instance has no IAM role: attach an instance profile"),
            other => other,
        })?;
        let role = list.lines().next().unwrap_or_default().trim();
        // IAM's alphabet for role names is that of user names.
        match iam_ssh_core::Name::new(role) {
            Ok(name) => Ok(name.as_str().to_owned()),
            Err(why) => Err(self.failed(&format!("the role's name is not one: {why}"))),
        }
    }

    /// The role's current credentials.
    ///
    /// # Errors
    /// [`FetchError::Transient`] where there are none to be had.
    pub async fn credentials(&self) -> Result<RoleCredentials, FetchError> {
        self.credentials.get_or_init(|| self.fetch_credentials()).await.clone()
    }

    async fn fetch_credentials(&self) -> Result<RoleCredentials, FetchError> {
        let role = self.role().await?;
        let text = self.get(&format!("/latest/meta-data/iam/security-credentials/{role}")).await?;
        // The text is not quoted: it may hold a secret.
        serde_json::from_str(&text).map_err(|_| self.failed(&format!("no usable credentials for the role {role}")))
    }

    /// The role and its credentials, if they were asked for and given.
    #[must_use]
    pub fn seen_credentials(&self) -> Option<(String, RoleCredentials)> {
        Some((self.role.get()?.clone().ok()?, self.credentials.get()?.clone().ok()?))
    }

    /// The region, if it was asked for and given.
    #[must_use]
    pub fn seen_region(&self) -> Option<String> {
        self.region.get()?.clone().ok()
    }

    /// The instance's region.
    ///
    /// # Errors
    /// [`FetchError`] where the service does not tell it.
    pub async fn region(&self) -> Result<String, FetchError> {
        let fetched = self.region.get_or_init(|| async {
            let text = self.get("/latest/meta-data/placement/region").await?;
            let region = text.trim();
            let fits = region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if fits && (2..=32).contains(&region.len()) {
                Ok(region.to_owned())
            } else {
                Err(self.failed(&format!("`{}` is not a region", escape(region.as_bytes(), 40))))
            }
        });
        fetched.await.clone()
    }

    /// Value of the instance tag `key`, which is from the alphabet that the configuration checked.
    ///
    /// # Errors
    /// [`FetchError::Missing`] where the instance has no such tag, or its tags are not served.
    pub async fn tag(&self, key: &str) -> Result<String, FetchError> {
        self.get(&format!("/latest/meta-data/tags/instance/{key}")).await.map_err(|error| match error {
            FetchError::Missing(_) => FetchError::Missing(
                "the instance has no such tag, or does not serve its tags (metadata option InstanceMetadataTags)"
                    .to_owned(),
            ),
            other => other,
        })
    }

    async fn get(&self, path: &str) -> Result<String, FetchError> {
        let mut connection = self.connection.lock().await;
        let kept = match connection.take() {
            Some(mut session) => match self.ask(&mut session, path).await {
                Ok(answer) => Some((session, answer)),
                // The service may have closed a connection that it kept open so far.
                Err(_) => None,
            },
            None => None,
        };
        let (session, (status, text)) = match kept {
            Some(kept) => kept,
            None => {
                let mut session = self.open().await?;
                let answer = self.ask(&mut session, path).await?;
                (session, answer)
            }
        };
        *connection = Some(session);
        match status {
            StatusCode::OK => Ok(text),
            StatusCode::NOT_FOUND => Err(FetchError::Missing(format!("{}: there is no {path}", self.name()))),
            status => Err(self.failed(&format!("{path} answered {status}"))),
        }
    }

    async fn ask(&self, session: &mut Session, path: &str) -> Result<(StatusCode, String), FetchError> {
        let request = self.request(Method::GET, path, "x-aws-ec2-metadata-token", session.token.clone())?;
        self.send(&mut session.sender, request).await
    }

    async fn open(&self) -> Result<Session, FetchError> {
        let address = (self.endpoint.host.as_str(), self.endpoint.port);
        let stream = TcpStream::connect(address).await.map_err(|e| self.failed(&format!("cannot connect: {e}")))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.failed(&format!("cannot connect: {e}")))?;
        tokio::spawn(connection);
        let ttl = HeaderValue::from_static(TOKEN_TTL);
        let request = self.request(Method::PUT, "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds", ttl)?;
        let (status, token) = self.send(&mut sender, request).await?;
        if status != StatusCode::OK {
            return Err(
                self.failed(&format!("the request for a token answered {status} (is the service switched off?)"))
            );
        }
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_| self.failed("the token is not one"))?;
        token.set_sensitive(true);
        Ok(Session { sender, token })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        header: &'static str,
        value: HeaderValue,
    ) -> Result<Request<Empty<Bytes>>, FetchError> {
        let host = if self.endpoint.host.contains(':') {
            format!("[{}]", self.endpoint.host)
        } else {
            self.endpoint.host.clone()
        };
        Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, host)
            .header(header, value)
            .body(Empty::new())
            .map_err(|e| self.failed(&format!("{path}: {e}")))
    }

    async fn send(
        &self,
        sender: &mut SendRequest<Empty<Bytes>>,
        request: Request<Empty<Bytes>>,
    ) -> Result<(StatusCode, String), FetchError> {
        sender.ready().await.map_err(|e| self.failed(&e.to_string()))?;
        let response = sender.send_request(request).await.map_err(|e| self.failed(&e.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|e| self.failed(&format!("the answer broke off: {e}")))?.to_bytes();
        let text = String::from_utf8(body.to_vec()).map_err(|_| self.failed("the answer is not text"))?;
        Ok((status, text))
    }

    fn name(&self) -> String {
        format!("instance metadata service {}", self.endpoint.url)
    }

    fn failed(&self, why: &str) -> FetchError {
        FetchError::Transient(format!("{}: {why}", self.name()))
    }
}

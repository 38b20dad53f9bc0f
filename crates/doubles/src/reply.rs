//! What a service answers, before it becomes HTTP, and the error documents of the five services.
//!
//! It must never answer an error in another service's format: the SDK decides by that format what the error is.

use std::borrow::Cow;
use std::io::Error;

use hyper::{Response, Version};

use crate::body::ReplyBody;
use crate::checksum::{CHECKSUM, checksum};
use crate::request::Service;

/// Namespace of IAM's answers.
pub(crate) const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
/// Namespace of STS's answers.
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The request id of every answer; nobody looks it up.
pub(crate) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An XML document.
    pub(crate) fn xml(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "text/xml".to_owned())], body: body.into_bytes() }
    }

    /// A plain text, as the metadata service answers.
    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self { status: 200, headers: vec![("content-type", "text/plain".to_owned())], body: body.into().into_bytes() }
    }

    /// Status 200 with this body, of the kind that `service` sends.
    pub(crate) fn of_kind(service: Service, body: Vec<u8>) -> Self {
        let kind = match service {
            Service::Iam | Service::Sts => "text/xml",
            Service::S3 => "binary/octet-stream",
            Service::Ssm => "application/x-amz-json-1.1",
            Service::Imds => "text/plain",
        };
        Self { body, ..Self::empty(200) }.with("content-type", kind)
    }

    /// A JSON document of the kind that SSM speaks.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/x-amz-json-1.1".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    /// The same answer with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The result of an operation of IAM or STS, in their envelope.
    pub(crate) fn result(namespace: &str, action: &str, result: &str) -> Self {
        Self::xml(
            200,
            format!(
                "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result>\
                 <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>"
            ),
        )
    }

    /// An error document in the format of `service`.
    pub(crate) fn error(service: Service, status: u16, code: &str, message: &str) -> Self {
        let (code_xml, message_xml) = (escape(code), escape(message));
        let namespace = if service == Service::Sts { STS_NAMESPACE } else { IAM_NAMESPACE };
        match service {
            Service::Iam | Service::Sts => Self::xml(
                status,
                format!(
                    "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>Sender</Type><Code>{code_xml}</Code>\
                     <Message>{message_xml}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
                ),
            ),
            Service::S3 => Self::xml(
                status,
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code_xml}</Code>\
                     <Message>{message_xml}</Message><RequestId>{REQUEST_ID}</RequestId></Error>"
                ),
            ),
            Service::Ssm => Self::json(status, &serde_json::json!({ "__type": code, "message": message })),
            Service::Imds => Self { status, ..Self::text(format!("{status} - {code}\n")) },
        }
    }

    /// The same answer, its body cut off behind the first occurrence of `text`; whole where it does not occur.
    pub(crate) fn cut_behind(mut self, text: &str) -> Self {
        let found = self.body.windows(text.len().max(1)).position(|part| part.starts_with(text.as_bytes()));
        if let Some(at) = found {
            self.body.truncate(at + text.len());
        }
        self
    }

    /// The same answer with a checksum that is none of its body's, where it has one.
    pub(crate) fn with_wrong_checksum(mut self) -> Self {
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == CHECKSUM) {
            *value = checksum(b"something else");
        }
        self
    }

    /// S3's answer where the bucket is in another region than the endpoint.
    pub(crate) fn other_region(region: &str) -> Self {
        let region_xml = escape(region);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>PermanentRedirect</Code>\
             <Message>The bucket you are attempting to access must be addressed using the specified endpoint. Please send all \
             future requests to this endpoint.</Message><Endpoint>s3.{region_xml}.amazonaws.com</Endpoint>\
             <RequestId>{REQUEST_ID}</RequestId></Error>"
        );
        Self::xml(301, body).with("x-amz-bucket-region", region)
    }

    /// The HTTP answer, its body sent as it is.
    pub(crate) fn into_http(self) -> Result<Response<ReplyBody>, Error> {
        self.into_http_with(ReplyBody::whole)
    }

    /// The HTTP answer; `send` decides how its body is sent.
    pub(crate) fn into_http_with(self, send: impl FnOnce(Vec<u8>) -> ReplyBody) -> Result<Response<ReplyBody>, Error> {
        let mut response = Response::builder().status(self.status).header("x-amzn-requestid", REQUEST_ID);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(send(self.body)).map_err(Error::other)
    }
}

/// An HTTP answer as an HTTP/1.0 server gives it: no length, no chunks, the end of the connection is the end of the body.
pub(crate) fn until_close(response: Response<ReplyBody>) -> Response<ReplyBody> {
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_10;
    Response::from_parts(parts, body.without_length())
}

/// Text for use between XML tags. Characters that XML 1.0 cannot hold become character references, as S3 writes them.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    // Most texts have nothing to escape, and a full page has a hundred thousand characters.
    if !text.bytes().any(|byte| byte < 0x20 || matches!(byte, b'&' | b'<' | b'>' | b'"')) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if u32::from(control) < 0x20 => escaped.push_str(&format!("&#x{:x};", u32::from(control))),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

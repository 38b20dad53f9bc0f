//! The sockets: accepts, reads, asks for a fault, lets the service answer, and sends.
//!
//! It must never decide what an answer says, and it must never hold the state's lock while it waits.

use std::io::Error;

use hyper::Response;
use hyper::body::Incoming as HttpBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::body::ReplyBody;
use crate::double::{Shared, State, lock};
use crate::fault::Fault;
use crate::incoming::{Call, Incoming};
use crate::reply::{Reply, until_close};
use crate::request::{Request, Service};
use crate::{hook, iam, imds, s3, ssm, sts};

/// Serves until `stop` is sent or dropped; connections still open then end with the runtime.
pub(crate) async fn serve(listener: std::net::TcpListener, shared: Shared, mut stop: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        tokio::select! {
            _ = &mut stop => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, Shared::clone(&shared)))),
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
}

async fn connection(stream: TcpStream, shared: Shared) {
    // Small answers must not wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, Shared::clone(&shared)));
    // A client that goes away is not the double's trouble.
    let _ = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: hyper::Request<HttpBody>, shared: Shared) -> Result<Response<ReplyBody>, Error> {
    let incoming = Incoming::read(request).await?;
    let (call, mut request) = incoming.classify();
    let service = request.service;
    let fault = {
        let mut state = lock(&shared);
        if request.account.is_empty() {
            state.accounts.home_number().clone_into(&mut request.account);
        }
        let mut fault = state.faults.take(&request);
        if fault.is_none() && service == Service::Iam && !state.throttle.admits(&request.account, request.at) {
            fault = Some(Fault::Throttle);
        }
        request.throttled = fault == Some(Fault::Throttle);
        state.log.push(request.clone());
        fault
    };
    let done = || dispatch(&mut lock(&shared), &request, &call, &incoming);
    match fault {
        None => done().into_http(),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::CloseConnection) => Err(Error::other("closed on purpose")),
        Some(Fault::Throttle) => {
            let (status, code) = Fault::throttled(service);
            Reply::error(service, status, code, "Rate exceeded").into_http()
        }
        Some(Fault::Status(status, code)) => {
            Reply::error(service, status, &code, "a fault of the test double").into_http()
        }
        Some(Fault::Redirect(region)) => Reply::other_region(&region).into_http(),
        Some(Fault::Body(body)) => Reply::of_kind(service, body.into_bytes()).into_http(),
        Some(Fault::HugeBody { bytes, told }) => {
            let body = if told { ReplyBody::filler(bytes) } else { ReplyBody::filler(bytes).without_length() };
            Reply::of_kind(service, Vec::new()).into_http_with(|_| body)
        }
        Some(Fault::SlowBody { bytes_per_sec }) => {
            done().into_http_with(|body| ReplyBody::whole(body).paced(bytes_per_sec))
        }
        Some(Fault::CutBody(behind)) => done().cut_behind(&behind).into_http().map(until_close),
        Some(Fault::Truncate) => done().into_http_with(ReplyBody::broken_off),
        Some(Fault::HangBody) => done().into_http_with(ReplyBody::stalling),
        Some(Fault::WrongChecksum) => done().with_wrong_checksum().into_http(),
    }
}

fn dispatch(state: &mut State, request: &Request, call: &Call, incoming: &Incoming) -> Reply {
    hook::run(state, request);
    match call {
        Call::Iam(form) => match state.accounts.get_mut(&request.account) {
            Some(directory) => iam::answer(directory, form),
            None => Reply::error(
                Service::Iam,
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            ),
        },
        Call::Sts(form) => sts::answer(&state.accounts, &request.account, form),
        Call::Ssm { operation, input } => ssm::answer(&state.ssm, operation, input),
        Call::Imds { path } => imds::answer(&mut state.imds, path, incoming),
        Call::S3 { bucket, key } => s3::answer(&mut state.s3, bucket, key, incoming),
    }
}

//! The client: credentials, redirects, and trying again around single attempts.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64ct::{Base64, Encoding};
use reqwest::{Certificate, Identity, redirect};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::attempt::{Attempt, Raw, Sink};
use super::authorize::Authorizer;
use super::feed::Bucket;
use super::message::{Body, Reply, Request};
use super::proxy;
use super::repeats::repeats;
use super::retry::{self, Backoff};
use super::transport::Transport;
use super::trouble::{line, shown};
use crate::control::Control;
use crate::error::{Error, Kind, Result};

/// How many redirects a reading request follows, all within one origin.
const REDIRECTS: usize = 5;
/// A challenge, an answer, a nonce that was too old, an answer.
const LOGINS: usize = 3;
/// No file of certificates is longer.
const MAX_PEM: u64 = 4 << 20;
/// A shorter password is not looked for in texts that are needed.
const SHORTEST: usize = 6;
const USER_AGENT: &str = concat!("stratus-publish/", env!("CARGO_PKG_VERSION"));

/// Sends requests, one after the other or from several threads.
pub struct Client {
    /// Only empty while it is dropped.
    runtime: Option<Runtime>,
    http: reqwest::Client,
    transport: Transport,
    authorizer: Authorizer,
    bucket: Option<Arc<Mutex<Bucket>>>,
    warned: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Client {
    /// # Errors
    /// `Config` for files of certificates that are none, and for proxies that cannot be.
    pub fn new(transport: &Transport) -> Result<Self> {
        // Another part of the program may have done so already: then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        proxy::check(|name| std::env::var_os(name))?;
        let http = build(transport)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| {
            Error::new(Kind::Io, "http-runtime", "cannot prepare for network connections")
                .because(e)
        })?;
        Ok(Client {
            runtime: Some(runtime),
            http,
            transport: transport.clone(),
            authorizer: Authorizer::new(transport.credentials.clone()),
            bucket: transport.limit.map(|rate| Arc::new(Mutex::new(Bucket::new(rate)))),
            warned: Mutex::default(),
        })
    }

    /// What it was made from.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends a request and gives the whole reply, whatever its status. What is temporary is tried
    /// again if the method may be repeated.
    ///
    /// # Errors
    /// `Unavailable` if there is no reply after all attempts; `Protocol` for a reply that is too
    /// long or a redirect to elsewhere; `Permission` if TLS wants another certificate; `Usage` for
    /// a URL with a password in it; `Changed` and `Io` for the file that is sent; `Interrupted`.
    pub fn send(&self, request: &Request, control: &Control) -> Result<Reply> {
        self.repeated(request, control, None)
    }

    /// As [`Client::send`], but what was sent is never sent again: for what must not be done twice.
    /// A request that the server answered by asking for a login was not done.
    ///
    /// # Errors
    /// Those of [`Client::send`]. After `Unavailable` the server may have done it or not.
    pub fn once(&self, request: &Request, control: &Control) -> Result<Reply> {
        self.exchange(request, control, None, &mut false)
    }

    /// Reads a long reply in pieces, which is tried again only until the first piece came. The body
    /// of a reply that is no success is in the reply instead, at most [`Request::SHORT`] of it.
    ///
    /// # Errors
    /// Those of [`Client::send`], and those of `sink`.
    pub fn read(&self, request: &Request, control: &Control, sink: Sink) -> Result<Reply> {
        self.repeated(request, control, Some(sink))
    }

    /// Whether a text repeats the password for the place of `url`, in whatever form.
    pub fn repeats_password(&self, url: &Url, text: &str) -> bool {
        repeats(text, &self.secrets(url))
    }

    /// Refuses a text from `url` whose words are used further if it repeats the password.
    ///
    /// # Errors
    /// `Protocol`, without the text.
    pub fn refuse_password(&self, url: &Url, text: &[u8]) -> Result<()> {
        // A word like `base` is in any text.
        let mut secrets = self.secrets(url);
        secrets.retain(|secret| secret.chars().count() >= SHORTEST);
        if !repeats(&String::from_utf8_lossy(text), &secrets) {
            return Ok(());
        }
        let message = format!("{}: what comes from there repeats the password", shown(url));
        Err(Error::new(Kind::Protocol, "http-password", message)
            .remedy("check what lies there, and change the password"))
    }

    /// What nobody shall see of the login for a place.
    fn secrets(&self, url: &Url) -> Vec<String> {
        let Some(login) = self.authorizer.login(url) else { return Vec::new() };
        let password = login.password.reveal();
        let pair = format!("{}:{password}", login.user);
        vec![password.to_owned(), Base64::encode_string(pair.as_bytes())]
    }

    fn repeated(
        &self,
        request: &Request,
        control: &Control,
        mut sink: Option<Sink>,
    ) -> Result<Reply> {
        let mut backoff = Backoff::new(&self.transport);
        loop {
            let mut began = false;
            // `as_mut` alone would lend the closure for too long.
            let lent: Option<Sink> = match &mut sink {
                Some(sink) => Some(&mut **sink),
                None => None,
            };
            let outcome = self.exchange(request, control, lent, &mut began);
            let (why, asked) = match &outcome {
                Ok(reply) if retry::temporary_status(reply.status) => {
                    (reply.failure(request).to_string(), retry::asked(reply))
                }
                Err(error) if retry::temporary(error) && !began => (error.to_string(), None),
                _ => return outcome,
            };
            if !request.may_be_repeated() || !backoff.again(&why, asked, control)? {
                return outcome;
            }
        }
    }

    /// One request with what belongs to it: the login, and for reading the redirects.
    fn exchange(
        &self,
        request: &Request,
        control: &Control,
        mut sink: Option<Sink>,
        began: &mut bool,
    ) -> Result<Reply> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS {
            let request = Request { url: &url, ..request.clone() };
            let lent: Option<Sink> = match &mut sink {
                Some(sink) => Some(&mut **sink),
                None => None,
            };
            let reply = self.authorized(&request, control, lent, began)?;
            let reads = matches!(request.method, "GET" | "HEAD");
            if !reads || !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(reply);
            }
            url = self.redirected(&request, &reply)?;
        }
        Err(Error::new(
            Kind::Protocol,
            "http-redirects",
            format!("{}: more than {REDIRECTS} redirects", request.words()),
        )
        .remedy("check the server's configuration"))
    }

    /// Where a reading request goes on, if that is within its origin.
    fn redirected(&self, request: &Request, reply: &Reply) -> Result<Url> {
        let target = reply.header("location").and_then(|to| request.url.join(to).ok());
        let Some(target) = target else { return Err(reply.failure(request)) };
        if target.origin() == request.url.origin()
            && super::without_user(target.clone()).1.is_none()
        {
            return Ok(target);
        }
        Err(reply.failure(request))
    }

    fn authorized(
        &self,
        request: &Request,
        control: &Control,
        mut sink: Option<Sink>,
        began: &mut bool,
    ) -> Result<Reply> {
        check(request.url)?;
        if matches!(request.body, Body::File { .. }) && self.authorizer.should_ask(request.url) {
            // Of its folder: lighttpd 1.4.69 never answers when it is asked about another name.
            let folder = request.url.join(".").unwrap_or_else(|_| request.url.clone());
            let ask = Request::new("OPTIONS", &folder);
            self.authorized(&ask, control, None, &mut false)?;
        }
        let mut login = 1;
        loop {
            let authorization = self.authorizer.header(request.method, request.url);
            let attempt = Attempt {
                http: &self.http,
                transport: &self.transport,
                bucket: self.bucket.as_ref(),
                request,
                control,
            };
            let lent: Option<Sink> = match &mut sink {
                Some(sink) => Some(&mut **sink),
                None => None,
            };
            self.warn_if_exposed(request.url, authorization.is_some(), control);
            let sent = attempt.send(authorization.as_deref(), lent, began);
            let raw = match &self.runtime {
                Some(runtime) => runtime.block_on(sent)?,
                None => return Err(Error::new(Kind::Internal, "http-runtime", "already closed")),
            };
            let words = format!("{} {}: {}", request.method, shown(request.url), raw.status);
            control.detail(words);
            let sent = authorization.is_some();
            if raw.status == 401
                && login < LOGINS
                && self.authorizer.learn(request.url, &raw.headers, sent)
            {
                login += 1;
                continue;
            }
            return Ok(self.reply(raw, request.url, authorization.as_deref()));
        }
    }

    fn warn_if_exposed(&self, url: &Url, sends: bool, control: &Control) {
        if !sends || !self.authorizer.is_exposed(url) {
            return;
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut warned = self.warned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !warned.contains(&host) {
            control.warn(format!(
                "the password goes to {host} without encryption: anybody on the way can read it. \
                 Use https"
            ));
            warned.push(host);
        }
    }

    fn reply(&self, raw: Raw, url: &Url, authorization: Option<&str>) -> Reply {
        let Raw { status, headers, body } = raw;
        let mut secrets = self.secrets(url);
        secrets.extend(authorization.map(str::to_owned));
        let said = match status {
            207 => line(&body, &secrets),
            200..=299 => String::new(),
            300..=399 => {
                let target =
                    headers.get("location").and_then(|to| url.join(to.to_str().ok()?).ok());
                let target = target.map(|target| format!("to {}", shown(&target)));
                line(target.unwrap_or_default().as_bytes(), &secrets)
            }
            _ => line(&body, &secrets),
        };
        let login = authorization.is_some();
        Reply { url: url.clone(), status, headers, body, said, login }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A look-up of a name that hangs must not hold the program.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A URL that may be asked.
fn check(url: &Url) -> Result<()> {
    let (code, what) = if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        ("http-url", "is no URL of an HTTP server")
    } else if !url.username().is_empty() || url.password().is_some() {
        ("http-url-user", "has a user or password in it, which would end up in logs")
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Usage, code, format!("{} {what}", shown(url)))
        .remedy("use http:// or https://, and --user or ~/.netrc for the login"))
}

fn build(transport: &Transport) -> Result<reqwest::Client> {
    let builder = || -> Result<reqwest::ClientBuilder> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_rustls()
            .http1_only()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0);
        if let Some(path) = &transport.ca_file {
            let certificates = Certificate::from_pem_bundle(&pem(path)?);
            let certificates = certificates.ok().filter(|found| !found.is_empty());
            builder = builder.tls_certs_merge(
                certificates.ok_or_else(|| not_pem(path, "no certificate in PEM form is in it"))?,
            );
        }
        if let Some(path) = &transport.client_cert {
            builder = builder.identity(identity(path)?);
        }
        Ok(builder)
    };
    let failed = |e: reqwest::Error| {
        let why = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
        Error::new(Kind::Config, "http-setup", format!("cannot prepare for TLS: {why}")).remedy(
            "check --ca-file and --client-cert, and the variables http_proxy, https_proxy and \
             all_proxy",
        )
    };
    match builder()?.build() {
        // A machine without any trusted certificates can still reach what needs none.
        Err(_) if transport.ca_file.is_none() => {
            builder()?.tls_certs_only(Vec::new()).build().map_err(failed)
        }
        built => built.map_err(failed),
    }
}

/// A client certificate with its key, in one file or two.
fn identity(path: &Path) -> Result<Identity> {
    let mut text = pem(path)?;
    let has_key = |text: &[u8]| String::from_utf8_lossy(text).contains("PRIVATE KEY-----");
    let key = path.with_extension("key");
    if !has_key(&text) {
        if key == path || !key.exists() {
            let what = "neither in it nor beside it, as NAME.key, is its private key";
            return Err(not_pem(path, what));
        }
        text.push(b'\n');
        text.extend(pem(&key)?);
    }
    if String::from_utf8_lossy(&text).contains("ENCRYPTED") {
        return Err(not_pem(path, "its key is encrypted: write it without a password, mode 600"));
    }
    Identity::from_pem(&text)
        .map_err(|_| not_pem(path, "a certificate and one private key in PEM form are needed"))
}

fn pem(path: &Path) -> Result<Vec<u8>> {
    let cannot = |e| Error::io("http-pem-read", "cannot read the certificate", path, e);
    let facts = fs::metadata(path).map_err(cannot)?;
    if !facts.is_file() || facts.len() > MAX_PEM {
        return Err(not_pem(path, "no regular file, or too long for certificates"));
    }
    fs::read(path).map_err(cannot)
}

fn not_pem(path: &Path, what: &str) -> Error {
    Error::new(Kind::Config, "http-pem", what).at(path)
}

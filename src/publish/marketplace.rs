//! A StratusLab marketplace behind HTTP.
//!
//! ```text
//! POST ENDPOINT/metadata                            a signed manifest: 201, 202, 400, 403
//! GET  ENDPOINT/metadata/IDENTIFIER/EMAIL           the newest entry, in a list
//! GET  ENDPOINT/metadata/IDENTIFIER/EMAIL/CREATED   one entry
//! ```
//!
//! What the server says is not enough: an entry counts as registered when it was fetched again, its
//! signature verified, and what was signed is what was sent. Sending is not repeated blindly: when
//! the reply is lost, the server is asked first whether it has the entry.

mod list;
mod skew;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use url::Url;

use super::http::{Backoff, Body, Client, Reply, Request, Retries, Transport, shown, temporary};
use super::registry::{Entry, Newest, Registered, Registry, Signed, check_key, must_be_valid};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::xml;

/// The server answers an upload in XML if it is asked like this, and takes it under this type.
const XML: &str = "application/xml";

/// A marketplace.
#[derive(Debug)]
pub struct Marketplace {
    /// Ends with a slash.
    endpoint: Url,
    client: Client,
    /// Whether it was said that this may be no marketplace.
    doubted: AtomicBool,
}

/// What lies at an entry's URL.
enum There {
    Nothing,
    Same,
    /// Another document that the endorser's key has signed in the same second.
    Rival,
    Other(String),
}

impl Marketplace {
    /// The marketplace at `endpoint`.
    ///
    /// # Errors
    /// Those of [`endpoint`].
    pub fn new(text: &str, client: Client) -> Result<Self> {
        Ok(Marketplace { endpoint: endpoint(text)?, client, doubted: AtomicBool::new(false) })
    }

    /// Its address, with a slash at the end.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    fn url(&self, parts: &[&str]) -> Result<Url> {
        let mut url = self.endpoint.clone();
        match url.path_segments_mut() {
            // What has a meaning in URLs is encoded; `:`, `@` and `+` stay, as the server knows them.
            Ok(mut segments) => drop(segments.pop_if_empty().push("metadata").extend(parts)),
            Err(()) => return Err(Error::new(Kind::Internal, "marketplace-url", "no base URL")),
        }
        Ok(url)
    }

    fn entry_url(&self, entry: &Entry) -> Result<Url> {
        self.url(&[entry.identifier(), entry.email(), entry.created()])
    }

    fn get(&self, url: &Url, control: &Control) -> Result<Option<Reply>> {
        Ok(Some(self.ask(url, control)?).filter(|reply| reply.status == 200))
    }

    /// A reply of status 200, 404 or 410.
    fn ask(&self, url: &Url, control: &Control) -> Result<Reply> {
        let mut request =
            Request::new("GET", url).header("accept", XML).header("cache-control", "no-cache");
        request.max_reply = xml::LARGEST as u64;
        let reply = self.client.send(&request, control)?;
        match reply.status {
            200 | 404 | 410 => Ok(reply),
            _ => Err(reply.failure(&request)),
        }
    }

    /// What the server has at the URL of the entry that was, or will be, sent.
    fn there(&self, sent: &Signed, now: u64, control: &Control) -> Result<There> {
        let Some(document) = self.fetch(&sent.entry, control)? else { return Ok(There::Nothing) };
        Ok(match Signed::read(&document, now) {
            Ok(found) if found.is(sent) => There::Same,
            Ok(found)
                if found.entry == sent.entry
                    && found.verified.certificate.der() == sent.verified.certificate.der() =>
            {
                There::Rival
            }
            Ok(_) => There::Other("it is another one".to_owned()),
            // What is wrong with it may be in it, and long.
            Err(error) => There::Other(
                match self.client.repeats_password(&self.endpoint, &error.to_string()) {
                    true => "it repeats the password".to_owned(),
                    false => error.to_string().chars().take(300).collect(),
                },
            ),
        })
    }

    /// The same after the server said that it has the entry: one that copies its entries to others
    /// may need some seconds.
    fn there_soon(&self, sent: &Signed, now: u64, control: &Control) -> Result<There> {
        let transport = self.client.transport();
        let mut backoff =
            Backoff::new(&Transport { retries: Retries::Times(3), ..transport.clone() });
        loop {
            let there = self.there(sent, now, control)?;
            let why = "the marketplace has taken the entry, and does not show it yet";
            if !matches!(there, There::Nothing)
                || !backoff.again(why, Some(transport.backoff), control)?
            {
                return Ok(there);
            }
        }
    }

    /// Takes what the server answered to an upload. An error that [`is_open`] leaves open whether
    /// the server has the entry.
    fn answered(
        &self,
        request: &Request,
        reply: &Reply,
        sent: &Signed,
        now: u64,
        control: &Control,
    ) -> Result<Registered> {
        skew::warn(reply, now, control);
        let url = self.entry_url(&sent.entry)?;
        match reply.status {
            202 => Ok(Registered::Pending {
                message: format!(
                    "the marketplace has sent a mail to {}: the entry appears when it is confirmed",
                    sent.entry.email()
                ),
            }),
            200..=299 => match self.there_soon(sent, now, control)? {
                There::Same => {
                    self.look_at_location(reply, &url, control);
                    Ok(Registered::Created { url: url.into() })
                }
                There::Nothing => {
                    let message = format!(
                        "the marketplace answered {}, and has nothing at {url}",
                        reply.status
                    );
                    Err(Error::new(Kind::Protocol, PROMISE, message)
                        .remedy("tell those who run it that it does not keep what it takes"))
                }
                There::Rival => Err(sent.not_newer(sent.entry.created())),
                There::Other(what) => Err(other(&url, &what)),
            },
            400 | 409 | 422 => {
                let words = if reply.said.is_empty() { "without a reason" } else { &reply.said };
                let message = format!("the marketplace does not take the entry: {words}");
                Err(Error::new(Kind::Refused, REFUSED, message)
                    .remedy("stratus-publish metadata validate says which rule is broken"))
            }
            403 => Err(reply
                .failure(request)
                .remedy("this marketplace may be a read-only copy: register with its original")),
            _ => Err(reply.failure(request)),
        }
    }

    /// A marketplace that has nothing yet answers 404, as any server does that is none. Only the
    /// marketplace says it in its own words: `<error>no metadata matching query found</error>`.
    fn look_at_refusal(&self, reply: &Reply, control: &Control) {
        let own = xml::parse(&reply.body).is_ok_and(|d| d.root_element().has_tag_name("error"));
        if !own && !self.doubted.swap(true, Ordering::Relaxed) {
            control.warn(format!(
                "{} does not answer as a marketplace does ({}): if the address is wrong, nothing \
                 will be registered; check --marketplace",
                self.endpoint, reply.status
            ));
        }
    }

    /// The entry was found where it has to be. A location that says something else is worth a word:
    /// behind a proxy the server may not know its own address.
    fn look_at_location(&self, reply: &Reply, url: &Url, control: &Control) {
        let Some(said) = reply.header("location") else { return };
        let said = reply.url.join(said).ok();
        if said.as_ref().map(Url::path) != Some(url.path())
            || said.as_ref().map(Url::origin) != Some(url.origin())
        {
            let said = said.as_ref().map_or_else(|| "no URL".to_owned(), shown);
            let said = match self.client.repeats_password(url, &said) {
                true => "an address that repeats the password",
                false => &said,
            };
            control.warn(format!(
                "the marketplace says that the entry is at {said:.200}; it is at {url}"
            ));
        }
    }
}

impl Registry for Marketplace {
    fn identity(&self) -> String {
        self.endpoint.to_string()
    }

    fn entries(&self, identifier: &str, email: &str, control: &Control) -> Result<Vec<Newest>> {
        check_key(identifier, email)?;
        let mut url = self.url(&[identifier, email])?;
        // A status that the server does not know filters nothing: deprecated and expired entries
        // count, too.
        url.set_query(Some("status=all"));
        let reply = self.ask(&url, control)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        skew::refuse_ahead(&reply, now)?;
        if reply.status != 200 {
            self.look_at_refusal(&reply, control);
            return Ok(Vec::new());
        }
        list::newest_first(&reply.body, identifier, email)
    }

    fn plan(&self, identifier: &str, email: &str) -> Vec<String> {
        vec![
            format!(
                "GET {}metadata/{identifier}/{email}?status=all (its newest entry)",
                self.endpoint
            ),
            format!(
                "GET {}metadata/{identifier}/{email}/… (the newest one, whether it takes the image \
                 back; this one, whether it is there already)",
                self.endpoint
            ),
            format!("POST {}metadata (the signed manifest)", self.endpoint),
            format!("GET {}metadata/{identifier}/{email}/… and compare it", self.endpoint),
        ]
    }

    fn register(&self, document: &[u8], now: u64, control: &Control) -> Result<Registered> {
        let sent = Signed::read(document, now)?;
        must_be_valid(document, now)?;
        let entry_url = self.entry_url(&sent.entry)?;
        match self.there(&sent, now, control)? {
            There::Same => return Ok(Registered::Already { url: entry_url.into() }),
            There::Nothing => {}
            There::Rival => return Err(sent.not_newer(sent.entry.created())),
            There::Other(what) => return Err(other(&entry_url, &what)),
        }
        let newest = self.newest(sent.entry.identifier(), sent.entry.email(), control)?;
        if let Err(error) = sent.must_be_later(newest.as_ref()) {
            // What a run has sent that was killed may have come between the two questions.
            return match self.there(&sent, now, control)? {
                There::Same => Ok(Registered::Already { url: entry_url.into() }),
                _ => Err(error),
            };
        }

        let url = self.url(&[])?;
        let request = Request::new("POST", &url)
            .header("content-type", XML)
            .header("accept", XML)
            .body(Body::Bytes(document));
        let mut backoff = Backoff::new(self.client.transport());
        let mut open = false;
        loop {
            control.go_on("stopped before registering")?;
            let mut asked = None;
            let outcome = self.client.once(&request, control).and_then(|reply| {
                asked = reply.asked();
                self.answered(&request, &reply, &sent, now, control)
            });
            let error = match outcome {
                Err(error) if is_open(&error) => error,
                // An attempt without an answer may have been taken after all, and seen only now.
                Err(error) if open && error.code() == REFUSED => {
                    return match self.there_soon(&sent, now, control)? {
                        There::Same => Ok(Registered::Created { url: entry_url.into() }),
                        _ => Err(error),
                    };
                }
                known => return known,
            };
            open = true;
            match self.there(&sent, now, control)? {
                There::Same => return Ok(Registered::Created { url: entry_url.into() }),
                There::Rival => return Err(sent.not_newer(sent.entry.created())),
                There::Other(what) => return Err(other(&entry_url, &what)),
                There::Nothing => {}
            }
            // What is no reply at all would not be one the next time either.
            if !temporary(&error) || !backoff.again(&error.to_string(), asked, control)? {
                return Err(error);
            }
        }
    }

    fn fetch(&self, entry: &Entry, control: &Control) -> Result<Option<Vec<u8>>> {
        Ok(self.get(&self.entry_url(entry)?, control)?.map(|reply| reply.body))
    }
}

/// Whether the server may have the entry in spite of this error of an upload.
fn is_open(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Protocol) && error.code() != PROMISE
}

/// The code of an error: the server does not take the entry.
const REFUSED: &str = "marketplace-refused";

/// The code of an error: the server said that it has the entry, and has not.
const PROMISE: &str = "marketplace-promise";

/// The server has something else where the entry has to be.
fn other(url: &Url, what: &str) -> Error {
    let message = format!("the entry at {url} is not the one that was signed: {what}");
    Error::new(Kind::Mismatch, "marketplace-other", message).remedy(
        "sign and register again, with --restart if an earlier signature is remembered; tell \
             those who run the marketplace if it remains",
    )
}

/// Reads the address of a marketplace: a URL, or a bare host, which is asked by https. Slashes that
/// are too many do no harm.
///
/// # Errors
/// `Usage` for what is none, or has a query or a password in it.
pub fn endpoint(text: &str) -> Result<Url> {
    let bad = |what: &str| {
        Error::new(Kind::Usage, "marketplace-url", format!("the marketplace's URL {what}"))
            .remedy("write it as https://marketplace.example.org/")
    };
    let text = text.trim();
    if text.starts_with(['/', '.', '~']) {
        return Err(bad("is a path"));
    }
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&full).map_err(|e| bad(&format!("cannot be read: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("begins neither with http:// nor with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("has a user in it: give that with --user, or in ~/.netrc"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("has a query or a fragment"));
    }
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let path = match parts.is_empty() {
        true => "/".to_owned(),
        false => format!("/{}/", parts.join("/")),
    };
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests;

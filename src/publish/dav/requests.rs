//! The small requests: is it there, folders, remove, rename.

use url::Url;

use super::upload::Upload;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::publish::http::{
    Backoff, Client, Reply, Request, Retries, Setback, Transport, shown, temporary,
};

/// How often more it is looked for what was only accepted.
const LOOKS: u32 = 3;

/// The properties of one thing are not longer.
const LONGEST_PROPERTIES: u64 = 1 << 20;

/// What lies at a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    /// An object, with its size if the server tells it.
    Object(Option<u64>),
    /// A folder. `MOVE` with `Overwrite: T` would remove all that is in it.
    Collection,
}

impl There {
    /// Whether it can be an object of this size. What has no size is none: a login page, say.
    pub(super) fn may_have(self, bytes: u64) -> bool {
        self == There::Object(Some(bytes))
    }
}

/// What tells an object from another one that takes its name later, as far as the server tells it:
/// entity tag, time of the last change, and size.
pub(super) type Mark = [Option<String>; 3];

/// The mark of what lies at a URL; none if nothing does.
pub(super) fn mark(client: &Client, url: &Url, control: &Control) -> Result<Option<Mark>> {
    let request = Request::new("HEAD", url).header("cache-control", "no-cache");
    let reply = client.send(&request, control)?;
    let told = |name| reply.header(name).map(str::to_owned);
    let mark = ["etag", "last-modified", "content-length"].map(told);
    Ok((reply.status == 200).then_some(mark))
}

/// Asks with `HEAD`.
pub(super) fn look(client: &Client, url: &Url, control: &Control) -> Result<There> {
    let request = Request::new("HEAD", url).header("cache-control", "no-cache");
    let reply = client.send(&request, control)?;
    match reply.status {
        // Apache, nginx and lighttpd send whoever asks for a folder to the name with a slash, where
        // there need not be anything to show.
        _ if reply.url.path().ends_with('/') && !url.path().ends_with('/') => Ok(There::Collection),
        404 | 410 => Ok(There::Nothing),
        200 => match reply.content_length() {
            None => Ok(There::Object(match size_by_reading(client, url, control)? {
                None => size_by_property(client, url, control)?,
                size => size,
            })),
            size => Ok(There::Object(size)),
        },
        _ => Err(reply.failure(&request)),
    }
}

/// Whether a folder is at a URL, also at a server that does not send whoever asks for it to the name
/// with a slash (RFC 4918 §9.1, §15.9). A server that does not know `PROPFIND` says nothing.
pub(super) fn is_collection(client: &Client, url: &Url, control: &Control) -> Result<bool> {
    let Some(text) = properties(client, url, control)? else { return Ok(false) };
    Ok(has_element(&text, "collection"))
}

/// Whether an element of this name begins in an XML text, with whatever prefix, attributes and
/// blanks. In names of objects these characters are escaped.
fn has_element(text: &str, name: &str) -> bool {
    text.split('<').any(|tag| {
        let end = tag.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'));
        let tag = end.and_then(|end| tag.get(..end)).unwrap_or_default();
        tag.rsplit(':').next() == Some(name)
    })
}

/// The properties of what lies at a URL, in XML; none from a server that does not know `PROPFIND`.
fn properties(client: &Client, url: &Url, control: &Control) -> Result<Option<String>> {
    let mut request = Request::new("PROPFIND", url).header("depth", "0");
    request.max_reply = LONGEST_PROPERTIES;
    let reply = match client.once(&request, control) {
        // A server may close the connection at a method that it does not know, or tell of all below.
        Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Protocol) => {
            return Ok(None);
        }
        reply => reply?,
    };
    Ok((reply.status == 207).then(|| String::from_utf8_lossy(&reply.body).into_owned()))
}

/// Asks with `PROPFIND` (RFC 4918 §15.4): servers that compress what they send tell the size nowhere
/// else.
fn size_by_property(client: &Client, url: &Url, control: &Control) -> Result<Option<u64>> {
    let text = properties(client, url, control)?.unwrap_or_default();
    let size = || {
        let (_, rest) = text.split_once("getcontentlength")?;
        let (_, rest) = rest.split_once('>')?;
        let (digits, _) = rest.split_once('<')?;
        digits.trim().parse().ok()
    };
    Ok(size())
}

/// Asks with `GET` for the first byte. Apache leaves `Content-Length` out of the reply to `HEAD` if
/// the object is empty.
fn size_by_reading(client: &Client, url: &Url, control: &Control) -> Result<Option<u64>> {
    let mut request = Request::new("GET", url).header("cache-control", "no-cache");
    request.range = Some((0, 1));
    let mut came = false;
    let reply = client.read(&request, control, &mut |piece| {
        came |= !piece.is_empty();
        Ok(())
    })?;
    match reply.status {
        // `bytes 0-0/LENGTH`
        206 => Ok(reply.header("content-range").and_then(|r| r.rsplit_once('/')?.1.parse().ok())),
        416 => Ok(Some(0)),
        200 if !came => Ok(Some(0)),
        200 => Ok(reply.content_length()),
        _ => Err(reply.failure(&request)),
    }
}

/// Waits a little for what a server has accepted (202) to be there.
pub(super) fn settle(
    client: &Client,
    url: &Url,
    reply: &Reply,
    bytes: u64,
    control: &Control,
) -> Result<()> {
    if reply.status != 202 {
        return Ok(());
    }
    let few = Transport { retries: Retries::Times(LOOKS), ..client.transport().clone() };
    let mut backoff = Backoff::new(&few);
    let why = format!("PUT {}: accepted, and not there yet", shown(url));
    while size(client, url, control)? != Some(bytes) && backoff.again(&why, None, control)? {}
    Ok(())
}

/// The size of an object that has to be there.
pub(super) fn size(client: &Client, url: &Url, control: &Control) -> Result<Option<u64>> {
    match look(client, url, control)? {
        There::Nothing => Ok(None),
        There::Object(Some(size)) => Ok(Some(size)),
        There::Object(None) | There::Collection => Err(Error::new(
            Kind::Protocol,
            "dav-no-size",
            format!("HEAD {}: the server does not tell the size of what it stores", shown(url)),
        )
        .remedy("use a server that answers HEAD with Content-Length")),
    }
}

/// Makes the collection, and those above it where they are missing (RFC 4918 §9.3: 409).
///
/// What else is wrong comes out when something is stored there: a user who may store in a collection
/// need not be allowed to make one.
pub(super) fn make_collections(client: &Client, url: &Url, control: &Control) -> Result<()> {
    let mut missing = Vec::new();
    let mut at = url.clone();
    while at.path() != "/" {
        let request = Request::new("MKCOL", &at);
        let reply = client.send(&request, control)?;
        match reply.status {
            409 => missing.push(at.clone()),
            401 | 407 | 413 | 500.. if reply.status != 501 => return Err(reply.failure(&request)),
            _ => break,
        }
        let Ok(above) = at.join("..") else { break };
        at = above;
    }
    while let Some(at) = missing.pop() {
        let request = Request::new("MKCOL", &at);
        let reply = client.send(&request, control)?;
        // 405: somebody else has made it in the meantime.
        if !reply.is_success() && reply.status != 405 {
            return Err(reply.failure(&request));
        }
    }
    Ok(())
}

/// Removes an object; its absence is fine.
pub(super) fn remove(client: &Client, url: &Url, control: &Control) -> Result<()> {
    let request = Request::new("DELETE", url);
    let reply = client.send(&request, control)?;
    match reply.status {
        404 | 410 => Ok(()),
        _ if reply.is_success() => Ok(()),
        // Folders that are not there, at nginx and others; and servers that remove nothing.
        403 | 405 | 409 | 501 if look(client, url, control)? == There::Nothing => Ok(()),
        _ => Err(reply.failure(&request)),
    }
}

/// Moves, again after what was temporary. None if it was done, else the reply that refuses it.
///
/// # Errors
/// `Protocol` if the server says that it was done, and it was not; those of a request.
pub(super) fn move_object(
    client: &Client,
    (from, to): (&Url, &Url),
    overwrite: bool,
    bytes: u64,
    control: &Control,
) -> Result<Option<Reply>> {
    let request = Request::new("MOVE", from);
    let is_gone = || Ok::<_, Error>(look(client, from, control)? == There::Nothing);
    let mut backoff = Backoff::new(client.transport());
    let mut again = false;
    loop {
        let moved = move_once(client, (from, to), overwrite, bytes, control);
        let refused = |reply: &Reply| !reply.is_success() && !temporary(&reply.failure(&request));
        let setback = match moved {
            Ok((reply, gateway)) if refused(&reply) => {
                // An attempt that got no answer, or that of a gateway, may have been done later.
                let later = (again || gateway) && is_left_open(&reply);
                return Ok(if later && is_gone()? { None } else { Some(reply) });
            }
            moved => Setback::of(moved.map(|(reply, _)| reply), &request)?,
        };
        // It may be done although nobody told us, and not done although somebody did.
        if is_gone()? {
            return Ok(None);
        }
        let Some(setback) = setback else {
            let words = format!("MOVE {} to {}", shown(from), shown(to));
            return Err(not_moved(&format!(
                "{words}: the server says that it was done, and it was not"
            )));
        };
        if !backoff.after(&setback, control)? {
            return Err(setback.error);
        }
        again = true;
    }
}

/// Why a `MOVE` was refused of what is there.
pub(super) fn refusal(reply: &Reply, from: &Url) -> Error {
    let failure = reply.failure(&Request::new("MOVE", from));
    if !matches!(reply.status, 400 | 404 | 409 | 410) {
        return failure;
    }
    not_moved(&format!(
        "the server does not know MOVE there, or its Destination: {}",
        failure.message()
    ))
}

pub(super) fn not_moved(message: &str) -> Error {
    Error::new(Kind::Protocol, "dav-move", message).remedy(
        "check that the server has WebDAV at that address; a proxy before it may have to rewrite the \
         header Destination",
    )
}

/// One `MOVE`. Behind a proxy that ends TLS a server knows itself by another scheme and refuses the
/// full destination (502, RFC 4918 §9.9.4); then its path alone says the same (§8.3). Also says
/// whether there was such a refusal, which can be a gateway's as well.
fn move_once(
    client: &Client,
    (from, to): (&Url, &Url),
    overwrite: bool,
    bytes: u64,
    control: &Control,
) -> Result<(Reply, bool)> {
    let overwrite = if overwrite { "T" } else { "F" };
    let ask = |destination: &str| {
        let mut request = Request::new("MOVE", from)
            .header("destination", destination)
            .header("overwrite", overwrite);
        request.patience = patience(bytes);
        client.once(&request, control)
    };
    let reply = ask(to.as_str())?;
    if reply.status != 502 {
        return Ok((reply, false));
    }
    let second = ask(to.path())?;
    let tells = second.is_success() || is_left_open(&second);
    Ok((if tells { second } else { reply }, true))
}

/// Whether a refusal can come from an earlier attempt that was done after all.
fn is_left_open(reply: &Reply) -> bool {
    matches!(reply.status, 404 | 409 | 410 | 412)
}

/// A server may have to copy what it moves: 10 MiB a second are waited for.
fn patience(bytes: u64) -> std::time::Duration {
    std::time::Duration::from_secs(bytes / (10 << 20))
}

/// Gives the object its final name. When this is done, nothing has the unfinished name any more.
///
/// # Errors
/// `CannotCreate` if something has the final name and may not be replaced.
pub(super) fn rename(client: &Client, upload: &Upload, replace: bool) -> Result<()> {
    let Upload { object, last, part, control, .. } = upload;
    match move_object(client, (part, last), replace, object.bytes, control)? {
        None => Ok(()),
        Some(reply) if reply.status == 412 => {
            let message = format!("something else is at {}", shown(last));
            Err(Error::new(Kind::CannotCreate, "object-other", message)
                .remedy("use another version or name, or --force to replace it"))
        }
        Some(reply) => Err(refusal(&reply, part)),
    }
}

#[cfg(test)]
mod tests {
    use super::has_element;

    #[test]
    fn a_collection_is_known_in_every_spelling() {
        for text in [
            "<D:resourcetype><D:collection/></D:resourcetype>",
            "<resourcetype><collection /></resourcetype>",
            "<a><x:collection xmlns:x=\"DAV:\"></x:collection></a>",
            "<lp1:collection\n/>",
        ] {
            assert!(has_element(text, "collection"), "{text}");
        }
        for text in ["<D:href>/collection/</D:href>", "<collections/>", "<D:resourcetype/>", "<"] {
            assert!(!has_element(text, "collection"), "{text}");
        }
    }
}

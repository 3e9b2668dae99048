//! What the server can do, tried with three bytes in the very collection.
//!
//! No header tells whether `PUT` with `Content-Range` appends. Apache does it; nginx and a plain
//! lighttpd refuse; some servers say 201 and replace the whole object by the piece.

use url::Url;

use super::requests::{There, look, move_object, not_moved, refusal, remove, settle};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::publish::Object;
use crate::publish::http::{Body, Client, Request, shown};

/// What to do about a server that denies what this program has to write.
pub(super) const DOTS: &str = "check the rights of the user (--user, ~/.netrc), and that the server \
                               does not deny names that begin with a dot: unfinished objects have them";

/// What the server can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ability {
    /// `PUT` with `Content-Range` writes a piece behind others.
    pub(super) appends: bool,
    /// `MOVE` works.
    pub(super) moves: bool,
}

/// Tries it with these names. This is also the cheap request that asks for the login before long
/// ones.
pub(super) fn probe(
    client: &Client,
    collection: &Url,
    [first, second]: [String; 2],
    control: &Control,
) -> Result<Ability> {
    let at = |name: &str| {
        collection.join(&format!("./{name}")).map_err(|_| {
            Error::new(Kind::Internal, "dav-probe", "a probe has no name in the collection")
        })
    };
    let (first, second) = (at(&first)?, at(&second)?);
    let tried = (|| {
        let appends = appends(client, &first, control)?;
        let moves = moves(client, &first, &second, control)?;
        Ok(Ability { appends, moves })
    })();
    let left = [&first, &second].map(|url| remove(client, url, control));
    if let ([Err(error), _] | [_, Err(error)], Ok(_)) = (&left, &tried) {
        control.warn(format!("a probe of three bytes stays behind: {error}"));
    }
    tried
}

/// What the three bytes are called, before and after a `MOVE`. A run that goes on where another one
/// was killed uses the same names, so that nothing of it stays behind, and no others do.
pub(super) fn names(object: &Object, owner: &str) -> [String; 2] {
    let digits: String = object.sha256.chars().take(16).collect();
    ["", ".b"].map(|end| format!(".stratus-probe-{digits}.{owner}{end}"))
}

fn appends(client: &Client, url: &Url, control: &Control) -> Result<bool> {
    let request = Request::new("PUT", url).body(Body::Bytes(b"ab"));
    let reply = client.send(&request, control)?;
    if reply.status == 403 {
        return Err(reply.failure(&request).remedy(DOTS));
    }
    settle(client, url, &reply, 2, control)?;
    if !reply.is_success() {
        return Err(reply.failure(&request));
    }
    let request =
        Request::new("PUT", url).header("content-range", "bytes 2-2/3").body(Body::Bytes(b"c"));
    let reply = client.send(&request, control)?;
    if !reply.is_success() {
        // 400, 404, 405, 409, 411, 416, 501 and others: it does not do it, and says so.
        return Ok(false);
    }
    let request = Request::new("GET", url).header("cache-control", "no-cache");
    let reply = client.send(&request, control)?;
    if reply.status == 200 && reply.body == b"abc" {
        return Ok(true);
    }
    control.warn(format!(
        "{}: the server says that it appends to what it stores, and damages it instead; all is \
         sent as a whole, and begins anew after a cut",
        shown(url)
    ));
    Ok(false)
}

fn moves(client: &Client, first: &Url, second: &Url, control: &Control) -> Result<bool> {
    let mut refused = move_object(client, (first, second), false, 0, control)?;
    if refused.as_ref().is_some_and(|reply| reply.status == 412) {
        // A run that was killed has left it. The name is ours, if the server removes nothing.
        let stays = remove(client, second, control).is_err();
        refused = move_object(client, (first, second), stays, 0, control)?;
    }
    match refused {
        None => {}
        Some(reply) if matches!(reply.status, 405 | 501) => {
            control.warn(format!(
                "{} does not know MOVE: what is stored has its final name before it is proved",
                first.origin().ascii_serialization()
            ));
            return Ok(false);
        }
        Some(reply) => return Err(refusal(&reply, first)),
    }
    if look(client, second, control)? != There::Nothing {
        return Ok(true);
    }
    Err(not_moved(&format!(
        "MOVE {}: the server says that it was done, and it was not",
        shown(first)
    )))
}

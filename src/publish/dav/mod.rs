//! WebDAV (RFC 4918) as a store, and servers that know only `PUT`: `--repository https://…`.
//!
//! ```text
//! mod.rs       the target
//! upload.rs    an object on its way: what is there before, sending, proving, the final name
//! requests.rs  the small requests: is it there, folders, remove, rename
//! probe.rs     what the server can do, asked once for each collection
//! send.rs      the bytes: in pieces that are appended, or as a whole
//! proof.rs     what lies there, read back
//! local.rs     the object on this side
//! stage.rs     what is told while it works
//! ```
//!
//! An object is written as `.NAME.<16 digits of its SHA-256>.<owner>.part`, proved, and then gets its
//! name with `MOVE`, which a reader sees as one step. No server of this kind has locks that could be
//! relied on; the owner in the name keeps two that store the same object apart.
//!
//! # Servers without `MOVE`
//!
//! There the object is written to its final name at once, only if nothing is there or it may be
//! replaced, and proved afterwards. If the proof fails it is removed again. Until then a reader may
//! find what is not proved, and on servers that write in place, a part of it; after a run that was
//! stopped, until the next run, which knows from its session that it may go on. Nothing else is
//! possible there.

mod local;
mod probe;
mod proof;
mod requests;
mod send;
mod stage;
mod upload;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use url::Url;

use self::local::Local;
use self::probe::Ability;
use self::requests::There;
use self::upload::{Before, Mode, Upload, is_of};
use super::http::{Client, Request, Transport, shown, without_user};
use super::{Found, How, Object, Session, Stored, Target, Verify, name};
use crate::control::Control;
use crate::error::{Error, Kind, Result};

/// Bytes of one request when pieces are appended. lighttpd takes a piece wholly or not at all, so
/// this is what a cut can cost there.
const PIECE: u64 = 64 << 20;

/// A collection of a WebDAV server, or a folder of one that knows `PUT`.
#[derive(Debug)]
pub struct DavTarget {
    base: Url,
    client: Client,
    piece: u64,
    /// By collection.
    abilities: Mutex<BTreeMap<String, Ability>>,
}

impl DavTarget {
    /// The collection at `url`; user and password in it become those for its host.
    ///
    /// # Errors
    /// `Usage` for a URL that is none of HTTP, or has a query; those of [`Client::new`].
    pub fn new(url: &Url, transport: &Transport) -> Result<Self> {
        let (mut base, login) = without_user(url.clone());
        let http = matches!(base.scheme(), "http" | "https");
        if !http || base.query().is_some() || base.fragment().is_some() {
            let message = format!("{} is no address of a repository", shown(&base));
            return Err(Error::new(Kind::Usage, "repository-url", message)
                .remedy("give it as https://HOST/PATH/, without query and fragment"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut transport = transport.clone();
        if let Some(login) = login {
            transport.credentials.add(&base, login);
        }
        let client = Client::new(&transport)?;
        Ok(DavTarget { base, client, piece: PIECE, abilities: Mutex::default() })
    }

    /// With other pieces than those of 64 MiB, for servers that do not take so much at once.
    #[must_use]
    pub fn with_pieces(mut self, bytes: u64) -> Self {
        self.piece = bytes.clamp(1, PIECE);
        self
    }

    fn url(&self, name: &str) -> Result<Url> {
        name::parts(name)?;
        self.base.join(&format!("./{}", name::encoded(name))).map_err(|_| {
            Error::new(Kind::Usage, "object-name", format!("{name:?} cannot be a part of a URL"))
        })
    }

    fn part(last: &Url, object: &Object, owner: &str) -> Result<Url> {
        let name = name::unfinished(object, owner);
        last.join(&format!("./{}", name::encoded(&name))).map_err(|_| {
            Error::new(Kind::Usage, "object-name", "the name cannot be a part of a URL")
        })
    }

    /// What the server can do in the collection of `last`, which is made if it is not there.
    fn ability(&self, upload: &Upload) -> Result<Ability> {
        let Upload { object, owner, last, control, .. } = upload;
        let collection = last.join(".").map_err(|_| {
            Error::new(Kind::Internal, "dav-collection", "an object has no collection")
        })?;
        let known = self.abilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ability) = known.get(collection.as_str()) {
            return Ok(*ability);
        }
        drop(known);
        requests::make_collections(&self.client, &collection, control)?;
        let ability =
            probe::probe(&self.client, &collection, probe::names(object, owner), control)?;
        self.remember(&collection, ability);
        Ok(ability)
    }

    fn remember(&self, collection: &Url, ability: Ability) {
        let mut known = self.abilities.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(collection.as_str().to_owned(), ability);
    }

    fn stored(&self, object: &Object, already: bool, proof: &str) -> Stored {
        Stored { url: self.location(object.name), already, proof: proof.to_owned() }
    }
}

impl Target for DavTarget {
    fn identity(&self) -> String {
        self.base.to_string()
    }

    fn location(&self, name: &str) -> String {
        format!("{}{}", self.base, name::encoded(name))
    }

    fn fetch(&self, name: &str, max: u64, control: &Control) -> Result<Option<Vec<u8>>> {
        let url = self.url(name)?;
        let mut request = Request::new("GET", &url).header("cache-control", "no-cache");
        request.max_reply = max;
        let reply = self.client.send(&request, control)?;
        match reply.status {
            404 | 410 => Ok(None),
            200 => {
                // What is small is read for its words, and these get into names and journals.
                if max <= Request::SHORT {
                    self.client.refuse_password(&url, &reply.body)?;
                }
                Ok(Some(reply.body))
            }
            403 if name.split('/').any(|part| part.starts_with('.')) => {
                Err(reply.failure(&request).remedy(probe::DOTS))
            }
            _ => Err(reply.failure(&request)),
        }
    }

    fn plan_fetch(&self, name: &str) -> String {
        format!("GET {}", self.location(name))
    }

    fn look(&self, object: &Object, control: &Control) -> Result<Found> {
        name::check(object)?;
        let last = self.url(object.name)?;
        let there = requests::look(&self.client, &last, control)?;
        Ok(match there {
            There::Nothing => Found::Nothing,
            There::Object(_) if there.may_have(object.bytes) => {
                let (local, part) = (Local::open(object)?, last.clone());
                let ability = Ability::default();
                let owner = String::new();
                let upload = Upload { object, owner, local, last, part, ability, control };
                match proof::prove_tail(&self.client, &upload, &upload.last) {
                    Ok(()) => Found::Perhaps,
                    Err(error) if error.kind() == Kind::Mismatch => Found::Other,
                    Err(error) => return Err(error),
                }
            }
            There::Object(_) | There::Collection => Found::Other,
        })
    }

    fn plan(&self, object: &Object, how: How, found: Found) -> Vec<String> {
        let last = self.location(object.name);
        let folder = last.rsplit_once('/').map_or("", |(folder, _)| folder);
        let part = format!("{folder}/{}.….part", name::encoded(&name::unfinished_of_any(object)));
        let bytes = object.bytes;
        let compare = format!("GET {last} ({bytes} bytes, to compare: the same is not sent again)");
        let read = match how.verify {
            Verify::Full => format!("GET {part} ({bytes} bytes, to prove it)"),
            Verify::Tail => format!("GET {part} (its last MiB, to prove it)"),
            Verify::None => format!("HEAD {part} (its size is the only proof)"),
        };
        let read_again = match how.verify {
            Verify::Full => format!("HEAD, GET {last} ({bytes} bytes, to prove it again)"),
            Verify::Tail => {
                format!("HEAD, GET {last} (its size and its last MiB, to prove it again)")
            }
            Verify::None => format!("HEAD {last} (its size, to prove it again)"),
        };
        let overwrite = if how.replace { "T" } else { "F" };
        let mut plan = vec![format!("HEAD {last} (what is there)")];
        match found {
            Found::Nothing => {}
            // All of it was compared already.
            Found::Perhaps if bytes <= proof::TAIL => {
                plan.extend([
                    compare,
                    format!("DELETE {part} (what an earlier run may have left)"),
                ]);
                return plan;
            }
            Found::Perhaps => plan.push(compare),
            Found::Other if how.replace => plan.extend([
                format!("PROPFIND {last} (whether it is a folder: that is not replaced)"),
                format!("replace what is at {last}"),
            ]),
            Found::Other => return vec![format!("refuse: something else is at {last}")],
        }
        let [first, second] = probe::names(object, "…");
        let piece = self.piece;
        plan.extend([
            format!("MKCOL {folder}/ (and above, where it is not there)"),
            format!(
                "PUT, GET, HEAD, MOVE, DELETE {folder}/{first} and {folder}/{second} (three bytes, once, \
                 to see what the server can do)"
            ),
            format!("DELETE {part} (what an earlier run may have left)"),
            format!("OPTIONS {folder}/ (before a long request, to see whether the login is good)"),
            format!("PUT {part} (empty, if the server takes pieces of {piece} bytes)"),
            format!("PUT {part} ({bytes} bytes)"),
            format!("HEAD {part} (how much the server has)"),
            read,
            format!("MOVE {part} to {last} (Overwrite: {overwrite})"),
            read_again,
            format!("PUT {last} (in place of all these, only at a server without MOVE)"),
        ]);
        plan
    }

    fn store(
        &self,
        object: &Object,
        how: How,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<Stored> {
        name::check(object)?;
        let last = self.url(object.name)?;
        let owner = name::plain_owner(&session.owner());
        let part = DavTarget::part(&last, object, &owner)?;
        let local = Local::open(object)?;
        control.go_on("stopped before anything was sent")?;
        let ability = Ability::default();
        let mut upload = Upload { object, owner, local, last, part, ability, control };
        let mine = is_of(session, object, Mode::Direct);
        let before = self.before(&upload, how.replace, mine)?;
        if before == Before::Same {
            // What an earlier run may have left is of no use any more. Whoever may not remove it
            // has still found the object.
            let _ = self.client.once(&Request::new("DELETE", &upload.part), control);
            return Ok(self.stored(object, true, "read back"));
        }
        upload.ability = self.ability(&upload)?;
        if upload.mode() == Mode::Direct {
            upload.part = upload.last.clone();
        } else if is_of(session, object, Mode::Whole) {
            // An earlier run has seen what the probe does not show.
            upload.ability.appends = false;
        }
        // What was not seen is not replaced either: it could be a whole folder.
        let how = How { replace: before == Before::Other, ..how };
        match self.publish(&mut upload, how, session) {
            // Somebody else was faster. If that is the same object, all is well.
            Err(error) if error.kind() == Kind::CannotCreate => {
                if self.before(&upload, false, false)? != Before::Same {
                    return Err(error);
                }
                if upload.mode() != Mode::Direct
                    && let Err(cannot) = requests::remove(&self.client, &upload.part, control)
                {
                    control.warn(format!("what was sent stays there: {cannot}"));
                }
                Ok(self.stored(object, true, "read back"))
            }
            stored => stored,
        }
    }

    fn discard(&self, object: &Object, session: &dyn Session, control: &Control) -> Result<()> {
        name::check(object)?;
        let last = self.url(object.name)?;
        let owner = name::plain_owner(&session.owner());
        let part = DavTarget::part(&last, object, &owner)?;
        requests::remove(&self.client, &part, control)?;
        if is_of(session, object, Mode::Direct) {
            let local = Local::open(object)?;
            let ability = Ability::default();
            let upload = Upload { object, owner, local, last, part, ability, control };
            self.remove_fragment(&upload)?;
        }
        Ok(())
    }
}

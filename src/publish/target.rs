//! The interface of every store.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde_json::Value;

use crate::control::Control;
use crate::error::Result;

/// The bytes of an object.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A file, which does not change while it is stored.
    File(&'a Path),
    /// A few bytes: a manifest, a checksum file.
    Bytes(&'a [u8]),
}

/// Something to store.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Where below the target's root: `base/debian-12-x86_64-base/1.0/debian-12-x86_64-base-1.0.img.gz`.
    /// Parts between slashes, none of them empty, `.` or `..`, without control characters.
    pub name: &'a str,
    /// Its bytes.
    pub content: Content<'a>,
    /// How many.
    pub bytes: u64,
    /// SHA-256 of them, 64 lower-case hexadecimal digits.
    pub sha256: &'a str,
}

/// How much of what is stored is read back before it gets its final name: the more, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verify {
    /// Only its size.
    None,
    /// Its size and its last MiB.
    Tail,
    /// All, unless the server itself proves a SHA-2 digest of what it stored.
    #[default]
    Full,
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verify::None => "none",
            Verify::Tail => "tail",
            Verify::Full => "full",
        })
    }
}

impl FromStr for Verify {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "full" => Ok(Verify::Full),
            "tail" => Ok(Verify::Tail),
            "none" => Ok(Verify::None),
            _ => Err(format!("'{word}' is not one of full, tail, none")),
        }
    }
}

/// How to store.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The proof.
    pub verify: Verify,
    /// Whether another object at the final name may be replaced.
    pub replace: bool,
}

/// What lies at an object's final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// This very object, as far as its size and its last MiB tell (in a gzip file these have the
    /// CRC-32 of the whole). [`Target::store`] reads it back before it believes it.
    Perhaps,
    /// Something else.
    Other,
}

/// What is kept of an unfinished upload between runs. A value belongs to one target and one
/// object; it has no secret in it. It may be lost, stale, or about an upload that the server has
/// forgotten: a target checks all of it against the server, and begins anew if need be.
pub trait Session {
    /// What tells those apart who store the same object at the same time, such as two machines: 8
    /// hexadecimal digits, the same in every run of one of them. Each has an unfinished object of
    /// its own, and never touches another's.
    fn owner(&self) -> String;

    /// What was kept last.
    fn last(&self) -> Option<Value>;

    /// Keeps `value` durably. Called after the server has confirmed what it says.
    ///
    /// # Errors
    /// `Io`: the upload must stop.
    fn keep(&mut self, value: Value) -> Result<()>;
}

/// An object at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its URL.
    pub url: String,
    /// Whether it was there already and nothing had to be sent.
    pub already: bool,
    /// How it was proved, in words: `read back`, `the server's SHA-256`, `its size and last MiB`.
    pub proof: String,
}

/// A place for objects. All calls may be made again after any failure, also from a new process.
///
/// What every implementation keeps to, and `tests/targets.rs` asks of each:
///
/// * A reader never finds a part of an object, or an unproved one, at its final name, as far as the
///   server lets anybody see to that.
/// * [`Target::store`] is `Ok` only when the object at its final name is the one that was meant.
/// * An object that is there already is not sent again, and another one is replaced only if
///   [`How::replace`] says so: else `CannotCreate`.
/// * What is temporary is tried again, within bounds. What is not is told at once: `Permission` for
///   credentials, `Unavailable` for a server out of order after all attempts, `Io` for no space
///   there, `Protocol` and `Mismatch` for a server that does not do what it says.
/// * [`Control::stopped`] ends it soon, as `Interrupted`; so does a stalled server, as `Unavailable`.
/// * No secret is in an error, an event, a session or a URL.
pub trait Target: Send + Sync {
    /// The place in words and in the journal, without credentials: `https://host/images/`.
    fn identity(&self) -> String;

    /// The URL of the object `name`, as others will fetch it.
    fn location(&self, name: &str) -> String;

    /// A small object, such as the configuration of a repository; none if there is none.
    ///
    /// # Errors
    /// Also if it is larger than `max` bytes.
    fn fetch(&self, name: &str, max: u64, control: &Control) -> Result<Option<Vec<u8>>>;

    /// What [`Target::fetch`] would ask, a line: `GET https://host/images/x.xml`.
    fn plan_fetch(&self, name: &str) -> String;

    /// What lies at the object's final name. Changes nothing.
    ///
    /// # Errors
    /// Those that [`Target::store`] would begin with.
    fn look(&self, object: &Object, control: &Control) -> Result<Found>;

    /// What [`Target::store`] would do, a line each: `PUT https://host/images/.x.part (1234 bytes)`.
    /// The owner in the unfinished object's name is left open: `…`. Asks the server nothing; `found`
    /// is what [`Target::look`] said.
    fn plan(&self, object: &Object, how: How, found: Found) -> Vec<String>;

    /// Stores the object: a temporary name, the bytes, the proof, the final name.
    ///
    /// # Errors
    /// See above. What is needed to go on is in `session`, and at the server.
    fn store(
        &self,
        object: &Object,
        how: How,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<Stored>;

    /// Throws away what an unfinished upload of the object by the session's owner has left there.
    ///
    /// # Errors
    /// If that cannot be told or done; nothing being there is fine.
    fn discard(&self, object: &Object, session: &dyn Session, control: &Control) -> Result<()>;
}

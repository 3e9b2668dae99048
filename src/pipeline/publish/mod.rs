//! The straight line of publishing: check, store, prove, sign, register.
//!
//! ```text
//! facts.rs    what is known of an image, and what its user says of it: a manifest
//! names.rs    what the image, its checksum and its manifest are called in a repository
//! draft.rs    the manifest before it is signed, and its rehearsal
//! stages.rs   the stages up to the stored image, one function each
//! announce.rs the stages behind it: sign, store the manifest, register
//! local.rs    the manifest's file beside the image
//! memory.rs   what earlier runs did: each stage is looked up before it is done
//! dry.rs      the same line without doing anything
//! retire.rs   takes a registered manifest back
//! inflate.rs  compares an image with a manifest, wherever the image is
//! ```
//!
//! A manifest never names an image that was not proved at its place, and a marketplace never gets a
//! manifest that is not stored beside its image.

mod announce;
mod draft;
mod dry;
mod facts;
pub mod inflate;
mod local;
mod memory;
mod names;
mod retire;
mod stages;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

pub use draft::{tell, without_secret};
pub use dry::{Steps, rehearse_before, steps, steps_before};
pub use facts::{Said, VALID_DAYS};
pub use local::{read as read_manifest, replace as write_manifest};
pub use memory::{Answer, was_checked};
pub use names::{Naming, manifest_beside};
pub use retire::{register, retire};

use super::lock::Lock;
use super::place::{self, Place};
use super::record::Record;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::date;
use crate::metadata::keys::Endorser;
use crate::metadata::signature::{self, Options, Profile};
use crate::publish::registry::Registry;
use crate::publish::{Stored, Target, Verify};
use memory::Memory;
use stages::Run;

/// Who signs, and how.
pub struct Signer {
    /// Key and certificate.
    pub endorser: Endorser,
    /// The e-mail address, where the certificate has none.
    pub email: Option<String>,
    /// The form of the signature.
    pub profile: Profile,
    /// With [`Profile::Stratuslab`]: SHA-256 for the digest of the document.
    pub sha256_digest: bool,
}

impl Signer {
    /// The e-mail address of the endorser: the certificate's, else the one that was given.
    ///
    /// # Errors
    /// `Usage` if there is neither.
    pub fn email(&self) -> Result<String> {
        let known = self.endorser.email().map(str::to_owned);
        known.or(self.email.clone()).ok_or_else(|| {
            Error::new(Kind::Usage, "no-email", "the endorser's certificate has no e-mail address")
                .remedy("give one with --email")
        })
    }
}

/// Signs a manifest as of `now`, seconds since 1970.
///
/// # Errors
/// Those of signing: a document that is no manifest, a key that does not fit.
pub fn sign(document: &str, signer: &Signer, now: u64) -> Result<String> {
    let options = Options {
        profile: signer.profile,
        created: date::text(now),
        email: signer.email.clone(),
        sha256_digest: signer.sha256_digest,
    };
    signature::sign(document, &signer.endorser, &options)
}

/// One image to publish.
pub struct Publication<'a> {
    /// The image, with its record beside it.
    pub image: PathBuf,
    /// Whether it was made, or compared with its record, by this very process.
    pub fresh: bool,
    /// What is to be said of it.
    pub said: Said,
    /// Where it goes.
    pub target: &'a dyn Target,
    /// What it is called there if the place has no scheme of its own.
    pub naming: Naming,
    /// Its public URL, where that differs from the one it is stored at.
    pub location: Option<String>,
    /// Who signs; nobody: only the image goes up.
    pub signer: Option<&'a Signer>,
    /// Where the signed manifest is registered.
    pub registry: Option<&'a dyn Registry>,
    /// From where the image has to be reachable.
    pub reach: Reach,
    /// How much is read back.
    pub verify: Verify,
    /// Replace what is there.
    pub force: bool,
    /// Offer an image again that was taken back.
    pub reinstate: bool,
    /// Forget what earlier runs did.
    pub restart: bool,
    /// The clock: seconds since 1970, UTC. An upload takes its time; a signature says when it was
    /// made.
    pub clock: fn() -> Result<u64>,
}

impl<'a> Publication<'a> {
    /// Only the image goes to `target`, with the defaults of the command line.
    pub fn new(image: impl Into<PathBuf>, target: &'a dyn Target) -> Self {
        Publication {
            image: image.into(),
            fresh: false,
            said: Said::default(),
            target,
            naming: Naming::Plain,
            location: None,
            signer: None,
            registry: None,
            reach: Reach::Any,
            verify: Verify::Full,
            force: false,
            reinstate: false,
            restart: false,
            clock,
        }
    }
}

/// The clock of the system: seconds since 1970, UTC.
///
/// # Errors
/// `Config` if it stands before 1970.
pub fn clock() -> Result<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs()).map_err(|_| {
        Error::new(Kind::Config, "clock", "the clock stands before 1970").remedy("set the clock")
    })
}

/// From where an image's location has to be reachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From wherever: the embedded market's user knows, or the user said so.
    Any,
    /// From the users of this marketplace.
    Of(url::Url),
}

/// What was published.
#[derive(Debug)]
pub struct Published {
    /// The image's record.
    pub record: Record,
    /// The image at its place.
    pub image: Stored,
    /// The URL by which the manifest names it.
    pub location: String,
    /// The manifest, if one was made.
    pub manifest: Option<Announced>,
}

/// A signed manifest.
#[derive(Debug)]
pub struct Announced {
    /// The local file.
    pub path: PathBuf,
    /// The image's identifier.
    pub identifier: String,
    /// The endorser's e-mail address.
    pub email: String,
    /// When it was signed.
    pub created: String,
    /// Until when it is valid.
    pub valid: String,
    /// `rsa-sha1, sha1`: how it was signed.
    pub algorithms: String,
    /// The manifest in the repository.
    pub stored: Stored,
    /// What the registry answered, and whether it had it already.
    pub entry: Option<(Answer, bool)>,
}

/// Publishes one image. What was done already is looked at and not done again.
///
/// # Errors
/// Whatever went wrong; the same call goes on where this one was.
pub fn publish(publication: &Publication, control: &Control) -> Result<Published> {
    let place = Place::new(&publication.image)?;
    let lock = Lock::take(&place)?;
    let result = publish_locked(publication, &place, control);
    place::remove_if_there(&place.lock())?;
    // It stays as long as something is remembered in it.
    let _ = std::fs::remove_dir(&place.state);
    drop(lock);
    result
}

fn publish_locked(
    publication: &Publication,
    place: &Place,
    control: &Control,
) -> Result<Published> {
    let memory = Memory::open(place, publication.restart, |note| control.note(note))?;
    let mut run = Run::new(publication, place, control, memory);
    let image = run.check()?;
    let draft = run.draft(&image)?;
    run.rehearse(&draft)?;
    let stored = run.store_image(&image, &draft)?;
    let Some(signer) = publication.signer else {
        let location = draft.location;
        return Ok(Published { record: image.record, image: stored, location, manifest: None });
    };
    let manifest = Some(run.announce(&image, &draft, signer)?);
    Ok(Published { record: image.record, image: stored, location: draft.location, manifest })
}

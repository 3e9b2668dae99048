//! The interface of everything that knows of images: a marketplace behind HTTP, and the embedded
//! market's data folder.
//!
//! An entry is a signed manifest. Its key is the image's identifier, the endorser's e-mail address,
//! and the second in which it was endorsed; nobody can change or remove one, only add a newer one.

use crate::control::Control;
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::metadata::certificate::Certificate;
use crate::metadata::signature::{Verified, verify};
use crate::metadata::validate::validate;
use crate::metadata::{Manifest, date, deprecate, identifier, is_email};

/// The key of an entry, checked: no part of it leads out of a folder or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    identifier: String,
    email: String,
    created: String,
}

impl Entry {
    /// # Errors
    /// `Damaged` for an identifier, an address or a time that is none.
    pub fn new(identifier: &str, email: &str, created: &str) -> Result<Self> {
        check_key(identifier, email)?;
        date::epoch(created)?;
        Ok(Entry {
            identifier: identifier.to_owned(),
            email: email.to_owned(),
            created: created.to_owned(),
        })
    }

    /// The image's identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The endorser's address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// When it was endorsed: `2026-11-23T14:00:00Z`.
    pub fn created(&self) -> &str {
        &self.created
    }

    /// `IDENTIFIER/EMAIL/CREATED`, as marketplaces have it in their URLs.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.identifier, self.email, self.created)
    }
}

/// Checks the two parts of a key that name a series of entries.
///
/// # Errors
/// `Damaged`.
pub fn check_key(identifier: &str, email: &str) -> Result<()> {
    identifier::to_sha1(identifier)?;
    // RFC 5321, section 4.5.3.1.3; also the longest name of a folder.
    if is_email(email) && email.len() <= 254 {
        return Ok(());
    }
    let shown: String = email.chars().take(80).collect();
    Err(Error::new(Kind::Damaged, "entry-email", format!("{shown:?} is no e-mail address"))
        .remedy("give the endorser's address with --email"))
}

/// A document whose signature holds, and what it says.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Its key.
    pub entry: Entry,
    /// What was signed of the image.
    pub manifest: Manifest,
    /// Who signed, and the signed bytes.
    pub verified: Verified,
}

impl Signed {
    /// Verifies a document and reads the signed part of it. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Those of [`verify`] and [`Manifest::from_xml`].
    pub fn read(document: &[u8], now: u64) -> Result<Self> {
        let verified = verify(document, now)?;
        let manifest = Manifest::from_xml(&verified.octets)?;
        let entry = Entry::new(&manifest.identifier()?, &verified.email, &verified.created)?;
        Ok(Signed { entry, manifest, verified })
    }

    /// Whether both say the same, signed by the same certificate. Servers write documents anew, so
    /// the bytes may differ; what was digested does not.
    pub fn is(&self, other: &Signed) -> bool {
        self.verified.octets == other.verified.octets
            && self.verified.certificate.der() == other.verified.certificate.der()
    }

    /// Refuses an entry that is not later than the newest one. Servers take one of the same second,
    /// and then two entries have one key.
    ///
    /// # Errors
    /// `Refused`.
    pub fn must_be_later(&self, newest: Option<&Newest>) -> Result<()> {
        let Some(newest) = newest else { return Ok(()) };
        // The form is fixed, so the order of the texts is that of the times.
        if self.entry.created > newest.created {
            return Ok(());
        }
        Err(self.not_newer(&newest.created))
    }

    /// The error of an entry that is not later than the one of `other`: it has to be signed again.
    pub fn not_newer(&self, other: &str) -> Error {
        let message = format!(
            "this entry is of {}, and there is one of {other} already for the same image and endorser",
            self.entry.created
        );
        Error::new(Kind::Refused, NOT_NEWER, message)
            .remedy("check the clock of this machine, then sign and register again")
    }
}

/// Refuses a document in which servers, or the programs that read it, would find something wrong.
/// Servers do not ask the schema, and older programs made entries that break it: whoever takes such
/// an entry back has to say again what it said.
///
/// # Errors
/// `Refused`, with what was found.
pub fn must_be_valid(document: &[u8], now: u64) -> Result<()> {
    let report = validate(document, now);
    let mut failed: Vec<_> = report.stages.iter().filter(|s| !s.verdict.passed()).collect();
    let deprecates =
        || Signed::read(document, now).is_ok_and(|signed| signed.manifest.deprecated.is_some());
    if failed.iter().any(|stage| stage.name == "schema") && deprecates() {
        failed.retain(|stage| stage.name != "schema");
    }
    if failed.is_empty() {
        return Ok(());
    }
    let found: Vec<String> = failed
        .iter()
        .map(|stage| format!("{}: {}", stage.name, stage.verdict.findings().join("; ")))
        .collect();
    let found = found.join("; ");
    Err(Error::new(
        Kind::Refused,
        "entry-invalid",
        format!("the entry is not valid: {found:.1000}"),
    )
    .remedy("stratus-publish metadata validate says more; build the manifest anew"))
}

/// An entry of an image and an endorser; mostly it is about the newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// When it was endorsed. As the registry says: nothing is verified.
    pub created: String,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is there, and was read back.
    Created {
        /// Its URL.
        url: String,
    },
    /// It will be there when somebody has done something. Whoever asks has to remember that:
    /// registering again would begin anew.
    Pending {
        /// What.
        message: String,
    },
    /// It was there before, and is the same.
    Already {
        /// Its URL.
        url: String,
    },
}

/// A place that knows of images. All calls may be made again after any failure.
pub trait Registry: Send + Sync {
    /// The place in words and in the journal, without credentials.
    fn identity(&self) -> String;

    /// The entries of an image and an endorser that the registry tells of, the newest first, also
    /// deprecated or expired ones. Marketplaces tell of the newest one only.
    ///
    /// # Errors
    /// `Damaged` for a key that is none; those of the transport.
    fn entries(&self, identifier: &str, email: &str, control: &Control) -> Result<Vec<Newest>>;

    /// The first of [`Registry::entries`].
    ///
    /// # Errors
    /// As there.
    fn newest(&self, identifier: &str, email: &str, control: &Control) -> Result<Option<Newest>> {
        Ok(self.entries(identifier, email, control)?.into_iter().next())
    }

    /// What [`Registry::register`] would do, a line each. Asks nobody.
    fn plan(&self, identifier: &str, email: &str) -> Vec<String>;

    /// Registers a signed document, and returns only when it can be fetched and is the same, or
    /// waits for somebody. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// `Refused`, with the registry's words, for a document that it does not take, or that is not
    /// later than the newest entry; `Permission`; `Mismatch` if it has something else afterwards;
    /// `Protocol` if it does not do what it says; `Unavailable` if it is out of order.
    fn register(&self, document: &[u8], now: u64, control: &Control) -> Result<Registered>;

    /// The document of an entry, not verified; none if there is none.
    ///
    /// # Errors
    /// Those of the transport; `Protocol` if it is too long.
    fn fetch(&self, entry: &Entry, control: &Control) -> Result<Option<Vec<u8>>>;
}

/// How many entries are looked at for one of the endorser's own.
pub const MOST_LOOKED_AT: usize = 16;

/// The document that deprecates the newest entry of an image that the endorser's key has signed, to
/// be signed by it again. It is made of what was signed, and everything else of it stays. Newer ones
/// that others have signed in the endorser's name do not count.
///
/// # Errors
/// `Missing` if there is no entry, `Refused` if none was signed with this key, or the newest is not
/// what it says it is, and as [`DEPRECATED`] if it is deprecated already for this reason; those of [`deprecate`].
pub fn to_deprecate(
    registry: &dyn Registry,
    identifier: &str,
    endorser: &Endorsed,
    reason: &str,
    now: u64,
    control: &Control,
) -> Result<String> {
    let mut why = None;
    let entries = registry.entries(identifier, endorser.email, control)?;
    for (newer, newest) in entries.iter().take(MOST_LOOKED_AT).enumerate() {
        let entry = Entry::new(identifier, endorser.email, &newest.created)?;
        let Some(document) = registry.fetch(&entry, control)? else { continue };
        let signed = match own(&document, &entry, endorser, now) {
            Ok(signed) => signed,
            Err(error) => {
                why = why.or(Some(error));
                continue;
            }
        };
        if newer == 0 && signed.manifest.deprecated.as_deref() == Some(reason) {
            let message = format!("the entry of {} says the same already", entry.created());
            return Err(Error::new(Kind::Refused, DEPRECATED, message));
        }
        return deprecate(&signed.verified.octets, reason);
    }
    Err(why.unwrap_or_else(|| {
        let message =
            format!("{} has no entry {identifier} of {}", registry.identity(), endorser.email);
        Error::new(Kind::Missing, "entry-missing", message)
            .remedy("check the identifier, the marketplace and the endorser's certificate")
    }))
}

/// Reads an entry that has to be the endorser's. Anybody can make a certificate with any name in it.
/// What is signed again has to be one's own.
fn own(document: &[u8], entry: &Entry, endorser: &Endorsed, now: u64) -> Result<Signed> {
    let signed = Signed::read(document, now).map_err(|e| e.within("the newest entry"))?;
    let refuse = |what: &str| Error::new(Kind::Refused, "entry-deprecate", what.to_owned());
    if signed.entry != *entry {
        return Err(refuse("the registry gives another entry than the one that was asked for")
            .remedy("tell those who run the marketplace"));
    }
    let certificate = &signed.verified.certificate;
    if certificate.key() != endorser.certificate.key() {
        let message = format!(
            "the newest entry, of {}, was signed with another key than the endorser's, in the name \
             of {:.300} (sha256 of the certificate: {}), and no other entry is told",
            entry.created(),
            signed.verified.subject,
            digest::sha256(certificate.der())
        );
        return Err(refuse(&message).remedy(
            "use the key that signed it; if it is none of yours, tell those who run the \
             marketplace, publish the image again with your own, and deprecate that entry",
        ));
    }
    Ok(signed)
}

/// The code of an error: an entry is not later than another one.
pub const NOT_NEWER: &str = "entry-not-newer";

/// The code of an error: the newest entry is deprecated already, for the same reason.
pub const DEPRECATED: &str = "entry-deprecated";

/// Who deprecates.
#[derive(Clone, Copy, Debug)]
pub struct Endorsed<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The certificate with the key.
    pub certificate: &'a Certificate,
}

//! Whose an entry is, and whether it takes its image back. Anybody can make a certificate with any
//! name in it, and servers take what is signed with it: only the endorser's own key counts.

use super::registry::{Endorsed, Entry, Registry};
use crate::control::Control;
use crate::digest::sha256;
use crate::error::{Error, Kind, Result};
use crate::metadata::signature::verify;
use crate::metadata::{date, taken_back};

/// Who has signed an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The endorser. Why the entry takes the image back, if it does.
    Own(Option<String>),
    /// Somebody else in the endorser's name.
    Others {
        /// SHA-256 of the certificate: what tells it apart.
        certificate: String,
        /// Whether the entry takes the image back.
        deprecates: bool,
    },
    /// Nobody knows: it is not there, or cannot be verified, for this reason.
    Unknown(String),
}

impl Whose {
    /// Fetches an entry and verifies it. Only its signature has to be in order: other programs
    /// write things that are not read here, and servers take them.
    ///
    /// # Errors
    /// Those of the transport.
    pub fn ask(
        registry: &dyn Registry,
        entry: &Entry,
        endorser: &Endorsed,
        now: u64,
        control: &Control,
    ) -> Result<Self> {
        let Some(document) = registry.fetch(entry, control)? else {
            return Ok(Whose::Unknown("there is nothing at its place".to_owned()));
        };
        let known = verify(&document, now).and_then(|v| taken_back(&v.octets).map(|why| (v, why)));
        let (verified, why) = match known {
            Ok(known) => known,
            Err(error) => return Ok(Whose::Unknown(error.to_string().chars().take(300).collect())),
        };
        if verified.email != entry.email() || verified.created != entry.created() {
            return Ok(Whose::Unknown("another one is at its place".to_owned()));
        }
        if verified.certificate.key() == endorser.certificate.key() {
            return Ok(Whose::Own(why));
        }
        let certificate = sha256(verified.certificate.der());
        Ok(Whose::Others { certificate, deprecates: why.is_some() })
    }

    /// Refuses to offer an image again that its endorser has taken back, or may have. What somebody
    /// else has signed does not count, and is told.
    ///
    /// # Errors
    /// `Refused`: `image-deprecated`, `newest-unknown`.
    pub fn must_offer(
        &self,
        registry: &dyn Registry,
        entry: &Entry,
        control: &Control,
    ) -> Result<()> {
        let (place, created) = (registry.identity(), entry.created());
        match self {
            Whose::Own(None) => Ok(()),
            Whose::Own(Some(reason)) => {
                let message = format!(
                    "{place} has an entry of {created} that takes this image back: {reason}"
                );
                Err(Error::new(Kind::Refused, "image-deprecated", message)
                    .remedy("publish a better image; --reinstate offers this one again"))
            }
            Whose::Others { certificate, deprecates } => {
                let back = if *deprecates { ", and takes the image back" } else { "" };
                control.warn(format!(
                    "the newest entry of this image in {place}, of {created}, was signed in the \
                     endorser's name with another key than this one (sha256 of the certificate: \
                     {certificate}){back}: it does not count; if it is none of yours, tell those \
                     who run the marketplace"
                ));
                Ok(())
            }
            Whose::Unknown(why) => {
                let message = format!(
                    "{place} has an entry of {created} that may take this image back, and it \
                     cannot be read: {why}"
                );
                Err(Error::new(Kind::Refused, "newest-unknown", message).remedy(
                    "run the same command again in a moment, or look at it there; --reinstate \
                         offers the image whatever it says",
                ))
            }
        }
    }

    /// The error for an entry that is later than this machine's clock: servers would take a new one
    /// for older. Who has set the wrong date decides what can be done.
    pub fn clock_is_behind(&self, registry: &dyn Registry, entry: &Entry, now: u64) -> Error {
        let (place, created, now) = (registry.identity(), entry.created(), date::text(now));
        let message = format!(
            "{place} has an entry of {created} already, and this machine's clock says {now}: a new \
             one would be taken for older"
        );
        let error = |message| Error::new(Kind::Refused, "clock-behind", message);
        let own = "set the clock of this machine, or wait until it has passed that time";
        match self {
            Whose::Own(_) => error(message).remedy(own),
            Whose::Unknown(why) => error(format!("{message} (it cannot be read: {why})"))
                .remedy(format!("{own}; if the clock is right, tell those who run the marketplace")),
            Whose::Others { certificate, .. } => error(format!(
                "{message}; it was signed in the endorser's name with another key than this one \
                 (sha256 of the certificate: {certificate})"
            ))
            .remedy(
                "if it is none of yours, tell those who run the marketplace: only they can remove it",
            ),
        }
    }
}

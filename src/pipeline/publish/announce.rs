//! The stages behind the stored image: sign, store the manifest, register.

use std::path::PathBuf;

use super::draft::{self, Dated, Draft};
use super::local::{self, MAX_MANIFEST};
use super::memory::Answer;
use super::names::manifest_beside;
use super::stages::{Image, Run};
use super::{Announced, Publication, Signer};
use crate::control::{Control, Silent};
use crate::digest::sha256;
use crate::error::{Error, Kind, Result};
use crate::metadata::date;
use crate::publish::registry::{Entry, NOT_NEWER, Registered};
use crate::publish::{Content, Found, Object, Stored};

/// A signed manifest and its file.
pub struct Signed {
    pub document: String,
    pub sha256: String,
    pub path: PathBuf,
    pub identifier: String,
    pub email: String,
    pub created: String,
    pub valid: String,
    pub algorithms: String,
}

impl Signed {
    fn announced(self, stored: Stored, entry: Option<(Answer, bool)>) -> Announced {
        let Signed { path, identifier, email, created, valid, algorithms, .. } = self;
        Announced { path, identifier, email, created, valid, algorithms, stored, entry }
    }
}

impl Run<'_> {
    /// Signs, stores and registers. Where another run was faster with an entry of the same image and
    /// endorser, it is signed again, to be later.
    pub fn announce(&mut self, image: &Image, draft: &Draft, signer: &Signer) -> Result<Announced> {
        // What there is to say was said by the rehearsal.
        let silent = Control { stop: self.control.stop.clone(), progress: Box::new(Silent) };
        let mut tries = 3;
        loop {
            tries -= 1;
            if let Some(registry) = self.publication.registry {
                // The upload took its time: the image may have been taken back since.
                let asked = (registry, signer);
                self.newest = draft.newest(self.publication, asked, &self.memory, &silent)?;
            }
            let signed = self.sign(draft, signer)?;
            let manifest = self.store_manifest(draft, &signed)?;
            // Without --force nobody of us replaces what is there.
            if self.publication.force {
                self.still_there(image, draft)?;
            }
            let error = match self.register(&signed) {
                Ok(entry) => return Ok(signed.announced(manifest, entry)),
                Err(error) => error,
            };
            // A signature that something else stands in the way of is of no use any more.
            if matches!(error.code(), NOT_NEWER | "marketplace-other") {
                self.memory.set_signed(&draft.content, &signed.created, &signed.created)?;
            }
            if tries == 0 || error.code() != NOT_NEWER {
                return Err(error);
            }
        }
    }

    /// Looks at the image once more before it is announced: where several store under one name,
    /// another may have replaced it since.
    fn still_there(&self, image: &Image, draft: &Draft) -> Result<()> {
        let object = Object {
            name: &draft.names.image,
            content: Content::File(&self.place.image),
            bytes: image.record.file.bytes,
            sha256: &image.sha256,
        };
        let Publication { target, .. } = self.publication;
        if target.look(&object, self.control)? == Found::Perhaps {
            return Ok(());
        }
        let message = format!(
            "{} is not the image any more that was proved there: nothing is registered",
            target.location(object.name)
        );
        Err(Error::new(Kind::Mismatch, "image-replaced", message)
            .remedy("see who else stores under this name, then run the same command again"))
    }

    /// Signs the manifest; the one that an earlier run signed is taken as long as it says the same
    /// and is valid.
    fn sign(&mut self, draft: &Draft, signer: &Signer) -> Result<Signed> {
        let Publication { said, clock, force, .. } = self.publication;
        let known = self.known(draft, clock()?)?;
        let at = match known {
            Some(created) => created,
            None => draft::later_than(self.newest, *clock, self.control)?,
        };
        let Dated { manifest, document, verified } = draft.sign(said, signer, at)?;
        let (created, valid) = (date::text(at), manifest.valid.clone().unwrap_or_default());
        if known.is_none() {
            self.memory.set_signed(&draft.content, &created, &valid)?;
        }
        let path = manifest_beside(&self.place.image);
        let identifier = manifest.identifier()?;
        let email = verified.email;
        local::check(&path, Some((&identifier, &email)), *force, &self.memory)?;
        local::write(&path, document.as_bytes(), &self.place.state.join("manifest.part"))?;
        let sha256 = sha256(document.as_bytes());
        let algorithms = format!("{}, {}", verified.signature_method, verified.digest_method);
        Ok(Signed { document, sha256, path, identifier, email, created, valid, algorithms })
    }

    /// Stores the manifest beside the image. An earlier manifest of the same image and endorser is
    /// replaced.
    fn store_manifest(&mut self, draft: &Draft, signed: &Signed) -> Result<Stored> {
        let name = &draft.names.manifest;
        let there = self.publication.target.fetch(name, MAX_MANIFEST, self.control)?;
        let replace = self.publication.force
            || there.is_some_and(|bytes| self.is_replaceable(&bytes, signed));
        match self.store_text(name, &signed.document, replace) {
            // Another run has put one there since.
            Err(error) if error.code() == "object-other" && !replace => {
                let there = self.publication.target.fetch(name, MAX_MANIFEST, self.control)?;
                match there.is_some_and(|bytes| self.is_replaceable(&bytes, signed)) {
                    true => self.store_text(name, &signed.document, true),
                    false => Err(error),
                }
            }
            stored => stored,
        }
    }

    /// Whether a manifest is an earlier one of this image and endorser, or was written by us.
    fn is_replaceable(&self, bytes: &[u8], signed: &Signed) -> bool {
        local::is_of(bytes, &signed.identifier, &signed.email) || self.memory.wrote(bytes)
    }

    /// Registers the manifest. An answer that an earlier run got is not believed blindly: the entry
    /// has to be there. Where a mail waits to be confirmed nothing is sent again.
    fn register(&mut self, signed: &Signed) -> Result<Option<(Answer, bool)>> {
        let Some(registry) = self.publication.registry else { return Ok(None) };
        let identity = registry.identity();
        let known = self.memory.registered(&identity, &signed.sha256);
        if let Some(known) = known.clone().filter(|known| known.url.is_none()) {
            let entry = Entry::new(&signed.identifier, &signed.email, &signed.created)?;
            if registry.fetch(&entry, self.control)?.is_none() {
                return Ok(Some((known, true)));
            }
        }
        let other = self.memory.other_entry(&identity, &signed.identifier);
        let document = signed.document.as_bytes();
        let registered = registry.register(document, (self.publication.clock)()?, self.control)?;
        let already = matches!(registered, Registered::Already { .. });
        let answer = Answer::of(registered);
        if known.as_ref() != Some(&answer) {
            self.memory.set_registered(&identity, &signed.sha256, answer.clone())?;
        }
        if let (true, Some(url)) = (self.replaced, other) {
            self.control.warn(format!(
                "{url} still names the image that was replaced here: take it back with \
                 stratus-publish deprecate"
            ));
        }
        Ok(Some((answer, already)))
    }
}

//! The stages of publishing, each looked up before it is done.

use std::path::PathBuf;

use super::draft::{self, Dated, Draft};
use super::local::{self, MAX_MANIFEST};
use super::memory::{self, Answer, Key, Memory};
use super::names::manifest_beside;
use super::{Publication, Signer};
use crate::control::Control;
use crate::digest::{Algorithm, sha256};
use crate::error::Result;
use crate::metadata::date;
use crate::pipeline::place::Place;
use crate::pipeline::record::Record;
use crate::pipeline::verify;
use crate::publish::registry::{Entry, Registered};
use crate::publish::{Content, Found, How, Object, Stored, Verify};

/// A run.
pub struct Run<'a> {
    pub publication: &'a Publication<'a>,
    pub place: &'a Place,
    pub control: &'a Control,
    pub memory: Memory,
    /// When the registry's newest entry of the image was signed.
    pub newest: Option<u64>,
    /// Whether something new will be signed: then the image is read back as a whole, whatever an
    /// earlier run has proved.
    pub news: bool,
    /// Whether the image has replaced one that an earlier run stored under its name.
    pub replaced: bool,
}

/// An image that is what its record says.
pub struct Image {
    pub record: Record,
    /// SHA-1 of the raw image, which the record need not have.
    pub sha1: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

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

impl<'a> Run<'a> {
    pub fn new(
        publication: &'a Publication<'a>,
        place: &'a Place,
        control: &'a Control,
        memory: Memory,
    ) -> Self {
        Run { publication, place, control, memory, newest: None, news: false, replaced: false }
    }
}

impl Run<'_> {
    /// The image is what its record says. An image that this process did not make itself is read as
    /// a whole, once: what is signed is what was seen.
    pub fn check(&mut self) -> Result<Image> {
        let path = &self.place.image;
        let record = Record::read(&self.place.record)?;
        let state = memory::state(path, &record)?;
        let known = self.memory.checked(&state);
        let sha1 = match (known, record.raw.digests.get("sha1")) {
            (Some(sha1), _) => sha1,
            // It was hashed while it was made; now it is read back.
            (None, Some(sha1)) if self.publication.fresh => {
                verify::file_matches(path, &record, self.control)?;
                sha1.clone()
            }
            _ => {
                let (_, digests) =
                    verify::verify_and_digest(path, &[Algorithm::Sha1], self.control)?;
                digests.get("sha1").cloned().unwrap_or_default()
            }
        };
        let sha256 = match record.file_sha256() {
            Some(known) => known.to_owned(),
            None => verify::file_digest(path, self.control)?,
        };
        self.memory.set_checked(state, sha1.clone())?;
        Ok(Image { record, sha1, sha256 })
    }

    /// Everything that is known before the upload.
    pub fn draft(&self, image: &Image) -> Result<Draft> {
        Draft::new(self.publication, self.place, &image.record, &image.sha1, self.control)
    }

    /// Signs and validates for trial, and asks the registry whether it will take the manifest: a
    /// mistake is found now, not after an upload of hours.
    pub fn rehearse(&mut self, draft: &Draft) -> Result<()> {
        let Publication { clock, .. } = self.publication;
        let Run { publication, place, memory, control, .. } = &*self;
        self.newest = draft.rehearse(publication, place, memory, control)?;
        self.news = self.publication.signer.is_some() && self.known(draft, clock()?)?.is_none();
        Ok(())
    }

    /// Stores the image, and beside it its checksum.
    pub fn store_image(&mut self, image: &Image, draft: &Draft) -> Result<Stored> {
        let path = self.place.image.clone();
        let content = Content::File(&path);
        let bytes = image.record.file.bytes;
        let object = Object { name: &draft.names.image, content, bytes, sha256: &image.sha256 };
        self.replaced = self.memory.replaces(&self.key(&object));
        let stored = self.store(&object, self.publication.force)?;
        let text = format!("{}  {}\n", image.sha256, draft.names.file());
        // It tells of the image that was just proved: whatever else it told was wrong.
        self.store_text(&draft.names.checksum, &text, true)?;
        Ok(stored)
    }

    fn store_text(&mut self, name: &str, text: &str, replace: bool) -> Result<Stored> {
        let bytes = text.len() as u64;
        let content = Content::Bytes(text.as_bytes());
        let sha256 = sha256(text.as_bytes());
        self.store(&Object { name, content, bytes, sha256: &sha256 }, replace)
    }

    fn key(&self, object: &Object) -> Key {
        Key {
            target: self.publication.target.identity(),
            object: object.name.to_owned(),
            sha256: object.sha256.to_owned(),
        }
    }

    /// Whether the image need not be stored: an earlier run has proved it, it looks as it did then,
    /// and nothing new is to be signed. What is small is compared anew.
    pub fn is_there(&self, object: &Object) -> Result<bool> {
        let Publication { target, verify, .. } = *self.publication;
        let large = matches!(object.content, Content::File(_));
        Ok(large
            && !self.news
            && self.memory.stored(&self.key(object), verify)
            && target.look(object, self.control)? == Found::Perhaps)
    }

    fn store(&mut self, object: &Object, replace: bool) -> Result<Stored> {
        let Publication { target, verify, .. } = *self.publication;
        if self.is_there(object)? {
            let proof =
                "proved by an earlier run; its size and last MiB are as they were".to_owned();
            return Ok(Stored { url: target.location(object.name), already: true, proof });
        }
        let key = self.key(object);
        let how = How { verify, replace };
        let stored =
            target.store(object, how, &mut self.memory.session(key.clone()), self.control)?;
        // What was there already was read back as a whole.
        let verify = if stored.already { Verify::Full } else { verify };
        if !self.memory.stored(&key, verify) {
            self.memory.set_stored(key, verify, &stored)?;
        }
        Ok(stored)
    }

    /// When an earlier run signed this very manifest, if that signature is still good at `now`: in
    /// seconds since 1970.
    pub fn known(&self, draft: &Draft, now: u64) -> Result<Option<u64>> {
        let Some(signed) = self.memory.signed(&draft.content) else { return Ok(None) };
        let (created, valid) = (date::epoch(&signed.created)?, date::epoch(&signed.valid)?);
        // Behind a newer entry nobody would see it.
        let good = valid > now && self.newest.is_none_or(|newest| newest < created);
        Ok(good.then_some(created))
    }

    /// Signs the manifest; the one that an earlier run signed is taken as long as it says the same
    /// and is valid.
    pub fn sign(&mut self, draft: &Draft, signer: &Signer) -> Result<Signed> {
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
    pub fn store_manifest(&mut self, draft: &Draft, signed: &Signed) -> Result<Stored> {
        let name = &draft.names.manifest;
        let there = self.publication.target.fetch(name, MAX_MANIFEST, self.control)?;
        let ours = |bytes: &[u8]| {
            local::is_of(bytes, &signed.identifier, &signed.email) || self.memory.wrote(bytes)
        };
        let replace = self.publication.force || there.as_deref().is_some_and(ours);
        self.store_text(name, &signed.document, replace)
    }

    /// Registers the manifest. An answer that an earlier run got is not believed blindly: the entry
    /// has to be there. Where a mail waits to be confirmed nothing is sent again.
    pub fn register(&mut self, signed: &Signed) -> Result<Option<(Answer, bool)>> {
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

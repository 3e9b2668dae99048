//! The stages of publishing up to the stored image, each looked up before it is done.

use super::draft::Draft;
use super::memory::{self, Key, Memory};
use super::{Publication, Signer};
use crate::control::Control;
use crate::digest::{Algorithm, sha256};
use crate::error::Result;
use crate::metadata::date;
use crate::pipeline::place::Place;
use crate::pipeline::record::Record;
use crate::pipeline::verify;
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
        let publication = self.publication;
        self.newest = draft.rehearse(publication, self.place, &self.memory, self.control)?;
        self.news = match publication.signer {
            Some(signer) => !self.is_announced(draft, signer, clock()?)?,
            None => false,
        };
        Ok(())
    }

    /// Whether an earlier run signed this very manifest, stored it beside the image, and registered
    /// it where it is to be.
    fn is_announced(&self, draft: &Draft, signer: &Signer, now: u64) -> Result<bool> {
        let Publication { said, registry, .. } = self.publication;
        let Some(at) = self.known(draft, now)? else { return Ok(false) };
        let sha256 = sha256(draft.sign(said, signer, at)?.document.as_bytes());
        let registered = registry
            .is_none_or(|registry| self.memory.registered(&registry.identity(), &sha256).is_some());
        let key = Key {
            target: self.publication.target.identity(),
            object: draft.names.manifest.clone(),
            sha256,
        };
        Ok(registered && self.memory.stored(&key, Verify::None))
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
        // The rehearsal has found that it tells of the image, which was just proved: whatever else it
        // told was wrong.
        self.store_text(&draft.names.checksum, &text, true)?;
        Ok(stored)
    }

    pub fn store_text(&mut self, name: &str, text: &str, replace: bool) -> Result<Stored> {
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
}

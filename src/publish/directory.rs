//! A directory as a store: `--repository DIR`, `file://` URLs, and the embedded market's files.
//!
//! ```text
//! ROOT/base/1.0/x.img.gz                                    an object: only ever complete and proved
//! ROOT/base/1.0/.x.img.gz.e3b0c44298fc1c14.0a1b2c3d.part    the same while it is stored
//! ```
//!
//! The part is locked while a run works on it, and named after who stores it: some network file
//! systems have no locks. Killing a run leaves at most the part, and the next
//! run compares it with the source before it goes on, so nothing has to be believed that an earlier
//! run has said; what is kept of a session is for people.

mod copy;
mod folder;
mod part;

use std::io::Read;
use std::path::{Path, PathBuf};

use url::Url;

use self::copy::{Source, digest_of, prove};
use self::folder::{Folder, failed, is_file};
use self::part::{Part, discard, linked};
use super::http::shown;
use super::name;
use super::{Content, Found, How, Object, Session, Stored, Target, Verify};
use crate::control::Control;
use crate::error::{Error, Kind, Result};

/// A directory that objects are stored in.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
    base: Url,
    link: bool,
}

impl Directory {
    /// The directory `root`, which is made, with the folders above it, when something is stored.
    ///
    /// # Errors
    /// `Usage` if its path cannot be made absolute.
    pub fn new(root: &Path) -> Result<Self> {
        let bad = |cause| {
            let error = Error::new(Kind::Usage, "directory-path", "this is no path of a directory");
            error.at(root).because(cause).remedy("give --repository a directory")
        };
        let root = std::path::absolute(root).map_err(bad)?;
        let base = Url::from_directory_path(&root)
            .map_err(|()| bad(std::io::ErrorKind::InvalidFilename.into()))?;
        Ok(Directory { root, base, link: false })
    }

    /// The directory of a `file://` URL (RFC 8089): on this host, and nothing but a path.
    ///
    /// # Errors
    /// `Usage` for any other URL.
    pub fn from_url(url: &Url) -> Result<Self> {
        let bad = |what: &str| {
            Error::new(Kind::Usage, "directory-url", format!("{}: {what}", shown(url)))
                .remedy("write file:///path/of/the/directory, or only the path")
        };
        if url.scheme() != "file" || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("this is not the URL of a directory"));
        }
        if !matches!(url.host_str(), None | Some("" | "localhost")) {
            return Err(bad("a directory on another host cannot be stored into"));
        }
        let path = url.to_file_path().map_err(|()| bad("this is no path"))?;
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(bad("there is a NUL in it"));
        }
        Directory::new(&path)
    }

    /// Says under which URL others find the directory; without it they are told its path.
    ///
    /// # Errors
    /// `Usage` if nothing can be appended to the URL, or if it has a password in it.
    pub fn served_at(mut self, base: &Url) -> Result<Self> {
        let plain = base.username().is_empty() && base.password().is_none();
        let path_only = base.query().is_none() && base.fragment().is_none();
        if base.cannot_be_a_base() || !plain || !path_only {
            let message = "the public URL of the directory must be a plain one";
            return Err(Error::new(Kind::Usage, "directory-base-url", message)
                .remedy("give it as https://host/path/, without user, query and fragment"));
        }
        self.base = base.clone();
        if !base.path().ends_with('/') {
            self.base.set_path(&format!("{}/", base.path()));
        }
        Ok(self)
    }

    /// Makes an object another name of its source file where the file system can do that, and
    /// copies it elsewhere. The source must not be changed later.
    #[must_use]
    pub fn linking(mut self) -> Self {
        self.link = true;
        self
    }

    /// The folder of an object, as far as it is there, and the object's name in it.
    fn find<'n>(&self, name: &'n str) -> Result<(Option<Folder>, &'n str)> {
        let parts = name::parts(name)?;
        let (last, above) = parts.split_last().unwrap_or((&name, &[]));
        let mut folder = Folder::root(&self.root)?;
        for part in above {
            let Some(open) = folder else { break };
            folder = open.enter(part)?;
        }
        Ok((folder, last))
    }

    /// The same, made as far as it is not there.
    fn make<'n>(&self, name: &'n str) -> Result<(Folder, &'n str)> {
        let parts = name::parts(name)?;
        let (last, above) = parts.split_last().unwrap_or((&name, &[]));
        let mut folder = Folder::make_root(&self.root)?;
        for part in above {
            folder = folder.make(part)?;
        }
        Ok((folder, last))
    }

    /// Whether what has to be made for an object can be made, as far as permissions tell it.
    fn writable(&self, object: &Object) -> Result<()> {
        let path = self.root.join(object.name);
        let there = path.ancestors().skip(1).find(|above| above.exists());
        let Some(there) = there else { return Ok(()) };
        rustix::fs::access(there, rustix::fs::Access::WRITE_OK)
            .map_err(|e| failed("cannot write into", there, e.into()))
    }

    fn stored(&self, object: &Object, already: bool, proof: &str) -> Stored {
        Stored { url: self.location(object.name), already, proof: proof.to_owned() }
    }

    /// The object at its final name, if it is there and is the one that is meant.
    fn there(
        &self,
        object: &Object,
        (folder, last): (&Folder, &str),
        replace: bool,
        control: &Control,
    ) -> Result<Option<Stored>> {
        let Some(stat) = folder.found(last)? else { return Ok(None) };
        if is_file(&stat)
            && u64::try_from(stat.st_size) == Ok(object.bytes)
            && let Some(file) = folder.open(last)?
        {
            let path = folder.path(last);
            if digest_of(&file, &path, object.bytes, control)? == object.sha256 {
                file.sync_all().map_err(|e| failed("cannot sync", &path, e))?;
                return Ok(Some(self.stored(object, true, "read back")));
            }
        }
        if replace {
            return Ok(None);
        }
        Err(Error::new(Kind::CannotCreate, "object-other", "something else has this name")
            .at(&folder.path(last))
            .remedy("use another version or name, or --force to replace it"))
    }

    /// Brings the object's bytes to an unfinished file and proves them. Returns that file's name
    /// and the proof.
    fn fill(
        &self,
        object: &Object,
        folder: &Folder,
        part: &Part,
        how: How,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(String, &'static str)> {
        let source = Source::open(object)?;
        let linked = linked(&part.name);
        folder.remove(&linked)?;
        let path = folder.path(&part.name);
        let open = (&part.file, path.as_path());
        let filled = if self.link && source.file().is_some_and(|file| folder.link(file, &linked)) {
            source.prove(object, control).map(|proof| (linked.clone(), proof))
        } else {
            copy::copy(object, &source, open, session, control)
                .and_then(|()| prove(object, &source, open, how.verify, control))
                .map(|proof| (part.name.clone(), proof))
        };
        if matches!(&filled, Err(error) if error.kind() == Kind::Mismatch) {
            // Wrong bytes are no beginning to go on from.
            folder.remove(&linked)?;
            folder.remove(&part.name)?;
        }
        filled
    }
}

impl Target for Directory {
    fn identity(&self) -> String {
        // Where it is, not where others see it: that decides whether work is continued there.
        Url::from_directory_path(&self.root).map_or_else(|()| String::new(), String::from)
    }

    fn location(&self, name: &str) -> String {
        format!("{}{}", self.base, name::encoded(name))
    }

    fn fetch(&self, name: &str, max: u64, control: &Control) -> Result<Option<Vec<u8>>> {
        control.go_on("stopped before reading")?;
        let (Some(folder), last) = self.find(name)? else { return Ok(None) };
        let Some(file) = folder.open(last)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| failed("cannot read", &folder.path(last), e))?;
        if bytes.len() as u64 > max {
            return Err(Error::new(Kind::Refused, "object-too-large", "this is too large")
                .at(&folder.path(last))
                .remedy(format!("at most {max} bytes are read of such a file")));
        }
        Ok(Some(bytes))
    }

    fn plan_fetch(&self, name: &str) -> String {
        format!("read {}", self.root.join(name).display())
    }

    fn look(&self, object: &Object, control: &Control) -> Result<Found> {
        control.go_on("stopped before looking")?;
        name::check(object)?;
        let (Some(folder), last) = self.find(object.name)? else {
            return self.writable(object).map(|()| Found::Nothing);
        };
        let Some(stat) = folder.found(last)? else {
            return self.writable(object).map(|()| Found::Nothing);
        };
        if !is_file(&stat) || u64::try_from(stat.st_size) != Ok(object.bytes) {
            return Ok(Found::Other);
        }
        let Some(file) = folder.open(last)? else { return Ok(Found::Nothing) };
        let (source, path) = (Source::open(object)?, folder.path(last));
        match prove(object, &source, (&file, &path), Verify::Tail, control) {
            Ok(_) => Ok(Found::Perhaps),
            Err(error) if error.kind() == Kind::Mismatch => Ok(Found::Other),
            Err(error) => Err(error),
        }
    }

    fn plan(&self, object: &Object, how: How, found: Found) -> Vec<String> {
        let path = self.root.join(object.name);
        let path = path.display();
        let links = self.link && matches!(object.content, Content::File(_));
        let verb = if links { "link or write" } else { "write" };
        let write = format!("{verb} {path} ({} bytes)", object.bytes);
        let mut lines = match (found, how.replace) {
            (Found::Nothing, _) => vec![write],
            // All of it was compared already.
            (Found::Perhaps, _) if object.bytes <= copy::TAIL => {
                vec![format!("read {path} and compare it")]
            }
            (Found::Perhaps, true) => vec![write + ", unless it is there already"],
            (Found::Perhaps, false) => vec![format!("read {path} and compare it")],
            (Found::Other, true) => vec![write.replacen(verb, "replace", 1)],
            (Found::Other, false) => vec![format!("stop: something else is at {path}")],
        };
        lines.push(format!("location {}", self.location(object.name)));
        lines
    }

    fn store(
        &self,
        object: &Object,
        how: How,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<Stored> {
        control.go_on("stopped before storing")?;
        name::check(object)?;
        let owner = session.owner();
        let (folder, last) = self.make(object.name)?;
        if let Some(stored) = self.there(object, (&folder, last), how.replace, control)? {
            match discard(&folder, object, &owner) {
                // Another run is about to find out the same.
                Err(error) if error.kind() == Kind::Locked => {}
                discarded => discarded?,
            }
            folder.sync()?;
            return Ok(stored);
        }
        let part = Part::open(&folder, object, &owner)?;
        let (finished, proof) = self.fill(object, &folder, &part, how, session, control)?;
        if !part.has_its_name(&folder)? {
            // What has the name now was not proved.
            let message = "another run has replaced what was stored before it had its final name";
            return Err(Error::new(Kind::Locked, "locked", message)
                .at(&folder.path(&part.name))
                .remedy("wait for its end, then run the same command again"));
        }
        if how.replace {
            folder.replace(&finished, last)?;
        } else if !folder.rename(&finished, last)? {
            // Another run was faster; it may have stored the same. Removed while it is locked: nobody
            // can have come between.
            part.remove(&folder)?;
            let stored = self.there(object, (&folder, last), false, control)?;
            return stored.ok_or_else(|| {
                Error::new(Kind::Locked, "locked", "other runs come and go on this name")
                    .at(&folder.path(last))
                    .remedy("try again later")
            });
        }
        if finished != part.name {
            folder.remove(&part.name)?;
        }
        folder.sync()?;
        Ok(self.stored(object, false, proof))
    }

    fn discard(&self, object: &Object, session: &dyn Session, control: &Control) -> Result<()> {
        control.go_on("stopped before removing what is unfinished")?;
        name::check(object)?;
        match self.find(object.name)? {
            (Some(folder), _) => discard(&folder, object, &session.owner()),
            (None, _) => Ok(()),
        }
    }
}

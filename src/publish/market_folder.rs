//! The embedded market's data folder, written without a server.
//!
//! ```text
//! DIR/metadata/IDENTIFIER/EMAIL/CREATED.xml    entries, as the original server keeps them
//! DIR/repo/IDENTIFIER/FILE                     objects, linked where possible
//! ```
//!
//! What is registered here has passed what a server would ask of it; a server that runs on the
//! folder at the same time finds whole files only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use super::directory::Directory;
use super::registry::{Entry, Newest, Registered, Registry, Signed, check_key, must_be_valid};
use super::{Content, How, Object, Session, Target, name};
use crate::control::Control;
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::metadata::{date, xml};

/// Where a market on this machine listens by default.
pub const DEFAULT_BASE: &str = "http://127.0.0.1:8080/";

/// A market's data folder, and the URL under which its server will be found.
#[derive(Clone, Debug)]
pub struct MarketFolder {
    root: PathBuf,
    base: Url,
    entries: Directory,
}

impl MarketFolder {
    /// The market with its data in `root`, which is made when it is needed.
    ///
    /// # Errors
    /// `Usage` for a path or a URL that cannot be one.
    pub fn new(root: &Path, base: &Url) -> Result<Self> {
        let entries =
            Directory::new(&root.join("metadata"))?.served_at(&below(base, "metadata")?)?;
        Ok(MarketFolder { root: root.to_owned(), base: base.clone(), entries })
    }

    /// Where the market keeps images: a store like others.
    ///
    /// # Errors
    /// `Usage` for a path that cannot be one.
    pub fn repository(&self) -> Result<Directory> {
        let repository = Directory::new(&self.root.join("repo"))?;
        Ok(repository.served_at(&below(&self.base, "repo")?)?.linking())
    }

    /// The name of an image there, unless the repository's configuration asks for another.
    pub fn object_name(identifier: &str, file: &str) -> String {
        format!("{identifier}/{file}")
    }

    fn url(&self, entry: &Entry) -> String {
        self.entries.location(&entry.path())
    }
}

/// `BASE/name/`.
fn below(base: &Url, name: &str) -> Result<Url> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => drop(segments.pop_if_empty().push(name).push("")),
        Err(()) => {
            let message = "this cannot be the URL of a market";
            return Err(Error::new(Kind::Usage, "market-base-url", message)
                .remedy("write it as http://host:port/"));
        }
    }
    Ok(url)
}

/// The name of an entry's file below `metadata`.
fn file_name(entry: &Entry) -> String {
    format!("{}.xml", entry.path())
}

/// A file this small is not worth to be continued.
struct Forgotten;

impl Session for Forgotten {
    /// Whoever registers the same entry writes the same bytes, and the part is locked.
    fn owner(&self) -> String {
        "00000000".to_owned()
    }

    fn last(&self) -> Option<serde_json::Value> {
        None
    }

    fn keep(&mut self, _: serde_json::Value) -> Result<()> {
        Ok(())
    }
}

impl Registry for MarketFolder {
    fn identity(&self) -> String {
        self.entries.identity()
    }

    fn entries(&self, identifier: &str, email: &str, control: &Control) -> Result<Vec<Newest>> {
        control.go_on("stopped before looking for the newest entry")?;
        check_key(identifier, email)?;
        let folder = self.root.join("metadata").join(identifier).join(email);
        let cannot = |e| Error::io("market-read", "cannot read the market's entries", &folder, e);
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(cannot(e)),
        };
        let mut entries = Vec::new();
        for file in files {
            let name = file.map_err(cannot)?.file_name();
            let created = name.to_str().and_then(|name| name.strip_suffix(".xml"));
            if let Some(created) = created.filter(|created| date::epoch(created).is_ok()) {
                entries.push(Newest { created: created.to_owned() });
            }
        }
        entries.sort_by(|a, b| b.created.cmp(&a.created));
        Ok(entries)
    }

    fn plan(&self, identifier: &str, email: &str) -> Vec<String> {
        let folder = self.root.join("metadata").join(identifier).join(email);
        vec![format!("write the signed manifest to {}/CREATED.xml", folder.display())]
    }

    fn register(&self, document: &[u8], now: u64, control: &Control) -> Result<Registered> {
        let sent = Signed::read(document, now)?;
        must_be_valid(document, now)?;
        let url = self.url(&sent.entry);
        let there = self.fetch(&sent.entry, control)?;
        let there = there.and_then(|there| Signed::read(&there, now).ok());
        if there.is_some_and(|there| there.is(&sent)) {
            return Ok(Registered::Already { url });
        }
        let newest = self.newest(sent.entry.identifier(), sent.entry.email(), control)?;
        sent.must_be_later(newest.as_ref())?;

        let sha256 = digest::sha256(document);
        let file = file_name(&sent.entry);
        name::parts(&file)?;
        let object = Object {
            name: &file,
            content: Content::Bytes(document),
            bytes: document.len() as u64,
            sha256: &sha256,
        };
        self.entries.store(&object, How::default(), &mut Forgotten, control)?;
        Ok(Registered::Created { url })
    }

    fn fetch(&self, entry: &Entry, control: &Control) -> Result<Option<Vec<u8>>> {
        self.entries.fetch(&file_name(entry), xml::LARGEST as u64, control)
    }
}

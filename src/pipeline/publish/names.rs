//! What things are called in a repository.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::Manifest;
use crate::publish::scheme::{self, CONFIG_MAX, CONFIG_NAME, Facts, Scheme};
use crate::publish::{Target, name};

/// What an image is called where the repository does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As its file.
    Plain,
    /// As its file, in a folder with the image's identifier as its name: two images never meet.
    ByIdentifier,
}

/// The names of what belongs to one image, below the target's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The image.
    pub image: String,
    /// Its checksum, for people.
    pub checksum: String,
    /// Its manifest.
    pub manifest: String,
}

impl Names {
    /// The names of the image that `manifest` is about, whose file is called `file`: after the
    /// scheme that the repository publishes, else after `naming`.
    ///
    /// # Errors
    /// Those of reading the scheme, and `Usage` if something that it asks for is not known.
    pub fn new(
        target: &dyn Target,
        naming: Naming,
        manifest: &Manifest,
        file: &str,
        control: &Control,
    ) -> Result<Self> {
        let image = match target.fetch(CONFIG_NAME, CONFIG_MAX, control)? {
            Some(text) => read(&text, target)?.name(&facts(manifest))?,
            None if naming == Naming::ByIdentifier => format!("{}/{file}", manifest.identifier()?),
            None => file.to_owned(),
        };
        let checksum = format!("{image}.sha256");
        let manifest = scheme::manifest_name(&image);
        // All of them, before the first is stored.
        for name in [&image, &checksum, &manifest] {
            name::parts(name)?;
        }
        Ok(Names { image, checksum, manifest })
    }
}

impl Names {
    /// The image's name without its folders.
    pub fn file(&self) -> &str {
        self.image.rsplit('/').next().unwrap_or_default()
    }
}

fn read(text: &[u8], target: &dyn Target) -> Result<Scheme> {
    let bad = |why: &str| {
        Error::new(Kind::Protocol, "repository-config", why.to_owned())
            .within(&format!("{}{CONFIG_NAME}", target.identity()))
            .remedy("tell whoever runs the repository")
    };
    let text = std::str::from_utf8(text).map_err(|_| bad("it is not UTF-8"))?;
    Scheme::parse(text).map_err(|e| bad(e.message()))
}

fn facts(manifest: &Manifest) -> Facts<'_> {
    Facts {
        type_: Some(&manifest.type_),
        os: manifest.os.as_deref(),
        arch: manifest.os_arch.as_deref(),
        version: manifest.version.as_deref(),
        osversion: manifest.os_version.as_deref(),
        compression: manifest.compression.as_deref(),
    }
}

/// The manifest's file beside the image `path`: `mydisk.img.gz` has `mydisk.xml`.
pub fn manifest_beside(path: &Path) -> PathBuf {
    let mut stem = path.to_owned();
    for extension in ["gz", "img"] {
        if stem.extension().is_some_and(|e| e == extension) {
            stem.set_extension("");
        }
    }
    let mut name = OsString::from(stem.file_name().unwrap_or_default());
    name.push(".xml");
    path.with_file_name(name)
}

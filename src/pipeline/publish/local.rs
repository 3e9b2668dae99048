//! The manifest's file beside the image.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use super::memory::Memory;
use crate::error::{Error, Kind, Result};
use crate::files::{self, cannot_create, create_new, failed, open_regular, remove_if_there};
use crate::metadata::Manifest;

/// No manifest is larger: what the marketplace takes (`metadata.max.bytes`).
pub const MAX_MANIFEST: u64 = 10_240_000;

/// Reads a manifest that the user named. A link is followed, and it may be a pipe.
///
/// # Errors
/// `Missing`, `Io`; `Damaged` if it is larger than any manifest.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let cannot = |e| Error::io("manifest-read", "cannot read the manifest", path, e);
    bounded(File::open(path).map_err(cannot)?, path)
}

fn bounded(file: File, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("manifest-read", "cannot read the manifest", path, e))?;
    if bytes.len() as u64 > MAX_MANIFEST {
        let message = format!("this is larger than any manifest ({MAX_MANIFEST} bytes)");
        return Err(Error::new(Kind::Damaged, "manifest-large", message).at(path));
    }
    Ok(bytes)
}

/// Whether this is a manifest of the image `identifier` that nobody but `email` has signed.
pub fn is_of(bytes: &[u8], identifier: &str, email: &str) -> bool {
    let Ok(manifest) = Manifest::from_xml(bytes) else { return false };
    let endorser = manifest.endorsement.as_ref().map(|endorsement| endorsement.email.as_str());
    endorser.is_none_or(|endorser| endorser == email)
        && manifest.identifier().is_ok_and(|id| id == identifier)
}

/// Whether the manifest of an image may be written to `path`: nothing is there, or an earlier one of
/// this image and endorser, or what an earlier run wrote, or with `force` anything. `of` is their identifier and e-mail address; if
/// the identifier is not known yet, any manifest may be the image's.
///
/// # Errors
/// `CannotCreate`; `Io`.
pub fn check(path: &Path, of: Option<(&str, &str)>, force: bool, memory: &Memory) -> Result<()> {
    let in_the_way = |what: &str| Error::new(Kind::CannotCreate, "output-exists", what).at(path);
    let file = match open_regular(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {
            let what = "something else than a file is in the manifest's way";
            return Err(in_the_way(what).remedy("move it away"));
        }
        Ok(_) if force => return Ok(()),
        Ok(file) => file,
    };
    let bytes = bounded(file, path).unwrap_or_default();
    let fits = match of {
        Some((identifier, email)) => is_of(&bytes, identifier, email),
        None => Manifest::from_xml(&bytes).is_ok(),
    };
    if fits || memory.wrote(&bytes) {
        return Ok(());
    }
    Err(in_the_way("this is not a manifest of this image by this endorser, and has its name")
        .remedy("move it away, or replace it with --force"))
}

/// Gives `path` these bytes, whole or not at all, by way of the unfinished file `part` on the same
/// file system.
///
/// # Errors
/// `CannotCreate`, `Io`.
pub fn write(path: &Path, bytes: &[u8], part: &Path) -> Result<()> {
    // An earlier run of ours may have been killed here.
    remove_if_there(part)?;
    by_way_of(part, path, bytes)
}

/// Gives `path` these bytes, whole or not at all, by way of a new file beside it.
///
/// # Errors
/// `CannotCreate`, `Io`.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    by_way_of(&path.with_file_name(name), path, bytes)
}

/// The file that is replaced keeps its mode: who could not read it cannot read the new one.
fn by_way_of(part: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let replaced = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file);
    let mut file = create_new(part).map_err(|e| cannot_create(part, e))?;
    let written = replaced
        .map_or(Ok(()), |meta| file.set_permissions(meta.permissions()))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(part, path));
    if let Err(e) = written {
        let _ = std::fs::remove_file(part);
        return Err(failed("manifest-write", "cannot write the manifest", path, e));
    }
    files::sync_folder(files::folder_of(path))
}

//! The manifest's file beside the image.

use std::io::{Read, Write};
use std::path::Path;

use super::stages::MAX_MANIFEST;
use crate::error::{Error, Kind, Result};
use crate::files::{self, cannot_create, create_new, failed, open_regular, remove_if_there};
use crate::metadata::Manifest;

/// Reads a manifest's file: none if there is none.
///
/// # Errors
/// `Io`; `Damaged` if it is larger than any manifest.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let cannot = |e| Error::io("manifest-read", "cannot read the manifest", path, e);
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(cannot(e)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_MANIFEST {
        let message = format!("this is larger than any manifest ({MAX_MANIFEST} bytes)");
        return Err(Error::new(Kind::Damaged, "manifest-large", message).at(path));
    }
    Ok(Some(bytes))
}

/// Writes the manifest of the image `identifier` to `path`, whole or not at all. An earlier manifest
/// of this image is replaced, another file only with `force`.
///
/// # Errors
/// `CannotCreate`, `Io`.
pub fn write(path: &Path, document: &str, identifier: &str, force: bool) -> Result<()> {
    let there = read(path)?;
    if there.as_deref() == Some(document.as_bytes()) {
        return Ok(());
    }
    let is_of_image = |bytes: &[u8]| {
        Manifest::from_xml(bytes)
            .and_then(|manifest| manifest.identifier())
            .is_ok_and(|id| id == identifier)
    };
    if !force && there.is_some_and(|bytes| !is_of_image(&bytes)) {
        return Err(Error::new(
            Kind::CannotCreate,
            "output-exists",
            "this exists, and is not a manifest of this image",
        )
        .at(path)
        .remedy("move it away, or replace it with --force"));
    }
    replace(path, document.as_bytes())
}

/// Gives `path` these bytes, whole or not at all.
///
/// # Errors
/// `CannotCreate`, `Io`.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    let part = path.with_file_name(name);
    // An earlier run of ours may have been killed here; nobody else makes such a name.
    remove_if_there(&part)?;
    let mut file = create_new(&part).map_err(|e| cannot_create(&part, e))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|e| failed("manifest-write", "cannot write the manifest", path, e))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    files::sync_folder(folder.unwrap_or(Path::new(".")))
}

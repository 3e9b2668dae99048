//! From a name to a disk: detects the format, finds the parents, composes the layers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::Chain;
use super::raw::RawLayer;
use super::source::{Named, SourceFile};
use super::vdi::{PageCache, VdiLayer, family, header};
use super::{
    Content, Damage, DamageList, Disk, Format, LayerInfo, OpenDisk, OpenOptions, SECTOR, Warning,
    detect,
};
use crate::error::{Error, Kind, Result};

/// Layers of one chain: each is an open file. VirtualBox's own dialogs stop being usable long
/// before.
const MAX_LAYERS: usize = 512;

/// Opens the disk that `path` names, with all its parents, and checks their structure.
///
/// # Errors
/// Whatever is wrong with the source; nothing is ever written.
pub fn open(path: &Path, options: &OpenOptions) -> Result<OpenDisk> {
    let file = Arc::new(SourceFile::open(path, Named::ByUser)?);
    let format = match options.format {
        Some(format) => format,
        None => detect::detect(&file)?,
    };
    let mut opening = Opening::new(options);
    match format {
        Format::Vdi => opening.vdi_chain(file)?,
        Format::Raw => opening.raw(file)?,
    }
    opening.finish(format)
}

/// No storage asks for more than some GiB, and what is padded has to be hashed.
pub const MAX_ALIGN: u64 = 1 << 40;

/// What has been opened so far.
struct Opening<'a> {
    options: &'a OpenOptions,
    damage: Arc<DamageList>,
    disks: Vec<Box<dyn Disk>>,
    layers: Vec<LayerInfo>,
    files: Vec<Arc<SourceFile>>,
    map_digests: Vec<String>,
    warnings: Vec<Warning>,
    surroundings: Vec<Warning>,
}

impl<'a> Opening<'a> {
    fn new(options: &'a OpenOptions) -> Self {
        Opening {
            options,
            damage: Arc::default(),
            disks: Vec::new(),
            layers: Vec::new(),
            files: Vec::new(),
            map_digests: Vec::new(),
            warnings: Vec::new(),
            surroundings: Vec::new(),
        }
    }

    fn raw(&mut self, file: Arc<SourceFile>) -> Result<()> {
        let salvage = self.options.salvage.then(|| self.damage.clone());
        self.layers.push(LayerInfo { path: file.path().to_owned(), uuid: None });
        self.disks.push(Box::new(RawLayer::open(file.clone(), salvage)?));
        self.files.push(file);
        Ok(())
    }

    /// Opens the leaf and follows the parents' UUIDs down to a base.
    fn vdi_chain(&mut self, leaf: Arc<SourceFile>) -> Result<()> {
        for named in &self.options.parents {
            std::fs::metadata(named).map_err(|e| {
                Error::io("parent-open", "cannot use what --parent names", named, e)
                    .remedy("check the name")
            })?;
        }
        let leaf_path = leaf.path().to_owned();
        // A symlink that the user named leads to the folder where the family lives.
        let home = match leaf_path.is_symlink() {
            true => leaf_path.canonicalize().unwrap_or_else(|_| leaf_path.clone()),
            false => leaf_path,
        };
        let cache = Arc::new(PageCache::default());
        let mut next = Some(leaf.clone());
        let mut trail: Vec<(PathBuf, header::Uuid)> = Vec::new();
        let mut leaf_header = None;
        while let Some(file) = next.take() {
            let salvage = self.options.salvage.then(|| self.damage.clone());
            let layer = VdiLayer::open(
                file.clone(),
                &self.disks,
                cache.clone(),
                salvage,
                &mut self.warnings,
            )?;
            let header = layer.header().clone();
            let is_leaf = self.disks.is_empty();
            let path = if is_leaf { home.clone() } else { file.path().to_owned() };
            trail.push((path.clone(), header.create));
            leaf_header.get_or_insert_with(|| header.clone());
            self.layers.push(LayerInfo {
                path: file.path().to_owned(),
                uuid: Some(header.create.to_string()),
            });
            self.map_digests.push(layer.map_digest().to_owned());
            self.disks.push(Box::new(layer));
            self.files.push(file);
            if header.has_parent() {
                refuse_cycle(&trail, header.parent)?;
                next = Some(self.vdi_parent(&path, &home, &header)?);
            }
        }
        // Last: in a cycle everybody is somebody's parent, and that is not the news.
        match leaf_header {
            Some(header) if !self.options.this_layer => {
                family::refuse_if_parent(&leaf, &home, &header, &mut self.surroundings)
            }
            _ => Ok(()),
        }
    }

    fn vdi_parent(
        &mut self,
        path: &Path,
        home: &Path,
        header: &header::Header,
    ) -> Result<Arc<SourceFile>> {
        if self.disks.len() >= MAX_LAYERS {
            return Err(Error::new(
                Kind::Refused,
                "vdi-chain-too-long",
                format!("the chain has more than {MAX_LAYERS} layers"),
            )
            .at(path)
            .remedy("merge snapshots with VirtualBox first"));
        }
        let named = &self.options.parents;
        let found =
            family::find_parent(path, header, named, &[path, home], &mut self.surroundings)?;
        if let Some(error) = found.changed {
            if !self.options.salvage {
                return Err(error);
            }
            let damage = Damage { offset: 0, len: header.size, reason: error.to_string() };
            self.damage.add_visible(&damage, &self.disks)?;
        }
        Ok(Arc::new(SourceFile::open(&found.relative.path, Named::BySearch)?))
    }

    fn finish(mut self, format: Format) -> Result<OpenDisk> {
        let size = self.disks.first().map_or(0, |leaf| leaf.size());
        let mut disk = Chain::new(self.disks, size);
        if let Some(align) = self.options.align {
            pad(&mut disk, align)?;
        }
        if format == Format::Vdi && looks_encrypted(&disk)? {
            let message = "every block is in use and the disk does not begin like one: it may be \
                           encrypted by VirtualBox, which no VDI tells";
            self.warnings.push(Warning::new("looks-encrypted", message));
        }
        // The same finding can come from every layer's search.
        self.surroundings.sort_by(|a, b| a.message.cmp(&b.message));
        self.surroundings.dedup();
        Ok(OpenDisk {
            format,
            layers: self.layers,
            warnings: self.warnings,
            surroundings: self.surroundings,
            disk: Arc::new(disk),
            files: self.files,
            map_digests: self.map_digests,
            damage: self.damage,
        })
    }
}

/// Grows the disk to a multiple of `align`. A GPT keeps its backup header in the last sector of
/// the disk, so a disk that has one must not grow.
fn pad(disk: &mut Chain, align: u64) -> Result<()> {
    let size = disk.size();
    let padded = size
        .checked_next_multiple_of(align)
        .filter(|_| align.is_multiple_of(SECTOR) && (1..=MAX_ALIGN).contains(&align))
        .ok_or_else(|| {
            let message = format!("cannot align to {align}: no multiple of 512, or above 1 TiB");
            Error::new(Kind::Usage, "align", message).remedy("use a size such as --align 1M")
        })?;
    if padded != size && has_gpt(disk)? {
        let message = format!(
            "padding {size} bytes to {padded} would separate the GPT from its backup in the last \
             sector"
        );
        return Err(Error::new(Kind::Refused, "align-breaks-gpt", message)
            .remedy("leave --align out, or resize the disk in VirtualBox first"));
    }
    disk.grow(padded);
    Ok(())
}

/// Whether there is a GPT: its header is the second sector, of 512 or of 4,096 bytes, and its
/// backup the last one (UEFI specification, section 5.3).
fn has_gpt(disk: &Chain) -> Result<bool> {
    let size = disk.size();
    for place in [512, 4096, size.saturating_sub(512), size.saturating_sub(4096)] {
        let mut signature = [0; 8];
        if place + 8 <= size {
            disk.read_at(&mut signature, place)?;
        }
        if &signature == b"EFI PART" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// VirtualBox keeps the key in the machine's settings and leaves no mark in the disk. What shows
/// is that encryption writes every block, and that nothing in it makes sense.
fn looks_encrypted(disk: &Chain) -> Result<bool> {
    let mut head = vec![0; usize::try_from(disk.size()).map_or(4096, |size| size.min(4096))];
    disk.read_at(&mut head, 0)?;
    if detect::begins_like_a_disk(&head) || head.iter().all(|byte| *byte == 0) {
        return Ok(false);
    }
    let mut offset = 0;
    while offset < disk.size() {
        let extent = disk.extent_at(offset, u64::MAX)?;
        if extent.content != Content::Data {
            return Ok(false);
        }
        offset += extent.len;
    }
    Ok(true)
}

fn refuse_cycle(trail: &[(PathBuf, header::Uuid)], parent: header::Uuid) -> Result<()> {
    let Some(start) = trail.iter().position(|(_, uuid)| *uuid == parent) else { return Ok(()) };
    let names: Vec<_> =
        trail[start..].iter().map(|(path, uuid)| format!("{} ({uuid})", path.display())).collect();
    let last = trail.last().map(|(path, _)| path.as_path()).unwrap_or(Path::new(""));
    Err(Error::new(
        Kind::Refused,
        "vdi-parent-cycle",
        format!(
            "the parents form a cycle: {} names {parent} as its parent again",
            names.join(" → ")
        ),
    )
    .at(last)
    .remedy("restore the files from a backup: no disk can be its own ancestor"))
}

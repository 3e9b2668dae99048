//! The VDI reader against the model.

mod common;

use common::vdi::{Block, Vdi, Version};
use common::{exits, folder, gunzip, noise, run};

#[test]
fn every_header_version_reads_the_same() {
    for version in [Version::V0, Version::V1, Version::V1Plus] {
        let mut vdi =
            Vdi::new(3 << 20, 1 << 20).with(1, Block::Data(noise(1, 1 << 20))).with(2, Block::Zero);
        vdi.version = version;
        let folder = folder();
        std::fs::write(folder.path().join("a.vdi"), vdi.bytes()).unwrap();
        exits(&run(folder.path(), ["a.vdi"]), 0);
        let image = std::fs::read(folder.path().join("a.img.gz")).unwrap();
        assert!(gunzip(&image) == vdi.raw(None), "{version:?}");
    }
}

//! Two who publish different images under one name at the same time: what one of them has proved is
//! not there any more when the other was faster.

mod common;

use std::fs;
use std::path::PathBuf;

use common::vdi::{Block, Vdi};
use common::{folder, noise, stratus, testdata};
use stratus::control::Control;
use stratus::error::{Kind, Result};
use stratus::metadata::keys::Endorser;
use stratus::metadata::signature::Profile;
use stratus::pipeline::publish::{Publication, Signer, publish};
use stratus::publish::directory::Directory;
use stratus::publish::market_folder::MarketFolder;
use stratus::publish::{Found, How, Object, Session, Stored, Target};

/// A folder in which somebody else puts another image in the place of ours, as soon as our manifest
/// is there.
struct Shared {
    folder: Directory,
    image: PathBuf,
}

impl Target for Shared {
    fn identity(&self) -> String {
        self.folder.identity()
    }
    fn location(&self, name: &str) -> String {
        self.folder.location(name)
    }
    fn fetch(&self, name: &str, max: u64, control: &Control) -> Result<Option<Vec<u8>>> {
        self.folder.fetch(name, max, control)
    }
    fn plan_fetch(&self, name: &str) -> String {
        self.folder.plan_fetch(name)
    }
    fn look(&self, object: &Object, control: &Control) -> Result<Found> {
        self.folder.look(object, control)
    }
    fn plan(&self, object: &Object, how: How, found: Found) -> Vec<String> {
        self.folder.plan(object, how, found)
    }
    fn store(
        &self,
        object: &Object,
        how: How,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<Stored> {
        let stored = self.folder.store(object, how, session, control)?;
        if object.name.ends_with(".xml") {
            fs::write(&self.image, "another image").unwrap();
        }
        Ok(stored)
    }
    fn discard(&self, object: &Object, session: &dyn Session, control: &Control) -> Result<()> {
        self.folder.discard(object, session, control)
    }
}

#[test]
fn an_image_that_was_replaced_since_is_not_announced() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let disk = Vdi::new(2 << 20, 1 << 20).with(0, Block::Data(noise(1, 1 << 20)));
    fs::write(path("a.vdi"), disk.bytes()).unwrap();
    let converted = stratus(folder.path()).args(["a.vdi", "--no-context"]).output().unwrap();
    assert!(converted.status.success(), "{converted:?}");

    let pem = fs::read(testdata("keys/jane.pem")).unwrap();
    let endorser = Endorser::from_pem(&pem, &pem, None).unwrap();
    let signer = Signer { endorser, email: None, profile: Profile::Modern, sha256_digest: false };
    let base = url::Url::parse("http://127.0.0.1:8080").unwrap();
    let market = MarketFolder::new(&path("market"), &base).unwrap();
    let shared = Shared {
        folder: Directory::new(&path("store")).unwrap(),
        image: path("store").join("a.img.gz"),
    };
    let run = |target: &dyn Target| {
        let publication = Publication {
            signer: Some(&signer),
            registry: Some(&market),
            force: true,
            ..Publication::new(path("a.img.gz"), target)
        };
        publish(&publication, &Control::default())
    };
    let error = run(&shared).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Mismatch, "image-replaced"));
    assert!(!path("market").join("metadata").exists());

    fs::remove_file(&shared.image).unwrap();
    run(&shared.folder).unwrap();
    assert!(path("market").join("metadata").exists());
}

//! Every server: from a disk to an entry, and the same again.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::places::{self, Place};
use super::user::{User, canonical, checks, good};
use crate::servers::market::Market;

const SCHEME: &str = "[stratuslab_repo]\n\
                      repo_structure = #type_#/#os#-#osversion#-#arch#-#type#/#version#\n\
                      repo_filename = #os#-#osversion#-#arch#-#type#-#version#.img.#compression#\n";

#[test]
fn a_disk_comes_to_every_server_and_is_registered() {
    thread::scope(|scope| {
        for start in places::all() {
            scope.spawn(move || comes_there(&start()));
        }
    });
}

fn comes_there(place: &Place) {
    let (user, market) = (User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let more: Vec<&str> = place.args.iter().map(String::as_str).collect();
    let publish = |more: &[&str]| {
        let mut command = user.publish("a.vdi", &place.url(), &market.url(), more);
        command.output().unwrap()
    };
    let first = good(publish(&more));
    assert_eq!(first["published"]["already"], false);
    assert_eq!(first["published"]["proof"], "read back");
    let names = ["a.img.gz", "a.img.gz.sha256", "a.xml"];
    assert_eq!(place.names(), names, "{}", place.path);
    is_right(place, &user, &market, "a.img.gz", "a.xml");

    // Again it only looks, and is quick.
    let began = Instant::now();
    let second = good(publish(&more));
    assert!(began.elapsed() < Duration::from_secs(2), "{}: {:?}", place.path, began.elapsed());
    assert_eq!(second["published"]["already"], true);
    assert_eq!(second["published"]["entry"]["already"], true);
    assert_eq!(second["published"]["manifest"], first["published"]["manifest"]);
    assert_eq!((place.names(), market.uploads()), (names.map(str::to_owned).to_vec(), 1));

    // A repository with a scheme of its own names things after it.
    fs::create_dir_all(place.path_of(".stratuslab")).unwrap();
    fs::write(place.path_of(".stratuslab/stratuslab.repo.cfg"), SCHEME).unwrap();
    let facts = ["--os", "debian", "--os-version", "12", "--os-arch", "x86_64"];
    let third = good(publish(&[&more[..], &facts].concat()));
    let stem = "base/debian-12-x86_64-base/1.0/debian-12-x86_64-base-1.0";
    let (image, manifest) = (format!("{stem}.img.gz"), format!("{stem}.xml"));
    assert_eq!(third["published"]["location"], format!("{}/{image}", place.url()));
    assert_eq!(market.entries().len(), 2);
    is_right(place, &user, &market, &image, &manifest);
    place.is_clean();
}

/// The newest entry is about an image that is there, and is the manifest beside it.
fn is_right(place: &Place, user: &User, market: &Market, image: &str, manifest: &str) {
    let stored = fs::read(place.path_of(image)).unwrap();
    assert!(stored == fs::read(user.path("a.img.gz")).unwrap(), "{}: it differs", place.path);
    checks(&place.path_of(&format!("{image}.sha256")));
    let (_, entry) = market.entries().pop_last().unwrap();
    let beside = fs::read(place.path_of(manifest)).unwrap();
    assert_eq!(canonical(&entry), canonical(&beside), "{}", place.path);
    assert_eq!(beside, fs::read(user.path("a.xml")).unwrap());
    fs::write(user.path("entry.xml"), entry).unwrap();
    let url = format!("{}/{image}", place.url());
    let mut verify = user.program(["metadata", "verify", "entry.xml", &url]);
    let output = verify.args(&place.args).output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", place.path);
}

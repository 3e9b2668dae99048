//! What repositories refuse: logins, names that are taken, room.

use std::fs;

use super::places::{self, Place};
use super::user::{User, bad, checks, good};
use crate::servers::apache;
use crate::servers::market::{Market, ask};

#[test]
fn a_wrong_login_ends_it_before_anything_is_sent() {
    for path in ["basic/x", "digest/x", "writers/x"] {
        let (place, user, market) = (places::apache(path), User::new(), Market::start(&[]));
        user.disk("a.vdi", 1);
        user.netrc("wrong-9Z");
        let output = user.publish("a.vdi", &place.url(), &market.url(), &[]).output().unwrap();
        assert!(!format!("{output:?}").contains("wrong-9Z"), "{output:?}");
        bad(output, 77);
        let log = fs::read_to_string(place.server.folder.path().join("access.log")).unwrap();
        assert!(log.contains(" 401 ") && !log.contains("PUT "), "{path}: {log}");
        assert_eq!((place.server.names(), market.uploads()), (Vec::new(), 0), "{path}");
    }
}

#[test]
fn another_object_is_replaced_only_when_that_is_wanted() {
    for start in
        [|| places::apache("open/x"), || places::nginx("open/x"), || places::lighttpd(true)]
    {
        is_kept(&start());
    }
}

fn is_kept(place: &Place) {
    let (user, market) = (User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let image = place.path_of("a.img.gz");
    fs::create_dir_all(image.parent().unwrap()).unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(image.parent().unwrap(), mode(0o777)).unwrap();
    fs::write(&image, "somebody's").unwrap();
    let publish =
        |more: &[&str]| user.publish("a.vdi", &place.url(), &market.url(), more).output().unwrap();
    let said = bad(publish(&[]), 73);
    assert!(said.contains("a.img.gz"), "{said}");
    assert_eq!(fs::read(&image).unwrap(), b"somebody's");
    assert_eq!((place.names(), market.uploads()), (vec!["a.img.gz".to_owned()], 0));
    // The image of this run is the same: --force makes it again, and replaces what is there.
    good(publish(&["--force"]));
    assert!(fs::read(&image).unwrap() == fs::read(user.path("a.img.gz")).unwrap());
    checks(&place.path_of("a.img.gz.sha256"));
    assert_eq!(market.entries().len(), 1);
    place.is_clean();
}

#[test]
fn a_server_without_room_has_nothing_false() {
    let options = apache::Options { room: Some(2 << 20), ..Default::default() };
    let (server, user, market) = (apache::start(options), User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let url = server.url("open/x").to_string();
    let more = ["--retries", "1"];
    let said = bad(user.publish("a.vdi", &url, &market.url(), &more).output().unwrap(), 74);
    assert!(said.contains("no room"), "{said}");
    assert_eq!(market.uploads(), 0);
    assert!(!user.path("a.xml").exists(), "signed before the image was there");
    // Only the server sees its small file system: it is asked.
    for name in ["a.img.gz", "a.img.gz.sha256", "a.xml"] {
        assert_eq!(ask(server.port, "HEAD", &format!("/open/x/{name}"), b"").0, 404, "{name}");
    }
}

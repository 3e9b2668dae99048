//! What an earlier run did, and what others did since.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::places;
use super::user::{User, bad, good};
use crate::common::testdata;
use crate::servers::market::Market;

/// A byte in the middle of what is stored changes: its size and its end do not tell.
fn damage(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[1000] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_image_is_read_as_a_whole_before_it_is_announced_anywhere() {
    let (place, user) = (places::apache("open/x"), User::new());
    let (first, second) = (Market::start(&[]), Market::start(&[]));
    user.disk("a.vdi", 1);
    good(user.publish("a.vdi", &place.url(), &first.url(), &[]).output().unwrap());
    damage(&place.path_of("a.img.gz"));
    bad(user.publish("a.vdi", &place.url(), &second.url(), &[]).output().unwrap(), 73);
    assert_eq!(second.uploads(), 0);
}

#[test]
fn a_registration_that_failed_is_made_good_only_for_the_same_image() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    market.fault("500-before", 9);
    let publish = || {
        let more = ["--retries", "0"];
        user.publish("a.vdi", &place.url(), &market.url(), &more).output().unwrap()
    };
    bad(publish(), 69);
    market.fault("500-before", 0);
    let whole = fs::read(place.path_of("a.img.gz")).unwrap();
    damage(&place.path_of("a.img.gz"));
    bad(publish(), 73);
    assert_eq!(market.stored(), 0);
    fs::write(place.path_of("a.img.gz"), whole).unwrap();
    good(publish());
    assert_eq!(market.stored(), 1);
}

#[test]
fn somebody_elses_file_with_the_name_of_the_checksum_is_not_replaced() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let path = place.path_of("a.img.gz.sha256");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), PermissionsExt::from_mode(0o777)).unwrap();
    fs::write(&path, "notes\n").unwrap();
    let publish =
        |more: &[&str]| user.publish("a.vdi", &place.url(), &market.url(), more).output().unwrap();
    let said = bad(publish(&[]), 73);
    assert!(said.contains("is no checksum"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"notes\n");
    assert!(!place.path_of("a.img.gz").exists(), "found before the upload");
    good(publish(&["--force"]));
    assert!(fs::read_to_string(&path).unwrap().ends_with("  a.img.gz\n"));
}

/// From a first try with one key to the real one.
#[test]
fn a_manifest_that_an_earlier_run_wrote_is_replaced() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let embedded = user.program(["a.vdi", "--no-context", "--marketplace", "--json"]);
    let first = good({ embedded }.output().unwrap());
    let second = good(user.publish("a.vdi", &place.url(), &market.url(), &[]).output().unwrap());
    let of = |said: &serde_json::Value| said["published"]["manifest"]["endorser"].clone();
    assert_ne!(of(&first), of(&second));
    fs::copy(testdata("keys/mallory.pem"), user.path("mallory.pem")).unwrap();
    let words = ["a.vdi", "--no-context", "--key", "mallory.pem", "--json", "--repository"];
    let mut third = user.program(words);
    third.arg(place.url()).args(["--marketplace", &market.url()]);
    assert_ne!(of(&good(third.output().unwrap())), of(&second));
}

#[test]
fn an_entry_of_a_replaced_image_is_told() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    let publish = || {
        let more = ["--force"];
        user.publish("a.vdi", &place.url(), &market.url(), &more).output().unwrap()
    };
    user.disk("a.vdi", 1);
    let first = good(publish());
    user.disk("a.vdi", 2);
    let second = publish();
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    let old = first["published"]["entry"]["url"].as_str().unwrap();
    assert!(told.contains(&format!("{old} still names the image that was replaced")), "{told}");
    good(second);
    let third = publish();
    assert!(!String::from_utf8_lossy(&third.stderr).contains("still names"), "{third:?}");
}

/// Each has an entry in the end, also if both sign in the same second.
#[test]
fn the_same_image_is_published_from_two_folders_at_once() {
    let (place, market) = (places::apache("open/x"), Market::start(&[]));
    let users = [User::new(), User::new()];
    std::thread::scope(|scope| {
        for (user, title) in users.iter().zip(["one", "two"]) {
            user.disk("a.vdi", 1);
            let (url, market) = (place.url(), market.url());
            scope.spawn(move || {
                let more = ["--title", title];
                good(user.publish("a.vdi", &url, &market, &more).output().unwrap());
            });
        }
    });
    assert_eq!(market.stored(), 2);
}

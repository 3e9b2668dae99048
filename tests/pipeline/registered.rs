//! What the marketplace answers, and what becomes of it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use stratus::metadata::keys::{Endorser, generate};
use stratus::metadata::signature::{Options, Profile, sign};
use stratus::metadata::{Manifest, date};

use super::places::{self, Place};
use super::user::{User, bad, good};
use crate::common::{judge, testdata};
use crate::servers::market::Market;

/// A user with a disk, and a repository of its own for each case.
struct Case {
    user: User,
    place: Place,
}

impl Case {
    fn new() -> Self {
        let user = User::new();
        user.disk("a.vdi", 1);
        Case { user, place: places::nginx("open/x") }
    }

    fn publish(&self, folder: &str, market: &str, more: &[&str]) -> std::process::Output {
        let url = format!("{}/{folder}", self.place.url());
        self.user.publish("a.vdi", &url, market, more).output().unwrap()
    }

    /// What is in one of the folders.
    fn names(&self, folder: &str) -> Vec<String> {
        let names = self.place.names().into_iter();
        names.filter_map(|name| name.strip_prefix(folder).map(str::to_owned)).collect()
    }
}

#[test]
fn an_entry_that_waits_for_a_mail_is_sent_once() {
    let (case, market) = (Case::new(), Market::start(&["--mail"]));
    let publish = || good(case.publish("a", &market.url(), &[]));
    let first = publish();
    let pending = first["published"]["entry"]["pending"].as_str().unwrap();
    assert!(pending.contains("jane.tester@example.org"), "{pending}");
    assert_eq!(market.entries().len(), 0);
    let plain = case.user.publish("a.vdi", &format!("{}/a", case.place.url()), &market.url(), &[]);
    let args = plain.get_args().filter(|word| *word != "--json");
    let text = case.user.program(args).output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("follow the link in the mail"), "{text}");
    assert_eq!(publish()["published"]["entry"]["already"], true);
    assert_eq!(market.uploads(), 1, "it was sent again");
    market.confirm();
    let last = publish();
    assert!(last["published"]["entry"]["url"].is_string(), "{last}");
    assert_eq!((market.uploads(), market.entries().len()), (1, 1));
}

#[test]
fn what_the_marketplace_does_wrong_has_its_code() {
    let (case, market) = (Case::new(), Market::start(&[]));
    // Fault, how often, exit code, what is said.
    let cases = [
        ("400", 1, 65, "news"),
        ("500-before", 2, 69, "500"),
        ("not-stored", 1, 76, "has nothing at"),
        ("401", 1, 77, "401"),
    ];
    for (number, (fault, times, code, words)) in cases.into_iter().enumerate() {
        market.fault(fault, times);
        let said = bad(case.publish("a", &market.url(), &["--retries", "1"]), code);
        assert!(said.contains(words) && !said.contains('\x1b'), "{fault}: {said}");
        assert_eq!(market.entries().len(), 0, "{fault}");
        // The image is there and stays there: it need not be sent again.
        assert_eq!(case.names("a/"), ["a.img.gz", "a.img.gz.sha256", "a.xml"], "{number}");
    }
    market.fault("500-after", 1);
    let last = good(case.publish("a", &market.url(), &["--retries", "1"]));
    assert_eq!(last["published"]["already"], true);
    assert_eq!(market.entries().len(), 1);

    let other = Market::start(&[]);
    other.fault("stores-altered", 1);
    let said = bad(case.publish("a", &other.url(), &["--title", "t"]), 76);
    assert!(said.contains("is not the one that was signed"), "{said}");

    let copy = Market::start(&["--read-only"]);
    let said = bad(case.publish("a", &copy.url(), &[]), 77);
    assert!(said.contains("read-only repository"), "{said}");
    assert_eq!(copy.entries().len(), 0);

    let gone = "http://127.0.0.1:9";
    bad(case.publish("b", gone, &["--retries", "0"]), 69);
    assert_eq!(case.names("b/"), Vec::<String>::new(), "uploaded before it was asked");
}

#[test]
fn a_clock_behind_the_newest_entry_is_found_before_the_upload() {
    let (case, market, ahead) = (Case::new(), Market::start(&[]), Market::start(&[]));
    good(case.publish("a", &market.url(), &[]));
    let manifest = Manifest::from_xml(&fs::read(case.user.path("a.xml")).unwrap()).unwrap();
    let p12 = fs::read(testdata("keys/legacy.p12")).unwrap();
    let jane = Endorser::from_p12(&p12, Some("secret"), None).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let created = date::text(now + 2 * 86_400);
    let options =
        Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
    let later = sign(&manifest.to_xml().unwrap(), &jane, &options).unwrap();
    let (status, said) = ahead.ask("POST", "/metadata", later.as_bytes());
    assert_eq!(status, 201, "{said}");
    let said = bad(case.publish("b", &ahead.url(), &[]), 65);
    assert!(said.contains("taken for older"), "{said}");
    assert_eq!(case.names("b/"), Vec::<String>::new());
    assert_eq!((ahead.uploads(), ahead.entries().len()), (1, 1));
}

/// An entry from the future would be the newest one until then.
#[test]
fn a_clock_far_ahead_of_the_marketplace_is_found_before_the_upload() {
    let (case, market) = (Case::new(), Market::start(&[]));
    let publish = case.user.publish("a.vdi", &case.place.url(), &market.url(), &[]);
    let mut ahead = judge("faketime", "faketime");
    ahead.args(["-f", "+2d"]).arg(publish.get_program()).args(publish.get_args());
    ahead.current_dir(publish.get_current_dir().unwrap()).env_clear();
    ahead.envs(publish.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = ahead.output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert_eq!((market.uploads(), market.entries().len()), (0, 0));
    assert!(case.place.server.names().iter().all(|name| !name.contains(".img.gz")), "{output:?}");
}

#[test]
fn nobody_signs_in_anothers_name() {
    let (case, market) = (Case::new(), Market::start(&[]));
    let endorsers = || -> Vec<String> {
        let entries = market.entries().into_keys();
        entries.map(|name| name.split('/').nth(1).unwrap().to_owned()).collect()
    };
    let (jane, mallory) = ("jane.tester@example.org", "mallory@example.org");
    let output = case.publish("a", &market.url(), &["--email", mallory]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("warning") && said.contains(jane), "{said}");
    assert_eq!(good(output)["published"]["manifest"]["endorser"], jane);
    assert_eq!(endorsers(), [jane]);
    // Whoever has another key says something of its own about the same image.
    fs::copy(testdata("keys/mallory.pem"), case.user.path("mallory.pem")).unwrap();
    let url = format!("{}/a", case.place.url());
    let words = ["a.img.gz", "--key", "mallory.pem", "--json"];
    let publish = |more: &[&str]| {
        let mut publish = case.user.program(words);
        publish.args(["--repository", &url, "--marketplace", &market.url()]).args(more);
        publish.output().unwrap()
    };
    // The manifest beside the image is another's, as far as anybody knows: it is replaced only if
    // that is said.
    fs::remove_dir_all(case.user.path(".a.img.gz.stratus")).unwrap();
    assert_eq!(publish(&[]).status.code(), Some(73));
    assert_eq!(endorsers(), [jane]);
    let second = good(publish(&["--force"]));
    assert_eq!(second["published"]["already"], true);
    assert_eq!(second["published"]["manifest"]["endorser"], endorsers()[1]);
    assert_eq!(endorsers().len(), 2);
}

#[test]
fn an_image_that_was_taken_back_is_offered_again_only_if_that_is_said() {
    let (case, market) = (Case::new(), Market::start(&[]));
    let publish = |more: &[&str]| case.publish("a", &market.url(), more);
    let first = good(publish(&[]));
    let identifier = first["published"]["manifest"]["identifier"].as_str().unwrap();
    let marketplace = format!("--marketplace={}", market.url());
    let words = ["deprecate", identifier, "--reason", "a hole", &marketplace];
    let key = ["--p12-cert", "jane.p12", "--password-file", "password"];
    let output = case.user.program(words).args(key).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for more in [&[][..], &["--title", "another"]] {
        let said = bad(publish(more), 65);
        assert!(said.contains("takes this image back: a hole"), "{said}");
        assert_eq!(market.entries().len(), 2);
    }
    assert_eq!(good(publish(&["--reinstate"]))["published"]["entry"]["already"], false);
    assert_eq!(market.entries().len(), 3);
}

/// Whoever has a key can write any name into its certificate.
#[test]
fn a_forged_entry_locks_its_victim_not_out() {
    let (case, market) = (Case::new(), Market::start(&[]));
    let publish = |more: &[&str]| case.publish("a", &market.url(), more);
    let first = good(publish(&[]));
    let manifest = &first["published"]["manifest"];
    let (identifier, email) =
        (manifest["identifier"].as_str().unwrap(), manifest["endorser"].as_str().unwrap());
    let marketplace = format!("--marketplace={}", market.url());
    let deprecate = |reason: &str, key: &[&str]| {
        let words = ["deprecate", identifier, "--json", "--reason", reason, &marketplace];
        case.user.program(words).args(key).output().unwrap()
    };
    let jane = ["--p12-cert", "jane.p12", "--password-file", "password"];
    let stated = Manifest::from_xml(&fs::read(case.user.path("a.xml")).unwrap()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let forger = generate("Jane Tester", email, 30, 2048, now).unwrap();
    let created = date::text(now + 1);
    let options =
        Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
    let back = Manifest { deprecated: Some("forged".to_owned()), ..stated };
    let forged = sign(&back.to_xml().unwrap(), &forger, &options).unwrap();
    assert_eq!(market.ask("POST", "/metadata", forged.as_bytes()).0, 201);

    let said = bad(deprecate("a hole", &jane), 65);
    assert!(said.contains("another key"), "{said}");
    let output = publish(&[]);
    let warned = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warned.contains("another key") && warned.contains("does not count"), "{warned}");
    assert_eq!(good(output)["published"]["entry"]["already"], false);
    good(deprecate("a hole", &jane));
    assert!(bad(publish(&[]), 65).contains("takes this image back: a hole"));
}

/// An upload takes its time.
#[test]
fn an_image_that_is_taken_back_during_the_upload_is_not_offered() {
    let (case, market) =
        (Case { place: places::apache("open/x"), ..Case::new() }, Market::start(&[]));
    let first = good(case.publish("a", &market.url(), &[]));
    let identifier = first["published"]["manifest"]["identifier"].as_str().unwrap();
    let url = format!("{}/b", case.place.url());
    let slow = ["--limit-upload", "1M", "--title", "another"];
    let mut second = case.user.publish("a.vdi", &url, &market.url(), &slow);
    second.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut second = second.spawn().unwrap();
    while !case.place.server.names().iter().any(|name| name.ends_with(".part")) {
        assert!(second.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let marketplace = format!("--marketplace={}", market.url());
    let words = ["deprecate", identifier, "--reason", "a hole", &marketplace];
    let key = ["--p12-cert", "jane.p12", "--password-file", "password"];
    let output = case.user.program(words).args(key).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = bad(second.wait_with_output().unwrap(), 65);
    assert!(said.contains("takes this image back: a hole"), "{said}");
    assert_eq!(market.entries().len(), 2);
}

#[test]
fn a_location_that_others_cannot_reach_is_not_registered_elsewhere() {
    let (case, market) = (Case::new(), Market::start(&[]));
    // The way to the name goes through the stand-in, which takes it for its own.
    let elsewhere = "http://marketplace.example";
    let publish = |repository: &str, more: &[&str]| {
        let mut command = case.user.publish("a.vdi", repository, elsewhere, more);
        command.env("http_proxy", market.url()).env("no_proxy", "127.0.0.1");
        command.output().unwrap()
    };
    let at_loopback = format!("{}/a", case.place.url());
    let folder = case.user.path("store");
    let file = format!("file://{}", folder.display());
    let refused: [(&str, &[&str]); 8] = [
        (&at_loopback, &[]),
        (&file, &[]),
        (folder.to_str().unwrap(), &[]),
        (&at_loopback, &["--location", "file:///srv/a.img.gz"]),
        (&at_loopback, &["--location", "http://localhost/a.img.gz"]),
        (&at_loopback, &["--location", "http://[::1]/a.img.gz"]),
        (&at_loopback, &["--location", "http://user:pw-9Z@images.example/a.img.gz"]),
        (&at_loopback, &["--location", "pdisk:https://user:pw-9Z@images.example:8445/x"]),
    ];
    for (repository, more) in refused {
        let said = bad(publish(repository, more), 65);
        assert!(said.contains("location") && !said.contains("pw-9Z"), "{said}");
        assert_eq!((case.names("a/"), market.uploads()), (Vec::new(), 0), "{repository} {more:?}");
        assert!(!folder.join("a.img.gz").exists(), "{repository} {more:?}");
    }
    let public = ["--location", "https://images.example/a.img.gz"];
    let registered = good(publish(&at_loopback, &public));
    assert_eq!(registered["published"]["location"], public[1]);
    let url = registered["published"]["entry"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://marketplace.example/metadata/"), "{url}");
    good(publish(&at_loopback, &["--any-location"]));
    assert_eq!(market.entries().len(), 2);
}

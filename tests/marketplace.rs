//! The marketplace's client and the embedded market's folder, against a stand-in for the original
//! server that shares no code with them (`tests/marketplace/server.py`).
//!
//! The judges are that server, which asks xmlsec1 and OpenSSL, and what it has in its folder.

mod common;
#[path = "common/liar.rs"]
mod liar;
#[path = "servers/mod.rs"]
mod servers;
#[path = "common/targets.rs"]
mod targets;

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use common::judge;
use servers::market::Market;
use stratus::control::{Control, Event};
use stratus::digest::Algorithm;
use stratus::error::{Error, Kind};
use stratus::metadata::keys::Endorser;
use stratus::metadata::signature::{Options, Profile, sign};
use stratus::metadata::{Manifest, date, identifier};
use stratus::publish::http::{Client, Login, Retries, Secret, Transport};
use stratus::publish::market_folder::MarketFolder;
use stratus::publish::marketplace::Marketplace;
use stratus::publish::registry::{
    Endorsed, Entry, NOT_NEWER, Registered, Registry, Signed, to_deprecate,
};
use stratus::publish::whose::Whose;
use targets::watched;
use url::Url;

const SHA1: &str = "c319bbd5afc0a22ba3eaed0507c39383ec28eeff";
const ID: &str = "MMZu9WvwKIro-rtBQfDk4PsKO7_";
const JANE: &str = "jane.tester@example.org";

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

// Documents --------------------------------------------------------------------------------------

/// An endorser whose key OpenSSL made.
fn endorser(number: usize) -> &'static Endorser {
    static ENDORSERS: [OnceLock<Endorser>; 2] = [const { OnceLock::new() }; 2];
    ENDORSERS[number].get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let made = judge("openssl", "openssl")
            .current_dir(&folder)
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"])
            .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj"])
            .arg("/C=EU/O=StratusLab Project/OU=Testing Department/CN=Jane Tester")
            .args(["-addext", &format!("subjectAltName=email:{JANE}")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        Endorser::from_pem(&read("key.pem"), &read("cert.pem"), None).unwrap()
    })
}

fn manifest() -> Manifest {
    let text = |text: &str| Some(text.to_owned());
    Manifest {
        bytes: 1 << 30,
        checksums: [(Algorithm::Sha1, SHA1.to_owned())].into(),
        type_: "base".to_owned(),
        kind: text("machine"),
        created: text("2026-11-23T14:00:00Z"),
        valid: text("2099-12-31T00:00:00Z"),
        title: text("Debian 12 & <more> \u{e9}"),
        description: text("a test"),
        os: text("debian"),
        os_version: text("12"),
        os_arch: text("x86_64"),
        version: text("1.0"),
        format: text("raw"),
        compression: text("gz"),
        locations: vec!["https://repo.example.org/mydisk.img.gz".to_owned()],
        ..Manifest::default()
    }
}

fn signed_by(manifest: &Manifest, who: &Endorser, created: u64, profile: Profile) -> Vec<u8> {
    let created = date::text(created);
    let options = Options { profile, sha256_digest: false, created, email: None };
    sign(&manifest.to_xml().unwrap(), who, &options).unwrap().into_bytes()
}

/// The usual document, endorsed at a time.
fn document(created: u64) -> Vec<u8> {
    signed_by(&manifest(), endorser(0), created, Profile::Stratuslab)
}

fn entry(created: u64) -> Entry {
    Entry::new(ID, JANE, &date::text(created)).unwrap()
}

// The server -------------------------------------------------------------------------------------

struct Server {
    market: Market,
    path: &'static str,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        Server { market: Market::start(options), path: "" }
    }

    /// How many uploads came, and how many were stored.
    fn counts(&self) -> (u64, u64) {
        (self.uploads(), self.stored())
    }

    fn url(&self) -> String {
        self.market.url() + self.path
    }

    fn client(&self) -> Marketplace {
        client(&self.url())
    }

    fn entry_url(&self, created: u64) -> String {
        format!("{}/metadata/{ID}/{JANE}/{}", self.url(), date::text(created))
    }
}

impl Deref for Server {
    type Target = Market;

    fn deref(&self) -> &Market {
        &self.market
    }
}

fn client(url: &str) -> Marketplace {
    let transport = Transport {
        retries: Retries::Times(2),
        idle: Duration::from_secs(10),
        backoff: Duration::from_millis(10),
        ..Transport::default()
    };
    Marketplace::new(url, Client::new(&transport).unwrap()).unwrap()
}

fn warnings(events: &std::sync::Mutex<Vec<Event>>) -> Vec<String> {
    let warning = |event: &Event| match event {
        Event::Warn(text) => Some(text.clone()),
        _ => None,
    };
    events.lock().unwrap().iter().filter_map(warning).collect()
}

/// Printable, bounded, without what the server should not be able to say.
#[track_caller]
fn harmless(text: &str) {
    assert!(text.chars().all(|c| !c.is_control()) && text.len() < 1000, "{text:?}");
    assert!(!text.contains("sesame"), "{text:?}");
}

static QUIET: LazyLock<Control> = LazyLock::new(Control::default);

// What has to be ---------------------------------------------------------------------------------

#[test]
fn an_entry_is_registered_once_and_found_again() {
    let server = Server::start(&[]);
    let market = server.client();
    let now = now();
    let sent = document(now);
    assert_eq!(market.newest(ID, JANE, &QUIET).unwrap(), None);
    assert_eq!(market.fetch(&entry(now), &QUIET).unwrap(), None);

    let (control, events) = watched(None);
    let registered = market.register(&sent, now, &control).unwrap();
    assert_eq!(registered, Registered::Created { url: server.entry_url(now) });
    assert_eq!(warnings(&events), Vec::<String>::new());
    assert_eq!(server.counts(), (1, 1));

    // The server has written it anew, and it is still the same.
    let there = market.fetch(&entry(now), &QUIET).unwrap().unwrap();
    assert!(Signed::read(&there, now).unwrap().is(&Signed::read(&sent, now).unwrap()));
    let newest = market.newest(ID, JANE, &QUIET).unwrap().unwrap();
    assert_eq!(newest.created, date::text(now));

    // Again, as a new process would do it.
    let again = server.client().register(&sent, now, &QUIET).unwrap();
    assert_eq!(again, Registered::Already { url: server.entry_url(now) });
    assert_eq!(server.counts(), (1, 1));

    // A later one, with the other digest that StratusLab's programs take.
    let created = date::text(now + 1);
    let options =
        Options { profile: Profile::Stratuslab, sha256_digest: true, created, email: None };
    let later = sign(&manifest().to_xml().unwrap(), endorser(0), &options).unwrap();
    market.register(later.as_bytes(), now, &QUIET).unwrap();
    assert_eq!(market.newest(ID, JANE, &QUIET).unwrap().unwrap().created, date::text(now + 1));
    let plan = market.plan(ID, JANE).join("\n");
    assert!(plan.contains(&format!("POST {}/metadata", server.url())), "{plan}");
}

#[test]
fn an_entry_that_is_not_newer_is_not_even_sent() {
    let server = Server::start(&[]);
    let market = server.client();
    let now = now();
    market.register(&document(now), now, &QUIET).unwrap();
    let mut other = manifest();
    other.title = Some("another".to_owned());
    let same_second = signed_by(&other, endorser(0), now, Profile::Stratuslab);
    let older = document(now - 1);
    let anothers = signed_by(&manifest(), endorser(1), now, Profile::Stratuslab);
    for (document, kind) in
        [(&same_second, Kind::Refused), (&older, Kind::Refused), (&anothers, Kind::Mismatch)]
    {
        let error = market.register(document, now, &QUIET).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let restart = error.advice().unwrap().contains("--restart");
        assert_eq!(restart, error.code() == "marketplace-other", "{error}");
        assert_eq!(kind == Kind::Refused, error.code() == NOT_NEWER, "{error}");
    }
    // Also if the newest one is deprecated.
    let gone = Manifest { deprecated: Some("too old".to_owned()), ..manifest() };
    let gone = signed_by(&gone, endorser(0), now + 10, Profile::Stratuslab);
    market.register(&gone, now, &QUIET).unwrap();
    let error = market.register(&document(now + 5), now, &QUIET).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Refused, "entry-not-newer"));
    assert_eq!(server.counts(), (2, 2));
}

#[test]
fn slashes_and_paths_in_the_address_do_no_harm() {
    let mut server = Server::start(&["--prefix", "mp/v1"]);
    server.path = "/mp/v1";
    let now = now();
    let odd = format!("http://127.0.0.1:{}//mp//v1///", server.port());
    let registered = client(&odd).register(&document(now), now, &QUIET).unwrap();
    assert_eq!(registered, Registered::Created { url: server.entry_url(now) });
}

#[test]
fn what_the_server_refuses_is_said_in_its_words() {
    let now = now();
    let refused = |options: &[&str], document: &[u8]| -> (Error, (u64, u64)) {
        let server = Server::start(options);
        let error = server.client().register(document, now, &QUIET).unwrap_err();
        harmless(&error.to_string());
        (error, server.counts())
    };
    let modern = signed_by(&manifest(), endorser(0), now, Profile::Modern);
    let (error, counts) = refused(&[], &modern);
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("cannot find validation key"), "{error}");
    assert_eq!(counts, (1, 0));

    let (error, counts) = refused(&["--read-only"], &document(now));
    assert_eq!(error.kind(), Kind::Permission);
    assert!(error.to_string().contains("read-only repository"), "{error}");
    assert_eq!(counts, (1, 0));

    // What is not signed rightly is not sent.
    let forged = String::from_utf8(document(now)).unwrap().replace("debian", "devian");
    for (document, kind) in [(forged.as_bytes(), Kind::Mismatch), (b"<a/>", Kind::Refused)] {
        let (error, counts) = refused(&["--modern"], document);
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(counts, (0, 0));
    }
    // Nor is what the schema forbids, though the original server takes it: here, the order.
    let identifier = format!("<dcterms:identifier>{ID}</dcterms:identifier>");
    let unsigned = manifest().to_xml().unwrap();
    assert!(unsigned.contains(&identifier));
    let unsigned = unsigned
        .replace(&identifier, "")
        .replace("<slterms:os>", &format!("{identifier}<slterms:os>"));
    let created = date::text(now);
    let options =
        Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
    let invalid = sign(&unsigned, endorser(0), &options).unwrap();
    let (error, counts) = refused(&[], invalid.as_bytes());
    assert_eq!((error.kind(), error.code(), counts), (Kind::Refused, "entry-invalid", (0, 0)));
    let server = Server::start(&[]);
    assert_eq!(server.ask("POST", "/metadata", invalid.as_bytes()).0, 201);

    let server = Server::start(&["--modern"]);
    server.client().register(&modern, now, &QUIET).unwrap();
}

#[test]
fn an_entry_that_waits_for_a_mail_is_pending() {
    let server = Server::start(&["--mail"]);
    let now = now();
    let registered = server.client().register(&document(now), now, &QUIET).unwrap();
    let Registered::Pending { message } = registered else { panic!("{registered:?}") };
    assert!(message.contains(JANE), "{message}");
    assert_eq!(server.counts(), (1, 0));

    // Somebody reads the mail.
    let counts: serde_json::Value =
        serde_json::from_str(&server.ask("GET", "/_counts", b"").1).unwrap();
    let key = counts["pending"][0].as_str().unwrap();
    assert_eq!(server.ask("GET", &format!("/action/{key}/confirm/"), b"").0, 201);
    let registered = server.client().register(&document(now), now, &QUIET).unwrap();
    assert_eq!(registered, Registered::Already { url: server.entry_url(now) });
    assert_eq!(server.counts(), (1, 1));
}

#[test]
fn no_server_and_no_time_are_errors() {
    let now = now();
    let error = client("http://127.0.0.1:9").register(&document(now), now, &QUIET).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let server = Server::start(&[]);
    let (control, _) = watched(None);
    control.stop.store(15, std::sync::atomic::Ordering::Relaxed);
    let error = server.client().register(&document(now), now, &control).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted(15));
    assert_eq!(server.counts(), (0, 0));
}

/// Each fault, how often it happens, what becomes of the entry (`None`: it is registered), and how
/// many uploads may come and be stored.
type Fault = (&'static str, u32, Option<Kind>, (u64, u64));
const FAULTS: &[Fault] = &[
    ("not-stored", 1, Some(Kind::Protocol), (1, 0)),
    ("stores-altered", 1, Some(Kind::Mismatch), (1, 1)),
    ("endless", 1, None, (1, 1)),
    ("endless-before", 1, Some(Kind::Protocol), (1, 0)),
    ("endless-get", 1, Some(Kind::Protocol), (0, 0)),
    ("garbage-get", 1, Some(Kind::Mismatch), (0, 0)),
    ("503-wait", 1, None, (2, 1)),
    ("503-get", 1, None, (1, 1)),
    ("503-get", 99, Some(Kind::Unavailable), (0, 0)),
    ("redirect-get", 1, Some(Kind::Protocol), (0, 0)),
    ("500-after", 1, None, (1, 1)),
    ("500-before", 1, None, (2, 1)),
    ("500-before", 99, Some(Kind::Unavailable), (3, 0)),
    ("cut-after", 1, None, (1, 1)),
    ("cut-before", 1, None, (2, 1)),
    ("cut-before", 99, Some(Kind::Unavailable), (3, 0)),
    ("400", 1, Some(Kind::Refused), (1, 0)),
    ("400-json", 1, Some(Kind::Refused), (1, 0)),
    ("400-html", 1, Some(Kind::Refused), (1, 0)),
    ("wrong-location", 1, None, (1, 1)),
    ("evil-location", 1, None, (1, 1)),
    ("no-location", 1, None, (1, 1)),
    ("only-200", 1, None, (1, 1)),
    ("clock", 1, None, (1, 1)),
    ("redirect", 1, Some(Kind::Protocol), (1, 0)),
    ("401", 1, Some(Kind::Permission), (1, 0)),
    ("404", 1, Some(Kind::Missing), (1, 0)),
    ("no-http", 99, Some(Kind::Unavailable), (3, 0)),
];

/// Behind a location that leads elsewhere may be what nobody shall read.
#[test]
fn a_location_that_repeats_the_password_is_not_shown() {
    let liar = liar::Liar::new(|ask, store| {
        let body = ask.body.clone()?;
        if ask.header("authorization").is_empty() {
            let asks = "WWW-Authenticate: Basic realm=\"x\"\r\n";
            return Some(liar::Lie::Raw(liar::reply(401, asks, b"")));
        }
        if ask.is("POST") {
            store.insert("posted".to_owned(), body);
            let location = "Location: /metadata/geheim%2D7Q\r\n";
            return Some(liar::Lie::Raw(liar::reply(201, location, b"")));
        }
        let posted = store.get("posted").filter(|_| !ask.path.contains('?'))?;
        Some(liar::Lie::Raw(liar::reply(200, "", posted)))
    });
    let (url, mut transport) = (liar.url("/"), Transport::default());
    let password = Secret::new(servers::PASSWORD);
    transport.credentials.add(&url, Login { user: servers::USER.into(), password });
    let market = Marketplace::new(url.as_str(), Client::new(&transport).unwrap()).unwrap();
    let (control, events) = watched(None);
    let now = now();
    market.register(&document(now), now, &control).unwrap();
    let told = warnings(&events).join(" ");
    assert!(told.contains("an address that repeats the password"), "{told}");
    assert!(!told.contains("7Q"), "{told}");
}

#[test]
fn no_fault_makes_a_false_success_or_registers_twice() {
    for (fault, times, outcome, counts) in FAULTS {
        let server = Server::start(&[]);
        let now = now();
        server.fault(fault, *times);
        let (control, events) = watched(None);
        let registered = server.client().register(&document(now), now, &control);
        match outcome {
            None => {
                let created = Registered::Created { url: server.entry_url(now) };
                assert_eq!(
                    registered.unwrap_or_else(|e| panic!("{fault}: {e}")),
                    created,
                    "{fault}"
                );
                let there = server.client().fetch(&entry(now), &QUIET).unwrap().unwrap();
                Signed::read(&there, now).unwrap();
            }
            Some(kind) => {
                let error = registered.expect_err(fault);
                assert_eq!(error.kind(), *kind, "{fault}: {error}");
                assert!(error.advice().is_some(), "{fault}: {error}");
                harmless(&error.to_string());
                if fault.starts_with("400") {
                    assert!(error.to_string().contains("bad"), "{error}");
                }
            }
        }
        assert_eq!(server.counts(), *counts, "{fault}");
        // The server's wish counts, and not our own 10 ms.
        let waits = format!("{:?}", events.lock().unwrap()).contains("again in 1.0 s (1 of 2)");
        assert_eq!(waits, *fault == "503-wait");
        let warned = warnings(&events);
        warned.iter().for_each(|text| harmless(text));
        let clock = warned.iter().any(|text| text.contains("clock"));
        assert_eq!(clock, *fault == "clock", "{fault}: {warned:?}");
        let location = warned.iter().any(|text| text.contains("says that the entry is at"));
        assert_eq!(
            location,
            fault.ends_with("l-location") || fault.ends_with("g-location"),
            "{fault}"
        );

        // When the fault is over, the same command makes it good, unless something else is there.
        if *times == 1 && *fault != "stores-altered" {
            let registered = server.client().register(&document(now), now, &QUIET).unwrap();
            let was_there = matches!(registered, Registered::Already { .. });
            assert_eq!(was_there, outcome.is_none(), "{fault}");
            assert_eq!(server.counts().1, 1, "{fault}");
        }
    }
}

/// The right octets under another key, or another entry that is signed rightly: neither is what was
/// sent.
#[test]
fn another_signed_document_in_its_place_is_found_out() {
    let now = now();
    let mut retitled = manifest();
    retitled.title = Some("another".to_owned());
    let nothing = b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>";
    // What the same key has signed in the same second is another run's: it can be signed again.
    let others = [
        (signed_by(&manifest(), endorser(1), now, Profile::Stratuslab), Kind::Mismatch),
        (signed_by(&retitled, endorser(0), now, Profile::Stratuslab), Kind::Refused),
        (document(now + 1), Kind::Mismatch),
        (nothing.to_vec(), Kind::Mismatch),
    ];
    for (other, kind) in others {
        let server = Server::start(&[]);
        std::fs::write(server.folder().join("other.xml"), other).unwrap();
        server.fault("stores-file", 1);
        let error = server.client().register(&document(now), now, &QUIET).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(server.counts(), (1, 1));
    }
}

/// A marketplace of several servers, of which the one that is asked learns of the entry last.
#[test]
fn an_entry_that_appears_a_little_later_is_waited_for() {
    let now = now();
    let sent = document(now);
    let name = date::text(now);
    for (asks, found) in [(2, true), (9, false)] {
        let (posted, left) = (AtomicBool::new(false), AtomicUsize::new(asks));
        let text = String::from_utf8(sent.clone()).unwrap();
        let entry = name.clone();
        let liar = liar::Liar::new(move |ask, _| {
            if ask.is("POST") {
                posted.store(ask.body.is_some(), Ordering::Relaxed);
                return ask.body.as_ref().map(|_| liar::Lie::Status(201, String::new()));
            }
            let late = ask.path.contains(&entry) && posted.load(Ordering::Relaxed);
            let more = |left: usize| left.checked_sub(1);
            if late && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
                return Some(liar::Lie::Status(200, text.clone()));
            }
            Some(liar::Lie::Status(404, "<error>no metadata</error>".to_owned()))
        });
        let registered = client(liar.url("/").as_str()).register(&sent, now, &QUIET);
        match registered {
            Ok(registered) => assert!(found && matches!(registered, Registered::Created { .. })),
            Err(error) => assert!(!found && error.code() == "marketplace-promise", "{error}"),
        }
        assert_eq!(liar.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
    }
}

#[test]
fn a_lost_reply_is_made_good_by_a_new_process() {
    let server = Server::start(&[]);
    let now = now();
    let sent = document(now);
    // The first process is killed after sending: all that is known is what the server has.
    assert_eq!(server.ask("POST", "/metadata", &sent).0, 201);
    let registered = server.client().register(&sent, now, &QUIET).unwrap();
    assert_eq!(registered, Registered::Already { url: server.entry_url(now) });
    assert_eq!(server.counts(), (1, 1));
}

#[test]
fn an_entry_is_deprecated_by_its_endorser_alone() {
    let server = Server::start(&[]);
    let market = server.client();
    let now = now();
    let jane = endorser(0);
    let who = Endorsed { email: JANE, certificate: jane.certificate() };
    let ask = |who: &Endorsed| to_deprecate(&market, ID, who, "a hole in its sshd", now, &QUIET);
    assert_eq!(ask(&who).unwrap_err().kind(), Kind::Missing);
    market.register(&document(now), now, &QUIET).unwrap();

    // The other one has another key, and the same names.
    let joe = endorser(1);
    assert_eq!((joe.subject(), joe.issuer()), (jane.subject(), jane.issuer()));
    let error = ask(&Endorsed { certificate: joe.certificate(), ..who }).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Refused, "entry-deprecate"));
    assert!(error.advice().unwrap().contains("use the key"), "{error}");
    to_deprecate(&market, ID, &who, " ", now, &QUIET).unwrap_err();

    let gone = ask(&who).unwrap();
    let expected = Manifest { deprecated: Some("a hole in its sshd".to_owned()), ..manifest() };
    let read = Manifest::from_xml(gone.as_bytes()).unwrap();
    assert_eq!(Manifest { endorsement: None, ..read }, expected);
    let created = date::text(now + 1);
    let options =
        Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
    let gone = sign(&gone, jane, &options).unwrap().into_bytes();
    market.register(&gone, now, &QUIET).unwrap();
    assert_eq!(server.ask("GET", &format!("/metadata/{ID}"), b"").0, 404);
    assert_eq!(server.ask("GET", &format!("/metadata/{ID}?status=deprecated"), b"").0, 200);
    assert_eq!(ask(&who).unwrap_err().kind(), Kind::Refused);
}

/// Joe has the same names in his certificate as Jane, and another key.
#[test]
fn what_another_key_signs_does_not_count_and_locks_nobody_out() {
    let now = now();
    let jane = endorser(0);
    let who = Endorsed { email: JANE, certificate: jane.certificate() };
    let gone = Manifest { deprecated: Some("forged".to_owned()), ..manifest() };
    let forged = |created| signed_by(&gone, endorser(1), created, Profile::Stratuslab);
    let server = Server::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let base = Url::parse("http://127.0.0.1:8080").unwrap();
    let folder = MarketFolder::new(home.path(), &base).unwrap();
    let http = server.client();
    let registries: [&dyn Registry; 2] = [&http, &folder];
    for registry in registries {
        registry.register(&document(now), now, &QUIET).unwrap();
        let own = Whose::ask(registry, &entry(now), &who, now, &QUIET).unwrap();
        assert_eq!(own, Whose::Own(None));
        registry.register(&forged(now + 1), now, &QUIET).unwrap();
        let whose = Whose::ask(registry, &entry(now + 1), &who, now, &QUIET).unwrap();
        let Whose::Others { certificate, deprecates: true } = &whose else { panic!("{whose:?}") };
        let (control, events) = watched(None);
        whose.must_offer(registry, &entry(now + 1), &control).unwrap();
        let warned = warnings(&events).join("");
        for words in ["another key", "takes the image back", certificate, &date::text(now + 1)] {
            assert!(warned.contains(words), "{words}: {warned}");
        }
        let error = whose.clock_is_behind(registry, &entry(now + 1), now);
        assert_eq!((error.kind(), error.code()), (Kind::Refused, "clock-behind"));
        assert!(error.message().contains(certificate), "{error}");
        assert!(error.advice().unwrap().contains("those who run"), "{error}");
    }
    let ask = |registry| to_deprecate(registry, ID, &who, "a hole", now, &QUIET);
    // A marketplace tells of the newest entry only: what Jane registers now is that again.
    let error = ask(&http).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Refused, "entry-deprecate"));
    assert!(error.advice().unwrap().contains("publish the image again"), "{error}");
    http.register(&document(now + 2), now, &QUIET).unwrap();
    for registry in registries {
        let read = Manifest::from_xml(ask(registry).unwrap().as_bytes()).unwrap();
        let expected = Manifest { deprecated: Some("a hole".to_owned()), ..manifest() };
        assert_eq!(Manifest { endorsement: None, ..read }, expected);
    }
}

/// Servers take all of these, and show the image to nobody any more.
#[test]
fn what_takes_an_image_back_or_may_do_so_is_not_passed_over() {
    let now = now();
    let who = Endorsed { email: JANE, certificate: endorser(0).certificate() };
    let home = tempfile::tempdir().unwrap();
    let base = Url::parse("http://127.0.0.1:8080").unwrap();
    let folder = MarketFolder::new(home.path(), &base).unwrap();
    let place = home.path().join("metadata").join(ID).join(JANE);
    std::fs::create_dir_all(&place).unwrap();
    let code = |document: &[u8]| {
        std::fs::write(place.join(date::text(now) + ".xml"), document).unwrap();
        let whose = Whose::ask(&folder, &entry(now), &who, now, &QUIET).unwrap();
        let error = whose.must_offer(&folder, &entry(now), &QUIET).err()?;
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.advice().unwrap().contains("--reinstate"), "{error}");
        Some(error.code())
    };
    let signed = |more: &str| {
        let os = "<slterms:os>";
        let unsigned = manifest().to_xml().unwrap().replacen(os, &format!("{more}{os}"), 1);
        let created = date::text(now);
        let options =
            Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
        sign(&unsigned, endorser(0), &options).unwrap().into_bytes()
    };
    let back = "<slterms:deprecated>a hole</slterms:deprecated>";
    let port = "<slterms:inbound-port>22,80</slterms:inbound-port>";
    assert_eq!(code(&signed("")), None);
    assert_eq!(code(&signed(port)), None);
    for more in ["<slterms:deprecated/>", back, &format!("{port}{back}")] {
        assert_eq!(code(&signed(more)), Some("image-deprecated"), "{more}");
    }
    let altered = String::from_utf8(signed(back)).unwrap().replace("debian", "devian");
    for document in [&b"<a/>"[..], b"", altered.as_bytes(), &document(now + 1)] {
        assert_eq!(code(document), Some("newest-unknown"));
    }
    std::fs::remove_file(place.join(date::text(now) + ".xml")).unwrap();
    let whose = Whose::ask(&folder, &entry(now), &who, now, &QUIET).unwrap();
    let error = whose.must_offer(&folder, &entry(now), &QUIET).unwrap_err();
    assert_eq!(error.code(), "newest-unknown");
}

/// Both answer 404; only one of them in the marketplace's words.
#[test]
fn a_server_that_is_no_marketplace_is_doubted_once() {
    let told = |market: &Marketplace| {
        let (control, events) = watched(None);
        for _ in 0..2 {
            assert!(market.newest(ID, JANE, &control).unwrap().is_none());
        }
        let events = events.lock().unwrap();
        events.iter().filter(|event| matches!(event, Event::Warn(_))).count()
    };
    assert_eq!(told(&Server::start(&[]).client()), 0);
    let liar =
        liar::Liar::new(|_, _| Some(liar::Lie::Status(404, "<h1>Not Found</h1>".to_owned())));
    assert_eq!(told(&client(liar.url("/").as_str())), 1);
}

/// Older programs have their elements in another order than the schema wants.
#[test]
fn an_entry_that_breaks_only_the_schema_can_be_deprecated() {
    let server = Server::start(&[]);
    let market = server.client();
    let now = now();
    let identifier = format!("<dcterms:identifier>{ID}</dcterms:identifier>");
    let unsigned = manifest().to_xml().unwrap().replace(&identifier, "");
    let unsigned = unsigned.replace("<slterms:os>", &format!("{identifier}<slterms:os>"));
    let signed = |unsigned: &str, created: u64| {
        let created = date::text(created);
        let options =
            Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
        sign(unsigned, endorser(0), &options).unwrap().into_bytes()
    };
    let old = signed(&unsigned, now);
    assert_eq!(market.register(&old, now, &QUIET).unwrap_err().code(), "entry-invalid");
    assert_eq!(server.ask("POST", "/metadata", &old).0, 201);

    let who = Endorsed { email: JANE, certificate: endorser(0).certificate() };
    let gone = to_deprecate(&market, ID, &who, "a hole", now, &QUIET).unwrap();
    let registered = market.register(&signed(&gone, now + 1), now, &QUIET).unwrap();
    assert_eq!(registered, Registered::Created { url: server.entry_url(now + 1) });

    // Everything else still counts.
    let wrong = gone.replace("<dcterms:valid>2099", "<dcterms:valid>x2099");
    assert_ne!(wrong, gone);
    let error = market.register(&signed(&wrong, now + 2), now, &QUIET).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Refused, "entry-invalid"), "{error}");
    assert!(!error.message().contains("schema:"), "{error}");
}

/// The server is a judge only if it refuses what the original refuses.
#[test]
fn the_stand_in_refuses_what_the_original_refuses() {
    let server = Server::start(&[]);
    let now = now();
    let sent = String::from_utf8(document(now)).unwrap();
    let unsigned = manifest().to_xml().unwrap();
    let signed = |from: &str, to: &str| {
        assert!(unsigned.contains(from), "{from} is not in {unsigned}");
        let created = date::text(now);
        let options =
            Options { profile: Profile::Stratuslab, sha256_digest: false, created, email: None };
        let text = unsigned.replace(from, to);
        sign(&text, endorser(0), &options).unwrap_or_else(|e| panic!("{from}: {e}"))
    };
    let flaws = [
        ("core signature", sent.replace("debian", "devian")),
        ("unable to parse", sent.replace("</rdf:RDF>", "")),
        ("unable to parse", sent.replace("<rdf:RDF", "<!DOCTYPE a><rdf:RDF")),
        ("one signature", unsigned.clone()),
        ("one type", signed("<dcterms:type>base</dcterms:type>", "")),
        ("xml:base", signed("xml:base=\"http://mp.stratuslab.eu/\"", "xml:base=\"http://x/\"")),
        ("identifier and checksum", signed(SHA1, &SHA1.replace('c', "d"))),
        ("more than one os", signed("<slterms:os>", "<slterms:os>x</slterms:os><slterms:os>")),
        ("date of validity", signed("<dcterms:valid>", "<dcterms:valid>x")),
        (
            "unexpected literal",
            signed("<slterms:os>debian", "<slterms:x><a/></slterms:x><slterms:os>debian"),
        ),
    ];
    for (words, document) in flaws {
        let (status, body) = server.ask("POST", "/metadata", document.as_bytes());
        assert_eq!(status, 400, "{words}: {body}");
        assert!(body.contains(words), "{words}: {body}");
    }
    assert_eq!(server.ask("POST", "/metadata", b"").0, 400);
    assert_eq!(server.ask("POST", "/metadata", sent.as_bytes()).0, 201);
    assert_eq!(server.ask("POST", "//metadata/", sent.as_bytes()).0, 201);
    let (status, body) = server.ask("POST", "/metadata", &document(now - 1));
    assert!(status == 400 && body.contains("older than latest entry"), "{body}");
}

// The embedded market's folder -------------------------------------------------------------------

#[test]
fn the_markets_folder_takes_what_a_server_would_take() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("market");
    let base = Url::parse("http://127.0.0.1:8080").unwrap();
    let market = || MarketFolder::new(&root, &base).unwrap();
    let now = now();
    let sent = document(now);
    assert_eq!(market().newest(ID, JANE, &QUIET).unwrap(), None);
    assert!(market().plan(ID, JANE)[0].contains(ID) && !root.exists());

    let url = format!("http://127.0.0.1:8080/metadata/{ID}/{JANE}/{}", date::text(now));
    let decoded = |url: &str| url.replace("%40", "@").replace("%3A", ":");
    let registered = market().register(&sent, now, &QUIET).unwrap();
    let Registered::Created { url: created } = registered else { panic!("{registered:?}") };
    assert_eq!(decoded(&created), url);
    let path = root.join("metadata").join(ID).join(JANE).join(date::text(now) + ".xml");
    assert_eq!(std::fs::read(&path).unwrap(), sent);
    assert_eq!(market().newest(ID, JANE, &QUIET).unwrap().unwrap().created, date::text(now));
    assert_eq!(
        market().register(&sent, now, &QUIET).unwrap(),
        Registered::Already { url: created }
    );

    let mut other = manifest();
    other.title = Some("another".to_owned());
    let forged = String::from_utf8(document(now + 1)).unwrap().replace("debian", "devian");
    for (document, kind) in [
        (document(now - 1), Kind::Refused),
        (signed_by(&other, endorser(0), now, Profile::Modern), Kind::Refused),
        (forged.into_bytes(), Kind::Mismatch),
        (b"<a/>".to_vec(), Kind::Refused),
    ] {
        let error = market().register(&document, now, &QUIET).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let modern = signed_by(&other, endorser(0), now + 2, Profile::Modern);
    market().register(&modern, now, &QUIET).unwrap();
    let there = market().fetch(&entry(now + 2), &QUIET).unwrap().unwrap();
    assert_eq!(there, modern);
    for (id, email) in [("../../etc", JANE), (ID, "../x@y"), (ID, "a@b/../../c"), ("", "")] {
        assert_eq!(market().newest(id, email, &QUIET).unwrap_err().kind(), Kind::Damaged);
    }
    assert_eq!(identifier::from_sha1(SHA1).unwrap(), ID);
}

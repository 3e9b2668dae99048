//! What real servers refuse: logins, certificates, room, names that are taken.

use std::path::Path;
use std::time::Duration;

use stratus::control::Control;
use stratus::error::{Error, Kind};
use stratus::publish::dav::DavTarget;
use stratus::publish::http::{Login, Secret, Transport};
use stratus::publish::{How, Target, Verify};
use url::Url;

use super::servers::{Server, apache, lighttpd, nginx, tls};
use super::targets::{KEEP, Kept, REPLACE, Sample, noise};
use super::{transport, with_login};

fn store(url: &Url, transport: &Transport, sample: &Sample, how: How) -> Result<(), Error> {
    let target = DavTarget::new(url, transport)?.with_pieces(1 << 20);
    target.store(&sample.object(), how, &mut Kept::default(), &Control::default()).map(|_| ())
}

fn fails(url: &Url, transport: &Transport, kind: Kind) -> Error {
    let sample = Sample::new("a/x.img.gz", noise(1, 100_000));
    let error = store(url, transport, &sample, KEEP).expect_err(url.as_str());
    assert_eq!(error.kind(), kind, "{url}: {error}");
    assert!(error.advice().is_some(), "{url}: {error}");
    error
}

fn login(url: &Url, user: &str, password: &str) -> Transport {
    let mut transport = transport();
    transport.credentials.add(url, Login { user: user.into(), password: Secret::new(password) });
    transport
}

#[test]
fn wrong_logins_are_refused_at_once_and_without_a_word_of_them() {
    let apache = apache::start(apache::Options::default());
    let (nginx, lighttpd) = (nginx::start(None), lighttpd::start(None));
    let urls = [
        apache.url("basic/x"),
        apache.url("digest/x"),
        apache.url("writers/x"),
        nginx.url("basic/x"),
        lighttpd.url("basic/x"),
    ];
    for url in urls {
        for (user, password) in [("test", "wrong-9Z"), ("nobody", "geheim-7Q")] {
            let error = fails(&url, &login(&url, user, password), Kind::Permission);
            let all = format!("{error} {error:?}");
            assert!(!all.contains(password), "{all}");
        }
        fails(&url, &transport(), Kind::Permission);
        // A login of another place is nobody's here.
        let other = Url::parse("http://127.0.0.1:1/basic").unwrap();
        fails(&url, &login(&other, "test", "geheim-7Q"), Kind::Permission);
    }
}

#[test]
fn the_login_in_a_url_and_in_netrc_is_used_and_never_shown() {
    let server = apache::start(apache::Options::default());
    let sample = Sample::new("y.img.gz", noise(2, 100_000));
    let mut url = server.url("digest/in-url");
    url.set_username("test").unwrap();
    url.set_password(Some("geheim-7Q")).unwrap();
    store(&url, &transport(), &sample, KEEP).unwrap();
    let target = DavTarget::new(&url, &transport()).unwrap();
    let shown = format!("{target:?} {} {}", target.identity(), target.location("a"));
    assert!(!shown.contains("geheim") && !shown.contains("test@"), "{shown}");

    let folder = tempfile::tempdir().unwrap();
    let netrc = folder.path().join("netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login test password geheim-7Q\n").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&netrc, mode(0o644)).unwrap();
    let mut transport = transport();
    assert_eq!(transport.credentials.read_netrc(&netrc).unwrap_err().kind(), Kind::Permission);
    std::fs::set_permissions(&netrc, mode(0o600)).unwrap();
    transport.credentials.read_netrc(&netrc).unwrap();
    store(&server.url("basic/by-netrc"), &transport, &sample, KEEP).unwrap();
}

/// Apache's nonces live for a second here, and the upload takes longer.
#[test]
fn a_nonce_that_grew_too_old_is_no_wrong_login() {
    let server = apache::start(apache::Options::default());
    let url = server.url("short/x");
    let transport = Transport { limit: Some(1 << 20), ..with_login(&url) };
    let sample = Sample::new("y.img.gz", noise(3, 3 << 20));
    store(&url, &transport, &sample, KEEP).unwrap();
    let log = server.log();
    assert!(log.contains(" 401 ") && log.contains("nc=00000002"), "{log}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let server = apache::start(apache::Options { tls: true, ..Default::default() });
    let ca_file = Some(server.folder.path().join("ca.pem"));
    let error = fails(&server.tls_url("open/x"), &transport(), Kind::Unavailable);
    assert!(error.message().contains("trusts"), "{error}");
    assert!(error.advice().unwrap().contains("--ca-file"));

    let trusting = Transport { ca_file, ..transport() };
    let mut other = server.tls_url("open/x");
    other.set_host(Some("localhost.localdomain")).unwrap();
    // The name is not the certificate's, if it is found at all.
    let error = fails(&other, &trusting, Kind::Unavailable);
    assert!(error.message().contains("another host") || error.code() == "http-dns", "{error}");
    // No TLS at that port.
    let plain = Url::parse(&format!("https://localhost:{}/open/x", server.port)).unwrap();
    let error = fails(&plain, &trusting, Kind::Unavailable);
    assert!(error.message().contains("TLS"), "{error}");

    let server = apache::start_with(
        apache::Options { tls: true, ..Default::default() },
        &|folder: &Path| {
            tls::issue(folder, "server", "localhost", "DNS:localhost", "-1");
        },
    );
    let ca_file = Some(server.folder.path().join("ca.pem"));
    let trusting = Transport { ca_file, ..transport() };
    let error = fails(&server.tls_url("open/x"), &trusting, Kind::Unavailable);
    assert!(error.message().contains("expired"), "{error}");

    // One that a single command makes is an authority's own.
    let server = apache::start_with(
        apache::Options { tls: true, ..Default::default() },
        &|folder: &Path| {
            for end in ["pem", "key"] {
                let file = |name: &str| folder.join(format!("{name}.{end}"));
                std::fs::copy(file("ca"), file("server")).unwrap();
            }
        },
    );
    let ca_file = Some(server.folder.path().join("ca.pem"));
    let trusting = Transport { ca_file, ..transport() };
    let error = fails(&server.tls_url("open/x"), &trusting, Kind::Unavailable);
    assert!(error.advice().unwrap().contains("basicConstraints"), "{error}");
}

#[test]
fn a_client_certificate_is_asked_for() {
    let server = apache::start(apache::Options { tls: true, client_certificate: true, room: None });
    let folder = server.folder.path();
    let ca_file = Some(folder.join("ca.pem"));
    let error = fails(
        &server.tls_url("open/x"),
        &Transport { ca_file: ca_file.clone(), ..transport() },
        Kind::Permission,
    );
    assert!(error.advice().unwrap().contains("--client-cert"), "{error}");
    for (name, text) in [("none", "no certificate"), ("bad", "-----BEGIN CERTIFICATE-----\nx\n")] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let ca = Transport { ca_file: Some(path.clone()), ..transport() };
        let client = Transport { client_cert: Some(path), ca_file: ca_file.clone(), ..transport() };
        for transport in [ca, client] {
            let error = DavTarget::new(&server.tls_url("open/x"), &transport).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{error}");
        }
    }
    let missing = Transport { ca_file: Some(folder.join("missing")), ..transport() };
    let error = DavTarget::new(&server.tls_url("open/x"), &missing).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "{error}");
}

#[test]
fn nobody_answers() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = Url::parse(&format!("http://127.0.0.1:{port}/x")).unwrap();
    let error = fails(&url, &transport(), Kind::Unavailable);
    assert!(error.message().contains("refused"), "{error}");
    let quick = Transport { idle: Duration::from_secs(3), ..transport() };
    let url = Url::parse("http://no-such-host.invalid/x").unwrap();
    let error = fails(&url, &quick, Kind::Unavailable);
    assert!(error.message().contains("host"), "{error}");
    for url in ["ftp://host/x", "https://host/x?y", "https://host/x#y"] {
        let error = DavTarget::new(&Url::parse(url).unwrap(), &transport()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{url}");
    }
}

/// Nothing has the final name, and with less to store there is room again.
fn is_full(server: &Server, path: &str, cleans: bool) {
    let url = server.url(path);
    let large = Sample::new("large.img.gz", noise(4, 8 << 20));
    let error = store(&url, &transport(), &large, KEEP).expect_err("there is no room");
    let kinds = [Kind::Io, Kind::Unavailable, Kind::Mismatch, Kind::Protocol, Kind::Permission];
    assert!(kinds.contains(&error.kind()), "{path}: {error}");
    let target = DavTarget::new(&url, &transport()).unwrap();
    let control = Control::default();
    assert_eq!(target.fetch("large.img.gz", 9 << 20, &control).unwrap(), None, "{path}");
    target.discard(&large.object(), &Kept::default(), &control).unwrap();
    if !cleans {
        return;
    }
    let small = Sample::new("small.img.gz", noise(5, 1 << 20));
    store(&url, &transport(), &small, KEEP).unwrap_or_else(|e| panic!("{path}: {e}"));
    let there = target.fetch("small.img.gz", 2 << 20, &control).unwrap();
    assert!(there.unwrap() == small.bytes, "{path}");
}

#[test]
fn there_is_no_room() {
    let room = Some(4 << 20);
    is_full(&apache::start(apache::Options { room, ..Default::default() }), "open/x", true);
    // nginx 1.22 leaves a copy of its own behind, `.part.0000000001`, that nobody can name.
    is_full(&nginx::start(room), "open/x", false);
    let lighttpd = lighttpd::start(room);
    is_full(&lighttpd, "open/x", true);
    is_full(&lighttpd, "nopart/x", true);
    let error = {
        let large = Sample::new("large.img.gz", noise(6, 2 << 20));
        store(&nginx::start(None).url("small/x"), &transport(), &large, KEEP).unwrap_err()
    };
    assert_eq!(error.kind(), Kind::Io, "{error}");
}

/// A server without MOVE: the final name is written at once, and the same care is taken.
#[test]
fn nginx_with_put_alone() {
    let server = nginx::start(None);
    let url = server.url("put/x");
    let old = Sample::new("a/x.img.gz", noise(7, 200_000));
    let new = Sample::new("a/x.img.gz", noise(8, 200_000));
    for verify in [Verify::Full, Verify::Tail, Verify::None] {
        store(&url, &transport(), &old, How { verify, replace: true }).unwrap();
        let error = store(&url, &transport(), &new, How { verify, replace: false }).unwrap_err();
        assert_eq!(error.kind(), Kind::CannotCreate, "{error}");
        store(&url, &transport(), &new, How { verify, replace: true }).unwrap();
    }
    let there = std::fs::read(server.root().join("x/a/x.img.gz")).unwrap();
    assert!(there == new.bytes);
    assert_eq!(server.names(), ["x/a/x.img.gz"]);
}

/// `MOVE` with `Overwrite: T` would remove a whole folder.
#[test]
fn a_folder_is_never_replaced() {
    let apache = apache::start(apache::Options::default());
    let (nginx, lighttpd) = (nginx::start(None), lighttpd::start(None));
    // Apache shows a folder without its slash there, as if it were an object.
    let places = [(&apache, "open"), (&apache, "listed"), (&nginx, "open"), (&lighttpd, "open")];
    for (server, path) in places {
        let url = server.url(&format!("{path}/x"));
        let inside = Sample::new("a/b/x.img.gz", noise(9, 1000));
        store(&url, &transport(), &inside, KEEP).unwrap();
        let error =
            store(&url, &transport(), &Sample::new("a/b", noise(10, 1000)), REPLACE).unwrap_err();
        // Apache does not even say what is there, unless it may show it.
        let kinds = [Kind::CannotCreate, Kind::Permission];
        assert!(kinds.contains(&error.kind()), "{path}: {error}");
        let target = DavTarget::new(&url, &transport()).unwrap();
        let there = target.fetch("a/b/x.img.gz", 1000, &Control::default()).unwrap();
        assert!(there.unwrap() == inside.bytes);
    }
}

//! What went wrong, in words that help, and without secrets.

use std::error::Error as _;
use std::io;

use rustls::{AlertDescription, CertificateError};
use url::Url;

use super::message::{Reply, Request};
use super::repeats::{is_unseen, repeats};
use super::retry::temporary_status;
use crate::error::{Error, Kind};

/// The longest text of a server that is shown.
const LONGEST: usize = 200;

const PROXY_LOGIN: &str = "put them into the variable of the proxy: http://USER:PASSWORD@HOST:PORT";

/// A URL as it may be shown: without user, password, query and fragment.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have a user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let query = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    format!("{url}{}", if query { "?…" } else { "" })
}

/// The text of a server as one short printable line: tags of HTML and control characters are left
/// out. A text that has one of `secrets` in it, in whatever form, is not shown at all.
pub(super) fn line(body: &[u8], secrets: &[String]) -> String {
    let text = String::from_utf8_lossy(body);
    // The title of a page says again what its body says.
    let page = text.split_once("</head>").map_or(&*text, |(_, body)| body);
    let (mut line, mut tag) = (String::new(), false);
    for c in page.chars() {
        match c {
            '<' => tag = true,
            '>' if tag => {
                tag = false;
                line.push(' ');
            }
            _ if tag => {}
            c if c.is_whitespace() => line.push(' '),
            c if is_unseen(c) => {}
            c => line.push(c),
        }
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let line = words.join(" ");
    // Tags may stand in the middle of it.
    if repeats(&text, secrets) || repeats(&line, secrets) {
        return "(the server's text repeats the password and is not shown)".to_owned();
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The code of the next one.
pub(super) const STALLED: &str = "http-stalled";

/// A server that was silent for too long.
pub(super) fn stalled(request: &Request) -> Error {
    let message = format!("{}: nothing moved for too long", request.words());
    Error::new(Kind::Unavailable, STALLED, message)
        .remedy("check the network and the server, then run the same command again")
}

/// A request that got no reply.
pub(super) fn wire(error: reqwest::Error, request: &Request) -> Error {
    let words = request.words();
    let error = error.without_url();
    let mut causes = Vec::new();
    let mut next: Option<Cause> = error.source();
    while let Some(cause) = next {
        if let Some(tls) = inmost(cause).downcast_ref::<rustls::Error>() {
            return tls_trouble(tls, &words);
        }
        causes.push(cause);
        next = cause.source();
    }
    let io = causes.iter().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let text = line(causes.last().map(ToString::to_string).unwrap_or_default().as_bytes(), &[]);
    let dns = causes.iter().any(|cause| cause.to_string() == "dns error");
    if causes.iter().any(|cause| cause.to_string().contains("proxy authorization required")) {
        let message = format!("{words}: the proxy wants a name and password");
        return Error::new(Kind::Permission, "http-407", message).remedy(PROXY_LOGIN);
    }
    let (code, what, remedy) = match io {
        _ if dns => (
            "http-dns",
            format!("the name of the host cannot be found: {text}"),
            "check the name in the URL, and the network",
        ),
        Some(io::ErrorKind::ConnectionRefused) => (
            "http-refused",
            "the connection is refused".to_owned(),
            "check host and port in the URL, and that the server runs",
        ),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => (
            "http-closed",
            "the server closed the connection".to_owned(),
            "run the same command again; if it happens always, look into the server's log",
        ),
        _ if error.is_connect() => (
            "http-connect",
            format!("there is no connection: {text}"),
            "check the URL, the proxy and the network",
        ),
        _ => (
            "http-broken",
            format!("the connection broke, or what came is not HTTP: {text}"),
            "run the same command again; if it happens always, check what runs at that address",
        ),
    };
    Error::new(Kind::Unavailable, code, format!("{words}: {what}")).remedy(remedy)
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

/// What is inside an `io::Error` that is inside another one: their `source` passes over it.
fn inmost<'a>(cause: Cause<'a>) -> Cause<'a> {
    let mut at = cause;
    while let Some(inner) = at.downcast_ref::<io::Error>().and_then(|io| io.get_ref()) {
        at = inner;
    }
    at
}

fn tls_trouble(error: &rustls::Error, words: &str) -> Error {
    use AlertDescription as Alert;
    let certificate = |what: &str, remedy: &str| {
        Error::new(Kind::Unavailable, "http-tls", format!("{words}: {what}")).remedy(remedy)
    };
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => certificate(
                "the server's certificate has expired",
                "check the clock of this machine, or have the server's certificate renewed",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                certificate(
                    "the server's certificate is not valid yet",
                    "check the clock of this machine",
                )
            }
            CertificateError::UnknownIssuer => certificate(
                "the server's certificate is signed by nobody whom this machine trusts",
                "install the package ca-certificates, or name the issuer's certificate with \
                 --ca-file",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                certificate(
                    "the server's certificate is for another host",
                    "use the name in the certificate, or check who answers at that address",
                )
            }
            CertificateError::Revoked => {
                certificate("the server's certificate is revoked", "ask those who run the server")
            }
            // A name in a crate that nothing else here needs.
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                certificate(
                    "the server's certificate is one of an authority, not of a server",
                    "have it made with basicConstraints=CA:FALSE, or issued by an authority that \
                     is named with --ca-file",
                )
            }
            other => certificate(
                &format!("the server's certificate is wrong: {other}"),
                "ask those who run the server",
            ),
        },
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::AccessDenied
            | Alert::HandshakeFailure),
        ) => Error::new(
            Kind::Permission,
            "http-client-certificate",
            format!("{words}: the server refuses this client: TLS alert {alert:?}"),
        )
        .remedy("name a client certificate that the server accepts with --client-cert"),
        other => certificate(
            &format!("TLS failed: {other}"),
            "check that the port is one for TLS, and the server's configuration",
        ),
    }
}

/// A status that is the end of a request.
pub(super) fn status(reply: &Reply, request: &Request) -> Error {
    let status = match reply.status {
        // Of an object in a folder that is locked.
        207 if String::from_utf8_lossy(&reply.body).contains(" 423 ") => 423,
        status => status,
    };
    let (kind, code, what, remedy) = match status {
        401 if reply.login => (
            Kind::Permission,
            "http-401",
            "the server refuses the name or password that was given",
            "check both: --user, and the password in ~/.netrc or STRATUS_USER_PASSWORD",
        ),
        401 => (
            Kind::Permission,
            "http-401",
            "the server wants a name and password",
            "name the user with --user, or put both into ~/.netrc",
        ),
        403 => (
            Kind::Permission,
            "http-403",
            "the server does not allow it",
            "check the URL and the rights of the user (--user, ~/.netrc)",
        ),
        407 => (Kind::Permission, "http-407", "the proxy wants a name and password", PROXY_LOGIN),
        404 | 410 => (Kind::Missing, "http-404", "it is not there", "check the URL"),
        413 => (
            Kind::Io,
            "http-413",
            "that is more than the server takes at once",
            "raise the server's limit for request bodies",
        ),
        423 => (
            Kind::Locked,
            "http-423",
            "somebody has locked it",
            "try again later, or have it unlocked",
        ),
        507 => (
            Kind::Io,
            "http-507",
            "the server has no room left",
            "make room there, then run the same command again",
        ),
        status if temporary_status(status) => (
            Kind::Unavailable,
            "http-unavailable",
            "the server is out of order",
            "run the same command again later, or look into the server's log",
        ),
        300..=399 => (
            Kind::Protocol,
            "http-redirect",
            "the server sends us elsewhere, which is not followed here",
            "if the new address is right, use it instead",
        ),
        _ => (
            Kind::Protocol,
            "http-status",
            "the server does not do it",
            "check the URL, and that the server offers what is needed",
        ),
    };
    let mut message = format!("{}: {what} (status {}", request.words(), reply.status);
    if !reply.said.is_empty() {
        message += ": ";
        message += &reply.said;
    }
    Error::new(kind, code, message + ")").remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_secrets() {
        let url = Url::parse("https://user:geheim@host:8443/a%20b?token=geheim#geheim").unwrap();
        assert_eq!(shown(&url), "https://host:8443/a%20b?…");
    }

    #[test]
    fn a_servers_text_becomes_a_harmless_line() {
        let page = b"<html><head><title>404</title></head><h1>Not\x1b[31m Found</h1>\r\n<p>it\xff is\0 \xe2\x80\xaegone</p>";
        assert_eq!(line(page, &[]), "Not[31m Found it is gone");
        assert_eq!(line("x".repeat(1000).as_bytes(), &[]).chars().count(), 201);
        let said = line(b"Authorization: Basic dTpw", &["dTpw".to_owned()]);
        assert!(!said.contains("dTpw"));
        for text in [
            &b"you said pw77\x01secret"[..],
            b"pw77\0secret",
            b"pw77\xffsecret",
            b"pw77\xe2\x80\x8bsecret",
            b"pw\xef\xbb\xbf77secret",
            b"pw77<b>secret</b>",
            b"<i>pw</i>77\n<b>sec</b>\xadret",
        ] {
            let said = line(text, &["pw77secret".to_owned()]);
            assert!(said.contains("is not shown"), "{said}");
        }
    }
}

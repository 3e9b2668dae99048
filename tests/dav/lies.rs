//! Servers that do not do what they say. In no case is there a false success, and in no output a
//! secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use stratus::control::Control;
use stratus::error::{Error, Kind};
use stratus::publish::dav::DavTarget;
use stratus::publish::http::{Retries, Transport};
use stratus::publish::{Found, How, Session, Stored, Target, Verify};

use super::liar::{Ask, Liar, Lie, Store, honest, reply};
use super::servers::PASSWORD;
use super::targets::{KEEP, Kept, Others, REPLACE, Sample, noise, part_name, watched};
use super::{transport, with_login};

const NAME: &str = "x.img.gz";
const PATH: &str = "/r/x.img.gz";
const LEN: usize = 300_000;
/// `test:PASSWORD` in base64.
const ENCODED: &str = "dGVzdDpnZWhlaW0tN1E=";

/// What came of it.
struct Outcome {
    result: Result<Stored, Error>,
    /// Everything that was told.
    told: String,
    liar: Liar,
    sample: Sample,
}

impl Outcome {
    /// It failed, in one of these ways, and a reader finds nothing wrong.
    #[track_caller]
    fn fails(&self, kinds: &[Kind]) -> &Error {
        let error = self.result.as_ref().expect_err("a false success");
        assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
        error
    }

    #[track_caller]
    fn works(&self) {
        let stored = self.result.as_ref().unwrap_or_else(|e| panic!("{e} {:?}", self.liar.lines()));
        assert!(!stored.already);
        assert!(self.liar.store.lock().unwrap()[PATH] == self.sample.bytes);
    }
}

fn quick() -> Transport {
    Transport {
        retries: Retries::Times(1),
        idle: Duration::from_millis(400),
        backoff: Duration::from_millis(5),
        ..transport()
    }
}

/// Every request needs the login. Then the hook lies.
fn meets(hook: impl Fn(&mut Ask, &mut Store) -> Option<Lie> + Send + Sync + 'static) -> Outcome {
    stores(KEEP, hook)
}

fn stores(
    how: How,
    hook: impl Fn(&mut Ask, &mut Store) -> Option<Lie> + Send + Sync + 'static,
) -> Outcome {
    sends(LEN, 100_000, how, hook)
}

/// An object of `len` bytes in pieces of `piece`.
fn sends(
    len: usize,
    piece: u64,
    how: How,
    hook: impl Fn(&mut Ask, &mut Store) -> Option<Lie> + Send + Sync + 'static,
) -> Outcome {
    let liar = Liar::new(move |ask, store| {
        if ask.header("authorization") != format!("Basic {ENCODED}") {
            let asks = "WWW-Authenticate: Basic realm=\"x\"\r\n";
            // The body is read first, so that the reply is not lost.
            return ask.body.as_ref().map(|_| Lie::Raw(reply(401, asks, b"")));
        }
        hook(ask, store)
    });
    let url = liar.url("/r/");
    let credentials = with_login(&url).credentials;
    let target = DavTarget::new(&url, &Transport { credentials, ..quick() }).unwrap();
    let target = target.with_pieces(piece);
    let sample = Sample::new(NAME, noise(5, len));
    let (control, events) = watched(None);
    let mut session = Kept::default();
    let begin = Instant::now();
    let result = target.store(&sample.object(), how, &mut session, &control);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let told = format!(
        "{result:?} {} {:?} {:?} {target:?}",
        result.as_ref().err().map_or(String::new(), ToString::to_string),
        events.lock().unwrap(),
        session.0,
    );
    for secret in [PASSWORD, ENCODED] {
        assert!(!told.contains(secret), "{told}");
    }
    Outcome { result, told, liar, sample }
}

const WRONG: [Kind; 2] = [Kind::Mismatch, Kind::Protocol];

fn whole_object(ask: &Ask) -> bool {
    ask.is_object() && ask.body.is_some()
}

#[test]
fn an_honest_server_is_believed() {
    let outcome = meets(|_, _| None);
    outcome.works();
    let passwords = outcome.liar.lines().len();
    assert!(passwords < 40, "{passwords} requests for one object");
}

#[test]
fn fewer_bytes_are_stored() {
    let outcome = meets(|ask, _| {
        if whole_object(ask) && ask.is("PUT") && ask.bytes().len() > 10 {
            ask.body.as_mut().unwrap().truncate(50_000);
        }
        None
    });
    outcome.fails(&WRONG);
}

#[test]
fn other_bytes_are_stored() {
    for verify in [Verify::Full, Verify::Tail] {
        let outcome = stores(How { verify, replace: false }, |ask, _| {
            if whole_object(ask) && ask.is("PUT") && ask.bytes().len() > 10 {
                *ask.body.as_mut().unwrap().last_mut().unwrap() ^= 1;
            }
            None
        });
        outcome.fails(&[Kind::Mismatch]);
        let store = outcome.liar.store.lock().unwrap();
        assert!(store.is_empty(), "{:?}", store.keys());
    }
}

#[test]
fn nothing_is_stored_with_every_sign_of_success() {
    for status in [200, 201, 204] {
        let page = "<html>Welcome</html>";
        let outcome = meets(move |ask, _| {
            (whole_object(ask) && ask.is("PUT")).then(|| Lie::Status(status, page.into()))
        });
        outcome.fails(&WRONG);
        // Also for the probe.
        let outcome = meets(move |ask, _| {
            (ask.body.is_some() && ask.is("PUT")).then(|| Lie::Status(status, page.into()))
        });
        outcome.fails(&[Kind::Mismatch, Kind::Protocol, Kind::Missing]);
    }
}

#[test]
fn a_gateway_answers_everything_with_a_page() {
    let outcome = meets(|ask, _| {
        ask.body.as_ref().map(|_| Lie::Status(200, "<h1>Please log in</h1>".into()))
    });
    outcome.fails(&[Kind::Mismatch, Kind::Protocol, Kind::CannotCreate]);
}

/// What tells no size is not taken for the object, unless its properties tell it.
#[test]
fn a_gateway_answers_everything_with_a_page_in_chunks() {
    let page = b"<h1>Please log in</h1>".to_vec();
    let object = noise(5, LEN);
    for (length, body, found) in [
        ("", &page, Found::Other),
        ("", &object, Found::Other),
        ("7", &object, Found::Other),
        ("300000", &page, Found::Other),
        ("300000", &object, Found::Perhaps),
    ] {
        let chunk = format!("{:x}\r\n", body.len());
        let chunks = [chunk.as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        let liar = Liar::new(move |ask, _| {
            ask.body.as_ref()?;
            if ask.is("PROPFIND") && length.is_empty() {
                return Some(Lie::Status(405, String::new()));
            }
            if ask.is("PROPFIND") {
                let element =
                    format!("<d:getcontentlength a=\"b\"> {length} </d:getcontentlength>");
                return Some(Lie::Raw(reply(207, "", element.as_bytes())));
            }
            let head = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
            let body = if ask.is("HEAD") { &[] } else { &chunks[..] };
            Some(Lie::Raw([head.as_bytes(), body].concat()))
        });
        let target = DavTarget::new(&liar.url("/r/"), &quick()).unwrap();
        let sample = Sample::new(NAME, object.clone());
        let control = Control::default();
        assert_eq!(target.look(&sample.object(), &control).unwrap(), found, "{length}");
        match target.store(&sample.object(), KEEP, &mut Kept::default(), &control) {
            Ok(stored) => assert!(found == Found::Perhaps && stored.already),
            Err(error) => assert_eq!((error.kind(), found), (Kind::CannotCreate, Found::Other)),
        }
    }
}

#[test]
fn replies_are_endless() {
    for method in ["GET", "PUT", "MOVE", "MKCOL"] {
        let head = b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n";
        let outcome = meets(move |ask, _| {
            let lie = || Lie::Endless(head.to_vec(), vec![b'x'; 1 << 16]);
            (ask.body.is_some() && ask.is(method)).then(lie)
        });
        outcome.fails(&[Kind::Mismatch, Kind::Protocol, Kind::Unavailable]);
    }
}

#[test]
fn headers_are_endless() {
    for line in [&b"X-A: b\r\n"[..], b"x"] {
        let outcome = meets(move |ask, _| {
            ask.body
                .as_ref()
                .map(|_| Lie::Endless(b"HTTP/1.1 200 X\r\nX-First: ".to_vec(), line.repeat(1000)))
        });
        outcome.fails(&[Kind::Protocol, Kind::Unavailable]);
    }
}

#[test]
fn the_server_stalls() {
    type Lies = fn(&Ask) -> Option<Lie>;
    let lies: [(&str, Lies); 6] = [
        ("before the body is read", |ask| ask.is("PUT").then(|| Lie::Stall(vec![]))),
        ("after the body", |ask| (ask.is("PUT") && whole_object(ask)).then(|| Lie::Stall(vec![]))),
        ("in the headers", |ask| {
            whole_object(ask).then(|| Lie::Stall(b"HTTP/1.1 200 X\r\nX: ".to_vec()))
        }),
        ("in a body", |ask| {
            let head = b"HTTP/1.1 200 X\r\nContent-Length: 300000\r\n\r\nabc";
            (ask.is("GET") && whole_object(ask)).then(|| Lie::Stall(head.to_vec()))
        }),
        ("with a byte now and then", |ask| {
            let head = b"HTTP/1.1 200 X\r\nX: ";
            let trickle =
                || Lie::Trickle(head.to_vec(), vec![b'x'; 300], Duration::from_millis(100));
            whole_object(ask).then(trickle)
        }),
        ("in a body with a byte now and then", |ask| {
            let head = b"HTTP/1.1 200 X\r\nContent-Length: 300000\r\n\r\n";
            let trickle =
                || Lie::Trickle(head.to_vec(), vec![b'x'; 300], Duration::from_millis(100));
            (ask.is("GET") && whole_object(ask)).then(trickle)
        }),
    ];
    for (what, lie) in lies {
        let outcome = meets(move |ask, _| lie(ask));
        let error = outcome.fails(&[Kind::Unavailable]);
        assert!(error.advice().is_some(), "{what}");
    }
}

#[test]
fn a_byte_for_every_request_is_no_progress() {
    let outcome = meets(|ask, store| {
        let now = ask.is("GET") && whole_object(ask) && store.contains_key(&ask.path);
        now.then(|| {
            let mut answer = honest(ask, store);
            let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            answer.truncate(head + 1);
            Lie::Raw(answer)
        })
    });
    outcome.fails(&[Kind::Unavailable]);
    assert!(outcome.liar.lines().len() < 40);
}

#[test]
fn the_server_closes_early() {
    for when in ["head", "body"] {
        for method in ["PUT", "GET", "MOVE", "HEAD"] {
            let outcome = meets(move |ask, _| {
                let now = ask.body.is_some() == (when == "body");
                (now && ask.is(method) && ask.is_object()).then_some(Lie::Close)
            });
            outcome.fails(&[Kind::Unavailable]);
        }
    }
}

#[test]
fn redirects_lead_elsewhere() {
    let other = Arc::new(Liar::new(|_, _| None));
    for (method, status) in [("PUT", 307), ("PUT", 301), ("GET", 302), ("HEAD", 308), ("MOVE", 303)]
    {
        let to = format!("http://u:{PASSWORD}@127.0.0.1:{}/y?token={PASSWORD}", other.port);
        let outcome = meets(move |ask, _| {
            let header = format!("Location: {to}\r\n");
            let now = ask.body.is_some() && ask.is(method);
            now.then(|| Lie::Raw(reply(status, &header, b"")))
        });
        let error = outcome.fails(&[Kind::Protocol]).to_string();
        assert!(error.contains(&format!("127.0.0.1:{}/y", other.port)), "{error}");
        assert_eq!(other.lines(), Vec::<String>::new(), "the redirect was followed");
    }
}

#[test]
fn redirects_turn_in_circles() {
    let outcome = meets(|ask, _| {
        let now = ask.body.is_some() && ask.is("GET");
        now.then(|| Lie::Raw(reply(302, &format!("Location: {}\r\n", ask.path), b"")))
    });
    outcome.fails(&[Kind::Protocol]);
    assert!(outcome.liar.lines().iter().filter(|line| line.starts_with("GET")).count() < 20);
}

#[test]
fn ranges_are_ignored_or_others() {
    meets(|ask, _| {
        ask.headers.remove("range");
        None
    })
    .works();
    // Also when the reading is cut in the middle, and goes on.
    let first = AtomicBool::new(true);
    meets(move |ask, store| {
        ask.headers.remove("range");
        let now = ask.is("GET") && whole_object(ask) && store.contains_key(&ask.path);
        (now && first.swap(false, Ordering::SeqCst)).then(|| {
            let mut answer = honest(ask, store);
            answer.truncate(100_000);
            Lie::Raw(answer)
        })
    })
    .works();
    // Or another range comes than was asked for.
    let first = AtomicBool::new(true);
    let outcome = meets(move |ask, store| {
        let now = ask.is("GET") && whole_object(ask) && store.contains_key(&ask.path);
        now.then(|| {
            let first = first.swap(false, Ordering::SeqCst);
            if !first {
                ask.headers.insert("range".into(), "bytes=1-100".into());
            }
            let mut answer = honest(ask, store);
            answer.truncate(if first { 100_000 } else { answer.len() });
            Lie::Raw(answer)
        })
    });
    outcome.fails(&WRONG);
}

#[test]
fn a_piece_replaces_the_object() {
    let outcome = meets(|ask, _| {
        ask.headers.remove("content-range");
        None
    });
    outcome.works();
    assert!(outcome.told.contains("damages"), "{}", outcome.told);
    // Only for the probe it behaved.
    let outcome = meets(|ask, _| {
        if ask.is_object() {
            ask.headers.remove("content-range");
        }
        None
    });
    outcome.works();
    assert!(outcome.told.contains("does not append as it did"), "{}", outcome.told);
    assert!(outcome.told.contains("whole"), "{}", outcome.told);
    // The next run knows it from the session.
    let liar = Liar::new(|_, _| None);
    let sample = Sample::new(NAME, noise(5, LEN));
    let part = part_name(&sample.object());
    let mut session = Kept(Some(json!({"part": part, "mode": "whole", "sent": 0})));
    let target = DavTarget::new(&liar.url("/r/"), &quick()).unwrap().with_pieces(100_000);
    target.store(&sample.object(), KEEP, &mut session, &Control::default()).unwrap();
    let seen = liar.seen.lock().unwrap().clone();
    assert!(!seen.iter().any(|ask| ask.is_object() && !ask.header("content-range").is_empty()));
    // Or it takes no empty object, or no piece.
    for pieces in [false, true] {
        let outcome = meets(move |ask, _| {
            let piece = !ask.header("content-range").is_empty();
            let now = whole_object(ask) && ask.is("PUT") && piece == pieces;
            (now && ask.bytes().len() < LEN).then(|| Lie::Status(411, String::new()))
        });
        outcome.works();
    }
}

#[test]
fn lengths_are_wrong() {
    for (length, kinds) in [(LEN - 1, &WRONG[..]), (LEN + 1, &[Kind::Unavailable])] {
        let outcome = meets(move |ask, store| {
            let now = ask.is("GET") && whole_object(ask) && store.contains_key(&ask.path);
            let wanted = ask.header("range").is_empty();
            (now && wanted).then(|| {
                let head = format!("HTTP/1.1 200 X\r\nContent-Length: {length}\r\n\r\n");
                Lie::Raw([head.as_bytes(), &store[&ask.path]].concat())
            })
        });
        match length > LEN {
            // It says that there is one byte more: either it never comes, or a range is refused.
            true => drop(outcome.result.map(|_| ())),
            false => drop(outcome.fails(kinds)),
        }
    }
}

#[test]
fn head_tells_the_size_that_is_wished() {
    let outcome = meets(|ask, store| {
        if whole_object(ask) && ask.is("PUT") && ask.bytes().len() > 10 {
            ask.body.as_mut().unwrap().truncate(10);
        }
        let size = if ask.path.contains(".part") { LEN } else { 0 };
        (whole_object(ask) && ask.is("HEAD") && store.contains_key(&ask.path)).then(|| {
            Lie::Raw(format!("HTTP/1.1 200 X\r\nContent-Length: {size}\r\n\r\n").into_bytes())
        })
    });
    outcome.fails(&WRONG);
    // No length at all, anywhere.
    let outcome = meets(|ask, store| {
        (ask.is("HEAD") && whole_object(ask) && store.contains_key(&ask.path))
            .then(|| Lie::Raw(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n".to_vec()))
    });
    outcome.works();
}

#[test]
fn a_move_does_nothing_or_something_else() {
    for probes in [true, false] {
        let outcome = meets(move |ask, _| {
            let now = ask.is("MOVE") && ask.body.is_some() && (probes || ask.is_object());
            now.then(|| Lie::Status(201, String::new()))
        });
        outcome.fails(&[Kind::Protocol]);
    }
    // The object is lost on the way, or is another one then.
    for damage in [None, Some(vec![1; LEN]), Some(vec![1; 7])] {
        let outcome = stores(REPLACE, move |ask, store| {
            (ask.is("MOVE") && whole_object(ask)).then(|| {
                store.clear();
                store.extend(damage.clone().map(|bytes| (PATH.to_owned(), bytes)));
                Lie::Status(204, String::new())
            })
        });
        outcome.fails(&WRONG);
    }
}

/// Something else than what was proved gets the final name. It goes away again, but not if yet
/// another one has it by then.
#[test]
fn a_move_takes_what_another_one_has_not_finished() {
    for another in [false, true] {
        let heads = AtomicUsize::new(0);
        let outcome = meets(move |ask, store| {
            if ask.is("MOVE") && whole_object(ask) {
                store.get_mut(&ask.path).unwrap().truncate(100_000);
            }
            let looks = ask.is("HEAD") && whole_object(ask) && ask.path == PATH;
            let before =
                looks && store.contains_key(PATH) && heads.fetch_add(1, Ordering::SeqCst) == 1;
            if another && before {
                store.insert(PATH.into(), b"another one".to_vec());
            }
            None
        });
        outcome.fails(&[Kind::Mismatch]);
        let left = outcome.liar.store.lock().unwrap().get(PATH).cloned();
        assert_eq!(left.is_some(), another);
    }
}

/// Two that store the same object at the same time do not disturb each other, not even where they
/// try the server.
#[test]
fn two_store_the_same_at_once() {
    for round in 0..8 {
        let liar = Liar::new(|_, _| None);
        let sample = Sample::new(NAME, noise(round, LEN));
        let store = |session: &mut dyn Session| {
            let target = DavTarget::new(&liar.url("/r/"), &quick()).unwrap().with_pieces(100_000);
            target.store(&sample.object(), KEEP, session, &Control::default()).unwrap()
        };
        let stored = thread::scope(|scope| {
            let first = scope.spawn(|| store(&mut Kept::default()));
            let second = scope.spawn(|| store(&mut Others::default()));
            [first, second].map(|run| run.join().unwrap().already)
        });
        assert!(stored.contains(&false));
        let left = liar.store.lock().unwrap();
        assert_eq!(left.keys().collect::<Vec<_>>(), [PATH]);
        assert!(left[PATH] == sample.bytes);
    }
}

#[test]
fn a_move_was_done_though_nobody_said_so() {
    for replies in 0..2 {
        let outcome = meets(move |ask, store| {
            (ask.is("MOVE") && whole_object(ask)).then(|| {
                honest(ask, store);
                if replies == 0 { Lie::Close } else { Lie::Status(503, String::new()) }
            })
        });
        outcome.works();
    }
}

#[test]
fn there_is_no_move() {
    let no_move = |ask: &mut Ask, _: &mut Store| {
        (ask.is("MOVE") && ask.body.is_some()).then(|| Lie::Status(405, String::new()))
    };
    let outcome = meets(no_move);
    outcome.works();
    assert!(outcome.told.contains("does not know MOVE"), "{}", outcome.told);
    // A reader who may not read cannot prove: nothing stays that is not proved.
    let outcome = meets(move |ask, store| {
        let forbids = ask.is("GET") && whole_object(ask);
        if forbids { Some(Lie::Status(403, String::new())) } else { no_move(ask, store) }
    });
    outcome.fails(&[Kind::Permission]);
    assert!(outcome.liar.store.lock().unwrap().is_empty());
    // What is wrong at the final name goes away again.
    let outcome = meets(move |ask, store| {
        if whole_object(ask) && ask.is("PUT") {
            ask.body.as_mut().unwrap()[7] ^= 1;
        }
        no_move(ask, store)
    });
    outcome.fails(&[Kind::Mismatch]);
    assert!(outcome.liar.store.lock().unwrap().is_empty());
}

#[test]
fn a_login_is_refused() {
    let outcome = meets(|ask, _| {
        let asks = format!("WWW-Authenticate: Basic realm=\"{PASSWORD}\"\r\n");
        let text = format!("you said {PASSWORD} and {ENCODED}");
        ask.body.as_ref().map(|_| Lie::Raw(reply(401, &asks, text.as_bytes())))
    });
    let error = outcome.fails(&[Kind::Permission]);
    assert!(error.advice().unwrap().contains("--user"), "{error}");
    assert!(error.message().contains("refuses the name or password"), "{error}");
    assert!(outcome.liar.lines().len() <= 3, "{:?}", outcome.liar.lines());
}

#[test]
fn the_server_is_out_of_order_for_a_while_or_for_ever() {
    for (times, works) in [(1, true), (1000, false)] {
        for method in ["PUT", "GET", "HEAD", "MOVE"] {
            let left = AtomicUsize::new(times);
            let outcome = meets(move |ask, _| {
                let now = whole_object(ask) && ask.is(method);
                let lie = now
                    && left
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                        .is_ok();
                lie.then(|| Lie::Raw(reply(503, "Retry-After: 0\r\n", b"busy \x1b[2J")))
            });
            if works {
                outcome.works();
                assert!(outcome.told.contains("again in 0.0 s (1 of 1)"), "{}", outcome.told);
            } else {
                let error = outcome.fails(&[Kind::Unavailable]).to_string();
                // A reply to HEAD has no text.
                assert!(error.contains("busy [2J") || method == "HEAD", "{error:?}");
            }
        }
    }
}

/// What the server asks for is waited for, also where a request is not simply repeated.
#[test]
fn the_server_asks_to_wait() {
    for (method, pieces) in [("PUT", true), ("PUT", false), ("MOVE", true)] {
        let first = AtomicBool::new(true);
        let outcome = meets(move |ask, _| {
            if !pieces && ask.is("PUT") && !ask.header("content-range").is_empty() {
                return ask.body.as_ref().map(|_| Lie::Status(501, String::new()));
            }
            // The empty object before the pieces is sent as others are.
            let now = whole_object(ask) && ask.is(method);
            let now = now && (method == "MOVE" || !ask.bytes().is_empty());
            (now && first.swap(false, Ordering::SeqCst))
                .then(|| Lie::Raw(reply(503, "Retry-After: 1\r\n", b"busy")))
        });
        outcome.works();
        assert!(outcome.told.contains("again in 1.0 s (1 of 1)"), "{method}: {}", outcome.told);
    }
}

#[test]
fn there_is_no_room_or_no_right() {
    for (status, kind) in [(507, Kind::Io), (413, Kind::Io), (403, Kind::Permission)] {
        let outcome = meets(move |ask, _| {
            (whole_object(ask) && ask.is("PUT")).then(|| Lie::Status(status, "no".into()))
        });
        let error = outcome.fails(&[kind]);
        assert!(error.advice().is_some());
    }
}

/// Some servers show no folder at all, and `MOVE` with `Overwrite: T` would remove it.
#[test]
fn a_folder_that_nobody_sees_is_not_replaced() {
    let inside = "/r/x.img.gz/inside";
    let outcome = stores(REPLACE, move |ask, store| {
        store.entry(inside.into()).or_insert_with(|| b"precious".to_vec());
        if !(ask.is("MOVE") && whole_object(ask)) {
            return None;
        }
        if ask.header("overwrite") == "F" {
            return Some(Lie::Status(412, String::new()));
        }
        store.remove(inside);
        None
    });
    outcome.fails(&[Kind::CannotCreate]);
    assert!(outcome.liar.store.lock().unwrap().contains_key(inside));
}

/// An upload that is continued stands on what lies there: none of it is believed, whatever proof
/// was asked for.
#[test]
fn what_an_earlier_run_has_left_was_changed() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change, bool); 4] = [
        ("nothing", |_| (), false),
        // Seen before anything is sent.
        ("the end", |part| *part.last_mut().unwrap() ^= 1, false),
        ("longer", |part| part.resize(4_000_000, 7), false),
        // Only reading all of it shows this.
        ("the beginning", |part| part[1000] ^= 1, true),
    ];
    for (what, change, warns) in changes {
        let liar = Liar::new(|_, _| None);
        let target = DavTarget::new(&liar.url("/r/"), &quick()).unwrap().with_pieces(100_000);
        let sample = Sample::new(NAME, noise(6, 3_000_000));
        let (mut session, how) = (Kept::default(), How { verify: Verify::None, replace: false });
        let (control, _) = watched(Some(2_000_000));
        target.store(&sample.object(), how, &mut session, &control).unwrap_err();
        let sent: usize = {
            let mut store = liar.store.lock().unwrap();
            let part = store.values_mut().next().unwrap();
            let sent = part.len();
            change(part);
            sent
        };
        assert!((2_000_000..3_000_000).contains(&sent), "{sent}");
        liar.seen.lock().unwrap().clear();
        let (control, events) = watched(None);
        let stored = target.store(&sample.object(), how, &mut session, &control).unwrap();
        assert!(liar.store.lock().unwrap()[PATH] == sample.bytes, "{what}");
        let told = format!("{:?}", events.lock().unwrap());
        assert_eq!(told.contains("sent anew"), warns, "{what}: {told}");
        let note = format!("continuing the upload of {NAME} at byte {sent}");
        assert_eq!(told.contains(&note), what == "nothing" || warns, "{what}: {told}");
        let again = liar.seen.lock().unwrap().iter().filter(|ask| ask.is("PUT")).count();
        assert_eq!(again < 15, what == "nothing", "{what}: {again} pieces");
        let proof = if what == "nothing" { "read back" } else { "its size" };
        assert_eq!(stored.proof, proof, "{what}");
    }
}

/// An honest answer with more headers.
fn with(ask: &Ask, store: &mut Store, headers: &str) -> Lie {
    let answer = honest(ask, store);
    let line = answer.windows(2).position(|w| w == b"\r\n").unwrap() + 2;
    Lie::Raw([&answer[..line], headers.as_bytes(), &answer[line..]].concat())
}

/// Neither the size nor the end show it: all is read again, unless the server's mark is the same.
#[test]
fn a_move_damages_the_object() {
    let tags = ["", "ETag: W/\"1\"\r\n", "ETag: \"1\"\r\nLast-Modified: x\r\n"];
    for (tag, damages) in tags.iter().flat_map(|tag| [(*tag, true), (*tag, false)]) {
        let outcome = sends(3_000_000, 1 << 20, KEEP, move |ask, store| {
            if ask.is("MOVE") && whole_object(ask) && damages {
                store.get_mut(&ask.path).unwrap()[1000] ^= 1;
            }
            let tells = ask.is("HEAD") && whole_object(ask) && store.contains_key(&ask.path);
            tells.then(|| with(ask, store, tag))
        });
        if damages {
            outcome.fails(&[Kind::Mismatch]);
            assert!(outcome.liar.store.lock().unwrap().is_empty());
        } else {
            outcome.works();
        }
    }
}

/// On a server without `MOVE` others can replace what is not yet proved. Theirs stays.
#[test]
fn another_one_replaces_what_was_put() {
    let outcome = meets(|ask, store| {
        if ask.is("MOVE") && ask.body.is_some() {
            return Some(Lie::Status(405, String::new()));
        }
        if ask.is("GET") && whole_object(ask) {
            store.insert(PATH.into(), b"another one".to_vec());
        }
        None
    });
    outcome.fails(&[Kind::Mismatch]);
    assert_eq!(outcome.liar.store.lock().unwrap()[PATH], b"another one");
    assert!(outcome.told.contains("somebody may have changed it"), "{}", outcome.told);
}

/// What has its final name and is larger than what was sent does not stay there.
#[test]
fn too_much_is_stored_where_there_is_no_move() {
    let outcome = meets(|ask, store| {
        ask.body.as_ref()?;
        if ask.is("MOVE") {
            return Some(Lie::Status(405, String::new()));
        }
        if ask.is("PUT") && whole_object(ask) {
            store.insert(PATH.into(), [ask.bytes(), b"x"].concat());
            return Some(Lie::Status(201, String::new()));
        }
        None
    });
    outcome.fails(&[Kind::Mismatch]);
    assert!(!outcome.liar.store.lock().unwrap().contains_key(PATH));
}

#[test]
fn a_probe_is_moved_at_the_second_attempt() {
    for close in [true, false] {
        let first = AtomicBool::new(true);
        let outcome = meets(move |ask, _| {
            let now = ask.is("MOVE") && ask.body.is_some() && first.swap(false, Ordering::SeqCst);
            now.then(|| if close { Lie::Close } else { Lie::Status(503, String::new()) })
        });
        outcome.works();
    }
}

/// A gateway gives up, and the server behind it goes on.
#[test]
fn a_move_is_done_later() {
    for (gateway, status) in [(504, 404), (504, 412), (502, 404), (502, 412)] {
        let times = AtomicUsize::new(0);
        let outcome = meets(move |ask, store| {
            if !(ask.is("MOVE") && whole_object(ask)) {
                return None;
            }
            if times.fetch_add(1, Ordering::SeqCst) == 0 {
                return Some(Lie::Status(gateway, String::new()));
            }
            honest(ask, store);
            Some(Lie::Status(status, String::new()))
        });
        outcome.works();
    }
}

#[test]
fn the_server_knows_no_move_there() {
    for status in [400, 404, 409] {
        let outcome = meets(move |ask, _| {
            (ask.is("MOVE") && ask.body.is_some()).then(|| Lie::Status(status, String::new()))
        });
        let error = outcome.fails(&[Kind::Protocol]);
        assert!(error.advice().unwrap().contains("Destination"), "{error}");
    }
}

/// What is left of another run is written over, also by a server that shortens nothing, and the
/// probe's second name, too.
#[test]
fn nothing_can_be_removed() {
    for (status, shortens) in [(403, true), (405, true), (501, false)] {
        let liar = Liar::new(move |ask, store| {
            let refuses = ask.is("DELETE") && ask.body.is_some();
            let empty = ask.is("PUT") && ask.body.is_some() && ask.bytes().is_empty();
            let keeps = !shortens && empty && store.contains_key(&ask.path);
            match refuses {
                true => Some(Lie::Status(status, String::new())),
                false => keeps.then(|| Lie::Status(204, String::new())),
            }
        });
        let sample = Sample::new(NAME, noise(5, LEN));
        let part = format!("/r/{}", part_name(&sample.object()));
        for _ in 0..2 {
            liar.store.lock().unwrap().insert(part.clone(), b"left".to_vec());
            let target = DavTarget::new(&liar.url("/r/"), &quick()).unwrap().with_pieces(100_000);
            let control = Control::default();
            target.store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
            // What is not there need not be removed.
            target.discard(&sample.object(), &Kept::default(), &control).unwrap();
            let there = liar.store.lock().unwrap().remove(PATH);
            assert!(there.is_some_and(|there| there == sample.bytes), "{status}");
        }
    }
}

/// A reply that ends before the object does is no proof that something is wrong.
#[test]
fn a_reading_ends_early() {
    for (ends, for_ever) in [("closed", false), ("206", false), ("416", false), ("closed", true)] {
        let times = AtomicUsize::new(0);
        let outcome = meets(move |ask, store| {
            let reads = ask.is("GET") && whole_object(ask) && store.contains_key(&ask.path);
            if !reads || times.fetch_add(1, Ordering::SeqCst) > 0 && !for_ever {
                return None;
            }
            let object = &store[&ask.path];
            let head = match ends {
                "206" => {
                    "HTTP/1.1 206 X\r\nContent-Range: bytes 0-99/300000\r\nContent-Length: 100"
                }
                "416" => "HTTP/1.1 416 X\r\nContent-Length: 100",
                _ => "HTTP/1.1 200 X\r\nConnection: close",
            };
            Some(Lie::Raw([head.as_bytes(), b"\r\n\r\n", &object[..100]].concat()))
        });
        if for_ever {
            outcome.fails(&[Kind::Unavailable]);
            let store = outcome.liar.store.lock().unwrap();
            assert!(store.keys().any(|name| name.ends_with(".part")), "{:?}", store.keys());
        } else {
            outcome.works();
        }
    }
}

#[test]
fn the_object_is_locked() {
    let inside = "<d:response><d:status>HTTP/1.1 423 Locked</d:status></d:response>";
    let answers = [(423, "", Kind::Locked), (207, inside, Kind::Locked), (207, "", Kind::Protocol)];
    for (status, text, kind) in answers {
        for method in ["PUT", "MOVE"] {
            let outcome = meets(move |ask, _| {
                let now = whole_object(ask) && ask.is(method);
                now.then(|| Lie::Status(status, text.into()))
            });
            let error = outcome.fails(&[kind]);
            assert!(error.message().contains(&status.to_string()), "{error}");
        }
    }
}

#[test]
fn an_error_page_comes_in_drops() {
    let begin = Instant::now();
    let outcome = meets(|ask, _| {
        let head = b"HTTP/1.1 403 X\r\nContent-Length: 60000\r\n\r\n";
        let drops = || Lie::Trickle(head.to_vec(), vec![b'x'; 60_000], Duration::from_micros(200));
        (whole_object(ask) && ask.is("PUT")).then(drops)
    });
    outcome.fails(&[Kind::Permission]);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// Accepted (202), and seen a moment later.
#[test]
fn what_was_put_is_there_a_moment_later() {
    for pieces in [true, false] {
        let late = AtomicBool::new(false);
        let outcome = meets(move |ask, store| {
            ask.body.as_ref()?;
            if !pieces && !ask.header("content-range").is_empty() {
                return Some(Lie::Status(501, String::new()));
            }
            if ask.is("PUT") {
                honest(ask, store);
                late.store(true, Ordering::SeqCst);
                return Some(Lie::Status(202, String::new()));
            }
            let now = ask.is("HEAD") && late.swap(false, Ordering::SeqCst);
            now.then(|| Lie::Status(404, String::new()))
        });
        outcome.works();
    }
}

#[test]
fn a_piece_is_more_than_the_server_takes() {
    let outcome = sends(3_000_000, 4 << 20, KEEP, |ask, _| {
        let now = whole_object(ask) && ask.is("PUT") && ask.bytes().len() > 1 << 20;
        now.then(|| Lie::Status(413, String::new()))
    });
    outcome.works();
}

/// The configuration of a repository gives names, which are shown, signed and kept.
#[test]
fn a_configuration_repeats_the_password() {
    let name = ".stratuslab/stratuslab.repo.cfg";
    let fetched = |text: &'static str, status| {
        let liar = Liar::new(move |ask, _| {
            let asks = "WWW-Authenticate: Basic realm=\"x\"\r\n";
            let login = ask.header("authorization") == format!("Basic {ENCODED}");
            let answer =
                if login { reply(status, "", text.as_bytes()) } else { reply(401, asks, b"") };
            ask.body.as_ref().map(|_| Lie::Raw(answer))
        });
        let url = liar.url("/r/");
        let credentials = with_login(&url).credentials;
        let target = DavTarget::new(&url, &Transport { credentials, ..quick() }).unwrap();
        target.fetch(name, 1 << 16, &Control::default())
    };
    assert!(fetched("[stratuslab.repo]", 200).unwrap().is_some());
    for text in ["x = a/geheim-7Q/b", "x = geheim%2d7Q", "x = dGVzdDpnZWhlaW0tN1E="] {
        let error = fetched(text, 200).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{error}");
        assert!(!error.to_string().contains(text), "{error}");
    }
    let error = fetched("no", 403).unwrap_err();
    assert_eq!(error.kind(), Kind::Permission);
    assert!(error.advice().unwrap().contains("dot"), "{error}");
}

use super::*;

fn code(document: impl AsRef<[u8]>) -> &'static str {
    match parse(document.as_ref()) {
        Ok(_) => "ok",
        Err(e) => e.code(),
    }
}

/// `<a …>` with so many attributes.
fn attributes(count: usize) -> String {
    let list: String = (0..count).map(|i| format!(" a{i}='='")).collect();
    format!("<a{list}/>")
}

fn nested(depth: usize) -> String {
    "<a>".repeat(depth) + &"</a>".repeat(depth)
}

#[test]
fn documents_within_the_limits_are_parsed() {
    assert_eq!(code("<a/>"), "ok");
    assert_eq!(code("\u{feff}<?xml version='1.0' encoding='utf-8' standalone='no'?><a/>"), "ok");
    assert_eq!(code(attributes(MOST_ATTRIBUTES)), "ok");
    assert_eq!(code(nested(DEEPEST)), "ok");
    assert_eq!(code("<a><!-- <b <!DOCTYPE --><![CDATA[<!DOCTYPE <b>]]><?p <c d='?></a>"), "ok");
    assert_eq!(code(format!("<a b='{}'/>", "=<!-- ".replace('<', "&lt;").repeat(300))), "ok");
}

#[test]
fn each_limit_holds() {
    assert_eq!(code(vec![b' '; LARGEST + 1]), "xml-size");
    assert_eq!(code(attributes(MOST_ATTRIBUTES + 1)), "xml-attributes");
    assert_eq!(code(attributes(100_000)), "xml-attributes");
    assert_eq!(code(nested(DEEPEST + 1)), "xml-depth");
    assert_eq!(code(nested(100_000)), "xml-depth");
    let inner = nested(DEEPEST - 1);
    assert_eq!(code(format!("<r>{inner}<a/></r>")), "ok");
    assert_eq!(code(format!("<r>{}</r>", "<a/>".repeat(MOST_NODES as usize))), "xml-nodes");
    let many = attributes(100).repeat(1 + MOST_NODES as usize / 100);
    assert_eq!(code(format!("<r>{many}</r>")), "xml-attributes");
}

#[test]
fn declarations_of_namespaces_are_counted_where_they_hold() {
    let declare = |from: usize, to: usize, space: &str| -> String {
        (from..to).map(|i| format!(" xmlns:p{i}{space}={space}'u:{i}'")).collect()
    };
    let half = MOST_NAMESPACES / 2;
    for space in ["", " ", "\n\t"] {
        let outer = declare(0, half, space);
        let inner = declare(half, MOST_NAMESPACES, space);
        assert_eq!(code(format!("<r{outer}><a{inner}/><b{inner}></b><c{inner}/></r>")), "ok");
        let inner = declare(half, MOST_NAMESPACES + 1, space);
        assert_eq!(code(format!("<r{outer}><a{inner}/></r>")), "xml-namespaces");
        assert_eq!(code(format!("<r{outer}><a></a><a{inner}></a></r>")), "xml-namespaces");
    }
}

#[test]
fn a_document_type_is_refused_in_every_form() {
    for declaration in [
        "<!DOCTYPE a>",
        "<!DOCTYPE a SYSTEM 'http://127.0.0.1/x.dtd'>",
        "<!DOCTYPE a [<!ENTITY e 'x'>]>",
        "<!DOCTYPE a [<!ENTITY % e SYSTEM 'file:///etc/passwd'> %e;]>",
        "<!doctype a>",
    ] {
        assert_eq!(code(format!("{declaration}<a/>")), "xml-doctype", "{declaration}");
        assert_eq!(code(format!("<?xml version='1.0'?>\n{declaration}<a/>")), "xml-doctype");
    }
    let error = parse(b"<!-- x --><!DOCTYPE a><a/>").unwrap_err();
    assert_eq!((error.kind(), error.byte_offset()), (Kind::Refused, Some(10)));
}

#[test]
fn only_utf_8_is_read() {
    assert_eq!(code(b"<a>\xe9</a>"), "xml-encoding");
    assert_eq!(code(b"\xff\xfe<\0a\0/\0>\0"), "xml-encoding");
    assert_eq!(code(b"<\0a\0/\0>\0"), "xml-syntax");
    assert_eq!(code("<?xml version='1.0' encoding='ISO-8859-1'?><a/>"), "xml-encoding");
    assert_eq!(code("<?xml version=\"1.0\" encoding = \"UTF-16\"?><a/>"), "xml-encoding");
    assert_eq!(code("<?xml version='1.1'?><a/>"), "xml-version");
}

#[test]
fn what_is_not_well_formed_is_damaged() {
    for text in [
        "",
        " ",
        "<",
        "<a",
        "<a>",
        "</a>",
        "<a b='>",
        "<a b=\"'/>",
        "<!-",
        "<!--",
        "<?x",
        "<a/><b/>",
        "<a>&e;</a>",
        "<a>&#0;</a>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a></b>",
        "<![CDATA[",
        "<a><![CDATA[</a>",
        "<?xml",
        "<?xml ",
        "<?xml encoding",
        "<?xml encoding=?><a/>",
        "<?xml encoding=é?><a/>",
        "x<a/>",
    ] {
        let found = code(text);
        assert!(matches!(found, "xml-syntax" | "xml-doctype"), "{text}: {found}");
    }
}

#[test]
fn a_document_cut_anywhere_or_changed_anywhere_does_no_harm() {
    let whole = "\u{feff}<?xml version='1.0' encoding='UTF-8'?><!-- é --><a xmlns:b='u' b:c=\"d\"><![CDATA[x]]>\
                 <?p q?>&#x1F600;</a>";
    assert_eq!(code(whole), "ok");
    for end in 0..whole.len() {
        assert_ne!(code(&whole.as_bytes()[..end]), "ok", "{end}");
    }
    for at in 0..whole.len() {
        for with in [b'<', b'>', b'\'', b'"', b'=', b'!', b'?', b' ', 0, 0xff] {
            let mut bytes = whole.as_bytes().to_vec();
            bytes[at] = with;
            code(&bytes);
        }
    }
}

#[test]
fn messages_stay_short() {
    let long = "n".repeat(1_000_000);
    for text in
        [format!("<{long}></a>"), format!("<a>&{long};</a>"), format!("<a {long}='' {long}=''/>")]
    {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(error.code() == "xml-syntax" && error.message().len() < 1000);
    }
}

#[test]
fn line_ends_are_made_one() {
    let lines = |text: &str| String::from_utf8(line_ends(text.as_bytes()).into_owned()).unwrap();
    assert_eq!(lines("a\nb"), "a\nb");
    assert_eq!(lines("\ra\r\nb\r\rc\n\r\n\r"), "\na\nb\n\nc\n\n\n");
    assert_eq!(lines(""), "");
}

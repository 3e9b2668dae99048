//! Each way that is known to have one thing signed and another believed, once.
//!
//! A row says what is done to the entry and its signature before xmlsec1 signs them, what is done
//! to the result, and what verifying has to say.

use crate::tools::{ENTRY, NOW, TEMPLATE, template, xmlsec1_signs};
use stratus::metadata::signature;

struct Attack {
    name: &'static str,
    /// Changes in the template, each of which has to find its place: from, to.
    before: Vec<(String, String)>,
    /// Arguments for xmlsec1; `["unsigned"]` leaves it out, for what it would not sign.
    more: Vec<&'static str>,
    who: &'static str,
    after: Vec<(String, String)>,
    expected: &'static str,
}

fn attack(name: &'static str, expected: &'static str) -> Attack {
    Attack { name, before: vec![], more: vec![], who: "jane", after: vec![], expected }
}

impl Attack {
    fn before(mut self, from: &str, to: &str) -> Self {
        self.before.push((from.into(), to.into()));
        self
    }

    fn after(mut self, from: &str, to: &str) -> Self {
        self.after.push((from.into(), to.into()));
        self
    }

    fn more(mut self, more: &[&'static str]) -> Self {
        self.more.extend(more);
        self
    }

    fn who(mut self, who: &'static str) -> Self {
        self.who = who;
        self
    }

    fn document(&self) -> String {
        let change = |mut text: String, changes: &[(String, String)]| {
            for (from, to) in changes {
                assert!(text.contains(from.as_str()), "{}: no {from} in {text}", self.name);
                text = text.replacen(from.as_str(), to, 1);
            }
            text
        };
        let text = change(template(), &self.before);
        let text = match self.more[..] {
            ["unsigned"] => text,
            _ => xmlsec1_signs(&text, self.who, &self.more),
        };
        change(text, &self.after)
    }
}

const FORGED: &str = "<rdf:Description rdf:about=\"#forged\" \
    xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"></rdf:Description>";
const ABOUT: &str = "<rdf:Description rdf:about";
const WITH_ID: &str = "<rdf:Description Id=\"d\" rdf:about";
const ID: &[&str] = &["--id-attr:Id", "http://www.w3.org/1999/02/22-rdf-syntax-ns#:Description"];
const KEY_INFO: &str = "<KeyInfo>";
const CERTIFICATE: &str = "<X509Data><X509Certificate></X509Certificate></X509Data>";
const KEY_VALUE: &str = "<KeyValue></KeyValue>";
const ENVELOPED: &str =
    "<Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const XMLDSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// What has to be accepted, although it looks odd.
fn accepted() -> Vec<Attack> {
    let ok = |name| attack(name, "ok");
    vec![
        ok("as it is"),
        ok("attribute quotes").after("parseType=\"Resource\"", "parseType = 'Resource' "),
        ok("a CDATA section").after(">Title<", "><![CDATA[Title]]><"),
        ok("a byte order mark").after("<?xml", "\u{feff}<?xml"),
        ok("a comment after the root").after("</rdf:RDF>", "</rdf:RDF><!-- c -->"),
        ok("a comment before the root").after("<rdf:RDF", "<!-- c --><rdf:RDF"),
        ok("a comment in the content").after(">Title<", ">Ti<!-- c -->tle<"),
        ok("no XML declaration").after("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", ""),
        ok("an explicit canonicalization")
            .before(ENVELOPED, &format!("{ENVELOPED}<Transform Algorithm=\"{C14N}\"/>")),
        ok("an explicit canonicalization that would keep comments")
            .before(
                ENVELOPED,
                &format!("{ENVELOPED}<Transform Algorithm=\"{C14N}#WithComments\"/>"),
            )
            .before(">Title<", ">Ti<!-- c -->tle<"),
        ok("SignedInfo with comments kept").before(C14N, &format!("{C14N}#WithComments")),
        ok("SHA-1").before(RSA_SHA256, &format!("{XMLDSIG}rsa-sha1")),
        ok("SHA-1 as digest")
            .before("http://www.w3.org/2001/04/xmlenc#sha256", &format!("{XMLDSIG}sha1")),
        ok("SHA-512")
            .before(RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512")
            .before(
                "http://www.w3.org/2001/04/xmlenc#sha256",
                "http://www.w3.org/2001/04/xmlenc#sha512",
            ),
        ok("a prefix for the signature").before(
            TEMPLATE,
            &TEMPLATE
                .replace("</", "</ds:")
                .replace("<Sig", "<ds:Sig")
                .replace("<C", "<ds:C")
                .replace("<Ref", "<ds:Ref")
                .replace("<Tr", "<ds:Tr")
                .replace("<Dig", "<ds:Dig")
                .replace("<Key", "<ds:Key")
                .replace("<X5", "<ds:X5")
                .replace("xmlns=", "xmlns:ds="),
        ),
    ]
}

/// The signature says something else than that the whole document is signed.
fn references() -> Vec<Attack> {
    let reference = |name| attack(name, "signature-reference");
    let by_id = |a: Attack| a.before("URI=\"\"", "URI=\"#d\"").before(ABOUT, WITH_ID);
    let transforms = |name, transform: &str| {
        attack(name, "signature-transform").before(ENVELOPED, &format!("{ENVELOPED}{transform}"))
    };
    let whole =
        &TEMPLATE[TEMPLATE.find("<Reference").unwrap()..TEMPLATE.find("</SignedInfo>").unwrap()];
    vec![
        by_id(reference("one element by its id")).more(ID),
        by_id(attack("forged entry first, the signed one by id", "signature-description"))
            .more(ID)
            .after(WITH_ID, &format!("{FORGED}{WITH_ID}")),
        by_id(attack("forged entry last, the signed one by id", "signature-description"))
            .more(ID)
            .after("<Signature", &format!("{FORGED}<Signature")),
        by_id(attack("the same id twice", "signature-description"))
            .more(&["unsigned"])
            .after("<Signature", &format!("{}<Signature", FORGED.replace(" rdf:about", " Id=\"d\" rdf:about"))),
        reference("no URI").before(" URI=\"\"", ""),
        reference("an XPointer").before("URI=\"\"", "URI=\"#xpointer(/)\""),
        attack("two references", "signature-structure")
            .before("</SignedInfo>", &format!("{whole}</SignedInfo>")),
        attack("no reference", "signature-structure").more(&["unsigned"]).after(whole, ""),
        attack("only an object", "signature-structure")
            .before("URI=\"\"", "URI=\"#o\"")
            .before(&format!("<Transforms>{ENVELOPED}</Transforms>"), "")
            .before("</KeyInfo>", "</KeyInfo><Object Id=\"o\">x</Object>"),
        transforms(
            "XPath that hides the size",
            "<Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">\
             <XPath xmlns:s=\"http://mp.stratuslab.eu/slreq#\">not(ancestor-or-self::s:bytes)</XPath></Transform>",
        )
        .after("<slreq:bytes>1024", "<slreq:bytes>2048"),
        transforms(
            "a filter that hides the size",
            "<Transform Algorithm=\"http://www.w3.org/2002/06/xmldsig-filter2\">\
             <XPath xmlns=\"http://www.w3.org/2002/06/xmldsig-filter2\" Filter=\"subtract\" \
             xmlns:s=\"http://mp.stratuslab.eu/slreq#\">//s:bytes</XPath></Transform>",
        )
        .after("<slreq:bytes>1024", "<slreq:bytes>2048"),
        transforms(
            "a style sheet that always gives the same",
            "<Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">\
             <xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\">\
             <xsl:template match=\"/\"><x/></xsl:template></xsl:stylesheet></Transform>",
        )
        .after("<slreq:bytes>1024", "<slreq:bytes>2048"),
        transforms("exclusive canonicalization", "<Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>"),
        transforms("base64", &format!("<Transform Algorithm=\"{XMLDSIG}base64\"/>")).more(&["unsigned"]),
        transforms("enveloped twice", ENVELOPED).more(&["unsigned"]),
        attack("no transform", "signature-transform").more(&["unsigned"]).after(ENVELOPED, ""),
    ]
}

/// Something stands where nobody digests it, or where readers would look for something else.
fn places() -> Vec<Attack> {
    let place = |name, expected| attack(name, expected);
    let nested = format!(
        "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">{FORGED}<w><rdf:RDF"
    );
    vec![
        place("the whole document within another", "signature-description")
            .after("<rdf:RDF", &nested)
            .after("</rdf:RDF>", "</rdf:RDF></w></rdf:RDF>"),
        place("forged entry and a wrapper", "signature-description")
            .after(ABOUT, &format!("{FORGED}<w>{ABOUT}"))
            .after("</rdf:Description>\n<S", "</rdf:Description></w>\n<S"),
        place("forged entry in an object", "signature-description")
            .after("</KeyInfo>", &format!("</KeyInfo><Object>{FORGED}</Object>")),
        place("an object", "signature-structure")
            .after("</KeyInfo>", "</KeyInfo><Object>x</Object>"),
        place("forged entry in KeyInfo", "signature-description")
            .after("</KeyInfo>", &format!("{FORGED}</KeyInfo>")),
        place("a foreign element before KeyInfo", "signature-structure")
            .after(KEY_INFO, "<x xmlns=\"urn:x\"/><KeyInfo>"),
        place("text before KeyInfo", "signature-structure").after(KEY_INFO, "x<KeyInfo>"),
        place("an instruction before KeyInfo", "signature-structure")
            .after(KEY_INFO, "<?x?><KeyInfo>"),
        place("the signature first", "signature-place")
            .before(TEMPLATE, "")
            .before(ABOUT, &format!("{TEMPLATE}{ABOUT}")),
        place("the signature in the entry", "signature-place")
            .before(TEMPLATE, "")
            .before("</rdf:Description>", &format!("{TEMPLATE}</rdf:Description>")),
        place("a second signature behind", "signature-several")
            .after("</rdf:RDF>", &format!("{TEMPLATE}</rdf:RDF>")),
        place("a second signature in front", "signature-several")
            .after("<Signature", &format!("{TEMPLATE}<Signature")),
        place("a counter-signature", "signature-several")
            .after("</Signature>", &format!("<Object>{TEMPLATE}</Object></Signature>")),
        place("a Signature of another namespace", "signature-several")
            .after(ABOUT, &format!("<Signature xmlns=\"urn:x\"/>{ABOUT}")),
        place("only a Signature of another namespace", "signature-place")
            .more(&["unsigned"])
            .after(XMLDSIG, "urn:x"),
        place("no signature", "signature-missing").more(&["unsigned"]).after(TEMPLATE, ""),
        place("two entries, both signed", "signature-description")
            .before(ABOUT, &format!("{FORGED}{ABOUT}")),
        place("another root", "signature-root")
            .before("<rdf:RDF", "<rdf:rdf")
            .before("</rdf:RDF>", "</rdf:rdf>"),
        place("an Id on the signature", "signature-structure")
            .after("<Signature ", "<Signature Id=\"s\" "),
        place("xml:lang on SignedInfo", "signature-structure")
            .before("<SignedInfo", "<SignedInfo xml:lang=\"en\""),
        place("a Type on the reference", "signature-structure")
            .before("<Reference URI=\"\"", "<Reference Type=\"urn:x\" URI=\"\""),
        place("a comment in SignedInfo", "signature-structure")
            .before("<SignedInfo>", "<SignedInfo><!-- c -->")
            .before(C14N, &format!("{C14N}#WithComments")),
        place("a comment in the digest", "signature-base64")
            .after("</DigestValue>", "<!-- c --></DigestValue>"),
        place("a comment before the digest", "signature-base64")
            .after("<DigestValue>", "<DigestValue><!-- c -->"),
        place("an instruction in the signature value", "signature-base64")
            .after("</SignatureValue>", "<?x?></SignatureValue>"),
        place("rubbish in the signature value", "signature-base64")
            .after("<SignatureValue>", "<SignatureValue>!!"),
        place("no digest", "signature-base64").more(&["unsigned"]),
        place("a short digest", "signature-base64")
            .more(&["unsigned"])
            .after("<DigestValue>", "<DigestValue>AAAA")
            .after("<SignatureValue>", "<SignatureValue>AAAA")
            .after("<X509Certificate>", "<X509Certificate>AAAA"),
    ]
}

/// The key is another than that of the endorser.
fn keys() -> Vec<Attack> {
    let structure = |name| attack(name, "signature-structure");
    let both = "<X509Certificate>AAAA</X509Certificate>";
    let algorithm = |name| attack(name, "signature-algorithm");
    let hmac = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
    vec![
        attack("Mallory's key and certificate, Jane as endorser", "signature-endorser").who("mallory"),
        structure("a key before the certificate").before(KEY_INFO, &format!("{KEY_INFO}{KEY_VALUE}")),
        structure("a key behind the certificate").before("</KeyInfo>", &format!("{KEY_VALUE}</KeyInfo>")),
        structure("a key alone").before(CERTIFICATE, KEY_VALUE),
        structure("another certificate first")
            .after("<X509Certificate>", &format!("{both}<X509Certificate>")),
        structure("another certificate last").after("</X509Data>", &format!("{both}</X509Data>")),
        structure("another X509Data first").after("<X509Data>", &format!("<X509Data>{both}</X509Data><X509Data>")),
        structure("another X509Data last").after("</X509Data>", &format!("</X509Data><X509Data>{both}</X509Data>")),
        structure("the name of a certificate besides").after("<X509Data>", "<X509Data><X509SubjectName>CN=Jane</X509SubjectName>"),
        structure("a key that is to be fetched").after(KEY_INFO, "<KeyInfo><RetrievalMethod URI=\"http://127.0.0.1:1/\"/>"),
        structure("no KeyInfo").more(&["unsigned"]).after(&format!("{KEY_INFO}{CERTIFICATE}</KeyInfo>"), ""),
        attack("garbage for a certificate", "certificate-damaged").after("<X509Certificate>", "<X509Certificate>AAAA"),
        algorithm("HMAC with a known key").before(RSA_SHA256, hmac).more(&["--hmackey", "Cargo.toml"]),
        algorithm("HMAC cut to nothing")
            .before(&format!("<SignatureMethod Algorithm=\"{RSA_SHA256}\"/>"),
                &format!("<SignatureMethod Algorithm=\"{hmac}\"><HMACOutputLength>8</HMACOutputLength></SignatureMethod>"))
            .more(&["unsigned"])
            .after("<DigestValue>", "<DigestValue>LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="),
        algorithm("a parameter of RSA")
            .more(&["unsigned"])
            .before(&format!("<SignatureMethod Algorithm=\"{RSA_SHA256}\"/>"),
                &format!("<SignatureMethod Algorithm=\"{RSA_SHA256}\"><x/></SignatureMethod>"))
            .after("<DigestValue>", "<DigestValue>LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="),
        algorithm("MD5").more(&["unsigned"]).before("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#md5"),
        algorithm("RSA with MD5").more(&["unsigned"]).before(RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#rsa-md5")
            .after("<DigestValue>", "<DigestValue>LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="),
        algorithm("exclusive canonicalization of SignedInfo").before(C14N, "http://www.w3.org/2001/10/xml-exc-c14n#"),
        algorithm("Canonical XML 1.1").before(C14N, "http://www.w3.org/2006/12/xml-c14n11"),
        attack("another method than that of the signature", "signature-value")
            .after(RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"),
        attack("another canonicalization than that of the signature", "signature-value")
            .after(C14N, &format!("{C14N}#WithComments")),
    ]
}

/// What was signed is not what is there.
fn content() -> Vec<Attack> {
    let digest = |name| attack(name, "signature-digest");
    vec![
        digest("another size").after("<slreq:bytes>1024", "<slreq:bytes>1025"),
        digest("an instruction in the content").after(">Title<", ">Ti<?x?>tle<"),
        digest("an instruction after the root").after("</rdf:RDF>", "</rdf:RDF><?x?>"),
        digest("a carriage return").after(">Title<", ">Title&#13;<"),
        digest("other white space").after("    <dcterms:title>", "<dcterms:title>"),
        digest("another prefix").after("<slreq:bytes>", "<s:bytes xmlns:s=\"http://mp.stratuslab.eu/slreq#\">").after("</slreq:bytes>", "</s:bytes>"),
        digest("one namespace more").after("<rdf:RDF", "<rdf:RDF xmlns:x=\"urn:x\""),
        digest("one attribute more").after("<rdf:Description", "<rdf:Description xml:lang=\"en\""),
        attack("an internal entity", "xml-doctype").after("<rdf:RDF", "<!DOCTYPE x [<!ENTITY e 'x'>]><rdf:RDF"),
        attack("an external entity", "xml-doctype").after("<rdf:RDF", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><rdf:RDF"),
        attack("an external subset", "xml-doctype").after("<rdf:RDF", "<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/'><rdf:RDF"),
        attack("a default attribute", "xml-doctype").after("<rdf:RDF", "<!DOCTYPE x [<!ATTLIST x y CDATA 'z'>]><rdf:RDF"),
        attack("a bomb of entities", "xml-doctype").after("<rdf:RDF",
            "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]><rdf:RDF"),
        attack("an entity that nobody declared", "xml-syntax").after(">Title<", ">&e;<"),
        attack("a hundred thousand levels", "xml-depth").after(">Title<", &format!(">{}<", "<a>".repeat(100_000))),
        attack("a hundred thousand attributes", "xml-attributes").after("<dcterms:title", &format!("<dcterms:title{}", " a=''".repeat(100_000))),
        attack("another encoding", "xml-encoding").after("UTF-8", "ISO-8859-1"),
    ]
}

#[test]
fn each_attack_is_answered() {
    let rows = [accepted(), references(), places(), keys(), content()];
    let mut wrong = Vec::new();
    for attack in rows.iter().flatten() {
        let document = attack.document();
        let found = match signature::verify(document.as_bytes(), NOW) {
            Ok(_) => "ok",
            Err(e) => e.code(),
        };
        if found != attack.expected {
            wrong.push(format!("{}: {found}, not {}", attack.name, attack.expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows.iter().map(Vec::len).sum::<usize>() > 80);
}

/// The signatures that are built in here have to be good ones, or the table proves nothing.
#[test]
fn the_entry_is_not_refused_before_it_is_changed() {
    let signed = xmlsec1_signs(&template(), "jane", &[]);
    let verified = signature::verify(signed.as_bytes(), NOW).unwrap();
    assert_eq!((verified.signature_method, verified.digest_method), ("rsa-sha256", "sha256"));
    assert!(ENTRY.contains(&verified.email) && ENTRY.contains(&verified.subject));
}

/// A comment splits a text for readers that take the first piece. What is handed out has none.
#[test]
fn a_comment_in_a_signed_text_splits_nothing() {
    let split = template().replace("jane.tester@example.org", "jane.tester@<!-- c -->example.org");
    let signed = xmlsec1_signs(&split, "jane", &[]);
    let verified = signature::verify(signed.as_bytes(), NOW).unwrap();
    assert_eq!(verified.email, "jane.tester@example.org");
    assert!(String::from_utf8(verified.octets).unwrap().contains(">jane.tester@example.org<"));
}

/// UTF-16, and line ends of Windows.
#[test]
fn other_forms_of_the_same_text() {
    let signed = xmlsec1_signs(&template(), "jane", &[]);
    let wide: Vec<u8> = format!("\u{feff}{}", signed.replace("UTF-8", "UTF-16"))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(signature::verify(&wide, NOW).unwrap_err().code(), "xml-encoding");
    let windows = signed.replace('\n', "\r\n");
    assert!(signature::verify(windows.as_bytes(), NOW).is_ok());
}

/// Jane's certificate with Mallory's signature, and the other way round.
#[test]
fn a_certificate_is_not_exchanged() {
    let part = |text: &str| {
        let begin = text.find("<X509Certificate>").unwrap();
        text[begin..text.find("</X509Certificate>").unwrap()].to_owned()
    };
    let [jane, mallory] = ["jane", "mallory"].map(|who| xmlsec1_signs(&template(), who, &[]));
    for (of, with) in [(&mallory, &jane), (&jane, &mallory)] {
        let exchanged = of.replace(&part(of), &part(with));
        let error = signature::verify(exchanged.as_bytes(), NOW).unwrap_err();
        assert_eq!(error.code(), "signature-value");
    }
}

use super::*;

const SHA1: &str = "c319bbd5afc0a22ba3eaed0507c39383ec28eeff";
const ID: &str = "MMZu9WvwKIro-rtBQfDk4PsKO7_";

/// A document with the demanded elements around `more`.
fn with(more: &str) -> String {
    format!(
        r##"<rdf:RDF xmlns:rdf="{RDF}" xmlns:dcterms="{DCTERMS}" xmlns:slterms="{SLTERMS}"
          xmlns:slreq="{SLREQ}" xmlns:stratus="{OWN}" xml:base="http://mp.stratuslab.eu/">
        <rdf:Description rdf:about="#{ID}"><dcterms:identifier>{ID}</dcterms:identifier>
        <slreq:bytes>1024</slreq:bytes>
        <slreq:checksum rdf:parseType="Resource"><slreq:algorithm>SHA-1</slreq:algorithm>
          <slreq:value>{SHA1}</slreq:value></slreq:checksum>
        {more}</rdf:Description></rdf:RDF>"##
    )
}

fn read(more: &str) -> Result<Manifest> {
    Manifest::from_xml(with(more).as_bytes())
}

fn code(more: &str) -> &'static str {
    let error = read(more).unwrap_err();
    assert!(error.advice().is_some(), "{error}");
    error.code()
}

#[test]
fn the_least_that_is_read() {
    let manifest = read("").unwrap();
    let expected = Manifest {
        bytes: 1024,
        checksums: [(Algorithm::Sha1, SHA1.to_owned())].into(),
        ..Manifest::default()
    };
    assert_eq!(manifest, expected);
}

/// The original's upload adds the compression in another namespace than its build.
#[test]
fn compression_of_both_namespaces() {
    let both = |dcterms: &str, slterms: &str| {
        let of = |prefix: &str, value: &str| {
            format!("<{prefix}:compression>{value}</{prefix}:compression>")
        };
        read(&(of("dcterms", dcterms) + &of("slterms", slterms))).unwrap().compression
    };
    assert_eq!(both("", "gz").as_deref(), Some("gz"));
    assert_eq!(both("bz2", "gz").as_deref(), Some("bz2"));
    assert_eq!(both("", ""), None);
}

/// What an older XML library made of a manifest, and the original's signer: other prefixes, default
/// namespaces, the endorsement at the end with an attribute that lost its namespace.
#[test]
fn forms_of_other_programs() {
    let document = format!(
        r##"<rdf:RDF xmlns:ns1="{DCTERMS}" xmlns:ns2="{SLREQ}" xmlns:rdf="{RDF}" xmlns:c="urn:c">
        <rdf:Description rdf:about="#{ID}"><ns1:alternative>tag</ns1:alternative>
        <c:machine rdf:parseType="Resource"><ns1:title>not this</ns1:title></c:machine>
        <ns1:title>this</ns1:title><ns1:title>not this</ns1:title>
        <ns1:identifier>{ID}</ns1:identifier><ns2:bytes> +01024
        </ns2:bytes>
        <ns2:checksum parseType="Resource"><ns2:algorithm>MD5</ns2:algorithm><ns2:value/></ns2:checksum>
        <ns2:checksum><ns2:algorithm>SHA-1</ns2:algorithm><ns2:value>0{}</ns2:value></ns2:checksum>
        <ns2:checksum><ns2:algorithm>RIPE</ns2:algorithm><ns2:value>00</ns2:value></ns2:checksum>
        <slterms:deprecated xmlns:slterms="{SLTERMS}">old &amp; <!-- so -->bad</slterms:deprecated>
        <slreq:endorsement xmlns:slreq="{SLREQ}" parseType="Resource">
          <created xmlns="{DCTERMS}">2011-05-02T10:11:12Z</created>
          <endorser xmlns="{SLREQ}" parseType="Resource"><email>jane@example.org</email>
            <subject>CN=Jane</subject><issuer>CN=CA</issuer><issuer>CN=Root</issuer></endorser>
        </slreq:endorsement></rdf:Description></rdf:RDF>"##,
        SHA1.to_uppercase()
    );
    let manifest = Manifest::from_xml(document.as_bytes()).unwrap();
    assert_eq!(manifest.title.as_deref(), Some("this"));
    assert_eq!(manifest.alternative.as_deref(), Some("tag"));
    assert_eq!(manifest.deprecated.as_deref(), Some("old & bad"));
    assert_eq!(manifest.bytes, 1024);
    assert_eq!(manifest.checksums, [(Algorithm::Sha1, SHA1.to_owned())].into());
    let endorsement = manifest.endorsement.unwrap();
    assert_eq!(endorsement.created, "2011-05-02T10:11:12Z");
    assert_eq!((endorsement.subject.as_str(), endorsement.issuer.as_str()), ("CN=Jane", "CN=CA"));
}

#[test]
fn what_is_there_twice_is_refused() {
    let twice = |element: &str| format!("<{element}>1</{element}>").repeat(2);
    for element in ["dcterms:type", "slterms:os", "slterms:os-version", "slterms:os-arch"] {
        assert_eq!(code(&twice(element)), "manifest-twice", "{element}");
    }
    for element in ["slterms:version", "slterms:serial-number", "slterms:deprecated"] {
        assert_eq!(code(&twice(element)), "manifest-twice", "{element}");
    }
    // Once more than in the frame.
    let again = [
        "<slreq:bytes>1</slreq:bytes>".to_owned(),
        format!("<dcterms:identifier>{ID}</dcterms:identifier>"),
        format!(
            "<slreq:checksum><slreq:algorithm>SHA-1</slreq:algorithm><slreq:value>{SHA1}</slreq:value></slreq:checksum>"
        ),
        "<slreq:endorsement/><slreq:endorsement/>".to_owned(),
        "<stratus:file/><stratus:file/>".to_owned(),
    ];
    for more in again {
        assert_eq!(code(&more), "manifest-twice", "{more}");
    }
}

#[test]
fn wrong_values_are_refused_by_their_element() {
    let wrong = [
        "<slterms:inbound-port>65536</slterms:inbound-port>",
        "<slterms:inbound-port>-1</slterms:inbound-port>",
        "<slterms:outbound-port/>",
        "<slterms:icmp>256</slterms:icmp>",
        "<slterms:location><dcterms:title/></slterms:location>",
        "<slreq:checksum><slreq:algorithm>MD5</slreq:algorithm><slreq:value>xyz</slreq:value></slreq:checksum>",
        "<stratus:file><stratus:bytes>18446744073709551616</stratus:bytes></stratus:file>",
    ];
    for more in wrong {
        let error = read(more).unwrap_err();
        assert_eq!(error.code(), "manifest-value", "{more}");
        let element = more.split([':', '>', '/', '<']).nth(2).unwrap();
        let named = error.message().contains(element) || error.message().contains("MD5");
        assert!(named || error.message().contains("stratus:bytes"), "{error}");
    }
    for more in [
        "<stratus:file/>",
        "<slreq:checksum/>",
        "<slreq:endorsement><dcterms:created>x</dcterms:created></slreq:endorsement>",
        "<slreq:endorsement><slreq:endorser/></slreq:endorsement>",
    ] {
        assert_eq!(code(more), "manifest-missing", "{more}");
    }
}

#[test]
fn names_and_digest_of_the_image_agree() {
    let good = with("");
    let other = "BEE8-MMAw-Lk_IgsEExAy3d9R8h";
    for (change, by, expected) in [
        (format!("#{ID}"), format!("#{other}"), "manifest-identifier"),
        (format!(">{ID}<"), format!(">{other}<"), "manifest-identifier"),
        (format!("rdf:about=\"#{ID}\""), String::new(), "manifest-identifier"),
        (SHA1.into(), SHA1.replace('c', "d"), "manifest-identifier"),
        (SHA1.into(), format!("1{SHA1}"), "manifest-value"),
        ("SHA-1".into(), "sha1".into(), "manifest-sha1"),
        (
            format!("<dcterms:identifier>{ID}</dcterms:identifier>"),
            String::new(),
            "manifest-missing",
        ),
        ("<slreq:bytes>1024</slreq:bytes>".into(), String::new(), "manifest-missing"),
        ("rdf:Description".into(), "rdf:Seq".into(), "manifest-form"),
        ("rdf:RDF".into(), "rdf:Rdf".into(), "manifest-form"),
        ("</rdf:RDF>".into(), "<rdf:Description/></rdf:RDF>".into(), "manifest-form"),
        ("</rdf:RDF>".into(), String::new(), "xml-syntax"),
    ] {
        let changed = good.replace(&change, &by);
        assert_ne!(changed, good, "{change}");
        let error = Manifest::from_xml(changed.as_bytes()).unwrap_err();
        assert_eq!(error.code(), expected, "{change} {by}");
    }
    let doctype = format!("<!DOCTYPE x [<!ENTITY e \"f\">]>{good}");
    assert_eq!(Manifest::from_xml(doctype.as_bytes()).unwrap_err().code(), "xml-doctype");
}

/// Many elements of one name cost time in proportion.
#[test]
fn many_elements_are_read() {
    let many = "<slterms:icmp>1</slterms:icmp>".repeat(9_000);
    assert_eq!(read(&many).unwrap().icmp.len(), 9_000);
    assert_eq!(code(&"<slterms:icmp/>".repeat(30_000)), "xml-nodes");
}

//! The programs that judge, and documents for them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stratus::metadata::keys::Endorser;

/// After the keys of `testdata/keys` were made, in seconds since 1970: 2030-01-01T12:00:00Z.
pub const NOW: u64 = 1_893_499_200;
pub const CREATED: &str = "2030-01-01T12:00:00Z";

/// Packages that have the programs.
const PACKAGES: [(&str, &str); 6] = [
    ("xmlsec1", "xmlsec1"),
    ("xmllint", "libxml2-utils"),
    ("openssl", "openssl"),
    ("java", "default-jdk-headless"),
    ("keytool", "default-jre-headless"),
    ("bash", "bash"),
];

/// Runs a program, whatever it says.
#[track_caller]
pub fn output(program: &str, arguments: &[&str]) -> Output {
    let package = PACKAGES.iter().find(|(name, _)| *name == program).unwrap().1;
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program} is not there ({e}): apt-get install {package}"))
}

/// Runs a program that has to succeed, and gives what it says.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = output(program, arguments);
    let (out, err) = (&output.stdout, &output.stderr);
    let said = format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name)
}

pub fn endorser(name: &str) -> Endorser {
    let file = std::fs::read(testdata(&format!("{name}.pem"))).unwrap();
    Endorser::from_pem(&file, &file, None).unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An entry with Jane's endorsement. What stands in the title is seen by no program.
pub const ENTRY: &str = r##"<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:dcterms="http://purl.org/dc/terms/" xmlns:slterms="http://mp.stratuslab.eu/slterms#"
    xmlns:slreq="http://mp.stratuslab.eu/slreq#" xml:base="http://mp.stratuslab.eu/">
  <rdf:Description rdf:about="#MMZu9WvwKIro-rtBQfDk4PsKO7_">
    <dcterms:identifier>MMZu9WvwKIro-rtBQfDk4PsKO7_</dcterms:identifier>
    <slreq:bytes>1024</slreq:bytes>
    <slreq:checksum rdf:parseType="Resource">
      <slreq:algorithm>SHA-1</slreq:algorithm>
      <slreq:value>c319bbd5afc0a22ba3eaed0507c39383ec28eeff</slreq:value>
    </slreq:checksum>
    <slreq:endorsement rdf:parseType="Resource">
      <dcterms:created>2030-01-01T12:00:00Z</dcterms:created>
      <slreq:endorser rdf:parseType="Resource">
        <slreq:email>jane.tester@example.org</slreq:email>
        <slreq:subject>CN=Jane Tester,O=Example,C=EU</slreq:subject>
        <slreq:issuer>CN=Jane Tester,O=Example,C=EU</slreq:issuer>
      </slreq:endorser>
    </slreq:endorsement>
    <dcterms:type>base</dcterms:type>
    <dcterms:title>Title</dcterms:title>
  </rdf:Description>
@SIGNATURE@</rdf:RDF>
"##;

/// A signature to be filled in by xmlsec1.
pub const TEMPLATE: &str = r##"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">
  <SignedInfo>
    <CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>
    <SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
    <Reference URI="">
      <Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></Transforms>
      <DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>
      <DigestValue></DigestValue>
    </Reference>
  </SignedInfo>
  <SignatureValue></SignatureValue>
  <KeyInfo><X509Data><X509Certificate></X509Certificate></X509Data></KeyInfo>
</Signature>"##;

/// The entry with that signature, which nobody has made yet.
pub fn template() -> String {
    ENTRY.replace("@SIGNATURE@", TEMPLATE)
}

/// Fills the signature in with xmlsec1 and the key of `who`.
#[track_caller]
pub fn xmlsec1_signs(template: &str, who: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.xml"), folder.path().join("to.xml"));
    std::fs::write(&from, template).unwrap();
    // A file with both: xmlsec1 takes the key from the first, the certificate from the second name.
    let key = format!("{0},{0}", text(&testdata(&format!("{who}.pem"))));
    let mut arguments = vec!["--sign", "--output", text(&to)];
    if !more.contains(&"--hmackey") {
        arguments.extend(["--privkey-pem", &key]);
    }
    arguments.extend(more);
    arguments.push(text(&from));
    run("xmlsec1", &arguments);
    std::fs::read_to_string(&to).unwrap()
}

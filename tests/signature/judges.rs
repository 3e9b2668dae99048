//! What others say of our signatures and keys, and we of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use stratus::metadata::keys::{Endorser, generate};
use stratus::metadata::signature::{Options, Profile, sign, verify};
use stratus::metadata::{Manifest, date};

use crate::tools::{CREATED, NOW, endorser, output, run, template, testdata, text, xmlsec1_signs};

fn options(profile: Profile, sha256_digest: bool) -> Options {
    Options { profile, sha256_digest, created: CREATED.into(), email: None }
}

/// All ways to sign: name, options, signature method, digest method.
fn ways() -> [(&'static str, Options); 3] {
    [
        ("stratuslab", options(Profile::Stratuslab, false)),
        ("stratuslab-sha256", options(Profile::Stratuslab, true)),
        ("modern", options(Profile::Modern, false)),
    ]
}

/// A manifest that has what every stage of the original's validator asks for.
fn manifest() -> String {
    let sha1 = "c319bbd5afc0a22ba3eaed0507c39383ec28eeff".to_owned();
    Manifest {
        bytes: 1024,
        checksums: BTreeMap::from([(stratus::digest::Algorithm::Sha1, sha1)]),
        type_: "base".into(),
        title: Some("Grün & <weiß> 😀\n\t".into()),
        created: Some("2029-12-31T00:00:00Z".into()),
        valid: Some("2031-01-01T00:00:00Z".into()),
        os: Some("debian".into()),
        ..Manifest::default()
    }
    .to_xml()
    .unwrap()
}

/// A signed file for each way.
fn signed(folder: &Path, who: &Endorser) -> Vec<String> {
    let ways = ways().into_iter();
    ways.map(|(name, options)| {
        let path = folder.join(format!("{name}.xml"));
        fs::write(&path, sign(&manifest(), who, &options).unwrap()).unwrap();
        text(&path).to_owned()
    })
    .collect()
}

/// The certificate alone, for those who have to trust it.
fn certificate(folder: &Path, pem: &str) -> String {
    let path = folder.join("certificate.pem");
    fs::write(&path, &pem[pem.find("-----BEGIN CERTIFICATE").unwrap()..]).unwrap();
    text(&path).to_owned()
}

#[test]
fn xmlsec1_verifies_what_we_sign() {
    let folder = tempfile::tempdir().unwrap();
    let made = generate("Judge's Friend", "friend@example.org", 30, 2048, now()).unwrap();
    let old = fs::read_to_string(testdata("jane.pem")).unwrap();
    for (who, pem) in [(endorser("jane"), old), (from_pem(&made), made.to_pem().unwrap())] {
        let trusted = certificate(folder.path(), &pem);
        for file in signed(folder.path(), &who) {
            run("xmlsec1", &["--verify", "--trusted-pem", &trusted, &file]);
            let said = output("xmlsec1", &["--verify", &file]);
            assert!(!said.status.success(), "trusted without reason");
            let changed = fs::read_to_string(&file).unwrap().replace("1024", "1025");
            fs::write(&file, changed).unwrap();
            let said = output("xmlsec1", &["--verify", "--trusted-pem", &trusted, &file]);
            assert!(!said.status.success(), "the judge says yes to everything");
        }
    }
}

/// The same endorser, by way of its file.
fn from_pem(endorser: &Endorser) -> Endorser {
    let pem = endorser.to_pem().unwrap();
    Endorser::from_pem(pem.as_bytes(), pem.as_bytes(), None).unwrap()
}

/// Today: OpenSSL and xmlsec1 look at the dates of certificates.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// StratusLab's validator takes all stages of its own profile. Of the modern one it says that it
/// cannot find a key, and has nothing else against it.
#[test]
fn stratuslab_validates_what_we_sign() {
    let folder = tempfile::tempdir().unwrap();
    let files = signed(folder.path(), &endorser("jane"));
    let again = folder.path().join("by-another.xml");
    let first = fs::read_to_string(&files[2]).unwrap();
    let mallory = sign(&first, &endorser("mallory"), &options(Profile::Stratuslab, false)).unwrap();
    fs::write(&again, mallory).unwrap();
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/stratuslab.sh");
    let mut arguments = vec![judge, "check"];
    arguments.extend(files.iter().map(String::as_str));
    arguments.push(text(&again));
    let said = output("bash", &arguments);
    let lines = String::from_utf8(said.stdout).unwrap();
    let mut stages = 0;
    for line in lines.lines() {
        let [file, stage, verdict, message] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let refused = file.ends_with("modern.xml") && matches!(stage, "signature" | "all");
        assert_eq!(verdict, if refused { "failed" } else { "ok" }, "{line}");
        assert!(!refused || message.contains("cannot find validation key"), "{line}");
        stages += 1;
    }
    assert_eq!(stages, 4 * 6, "{lines}{}", String::from_utf8_lossy(&said.stderr));
}

/// The original's signer with old and new files of keys.
#[test]
fn what_stratuslab_signs_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/stratuslab.sh");
    run("bash", &[judge, "get", text(folder.path())]);
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    fs::write(path("unsigned.xml"), manifest()).unwrap();
    let made = generate("Jörg, \"J\" #1", "joerg@example.org", 30, 2048, NOW).unwrap();
    fs::write(path("made.p12"), made.to_p12("secret").unwrap()).unwrap();
    let keys = [
        (text(&testdata("legacy.p12")).to_owned(), "jane.tester@example.org"),
        (text(&testdata("keytool.p12")).to_owned(), "jane.tester@example.org"),
        (path("made.p12"), "joerg@example.org"),
    ];
    for (key, email) in keys {
        let security = format!("-Djava.security.properties={}", path("java.security"));
        let class = "eu.stratuslab.marketplace.metadata.SignMetadata";
        let (from, to) = (path("unsigned.xml"), path("signed.xml"));
        run(
            "java",
            &[
                "-XX:TieredStopAtLevel=1",
                &security,
                "-cp",
                &path("metadata.jar"),
                class,
                &from,
                &to,
                &key,
                "secret",
                "nobody@example.org",
            ],
        );
        let verified = verify(&fs::read(&to).unwrap(), NOW).unwrap();
        assert_eq!(verified.email, email, "{key}");
        assert_eq!((verified.signature_method, verified.digest_method), ("rsa-sha1", "sha1"));
        assert!(date::epoch(&verified.created).unwrap().abs_diff(now()) < 600);
        let theirs = verified.certificate.clone();
        assert_eq!(
            theirs,
            *Endorser::from_p12(&fs::read(&key).unwrap(), Some("secret"), None)
                .unwrap()
                .certificate()
        );
    }
}

#[test]
fn what_xmlsec1_signs_is_verified() {
    for who in ["jane", "two-emails", "no-email"] {
        let email = endorser(who).email().unwrap_or("any@example.org").to_owned();
        let signed =
            xmlsec1_signs(&template().replace("jane.tester@example.org", &email), who, &[]);
        let verified = verify(signed.as_bytes(), NOW).unwrap();
        assert_eq!((verified.email, verified.created.as_str()), (email, CREATED));
    }
}

#[test]
fn openssl_and_java_read_a_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let begin = now();
    let made = generate("Jörg O'Neil", "j.o@example.org", 30, 3072, begin).unwrap();
    fs::write(path("new.p12"), made.to_p12("p4ss w~rd").unwrap()).unwrap();
    fs::write(path("new.pem"), made.to_pem().unwrap()).unwrap();
    let said =
        run("openssl", &["x509", "-in", &path("new.pem"), "-noout", "-text", "-nameopt", "utf8"]);
    for part in [
        "Version: 3 (0x2)",
        "Signature Algorithm: sha256WithRSAEncryption",
        "Issuer: CN=Jörg O'Neil",
        "Subject: CN=Jörg O'Neil",
        "(3072 bit)",
        "X509v3 Key Usage: critical",
        "Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Key Agreement",
        "email:j.o@example.org",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    run("openssl", &["verify", "-x509_strict", "-CAfile", &path("new.pem"), &path("new.pem")]);
    run("openssl", &["rsa", "-in", &path("new.pem"), "-check", "-noout"]);
    let day = 24 * 60 * 60;
    let ends = |seconds: u64| {
        let seconds = seconds.to_string();
        let arguments = ["x509", "-in", &path("new.pem"), "-noout", "-checkend", &seconds];
        !output("openssl", &arguments).status.success()
    };
    assert_eq!((ends(29 * day), ends(31 * day)), (false, true));
    let said = run(
        "openssl",
        &["pkcs12", "-in", &path("new.p12"), "-info", "-nodes", "-passin", "pass:p4ss w~rd"],
    );
    for part in
        ["MAC: sha256", "PBES2, PBKDF2, AES-256-CBC", "hmacWithSHA256", "friendlyName: endorser"]
    {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let pem = fs::read_to_string(path("new.pem")).unwrap();
    let key = &pem[pem.find("-----BEGIN PRIVATE").unwrap()..pem.find("-----BEGIN CERT").unwrap()];
    assert!(said.contains(key.trim()), "the key in the p12 is another");
    let said =
        run("keytool", &["-list", "-v", "-keystore", &path("new.p12"), "-storepass", "p4ss w~rd"]);
    assert!(
        said.contains("PrivateKeyEntry") && said.contains("RFC822Name: j.o@example.org"),
        "{said}"
    );
}

/// The advice for files that are not read, followed to the letter.
#[test]
fn the_advice_on_old_files_helps() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["rc2-128", "2des", "rc4"] {
        let old = testdata(&format!("{name}.p12"));
        let read = |path: &Path| Endorser::from_p12(&fs::read(path).unwrap(), Some("secret"), None);
        let advice = read(&old).unwrap_err().advice().unwrap().to_owned();
        let new = folder.path().join("new.p12");
        let key = folder.path().join("key.pem");
        let commands: Vec<&str> = advice
            .strip_prefix("convert it: ")
            .unwrap()
            .split(", then ")
            .map(|part| part.split(", and").next().unwrap())
            .collect();
        assert_eq!(commands.len(), 2, "{advice}");
        for command in commands {
            let command = command.replace("OLD.p12", text(&old)).replace("NEW.p12", text(&new));
            let command = command.replace("KEY.pem", text(&key));
            let mut arguments: Vec<&str> = command.split(' ').skip(1).collect();
            let password = if arguments.contains(&"-export") { "-passout" } else { "-passin" };
            arguments.extend([password, "pass:secret"]);
            run("openssl", &arguments);
        }
        assert_eq!(read(&new).unwrap().email(), Some("jane.tester@example.org"), "{name}");
    }
    for name in ["pbes1", "old-encryption", "many-iterations"] {
        let certificate = fs::read(testdata("jane.pem")).unwrap();
        let read = |path: &Path| {
            Endorser::from_pem(&fs::read(path).unwrap(), &certificate, Some("secret"))
        };
        let old = testdata(&format!("{name}.pem"));
        let advice = read(&old).unwrap_err().advice().unwrap().to_owned();
        let new = folder.path().join("new.pem");
        let command = advice.strip_prefix("convert it: ").unwrap();
        let command = command.replace("OLD.pem", text(&old)).replace("NEW.pem", text(&new));
        let mut arguments: Vec<&str> = command.split(' ').skip(1).collect();
        arguments.extend(["-passin", "pass:secret", "-passout", "pass:secret"]);
        run("openssl", &arguments);
        assert_eq!(read(&new).unwrap().email(), Some("jane.tester@example.org"), "{name}");
    }
}

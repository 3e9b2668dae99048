use std::fs;
use std::path::Path;

use super::*;

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Whose certificate came out, or the code of the error.
fn outcome(read: Result<Endorser>) -> String {
    match read {
        Ok(endorser) => endorser.email().unwrap_or("no e-mail").to_owned(),
        Err(e) => e.code().to_owned(),
    }
}

const JANE: &str = "jane.tester@example.org";

#[test]
fn files_of_pkcs12_old_and_new_are_read() {
    let secret = Some("secret");
    for (name, password, expected) in [
        ("openssl", secret, JANE),
        ("legacy", secret, JANE),
        ("legacy-3des", secret, JANE),
        ("rc2-40", secret, JANE),
        ("aes128", secret, JANE),
        ("keytool", secret, JANE),
        ("keytool-legacy", secret, JANE),
        ("chain", secret, JANE),
        ("plain", secret, JANE),
        ("no-mac", secret, JANE),
        ("empty", Some(""), JANE),
        ("empty", None, JANE),
        ("accents", Some("pässwörd€"), JANE),
        ("accents-legacy", Some("pässwörd€"), JANE),
        ("rc2-128", secret, "p12-cipher"),
        ("2des", secret, "p12-cipher"),
        ("rc4", secret, "p12-cipher"),
        ("camellia", secret, "p12-cipher"),
        ("ec", secret, "key-type"),
        ("no-key", secret, "key-missing"),
        ("openssl", None, "key-password-missing"),
        ("openssl", Some("other"), "key-password-wrong"),
        ("openssl", Some("😀"), "key-password-characters"),
        ("legacy", None, "key-password-missing"),
        ("legacy", Some("other"), "key-password-wrong"),
        ("no-mac", None, "key-password-missing"),
        ("no-mac", Some("other"), "key-password-wrong"),
    ] {
        let read = Endorser::from_p12(&file(&format!("{name}.p12")), password, None);
        assert_eq!(outcome(read), expected, "{name} {password:?}");
    }
}

#[test]
fn a_wrong_password_is_a_matter_of_permission() {
    let error = Endorser::from_p12(&file("openssl.p12"), Some("hunter2"), None).unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Permission, 77));
    assert!(!format!("{error:?}").contains("hunter2"));
    let error = Endorser::from_pem(&file("pbes2.pem"), b"", None).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Permission, "key-password-missing"));
}

#[test]
fn a_file_without_a_mac_is_warned_of() {
    let codes = |name| {
        let endorser = Endorser::from_p12(&file(name), Some("secret"), None).unwrap();
        endorser.warnings().iter().map(|w| w.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("no-mac.p12"), ["p12-no-mac"]);
    assert_eq!(codes("openssl.p12"), [""; 0]);
}

#[test]
fn one_of_several_keys_is_chosen_by_its_alias() {
    let read = |alias| Endorser::from_p12(&file("two-keys.p12"), Some("secret"), alias);
    assert_eq!(outcome(read(Some("a"))), JANE);
    assert_eq!(outcome(read(Some("b"))), "mallory@example.org");
    assert_eq!(outcome(read(Some("c"))), "key-alias");
    let error = read(None).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Usage, "key-alias"));
    assert!(error.advice().unwrap().ends_with("\"a\", \"b\""), "{:?}", error.advice());
    let read = Endorser::from_p12(&file("openssl.p12"), Some("secret"), Some("jane"));
    assert_eq!(outcome(read), JANE);
}

/// Files of old browsers: the outermost sequence has no length, but an end.
#[test]
fn ber_is_told_apart_from_damage() {
    let der = file("openssl.p12");
    assert_eq!(der[..2], [0x30, 0x82]);
    let mut ber = vec![0x30, 0x80];
    ber.extend_from_slice(&der[4..]);
    ber.extend_from_slice(&[0, 0]);
    let error = Endorser::from_p12(&ber, Some("secret"), None).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Unsupported, "p12-encoding"));
    assert!(error.advice().unwrap().contains("openssl pkcs12 -legacy"));
}

#[test]
fn damaged_files_of_pkcs12_are_refused() {
    let whole = file("plain.p12");
    for end in 0..whole.len() {
        assert!(Endorser::from_p12(&whole[..end], Some("secret"), None).is_err(), "{end}");
    }
    // Everything in it is under the MAC, or is the MAC; some bytes of headers may vary.
    let step = if std::env::var_os("STRATUS_FULL").is_some() { 1 } else { 37 };
    for at in (100..whole.len() - 100).step_by(step) {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        let read = Endorser::from_p12(&changed, Some("secret"), None);
        assert!(matches!(read, Err(e) if e.kind() != Kind::Internal), "{at}");
    }
    assert_eq!(outcome(Endorser::from_p12(&vec![0; LARGEST_FILE + 1], None, None)), "key-size");
    assert_eq!(outcome(Endorser::from_p12(&file("jane.pem"), None, None)), "p12-damaged");
    assert_eq!(outcome(Endorser::from_p12(b"", None, None)), "p12-damaged");
}

#[test]
fn keys_in_pem_are_read() {
    let secret = Some("secret");
    for (key, certificate, password, expected) in [
        ("jane", "jane", None, JANE),
        ("jane", "jane", secret, JANE),
        ("chain", "chain", None, JANE),
        ("pkcs1", "jane", None, JANE),
        ("pbes2", "jane", secret, JANE),
        ("pbes2-des3-sha1", "jane", secret, JANE),
        ("pbes2-scrypt", "jane", secret, JANE),
        ("pbes2", "jane", None, "key-password-missing"),
        ("pbes2", "jane", Some("other"), "key-password-wrong"),
        ("pbes2-scrypt", "jane", Some("other"), "key-password-wrong"),
        ("many-iterations", "jane", secret, "key-encryption"),
        ("pbes1", "jane", secret, "key-encryption"),
        ("old-encryption", "jane", secret, "key-encryption"),
        ("jane", "mallory", None, "key-mismatch"),
        ("mallory", "jane", None, "key-mismatch"),
        ("jane", "pkcs1", None, "key-no-certificate"),
        ("authority.crt", "jane", None, "key-missing"),
        ("ec", "jane", None, "key-type"),
        ("ec-old", "jane", None, "key-type"),
        ("ed25519", "jane", None, "key-type"),
        ("dsa", "jane", None, "key-type"),
        ("pss", "jane", None, "key-type"),
        ("too-weak", "too-weak", None, "certificate-key-size"),
        ("jane", "too-large.crt", None, "certificate-key-size"),
        ("weak", "weak", None, "no e-mail"),
        ("no-email", "no-email", None, "no e-mail"),
        ("two-emails", "two-emails", None, "first@example.org"),
    ] {
        let (key_file, certificate_file) =
            (file(&format!("{key}.pem")), file(&format!("{certificate}.pem")));
        let read = Endorser::from_pem(&key_file, &certificate_file, password);
        assert_eq!(outcome(read), expected, "{key} {certificate} {password:?}");
    }
}

#[test]
fn other_types_of_keys_are_called_by_their_names() {
    for (name, called) in [
        ("ec", "EC"),
        ("ec-old", "EC"),
        ("ed25519", "Ed25519"),
        ("dsa", "DSA"),
        ("pss", "RSASSA-PSS"),
    ] {
        let key = file(&format!("{name}.pem"));
        let error = Endorser::from_pem(&key, &file("jane.pem"), None).unwrap_err();
        assert!(error.message().contains(&format!("of type {called};")), "{}", error.message());
    }
}

#[test]
fn pem_is_read_with_all_that_people_do_to_it() {
    let jane = String::from_utf8(file("jane.pem")).unwrap();
    let read = |text: &str| outcome(Endorser::from_pem(text.as_bytes(), text.as_bytes(), None));
    assert_eq!(read(&jane.replace('\n', "\r\n")), JANE);
    assert_eq!(read(&format!("Bag Attributes\n  friendlyName: jäne\n{jane}\nbye")), JANE);
    assert_eq!(read(&jane.replace("-----END", " -----END")), JANE);
    assert_eq!(read(&format!("{jane}{jane}")), "key-missing");
    assert_eq!(read(""), "key-missing");
    assert_eq!(read("\u{0}\u{1}"), "key-missing");
    assert_eq!(read(&jane.replace("END PRIVATE", "END PUBLIC")), "pem-damaged");
    assert_eq!(read(&jane.replacen("-----END CERTIFICATE-----", "", 1)), "pem-damaged");
    assert_eq!(
        read(&jane.replacen("PRIVATE KEY-----\nM", "PRIVATE KEY-----\n!", 1)),
        "pem-damaged"
    );
    assert_eq!(
        read(&jane.replacen("PRIVATE KEY-----\nMII", "PRIVATE KEY-----\nMIJ", 1)),
        "key-damaged"
    );
    assert_eq!(
        read(&jane.replacen("CERTIFICATE-----\nMII", "CERTIFICATE-----\nMIJ", 1)),
        "certificate-damaged"
    );
    assert_eq!(read(&" ".repeat(LARGEST_FILE + 1)), "key-size");
    assert_eq!(
        read("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"),
        "key-encryption"
    );
    for end in 0..jane.len() {
        // Without the last line feed it is complete.
        assert_eq!(read(&jane[..end]) == JANE, end + 1 == jane.len(), "{end}");
    }
}

#[test]
fn a_file_of_the_other_kind_is_told_with_its_option() {
    let jane = file("jane.pem");
    let error = Endorser::from_p12(&jane, Some("secret"), None).unwrap_err();
    assert!(error.advice().unwrap().contains("--key"), "{error}");
    let error = Endorser::from_pem(&file("legacy.p12"), &jane, None).unwrap_err();
    assert!(error.advice().unwrap().contains("--p12-cert"), "{error}");
}

#[test]
fn nothing_shows_the_key() {
    let endorser = Endorser::from_pem(&file("jane.pem"), &file("jane.pem"), None).unwrap();
    let shown = format!("{endorser:?} {endorser:#?}");
    assert!(shown.contains("CN=Jane Tester,O=Example,C=EU") && shown.contains(JANE), "{shown}");
    for secret in ["PrivateKey", "primes", "qinv", " d:"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_new_key_comes_back_from_both_kinds_of_file() {
    let now = 1_795_000_000;
    let made = generate("Jörg O'Neil, \"J\"", "j.o@example.org", 30, 2048, now).unwrap();
    assert_eq!(made.subject(), "CN=Jörg O'Neil\\, \\\"J\\\"");
    assert_eq!(made.issuer(), made.subject());
    assert_eq!(made.email(), Some("j.o@example.org"));
    let certificate = made.certificate();
    assert_eq!((certificate.begins(), certificate.expires()), (now, now + 30 * 86_400));
    assert!(certificate.may_sign() && certificate.key_bits() == 2048);
    assert_eq!(made.warnings(), []);
    let p12 = made.to_p12("p4ss w~rd").unwrap();
    let from_p12 = Endorser::from_p12(&p12, Some("p4ss w~rd"), Some("endorser")).unwrap();
    let pem = made.to_pem().unwrap();
    let from_pem = Endorser::from_pem(pem.as_bytes(), pem.as_bytes(), None).unwrap();
    let encrypted = made.to_encrypted_pem("p4ss wörd").unwrap();
    assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{encrypted}");
    let open = |password| Endorser::from_pem(encrypted.as_bytes(), encrypted.as_bytes(), password);
    assert_eq!(open(None).unwrap_err().code(), "key-password-missing");
    assert_eq!(open(Some("p4ss word")).unwrap_err().code(), "key-password-wrong");
    let from_encrypted = open(Some("p4ss wörd")).unwrap();
    for back in [from_p12, from_pem, from_encrypted] {
        assert_eq!(back.certificate(), certificate);
        assert!(back.key() == made.key());
    }
    for password in ["", "ä", "😀", "a\n"] {
        assert_eq!(made.to_p12(password).unwrap_err().code(), "key-password-characters");
    }
}

#[test]
fn what_cannot_be_certified_is_refused() {
    let code = |name: &str, email: &str, days, bits| {
        let error = generate(name, email, days, bits, 0).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        error.code()
    };
    let long = "x".repeat(65);
    for name in ["", " a", "a ", "a\nb", "a\0", long.as_str()] {
        assert_eq!(code(name, "a@b", 1, 2048), "key-name");
    }
    let far = format!("a@{}", "b".repeat(253));
    for email in [&*far, "", "a", "a@", "@b", "a@b@c", "a b@c", "jörg@example.org", "a@b\n"] {
        assert_eq!(code("a", email, 1, 2048), "key-email");
    }
    let error = generate("a", &far, 1, 2048, 0).unwrap_err();
    assert!(error.message().len() < 200, "{error}");
    assert_eq!(code("a", "a@b", 0, 2048), "key-days");
    assert_eq!(code("a", "a@b", 40_000, 2048), "key-days");
    assert_eq!(code("a", "a@b", 1, 1024), "key-bits");
    assert_eq!(code("a", "a@b", 1, 16_384), "key-bits");
}

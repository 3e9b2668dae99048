//! Names in a repository: those that the first client made, and those that a hostile server or a
//! careless user would like.

use proptest::prelude::*;

use super::*;

const UBUNTU: Facts = Facts {
    type_: Some("base"),
    os: Some("ubuntu"),
    arch: Some("x86_64"),
    version: Some("1.0"),
    osversion: Some("14.04"),
    compression: Some("gz"),
};

fn config(structure: &str, filename: &str) -> String {
    format!("[stratuslab_repo]\nrepo_structure = {structure}\nrepo_filename = {filename}\n")
}

#[test]
fn the_shipped_values_give_the_known_name() {
    let name = "base/ubuntu-14.04-x86_64-base/1.0/ubuntu-14.04-x86_64-base-1.0.img.gz";
    assert_eq!(Scheme::default().name(&UBUNTU).unwrap(), name);
    let manifest = "base/ubuntu-14.04-x86_64-base/1.0/ubuntu-14.04-x86_64-base-1.0.xml";
    assert_eq!(manifest_name(name), manifest);
    // With and without the section header, and with what editors leave behind.
    let shipped = config(STRUCTURE, FILENAME);
    let headless = shipped.lines().skip(1).collect::<Vec<_>>().join("\r\n");
    let odd = format!("\u{feff}; comment\n# comment\n[other]\nrepo_filename = x\n{shipped}");
    for text in [&shipped, &headless, &odd, &shipped.replace(" = ", ":")] {
        assert_eq!(Scheme::parse(text).unwrap(), Scheme::default(), "{text}");
    }
}

#[test]
fn dots_become_slashes_where_asked() {
    let scheme = Scheme::parse(&config("#type_#/#version_#", "#os#.img.#compression#")).unwrap();
    let facts = Facts { type_: Some("a.b"), version: Some("1.2.3"), ..UBUNTU };
    assert_eq!(scheme.name(&facts).unwrap(), "a/b/1/2/3/ubuntu.img.gz");
    let plain = Scheme::parse(&config("/", "#os#.img")).unwrap();
    assert_eq!(plain.name(&UBUNTU).unwrap(), "ubuntu.img");
}

#[test]
fn no_compression_leaves_no_dot() {
    for compression in [None, Some(""), Some("none")] {
        let name = Scheme::default().name(&Facts { compression, ..UBUNTU }).unwrap();
        assert!(name.ends_with("-1.0.img"), "{name}");
    }
}

#[test]
fn an_unknown_fact_names_its_option() {
    for (facts, option) in [
        (Facts { type_: None, ..UBUNTU }, "--type"),
        (Facts { os: None, ..UBUNTU }, "--os"),
        (Facts { arch: Some(" "), ..UBUNTU }, "--os-arch"),
        (Facts { version: None, ..UBUNTU }, "--image-version"),
        (Facts { osversion: Some(""), ..UBUNTU }, "--os-version"),
    ] {
        let error = Scheme::default().name(&facts).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let advice = error.advice().unwrap();
        assert!(advice.ends_with(option), "{advice}");
    }
}

#[test]
fn unsafe_facts_are_refused_and_spaces_are_not() {
    let long = "x".repeat(256);
    for os in ["a/b", "..", ".", "a..b", ".a", "a.", "a\\b", "a\nb", "a\0b", "a?b", "a#b", &long] {
        let error = Scheme::default().name(&Facts { os: Some(os), ..UBUNTU }).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{os:?}");
        assert!(error.advice().unwrap().contains("--os:"), "{error:?}");
    }
    let name = Scheme::default().name(&Facts { os: Some(" Scientific  Linux "), ..UBUNTU });
    assert!(name.unwrap().starts_with("base/Scientific-Linux-14.04-x86_64-base/1.0/"));
}

#[test]
fn a_hostile_configuration_leads_nowhere() {
    let long = "x".repeat(256);
    for (structure, filename) in [
        ("../#os#", "x"),
        ("#os#/../..", "x"),
        ("a//b", "x"),
        ("./a", "x"),
        ("a", ".."),
        ("", "."),
        ("a\tb", "x"),
        ("a", ""),
        ("a", "b/c"),
        ("#nothing#", "x"),
        ("#os", "x"),
        ("a", "##"),
        ("#os##", "x"),
        ("#__#", "x"),
        (&long, "x"),
        ("a", &long),
    ] {
        let name = Scheme::parse(&config(structure, filename)).and_then(|s| s.name(&UBUNTU));
        assert_eq!(name.unwrap_err().kind(), Kind::Config, "{structure} {filename}");
    }
    for text in ["", "<html>", "[stratuslab_repo]", "repo_structure = a", "repo_filename = a"] {
        assert_eq!(Scheme::parse(text).unwrap_err().kind(), Kind::Config, "{text}");
    }
    let huge = "#".repeat(usize::try_from(CONFIG_MAX).unwrap() + 1);
    Scheme::parse(&huge).unwrap_err();
}

#[test]
fn the_manifest_lies_beside_the_image() {
    for (image, manifest) in [
        ("mydisk.img.gz", "mydisk.xml"),
        ("a/b.c/mydisk.img.bz2", "a/b.c/mydisk.xml"),
        ("mydisk.img", "mydisk.xml"),
        ("mydisk", "mydisk.xml"),
        ("mydisk.qcow2", "mydisk.qcow2.xml"),
        ("a.img/x", "a.img/x.xml"),
        (".img.gz", ".img.gz.xml"),
        ("x.img.xml", "x.xml"),
    ] {
        assert_eq!(manifest_name(image), manifest);
    }
}

proptest! {
    #[test]
    fn no_configuration_and_no_facts_lead_out(
        text in "(\\[stratuslab_repo\\]\n)?repo_structure = [#a-z_/. ]{0,30}\nrepo_filename = [#a-z_.]{0,20}",
        os in "[a-z./ ]{0,8}",
    ) {
        let facts = Facts { os: Some(&os), version: Some(&os), ..UBUNTU };
        if let Ok(name) = Scheme::parse(&text).and_then(|scheme| scheme.name(&facts)) {
            let safe = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
            prop_assert!(safe && name.len() < 2048, "{name}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        _ = Scheme::parse(&text);
    }
}

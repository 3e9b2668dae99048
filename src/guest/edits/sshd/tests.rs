use super::super::trial;
use super::*;
use crate::guest::memory::MemoryTree;

const BLOCK: &str = "# stratus: keys only, begin\nPasswordAuthentication no\n\
    ChallengeResponseAuthentication no\nPermitRootLogin without-password\n\
    # stratus: keys only, end\n";

fn guest(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::of(files);
    tree.file("/usr/sbin/sshd", "", 0o755);
    tree
}

fn main_after(text: &str) -> (String, Vec<String>) {
    let mut tree = guest(&[("/etc/ssh/sshd_config", text)]);
    let outcome = trial::plain(&EDIT, &mut tree);
    let codes = outcome.codes().into_iter().map(str::to_owned).collect();
    (tree.text("/etc/ssh/sshd_config").unwrap(), codes)
}

#[test]
fn the_block_goes_to_the_top_and_the_rest_is_taken_out() {
    let text = "# x\nPasswordAuthentication yes\nUsePAM yes\nMatch User bob\n\
        \tPasswordAuthentication yes\n\tPasswordAuthentication no";
    let expected = format!(
        "{BLOCK}# x\n#stratus: PasswordAuthentication yes\nUsePAM yes\nMatch User bob\n\
         #stratus: \tPasswordAuthentication yes\n\tPasswordAuthentication no"
    );
    assert_eq!(main_after(text), (expected, vec![]));
}

#[test]
fn what_is_there_already_is_found_again() {
    let (once, _) = main_after("Port 22\r\n");
    assert_eq!(once, format!("{BLOCK}Port 22\r\n"));
    assert_eq!(main_after(&once).0, once);
    // A block that somebody changed is put right.
    let forged = once.replace("Authentication no", "Authentication yes");
    assert_eq!(main_after(&forged).0, once);
    // One that never ends is none.
    let open = "# stratus: keys only, begin\nPort 22\n";
    assert_eq!(main_after(open).0, format!("{BLOCK}{open}"));
}

#[test]
fn the_new_name_is_used_only_where_it_is_known() {
    let (text, _) = main_after("KbdInteractiveAuthentication yes\n");
    assert!(text.contains("\nKbdInteractiveAuthentication no\n"), "{text}");
    assert!(!main_after("#KbdInteractiveAuthentication no\n").0.contains("\nKbd"));
}

#[test]
fn root_stays_as_strict_as_keys_allow() {
    let (text, codes) = main_after("PermitRootLogin no\nPermitRootLogin forced-commands-only\n");
    assert!(text.contains("\nPermitRootLogin without-password\n"));
    assert_eq!(codes, ["sshd-root-login"]);
    let (text, codes) = main_after("PermitRootLogin forced-commands-only\nPermitRootLogin no\n");
    assert!(text.contains("\nPermitRootLogin forced-commands-only\n"));
    assert_eq!(codes, [""; 0]);
}

#[test]
fn included_files_are_edited_once_each() {
    let mut tree = guest(&[
        (
            "/etc/ssh/sshd_config",
            "Include sshd_config.d/*.conf /etc/ssh/loop\nMatch all\nInclude m\n",
        ),
        ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n"),
        ("/etc/ssh/sshd_config.d/60-m.conf", "Match User bob\nPasswordAuthentication yes\n"),
        ("/etc/ssh/sshd_config.d/70.conf", "passwordauthentication=yes"),
        ("/etc/ssh/sshd_config.d/off", "PasswordAuthentication yes\n"),
        ("/etc/ssh/loop", "Include loop\nPermitRootLogin yes\n"),
        ("/etc/ssh/m", "PasswordAuthentication no\nPubkeyAuthentication no\n"),
    ]);
    let outcome = trial::plain(&EDIT, &mut tree);
    assert_eq!(outcome.changes.len(), 6, "{outcome:?}");
    let text = |path: &str| tree.text(&format!("/etc/ssh/{path}")).unwrap();
    assert_eq!(text("sshd_config.d/50-cloud-init.conf"), "#stratus: PasswordAuthentication yes\n");
    assert!(text("sshd_config.d/60-m.conf").ends_with("\n#stratus: PasswordAuthentication yes\n"));
    assert_eq!(text("sshd_config.d/70.conf"), "#stratus: passwordauthentication=yes");
    assert_eq!(text("sshd_config.d/off"), "PasswordAuthentication yes\n");
    assert_eq!(text("loop"), "Include loop\n#stratus: PermitRootLogin yes\n");
    assert_eq!(text("m"), "PasswordAuthentication no\n#stratus: PubkeyAuthentication no\n");
}

#[test]
fn a_vendors_file_gets_a_drop_in_if_it_reads_them() {
    let vendor = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n";
    let mut tree = guest(&[("/usr/etc/ssh/sshd_config", vendor)]);
    trial::plain(&EDIT, &mut tree);
    assert_eq!(tree.text("/usr/etc/ssh/sshd_config").unwrap(), vendor);
    assert_eq!(tree.text("/etc/ssh/sshd_config.d/00-stratus.conf").unwrap(), BLOCK);

    let mut tree = guest(&[("/usr/etc/ssh/sshd_config", "UsePAM yes\n")]);
    trial::plain(&EDIT, &mut tree);
    assert_eq!(tree.text("/usr/etc/ssh/sshd_config").unwrap(), format!("{BLOCK}UsePAM yes\n"));
}

#[test]
fn without_a_server_nothing_is_done() {
    let mut tree = MemoryTree::of(&[("/etc/ssh/sshd_config", "PasswordAuthentication yes\n")]);
    let mut facts = trial::facts();
    facts.ssh = None;
    let outcome = trial::run(&EDIT, &mut tree, &facts, &Default::default());
    assert_eq!((outcome.paths().len(), outcome.codes().len()), (0, 0));
}

#[test]
fn what_cannot_be_mended_is_told() {
    let (text, codes) = main_after(
        "AllowUsers bob\nAuthenticationMethods publickey,password\nTrustedUserCAKeys /etc/ca\n\
         Match User git\nAuthorizedKeysFile /srv/git/keys\n",
    );
    assert!(text.contains("\n#stratus: AuthenticationMethods"));
    let expected = ["sshd-users-limited", "sshd-methods", "sshd-other-keys", "sshd-keys-elsewhere"];
    assert_eq!(codes, expected);
}

#[test]
fn cloud_init_lets_no_passwords_in_again() {
    let path = "/etc/cloud/cloud.cfg.d/50.cfg";
    let text = "# ssh_pwauth: true\nssh_pwauth: True\nusers: []";
    let mut tree = guest(&[(path, text), ("/etc/cloud/cloud.cfg", "ssh_pwauth: false\n")]);
    assert_eq!(trial::plain(&EDIT, &mut tree).paths(), [path]);
    let expected = "# ssh_pwauth: true\n#stratus: ssh_pwauth: True\nusers: []";
    assert_eq!(tree.text(path).unwrap(), expected);
}

#[test]
fn hostile_includes_end() {
    let mut tree = guest(&[("/etc/ssh/sshd_config", "Include d/*\n")]);
    for i in 0..40 {
        tree.file(
            &format!("/etc/ssh/d/{i}"),
            "Include d/* d/* d/*\nMatch all\nInclude d/*\n",
            0o644,
        );
    }
    let outcome = trial::plain(&EDIT, &mut tree);
    assert_eq!(outcome.paths(), ["/etc/ssh/sshd_config"]);

    tree.link("/etc/ssh/l/a", ".");
    tree.link("/etc/ssh/l/b", ".");
    let deep = format!("Include l{}\n", "/*".repeat(60));
    tree.file("/etc/ssh/sshd_config", &deep, 0o644);
    let error = trial::once(&EDIT, &mut tree, &trial::facts(), &Default::default()).unwrap_err();
    assert_eq!(error.code(), "sshd-too-many-includes");
    tree.file("/etc/ssh/sshd_config", &"Include *\n".repeat(100_000), 0o644);
    let error = trial::once(&EDIT, &mut tree, &trial::facts(), &Default::default()).unwrap_err();
    assert_eq!(error.code(), "sshd-too-many-includes");
    let large = "#".repeat(5 << 20);
    tree.file("/etc/ssh/sshd_config", &large, 0o644);
    let error = trial::once(&EDIT, &mut tree, &trial::facts(), &Default::default()).unwrap_err();
    assert_eq!(error.code(), "guest-file-too-large");
}

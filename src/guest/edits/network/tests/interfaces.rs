//! `/etc/network/interfaces`, judged by ifupdown.

use std::path::Path;

use super::{INTERFACES, edited, file};
use crate::guest::edits::boot_trial::{content, dump};
use crate::guest::memory::{Entry, MemoryTree};

const LO: &str = "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n";

/// What ifup would do, by ifup itself.
fn ifup(tree: &MemoryTree) -> String {
    let folder = tempfile::tempdir().unwrap();
    dump(tree, folder.path());
    let below = folder.path().join("etc/network");
    let path = below.join("interfaces");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("/etc/network", below.to_str().unwrap())).unwrap();
    let state = format!("--state-dir={}", folder.path().display());
    let file = path.to_str().unwrap();
    // The card by name, and each that is started by itself.
    let mut said = content("ifupdown", "ifquery", &["-i", file, &state, "--list"]);
    for what in ["eth0", "-a"] {
        let args = ["-n", "--force", "-i", file, &state, "--no-scripts", "-X", "lo", what];
        said += &content("ifupdown", "ifup", &args);
    }
    assert!(!said.contains("error") && !said.contains("unknown"), "{said}");
    // It names the client, or says that there is none.
    assert!(said.contains("dhclient") || said.contains("No DHCP client"), "{said}");
    said
}

#[test]
fn dhcp_on_eth0_is_left_alone() {
    for text in ["auto eth0\niface eth0 inet dhcp\n", "iface eth0 inet manual\n", LO, ""] {
        assert_eq!(file(INTERFACES, text), (text.to_owned(), vec![]));
    }
}

/// What Debian's installer writes in VirtualBox.
#[test]
fn debian_in_virtualbox() {
    let text = format!(
        "{LO}# The primary network interface\nallow-hotplug enp0s3\niface enp0s3 inet dhcp\n\
         \thwaddress ether 08:00:27:12:34:56\n# This is an autoconfigured IPv6 interface\n\
         iface enp0s3 inet6 auto\n"
    );
    let files = [
        (INTERFACES, text.as_str()),
        ("/boot/grub/grub.cfg", "linux /v root=UUID=x\n"),
        ("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n"),
        ("/etc/nftables.conf", "iifname \"enp0s3\" accept\n# enp0s8\n"),
    ];
    let mut tree = MemoryTree::of(&files);
    let outcome = edited(&mut tree);
    assert_eq!(outcome.paths(), [INTERFACES, "/boot/grub/grub.cfg", "/etc/default/grub"]);
    assert_eq!(outcome.codes(), ["network-name"]);
    let expected = text.replace("enp0s3", "eth0").replace("\thwaddress", "#stratus: \thwaddress");
    assert_eq!(tree.text(INTERFACES).unwrap(), expected);
    let words = "linux /v root=UUID=x net.ifnames=0 biosdevname=0\n";
    assert_eq!(tree.text("/boot/grub/grub.cfg").unwrap(), words);
    let said = ifup(&tree);
    assert!(!said.contains("enp0s3"), "{said}");
}

#[test]
fn a_fixed_address_becomes_a_comment() {
    let text = format!(
        "{LO}auto enp0s3 enp0s8\niface enp0s3 inet static\n\taddress 192.168.1.5/24 \\\n  \n\
         \tgateway 192.168.1.1\n\tup route add -net 10.0.0.0/8 \\\n\t  gw 192.168.1.2\n\n\
         iface enp0s3 inet6 static\n\taddress fec0::5/64\n\n\
         iface enp0s8 inet static\n\taddress 192.168.56.10\n\tnetmask 255.255.255.0\n"
    );
    let mut tree = MemoryTree::of(&[(INTERFACES, &text)]);
    let outcome = edited(&mut tree);
    assert_eq!(outcome.paths(), [INTERFACES]);
    let new = tree.text(INTERFACES).unwrap();
    let live: Vec<&str> =
        new.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    let expected = [
        "source /etc/network/interfaces.d/*",
        "auto lo",
        "iface lo inet loopback",
        "auto eth0",
        "iface eth0 inet dhcp",
    ];
    assert_eq!(live, expected);
    // Nothing is lost.
    let old = new.replace("#stratus: ", "").replace("auto eth0", "auto enp0s3 enp0s8");
    assert_eq!(old.replace("iface eth0 inet dhcp\n", ""), text);
    let said = ifup(&tree);
    assert!(!said.contains("192.168"), "{said}");
}

/// A box of Vagrant: the second card has the fixed address of a network of the host alone.
#[test]
fn a_second_card_is_not_waited_for() {
    let mut tree = MemoryTree::of(&[
        (INTERFACES, &format!("{LO}auto eth0\niface eth0 inet dhcp\n")),
        (
            "/etc/network/interfaces.d/eth1",
            "#VAGRANT-BEGIN\nauto eth1\niface eth1 inet static\n      address 192.168.56.10\n\
             #VAGRANT-END\n",
        ),
    ]);
    assert_eq!(edited(&mut tree).paths(), ["/etc/network/interfaces.d/eth1"]);
    let said = ifup(&tree);
    assert!(said.contains("eth0") && !said.contains("eth1"), "{said}");
}

#[test]
fn what_nothing_starts_is_started() {
    let (new, _) = file(INTERFACES, "iface eth0 inet static\n address 10.0.0.1");
    assert_eq!(
        new,
        "#stratus: iface eth0 inet static\niface eth0 inet dhcp\n#stratus:  address 10.0.0.1\nauto eth0\n"
    );
}

#[test]
fn a_bridge_is_left_and_told() {
    let text = "auto br0\niface br0 inet static\n address 10.0.0.1\n bridge_ports enp0s3\n\
        iface enp0s3 inet manual\n";
    assert_eq!(file(INTERFACES, text), (text.to_owned(), vec!["network-complex".to_owned()]));
}

#[test]
fn a_guest_without_a_loader_tells_udev() {
    let mut tree = MemoryTree::of(&[
        (INTERFACES, "auto enp0s3\niface enp0s3 inet dhcp\n"),
        ("/usr/lib/systemd/network/99-default.link", "x"),
    ]);
    edited(&mut tree);
    let place = Path::new("/etc/systemd/network/99-default.link");
    assert_eq!(tree.0[place], Entry::Link("/dev/null".into()));
}

//! Which names cards have, and what happens to files that use others.

use super::*;
use crate::guest::edits::udev_net;
use crate::guest::memory::Entry;

const GRUB: &str = "/boot/grub/grub.cfg";
const RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
const LINK: &str = "/usr/lib/systemd/network/99-default.link";

/// A guest in which udev names cards by their slots, with these files.
fn modern(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::of(files);
    tree.file(GRUB, "linux /v ro\n", 0o644);
    tree.file(LINK, "[Link]\n", 0o644);
    tree
}

fn has_kernel_names(tree: &MemoryTree) -> bool {
    tree.text(GRUB).unwrap() == "linux /v ro net.ifnames=0 biosdevname=0\n"
}

/// eth0 stays in the files, and what gave the card that name goes or does not know the new card.
#[test]
fn eth0_is_still_there_in_the_cloud() {
    let scripts = "/etc/sysconfig/network-scripts";
    let rule = "SUBSYSTEM==\"net\", ATTR{address}==\"08:00:27:00:00:01\", NAME=\"eth0\"\n";
    for files in [
        // An old Debian that was upgraded.
        vec![
            (INTERFACES.to_owned(), "auto eth0\niface eth0 inet dhcp\n"),
            (RULES.to_owned(), rule),
        ],
        // CentOS 7, whose initscripts rename by HWADDR.
        (vec![(format!("{scripts}/ifcfg-eth0"), "DEVICE=eth0\nHWADDR=08:00:27:00:00:01\n")]),
        // NetworkManager's name for a connection.
        vec![(format!("{scripts}/ifcfg-Wired"), "TYPE=Ethernet\nHWADDR=08:00:27:00:00:01\n")],
        vec![("/etc/systemd/network/a.network".to_owned(), "[Match]\nName=eth0\n")],
    ] {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let mut tree = modern(&files);
        trial(&udev_net::EDIT, &mut tree, &facts(Init::Systemd), &[]);
        edited(&mut tree);
        assert!(has_kernel_names(&tree), "{files:?}");
    }
}

#[test]
fn kernel_names_are_not_asked_for_twice_or_in_vain() {
    let eth0 = "auto eth0\niface eth0 inet dhcp\n";
    // The loader says it, somebody has put a link over the rule, or udev is too old for slots.
    let mut told = modern(&[(INTERFACES, eth0)]);
    told.file(GRUB, "linux /v net.ifnames=0\n", 0o644);
    let mut masked = modern(&[(INTERFACES, eth0)]);
    masked.link("/etc/systemd/network/99-default.link", "/dev/null");
    let mut old = modern(&[(INTERFACES, eth0)]);
    old.0.remove(Path::new(LINK));
    // No card by name; the name of a connection is none.
    let keyfile = "[connection]\nid=eth0\ntype=ethernet\n";
    let any =
        modern(&[("/etc/NetworkManager/system-connections/a", keyfile), (INTERFACES, "# eth0\n")]);
    for mut tree in [told, masked, old, any] {
        assert_eq!(edited(&mut tree).paths().len(), 0, "{tree:?}");
    }
}

/// The rules of a machine that was cloned call the card eth1; without them it is eth0.
#[test]
fn eth1_alone_becomes_eth0() {
    let mut tree = modern(&[
        (INTERFACES, "auto lo eth1\niface eth1 inet dhcp\n  up echo eth1\n"),
        ("/etc/iptables.rules", "-A INPUT -i eth1\n"),
    ]);
    assert_eq!(edited(&mut tree).codes(), ["network-name"]);
    let new = tree.text(INTERFACES).unwrap();
    assert_eq!(new, "auto lo eth0\niface eth0 inet dhcp\n  up echo eth0\n");
    assert!(has_kernel_names(&tree));

    let folder = "/etc/sysconfig/network-scripts";
    let mut tree =
        MemoryTree::of(&[(&format!("{folder}/ifcfg-eth1"), "DEVICE=eth1\nBOOTPROTO=dhcp\n")]);
    edited(&mut tree);
    let new = tree.text(&format!("{folder}/ifcfg-eth0")).unwrap();
    assert_eq!(new, "#stratus: DEVICE=eth1\nBOOTPROTO=dhcp\nDEVICE=eth0\nONBOOT=yes\n");
    // For any card.
    let any = "TYPE=Ethernet\nBOOTPROTO=dhcp\n";
    let mut tree = MemoryTree::of(&[(&format!("{folder}/ifcfg-Wired"), any)]);
    assert_eq!(edited(&mut tree).paths().len(), 0);
}

#[test]
fn options_of_a_card_that_is_renamed() {
    let text = "auto enp0s3\niface enp0s3 inet dhcp\n up ip route add 10.0.0.0/8 dev enp0s3\n \
        up echo enp0s31 x_enp0s3 \\\n  /proc/sys/net/ipv4/conf/enp0s3/x\n";
    let (new, _) = file(INTERFACES, text);
    let expected = text.replace("enp0s3\n", "eth0\n").replace("/enp0s3/", "/eth0/");
    assert_eq!(new, expected.replace("iface enp0s3 ", "iface eth0 "));
}

#[test]
fn suse_by_mac_address() {
    let folder = "/etc/sysconfig/network";
    let path = format!("{folder}/ifcfg-eth-id-08:00:27:12:34:56");
    let mut tree = MemoryTree::of(&[
        (&path, "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"),
        ("/etc/sysconfig/network/ifcfg-eth0:1", "IPADDR='10.0.0.1'\n"),
    ]);
    let pinned = |tree: &MemoryTree| {
        let text = tree.text(&path);
        text.is_some_and(|text| is_tied(Path::new(&path), &text))
    };
    assert!(pinned(&tree));
    assert_eq!(edited(&mut tree).paths(), [&path]);
    assert!(!pinned(&tree) && tree.text("/etc/sysconfig/network/ifcfg-eth0").is_some());
}

/// A design stops what it is a part of, and only if something has to change.
#[test]
fn designs_beside_what_must_change() {
    let wifi = "network:\n  wifis:\n    wlan0: {}\n";
    let wired = "network:\n  ethernets:\n    enp0s3:\n      dhcp4: true\n";
    let mut tree = MemoryTree::of(&[("/etc/netplan/a.yaml", wifi), ("/etc/netplan/b.yaml", wired)]);
    let outcome = edited(&mut tree);
    assert_eq!(outcome.paths(), ["/etc/netplan/b.yaml", "/etc/netplan/99-stratus.yaml"]);
    let path = "/etc/sysconfig/network-scripts/ifcfg-eth0";
    let port = "DEVICE=eth0\nBRIDGE=br0\n";
    assert_eq!(file(path, port), (port.to_owned(), vec![]));
}

#[test]
fn other_families_are_told() {
    for (path, text) in [
        ("/etc/conf.d/net", "config_enp0s3=\"dhcp\"\n"),
        ("/etc/conf.d/net", "config_eth0=\"10.0.0.5/24\"\n"),
        ("/etc/dhcpcd.conf", "interface eth0\nstatic ip_address=10.0.0.5/24\n"),
        ("/etc/rc.d/rc.inet1.conf", "IPADDR[0]=\"10.0.0.5\"\n"),
        ("/etc/netctl/a", "Interface=enp0s3\nIP=dhcp\n"),
        ("/etc/systemd/network/10-a.link", "[Match]\nMACAddress=08:00:27:00:00:01\n"),
    ] {
        let (new, codes) = file(path, text);
        assert_eq!((new.as_str(), codes), (text, vec!["network-unknown".to_owned()]), "{path}");
        assert!(is_tied(Path::new(path), text));
    }
    for (path, text) in [
        ("/etc/conf.d/net", "# config_enp0s3=\ndns_servers_eth0=\"8.8.8.8\"\n"),
        ("/etc/rc.d/rc.inet1.conf", "IPADDR[0]=\"\"\nNETMASK[0]=\"255.255.255.0\"\n"),
        ("/etc/systemd/network/10-a.link", "[Match]\nDriver=e1000\n"),
    ] {
        assert_eq!(file(path, text), (text.to_owned(), vec![]), "{path}");
    }
}

/// What the verdict calls tied is what the edit changes.
#[test]
fn fixed_addresses_are_pins() {
    for (path, text) in [
        (INTERFACES, "iface eth0 inet static\n address 10.0.0.5\n"),
        ("/etc/sysconfig/network-scripts/ifcfg-eth0", "IPADDR=10.0.0.5\n"),
        (
            "/etc/netplan/a.yaml",
            "network:\n  ethernets:\n    eth0:\n      addresses: [10.0.0.5/8]\n",
        ),
        ("/etc/systemd/network/a.network", "[Match]\nName=eth0\n[Network]\nAddress=10.0.0.5/8\n"),
        (
            "/etc/NetworkManager/system-connections/a",
            "[connection]\nid=enp0s3\ntype=ethernet\n[ipv4]\nmethod=manual\n",
        ),
    ] {
        assert!(is_tied(Path::new(path), text), "{path}");
        let (new, _) = file(path, text);
        assert!(!is_tied(Path::new(path), &new), "{path}: {new}");
    }
}

#[test]
fn links_over_all_rules_that_are_there() {
    let mut tree = modern(&[(INTERFACES, "auto eth0\niface eth0 inet dhcp\n")]);
    tree.0.remove(Path::new(GRUB));
    edited(&mut tree);
    let place = Path::new("/etc/systemd/network/99-default.link");
    assert_eq!(tree.0[place], Entry::Link("/dev/null".into()));
}

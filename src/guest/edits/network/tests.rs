mod interfaces;
mod names;

use proptest::prelude::*;

use super::*;
use crate::guest::edits::boot_trial::{Outcome, content, dump, facts, run as trial};
use crate::guest::facts::Init;
use crate::guest::memory::MemoryTree;

fn edited(tree: &mut MemoryTree) -> Outcome {
    trial(&EDIT, tree, &facts(Init::Systemd), &[])
}

/// One file; the new text and the codes of the warnings.
fn file(path: &str, text: &str) -> (String, Vec<String>) {
    let mut tree = MemoryTree::of(&[(path, text)]);
    let outcome = edited(&mut tree);
    let codes = outcome.codes().into_iter().map(str::to_owned).collect();
    (tree.text(path).unwrap_or_default(), codes)
}

const INTERFACES: &str = "/etc/network/interfaces";

#[test]
fn names_of_cards() {
    for name in
        ["enp0s3", "enp0s17", "ens3", "eno1", "p2p1", "em1", "enx080027123456", "eth-id-08:00"]
    {
        assert!(is_predictable(name) && is_card(name), "{name}");
    }
    for name in [
        "eth0", "lo", "br0", "wlan0", "enp0s3.5", "enp0s3\\", "endpoint", "p2p", "em", "en", "",
        "enp",
    ] {
        assert!(!is_predictable(name), "{name}");
    }
    assert!(is_card("eth10") && !is_card("eth") && !is_card("eth0.5") && !is_card("ethx"));
}

/// netplan's own generator on what is left: what systemd-networkd is told.
fn netplan(tree: &MemoryTree) -> String {
    let folder = tempfile::tempdir().unwrap();
    dump(tree, folder.path());
    let root = folder.path().to_str().unwrap();
    content("netplan.io", "netplan", &["generate", "--root-dir", root]);
    let made = folder.path().join("run/systemd/network");
    let mut names: Vec<_> = std::fs::read_dir(made).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn netplan_of_ubuntu() {
    let path = "/etc/netplan/00-installer-config.yaml";
    let ours = "/etc/netplan/99-stratus.yaml";
    for text in [
        "# installer\nnetwork:\n  ethernets:\n    enp0s3:\n      dhcp4: true\n  version: 2\n",
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      addresses: [192.168.1.5/24]\n",
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      addresses:\n      - \"10.0.0.2/8\"\n",
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match:\n        macaddress: 08:00:27:00:00:01\n      set-name: eth0\n",
    ] {
        let mut tree = MemoryTree::of(&[(path, text)]);
        let outcome = edited(&mut tree);
        assert_eq!(outcome.paths(), [path, ours], "{text}");
        assert_eq!(tree.text(path).unwrap().replace("#stratus: ", ""), text);
        let said = netplan(&tree);
        assert!(said.contains("Name=e*\n") && said.contains("DHCP=ipv4"), "{said}");
        assert!(!said.contains("Address=") && !said.contains("MACAddress="), "{said}");
    }
}

#[test]
fn netplan_that_fits_is_left_alone() {
    for text in [
        "network:\n  version: 2\n  renderer: NetworkManager\n",
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      nameservers:\n        addresses: [8.8.8.8]\n      routes:\n      - to: 10.0.0.0/8\n        via: 10.1.1.1\n",
        "network:\n  ethernets:\n    all:\n      match: {name: \"en*\"}\n      dhcp4: true # enp0s3:\n",
        "# enp0s3: 10.0.0.1/8\n",
    ] {
        let mut tree = MemoryTree::of(&[("/etc/netplan/x.yaml", text)]);
        assert_eq!(edited(&mut tree).paths().len(), 0, "{text}");
    }
    let bridge = "network:\n  ethernets:\n    enp0s3: {}\n  bridges:\n    br0:\n      interfaces: [enp0s3]\n";
    let (new, codes) = file("/etc/netplan/x.yaml", bridge);
    assert_eq!((new.as_str(), codes), (bridge, vec!["network-complex".to_owned()]));
    // The renderer stays.
    let text =
        "network:\n  renderer: NetworkManager\n  ethernets:\n    enp0s3:\n      dhcp4: yes\n";
    let mut tree = MemoryTree::of(&[("/etc/netplan/x.yaml", text)]);
    edited(&mut tree);
    let new = tree.text("/etc/netplan/99-stratus.yaml").unwrap();
    assert!(new.contains("\n  renderer: NetworkManager\n  ethernets:\n"), "{new}");
}

#[test]
fn networkd() {
    let path = "/etc/systemd/network/20-wired.network";
    let text = "[Match]\nName=enp0s3\n\n[Network]\nDHCP=no\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nDNS=10.0.0.1\n\n\
        [Route]\nDestination=10.9.0.0/16\n";
    let (new, codes) = file(path, text);
    let live: Vec<&str> =
        new.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let expected = ["[Match]", "Name=en* eth*", "[Network]", "DHCP=yes"];
    assert_eq!((live.as_slice(), codes.len()), (&expected[..], 0));
    assert!(new.contains("#stratus: Address=10.0.0.5/24\n"));

    let (new, _) = file(path, "[Match]\nMACAddress=08:00:27:00:00:01\n[Network]\nDHCP=ipv4\n");
    assert_eq!(
        new,
        "[Match]\nName=en* eth*\n#stratus: MACAddress=08:00:27:00:00:01\n[Network]\nDHCP=yes\n#stratus: DHCP=ipv4\n"
    );
    for text in [
        "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
        "[Match]\nName=docker0\n[Network]\nAddress=10.0.0.1/8\n",
        "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n",
    ] {
        assert_eq!(file(path, text), (text.to_owned(), vec![]));
    }
    let bridge = "[Match]\nName=enp0s3\n[Network]\nBridge=br0\n";
    assert_eq!(file(path, bridge), (bridge.to_owned(), vec!["network-complex".to_owned()]));
}

#[test]
fn network_manager() {
    let path = "/etc/NetworkManager/system-connections/enp0s3.nmconnection";
    let text = "[connection]\nid=enp0s3\ntype=ethernet\ninterface-name=enp0s3\n\n[ethernet]\n\
        mac-address=08:00:27:00:00:01\n\n[ipv4]\naddress1=10.0.0.5/24,10.0.0.1\ndns=10.0.0.1;\n\
        method=manual\n\n[ipv6]\nmethod=auto\n";
    let (new, codes) = file(path, text);
    let live: Vec<&str> =
        new.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let expected = [
        "[connection]",
        "id=enp0s3",
        "type=ethernet",
        "[ethernet]",
        "[ipv4]",
        "method=auto",
        "[ipv6]",
        "method=auto",
    ];
    assert_eq!((live.as_slice(), codes.len()), (&expected[..], 0));
    assert_eq!(new.replace("#stratus: ", "").replacen("method=auto\n", "", 1), text);
    for text in [
        "[connection]\ntype=wifi\ninterface-name=enp0s3\n",
        "[connection]\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto\naddress1=10.0.0.1/8\n",
    ] {
        assert_eq!(file(path, text), (text.to_owned(), vec![]));
    }
    let port = "[connection]\ntype=ethernet\ninterface-name=enp0s3\nmaster=br0\n";
    assert_eq!(file(path, port), (port.to_owned(), vec!["network-complex".to_owned()]));
}

#[test]
fn rhel() {
    let folder = "/etc/sysconfig/network-scripts";
    let text = "TYPE=\"Ethernet\"\nBOOTPROTO=\"none\"\nNAME=\"enp0s3\"\nUUID=\"1-2\"\nDEVICE=\"enp0s3\"\n\
        ONBOOT=\"yes\"\nIPADDR=10.0.0.5\nPREFIX=24\nGATEWAY=10.0.0.1\nDNS1=10.0.0.1\n";
    let second = "DEVICE=enp0s8\nBOOTPROTO=dhcp\nONBOOT=yes\n";
    let mut tree = MemoryTree::of(&[
        ("/etc/sysconfig/network-scripts/ifcfg-enp0s3", text),
        ("/etc/sysconfig/network-scripts/ifcfg-enp0s8", second),
        ("/etc/sysconfig/network-scripts/ifcfg-lo", "DEVICE=lo\nIPADDR=127.0.0.1\n"),
        ("/etc/sysconfig/network-scripts/ifcfg-old.bak", "DEVICE=enp0s9\n"),
        ("/etc/sysconfig/network", "NETWORKING=yes\nGATEWAY=10.0.0.1\n"),
        ("/boot/grub2/grub.cfg", "linux16 /v ro\n"),
    ]);
    edited(&mut tree);
    let new = tree.text(&format!("{folder}/ifcfg-eth0")).unwrap();
    let live: Vec<&str> = new.lines().filter(|line| !line.starts_with('#')).collect();
    let expected =
        ["TYPE=\"Ethernet\"", "NAME=\"enp0s3\"", "ONBOOT=\"yes\"", "DEVICE=eth0", "BOOTPROTO=dhcp"];
    assert_eq!(live, expected);
    assert_eq!(tree.text(&format!("{folder}/ifcfg-enp0s3")), None);
    let second = tree.text(&format!("{folder}/ifcfg-enp0s8")).unwrap();
    assert!(second.ends_with("#stratus: ONBOOT=yes\nONBOOT=no\n"), "{second}");
    let network = tree.text("/etc/sysconfig/network").unwrap();
    assert_eq!(network, "NETWORKING=yes\n#stratus: GATEWAY=10.0.0.1\n");
    assert!(
        tree.text("/boot/grub2/grub.cfg").unwrap().ends_with("ro net.ifnames=0 biosdevname=0\n")
    );
}

#[test]
fn old_rhel_suse_and_ttylinux() {
    let rhel = "/etc/sysconfig/network-scripts/ifcfg-eth0";
    let (new, _) = file(rhel, "DEVICE=eth0\nHWADDR=08:00:27:00:00:01\nONBOOT=no\nBOOTPROTO=dhcp");
    assert_eq!(
        new,
        "DEVICE=eth0\n#stratus: HWADDR=08:00:27:00:00:01\n#stratus: ONBOOT=no\nBOOTPROTO=dhcp\nONBOOT=yes\n"
    );
    let plain = "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=no\n";
    assert_eq!(file(rhel, plain), (plain.to_owned(), vec![]));
    let bridge = "DEVICE=eth0\nHWADDR=08:00:27:00:00:01\nBRIDGE=br0\n";
    assert_eq!(file(rhel, bridge), (bridge.to_owned(), vec!["network-complex".to_owned()]));
    let tty = "ENABLE=no\nIPADDR=192.168.1.9\nDHCP=no\n";
    let (new, _) = file(rhel, tty);
    assert_eq!(
        new,
        "#stratus: ENABLE=no\n#stratus: IPADDR=192.168.1.9\n#stratus: DHCP=no\nENABLE=yes\nDHCP=yes\n"
    );

    let mut tree = MemoryTree::of(&[
        (
            "/etc/sysconfig/network/ifcfg-eth0",
            "BOOTPROTO='static'\nIPADDR='10.0.0.5/24'\nSTARTMODE='auto'\n",
        ),
        ("/etc/sysconfig/network/ifcfg-lo", "IPADDR=127.0.0.1/8\n"),
        (
            "/etc/sysconfig/network/config",
            "NETCONFIG_DNS_POLICY=\"auto\"\nNETCONFIG_DNS_STATIC_SERVERS=\"10.0.0.1\"\n",
        ),
        ("/etc/sysconfig/network/routes", "default 10.0.0.1 - -\n10.1.0.0/16 10.0.0.2 - -\n"),
    ]);
    edited(&mut tree);
    assert_eq!(
        tree.text("/etc/sysconfig/network/ifcfg-eth0").unwrap(),
        "#stratus: BOOTPROTO='static'\n#stratus: IPADDR='10.0.0.5/24'\nSTARTMODE='auto'\nBOOTPROTO=dhcp\n"
    );
    let config = tree.text("/etc/sysconfig/network/config").unwrap();
    assert!(config.ends_with("\n#stratus: NETCONFIG_DNS_STATIC_SERVERS=\"10.0.0.1\"\n"));
    let routes = tree.text("/etc/sysconfig/network/routes").unwrap();
    assert_eq!(routes, "#stratus: default 10.0.0.1 - -\n10.1.0.0/16 10.0.0.2 - -\n");
}

const LINES: &[&str] = &[
    "auto enp0s3 eth1\n",
    "auto lo\n",
    "iface lo inet loopback\n",
    "allow-hotplug eth0\n",
    "iface enp0s3 inet dhcp\n",
    "iface eth0 inet static\n",
    "iface eth0:1 inet static\n",
    "iface eth1 inet static\n",
    "iface enp0s8 inet6 auto\n",
    "iface enp0s3\n",
    "iface\n",
    "  address 10.0.0.1/8\n",
    "hwaddress ether x \\\n",
    " gateway \\\r\n",
    "# iface enp0s3 \\\n",
    "\n",
    "mapping eth0\n",
    "DEVICE=enp0s3\n",
    "IPADDR='1'\n",
    "HWADDR=x\n",
    "ONBOOT=no\n",
    "BOOTPROTO=static\n",
    "DHCP=no\n",
    "[Match]\n",
    "Name=enp0s3 eth0\n",
    "MACAddress=x\n",
    "[Network]\n",
    "Address=1\n",
    "[Route]\n",
    "[connection]\n",
    "type=ethernet\n",
    "interface-name=enp0s3\n",
    "[ipv4]\n",
    "method=manual\n",
    "address1=x\n",
    "    enp0s3:\n",
    "      addresses: [10.0.0.1/8]\n",
    "macaddress: x",
    "network:\n",
    "=\n",
    "auto enp0s3",
];

const PLACES: &[&str] = &[
    INTERFACES,
    "/etc/sysconfig/network-scripts/ifcfg-enp0s3",
    "/etc/sysconfig/network/ifcfg-eth0",
    "/etc/netplan/a.yaml",
    "/etc/systemd/network/a.network",
    "/etc/NetworkManager/system-connections/a",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Twice is once, and each old line is still there: itself, as a comment, or with eth0.
    #[test]
    fn nothing_is_lost(picks in prop::collection::vec(0..LINES.len(), 0..14), place in 0..PLACES.len()) {
        let mut old: String = picks.iter().map(|i| format!("{}\n", LINES[*i].trim_end_matches('\n'))).collect();
        if picks.last().is_some_and(|i| !LINES[*i].ends_with('\n')) {
            old.pop();
        }
        let mut tree = MemoryTree::of(&[(PLACES[place], &old)]);
        edited(&mut tree);
        let renamed = PLACES[1].replace("enp0s3", "eth0");
        let new = tree.text(PLACES[place]).or(tree.text(&renamed)).unwrap();
        let new: Vec<String> = new.lines().map(|line| line.replace(MARK, "").trim().to_owned()).collect();
        let mut at = 0;
        for line in old.lines().map(str::trim) {
            let cards = ["enp0s3", "enp0s8", "eth1"];
            let eth0 = cards.iter().fold(line.to_owned(), |line, card| line.replace(card, "eth0"));
            let first = |new: &String| {
                new == line || *new == eth0 || (line.contains("auto ") && new.starts_with("auto "))
                    || (line.starts_with("allow-") && new.starts_with("allow-"))
            };
            match new[at..].iter().position(first) {
                Some(skip) => at += skip + 1,
                None => prop_assert!(false, "{line:?} is gone: {new:?}"),
            }
        }
    }
}

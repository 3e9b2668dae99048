//! `cloud-init`: a cloud-init in the guest asks the clouds of this program's users first, also if it
//! was set up for another one alone.

use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::tree::Attributes;
use crate::guest::{cloud, inspect};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "cloud-init",
    default: true,
    reason: "lets a cloud-init in the guest ask OpenNebula, ConfigDrive and NoCloud first",
    run,
};

const NAME: &str = "95-stratuslab.cfg";
/// Who is asked first.
const FIRST: [&str; 3] = ["OpenNebula", "ConfigDrive", "NoCloud"];

/// How cloud-init's search decides whether it runs at all.
const SEARCH: &str = "/etc/cloud/ds-identify.cfg";

/// cloud-init's own order, of version 22.4 (`datasource_list` in cloudinit/settings.py), for a guest
/// whose configuration has none. A version that does not know one of them says so and goes on.
const USUAL: [&str; 27] = [
    "NoCloud",
    "ConfigDrive",
    "LXD",
    "OpenNebula",
    "DigitalOcean",
    "Azure",
    "AltCloud",
    "OVF",
    "MAAS",
    "GCE",
    "OpenStack",
    "AliYun",
    "Vultr",
    "Ec2",
    "CloudSigma",
    "CloudStack",
    "SmartOS",
    "Bigstep",
    "Scaleway",
    "Hetzner",
    "IBMCloud",
    "Oracle",
    "Exoscale",
    "RbxCloud",
    "UpCloud",
    "VMware",
    "NWCS",
];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let line = bench.facts.command_lines.first().map_or("", String::as_str);
    if !inspect::cloud_init(bench.tree, line)? {
        return Ok(());
    }
    let mut own = None;
    let mut later = Vec::new();
    for (path, list) in cloud::lists(bench.tree)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == NAME {
            continue;
        }
        let lacks = FIRST.iter().any(|wanted| !list.iter().any(|name| name == wanted));
        if path.starts_with(cloud::FOLDER) && *name > *NAME && lacks {
            later.push(path);
        }
        own = Some(list);
    }
    // One source alone was used without a search (`ds-identify` of cloud-init): it goes on without
    // one.
    let alone = match own.as_deref() {
        Some([_]) => true,
        Some([_, last]) => last == "None",
        _ => false,
    };
    if alone && !bench.exists(SEARCH)? {
        let action = "cloud-init still runs without a search for its only data source";
        bench.put(SEARCH, "policy: enabled\n", Attributes::root(0o644), action)?;
    }
    let own = own.unwrap_or_else(|| USUAL.map(str::to_owned).to_vec());
    let rest = own.iter().map(String::as_str);
    let rest = rest.filter(|name| !FIRST.contains(name) && *name != "None" && is_name(name));
    let names: Vec<&str> = FIRST.into_iter().chain(rest).chain(["None"]).collect();
    let text = format!(
        "# Where cloud-init asks for the parameters of this machine, in this order.\n\
         datasource_list: [ {} ]\n\
         # The cloud's key opens root's account, too. Without this cloud-init puts a command in front\n\
         # of it that ends every login.\n\
         disable_root: false\n",
        names.join(", ")
    );
    let action = "cloud-init asks OpenNebula, ConfigDrive and NoCloud first";
    let path = format!("{}/{NAME}", cloud::FOLDER);
    bench.put(path, &text, Attributes::root(0o644), action)?;
    for path in later {
        bench.warn(
            "cloud-init-sources",
            format!(
                "{} in the guest comes after {NAME} and has a datasource_list of its own: \
                 cloud-init asks only these; add {} there, or remove the list",
                path.display(),
                FIRST.join(", ")
            ),
        );
    }
    Ok(())
}

/// A name as a module of Python has it: what is written is read by cloud-init and by a shell.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::super::trial::plain;
    use super::*;
    use crate::guest::memory::MemoryTree;

    const PATH: &str = "/etc/cloud/cloud.cfg.d/95-stratuslab.cfg";

    fn list(tree: &MemoryTree) -> String {
        let text = tree.text(PATH).unwrap();
        let (_, list) = text.split_once("datasource_list: [ ").unwrap();
        list.split_once(" ]\n").unwrap().0.to_owned()
    }

    #[test]
    fn the_guests_own_sources_stay() {
        for (config, expected) in [
            (
                "datasource_list: [ Ec2, NoCloud, None ]\n",
                "OpenNebula, ConfigDrive, NoCloud, Ec2, None",
            ),
            ("datasource_list: ['None', Azure]\n", "OpenNebula, ConfigDrive, NoCloud, Azure, None"),
            (
                "datasource_list: [Ec2, 'a\u{1b};x']\n",
                "OpenNebula, ConfigDrive, NoCloud, Ec2, None",
            ),
        ] {
            let mut tree = MemoryTree::of(&[("/etc/cloud/cloud.cfg", config)]);
            let outcome = plain(&EDIT, &mut tree);
            assert_eq!((outcome.paths(), list(&tree)), (vec![PATH], expected.to_owned()));
        }
    }

    /// A search might not find the one that was always used.
    #[test]
    fn a_source_that_was_alone_needs_no_search() {
        for config in ["datasource_list: [Ec2]\n", "datasource_list: [ Ec2, None ]\n"] {
            let mut tree = MemoryTree::of(&[("/etc/cloud/cloud.cfg", config)]);
            assert_eq!(plain(&EDIT, &mut tree).paths(), [SEARCH, PATH]);
            assert_eq!(tree.text(SEARCH).unwrap(), "policy: enabled\n");
            tree.file(SEARCH, "policy: search\n", 0o644);
            assert_eq!(plain(&EDIT, &mut tree).paths(), [""; 0]);
        }
    }

    #[test]
    fn without_a_list_all_the_usual_ones_stay() {
        let mut tree = MemoryTree::of(&[("/etc/cloud/cloud.cfg", "users:\n")]);
        plain(&EDIT, &mut tree);
        let list = list(&tree);
        assert!(
            list.starts_with("OpenNebula, ConfigDrive, NoCloud, LXD, DigitalOcean, "),
            "{list}"
        );
        assert!(list.ends_with(", VMware, NWCS, None"), "{list}");
        assert_eq!(list.split(", ").count(), USUAL.len() + 1);
    }

    #[test]
    fn a_later_file_is_told() {
        let mut tree = MemoryTree::of(&[
            ("/etc/cloud/cloud.cfg", ""),
            ("/etc/cloud/cloud.cfg.d/99-x.cfg", "datasource_list: [Ec2]\n"),
            (
                "/etc/cloud/cloud.cfg.d/99-y.cfg",
                "datasource_list: [NoCloud, OpenNebula, ConfigDrive]\n",
            ),
        ]);
        let outcome = plain(&EDIT, &mut tree);
        assert_eq!(outcome.codes(), ["cloud-init-sources"]);
        assert!(outcome.warnings[0].message.contains("99-x.cfg"));
    }

    #[test]
    fn without_cloud_init_nothing_is_written() {
        for files in [
            &[][..],
            &[("/etc/cloud/cloud.cfg", ""), ("/etc/cloud/cloud-init.disabled", "")],
            &[("/etc/cloud/cloud.cfg", "datasource_list: [None]\n")],
        ] {
            let mut tree = MemoryTree::of(files);
            assert_eq!(plain(&EDIT, &mut tree).paths(), [""; 0]);
        }
    }
}

//! Differencing images: where parents are found, what they are recognized by, and what shows of
//! them.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::vdi::{Block, Vdi, Version, uuid};
use common::{exits, folder, noise, run, stderr};
use stratus::disk::{Content, Disk, OpenDisk, OpenOptions, open};
use stratus::error::{Error, Kind};

const MIB: u64 = 1 << 20;

fn data(seed: u64, len: usize) -> Block {
    Block::Data(noise(seed, len))
}

fn base() -> Vdi {
    Vdi::new(4 * MIB, 1 << 20)
        .with(0, data(1, 1 << 20))
        .with(1, data(2, 1 << 20))
        .with(3, data(3, 1 << 20))
}

/// Its own block 0, zeros over the base's block 1, nothing else.
fn child() -> Vdi {
    Vdi::new(4 * MIB, 1 << 20).over(&base(), 2).with(0, data(4, 1 << 20)).with(1, Block::Zero)
}

fn put(folder: &Path, name: &str, vdi: &Vdi) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vdi.bytes()).unwrap();
}

fn opened(folder: &Path, name: &str) -> Result<OpenDisk, Error> {
    open(&folder.join(name), &OpenOptions::default())
}

fn opened_with(folder: &Path, name: &str, parents: &[&str]) -> Result<OpenDisk, Error> {
    let parents = parents.iter().map(|parent| folder.join(parent)).collect();
    open(&folder.join(name), &OpenOptions { parents, ..OpenOptions::default() })
}

fn refusal(result: Result<OpenDisk, Error>) -> Error {
    result.err().expect("should be refused")
}

#[track_caller]
fn reads_as(disk: &OpenDisk, model: &[u8]) {
    assert_eq!(disk.size(), model.len() as u64);
    let mut bytes = vec![0x77; model.len()];
    disk.read_at(&mut bytes, 0).unwrap();
    assert!(bytes == model);
    let mut offset = 0;
    while offset < disk.size() {
        let extent = disk.extent_at(offset, u64::MAX).unwrap();
        let range = offset as usize..(offset + extent.len) as usize;
        if extent.content != Content::Data {
            assert!(model[range].iter().all(|byte| *byte == 0), "lies at {offset}");
        }
        offset += extent.len;
    }
}

fn family_of_two() -> Vec<u8> {
    child().raw(Some(&base().raw(None)))
}

#[test]
fn the_parent_is_found_in_the_own_folder_in_snapshots_and_in_the_folder_above() {
    let places = [
        ("child.vdi", "base.vdi"),
        ("child.vdi", "Snapshots/base.vdi"),
        ("Snapshots/child.vdi", "base.vdi"),
        ("Snapshots/child.vdi", "Snapshots/base.vdi"),
    ];
    for (leaf, parent) in places {
        let folder = folder();
        put(folder.path(), parent, &base());
        put(folder.path(), leaf, &child());
        let disk = opened(folder.path(), leaf).unwrap();
        reads_as(&disk, &family_of_two());
        assert!(disk.layers[1].path.ends_with(parent), "{:?}", disk.layers[1].path);
    }
}

#[test]
fn a_relative_name_works_from_any_current_folder() {
    let folder = folder();
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "Snapshots/child.vdi", &child());
    let here = folder.path();
    exits(&run(here, ["-C", "none", "-o", "a.img", "Snapshots/child.vdi"]), 0);
    let below = here.join("Snapshots");
    exits(&run(&below, ["-C", "none", "-o", "../b.img", "child.vdi"]), 0);
    exits(&run(&below, ["-C", "none", "-o", "../c.img", "./child.vdi"]), 0);
    for name in ["a.img", "b.img", "c.img"] {
        assert!(fs::read(here.join(name)).unwrap() == family_of_two(), "{name}");
    }
}

#[test]
fn the_family_of_a_symlink_lives_where_the_symlink_leads() {
    let folder = folder();
    put(folder.path(), "machine/base.vdi", &base());
    put(folder.path(), "machine/Snapshots/child.vdi", &child());
    symlink("machine/Snapshots/child.vdi", folder.path().join("now.vdi")).unwrap();
    reads_as(&opened(folder.path(), "now.vdi").unwrap(), &family_of_two());
}

#[test]
fn a_named_parent_may_be_a_file_a_folder_or_a_symlink_to_one() {
    let folder = folder();
    put(folder.path(), "here/child.vdi", &child());
    put(folder.path(), "far/away/base.vdi", &base());
    symlink("far/away/base.vdi", folder.path().join("link-to-file")).unwrap();
    symlink("far/away", folder.path().join("link-to-folder")).unwrap();
    assert_eq!(refusal(opened(folder.path(), "here/child.vdi")).kind(), Kind::Missing);
    for parent in ["far/away/base.vdi", "far/away", "link-to-file", "link-to-folder"] {
        let disk = opened_with(folder.path(), "here/child.vdi", &[parent]).unwrap();
        reads_as(&disk, &family_of_two());
    }
    // Several places, in any order, and on the command line.
    let both = ["here", "far/away"];
    reads_as(&opened_with(folder.path(), "here/child.vdi", &both).unwrap(), &family_of_two());
    let args = ["--parent", "here", "--parent", "far/away/base.vdi", "-C", "none"];
    exits(&run(folder.path(), args.iter().chain(&["here/child.vdi"])), 0);
    assert!(fs::read(folder.path().join("child.img")).unwrap() == family_of_two());
}

#[test]
fn a_named_parent_helps_at_every_depth() {
    let folder = folder();
    let leaf = Vdi::new(4 * MIB, 1 << 20).over(&child(), 3).with(2, data(9, 1 << 20));
    put(folder.path(), "leaf.vdi", &leaf);
    put(folder.path(), "a/child.vdi", &child());
    put(folder.path(), "b/base.vdi", &base());
    let disk = opened_with(folder.path(), "leaf.vdi", &["a", "b"]).unwrap();
    reads_as(&disk, &leaf.raw(Some(&family_of_two())));
    // The parent's parent is also looked for around the parent.
    put(folder.path(), "a/base.vdi", &base());
    let disk = opened_with(folder.path(), "leaf.vdi", &["a/child.vdi"]).unwrap();
    reads_as(&disk, &leaf.raw(Some(&family_of_two())));
}

#[test]
fn a_named_parent_decides_between_copies() {
    let folder = folder();
    put(folder.path(), "child.vdi", &child());
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "copy.vdi", &base());
    let error = refusal(opened(folder.path(), "child.vdi"));
    assert_eq!(error.code(), "vdi-parent-ambiguous");
    for part in ["base.vdi", "copy.vdi", "searched in", "c1c1c1c1-", "d1d1d1d1-"] {
        assert!(error.message().contains(part), "{part}: {}", error.message());
    }
    for name in ["base.vdi", "copy.vdi"] {
        let disk = opened_with(folder.path(), "child.vdi", &[name]).unwrap();
        reads_as(&disk, &family_of_two());
        assert!(disk.layers[1].path.ends_with(name));
    }
}

#[test]
fn one_file_under_several_names_is_one_parent() {
    let folder = folder();
    put(folder.path(), "child.vdi", &child());
    put(folder.path(), "base.vdi", &base());
    fs::hard_link(folder.path().join("base.vdi"), folder.path().join("same.vdi")).unwrap();
    symlink("base.vdi", folder.path().join("link.vdi")).unwrap();
    reads_as(&opened(folder.path(), "child.vdi").unwrap(), &family_of_two());
}

#[test]
fn parents_are_known_by_what_is_in_them_not_by_their_names() {
    let folder = folder();
    put(folder.path(), "child.vdi", &child());
    // The right one has a strange name, and the likely names belong to others.
    put(folder.path(), "notes.txt", &base());
    put(folder.path(), "base.vdi", &Vdi { create: uuid(0x55), ..base() });
    put(
        folder.path(),
        "{c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1}.vdi",
        &Vdi { create: uuid(0x66), ..base() },
    );
    fs::write(folder.path().join("broken.vdi"), noise(1, 9000)).unwrap();
    fs::write(folder.path().join("empty.vdi"), "").unwrap();
    fs::create_dir(folder.path().join("folder.vdi")).unwrap();
    let disk = opened(folder.path(), "child.vdi").unwrap();
    reads_as(&disk, &family_of_two());
    assert!(disk.layers[1].path.ends_with("notes.txt"));
    assert_eq!(disk.layers[0].uuid.as_deref(), Some("02020202-0202-0202-0202-020202020202"));
    assert_eq!(disk.layers[1].uuid.as_deref(), Some("c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1"));
}

#[test]
fn a_changed_parent_is_refused_with_both_uuids_and_the_places() {
    let folder = folder();
    let mut modify = uuid(0);
    // A UUID whose print shows the order of its bytes.
    modify.iter_mut().enumerate().for_each(|(n, byte)| *byte = n as u8);
    put(folder.path(), "child.vdi", &child());
    put(folder.path(), "base.vdi", &Vdi { modify, ..base() });
    let error = refusal(opened(folder.path(), "child.vdi"));
    assert_eq!(error.code(), "vdi-parent-changed");
    assert_eq!(error.kind().exit_code(), 65);
    let parts = [
        "03020100-0504-0706-0809-0a0b0c0d0e0f",
        "d1d1d1d1-d1d1-d1d1-d1d1-d1d1d1d1d1d1",
        "c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1",
        "base.vdi",
        "Snapshots",
    ];
    for part in parts {
        assert!(error.message().contains(part), "{part}: {}", error.message());
    }
    // Neither --force nor naming it makes it the right one.
    exits(&run(folder.path(), ["--force", "--parent", "base.vdi", "child.vdi"]), 65);
}

#[test]
fn the_copy_from_before_the_change_is_the_parent() {
    let folder = folder();
    put(folder.path(), "child.vdi", &child());
    put(folder.path(), "base.vdi", &Vdi { modify: uuid(0x99), ..base() }.with(1, Block::Free));
    put(folder.path(), "Snapshots/backup.vdi", &base());
    let disk = opened(folder.path(), "child.vdi").unwrap();
    reads_as(&disk, &family_of_two());
    // Also if the changed one was named.
    let disk = opened_with(folder.path(), "child.vdi", &["base.vdi"]).unwrap();
    reads_as(&disk, &family_of_two());
}

#[test]
fn half_a_copy_of_the_parent_is_not_a_second_parent() {
    let folder = folder();
    put(folder.path(), "child.vdi", &child());
    put(folder.path(), "base.vdi", &base());
    // Copying broke off inside the map.
    fs::write(folder.path().join("copy.vdi"), &base().bytes()[..0x204]).unwrap();
    reads_as(&opened(folder.path(), "child.vdi").unwrap(), &family_of_two());
}

#[test]
fn the_old_header_knows_no_modification_of_its_parent() {
    let folder = folder();
    let old = Vdi { version: Version::V0, ..child() };
    put(folder.path(), "child.vdi", &old);
    put(folder.path(), "base.vdi", &Vdi { modify: uuid(0x99), ..base() });
    reads_as(&opened(folder.path(), "child.vdi").unwrap(), &family_of_two());
    // So two states of the parent cannot be told apart.
    put(folder.path(), "other.vdi", &base());
    assert_eq!(refusal(opened(folder.path(), "child.vdi")).code(), "vdi-parent-ambiguous");
}

#[test]
fn zero_hides_the_parent_and_free_shows_it() {
    let folder = folder();
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "child.vdi", &child());
    let disk = opened(folder.path(), "child.vdi").unwrap();
    let kind = |block: u64| disk.extent_at(block * MIB, 1).unwrap().content;
    let kinds = [kind(0), kind(1), kind(2), kind(3)];
    // Its own data, zeros over data, in neither of them, the parent's data.
    assert_eq!(kinds, [Content::Data, Content::Zero, Content::Zero, Content::Data]);
    reads_as(&disk, &family_of_two());
}

#[test]
fn layers_may_have_different_block_sizes() {
    let sizes = [128 << 10, 1 << 20, 4 << 20, 512 << 10, 256 << 10u32];
    let folder = folder();
    let size = 9 * MIB + 1536;
    let mut below: Option<(Vdi, Vec<u8>)> = None;
    for (number, block_size) in sizes.into_iter().enumerate() {
        let mut vdi = Vdi::new(size, block_size);
        for (block, content) in vdi.blocks.iter_mut().enumerate() {
            // Every third block of each layer, and a few zeros.
            *content = match (block + number) % 3 {
                0 => data((number * 1000 + block) as u64, block_size as usize),
                1 if block % 5 == 0 => Block::Zero,
                _ => Block::Free,
            };
        }
        let raw = vdi.raw(below.as_ref().map(|(_, raw)| raw.as_slice()));
        if let Some((parent, _)) = &below {
            vdi = vdi.over(parent, number as u8 + 1);
        }
        put(folder.path(), &format!("{number}.vdi"), &vdi);
        below = Some((vdi, raw));
    }
    reads_as(&opened(folder.path(), "4.vdi").unwrap(), &below.unwrap().1);
}

#[test]
fn the_leaf_says_how_large_the_disk_is() {
    for size in [2 * MIB + 512, 4 * MIB, 7 * MIB + 1024] {
        let folder = folder();
        let blocks = size.div_ceil(MIB) as usize;
        let leaf = Vdi::new(size, 1 << 20).over(&base(), 2).with(blocks - 1, data(8, 512));
        put(folder.path(), "base.vdi", &base());
        put(folder.path(), "leaf.vdi", &leaf);
        let disk = opened(folder.path(), "leaf.vdi").unwrap();
        reads_as(&disk, &leaf.raw(Some(&base().raw(None))));
    }
}

#[test]
fn behind_the_end_of_a_smaller_layer_nothing_shows_of_a_larger_one_below() {
    // The middle was a disk of 2 MiB: whoever enlarged the leaf found zeros behind it.
    let folder = folder();
    let middle = Vdi::new(2 * MIB, 1 << 20).over(&base(), 2);
    let leaf = Vdi::new(4 * MIB, 1 << 20).over(&middle, 3);
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "middle.vdi", &middle);
    put(folder.path(), "leaf.vdi", &leaf);
    let model = leaf.raw(Some(&middle.raw(Some(&base().raw(None)))));
    assert!(model[3 * MIB as usize..].iter().all(|byte| *byte == 0));
    reads_as(&opened(folder.path(), "leaf.vdi").unwrap(), &model);
}

#[test]
fn a_parent_that_is_cut_in_the_middle_of_a_childs_block_is_zero_from_there() {
    let folder = folder();
    let parent = Vdi::new(MIB + 1536, 1 << 20).with(0, data(1, 1 << 20)).with(1, data(2, 1536));
    let leaf = Vdi::new(3 * MIB, 4 << 20).over(&parent, 2);
    put(folder.path(), "base.vdi", &parent);
    put(folder.path(), "leaf.vdi", &leaf);
    let disk = opened(folder.path(), "leaf.vdi").unwrap();
    reads_as(&disk, &leaf.raw(Some(&parent.raw(None))));
}

#[test]
fn sixty_four_layers_are_one_disk() {
    let folder = folder();
    let mut vdi = base();
    let mut raw = vdi.raw(None);
    put(folder.path(), "base.vdi", &vdi);
    for number in 1..=63u8 {
        let place = usize::from(number) % 32;
        vdi = Vdi::new(4 * MIB, 128 << 10)
            .over(&vdi, number)
            .with(place, data(number.into(), 4000))
            .with((place + 7) % 32, Block::Zero);
        raw = vdi.raw(Some(&raw));
        put(folder.path(), &format!("Snapshots/{number}.vdi"), &vdi);
    }
    let disk = opened(folder.path(), "Snapshots/63.vdi").unwrap();
    assert_eq!(disk.layers.len(), 64);
    reads_as(&disk, &raw);
    exits(&run(folder.path(), ["-C", "none", "Snapshots/63.vdi"]), 0);
    assert!(fs::read(folder.path().join("63.img")).unwrap() == raw);
}

#[test]
fn a_layer_with_children_is_converted_only_if_it_is_meant() {
    let folder = folder();
    let leaf = Vdi::new(4 * MIB, 1 << 20).over(&child(), 3);
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "Snapshots/child.vdi", &child());
    put(folder.path(), "Snapshots/leaf.vdi", &leaf);
    for (name, later) in [("base.vdi", "child.vdi"), ("Snapshots/child.vdi", "leaf.vdi")] {
        let error = refusal(opened(folder.path(), name));
        assert_eq!(error.code(), "vdi-has-children");
        assert!(error.message().contains(later), "{}", error.message());
        assert!(error.advice().unwrap().contains("--this-layer"));
        let options = OpenOptions { this_layer: true, ..OpenOptions::default() };
        open(&folder.path().join(name), &options).unwrap();
    }
    reads_as(
        &opened(folder.path(), "Snapshots/leaf.vdi").unwrap(),
        &leaf.raw(Some(&family_of_two())),
    );
}

#[test]
fn a_dead_branch_beside_the_leaf_does_not_matter() {
    let folder = folder();
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "child.vdi", &child());
    put(folder.path(), "dead.vdi", &Vdi::new(4 * MIB, 1 << 20).over(&base(), 7));
    reads_as(&opened(folder.path(), "child.vdi").unwrap(), &family_of_two());
}

#[test]
fn a_missing_parent_is_missing_with_its_uuids_the_places_and_a_remedy() {
    let folder = folder();
    put(folder.path(), "child.vdi", &child());
    let output = run(folder.path(), ["child.vdi"]);
    exits(&output, 66);
    let said = stderr(&output);
    for part in [
        "c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1",
        "d1d1d1d1-d1d1-d1d1-d1d1-d1d1d1d1d1d1",
        "Snapshots",
        "--parent",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_undo_image_may_have_a_parent() {
    let folder = folder();
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "undo.vdi", &Vdi { image_type: 3, ..child() });
    reads_as(&opened(folder.path(), "undo.vdi").unwrap(), &family_of_two());
}

#[test]
fn the_bytes_are_the_same_for_any_number_of_threads() {
    let folder = folder();
    put(folder.path(), "base.vdi", &base());
    put(folder.path(), "child.vdi", &child());
    let mut images = Vec::new();
    for threads in ["1", "2", "8"] {
        let name = format!("{threads}.img.gz");
        exits(&run(folder.path(), ["--threads", threads, "-o", &name, "child.vdi"]), 0);
        images.push(fs::read(folder.path().join(name)).unwrap());
    }
    assert!(images[0] == images[1] && images[1] == images[2]);
}

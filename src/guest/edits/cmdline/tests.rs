use proptest::prelude::*;

use super::*;
use crate::guest::edits::boot_trial::{content, facts, once};
use crate::guest::edits::{Edit, serial_console};
use crate::guest::facts::Init;
use crate::guest::memory::MemoryTree;

/// Each command line of a text, with its role.
fn spans_of(style: Style, text: &str) -> Vec<(String, Role, Option<bool>)> {
    let mut found = Vec::new();
    let same = edit_text(text, style, &mut |line| {
        found.push((line.words.to_owned(), line.role, line.initramfs));
        Some(line.words.to_owned())
    });
    assert_eq!(same, text, "the same words again change nothing");
    found
}

fn words(style: Style, text: &str) -> Vec<String> {
    spans_of(style, text).into_iter().map(|(words, ..)| words).collect()
}

#[test]
fn grub2() {
    let text = "menuentry 'Debian' {\n\tinsmod ext2\n\tset root='hd0,msdos1'\n\
        \tlinux\t/boot/vmlinuz root=/dev/sda1 ro  quiet\r\n\tinitrd\t/boot/initrd.img\n}\n\
        menuentry \"plain\" {\n linux16 ($root)/vmlinuz-2 root=/dev/sda1 # x\n}\n\
        menuentry memtest { linux16 /boot/memtest86+.bin console=x }\n\
        \tlinux16 /boot/memtest86+.bin\n linuxefi /vmlinuz\n\
        linux /v a='b ; # c' d; initrd /i\n  linux /v one \\\n two\n\
        set default_kernelopts=\"root=UUID=x ro\"\n# linux /v root=/dev/sda1\n";
    let found = spans_of(Style::Grub2, text);
    let seen: Vec<_> = found.iter().map(|(words, _, initrd)| (words.as_str(), *initrd)).collect();
    assert_eq!(
        seen,
        [
            ("root=/dev/sda1 ro  quiet", Some(true)),
            ("root=/dev/sda1", Some(false)),
            ("", Some(false)),
            ("a='b ; # c' d", Some(false)),
            ("one", Some(false)),
            ("root=UUID=x ro", None),
        ]
    );
}

#[test]
fn grub1() {
    let text = "# kopt=root=/dev/sda1 ro\n## e.g. kopt=root=/dev/hda1 ro\n# kopt_2_6=root=/dev/hda1\n\
        # groot=(hd0,0)\ntitle A\nroot (hd0,0)\nkernel /vmlinuz ro root=/dev/sda2\ninitrd /i\n\
        title X\nkernel --type=x /xen.gz dom0_mem=1\nmodule /vmlinuz-xen ro root=/dev/sda2\n\
        title M\nkernel /boot/memtest86.bin\ntitle N\nkernel --no-mem-option (hd0,0)/vmlinuz ro\n";
    let found = spans_of(Style::Grub1, text);
    let expected = [
        ("root=/dev/sda1 ro", Role::Template, None),
        ("root=/dev/hda1", Role::Template, None),
        ("ro root=/dev/sda2", Role::Boot, Some(true)),
        ("ro root=/dev/sda2", Role::Part, Some(false)),
        ("ro", Role::Boot, Some(false)),
    ];
    let expected = expected.map(|(words, role, initrd)| (words.to_owned(), role, initrd));
    assert_eq!(found, expected);
}

#[test]
fn syslinux_and_the_boot_loader_specification() {
    let text = "DEFAULT l\nAPPEND general\nLABEL l\n  KERNEL /vmlinuz\n  append initrd=/i root=/dev/sda1\n\
        label chain\n com32 chain.c32\n append hd0 0\nlabel m\n linux memtest.bin\n append x\n\
        label none\n linux /v\n append -\n";
    let found = spans_of(Style::Syslinux, text);
    let seen: Vec<_> = found.iter().map(|(words, _, initrd)| (words.as_str(), *initrd)).collect();
    assert_eq!(seen, [("general", Some(false)), ("initrd=/i root=/dev/sda1", Some(true))]);

    let text = "title A\nlinux /v\ninitrd /i\noptions root=/dev/sda1 ro\noptions more\n";
    let found = spans_of(Style::Bls, text);
    assert_eq!(found[0], ("root=/dev/sda1 ro".to_owned(), Role::Boot, Some(true)));
    assert_eq!(found[1].1, Role::Part);
    assert_eq!(spans_of(Style::Bls, "options $kernelopts $tuned\n")[0].1, Role::Part);
}

#[test]
fn shell() {
    let text = "GRUB_CMDLINE_LINUX=\"a=\\\"b c\\\"\"  # \"c\"\n#GRUB_CMDLINE_LINUX=\"x\"\n\
        GRUB_CMDLINE_LINUX_DEFAULT='quiet'\nexport GRUB_CMDLINE_LINUX=bare\n\
        GRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} y\"\nGRUB_CMDLINE_LINUX=\"open\nRESUME=/dev/sda5\n\
        GRUB_CMDLINE_LINUX=\"$(f \"g\")\"\nroot=/dev/sda3\nGRUB_TIMEOUT=5\n";
    let found = spans_of(Style::Shell, text);
    let expected = [
        ("a=\\\"b c\\\"", Role::Boot),
        ("quiet", Role::Part),
        ("bare", Role::Boot),
        ("${GRUB_CMDLINE_LINUX} y", Role::Part),
        ("RESUME=/dev/sda5", Role::Part),
        ("root=/dev/sda3", Role::Part),
    ];
    let expected = expected.map(|(words, role)| (words.to_owned(), role, None));
    assert_eq!(found, expected);
}

#[test]
fn words_are_added_where_the_kernel_reads_them() {
    assert_eq!(add_words("", "x"), "x");
    assert_eq!(add_words("a b ", "x"), "a b x ");
    assert_eq!(add_words("a -- single", "x"), "a x -- single");
    assert_eq!(add_words("-- single", "x"), "x -- single");
    let add = |style, text: &str| edit_text(text, style, &mut |l| Some(add_words(l.words, "x y")));
    assert_eq!(add(Style::Grub2, "linux /v\r\n"), "linux /v x y\r\n");
    assert_eq!(add(Style::Grub2, "linux /v \\\n a\n"), "linux /v x y \\\n a\n");
    assert_eq!(add(Style::Shell, "GRUB_CMDLINE_LINUX=a"), "GRUB_CMDLINE_LINUX=\"a x y\"");
    assert_eq!(add(Style::Shell, "GRUB_CMDLINE_LINUX="), "GRUB_CMDLINE_LINUX=\"x y\"");
    assert_eq!(add(Style::Shell, "GRUB_CMDLINE_LINUX=''"), "GRUB_CMDLINE_LINUX='x y'");
    assert_eq!(words(Style::Plain, "# c\nroot=x ro\n"), ["root=x ro"]);
}

#[test]
fn words_in_quotes_are_one() {
    let change = |word: &str| word.starts_with("b=").then(|| "B".to_owned());
    assert_eq!(map_words("a  b=\"x y\"\tc", change).unwrap(), "a  B\tc");
    assert_eq!(map_words("a c", change), None);
    assert!(!has_word("a=\"x root=y\"", "root="));
}

/// GRUB rewrites its block in place; it must keep its length.
#[test]
fn grubenv_keeps_its_length() {
    let block = |options: &str| {
        let text = format!("# GRUB Environment Block\nsaved_entry=a\nkernelopts={options}\n");
        format!("{text}{}", "#".repeat(1024 - text.len()))
    };
    let path = "/boot/grub2/grubenv";
    let mut tree = MemoryTree::of(&[(path, &block("root=UUID=x ro"))]);
    once(&serial_console::EDIT, &mut tree, &facts(Init::Systemd), &[]);
    let new = tree.text(path).unwrap();
    assert_eq!(new, block("root=UUID=x ro console=tty0 console=ttyS0,115200"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grubenv");
    std::fs::write(&file, new).unwrap();
    let said = content("grub-common", "grub-editenv", &[file.to_str().unwrap(), "list"]);
    assert!(
        said.contains("kernelopts=root=UUID=x ro console=tty0 console=ttyS0,115200\n"),
        "{said}"
    );

    let full = block(&"x".repeat(950));
    let mut tree = MemoryTree::of(&[(path, &full)]);
    let outcome = once(&serial_console::EDIT, &mut tree, &facts(Init::Systemd), &[]);
    assert_eq!((outcome.codes(), tree.text(path).unwrap()), (vec!["grubenv-full"], full));
}

/// One file under two names is changed and listed once.
#[test]
fn links_are_followed_once() {
    let mut tree = MemoryTree::of(&[("/boot/grub/menu.lst", "kernel /vmlinuz ro\n")]);
    tree.link("/boot/grub/grub.conf", "menu.lst");
    tree.link("/boot/boot", ".");
    let outcome = once(&serial_console::EDIT, &mut tree, &facts(Init::Systemd), &[]);
    assert_eq!(outcome.paths(), ["/boot/grub/menu.lst"]);
}

/// Lines that the samples of a style are put together from.
pub(crate) const LINES: &[&str] = &[
    "linux /vmlinuz root=/dev/sda1 ro\n",
    "\tlinux16\t/boot/vmlinuz  root=/dev/hda2 resume=/dev/sda5 quiet \r\n",
    "linux /v\n",
    "linuxefi /v a \\\n",
    "  initrd /boot/initrd\n",
    "menuentry 'a' {\n",
    "}\n",
    "# kopt=root=/dev/hda1 ro\n",
    "kernel /vmlinuz root=/dev/sda1 -- single\n",
    "title x\n",
    "options root=/dev/sda1\n",
    "options $kernelopts\n",
    "LABEL a\n",
    " APPEND root=/dev/sda1 initrd=x\n",
    " COM32 a.c32\n",
    "GRUB_CMDLINE_LINUX=\"a\"\n",
    "GRUB_CMDLINE_LINUX=\n",
    "GRUB_CMDLINE_LINUX_DEFAULT='quiet splash'\n",
    "GRUB_DISABLE_LINUX_UUID=true\n",
    "root=/dev/sda1\n",
    "RESUME=/dev/sda5\n",
    "kernelopts=root=/dev/sda1 ro\n",
    "\u{e4}\u{a0} \u{85}=\"\n",
    "\n",
    "linux /v root=\"/dev/sda1\u{a0}",
];

/// The files of all styles.
pub(crate) const PLACES: &[&str] = &[
    "/boot/grub/grub.cfg",
    "/boot/grub/menu.lst",
    "/boot/loader/entries/a.conf",
    "/boot/extlinux/extlinux.conf",
    "/etc/default/grub",
    "/etc/kernel/cmdline",
    "/boot/grub/grubenv",
];

/// Runs `edit` twice on a random file; lines that name nothing it knows must stay.
pub(crate) fn holds(edit: &Edit, lines: &[usize], place: usize) -> String {
    use crate::guest::edits::boot_trial::{partition, run};
    use crate::guest::volumes::Holds;
    let text: String = lines.iter().map(|i| LINES[*i]).collect();
    let bytes = crate::guest::text::encode(&text);
    let mut tree = MemoryTree::of(&[]);
    tree.file(PLACES[place], "", 0o644);
    let path = Path::new(PLACES[place]);
    crate::guest::tree::Tree::write(&mut tree, path, &bytes, Attributes::root(0o600)).unwrap();
    let volumes =
        [partition(1, Holds::Ext, "ext4", "aaaa"), partition(5, Holds::Swap, "swap", "bbbb")];
    run(edit, &mut tree, &facts(Init::Sysv), &volumes);
    let new = crate::guest::tree::Tree::read(&tree, path, u64::MAX).unwrap().unwrap();
    crate::guest::text::decode(&new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn twice_is_once(lines in prop::collection::vec(0..LINES.len(), 0..12), place in 0..PLACES.len()) {
        let new = holds(&serial_console::EDIT, &lines, place);
        // Without what was added it is what it was, up to the quotes of a bare value.
        let old: String = lines.iter().map(|i| LINES[*i]).collect();
        let without = |text: &str| {
            let added = ["console=tty0 console=ttyS0,115200", "\"", " ", "\n"];
            added.iter().fold(text.to_owned(), |text, word| text.replace(word, ""))
        };
        let line = if place == 4 { "GRUB_CMDLINE_LINUX=" } else { "" };
        let (new, old) = (without(&new), without(&old));
        prop_assert!(new == old || new == format!("{old}{line}"), "{new:?} {old:?}");
    }

    #[test]
    fn any_text_is_taken_apart_without_loss(text in "[a-z#={}\\\\\"' \t\r\n/$;\u{e4}\u{a0}-]{0,200}", style in 0..7usize) {
        let styles = [Style::Grub2, Style::Grub1, Style::Bls, Style::Grubenv, Style::Syslinux, Style::Shell, Style::Plain];
        spans_of(styles[style], &text);
    }
}

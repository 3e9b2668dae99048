#!/bin/bash
# Makes the file systems of this folder. Those of the ext family are caught while they are mounted, so that their
# journals hold transactions which nobody has written to their places yet;
# of the others only the first bytes are kept.
#
#   testdata/guests/make.sh FOLDER      as root: it mounts them once, by loop devices
#
# Sizes and contents are the same each time; UUIDs, times and what the kernel had written by then
# are not.
set -euo pipefail
out=$(realpath "${1:?usage: make.sh FOLDER}")
work=$(mktemp -d)
trap 'umount "$work/mnt" 2>/dev/null || :; rm -rf "$work"' EXIT
mkdir "$work/mnt"

# What is done in each of them. It says "ready" and waits for a line.
cat >"$work/work.py" <<'PYTHON'
import os, sys

root = sys.argv[1]

def keep(path):
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)

os.mkdir(root + "/new")
for i in range(1, 201):
    if i % 3 == 0:
        os.unlink(f"{root}/old/file-{i}")
    elif i % 3 == 1:
        os.rename(f"{root}/old/file-{i}", f"{root}/new/moved-{i}")
    if i % 40 == 0:
        keep(root + "/new")
with open(root + "/root/.bash_history", "w") as history:
    history.write("secret-in-no-image\n" * 10)
for i in range(60):
    path = f"{root}/new/written-{i}"
    with open(path, "w") as file:
        file.write(f"{i}\n" * 300)
    keep(path)
# Deleted while it is open: an orphan.
orphan = open(root + "/tmp/orphan", "w")
orphan.write("deleted-by-the-guest\n" * 2000)
orphan.flush()
os.fsync(orphan.fileno())
os.unlink(root + "/tmp/orphan")
keep(root + "/root/.bash_history")
keep(root + "/tmp")
keep(root)
print("ready", flush=True)
sys.stdin.readline()
PYTHON

# make NAME MIB ARGUMENTS...: mke2fs with them, a guest, work on it, and a copy while it is mounted.
make() {
  local name=$1 mib=$2
  shift 2
  local mnt=$work/mnt image=$work/$name.img
  mke2fs -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$@" "$image" "${mib}m" >&2
  mount -o loop "$image" "$mnt"
  mkdir -p "$mnt/etc/ssh" "$mnt/sbin" "$mnt/root" "$mnt/old" "$mnt/tmp"
  printf 'ID=debian\nVERSION_ID=7\n' >"$mnt/etc/os-release"
  printf '/dev/sda1 / ext4 defaults 0 1\n' >"$mnt/etc/fstab"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$mnt/etc/passwd"
  printf 'root:secret-in-no-image:1:0:9:7:::\n' >"$mnt/etc/shadow"
  printf 'Port 22\n' >"$mnt/etc/ssh/sshd_config"
  touch "$mnt/sbin/init"
  for i in $(seq 200); do echo "$i" >"$mnt/old/file-$i"; done
  sync -f "$mnt"
  umount "$mnt"
  # Nothing is written to its place until the journal is full or the file system unmounted.
  mount -o loop,commit=300 "$image" "$mnt"
  python3 "$work/work.py" "$mnt"
}

# caught NAME ARGUMENTS...: the copy is taken while the program above still has the file open.
caught() {
  local name=$1 pid
  mkfifo "$work/go" "$work/said"
  make "$@" <"$work/go" >"$work/said" &
  pid=$!
  exec 3>"$work/go" 4<"$work/said"
  read -r _ <&4
  cp --sparse=always "$work/$name.img" "$work/caught.img"
  echo >&3
  exec 3>&- 4<&-
  wait "$pid"
  umount "$work/mnt"
  rm "$work/go" "$work/said"
  gzip -9n <"$work/caught.img" >"$out/$name.img.gz"
  dumpe2fs -h "$work/caught.img" 2>/dev/null | grep -E '^Filesystem features:.*needs_recovery'
}

caught ext4-1k 12 -t ext4 -b 1024 -O ^orphan_file
caught ext4-4k 24 -t ext4 -b 4096 -J size=4 -O 64bit,metadata_csum,^orphan_file
caught ext3 12 -t ext3 -b 1024

# head_of NAME MIB BYTES COMMAND...: the first bytes of what it makes.
head_of() {
  local name=$1 mib=$2 bytes=$3 image=$work/$1.img
  shift 3
  truncate -s "${mib}M" "$image"
  "$@" "$image" >/dev/null
  head -c "$bytes" "$image" | gzip -9n >"$out/$name.head.gz"
}

luks() {
  echo -n published | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1" -
}

head_of xfs 400 131072 mkfs.xfs -q
head_of btrfs 128 131072 mkfs.btrfs -q
head_of ntfs 16 131072 mkntfs -q -F
head_of luks 32 32768 luks

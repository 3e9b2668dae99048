#!/bin/bash
# Makes the disk of the speed measurements: DIR/bench.vdi, an 8 GiB dynamic VDI
# that holds about 1.1 GiB of real files in one ext4 file system.
#
#   benches/make-disk.sh DIR
#
# VirtualBox's own tool writes the VDI. Its folder (the one with vbox-img and,
# where VBoxManage needs a wrapper, vboxmanage) is named by VBOX_TOOLS; without
# it, vbox-img of the PATH or of an installed VirtualBox is taken.
#
# Needs about 3 GiB in DIR while it runs, 1.2 GiB afterwards.
# BENCH_MIB=N changes how much is copied (default 1100).
set -euo pipefail
export LC_ALL=C TZ=UTC

DISK_MIB=8192
BENCH_MIB=${BENCH_MIB:-1100}
# What is copied, in this order, until BENCH_MIB is reached: much small text
# first, then programs and libraries, as on a guest's disk.
SOURCES=(/usr/share /usr/bin /usr/lib)

if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
  echo "usage: benches/make-disk.sh DIR" >&2
  exit 64
fi
dir=$1

die() {
  echo "make-disk.sh: $*" >&2
  exit 1
}

find_vbox_img() {
  local candidate
  for candidate in "${VBOX_TOOLS:+$VBOX_TOOLS/vbox-img}" "$(command -v vbox-img || :)" \
    /usr/lib/virtualbox/vbox-img /opt/VirtualBox/vbox-img; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

if ! vbox_img=$(find_vbox_img); then
  cat >&2 <<'MSG'
make-disk.sh: VirtualBox's tool vbox-img was not found.
  Install VirtualBox (Debian: package "virtualbox" of unstable/contrib; other
  systems: https://www.virtualbox.org/wiki/Linux_Downloads), or unpack the
  package into a folder without installing it (dpkg-deb -x; nothing of the
  kernel module is needed), and name the folder that holds vbox-img:
      VBOX_TOOLS=/path/to/folder benches/make-disk.sh DIR
MSG
  exit 1
fi
PATH=$PATH:/usr/sbin:/sbin
for tool in mkfs.ext4 sfdisk tar python3; do
  command -v "$tool" >/dev/null || die "needs $tool (Debian: e2fsprogs, fdisk, tar, python3)"
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir/.make-disk.XXXXXX")
trap 'rm -rf "$work"' EXIT

# One fixed choice on one machine: files in byte order of their paths. Symbolic
# links are taken too (they are part of a real tree); files of several links
# once only, so that the sum is what is really copied.
echo "choosing $BENCH_MIB MiB of files" >&2
python3 - "$BENCH_MIB" "${SOURCES[@]}" >"$work/list" <<'PY'
import os, stat, sys

limit = int(sys.argv[1]) << 20
total = 0
seen = set()
out = sys.stdout.buffer
for top in sys.argv[2:]:
    paths = []
    for where, dirs, files in os.walk(os.fsencode(top)):
        paths += [os.path.join(where, name) for name in files]
        paths += [os.path.join(where, d) for d in dirs if os.path.islink(os.path.join(where, d))]
    for path in sorted(paths):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode):
            if (status.st_dev, status.st_ino) in seen or not os.access(path, os.R_OK):
                continue
            # What the file takes on the disk: whole file system blocks of 4 KiB.
            size = -(-status.st_size // 4096) * 4096
            if total + size > limit:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += size
        elif not stat.S_ISLNK(status.st_mode):
            continue
        out.write(path.lstrip(b"/") + b"\0")
print("%d MiB chosen" % (total >> 20), file=sys.stderr)
PY

# The whole tree is copied first because mkfs.ext4 -d wants a folder.
mkdir "$work/tree"
tar -C / --null -T "$work/list" -cf - | tar -C "$work/tree" -xf -

raw=$work/bench.raw
truncate -s "${DISK_MIB}M" "$raw"
# MBR, one Linux partition from 1 MiB to the end, as installers make it.
sfdisk --quiet "$raw" <<'PARTS'
label: dos
label-id: 0x5354524d
start=2048, type=83, bootable
PARTS

# No root and no loop device: the file system is made inside the partition.
# Fixed ids and times, so that two disks made from the same files are alike.
# root_owner: the folders of the tree belong to whoever runs this.
echo "making the file system" >&2
E2FSPROGS_FAKE_TIME=1700000000 mkfs.ext4 -q -F -L bench \
  -U 5b1f6c8e-2c0e-4d3a-9f55-0c2f7a0b1e01 \
  -E "offset=1048576,root_owner=0:0,hash_seed=6f9c3a11-90a4-4a51-8d1f-b2d2c4e8aa02,lazy_itable_init=1" \
  -d "$work/tree" "$raw" "$((DISK_MIB - 1))M"
rm -rf "$work/tree"

# VirtualBox writes blocks of nothing but zeros as "zero" entries of the map,
# so the result is a dynamic image that holds only what is used.
echo "writing $dir/bench.vdi with $vbox_img" >&2
"$vbox_img" convert --srcfilename "$raw" --srcformat RAW \
  --dstfilename "$work/bench.vdi" --dstformat VDI --variant Standard >&2

python3 - "$work/bench.vdi" <<'PY'
import struct, sys

with open(sys.argv[1], "rb") as f:
    header = f.read(512)
    map_at, data_at = struct.unpack_from("<II", header, 0x154)
    size, block, extra, blocks, allocated = struct.unpack_from("<QIIII", header, 0x170)
    f.seek(map_at)
    table = struct.unpack("<%dI" % blocks, f.read(4 * blocks))
real = [i for i, entry in enumerate(table) if entry < 0xFFFFFFFE]
print("bench.vdi: %d bytes of disk, %d of %d blocks allocated, highest %d, file order %s" % (
    size, allocated, blocks, real[-1],
    "ascending" if [table[i] for i in real] == sorted(table[i] for i in real) else "mixed"))
PY
mv -f "$work/bench.vdi" "$dir/bench.vdi"

#!/bin/bash
# Makes every image in this folder, INDEX.json and the table in README.md.
#
#   VBOX_TOOLS=/path/to/folder VBOX_SHARE=HOST_DIR:DIR_SEEN testdata/disks/make.sh
#
# VirtualBox itself writes the images and says what is in them; qemu-img is
# asked too, and what it says is written down. Every image holds sectors that
# name their own place (pattern.py), so the data that went in is known as well,
# and the script fails when VirtualBox reads anything else than what went in.
#
# VBOX_TOOLS  the folder with vbox-img, vboxmanage (or VBoxManage), and either
#             root/, VirtualBox unpacked for use in a changed root, or
#             vboximg-mount itself
# VBOX_SHARE  for a changed root: a folder as this script sees it, a colon, and
#             the same folder as VBoxManage sees it
#
# Needs root and /dev/fuse: data gets into snapshots through vboximg-mount, the
# same code that a running machine writes with. It loads libfuse.so.2 (Debian's
# package libfuse2; for a changed root, unpack that into root/ as well).
# Every run gives new UUIDs, and so new names in server/Snapshots.
set -euo pipefail
export LC_ALL=C TZ=UTC

here=$(cd "$(dirname "$0")" && pwd)
say() { echo "make.sh: $*" >&2; }
die() { say "$@"; exit 1; }

tools=${VBOX_TOOLS:-/usr/lib/virtualbox}
vbox_img=$tools/vbox-img
for vboxmanage in "$tools/vboxmanage" "$tools/VBoxManage"; do
  [ ! -x "$vboxmanage" ] || break
done
if [ ! -x "$vbox_img" ] || [ ! -x "$vboxmanage" ]; then
  die "no VirtualBox tools in $tools: install VirtualBox and set VBOX_TOOLS"
fi
jail=
[ ! -d "$tools/root/usr/lib/virtualbox" ] || jail=$tools/root
[ -e /dev/fuse ] || die "no /dev/fuse"

if [ -n "${VBOX_SHARE:-}" ]; then
  work=$(mktemp -d "${VBOX_SHARE%%:*}/disks.XXXXXX")
  seen=${VBOX_SHARE#*:}/${work##*/}
else
  work=$(mktemp -d)
  seen=$work
fi
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/out" "$work/point"

# A registry and a service of its own: no machine or medium of the user is
# touched, and another run may go on beside this one.
export VBOX_USER_HOME=$seen/home VBOX_IPC_SOCKETID=disks-$$
vb() {
  "$vboxmanage" "$@" >"$work/vb.log" 2>&1 || { cat "$work/vb.log" >&2; die "VBoxManage $*"; }
}
vbimg() {
  "$vbox_img" "$@" >"$work/vbimg.log" 2>&1 || { cat "$work/vbimg.log" >&2; die "vbox-img $*"; }
}
pattern() { python3 -B "$here/pattern.py" "$@"; }

vbox="VirtualBox $("$vboxmanage" --version)"
qemu="qemu-img $(qemu-img --version | sed -n '1s/.*version \([^ ]*\).*/\1/p')"

# guest_write IMAGE LABEL RANGE... : what a guest does that writes these
# sectors. vboximg-mount shows the first partition, from sector 1, as a file.
# The new process space ends whatever is left running; VirtualBox's service
# would otherwise keep the medium locked.
guest_write() {
  local image=$1 label=$2
  shift 2
  cat >"$work/session" <<'SESSION'
set -euo pipefail
jail=$1 tools=$2 seen=$3 point=$4 here=$5 image=$6 label=$7
shift 7
run=("$tools/vboximg-mount")
if [ -n "$jail" ]; then
  mount --bind /proc "$jail/proc"
  mount --bind /dev "$jail/dev"
  export HOME=/root USER=root LOGNAME=root
  run=(env LD_LIBRARY_PATH=/usr/lib/virtualbox /usr/sbin/chroot "$jail" /usr/lib/virtualbox/vboximg-mount)
fi
"${run[@]}" -i "$seen/$image" --rw "$seen/point"
for _ in $(seq 100); do
  [ ! -e "$point/vol0" ] || break
  sleep 0.1
done
python3 -B "$here/pattern.py" write "$point/vol0" "$label" 1 "$@"
umount "$point"
for _ in $(seq 100); do
  pgrep -x vboximg-mount >/dev/null || exit 0
  sleep 0.1
done
echo "vboximg-mount does not end" >&2
exit 1
SESSION
  unshare -m -p -f --mount-proc bash "$work/session" "$jail" "$tools" "$seen" "$work/point" \
    "$here" "$image" "$label" "$@" >"$work/mount.log" 2>&1 ||
    { cat "$work/mount.log" >&2; die "writing into $image"; }
}

# raw NAME BYTES LABEL RANGE... : the disk as it should be.
raw() {
  local file=$work/$1.raw size=$2 label=$3
  shift 3
  truncate -s "$size" "$file"
  pattern write "$file" "$label" 0 "$@"
}

# keep NAME : the image goes into the folder, compressed where that is smaller.
keep() {
  local name=$1
  mkdir -p "$work/out/$(dirname "$name")"
  gzip -9n <"$work/$name" >"$work/out/$name.gz"
  stored=$name.gz
  if [ "$(stat -c %s "$work/out/$name.gz")" -ge "$(stat -c %s "$work/$name")" ]; then
    rm "$work/out/$name.gz"
    cp "$work/$name" "$work/out/$name"
    stored=$name
  fi
}

# ask_qemu IMAGE TRUTH : what qemu-img makes of it, in words.
ask_qemu() {
  rm -f "$work/qemu.raw"
  if ! qemu-img convert -O raw "$1" "$work/qemu.raw" 2>"$work/qemu.log"; then
    sed -n '1s/.*: /refused: /p' "$work/qemu.log"
  elif cmp -s "$work/qemu.raw" "$2"; then
    echo same
  elif [ "$(stat -c %s "$work/qemu.raw")" != "$(stat -c %s "$2")" ]; then
    echo "different, exit status 0: $(stat -c %s "$work/qemu.raw") bytes"
  else
    echo "different, exit status 0: wrong data"
  fi
}

# single NAME TRUTH MAKER COMMAND NOTES : one image without parents. TRUTH is
# the raw disk that went in, "-" when only VirtualBox can tell what is in it.
single() {
  local name=$1 truth=$2 maker=$3 command=$4 notes=$5 confirmed="vbox-img convert"
  rm -f "$work/check.raw"
  vbimg convert --srcfilename "$work/$name" --srcformat VDI --dstfilename "$work/check.raw" --dstformat RAW
  if [ "$truth" = - ]; then
    truth=$work/check.raw
  else
    cmp "$truth" "$work/check.raw" || die "$name: VirtualBox reads something else than went in"
    confirmed="what went in|$confirmed"
  fi
  keep "$name"
  pattern entry image="$work/$name" file="$name" stored="$stored" raw="$truth" maker="$maker" \
    command="$command" notes="$notes" confirmed="$confirmed" \
    qemu="$(ask_qemu "$work/$name" "$truth")" >>"$work/lines"
  say "$name"
}

# layer NAME TRUTH COMMAND STATE NOTES PARENT... : one image of a chain, read
# by VirtualBox with all that is below it. Parents: nearest first.
layer() {
  local name=$1 truth=$2 command=$3 state=$4 notes=$5 confirmed="what went in|clonemedium --format RAW"
  shift 5
  rm -f "$work/check.raw"
  vb clonemedium disk "$seen/$name" "$seen/check.raw" --format RAW
  cmp "$truth" "$work/check.raw" || die "$name: VirtualBox reads something else than went in"
  vb closemedium disk "$seen/check.raw"
  keep "$name"
  pattern entry image="$work/$name" file="$name" stored="$stored" raw="$truth" maker="$vbox" \
    command="$command" notes="$notes" confirmed="$confirmed" state="$state" \
    parents="$(IFS='|'; echo "$*")" qemu="$(ask_qemu "$work/$name" "$truth")" >>"$work/lines"
  say "$name"
}

# refused NAME RAW COMMAND NOTES PARENT... : an image that VirtualBox does not
# read. RAW is what it would hold if it were well, "-" when nothing can be said.
refused() {
  local name=$1 truth=$2 command=$3 notes=$4 confirmed=
  shift 4
  if "$vboxmanage" clonemedium disk "$seen/$name" "$seen/check.raw" --format RAW >"$work/vb.log" 2>&1; then
    die "$name: VirtualBox reads it"
  fi
  notes="$notes. VirtualBox: $(grep -o 'VERR_[A-Z_]*\|VBOX_E_[A-Z_]*' "$work/vb.log" | tail -1)"
  [ "$truth" = - ] || confirmed="what went in"
  keep "$name"
  pattern entry image="$work/$name" file="$name" stored="$stored" raw="${truth#-}" maker="$vbox" \
    command="$command" notes="$notes" confirmed="$confirmed" refused=yes \
    parents="$(IFS='|'; echo "$*")" qemu="$(ask_qemu "$work/$name" "${truth/#-//dev/null}")" >>"$work/lines"
  say "$name"
}

MIB=1048576
BLOCK=2048 # sectors in 1 MiB

# --- single images by VirtualBox --------------------------------------------

# The usual case. The disk ends 1536 bytes into its last block.
raw dynamic $((4 * MIB + 1536)) dynamic 0+40 $((BLOCK + 700))+3 $((3 * BLOCK))+$BLOCK $((4 * BLOCK + 1))+2
vb convertfromraw "$seen/dynamic.raw" "$seen/vbox-dynamic.vdi" --format VDI
single vbox-dynamic.vdi "$work/dynamic.raw" "$vbox" \
  "VBoxManage convertfromraw dynamic.raw vbox-dynamic.vdi --format VDI" \
  "the usual image; data, ZERO, and a last block of 1536 bytes"

raw fixed $((3 * MIB + 512)) fixed 5+10 4000+100 $((3 * BLOCK))+1
vb convertfromraw "$seen/fixed.raw" "$seen/vbox-fixed.vdi" --format VDI --variant Fixed
single vbox-fixed.vdi "$work/fixed.raw" "$vbox" \
  "VBoxManage convertfromraw fixed.raw vbox-fixed.vdi --format VDI --variant Fixed" \
  "type fixed: every block in the file"

# Other block sizes. createmedium makes the image, clonemedium fills it.
for kib in 512 2048 4096 8192; do
  size=$((5 * MIB + 2560))
  raw "block-${kib}k" $size "block-${kib}k" 0+3 1030+20 $((2 * BLOCK + 100))+1 $((4 * BLOCK))+1500 $((size / 512 - 1))+1
  vb convertfromraw "$seen/block-${kib}k.raw" "$seen/source.vdi" --format VDI
  vb createmedium disk --filename "$seen/vbox-block-${kib}k.vdi" --sizebyte $size \
    --property "AllocationBlockSize=$((kib * 1024))"
  vb clonemedium disk "$seen/source.vdi" "$seen/vbox-block-${kib}k.vdi" --existing
  vb closemedium disk "$seen/source.vdi" --delete
  single "vbox-block-${kib}k.vdi" "$work/block-${kib}k.raw" "$vbox" \
    "VBoxManage createmedium disk --filename vbox-block-${kib}k.vdi --sizebyte $size --property AllocationBlockSize=$((kib * 1024)); VBoxManage clonemedium disk source.vdi vbox-block-${kib}k.vdi --existing" \
    "blocks of $kib KiB"
done

# Data right behind the map, as VirtualBox wrote it before it aligned to 1 MiB.
raw dense $((2 * MIB + 1536)) dense 0+1 $((BLOCK - 1))+2 $((2 * BLOCK))+3
vb convertfromraw "$seen/dense.raw" "$seen/source.vdi" --format VDI
vbimg createbase --filename "$work/vbox-dense.vdi" --size $((2 * MIB + 1536)) --format VDI --dataalignment 512
vb clonemedium disk "$seen/source.vdi" "$seen/vbox-dense.vdi" --existing
vb closemedium disk "$seen/source.vdi" --delete
single vbox-dense.vdi "$work/dense.raw" "$vbox" \
  "vbox-img createbase --filename vbox-dense.vdi --size $((2 * MIB + 1536)) --format VDI --dataalignment 512; VBoxManage clonemedium disk source.vdi vbox-dense.vdi --existing" \
  "the older layout: map at 512, data at 1024, nothing aligned"

# A copy of a smaller disk into a larger image leaves the rest FREE.
raw small $((3 * MIB)) free-and-zero 0+2 $((2 * BLOCK + 5))+9
vb convertfromraw "$seen/small.raw" "$seen/source.vdi" --format VDI
vb createmedium disk --filename "$seen/vbox-free-and-zero.vdi" --sizebyte $((6 * MIB))
vb clonemedium disk "$seen/source.vdi" "$seen/vbox-free-and-zero.vdi" --existing
vb closemedium disk "$seen/source.vdi" --delete
cp "$work/small.raw" "$work/free-and-zero.raw"
truncate -s $((6 * MIB)) "$work/free-and-zero.raw"
single vbox-free-and-zero.vdi "$work/free-and-zero.raw" "$vbox" \
  "VBoxManage createmedium disk --filename vbox-free-and-zero.vdi --sizebyte $((6 * MIB)); VBoxManage clonemedium disk source.vdi vbox-free-and-zero.vdi --existing (source.vdi: 3 MiB)" \
  "data, ZERO and FREE in one image"

raw empty $((3 * MIB + 512)) zero 0+1
vb createmedium disk --filename "$seen/vbox-empty.vdi" --sizebyte $((3 * MIB + 512))
single vbox-empty.vdi "$work/empty.raw" "$vbox" \
  "VBoxManage createmedium disk --filename vbox-empty.vdi --sizebyte $((3 * MIB + 512))" \
  "a new disk: every block FREE, no data in the file"

# Written by a guest from the end to the start: the file's order is the other way.
raw shuffled $((6 * MIB)) shuffled 0+2
pattern mbr "$work/shuffled.raw"
vb convertfromraw "$seen/shuffled.raw" "$seen/source.vdi" --format VDI
vb createmedium disk --filename "$seen/vbox-shuffled.vdi" --sizebyte $((6 * MIB))
vb clonemedium disk "$seen/source.vdi" "$seen/vbox-shuffled.vdi" --existing
vb closemedium disk "$seen/source.vdi" --delete
for range in $((5 * BLOCK + 9))+3 $((2 * BLOCK + 1))+2 $((4 * BLOCK + 2047))+1 $((BLOCK + 1000))+90; do
  guest_write vbox-shuffled.vdi shuffled "$range"
  pattern write "$work/shuffled.raw" shuffled 0 "$range"
done
single vbox-shuffled.vdi "$work/shuffled.raw" "$vbox" \
  "VBoxManage createmedium disk --filename vbox-shuffled.vdi --sizebyte $((6 * MIB)); VBoxManage clonemedium disk source.vdi vbox-shuffled.vdi --existing; vboximg-mount -i vbox-shuffled.vdi --rw (four writes, last block first)" \
  "blocks in the file in another order than on the disk"

# Compacted: a guest emptied two blocks, VBoxManage took them out of the file.
raw compacted $((6 * MIB + 512)) compacted 0+20 $((BLOCK))+$BLOCK $((2 * BLOCK + 3))+30 $((3 * BLOCK))+700 $((5 * BLOCK + 1))+9 $((6 * BLOCK))+1
pattern mbr "$work/compacted.raw"
vb convertfromraw "$seen/compacted.raw" "$seen/vbox-compacted.vdi" --format VDI
guest_write vbox-compacted.vdi zero $BLOCK+$BLOCK $((3 * BLOCK))+700
pattern write "$work/compacted.raw" zero 0 $BLOCK+$BLOCK $((3 * BLOCK))+700
before=$(stat -c %s "$work/vbox-compacted.vdi")
vb modifymedium disk "$seen/vbox-compacted.vdi" --compact
[ "$(stat -c %s "$work/vbox-compacted.vdi")" -lt "$before" ] || die "nothing was compacted"
single vbox-compacted.vdi "$work/compacted.raw" "$vbox" \
  "VBoxManage convertfromraw compacted.raw vbox-compacted.vdi --format VDI; vboximg-mount -i vbox-compacted.vdi --rw (zeros over two blocks); VBoxManage modifymedium disk vbox-compacted.vdi --compact" \
  "compacted after two blocks were emptied: blocks moved to close the gaps"

# Enlarged, with room behind the map: only the map grows.
raw resized $((3 * MIB + 512)) resized 0+9 $((BLOCK + 2047))+2 $((3 * BLOCK))+1
vb convertfromraw "$seen/resized.raw" "$seen/vbox-resized.vdi" --format VDI
vb modifymedium disk "$seen/vbox-resized.vdi" --resizebyte $((5 * MIB + 1024))
truncate -s $((5 * MIB + 1024)) "$work/resized.raw"
single vbox-resized.vdi "$work/resized.raw" "$vbox" \
  "VBoxManage convertfromraw resized.raw vbox-resized.vdi --format VDI; VBoxManage modifymedium disk vbox-resized.vdi --resizebyte $((5 * MIB + 1024))" \
  "enlarged from 3146240 bytes"

# Enlarged so far that the map runs into the data: blocks have to move away.
raw moved $((3 * MIB)) moved 0+9 $((BLOCK + 100))+4 $((2 * BLOCK + 200))+5
vb convertfromraw "$seen/moved.raw" "$seen/source.vdi" --format VDI
vbimg createbase --filename "$work/vbox-resized-moved.vdi" --size $((3 * MIB)) --format VDI --dataalignment 512
vb clonemedium disk "$seen/source.vdi" "$seen/vbox-resized-moved.vdi" --existing
vb closemedium disk "$seen/source.vdi" --delete
vb modifymedium disk "$seen/vbox-resized-moved.vdi" --resizebyte $((200 * MIB))
truncate -s $((200 * MIB)) "$work/moved.raw"
single vbox-resized-moved.vdi "$work/moved.raw" "$vbox" \
  "vbox-img createbase --filename vbox-resized-moved.vdi --size $((3 * MIB)) --format VDI --dataalignment 512; VBoxManage clonemedium disk source.vdi vbox-resized-moved.vdi --existing; VBoxManage modifymedium disk vbox-resized-moved.vdi --resizebyte $((200 * MIB))" \
  "enlarged from 3 MiB in the older layout: the map needed the place of the first block"

# --- single images by qemu-img ----------------------------------------------

raw qemu $((3 * MIB + 512)) qemu 0+7 $((2 * BLOCK + 50))+200 $((3 * BLOCK))+1
qemu-img convert -f raw -O vdi "$work/qemu.raw" "$work/qemu-dynamic.vdi" && mv "$work/qemu.raw" "$work/qemu-in.raw"
single qemu-dynamic.vdi "$work/qemu-in.raw" "$qemu" \
  "qemu-img convert -f raw -O vdi qemu.raw qemu-dynamic.vdi" "QEMU's layout: header of 0x180 bytes, map at 512"
qemu-img convert -f raw -O vdi -o static=on "$work/qemu-in.raw" "$work/qemu-static.vdi"
single qemu-static.vdi "$work/qemu-in.raw" "$qemu" \
  "qemu-img convert -f raw -O vdi -o static=on qemu.raw qemu-static.vdi" "QEMU's type fixed"

# A raw file of 2 MiB and 1000 bytes: qemu-img fills up to a whole sector.
raw qemu-odd $((2 * MIB + 1000)) qemu-odd 0+3 $((2 * BLOCK))+1
truncate -s $((2 * MIB + 1000)) "$work/qemu-odd.raw"
qemu-img convert -f raw -O vdi "$work/qemu-odd.raw" "$work/qemu-odd.vdi"
truncate -s $((2 * MIB + 1024)) "$work/qemu-odd.raw"
single qemu-odd.vdi "$work/qemu-odd.raw" "$qemu" \
  "qemu-img convert -f raw -O vdi odd.raw qemu-odd.vdi (odd.raw: $((2 * MIB + 1000)) bytes)" \
  "from a raw file that is no whole number of sectors; the disk is"

# --- what no tool writes today, from an image above with a few fields changed
# VirtualBox says what is in them.

cp "$work/vbox-dynamic.vdi" "$work/changed-odd-size.vdi"
pattern patch "$work/changed-odd-size.vdi" cbDisk=$((4 * MIB + 1300))
single changed-odd-size.vdi - "$vbox, then changed" \
  "pattern.py patch changed-odd-size.vdi cbDisk=$((4 * MIB + 1300)) (a copy of vbox-dynamic.vdi)" \
  "disk size not a multiple of 512, as old tools wrote it: VirtualBox rounds down, QEMU up"

cp "$work/vbox-dynamic.vdi" "$work/changed-spare-blocks.vdi"
pattern patch "$work/changed-spare-blocks.vdi" cbDisk=$((2 * MIB + 4096))
single changed-spare-blocks.vdi - "$vbox, then changed" \
  "pattern.py patch changed-spare-blocks.vdi cbDisk=$((2 * MIB + 4096)) (a copy of vbox-dynamic.vdi)" \
  "the map has more blocks than the disk needs, with data in them"

cp "$work/vbox-dynamic.vdi" "$work/changed-undo.vdi"
pattern patch "$work/changed-undo.vdi" type=3
single changed-undo.vdi "$work/dynamic.raw" "$vbox, then changed" \
  "pattern.py patch changed-undo.vdi type=3 (a copy of vbox-dynamic.vdi)" \
  "type undo: read as dynamic"

pattern extra "$work/vbox-dynamic.vdi" "$work/changed-extra.vdi" 512
single changed-extra.vdi "$work/dynamic.raw" "$vbox, then changed" \
  "pattern.py extra vbox-dynamic.vdi changed-extra.vdi 512" \
  "512 bytes before every block that are not of the disk"

pattern old "$work/vbox-dynamic.vdi" "$work/changed-old.vdi"
single changed-old.vdi "$work/dynamic.raw" "$vbox, then changed" \
  "pattern.py old vbox-dynamic.vdi changed-old.vdi" \
  "the 0.2 header of the first VirtualBox versions, data at an odd place"

# --- a machine with snapshots -------------------------------------------------
# installed ── configured ── upgraded          (left behind: a dead branch)
#     └────── second try ── third try ── now

vb createvm --name server --basefolder "$seen" --ostype Debian_64 --register
vb storagectl server --name SATA --add sata --controller IntelAhci --portcount 2
raw server-0 $((4 * MIB + 1536)) server-base 1+20 $BLOCK+5 $((3 * BLOCK))+3 $((4 * BLOCK + 1))+2
pattern mbr "$work/server-0.raw"
vb convertfromraw "$seen/server-0.raw" "$seen/server/server.vdi" --format VDI
vb storageattach server --storagectl SATA --port 0 --device 0 --type hdd --medium "$seen/server/server.vdi"

# The image that the machine writes to now, as a path in this folder.
leaf() {
  local path
  path=$("$vboxmanage" showvminfo server --machinereadable | tr -d '\r' | sed -n 's/^"SATA-0-0"="\(.*\)"$/\1/p')
  echo "${path#"$seen/"}"
}
# state FROM TO RANGE... : the raw disk of the next state, and the guest's writes.
state() {
  local from=$1 to=$2
  shift 2
  [ -e "$work/server-$to.raw" ] || cp "$work/server-$from.raw" "$work/server-$to.raw"
  pattern write "$work/server-$to.raw" "server-$to" 0 "$@"
  guest_write "$(leaf)" "server-$to" "$@"
}
base=server/server.vdi

vb snapshot server take installed
state 0 configured $((BLOCK + 2))+3 $((2 * BLOCK))+2
configured=$(leaf)
vb snapshot server take configured
state configured upgraded $((3 * BLOCK + 56))+10 30+2
upgraded=$(leaf)
vb snapshot server take upgraded

vb snapshot server restore installed
# A copy of 2 MiB into the new leaf: data in block 0, ZERO over the base's data
# in block 1, the rest FREE. Then a write of the guest.
raw second $((2 * MIB)) server-second-try 1+12
pattern mbr "$work/second.raw"
dd if="$work/server-0.raw" of="$work/second.raw" bs=512 count=1 conv=notrunc status=none
vb convertfromraw "$seen/second.raw" "$seen/source.vdi" --format VDI
second=$(leaf)
vb clonemedium disk "$seen/source.vdi" "$seen/$second" --existing
vb closemedium disk "$seen/source.vdi" --delete
cp "$work/server-0.raw" "$work/server-second-try.raw"
dd if="$work/second.raw" of="$work/server-second-try.raw" bs=1M conv=notrunc status=none
state 0 second-try $((3 * BLOCK + 6))+4
vb snapshot server take 'second try'
# Into the block that the layer below says is zero: the base's data in the rest
# of the block must not come back.
state second-try third-try $((BLOCK + 52))+3 $((4 * BLOCK))+3
third=$(leaf)
vb snapshot server take 'third try'
state third-try now $((2 * BLOCK))+1 10+5
now=$(leaf)

take="VBoxManage snapshot server take"
layer "$base" "$work/server-0.raw" "VBoxManage convertfromraw server-0.raw server.vdi --format VDI; $take installed" \
  installed "base of the machine: the disk at the first snapshot, not the disk as it is now"
layer "$configured" "$work/server-configured.raw" "vboximg-mount --rw; $take configured" \
  configured "first layer of the branch that was left behind" "$base"
layer "$upgraded" "$work/server-upgraded.raw" "vboximg-mount --rw; $take upgraded" \
  upgraded "a leaf that the machine does not use any more" "$configured" "$base"
layer "$second" "$work/server-second-try.raw" \
  "VBoxManage snapshot server restore installed; VBoxManage clonemedium disk source.vdi LEAF --existing (source.vdi: 2 MiB); vboximg-mount --rw; $take 'second try'" \
  "second try" "data, ZERO over data of the base, FREE" "$base"
layer "$third" "$work/server-third-try.raw" "vboximg-mount --rw; $take 'third try'" \
  "third try" "data over a ZERO block of its parent; a last block of 1536 bytes" "$second" "$base"
layer "$now" "$work/server-now.raw" "vboximg-mount --rw" \
  now "the disk as it is now: three layers over the base" "$third" "$second" "$base"
cp "$work/server/server.vbox" "$work/out/server/server.vbox"

# --- chains without a machine -----------------------------------------------

# A child whose blocks are smaller than its parent's, and one whose are larger.
mkdir "$work/sizes"
raw sizes-0 $((5 * MIB + 512)) sizes-base 1+9 $((BLOCK + 1020))+10 $((3 * BLOCK))+$BLOCK $((5 * BLOCK))+1
pattern mbr "$work/sizes-0.raw"
vb convertfromraw "$seen/sizes-0.raw" "$seen/sizes/base.vdi" --format VDI
vb createmedium disk --filename "$seen/sizes/child-512k.vdi" --diffparent "$seen/sizes/base.vdi" \
  --property AllocationBlockSize=524288
cp "$work/sizes-0.raw" "$work/sizes-1.raw"
ranges=("$((BLOCK + 1022))+4" "$((3 * BLOCK + 1100))+8")
guest_write sizes/child-512k.vdi sizes-child "${ranges[@]}"
pattern write "$work/sizes-1.raw" sizes-child 0 "${ranges[@]}"
vb createmedium disk --filename "$seen/sizes/grandchild-4m.vdi" --diffparent "$seen/sizes/child-512k.vdi" \
  --property AllocationBlockSize=4194304
cp "$work/sizes-1.raw" "$work/sizes-2.raw"
guest_write sizes/grandchild-4m.vdi sizes-grandchild $((5 * BLOCK))+1
pattern write "$work/sizes-2.raw" sizes-grandchild 0 $((5 * BLOCK))+1
layer sizes/base.vdi "$work/sizes-0.raw" "VBoxManage convertfromraw sizes-0.raw base.vdi --format VDI" \
  base "base of a chain with three block sizes"
layer sizes/child-512k.vdi "$work/sizes-1.raw" \
  "VBoxManage createmedium disk --filename child-512k.vdi --diffparent base.vdi --property AllocationBlockSize=524288; vboximg-mount --rw" \
  child "blocks half as large as its parent's" sizes/base.vdi
layer sizes/grandchild-4m.vdi "$work/sizes-2.raw" \
  "VBoxManage createmedium disk --filename grandchild-4m.vdi --diffparent child-512k.vdi --property AllocationBlockSize=4194304; vboximg-mount --rw" \
  grandchild "blocks eight times as large as its parent's" sizes/child-512k.vdi sizes/base.vdi

# Enlarged after the child was there. VirtualBox enlarges one image at a time.
mkdir "$work/grown"
raw grown-0 $((3 * MIB + 512)) grown-base 1+9 $((2 * BLOCK + 7))+3 $((3 * BLOCK))+1
pattern mbr "$work/grown-0.raw"
vb convertfromraw "$seen/grown-0.raw" "$seen/grown/base.vdi" --format VDI
for child in old-size same-size larger; do
  vb createmedium disk --filename "$seen/grown/child-$child.vdi" --diffparent "$seen/grown/base.vdi"
  cp "$work/grown-0.raw" "$work/grown-$child.raw"
  guest_write "grown/child-$child.vdi" "grown-$child" $((2 * BLOCK + 8))+1 20+3
  pattern write "$work/grown-$child.raw" "grown-$child" 0 $((2 * BLOCK + 8))+1 20+3
done
vb modifymedium disk "$seen/grown/base.vdi" --resizebyte $((4 * MIB + 1024))
vb modifymedium disk "$seen/grown/child-same-size.vdi" --resizebyte $((4 * MIB + 1024))
vb modifymedium disk "$seen/grown/child-larger.vdi" --resizebyte $((6 * MIB + 512))
truncate -s $((4 * MIB + 1024)) "$work/grown-0.raw" "$work/grown-same-size.raw"
truncate -s $((6 * MIB + 512)) "$work/grown-larger.raw"
resize="VBoxManage modifymedium disk"
layer grown/base.vdi "$work/grown-0.raw" \
  "VBoxManage convertfromraw grown-0.raw base.vdi --format VDI; $resize base.vdi --resizebyte $((4 * MIB + 1024)) (after the children were made)" \
  base "enlarged while it had children"
layer grown/child-old-size.vdi "$work/grown-old-size.raw" \
  "VBoxManage createmedium disk --filename child-old-size.vdi --diffparent base.vdi; vboximg-mount --rw" \
  "old size" "smaller than its parent: the child's size counts" grown/base.vdi
layer grown/child-same-size.vdi "$work/grown-same-size.raw" \
  "VBoxManage createmedium disk --filename child-same-size.vdi --diffparent base.vdi; vboximg-mount --rw; $resize child-same-size.vdi --resizebyte $((4 * MIB + 1024))" \
  "same size" "enlarged together with its parent" grown/base.vdi
# VBoxManage enlarges a child beyond its parent without a word and then can not
# read what lies behind the parent's end.
refused grown/child-larger.vdi "$work/grown-larger.raw" \
  "VBoxManage createmedium disk --filename child-larger.vdi --diffparent base.vdi; vboximg-mount --rw; $resize child-larger.vdi --resizebyte $((6 * MIB + 512))" \
  "enlarged beyond its parent's end; \"raw\" takes what is there to be zeros" grown/base.vdi

# A base that was written to after the snapshot: the child's data no longer fits.
mkdir "$work/stale"
raw stale-0 $((2 * MIB)) stale-base 1+9 $((BLOCK + 7))+3
pattern mbr "$work/stale-0.raw"
vb convertfromraw "$seen/stale-0.raw" "$seen/stale/base.vdi" --format VDI
vb createmedium disk --filename "$seen/stale/child.vdi" --diffparent "$seen/stale/base.vdi"
guest_write stale/child.vdi stale-child 20+3
vb closemedium disk "$seen/stale/child.vdi"
vb closemedium disk "$seen/stale/base.vdi"
guest_write stale/base.vdi stale-base-later $((BLOCK + 8))+1
pattern write "$work/stale-0.raw" stale-base-later 0 $((BLOCK + 8))+1
layer stale/base.vdi "$work/stale-0.raw" \
  "VBoxManage convertfromraw stale-0.raw base.vdi --format VDI; vboximg-mount --rw (after the child was made)" \
  base "written to after it had a child"
refused stale/child.vdi - \
  "VBoxManage createmedium disk --filename child.vdi --diffparent base.vdi; vboximg-mount --rw" \
  "its parent has another modification UUID than it was made for" stale/base.vdi

# An encrypted disk: only the machine's file tells. The password is "stratus".
vb createvm --name sealed --basefolder "$seen" --ostype Debian_64 --register
vb storagectl sealed --name SATA --add sata --controller IntelAhci --portcount 1
raw sealed $MIB sealed 1+20
pattern mbr "$work/sealed.raw"
vb convertfromraw "$seen/sealed.raw" "$seen/source.vdi" --format VDI
vb createmedium disk --filename "$seen/sealed/sealed.vdi" --sizebyte $MIB --property AllocationBlockSize=524288
vb clonemedium disk "$seen/source.vdi" "$seen/sealed/sealed.vdi" --existing
vb closemedium disk "$seen/source.vdi" --delete
vb storageattach sealed --storagectl SATA --port 0 --device 0 --type hdd --medium "$seen/sealed/sealed.vdi"
printf stratus >"$work/password"
vb encryptmedium "$seen/sealed/sealed.vdi" --newpassword "$seen/password" --cipher AES-XTS256-PLAIN64 --newpasswordid sealed
refused sealed/sealed.vdi "$work/sealed.raw" \
  "VBoxManage encryptmedium sealed.vdi --newpassword FILE --cipher AES-XTS256-PLAIN64 --newpasswordid sealed" \
  "encrypted, which only sealed.vbox tells; the password is \"stratus\""
cp "$work/sealed/sealed.vbox" "$work/out/sealed/sealed.vbox"

# --- into the folder ----------------------------------------------------------

# VirtualBox writes places inside a machine's folder relative to it.
if grep -rF -e "$seen/" -e "$work" "$work/out" "$work/lines" >&2; then
  die "a file names a folder of this computer"
fi
pattern index "$work/lines" "$work/out/INDEX.json" "$work/table"
rm -rf "$here"/*.vdi "$here"/*.vdi.gz "$here/INDEX.json" \
  "$here"/{server,sizes,grown,stale,sealed}
cp -R "$work/out/." "$here/"
chmod -R u=rwX,go=rX "$here"
# The table of README.md is the index again, between two marks.
python3 -B - "$here/README.md" "$work/table" <<'PY'
import sys

with open(sys.argv[1]) as f:
    text = f.read()
with open(sys.argv[2]) as f:
    table = f.read()
start, end = "<!-- table: written by make.sh -->\n", "<!-- end of the table -->"
head, rest = text.split(start)
with open(sys.argv[1], "w") as f:
    f.write(head + start + table + end + rest.split(end)[1])
PY
du -sh "$here" >&2

#!/bin/bash
# Real guests, really booted:
#
#   tests/boot.sh FOLDER [VARIANT[:MEDIUM,...]...]
#
# Builds a Debian 12 as the owner of a VirtualBox machine has it, makes it a VDI, converts that with
# stratus-convert, starts the image with QEMU (without KVM) on virtio with the medium of a cloud,
# looks at it from outside and inside, switches it off and checks the disk. Each variant is one
# guest; without one: systemd.
#
#   systemd     systemd, ext4, ifupdown; starts twice
#   sysv        sysvinit, ext3
#   openrc      OpenRC on sysvinit
#   lvm         /boot, and LVM2 on a logical partition
#   uefi        GPT, GRUB in EFI/debian only
#   netplan     a fixed address of netplan
#   networkd    a fixed address of systemd-networkd
#   ide         an initramfs without virtio: starts on IDE, and on virtio after its next update
#   cloudinit-guest   the systemd guest with cloud-init
#   control     the systemd guest with --no-context: does not find its root on virtio, and on IDE
#               fails each of the checks
#
# A medium starts a copy of the variant's image; without one: opennebula.
#
#   opennebula  an ISO CONTEXT: a key, a host name, a fixed address, a script, a variable
#   stratuslab  an ISO _STRATUSLAB: a key, a variable, StratusLab's init.sh, and that an action fails
#   cloudinit   a FAT disk _CLOUD_INIT with a key
#   none        no medium
#
# Everything is in FOLDER (about 5 GiB); the trees of packages stay there and are used again. Needs
# root (chroot, loop devices), Debian's mirror, and `cargo build --release`. A boot takes 2 to 4
# minutes. Ends with "N passed, N failed".
#
# shellcheck disable=SC2317  # the checks are called through "check"
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
converter=${STRATUS_CONVERT:-${CARGO_TARGET_DIR:-$project/target}/release/stratus-convert}

PASSWORD=Vb0x-owner-2026
# In the histories and in deleted files; in no image that was prepared.
SECRET=stratus-boot-secret-7c1e0f
MACHINE_ID=0123456789abcdef0123456789abcdef
# VirtualBox's name of the first card, and the addresses: the owner's, QEMU's by DHCP, the medium's.
CARD=enp0s3
OWN_ADDRESS=10.0.2.99
DHCP_ADDRESS=10.0.2.15
MEDIUM_ADDRESS=10.0.2.77
# Seconds from power-on to SSH, and from "poweroff" to the end of QEMU.
BOOT=420
HALT=180

# What has to be there, and the Debian package that has it.
TOOLS=(
  "debootstrap debootstrap" "chroot coreutils" "unshare util-linux" "losetup mount"
  "sfdisk fdisk" "mke2fs e2fsprogs" "mkswap util-linux" "mkfs.vfat dosfstools" "mcopy mtools"
  "grub-install grub2-common" "/usr/lib/grub/i386-pc/moddep.lst grub-pc-bin"
  "genisoimage genisoimage" "partx util-linux" "qemu-img qemu-utils"
  "qemu-system-x86_64 qemu-system-x86" "ssh openssh-client" "ps procps"
)
UEFI_TOOLS=(
  "grub-mkimage grub-common" "/usr/lib/grub/x86_64-efi/moddep.lst grub-efi-amd64-bin"
  "/usr/share/OVMF/OVMF_CODE_4M.fd ovmf"
)
LVM_TOOLS=("lvcreate lvm2")

die() {
  echo "boot.sh: $*" >&2
  exit 1
}

# tools VARIANT...: what these need is there.
tools() {
  local entry missing=() needed=("${TOOLS[@]}")
  [[ " $*" != *\ uefi* ]] || needed+=("${UEFI_TOOLS[@]}")
  [[ " $*" != *\ lvm* ]] || needed+=("${LVM_TOOLS[@]}")
  for entry in "${needed[@]}"; do
    [ -e "${entry% *}" ] || command -v "${entry% *}" >/dev/null || missing+=("${entry#* }")
  done
  [ "${#missing[@]}" -eq 0 ] ||
    die "missing; as root: apt-get install --no-install-recommends ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || die "needs root for chroot and loop devices"
  [ -x "$converter" ] || die "there is no $converter: cargo build --release"
}

# shellcheck source-path=SCRIPTDIR
. "$project/tests/boot/guest.sh"
# shellcheck source-path=SCRIPTDIR
. "$project/tests/boot/medium.sh"
# shellcheck source-path=SCRIPTDIR
. "$project/tests/boot/machine.sh"
# shellcheck source-path=SCRIPTDIR
. "$project/tests/boot/checks.sh"

# Conversion -------------------------------------------------------------------------------------

convert() {
  arguments=(
    --authorized-key "$folder/key.pub" --context-var BAKED=image
    --context-script "$project/tests/boot/action-fails.sh:FAIL=no"
    --context-script "$project/tests/boot/action.sh:FOO=bar"
  )
  [ "$variant" != control ] || arguments=(--no-context)
  echo "converting"
  (cd "$work" && "$converter" --progress none "${arguments[@]}" guest.vdi) \
    >"$work/convert.log" 2>&1 || {
    cat "$work/convert.log"
    return 1
  }
  gzip -dc "$work/guest.img.gz" | dd of="$work/image.raw" bs=64k conv=sparse iflag=fullblock \
    status=none
}

# The bus of disks that the guest can start from, as the record tells it.
bus() {
  sed -n 's/.*"disks_bus": *"\([a-z]*\)".*/\1/p' "$work/guest.img.gz.json"
}

# Guests -----------------------------------------------------------------------------------------

# apart COMMAND...: in the background, since a command in a condition would go on after an error.
# Ends with this program.
part=
apart() {
  "$@" &
  part=$!
  local status=0
  wait "$part" || status=$?
  part=
  [ "$status" -eq 0 ] || told "stopped with status $status" FAILED
}

# one VARIANT MEDIA: a guest is built, converted, and started with each medium.
one() {
  variant=$1 work=$folder/$1
  trap undo EXIT
  rm -rf "$work"
  mkdir -p "$work"
  build
  holds "the guest's secret is on the source" grep -aqF "$SECRET" "$work/source.raw"
  rm "$work/source.raw"
  convert
  check "the guest's secret is not in the image" secret_is_gone
  [ "$variant" != systemd ] || check "prepared twice, nothing is left to do" prepared_twice
  rm -f "$work"/*.vdi "$work"/again.img.gz
  for medium in ${2//,/ }; do
    apart booted
  done
  rm -f "$work/image.raw"
}

# booted: a copy of $work/image.raw with $medium.
booted() {
  here=$work/$medium
  part=
  trap undo EXIT
  mkdir "$here"
  cp --sparse=always "$work/image.raw" "$here/disk.raw"
  on_disk 'cat /etc/shadow' >>"$work/shadow"
  make_medium
  expected=$DHCP_ADDRESS
  [ "$medium" != opennebula ] || expected=$MEDIUM_ADDRESS
  echo "starting $variant with the medium $medium"
  case $variant in
  control)
    expected=$OWN_ADDRESS
    power_on virtio
    holds "unprepared, its root is not found on virtio" lost_root
    kill "$machine"
    wait "$machine" || :
    machine=
    # Names of cards as in VirtualBox, which has no hotplug slots.
    power_on ide -global PIIX4_PM.acpi-root-pci-hotplug=off
    ;;
  uefi)
    # Firmware that knows of no boot entry, as a cloud has it.
    cp /usr/share/OVMF/OVMF_VARS_4M.fd "$here/vars.fd"
    power_on "$(bus)" \
      -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
      -drive "if=pflash,format=raw,file=$here/vars.fd"
    ;;
  *) power_on "$(bus)" ;;
  esac
  look
  [ "$variant:$medium" != systemd:opennebula ] || once_more
  [ "$variant" != ide ] || then_on_virtio
  rm -f "$here/disk.raw"
}

[ $# -ge 1 ] || {
  sed -n '2,/^$/{/^#/{s/^# \{0,1\}//;/^shellcheck/d;p;};}' "${BASH_SOURCE[0]}" >&2
  exit 2
}
tools "${@:2}"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- systemd
for guest in "$@"; do
  case ${guest%%:*} in
  systemd | sysv | openrc | lvm | uefi | netplan | networkd | ide | cloudinit-guest | control) ;;
  *) die "unknown variant: $guest" ;;
  esac
  [[ $guest, =~ ^[a-z-]+(,$|:((opennebula|stratuslab|cloudinit|none),)+$) ]] ||
    die "unknown medium: $guest"
done
rm -f "$folder/results"
: >"$folder/results"
for key in key owner; do
  [ -f "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$folder/$key"
done
# With what a shell would replace.
# shellcheck disable=SC2016
[ -f "$folder/medium" ] ||
  ssh-keygen -q -t ed25519 -N '' -C 'medium of $HOME' -f "$folder/medium"
printf '#!/bin/sh\necho %s\n' "$PASSWORD" >"$folder/askpass"
chmod 755 "$folder/askpass"
trap undo EXIT
for guest in "$@"; do
  variant=${guest%%:*} medium=
  media=opennebula
  [ "$guest" = "$variant" ] || media=${guest#*:}
  apart one "$variant" "$media"
done
echo
grep '^FAILED ' "$folder/results" || :
passed=$(grep -c '^ok ' "$folder/results") || :
failed=$(grep -c '^FAILED ' "$folder/results") || :
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

#!/bin/bash
# Real guests, really booted:
#
#   tests/boot.sh FOLDER [VARIANT...]
#
# Builds a Debian 12 as the owner of a VirtualBox machine has it, makes it a VDI, converts that with
# stratus-convert, starts the image with QEMU (without KVM) on virtio, looks at it from outside and
# inside, switches it off and checks the disk. Each variant is one guest; without one: systemd.
#
#   systemd     systemd, ext4, ifupdown          sysv        sysvinit, ext3
#   openrc      OpenRC on sysvinit               lvm         /boot, and LVM2 on a logical partition
#   uefi        GPT, GRUB in EFI/debian only     networkd    a fixed address of systemd-networkd
#   netplan     a fixed address of netplan
#   ide         an initramfs without virtio: starts on IDE, and on virtio after its next update
#   control     the systemd guest with --no-context: does not find its root on virtio, and on IDE
#               fails each of the checks
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
# VirtualBox's name of the first card, and an address that no DHCP server here gives.
CARD=enp0s3
ADDRESS=10.0.2.99
# Seconds from power-on to SSH, and from "poweroff" to the end of QEMU.
BOOT=420
HALT=180

# What has to be there, and the Debian package that has it.
TOOLS=(
  "debootstrap debootstrap" "chroot coreutils" "unshare util-linux" "losetup mount"
  "sfdisk fdisk" "mke2fs e2fsprogs" "mkswap util-linux" "mkfs.vfat dosfstools" "mcopy mtools"
  "grub-install grub2-common" "/usr/lib/grub/i386-pc/moddep.lst grub-pc-bin"
  "/usr/lib/grub/x86_64-efi/moddep.lst grub-efi-amd64-bin" "/usr/share/OVMF/OVMF_CODE_4M.fd ovmf"
  "partx util-linux" "qemu-img qemu-utils" "qemu-system-x86_64 qemu-system-x86" "ssh openssh-client" "lvcreate lvm2"
)

die() {
  echo "boot.sh: $*" >&2
  exit 1
}

tools() {
  local entry missing=()
  for entry in "${TOOLS[@]}"; do
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
. "$project/tests/boot/machine.sh"
# shellcheck source-path=SCRIPTDIR
. "$project/tests/boot/checks.sh"

# Conversion -------------------------------------------------------------------------------------

convert() {
  local arguments=(--authorized-key "$folder/key.pub")
  [ "$variant" != control ] || arguments=(--no-context)
  echo "converting"
  (cd "$work" && "$converter" --progress none "${arguments[@]}" guest.vdi) >"$work/convert.log" 2>&1 ||
    {
      cat "$work/convert.log"
      return 1
    }
  gzip -dc "$work/guest.img.gz" | dd of="$work/disk.raw" bs=64k conv=sparse iflag=fullblock \
    status=none
}

# The bus of disks that the guest can start from, as the record tells it.
bus() {
  sed -n 's/.*"disks_bus": *"\([a-z]*\)".*/\1/p' "$work/guest.img.gz.json"
}

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
  case $variant in
  control)
    power_on virtio 10.0.2.15
    holds "unprepared, its root is not found on virtio" lost_root
    kill "$machine"
    wait "$machine" || :
    machine=
    # Names of cards as in VirtualBox, which has no hotplug slots.
    power_on ide "$ADDRESS" -global PIIX4_PM.acpi-root-pci-hotplug=off
    ;;
  uefi)
    # Firmware that knows of no boot entry, as a cloud has it.
    cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/vars.fd"
    power_on "$(bus)" 10.0.2.15 \
      -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
      -drive "if=pflash,format=raw,file=$work/vars.fd"
    ;;
  *) power_on "$(bus)" 10.0.2.15 ;;
  esac
  look
  [ "$variant" != ide ] || then_on_virtio
  rm -f "$work/disk.raw" "$work/guest.vdi"
}

[ $# -ge 1 ] || {
  sed -n '2,/^$/{/^#/{s/^# \{0,1\}//;/^shellcheck/d;p;};}' "${BASH_SOURCE[0]}" >&2
  exit 2
}
tools
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- systemd
for variant in "$@"; do
  case $variant in
  systemd | sysv | openrc | lvm | uefi | netplan | networkd | ide | control) ;;
  *) die "unknown variant: $variant" ;;
  esac
done
rm -f "$folder/results"
: >"$folder/results"
for key in key owner; do
  [ -f "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$folder/$key"
done
printf '#!/bin/sh\necho %s\n' "$PASSWORD" >"$folder/askpass"
chmod 755 "$folder/askpass"
guest=
trap '[ -z "$guest" ] || kill "$guest" 2>/dev/null || :' EXIT
for variant in "$@"; do
  # In the background, since a command in a condition would go on after an error.
  one "$variant" &
  guest=$!
  status=0
  wait "$guest" || status=$?
  guest=
  [ "$status" -eq 0 ] || told "stopped with status $status" FAILED
done
echo
grep '^FAILED ' "$folder/results" || :
passed=$(grep -c '^ok ' "$folder/results") || :
failed=$(grep -c '^FAILED ' "$folder/results") || :
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

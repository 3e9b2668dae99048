#!/bin/sh
# stratuslab-pdisk-context: mounts a persistent disk, and makes a file system on a new one.
#
#   PDISK_DEVICE       auto (default: the only disk that is not in use), or a name such as vdb
#   PDISK_MOUNTPOINT   where, /mnt/clouddisk
#   PDISK_FORMAT       no (default); yes: a disk with nothing on it gets a file system;
#                      force: any disk gets one, once for each disk, not again at the next start
#   PDISK_FORMAT_TYPE  its type, ext3
#
# Exit codes: 1 there is no such disk, or a variable is wrong; 2 it could not be mounted;
# 3 no file system could be made.

LC_ALL=C
export LC_ALL
root=${ROOT-}
root=${root%/}
PATH=$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
stamps=$root/var/lib/stratuslab/pdisk

fail() {
  code=$1
  shift
  echo "stratuslab-pdisk-context: $*" >&2
  exit "$code"
}

# in_use NAME: is the disk, or a part of it, mounted, swapped to, or held by another device?
in_use() {
  for part in "$root/sys/class/block/$1" "$root/sys/class/block/$1"/*/partition; do
    part=${part%/partition}
    for holder in "$part"/holders/*; do
      if [ -e "$holder" ]; then return 0; fi
    done
    if grep -qs "^/dev/${part##*/} " "$root/proc/self/mounts" "$root/proc/swaps"; then return 0; fi
  done
  return 1
}

# The disks that can be meant: not read-only, no partitions, not in use.
free_disks() {
  for disk in "$root"/sys/block/*; do
    name=${disk##*/}
    case $name in
    loop* | ram* | sr* | fd* | dm-* | md* | zram* | '*') continue ;;
    esac
    if [ "$(cat "$disk/ro" 2>/dev/null)" = 1 ] || [ -n "$(ls -d "$disk"/*/partition 2>/dev/null)" ]; then continue; fi
    in_use "$name" || echo "$name"
  done
}

# Sets name to the disk.
find_disk() {
  name=${PDISK_DEVICE-auto}
  name=${name#/dev/}
  case $name in
  '' | auto)
    name=$(free_disks)
    case $name in
    '') fail 1 "there is no disk that is not in use" ;;
    *[!A-Za-z0-9]*) fail 1 "there is more than one disk that is not in use: PDISK_DEVICE must name it" ;;
    esac
    ;;
  *..* | *[!A-Za-z0-9/_.:-]* | -*) fail 1 "PDISK_DEVICE is no name of a device" ;;
  esac
  device=$root/dev/$name
  [ -b "$device" ] || { [ -n "$root" ] && [ -e "$device" ]; } || fail 1 "there is no /dev/$name"
}

check_variables() {
  point=${PDISK_MOUNTPOINT:-/mnt/clouddisk}
  case $point in
  / | [!/]* | *..* | *[!A-Za-z0-9/._-]*) fail 1 "PDISK_MOUNTPOINT is no path" ;;
  esac
  point=$root$point
  type=${PDISK_FORMAT_TYPE:-ext3}
  case $type in
  ext2 | ext3 | ext4 | xfs | btrfs) ;;
  *) fail 3 "PDISK_FORMAT_TYPE is none of ext2, ext3, ext4, xfs and btrfs" ;;
  esac
}

# is_empty: has the disk nothing on it that anybody knows? blkid says 2 for that; without blkid, or
# when it cannot tell, the answer is no.
is_empty() {
  blkid -p "$device" >/dev/null 2>&1
  [ "$?" = 2 ]
}

# What stays the same of a disk: its serial number, else the UUID of what is on it.
identity() {
  for file in "$root/sys/class/block/${device##*/}/serial" "$root/sys/class/block/${device##*/}/wwid" \
    "$root/sys/class/block/${device##*/}/device/serial"; do
    if [ -r "$file" ]; then
      serial=$(tr -dc 'A-Za-z0-9._-' <"$file")
      if [ -n "$serial" ]; then
        echo "$serial"
        return
      fi
    fi
  done
  blkid -p -s UUID -o value "$device" 2>/dev/null | tr -dc 'A-Za-z0-9._-'
}

make_file_system() {
  command -v "mkfs.$type" >/dev/null || fail 3 "mkfs.$type is not here"
  case $type in
  ext*) option=-F ;;
  *) option=-f ;;
  esac
  "mkfs.$type" $option "$device" </dev/null >/dev/null 2>&1 || fail 3 "mkfs.$type has failed for /dev/$name"
  echo "stratuslab-pdisk-context: /dev/$name has a new file system, $type"
}

# `force` once for each disk: the stamp has the name of the identity that the disk has afterwards, so
# that the data are still there after the next start.
format() {
  case ${PDISK_FORMAT:-no} in
  no) return ;;
  yes) if is_empty; then make_file_system; fi ;;
  force)
    case ${PDISK_DEVICE-auto} in
    '' | auto) fail 3 "PDISK_FORMAT=force empties a disk: PDISK_DEVICE must name it" ;;
    esac
    known=$(identity)
    if [ -n "$known" ] && [ -e "$stamps/disk-$known" ]; then return; fi
    if in_use "$name"; then fail 3 "/dev/$name is in use"; fi
    # Without a stamp the disk would be emptied at each start.
    command -v blkid >/dev/null || fail 3 "blkid is not here"
    if ! mkdir -p "$stamps" || ! (cat /dev/null >"$stamps/test") 2>/dev/null; then
      fail 3 "$stamps cannot be written"
    fi
    make_file_system
    known=$(identity)
    if [ -z "$known" ] || ! (cat /dev/null >"$stamps/disk-$known"); then fail 3 "$stamps cannot be written"; fi
    sync
    ;;
  *) fail 3 "PDISK_FORMAT is none of no, yes and force" ;;
  esac
}

check_variables
find_disk
if grep -qs "^[^ ]* $point " "$root/proc/self/mounts"; then exit 0; fi
format
mkdir -p "$point" || fail 2 "$point cannot be made"
mount -o nosuid,nodev "$device" "$point" || fail 2 "/dev/$name cannot be mounted"

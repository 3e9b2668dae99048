
# The medium -------------------------------------------------------------------------------------

medium_label=
medium_device=
medium_kind=
medium_status=1
mounted=no
bad_devices=' '
mount_dir=$root/mnt/stratuslab

# The labels that clouds use, the most certain first.
medium_labels="CONTEXT _STRATUSLAB _CLOUD_INIT config-2 CONFIG-2 cidata CIDATA CDROM"

# Where a medium without a known label may be, and with a label that nobody can read here.
medium_devices="sr0 sr1 hdd hdc hdb xvdd vdb vdc vdd sdb sdc sdd"

# Seconds after which the search ends, however many tries are left: a drive that is broken may need
# many for each of them, and everything else waits.
search_limit=30

# A second between two tries.
pause() {
  sleep 1
}

# Sets up to the seconds since the machine was started, which setting the clock does not change.
read_uptime() {
  up=0
  if [ -r "$root/proc/uptime" ]; then IFS=. read -r up _rest <"$root/proc/uptime"; fi
}

# find_medium TRIES: finds and mounts it, waiting a second between tries. Sets medium_status: 0 it
# is at $mount_dir, 1 there is none, 2 there is one that cannot be mounted.
find_medium() {
  medium_tries=$1
  read_uptime
  search_end=$((up + search_limit))
  choose_mount_point
  if has modprobe; then modprobe -qa isofs sr_mod vfat >/dev/null 2>&1; fi
  while :; do
    if try_labels || try_devices; then
      medium_status=0
      return 0
    fi
    if [ "$bad_devices" != ' ' ]; then
      medium_status=2
      return 2
    fi
    medium_tries=$((medium_tries - 1))
    read_uptime
    if [ "$medium_tries" -le 0 ] || [ "$up" -ge "$search_end" ]; then return 1; fi
    pause
  done
}

# /mnt/stratuslab, or a folder of this run where that cannot be had.
choose_mount_point() {
  if [ ! -L "$mount_dir" ]; then
    if [ -d "$mount_dir" ]; then return; fi
    if [ ! -e "$mount_dir" ] && (umask 022 && mkdir -p "$mount_dir") 2>/dev/null; then return; fi
  fi
  trouble "$mount_dir is no folder"
  mount_dir=$scratch/medium
  mkdir -p "$mount_dir"
}

# Tries the labels in their order.
try_labels() {
  label_list=
  if has blkid; then label_list=$(blkid 2>/dev/null); fi
  # The variable of a loop is local to the function in yash.
  for label in $medium_labels; do
    medium_label=$label
    medium_device=$(device_with "$medium_label")
    if usable_device "$medium_device" && mount_labelled && check_content; then return 0; fi
  done
  medium_label=
  return 1
}

# device_with LABEL: prints the device that has it. The blkid of busybox can only list; one that has
# listed is not asked again, as it would look at every drive again.
device_with() {
  if [ -e "$root/dev/disk/by-label/$1" ]; then
    # The device itself is what /proc/mounts and other tools know.
    readlink -f "$root/dev/disk/by-label/$1" || echo "$root/dev/disk/by-label/$1"
    return
  fi
  found_device=$(print_text "$label_list" |
    sed -n "/^\\/dev\\/loop/d;s/^\\(\\/dev\\/[^:]*\\):\\(.* \\)\\{0,1\\} *LABEL=\"$1\".*/\\1/p" | sed 1q)
  if [ -z "$found_device$label_list" ] && has blkid; then
    found_device=$(blkid -L "$1" 2>/dev/null)
    # 2 is "no such device"; the others are of a blkid that does not know -L.
    case $? in
    0 | 2) ;;
    *) found_device=$(blkid -t "LABEL=$1" -o device 2>/dev/null | sed 1q) ;;
    esac
  elif [ -z "$found_device$label_list" ] && has findfs; then
    found_device=$(findfs "LABEL=$1" 2>/dev/null)
  fi
  case $found_device in
  /dev/*) echo "$root$found_device" ;;
  esac
}

# usable_device DEVICE: it is there, is no file behind a loop device, and did not fail already.
usable_device() {
  case $1 in
  '' | "$root"/dev/loop*) return 1 ;;
  esac
  case $bad_devices in
  *" $1 "*) return 1 ;;
  esac
  [ -b "$1" ] || { [ -n "$root" ] && [ -e "$1" ]; }
}

# Mounts a device whose label says that it is a medium; a drive may need some seconds.
mount_labelled() {
  mount_tries=6
  while ! mount_device iso9660 vfat ''; do
    mount_tries=$((mount_tries - 1))
    if [ "$mount_tries" -le 0 ]; then
      bad_devices="$bad_devices$medium_device "
      trouble "$medium_device with the label $medium_label cannot be mounted"
      return 1
    fi
    pause
  done
}

# Tries the device of the settings and then the usual ones. Only the file systems of media are
# tried: mounting another one, even read-only, can write to it.
try_devices() {
  case $context_device in
  '' | auto) device_list=$medium_devices ;;
  *) device_list="${context_device#/dev/} $medium_devices" ;;
  esac
  for device_name in $device_list; do
    case $device_name in
    *..* | *[!A-Za-z0-9._/:+-]*) continue ;;
    esac
    medium_device=$root/dev/$device_name
    if usable_device "$medium_device" && mount_device iso9660 vfat && check_content; then return 0; fi
  done
  medium_device=
  return 1
}

# mount_device TYPE...: mounts the device as the first type that fits ('' is any). What others have
# mounted elsewhere, and so that it cannot be mounted again, is shown here, too.
mount_device() {
  for mount_type; do
    if mount ${mount_type:+-t "$mount_type"} -o ro,nosuid,nodev "$medium_device" "$mount_dir" \
      >/dev/null 2>&1; then
      note_mounted
      return 0
    fi
  done
  if [ -r "$root/proc/mounts" ]; then
    while read -r other_device other_place _rest; do
      case $other_place in
      *\\*) continue ;;
      esac
      if [ "$other_device" = "${medium_device#"$root"}" ] &&
        mount --bind "$root$other_place" "$mount_dir" >/dev/null 2>&1; then
        mount -o remount,bind,ro,nosuid,nodev "$mount_dir" >/dev/null 2>&1
        note_mounted
        return 0
      fi
    done <"$root/proc/mounts"
  fi
  return 1
}

# It is mounted, and has to be unmounted: by a later run, if this one should be killed.
note_mounted() {
  mounted=yes
  print_text "$mount_dir" >"$scratch/mounted"
}

# Is this really a medium? If not it is unmounted. A disk with the label CDROM, or with none, may
# be any disk of the user. Sets medium_kind, which says how to read it.
check_content() {
  medium_kind=
  if [ -f "$mount_dir/context.sh" ]; then
    medium_kind=context
  elif [ "$medium_label" != CDROM ]; then
    if [ -d "$mount_dir/openstack" ]; then
      medium_kind=config-drive
    elif [ -f "$mount_dir/meta.js" ]; then
      medium_kind=config-drive-1
    elif [ -f "$mount_dir/meta-data" ]; then
      medium_kind=nocloud
    else
      case $medium_label in
      CONTEXT | _STRATUSLAB) medium_kind=empty ;;
      esac
    fi
  fi
  if [ -n "$medium_kind" ]; then return 0; fi
  unmount_medium
  return 1
}

# Unmounts what we have mounted, once.
unmount_medium() {
  if [ "$mounted" = yes ]; then
    mounted=no
    rm -f "$scratch/mounted"
    umount "$mount_dir" >/dev/null 2>&1 || umount -l "$mount_dir" >/dev/null 2>&1 ||
      trouble "$mount_dir cannot be unmounted"
  fi
}

# Reads the parameters of the medium that is mounted. Sets medium_status to 2 if it cannot.
read_medium() {
  say "medium: ${medium_label:-no label} on $medium_device"
  case $medium_kind in
  context)
    parse_context "$mount_dir/context.sh" "$medium_label" || medium_status=2
    ;;
  empty)
    trouble "the medium has no context.sh"
    medium_status=2
    ;;
  esac
}

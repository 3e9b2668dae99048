
# The system: host keys, name, time zone, size of the root file system -----------------------------

# guest_has COMMAND: is it there, and the guest's own? In a test below $root nothing of the machine
# that runs the test may be called to change something.
guest_has() {
  if [ -z "$root" ]; then
    has "$1"
    return
  fi
  [ -x "$root/usr/sbin/$1" ] || [ -x "$root/usr/bin/$1" ]
}

# relabel PATH...: files that are new get their SELinux labels.
relabel() {
  if has restorecon; then restorecon -F "$@" >/dev/null 2>&1; fi
}

# Makes the keys of the SSH server if there are none: an image has none, so that no two machines
# have the same. Many distributions only make them when the server is installed.
set_host_keys() {
  make_dropbear_keys
  [ -d "$root/etc/ssh" ] && guest_has ssh-keygen || return 0
  # Left by a machine that lost power while it wrote them; ssh-keygen would keep such a file.
  for key_file in "$root"/etc/ssh/ssh_host_*_key; do
    if [ -f "$key_file" ] && [ ! -s "$key_file" ]; then rm -f "$key_file" "$key_file.pub"; fi
  done
  if has_host_key; then return 0; fi
  if ! (umask 022 && ssh-keygen -A ${root:+-f "$root"}) </dev/null >/dev/null 2>&1 || ! has_host_key; then
    # OpenSSH before 5.9 has no -A.
    for key_type in rsa ecdsa ed25519; do
      key_file=$root/etc/ssh/ssh_host_${key_type}_key
      (umask 022 && ssh-keygen -q -t $key_type -N '' -f "$key_file") </dev/null >/dev/null 2>&1
    done
  fi
  sync
  relabel "$root"/etc/ssh/ssh_host_*
  if ! has_host_key; then
    trouble "the SSH server has no host keys, and ssh-keygen made none"
    return 1
  fi
  say "host keys of the SSH server were made"
}

has_host_key() {
  for key_file in "$root"/etc/ssh/ssh_host_*_key; do
    if [ -s "$key_file" ]; then return 0; fi
  done
  return 1
}

# The same for dropbear; with the option -R it makes them itself.
make_dropbear_keys() {
  [ -d "$root/etc/dropbear" ] && guest_has dropbear && guest_has dropbearkey || return 0
  if grep -Eqs '^[^#]*=.*[" -][a-zA-Z]*R' "$root/etc/default/dropbear" "$root/etc/conf.d/dropbear"; then return 0; fi
  for key_file in "$root"/etc/dropbear/dropbear_*_host_key; do
    if [ -s "$key_file" ]; then return 0; fi
    if [ -f "$key_file" ]; then rm -f "$key_file"; fi
  done
  for key_type in rsa ecdsa ed25519; do
    dropbearkey -t $key_type -f "$root/etc/dropbear/dropbear_${key_type}_host_key" </dev/null >/dev/null 2>&1
  done
  say "host keys of dropbear were made"
}

# Host name ----------------------------------------------------------------------------------------

# Gives the machine the name of SET_HOSTNAME, or with DNS_HOSTNAME the one that DNS knows for its
# address once the network is up, or HOSTNAME; in media of OpenNebula that is a word of the template.
set_hostname() {
  value SET_HOSTNAME
  if [ -z "$VALUE" ]; then
    value DNS_HOSTNAME
    if is_yes "$VALUE" && [ "$stage" != early ]; then VALUE=$(name_in_dns); else VALUE=; fi
  fi
  if [ -z "$VALUE" ] && [ "$medium_label" != CONTEXT ]; then value HOSTNAME; fi
  new_name=$VALUE
  if [ -z "$new_name" ]; then return 0; fi
  if ! is_host_name "$new_name"; then
    trouble "the host name is refused: it is no name of RFC 1123"
    return 1
  fi
  # The limit of the kernel; the domain is in /etc/hosts all the same.
  full_name=$new_name
  if [ "${#new_name}" -gt 64 ]; then new_name=${new_name%%.*}; fi
  write_name_files
  write_hosts
  if guest_has hostname && [ "$(hostname)" != "$new_name" ]; then
    hostname "$new_name" && say "the host name is $full_name"
  elif [ -z "$root" ] && [ -w /proc/sys/kernel/hostname ]; then
    echo "$new_name" >/proc/sys/kernel/hostname
  fi
}

# Prints what DNS says of the first address. Without a network, or a name, nothing.
name_in_dns() {
  value ETH0_IP
  if [ -z "$VALUE" ] && has ip; then
    VALUE=$(ip -4 -o addr show scope global 2>/dev/null |
      sed -n 's/.* inet \([0-9.]*\)[/ ].*/\1/p' | sed 1q)
  fi
  is_ipv4 "$VALUE" && has getent || return 0
  if has timeout; then
    timeout 10 getent hosts "$VALUE"
  else
    getent hosts "$VALUE"
  fi </dev/null 2>/dev/null | sed -n '1s/^[^ ]* *\([^ ]*\).*/\1/p'
}

# The files that hold the name: each family has its own, and some have more than one.
write_name_files() {
  name_written=no
  name_key=HOSTNAME
  if grep -qs "^$name_key=" "$root/etc/sysconfig/network"; then
    change_line "$root/etc/sysconfig/network" $name_key "$name_key=$new_name" && name_written=yes
  fi
  if [ -f "$root/etc/HOSTNAME" ] && [ ! -L "$root/etc/HOSTNAME" ]; then
    put_name "$root/etc/HOSTNAME"
  fi
  if [ -f "$root/etc/conf.d/hostname" ]; then
    change_line "$root/etc/conf.d/hostname" hostname "hostname=\"$new_name\"" && name_written=yes
  fi
  if [ -e "$root/etc/hostname" ] || [ $name_written = no ]; then put_name "$root/etc/hostname"; fi
}

put_name() {
  if print_text "$new_name" | write_file "$1" 644; then
    name_written=yes
    relabel "$1"
  else
    trouble "$1 could not be written"
  fi
}

# change_line FILE WORD LINE: the lines that begin with the word become LINE, once; without one it
# is added.
change_line() {
  change_text='' change_done=no
  while IFS= read -r change_line || [ -n "$change_line" ]; do
    case $change_line in
    "$2"[=\ $tab]*)
      if [ $change_done = yes ]; then continue; fi
      change_line=$3
      change_done=yes
      ;;
    esac
    change_text=$change_text$change_line$nl
  done <"$1"
  if [ $change_done = no ]; then change_text=$change_text$3$nl; fi
  print_text "${change_text%"$nl"}" | write_file "$1" 644 || {
    trouble "$1 could not be written"
    return 1
  }
}

# The line 127.0.1.1 of /etc/hosts, with which the name can be resolved without DNS: changed where
# it is, added where no line has the name.
write_hosts() {
  hosts_line="127.0.1.1${tab}$full_name"
  case $full_name in
  *.*) hosts_line="$hosts_line ${full_name%%.*}" ;;
  esac
  [ -f "$root/etc/hosts" ] || return 0
  if ! grep -q '^127\.0\.1\.1[[:blank:]]' "$root/etc/hosts"; then
    hosts_pattern=$(print_text "$full_name" | sed 's/\./\\./g')
    if grep -Eqi "^[^#]*[[:blank:]]$hosts_pattern([[:blank:]]|\$)" "$root/etc/hosts"; then return 0; fi
  fi
  change_line "$root/etc/hosts" "127.0.1.1" "$hosts_line"
}

# Time zone ----------------------------------------------------------------------------------------

# The zone TIMEZONE, Europe/Paris for example: the link /etc/localtime, and the files that name it.
set_timezone() {
  value TIMEZONE
  zone=$VALUE
  if [ -z "$zone" ]; then return 0; fi
  zone_file=/usr/share/zoneinfo/$zone
  case $zone in
  /* | -* | *..* | *[!A-Za-z0-9_+/-]*) zone_file= ;;
  esac
  if [ -z "$zone_file" ] || [ "${#zone}" -gt 64 ] || [ ! -f "$root$zone_file" ]; then
    trouble "TIMEZONE is refused: there is no such file in /usr/share/zoneinfo"
    return 1
  fi
  if [ "$(readlink "$root/etc/localtime")" != "$zone_file" ] && [ "$(readlink "$root/etc/localtime")" != "..$zone_file" ]; then
    rm -f "$root/etc/.localtime.stratus"
    if ! ln -s "$zone_file" "$root/etc/.localtime.stratus" || ! mv -f "$root/etc/.localtime.stratus" "$root/etc/localtime"; then
      trouble "/etc/localtime could not be written"
      return 1
    fi
    relabel "$root/etc/localtime"
    say "the time zone is $zone"
  fi
  if [ -f "$root/etc/timezone" ]; then print_text "$zone" | write_file "$root/etc/timezone" 644; fi
  # Red Hat up to 6 and SUSE copy the zone named here when the machine starts.
  for zone_name in ZONE TIMEZONE; do
    if grep -qs "^$zone_name=" "$root/etc/sysconfig/clock"; then
      change_line "$root/etc/sysconfig/clock" $zone_name "$zone_name=\"$zone\""
    fi
  done
}

# Size ---------------------------------------------------------------------------------------------

# With GROW_ROOTFS the root file system gets the whole disk, which a cloud may have made larger than
# the image is; with GROW_FS those at the mount points it lists, too.
grow_root() {
  grow_failed=0
  value GROW_ROOTFS
  if is_yes "$VALUE"; then grow_mount / || grow_failed=1; fi
  value GROW_FS
  case $VALUE in
  '') return $grow_failed ;;
  *[!A-Za-z0-9/._\ -]* | *..*)
    trouble "GROW_FS is refused: it is no list of mount points"
    return 1
    ;;
  esac
  for grow_point in $VALUE; do
    case $grow_point in
    /*) grow_mount "$grow_point" || grow_failed=1 ;;
    *) trouble "GROW_FS: $grow_point is no mount point" ;;
    esac
  done
  return $grow_failed
}

# grow_mount POINT: the file system mounted there, and what it lies in.
grow_mount() {
  grow_device='' grow_type=''
  while read -r mount_source mount_point mount_type _; do
    if [ "$mount_point" = "$1" ]; then grow_device=$mount_source grow_type=$mount_type; fi
  done <"$root/proc/self/mounts"
  if [ "$grow_device" = /dev/root ]; then grow_device=$(root_device); fi
  case $grow_device in
  /dev/*) ;;
  *) return 0 ;;
  esac
  grow_name=$(readlink -f "$root$grow_device")
  grow_name=${grow_name##*/}
  grow_class=$root/sys/class/block/$grow_name
  if [ -e "$grow_class/partition" ]; then
    grow_partition "$grow_name" || return
  elif [ -e "$grow_class/dm/uuid" ]; then
    grow_volume || return
  fi
  grow_file_system "$1" || {
    trouble "the file system at $1 could not be grown"
    return 1
  }
}

# What stands behind the name /dev/root that old kernels and programs show.
root_device() {
  if has mountpoint && [ -r "$root/sys/dev/block/$(mountpoint -d /)/uevent" ]; then
    sed -n 's/^DEVNAME=/\/dev\//p' "$root/sys/dev/block/$(mountpoint -d /)/uevent"
  fi
}

# grow_partition NAME: to the end of its disk, if it is the last one and there is room (a MiB is
# not worth it: tools leave that at the end). A logical partition of MBR is in another one: it stays.
grow_partition() {
  part_folder=$root/sys/class/block/$1
  disk_folder=$(readlink -f "$part_folder")
  disk_folder=${disk_folder%/*}
  part_start=$(cat "$part_folder/start") part_size=$(cat "$part_folder/size") || return 0
  part_number=$(cat "$part_folder/partition") disk_size=$(cat "$disk_folder/size") || return 0
  if [ "$((part_start + part_size + 4096))" -ge "$disk_size" ]; then return 0; fi
  for other_start in "$disk_folder"/*/start; do
    other_size=$(cat "${other_start%/start}/size")
    if [ "$(cat "$other_start")" -gt "$part_start" ] || { [ "$part_number" -gt 4 ] && [ "$other_size" -le 2 ]; }; then
      say "$1 is not grown: it is not the last partition of its disk"
      return 0
    fi
  done
  disk_device=/dev/${disk_folder##*/}
  if change_table && tell_kernel; then
    say "$1 was grown to the end of $disk_device"
  else
    trouble "$1 could not be grown"
    return 1
  fi
}

# The new size in the partition table. growpart says 1 when nothing is to do.
change_table() {
  if guest_has growpart; then
    growpart "$disk_device" "$part_number" >/dev/null 2>&1 || [ "$?" = 1 ]
  elif guest_has sfdisk; then
    echo ', +' | sfdisk --no-reread -N "$part_number" "$disk_device" >/dev/null 2>&1
  else
    trouble "neither growpart nor sfdisk is here"
    return 1
  fi
}

# The new size in the kernel, while the partition is in use.
tell_kernel() {
  if guest_has partx && partx -u -n "$part_number" "$disk_device" >/dev/null 2>&1; then return 0; fi
  if guest_has partprobe && partprobe "$disk_device" >/dev/null 2>&1; then return 0; fi
  # growpart has done it by itself.
  guest_has growpart
}

# A logical volume of LVM: only where its group is one partition, so that what belongs to whom is
# plain. Encrypted volumes and others of the device mapper stay.
grow_volume() {
  case $(cat "$grow_class/dm/uuid") in
  LVM-*) ;;
  *) return 0 ;;
  esac
  guest_has lvs && guest_has pvresize && guest_has lvextend || return 0
  volume=/dev/mapper/$(cat "$grow_class/dm/name")
  volume_group=$(lvs --noheadings -o vg_name "$volume" 2>/dev/null | tr -d ' ')
  case $volume_group in
  '' | *[!A-Za-z0-9+_.-]* | -*) return 0 ;;
  esac
  physical=$(vgs --noheadings -o pv_name "$volume_group" 2>/dev/null | tr -d ' ')
  case $physical in
  *"$nl"*)
    say "$volume is not grown: its volume group has more than one disk"
    return 0
    ;;
  /dev/*) ;;
  *) return 0 ;;
  esac
  physical=$(readlink -f "$root$physical")
  physical=${physical##*/}
  if [ -e "$root/sys/class/block/$physical/partition" ]; then grow_partition "$physical" || return; fi
  pvresize "/dev/$physical" >/dev/null 2>&1 || return
  volume_free=$(vgs --noheadings -o vg_free_count "$volume_group" 2>/dev/null | tr -d ' ')
  case $volume_free in
  '' | 0 | *[!0-9]*) return 0 ;;
  esac
  lvextend -l +100%FREE "$volume" >/dev/null 2>&1 && say "$volume was grown"
}

# grow_file_system POINT: to the size of its device. Each of the tools does nothing if it is that.
grow_file_system() {
  case $grow_type in
  ext[234]) if guest_has resize2fs; then resize2fs "$grow_device"; fi ;;
  xfs) if guest_has xfs_growfs; then xfs_growfs "$1"; fi ;;
  btrfs) if guest_has btrfs; then btrfs filesystem resize max "$1"; fi ;;
  esac </dev/null >/dev/null 2>&1
}

#!/bin/bash
# Part of boot.sh: what has to be so of a guest that was prepared.
#
# shellcheck disable=SC2034,SC2154,SC2317  # its variables are those of boot.sh

# Checks -----------------------------------------------------------------------------------------

# told WHAT RESULT
told() {
  printf '%-6s  %s: %s\n' "$2" "$variant" "$1" | tee -a "$folder/results"
}

# holds WHAT COMMAND...: also of a guest that was not prepared.
holds() {
  local what=$1
  shift
  if "$@"; then told "$what" ok; else told "$what" FAILED; fi
}

# check WHAT COMMAND...: of the control, the contrary has to hold.
check() {
  local what=$1
  shift
  if [ "$variant" != control ]; then
    holds "$what" "$@"
  elif "$@"; then
    told "sees nothing wrong with: $what" FAILED
  else
    told "notices, not: $what" ok
  fi
}

no() {
  ! "$@"
}

# One fact of the probe.
fact() {
  sed -n "s/^$1: //p" "$work/probe"
}

has() {
  grep -Eq -- "$2" <<<"$(fact "$1")"
}

# Runs in the guest, by whatever shell it has.
# shellcheck disable=SC2016  # expanded there
PROBE='
if [ -d /run/systemd/system ]; then
  timeout 240 systemctl is-system-running --wait >/dev/null
  systemctl --failed --plain --no-legend | sed "s/^/failed: /"
  journalctl -b --no-pager 2>/dev/null | grep -i "check forced" | sed "s/^/fsck: /"
fi
[ ! -x /bin/rc-status ] || rc-status --crashed | grep . | sed "s/^/failed: /"
[ ! -f /run/initramfs/fsck.log ] || sed "s/^/fsck: /" /run/initramfs/fsck.log
grep -h "check forced" /var/log/fsck/* 2>/dev/null | sed "s/^/fsck: /"
sed "s/^/cmdline: /" /proc/cmdline
echo "init: $(cat /proc/1/comm) $(readlink -f /sbin/init)"
echo "root: $(findmnt -no SOURCE /) $(findmnt -no OPTIONS /)"
findmnt -rno TARGET,FSTYPE,SOURCE | sed "s/^/mount: /"
echo "swap: $(tail -n +2 /proc/swaps)"
echo "machine-id: $(cat /etc/machine-id)"
ip -4 -o address show scope global | sed "s/^/address: /"
cat /etc/ssh/ssh_host_*_key.pub | sed "s/^/hostkey: /"
cut -d: -f1,2 /etc/shadow | sed "s/^/shadow: /"
ps -eo args | grep "[V]BoxService" | sed "s/^/vbox: /"
echo "kernel: $(uname -r)"
echo "end: reached"
'

hostkeys_are_new() {
  [ -n "$(fact hostkey)" ] && ! fact hostkey | awk '{ print $2 }' | grep -qFf - "$work/hostkeys"
}

# Without systemd, nothing in these guests makes an id; it stays empty.
machine_id_is_new() {
  local id
  id=$(fact machine-id)
  case $tree in
  sysv | openrc) [ "$id" != "$MACHINE_ID" ] ;;
  *) [[ $id =~ ^[0-9a-f]{32}$ ]] && [ "$id" != "$MACHINE_ID" ] ;;
  esac
}

# The hash of PASSWORD is of the form $y$…; * and ! are none.
passwords_are_locked() {
  has shadow '^root:[*!]' && has shadow '^owner:[*!]' && no has shadow '^[^:]*:([^*!]|$)'
}

# The guest's root directory, on a disk that nobody runs.
on_disk() {
  debugfs -R "$1" "$work/disk.raw?offset=$root_at" 2>/dev/null
}

sound() {
  e2fsck -fn "$work/disk.raw?offset=$root_at" >"$work/e2fsck.log" 2>&1
}

at_rest() {
  echo "looking at the disk"
  holds "the root file system is sound (e2fsck -fn)" sound
  dumpe2fs -h "$work/disk.raw?offset=$root_at" >"$work/dumpe2fs" 2>/dev/null
  check "no check is due by count of mounts" grep -q '^Maximum mount count: *-1$' "$work/dumpe2fs"
  check "no check is due by time" grep -q '^Check interval: *0 ' "$work/dumpe2fs"
  holds "the machine id lasts" [ "$(on_disk 'cat /etc/machine-id')" = "$(fact machine-id)" ]
}

secret_is_gone() {
  ! LC_ALL=C grep -aqF "$SECRET" "$work/disk.raw"
}

inside() {
  local disk=vda
  [ "$variant" != uefi ] || disk='vda2 '
  [ "$variant" != lvm ] || disk=mapper/debian--vg-root
  [ "$variant" != ide ] || disk=sda1
  check "root is on /dev/$disk" has root "^/dev/$disk"
  case $variant in
  lvm) holds "the kernel was told of its root by name or UUID" has cmdline 'root=(UUID=|/dev/mapper/)' ;;
  *) check "the kernel was told root=UUID=" has cmdline 'root=UUID=' ;;
  esac
  holds "root is writable" has root ' rw,'
  holds "swap is there" has swap '.'
  case $variant in
  sysv) holds "init is sysvinit" has init '^init /usr/sbin/init$' ;;
  openrc) holds "OpenRC runs" remote test -d /run/openrc ;;
  lvm) holds "/boot is mounted" has mount '^/boot ext[24] /dev/vda1$' ;;
  uefi)
    holds "the firmware is UEFI" remote test -d /sys/firmware/efi
    holds "the ESP is mounted" has mount '^/boot/efi vfat /dev/vda1$'
    ;;
  ide) holds "a new initramfs is made" remote 'update-initramfs -u >/dev/null 2>&1' ;;
  *) holds "init is systemd" has init '^systemd ' ;;
  esac
  check "the address came by DHCP" has address ' 10\.0\.2\.15/24 .*dynamic'
  # sysvinit keeps no account of its services.
  [ "$variant" = sysv ] || check "no service failed" no has failed .
  check "VirtualBox's service does not run" no has vbox .
  check "no file system check was forced" no has fsck 'check forced'
  check "the machine id is new" machine_id_is_new
  check "the host keys are new" hostkeys_are_new
  check "no password opens an account" passwords_are_locked
}

prompt() {
  local tries
  for ((tries = 0; tries < 45; tries++)); do
    ! grep -aq ' login: *$' "$work/serial" || return 0
    [ "$variant" != control ] || [ "$tries" -lt 5 ] || return 1
    sleep 2
  done
  return 1
}

outside() {
  local user
  for user in root owner; do
    check "$user is offered publickey only" [ "$(methods $user)" = publickey ]
    check "the password does not let $user in" no with_password "$user" true 2>/dev/null
    check "the former owner's key does not let $user in" \
      no with_key "$folder/owner" "$user" true 2>/dev/null
  done
  check "the new key lets root in" with_key "$folder/key" root true 2>/dev/null
  check "a login prompt on the serial line" prompt
}

look() {
  if ! wait_for_ssh; then
    told "starts and answers on SSH" FAILED
    tail -n 30 "$work/serial"
    return 1
  fi
  told "starts and answers on SSH" ok
  outside
  remote sh -s <<<"$PROBE" >"$work/probe" 2>"$work/probe.err" || cat "$work/probe.err"
  holds "the probe ran to its end" has end reached
  inside
  holds "switches itself off" power_off
  at_rest
}

# The guest chose IDE for want of drivers, and has made an initramfs since.
then_on_virtio() {
  power_on virtio 10.0.2.15
  holds "starts on virtio after an update of its initramfs" wait_for_ssh
  holds "root is on /dev/vda1 then" [ "$(remote findmnt -no SOURCE /)" = /dev/vda1 ]
  holds "switches itself off again" power_off
}

# The control on virtio: the initramfs waits for /dev/sda1, which will not come.
lost_root() {
  local began=$SECONDS
  while running && [ $((SECONDS - began)) -lt "$BOOT" ]; do
    if screen | tee "$work/screen.txt" | grep -q 'ALERT!.*/dev/sda1.*does not exist'; then
      return 0
    fi
    sleep 5
  done
  cat "$work/screen.txt"
  return 1
}

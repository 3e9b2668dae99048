#!/bin/bash
# Part of boot.sh: what has to be so of a guest that was prepared.
#
# shellcheck disable=SC2034,SC2154,SC2317  # its variables are those of boot.sh

# Checks -----------------------------------------------------------------------------------------

# told WHAT RESULT
told() {
  printf '%-6s  %s: %s\n' "$2" "$variant${medium:+:$medium}" "$1" | tee -a "$folder/results"
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

# One fact of the last probe.
fact() {
  sed -n "s/^$1: //p" "$here/probe"
}

has() {
  grep -Eq -- "$2" <<<"$(fact "$1")"
}

# Runs in the guest, by whatever shell it has, when its init system and the late stage are done.
# shellcheck disable=SC2016  # expanded there
PROBE='
context=stratuslab-one-context
log=/var/log/$context.log
boot=$(cat /proc/sys/kernel/random/boot_id)
if [ -d /run/systemd/system ]; then
  timeout 240 systemctl is-system-running --wait >/dev/null
  systemctl --failed --plain --no-legend | sed "s/^/failed: /"
  journalctl -b --no-pager 2>/dev/null >/run/journal
  grep -i "check forced" /run/journal | sed "s/^/fsck: /"
  grep -i "ordering cycle" /run/journal | sed "s/^/cycle: /"
  grep -F "$secret" /run/journal | sed "s/^/leak: the journal, /"
  rm /run/journal
  echo "late: $(systemctl show -p ExecMainStatus --value $context.service)"
elif [ -x /usr/bin/$context ]; then
  tries=0
  while [ "$tries" -lt 60 ]; do
    grep -qs "$boot" /var/lib/stratus-boot-action &&
      ! pgrep -f "[s]tratuslab-one-context" >/dev/null && break
    tries=$((tries + 1))
    sleep 2
  done
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
ip -4 route show default | sed "s/^/route: /"
sed "s/^/resolver: /" /etc/resolv.conf
sed "s/^/hosts: /" /etc/hosts
echo "hostname: $(uname -n)"
cat /etc/ssh/ssh_host_*_key.pub | sed "s/^/hostkey: /"
cut -d: -f1,2 /etc/shadow | sed "s/^/shadow: /"
sed "s/^/key: /" /root/.ssh/authorized_keys
stat -c "ssh: %a %U %n" /root/.ssh /root/.ssh/authorized_keys
ps -eo args | grep "[V]BoxService" | sed "s/^/vbox: /"
echo "boot: $boot"
sed "s/^/action-/" /var/lib/stratus-boot-action
sed "s/^/script: /" /var/lib/stratus-boot-script
stat -c "log-file: %a %U" $log
sed "s/^/log: /" $log
[ ! -x /usr/bin/$context ] || {
  $context status >/run/status 2>&1
  echo "status-code: $?"
  sed "s/^/status: /" /run/status
  rm /run/status
}
[ ! -d /mnt/stratuslab ] || echo "mount-point: <$(ls -A /mnt/stratuslab)>"
ls -A /run/stratuslab | sed "s/^/run: /"
find /tmp /var/tmp -mindepth 1 |
  grep -Ev "^[^.]*/(systemd-private-[^/]*(/tmp)?|\.(X11|ICE|font|XIM|Test)-unix)$" | sed "s/^/left: /"
grep -rlsF --exclude-dir=cloud-init "$secret" /var/log /var/lib/stratuslab /run /etc /tmp /var/tmp |
  sed "s/^/leak: /"
echo "kernel: $(uname -r)"
echo "end: reached"
'

# probe: $here/probe, and what the machine said while it started.
probe() {
  remote sh -s <<<"secret=$MEDIUM_SECRET$PROBE" >"$here/probe" 2>"$here/probe.err" ||
    cat "$here/probe.err"
  holds "the probe ran to its end" has end reached
}

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

# root's field of /etc/shadow.
root_field() {
  fact shadow | sed -n 's/^root://p'
}

# It is a hash that the source, the image and no boot before had.
password_is_new() {
  local field
  field=$(root_field)
  [[ $field == \$?*\$?* ]] && ! grep -qF ":$field:" "$work/shadow" || return
  echo "root:$field:" >>"$work/shadow"
}

# * and ! are no hashes.
others_are_locked() {
  has shadow '^owner:[*!]' && ! fact shadow | grep -v '^root:' | grep -Eq '^[^:]*:([^*!]|$)'
}

# The guest's root directory, on a disk that nobody runs.
on_disk() {
  debugfs -R "$1" "$here/disk.raw?offset=$root_at" 2>/dev/null
}

sound() {
  e2fsck -fn "$here/disk.raw?offset=$root_at" >"$here/e2fsck.log" 2>&1
}

at_rest() {
  echo "looking at the disk"
  holds "the root file system is sound (e2fsck -fn)" sound
  dumpe2fs -h "$here/disk.raw?offset=$root_at" >"$here/dumpe2fs" 2>/dev/null
  check "no check is due by count of mounts" grep -q '^Maximum mount count: *-1$' "$here/dumpe2fs"
  check "no check is due by time" grep -q '^Check interval: *0 ' "$here/dumpe2fs"
  holds "the password lasts" \
    [ "$(on_disk 'cat /etc/shadow' | sed -n 's/^root:\([^:]*\):.*/\1/p')" = "$(root_field)" ]
  holds "the machine id lasts" [ "$(on_disk 'cat /etc/machine-id')" = "$(fact machine-id)" ]
}

secret_is_gone() {
  ! LC_ALL=C grep -aqF "$SECRET" "$work/image.raw"
}

# The same image again, as somebody who upgrades it does: there is nothing left to do.
prepared_twice() {
  (
    cd "$work" && qemu-img convert -f raw -O vdi image.raw again.vdi &&
      "$converter" --progress none "${arguments[@]}" --checksum none again.vdi
  ) >"$work/again.log" 2>&1 && grep -q '"edits": \[\],\{0,1\}$' "$work/again.img.gz.json"
}

inside() {
  local disk=vda
  [ "$variant" != uefi ] || disk='vda2 '
  [ "$variant" != lvm ] || disk=mapper/debian--vg-root
  [ "$variant" != ide ] || disk=sda1
  check "root is on /dev/$disk" has root "^/dev/$disk"
  case $variant in
  lvm) holds "the kernel was told its root" has cmdline 'root=(UUID=|/dev/mapper/)' ;;
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
  # sysvinit keeps no account of its services.
  [ "$variant" = sysv ] || check "no service failed but where an action did" services
  holds "systemd found no cycle" no has cycle .
  check "VirtualBox's service does not run" no has vbox .
  check "no file system check was forced" no has fsck 'check forced'
  check "the machine id is new" machine_id_is_new
  check "the host keys are new" hostkeys_are_new
  check "root's password is a new hash" password_is_new
  check "no other account has a password" others_are_locked
  context
}

# The action that fails makes the late stage end with 3, and nothing else fails.
services() {
  if [ "$medium" = stratuslab ] && [ "$tree" != openrc ]; then
    [[ $(fact failed) == stratuslab-one-context.service\ * && $(fact late) == 3 ]] &&
      [ "$(fact failed | wc -l)" -eq 1 ]
  else
    no has failed .
  fi
}

keys_once() {
  diff <(fact key | grep -v '^ *\(#\|$\)' | sort) <(sort "${keys[@]/%/.pub}") >"$here/keys.diff"
}

# The only address of its card, and the way out.
fixed_address() {
  has address " ${1//./\\.}/24 " && no has address dynamic &&
    [ "$(fact address | wc -l)" -eq 1 ] && has route ' via 10\.0\.2\.2 '
}

# QEMU tells no way out, since there is none.
leased_address() {
  has address " ${1//./\\.}/24 .*dynamic" && [ "$(fact address | wc -l)" -eq 1 ]
}

# What the medium said has arrived, and nothing of it stayed behind.
context() {
  local foo=bar label='' code=0
  case $medium in
  opennebula)
    foo=$FOO label=CONTEXT
    check "the host name is the medium's" has hostname "^$NAME(\..*)?\$"
    check "the address is the medium's" fixed_address "$MEDIUM_ADDRESS"
    check "the host name is known to itself" has hosts "[[:space:]]$NAME([[:space:].]|\$)"
    check "the name server is the medium's" has resolver "^nameserver ${NAME_SERVER//./\\.}\$"
    check "START_SCRIPT ran to the letter" [ "$(fact script)" = "$SCRIPT_TEXT"$'\n'"$FOO" ]
    ;;
  stratuslab)
    foo=$FOO label=_STRATUSLAB
    holds "SCRIPT_EXEC ran" [ "$(fact script)" = "$FOO" ]
    holds "the action that fails did, and is told of" has log 'action-fails.*\b7\b'
    ;;
  cloudinit) label=_CLOUD_INIT ;;
  none) code=1 ;;
  esac
  [ "$medium" = opennebula ] || holds "the address came by DHCP" leased_address "$DHCP_ADDRESS"
  [ "$medium" != stratuslab ] || code=3
  check "the action ran in this boot" [ "$(fact action-boot)" = "$(fact boot)" ]
  check "FOO reached the action to the letter" [ "$(fact action-foo)" = "$foo" ]
  check "the image's own default reached the action" [ "$(fact action-baked)" = image ]
  holds "no name of the medium made its way into the linker" no has action-name '^LD_PRELOAD$'
  check "what the action said is in the log" has log 'the action of the boot test has run'
  check "the log is root's alone" has log-file '^600 root$'
  check "the console tells of it" grep -aq 'stratuslab-one-context: ' "$here/serial"
  [ -z "$label" ] || check "the status names the medium" has status "$label"
  check "the status ends with $code" has status-code "^$code\$"
  check "each key is there once, and no other" keys_once
  check "the keys are root's alone" \
    [ "$(fact ssh)" = $'700 root /root/.ssh\n600 root /root/.ssh/authorized_keys' ]
  check "the mount point is there and empty" has mount-point '^<>$'
  holds "the medium is not mounted" no has mount '^/mnt/stratuslab '
  holds "nothing is left in /tmp" no has left .
  holds "no log tells a secret" no has leak .
  holds "the console tells no secret" no grep -aqF "$MEDIUM_SECRET" "$here/serial"
}

prompt() {
  local tries
  for ((tries = 0; tries < 45; tries++)); do
    ! grep -aq ' login: ' "$here/serial" || return 0
    [ "$variant" != control ] || [ "$tries" -lt 5 ] || return 1
    sleep 2
  done
  return 1
}

outside() {
  local user key
  for user in root owner; do
    check "$user is offered publickey only" [ "$(methods $user)" = publickey ]
    check "the password does not let $user in" no with_password "$user" true 2>/dev/null
    check "the former owner's key does not let $user in" \
      no with_key "$folder/owner" "$user" true 2>/dev/null
  done
  for key in "${keys[@]}"; do
    check "the key $(basename "$key") lets root in" with_key "$key" root true 2>/dev/null
  done
  check "a login prompt on the serial line" prompt
}

# started WHAT: it answers.
started() {
  if wait_for_ssh "$expected"; then
    told "$1" ok
    return
  fi
  told "$1" FAILED
  tail -n 40 "$here/serial"
  kill "$machine" || :
  wait "$machine" || :
  machine=
  echo "the contextualizer's log:"
  on_disk 'cat /var/log/stratuslab-one-context.log'
  return 1
}

look() {
  local key keys=("$folder/key")
  [ "$medium" = none ] || keys+=("$folder/medium")
  started "starts and answers on SSH"
  outside
  probe
  inside
  told_of_failure
  holds "switches itself off" power_off
  at_rest
}

# Where something failed, what the contextualizer said.
told_of_failure() {
  ! grep -q "^FAILED  $variant:$medium:" "$folder/results" || {
    echo "the contextualizer's log:"
    fact log
    fact failed
    fact status
  }
}

# Once more, with the same disk and medium: the password is another, everything else as before.
once_more() {
  local keys=("$folder/key" "$folder/medium")
  power_on "$(bus)"
  started "starts again"
  probe
  check "root's password is another one" password_is_new
  check "the action ran again" [ "$(fact action-boot)" = "$(fact boot)" ]
  check "each key is still there once" keys_once
  check "no service failed then" services
  check "no file system check was forced then" no has fsck 'check forced'
  holds "nothing is left in /tmp then" no has left .
  holds "switches itself off again" power_off
  at_rest
}

# The guest chose IDE for want of drivers, and has made an initramfs since.
then_on_virtio() {
  power_on virtio
  started "starts on virtio after an update of its initramfs"
  holds "root is on /dev/vda1 then" [ "$(remote findmnt -no SOURCE /)" = /dev/vda1 ]
  holds "switches itself off again" power_off
}

# The control on virtio: the initramfs waits for /dev/sda1, which will not come.
lost_root() {
  local began=$SECONDS
  while running && [ $((SECONDS - began)) -lt "$BOOT" ]; do
    if screen | tee "$here/screen.txt" | grep -q 'ALERT!.*/dev/sda1.*does not exist'; then
      return 0
    fi
    sleep 5
  done
  cat "$here/screen.txt"
  return 1
}

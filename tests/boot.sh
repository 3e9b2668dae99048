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

# Trees of packages ------------------------------------------------------------------------------

# The mirror of the first Debian suite that apt knows.
mirror() {
  # shellcheck disable=SC2016  # $(SITE) is for apt to fill in
  apt-get indextargets --format '$(SITE)' 'Origin: Debian' 2>/dev/null | sed -n 1p | grep . ||
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
      /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
      2>/dev/null | sed -n 1p | grep .
}

# within TREE COMMAND...: what it mounts and starts ends with it.
within() {
  local root=$1
  shift
  unshare --mount --pid --fork --mount-proc="$root/proc" chroot "$root" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# tree NAME [PACKAGE...]: Debian with these packages, in $folder/trees/NAME.
tree() {
  local name=$1 place=$folder/trees/$1
  shift
  [ ! -d "$place" ] || return 0
  echo "building the tree $name"
  rm -rf "$place.new"
  mkdir -p "$folder/trees"
  if [ "$name" = base ]; then
    debootstrap --variant=minbase --include="$(tr ' ' , <<<"$*")" bookworm "$place.new" \
      "$(mirror)" >"$folder/trees/base.log" 2>&1
  else
    cp -a "$folder/trees/base" "$place.new"
    printf '#!/bin/sh\nexit 101\n' >"$place.new/usr/sbin/policy-rc.d"
    chmod 755 "$place.new/usr/sbin/policy-rc.d"
    within "$place.new" apt-get -y -q --no-install-recommends install "$@" \
      >"$folder/trees/$name.log" 2>&1 </dev/null
    rm "$place.new/usr/sbin/policy-rc.d"
  fi
  within "$place.new" apt-get clean
  mv "$place.new" "$place"
}

# The name of the tree that a variant is made of.
tree_for() {
  tree base systemd-sysv udev openssh-server linux-image-cloud-amd64 initramfs-tools ifupdown \
    isc-dhcp-client iproute2 e2fsprogs passwd kmod procps netbase util-linux sudo >&2
  case $1 in
  sysv) tree sysv sysvinit-core >&2 ;;
  openrc) tree openrc sysvinit-core openrc >&2 ;;
  lvm) tree lvm lvm2 >&2 ;;
  netplan) tree netplan netplan.io >&2 ;;
  *) set -- base ;;
  esac
  echo "$1"
}

# A guest on a disk ------------------------------------------------------------------------------

# What a variant holds while it is built and booted, undone by its end.
loops=() mounts=() machine='' disk_device='' root_at=0

undo() {
  local i
  [ -z "$machine" ] || kill "$machine" 2>/dev/null || :
  for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do umount "${mounts[i]}" || :; done
  for ((i = ${#loops[@]} - 1; i >= 0; i--)); do losetup -d "${loops[i]}" || :; done
  mounts=() loops=() machine=''
}

# loop NAME OPTIONS...: a loop device in the variable NAME.
loop() {
  local -n new_loop=$1
  shift
  new_loop=$(losetup --find --show "$@")
  loops+=("$new_loop")
}

# disk_loop FILE: $disk_device, with its partitions, which not every kernel looks for by itself.
disk_loop() {
  loop disk_device -P "$1"
  partx -u "$disk_device"
}

mounted() {
  mkdir -p "$2"
  mount "$1" "$2"
  mounts+=("$2")
}

# lvm_on DEVICE: a group with a root and swap, by LVM2's own tools without device-mapper, which
# therefore cannot show the volumes: they are the loop devices $root_device and $swap_device.
lvm_on() {
  local options=(-qq --devices "$1" --driverloaded n) start lv ranges first last
  {
    pvcreate "${options[@]}" "$1"
    vgcreate "${options[@]}" debian-vg "$1"
    lvcreate "${options[@]}" -an -Zn -Wn -n swap -L 64m debian-vg
    lvcreate "${options[@]}" -an -Zn -Wn -n root -L 1400m debian-vg
  } >"$work/lvm.log" 2>&1
  start=$(pvs "${options[@]}" --noheadings -o pe_start --units b --nosuffix "$1" 2>/dev/null)
  while read -r lv ranges; do
    first=${ranges#*:}
    last=$((${first#*-} + 1)) first=${first%-*}
    loop "${lv}_device" -o $((start + first * 4194304)) \
      --sizelimit $(((last - first) * 4194304)) "$1"
    [ "$lv" != root ] || root_at=$((root_at + start + first * 4194304))
  done < <(lvs "${options[@]}" --segments --noheadings -o lv_name,seg_pe_ranges debian-vg \
    2>/dev/null)
}

# Partitions and file systems, mounted at $root; $root_name and $swap_name are the guest's names.
lay_out() {
  local disk=$work/source.raw kind=ext4 boot_device='' root_device swap_device
  truncate -s 1800M "$disk"
  case $variant in
  lvm)
    printf '%s\n' 'label: dos' '2048,200M,83,*' ',,05' 'start=413696, type=8e' | sfdisk -q "$disk"
    disk_loop "$disk"
    root_at=$((413696 * 512))
    lvm_on "${disk_device}p5"
    boot_device=${disk_device}p1 root_name=/dev/mapper/debian--vg-root
    swap_name=/dev/mapper/debian--vg-swap
    ;;
  uefi)
    printf '%s\n' 'label: gpt' '2048,64M,U' ',1500M,L' ',100M,S' | sfdisk -q "$disk"
    disk_loop "$disk"
    root_at=$((131072 * 512 + 2048 * 512))
    root_device=${disk_device}p2 swap_device=${disk_device}p3 root_name=/dev/sda2 swap_name=/dev/sda3
    ;;
  *)
    printf '%s\n' 'label: dos' '2048,1500M,83,*' ',100M,82' | sfdisk -q "$disk"
    disk_loop "$disk"
    root_at=$((2048 * 512))
    root_device=${disk_device}p1 swap_device=${disk_device}p2 root_name=/dev/sda1 swap_name=/dev/sda2
    ;;
  esac
  [ "$variant" != sysv ] || kind=ext3
  mkswap -q "$swap_device"
  mke2fs -q -t "$kind" "$root_device"
  # The 31st start since the last check, which was long ago.
  tune2fs -c 30 -C 30 -i 30d -T 20250101 "$root_device" >/dev/null
  mounted "$root_device" "$root"
  cp -a "$folder/trees/$tree/." "$root"
  if [ -n "$boot_device" ]; then
    mke2fs -q -t ext2 "$boot_device"
    mv "$root/boot" "$root/boot.here"
    mounted "$boot_device" "$root/boot"
    cp -a "$root/boot.here/." "$root/boot"
    rm -rf "$root/boot.here"
  fi
  [ "$variant" != uefi ] || mkdir "$root/boot/efi"
}

# Debian's way: EFI/debian has the program, and a file that leads it to /boot/grub. The ESP is not
# mounted, for not every kernel has vfat.
efi_loader() {
  local esp=${disk_device}p1
  printf '%s\n' "search.fs_uuid $(blkid -p -s UUID -o value "${disk_device}p2") root" \
    "set prefix=(\$root)'/boot/grub'" "configfile \$prefix/grub.cfg" >"$work/grub.cfg"
  grub-mkimage -O x86_64-efi -p /EFI/debian -o "$work/grubx64.efi" part_gpt fat ext2 normal \
    search search_fs_uuid configfile linux echo gzio
  mkfs.vfat -n ESP "$esp" >/dev/null
  mmd -i "$esp" ::EFI ::EFI/debian
  mcopy -i "$esp" "$work/grubx64.efi" "$work/grub.cfg" ::EFI/debian
  mkdir -p "$root/boot/grub"
}

boot_loader() {
  local version path=/boot
  version=$(basename "$root"/boot/vmlinuz-*)
  version=${version#vmlinuz-}
  [ "$variant" != lvm ] || path=
  if [ "$variant" = ide ]; then
    # As an installer makes it that takes only what the machine has.
    echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/drivers"
    printf '%s\n' ata_piix sd_mod ext4 >>"$root/etc/initramfs-tools/modules"
  fi
  within "$root" update-initramfs -u -k "$version" >"$work/initramfs.log" 2>&1
  if [ "$variant" = uefi ]; then
    efi_loader
  else
    grub-install --target=i386-pc --boot-directory="$root/boot" --no-floppy "$disk_device" \
      >"$work/grub.log" 2>&1
  fi
  printf '%s\n' 'GRUB_DEFAULT=0' 'GRUB_TIMEOUT=1' 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"' \
    'GRUB_CMDLINE_LINUX=""' >"$root/etc/default/grub"
  # As grub-mkconfig writes it where GRUB_DISABLE_LINUX_UUID is set. GRUB's own root is where its
  # core image found this file.
  cat >"$root/boot/grub/grub.cfg" <<END
set default="0"
set timeout=1
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os {
	insmod gzio
	insmod ext2
	echo	'Loading Linux $version ...'
	linux	$path/vmlinuz-$version root=$root_name ro  quiet
	echo	'Loading initial ramdisk ...'
	initrd	$path/initrd.img-$version
}
END
}

network() {
  case $variant in
  netplan)
    rm -f "$root/etc/network/interfaces"
    printf '%s\n' 'network:' '  version: 2' '  renderer: networkd' '  ethernets:' "    $CARD:" \
      "      addresses: [$ADDRESS/24]" '      routes:' '        - to: default' \
      '          via: 10.0.2.2' >"$root/etc/netplan/01-netcfg.yaml"
    chmod 600 "$root/etc/netplan/01-netcfg.yaml"
    within "$root" systemctl -q enable systemd-networkd
    ;;
  networkd)
    rm -f "$root/etc/network/interfaces"
    printf '%s\n' '[Match]' "Name=$CARD" '' '[Network]' "Address=$ADDRESS/24" 'Gateway=10.0.2.2' \
      >"$root/etc/systemd/network/10-lan.network"
    within "$root" systemctl -q enable systemd-networkd
    ;;
  *)
    printf '%s\n' 'auto lo' 'iface lo inet loopback' '' "auto $CARD" "iface $CARD inet static" \
      "    address $ADDRESS/24" '    gateway 10.0.2.2' >"$root/etc/network/interfaces"
    ;;
  esac
}

# VirtualBox's Guest Additions, as far as an init system sees them: one service stays, one fails
# where there is no device.
additions() {
  local units=$root/etc/systemd/system script=$root/etc/init.d/vboxadd-service
  mkdir -p "$root/media/sf_shared"
  # With VirtualBox's module gone this line alone would stop the control.
  [ "$variant" = control ] ||
    echo 'shared /media/sf_shared vboxsf defaults 0 0' >>"$root/etc/fstab"
  case $tree in
  sysv | openrc)
    cat >"$script" <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides: vboxadd-service
# Required-Start: $local_fs
# Required-Stop: $local_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: VirtualBox Guest Additions
### END INIT INFO
[ "$1" != start ] || start-stop-daemon --start --background --exec /usr/local/sbin/VBoxService
END
    chmod 755 "$script"
    within "$root" update-rc.d vboxadd-service defaults >"$work/rc.log" 2>&1
    ;;
  *)
    printf '%s\n' '[Unit]' 'Description=VirtualBox kernel modules' '[Service]' 'Type=oneshot' \
      'ExecStart=/usr/bin/test -e /dev/vboxguest' '[Install]' 'WantedBy=multi-user.target' \
      >"$units/vboxadd.service"
    printf '%s\n' '[Unit]' 'Description=VirtualBox service' '[Service]' \
      'ExecStart=/usr/local/sbin/VBoxService' '[Install]' 'WantedBy=multi-user.target' \
      >"$units/vboxadd-service.service"
    within "$root" systemctl -q enable vboxadd vboxadd-service
    ;;
  esac
  printf '#!/bin/sh\nwhile :; do sleep 3600; done\n' >"$root/usr/local/sbin/VBoxService"
  chmod 755 "$root/usr/local/sbin/VBoxService"
}

# What the owner left in the machine.
owner() {
  local home
  echo debian-vbox >"$root/etc/hostname"
  echo "$MACHINE_ID" >"$root/etc/machine-id"
  within "$root" useradd -m -s /bin/bash -G sudo owner
  printf 'root:%s\nowner:%s\n' "$PASSWORD" "$PASSWORD" | within "$root" chpasswd
  sed -i '/PermitRootLogin/d' "$root/etc/ssh/sshd_config"
  printf 'PasswordAuthentication yes\nPermitRootLogin yes\n' >>"$root/etc/ssh/sshd_config"
  echo 'PasswordAuthentication yes' >"$root/etc/ssh/sshd_config.d/50-cloud-init.conf"
  within "$root" ssh-keygen -A >/dev/null
  cat "$root"/etc/ssh/ssh_host_*_key.pub >"$work/hostkeys"
  for home in root home/owner; do
    mkdir -p "$root/$home/.ssh"
    chmod 700 "$root/$home/.ssh"
    cp "$folder/owner.pub" "$root/$home/.ssh/authorized_keys"
    printf 'mysql -p%s\n' "$SECRET" >"$root/$home/.bash_history"
  done
  echo "$SECRET" >"$root/tmp/notes"
  within "$root" chown -R owner:owner /home/owner
}

build() {
  echo "building the guest $variant"
  root=$work/root
  tree=$(tree_for "$variant")
  lay_out
  {
    echo "$root_name / ext4 errors=remount-ro 0 1"
    echo "$swap_name none swap sw 0 0"
    case $variant in
    lvm) echo '/dev/sda1 /boot ext2 defaults 0 2' ;;
    uefi) echo '/dev/sda1 /boot/efi vfat umask=0077 0 1' ;;
    esac
  } >"$root/etc/fstab"
  [ "$variant" != sysv ] || sed -i 's/ ext4 / ext3 /' "$root/etc/fstab"
  owner
  network
  additions
  boot_loader
  undo
  qemu-img convert -f raw -O vdi "$work/source.raw" "$work/guest.vdi"
}

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

# A machine --------------------------------------------------------------------------------------

# power_on BUS ADDRESS [OPTIONS...]: SSH at the guest's address is at 127.0.0.1:$port.
power_on() {
  local bus=$1 address=$2 tries
  shift 2
  rm -f "$work"/{monitor,monitor.log,serial}
  mkfifo "$work/monitor"
  : >"$work/monitor.log"
  exec {monitor}<>"$work/monitor"
  timeout -k 10 $((BOOT + HALT + 600)) qemu-system-x86_64 -machine pc,accel=tcg -m 768 -smp 2 \
    -display none -vga std -no-reboot -serial "file:$work/serial" -monitor stdio \
    -drive "file=$work/disk.raw,format=raw,if=$bus,cache=unsafe" \
    -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:0-$address:22" "$@" \
    <"$work/monitor" >"$work/monitor.log" 2>&1 &
  machine=$!
  echo 'info usernet' >&"$monitor"
  port=
  for ((tries = 0; tries < 100; tries++)); do
    port=$(awk '/HOST_FORWARD/ { print $4; exit }' "$work/monitor.log")
    [ -z "$port" ] || return 0
    sleep 0.2
  done
  cat "$work/monitor.log"
  return 1
}

# What stands on the screen, which is in text mode: all the memory it scrolls through.
screen() {
  rm -f "$work/screen"
  echo "pmemsave 0xb8000 32768 \"$work/screen\"" >&"$monitor"
  sleep 1
  od -An -v -tu1 -w2 "$work/screen" | awk '
    { printf "%c", ($1 < 32 || $1 > 126) ? 32 : $1 }
    NR % 80 == 0 { print "" }' | sed 's/ *$//' | grep . || :
}

running() {
  kill -0 "$machine" 2>/dev/null
}

# wait_for_ssh: the server's first line has come.
wait_for_ssh() {
  local began=$SECONDS line
  while running && [ $((SECONDS - began)) -lt $BOOT ]; do
    line=$(timeout 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && head -c 8 <&3" 2>/dev/null |
      tr -d '\0') || :
    if [[ $line == SSH-2.0* ]]; then
      echo "SSH answers after $((SECONDS - began)) s"
      return 0
    fi
    sleep 2
  done
  echo "no SSH after $((SECONDS - began)) s; the screen:"
  screen
  return 1
}

power_off() {
  local began=$SECONDS
  remote poweroff >"$work/poweroff.log" 2>&1 || :
  while running && [ $((SECONDS - began)) -lt $HALT ]; do sleep 1; done
  if running; then
    kill "$machine"
    wait "$machine" || :
    machine=
    return 1
  fi
  wait "$machine" || :
  machine=
}

SSH=(
  ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60
  -o IdentitiesOnly=yes -o IdentityAgent=none -o LogLevel=ERROR
)

with_key() {
  local key=$1 user=$2
  shift 2
  "${SSH[@]}" -o BatchMode=yes -i "$key" -p "$port" "$user@127.0.0.1" "$@"
}

with_password() {
  local user=$1
  shift
  SSH_ASKPASS=$folder/askpass SSH_ASKPASS_REQUIRE=force "${SSH[@]}" -o PubkeyAuthentication=no \
    -o NumberOfPasswordPrompts=1 -p "$port" "$user@127.0.0.1" "$@"
}

# As root, by the way that is open.
remote() {
  if [ "$variant" = control ]; then with_password root "$@"; else with_key "$folder/key" root "$@"; fi
}

# What the server offers to somebody without any key.
methods() {
  "${SSH[@]}" -v -o LogLevel=VERBOSE -o PreferredAuthentications=none -p "$port" "$1@127.0.0.1" \
    true 2>&1 </dev/null | sed -n 's/.*Permission denied (\(.*\))\..*/\1/p' | head -n 1
}

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
  while running && [ $((SECONDS - began)) -lt $BOOT ]; do
    if screen | tee "$work/screen.txt" | grep -q 'ALERT!.*/dev/sda1.*does not exist'; then
      return 0
    fi
    sleep 5
  done
  cat "$work/screen.txt"
  return 1
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

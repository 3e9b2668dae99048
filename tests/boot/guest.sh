#!/bin/bash
# Part of boot.sh: Debian as the owner of a VirtualBox machine has it, on a disk.
#
# shellcheck disable=SC2034,SC2154  # its variables are those of boot.sh

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
    timeout 1200 debootstrap --variant=minbase --include="$(tr ' ' , <<<"$*")" bookworm "$place.new" \
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
  cloudinit-guest) tree cloudinit-guest cloud-init >&2 ;;
  *) set -- base ;;
  esac
  echo "$1"
}

# A guest on a disk ------------------------------------------------------------------------------

# What a variant holds while it is built and booted, undone by its end.
loops=() mounts=() machine='' disk_device='' root_at=0

undo() {
  local i
  [ -z "$part" ] || kill "$part" 2>/dev/null || :
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
  local disk=$work/source.raw kind=ext4 boot_device='' physical='' root_device='' swap_device=''
  truncate -s 1800M "$disk"
  case $variant in
  lvm)
    printf '%s\n' 'label: dos' '2048,200M,83,*' ',,05' 'start=413696, type=8e' | sfdisk -q "$disk"
    disk_loop "$disk"
    root_at=$((413696 * 512))
    # LVM2 does not take the partition of a loop device.
    loop physical -o "$root_at" "$disk"
    lvm_on "$physical"
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
  mmd -i "$esp" ::EFI ::EFI/debian 2>"$work/mmd.log"
  mcopy -i "$esp" "$work/grubx64.efi" "$work/grub.cfg" ::EFI/debian 2>"$work/mcopy.log"
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
      "      addresses: [$OWN_ADDRESS/24]" '      routes:' '        - to: default' \
      '          via: 10.0.2.2' >"$root/etc/netplan/01-netcfg.yaml"
    chmod 600 "$root/etc/netplan/01-netcfg.yaml"
    within "$root" systemctl -q enable systemd-networkd
    ;;
  networkd)
    rm -f "$root/etc/network/interfaces"
    printf '%s\n' '[Match]' "Name=$CARD" '' '[Network]' "Address=$OWN_ADDRESS/24" 'Gateway=10.0.2.2' \
      >"$root/etc/systemd/network/10-lan.network"
    within "$root" systemctl -q enable systemd-networkd
    ;;
  cloudinit-guest)
    # As cloud-init has it: its file is the one that it writes again.
    printf '%s\n' 'auto lo' 'iface lo inet loopback' '' 'source /etc/network/interfaces.d/*' \
      >"$root/etc/network/interfaces"
    printf '%s\n' "auto $CARD" "iface $CARD inet static" "    address $OWN_ADDRESS/24" \
      '    gateway 10.0.2.2' >"$root/etc/network/interfaces.d/50-cloud-init"
    # The small system has no other locale.
    echo 'locale: C.UTF-8' >"$root/etc/cloud/cloud.cfg.d/10-locale.cfg"
    ;;
  *)
    printf '%s\n' 'auto lo' 'iface lo inet loopback' '' "auto $CARD" "iface $CARD inet static" \
      "    address $OWN_ADDRESS/24" '    gateway 10.0.2.2' >"$root/etc/network/interfaces"
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
  cp "$root/etc/shadow" "$work/shadow"
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

#!/bin/bash
# Makes testdata/mydisk.vdi: a small real Linux guest on a VirtualBox disk.
#
#   VBOX_TOOLS=/path/to/folder testdata/make-mydisk.sh [OUTPUT.vdi]
#
# The guest is Debian 12 packages (busybox as init and user land, dropbear as
# SSH server, their libraries) plus the configuration files below, unpacked and
# never run. No kernel: it would be larger than all the rest.
#
# The raw disk is the same to the byte wherever this runs with the same package
# versions: debugfs makes the file system entry by entry from a sorted list,
# with fixed times and ids (mkfs.ext4 -d would take inode change times and the
# order of the entries from the host). Only the UUIDs in the VDI header differ.
#
# Needs e2fsprogs, fdisk, python3, apt and dpkg-deb with Debian 12 as a source,
# and VirtualBox's vbox-img and VBoxManage (VBOX_TOOLS: the folder that holds
# them). No root. Where VBoxManage is a wrapper that runs in a changed root,
# VBOX_SHARE=HOST_DIR:DIR_SEEN_BY_VBOXMANAGE names a folder that both see.
set -euo pipefail
export LC_ALL=C TZ=UTC
PATH=$PATH:/usr/sbin:/sbin
umask 022

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/mydisk.vdi}
# 2023-06-10, the day Debian 12 came out.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1686355200}
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH

# The disk is one block group of the file system (128 MiB with 4 KiB blocks):
# no superblock copies far out that would cost a whole VDI block each.
DISK_MIB=128
# First sector 63, as fdisk partitioned in the years these disks come from.
# It also saves the block that an otherwise empty first MiB would take, and
# makes file system blocks lie across the borders of VDI blocks.
START=63
PACKAGES=(base-files busybox dropbear dropbear-bin libc6 libcrypt1 libgmp10
  libtomcrypt1 libtommath1 zlib1g)

die() {
  echo "make-mydisk.sh: $*" >&2
  exit 1
}
tools=${VBOX_TOOLS:-/usr/lib/virtualbox}
vbox_img=$tools/vbox-img
[ -x "$vbox_img" ] || die "no vbox-img in $tools: install VirtualBox and set VBOX_TOOLS"
for vboxmanage in "$tools/vboxmanage" "$tools/VBoxManage"; do
  [ ! -x "$vboxmanage" ] || break
done
[ -x "$vboxmanage" ] || die "no VBoxManage in $tools"

work=$(mktemp -d)
share=
trap 'rm -rf "$work" ${share:+"$share"}' EXIT
VBOX_SHARE=${VBOX_SHARE:-$work:$work}
share=$(mktemp -d "${VBOX_SHARE%%:*}/mydisk.XXXXXX")
seen=${VBOX_SHARE#*:}/${share##*/}
# A registry and a service of its own: the user's VirtualBox is left alone.
mkdir "$share/home"
export VBOX_USER_HOME=$seen/home VBOX_IPC_SOCKETID=mydisk-$$
vb() {
  "$vboxmanage" "$@" >"$work/vb.log" 2>&1 || { cat "$work/vb.log" >&2; die "VBoxManage $*"; }
}

# --- packages: unpacked, not installed -------------------------------------
mkdir "$work/debs" "$work/pkg" "$work/root"
(cd "$work/debs" && apt-get -qq download "${PACKAGES[@]}" 2>"$work/apt.log") ||
  { cat "$work/apt.log" >&2; die "cannot download the packages"; }
for deb in "$work"/debs/*.deb; do
  dpkg-deb -x "$deb" "$work/pkg"
  dpkg-deb -f "$deb" Package Version | sed 's/^[^:]*: //' | paste -sd' '
done | sort >"$work/versions"

# --- the guest's tree -------------------------------------------------------
root=$work/root
pkg=$work/pkg
take() { # take SOURCE_IN_PACKAGES... : the same path in the guest
  local path
  for path; do
    mkdir -p "$root/$(dirname "$path")"
    cp -dR --preserve=mode "$pkg/$path" "$root/$path"
  done
}
text() { # text PATH MODE: the file's content from standard input
  mkdir -p "$root/$(dirname "$1")"
  cat >"$root/$1"
  chmod "$2" "$root/$1"
}

mkdir -p "$root"/{bin,dev,etc,home/student,lib,media,mnt,opt,proc,root,run,sbin,srv,sys,tmp,usr/bin,usr/lib,usr/sbin,var/cache,var/lib,var/log,var/spool,var/tmp}
ln -s /run "$root/var/run"

take bin/busybox
take lib/x86_64-linux-gnu/{ld-linux-x86-64.so.2,libc.so.6,libresolv.so.2}
take lib/x86_64-linux-gnu/libcrypt.so.1{,.1.0}
take lib/x86_64-linux-gnu/libz.so.1{,.2.13}
take usr/lib/x86_64-linux-gnu/libgmp.so.10{,.4.1}
take usr/lib/x86_64-linux-gnu/libtomcrypt.so.1{,.0.1}
take usr/lib/x86_64-linux-gnu/libtommath.so.1{,.2.0}
take usr/sbin/dropbear usr/bin/dropbearkey etc/default/dropbear
take etc/{debian_version,os-release,issue,issue.net,host.conf} usr/lib/os-release
# The licences that these programs and libraries come under.
take usr/share/doc/{busybox,dropbear-bin,libc6,libcrypt1,libgmp10,libtomcrypt1,libtommath1,zlib1g}/copyright
mkdir "$root/lib64"
ln -s /lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$root/lib64/ld-linux-x86-64.so.2"

# The applets, named rather than asked for: nothing of the guest is run here.
applets_bin="ash base64 cat chgrp chmod chown cp cpio date dd df dmesg
  dnsdomainname echo egrep false fgrep getopt grep gunzip gzip hostname ip
  kill ln login ls mkdir mknod mktemp more mount mv nc netstat nuke pidof ping
  ping6 printf ps pwd readlink rm rmdir sed sh sleep stat stty sync tar touch
  true tty umount uname uncompress usleep vi watch zcat"
applets_sbin="arp blkid blockdev depmod fdisk findfs freeramdisk fstrim getty halt
  hwclock ifconfig init insmod klogd losetup lsmod mkswap modinfo
  modprobe nameif pivot_root poweroff reboot rmmod route run-init
  start-stop-daemon swapoff swapon switch_root sysctl syslogd udhcpc vconfig"
applets_usr_bin="[ ar awk basename bc bunzip2 bzcat bzip2 clear cmp crc32 cut
  diff dirname dos2unix du env expand expr factor fallocate find fold free ftpget
  ftpput groups head hexdump hostid id ipcalc killall last less link logger
  logname lzcat lzma md5sum microcom mkfifo mkpasswd nl nohup nproc nsenter
  nslookup od paste patch realpath renice reset resume rev rpm2cpio run-parts
  seq setsid sha1sum sha256sum sha512sum shred shuf sort split ssl_client
  strings svc svok tac tail taskset tee telnet test tftp time timeout top tr
  traceroute truncate ts uniq unix2dos unlink unlzma unshare unxz unzip uptime
  uudecode uuencode w wc wget which who whoami xargs xxd xz xzcat yes"
applets_usr_sbin="adjtimex arping brctl chroot fatattr httpd i2cdetect loadfont
  nologin partprobe rdate setpriv udhcpd ubirename"
link_applets() { # link_applets FOLDER APPLET...
  local folder=$1 applet
  shift
  for applet; do
    # What this busybox has not got is left out, not linked to an error.
    grep -qaxF -- "$applet" "$work/has" || continue
    ln -s /bin/busybox "$root/$folder/$applet"
  done
}
# busybox holds the names of its applets as one run of NUL-ended strings.
tr '\0' '\n' <"$pkg/bin/busybox" >"$work/has"
# shellcheck disable=SC2086 # the lists are words
{
  link_applets bin $applets_bin
  link_applets sbin $applets_sbin
  link_applets usr/bin $applets_usr_bin
  link_applets usr/sbin $applets_usr_sbin
}

# Accounts: published passwords, as on the teaching images of that time
# (root: stratus, student: student). Converting has to deal with them.
text etc/passwd 0644 <<'GUEST'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
student:x:1000:1000:Student,,,:/home/student:/bin/sh
GUEST
text etc/shadow 0640 <<'GUEST'
root:$6$stratusvdi$SLv270n07Nf40fgU66BkrsUKxPC7fKWMB6d6yqT/5jBzNG6nRJmCNd121H3vbqW3yJqUR.coylGuLY4atv4XT1:19518:0:99999:7:::
daemon:*:19518:0:99999:7:::
bin:*:19518:0:99999:7:::
sys:*:19518:0:99999:7:::
sync:*:19518:0:99999:7:::
mail:*:19518:0:99999:7:::
www-data:*:19518:0:99999:7:::
nobody:*:19518:0:99999:7:::
student:$6$homeuser$F7Yd.kZIoSQP5kkUJqu5LHQmaoCCVDqVWAOJFpxHpSrXjdBe8fv0jqlqFrdBFvUm6hVwKxB156p4dC/hLObZH/:19518:0:99999:7:::
GUEST
text etc/group 0644 <<'GUEST'
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
sudo:x:27:student
www-data:x:33:
shadow:x:42:
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
student:x:1000:
GUEST
text etc/gshadow 0640 <<'GUEST'
root:*::
sudo:*::student
shadow:*::
student:!::
GUEST
text etc/shells 0644 <<'GUEST'
/bin/sh
/bin/ash
GUEST
text etc/hostname 0644 <<'GUEST'
mydisk
GUEST
text etc/hosts 0644 <<'GUEST'
127.0.0.1	localhost
127.0.1.1	mydisk.example.org	mydisk
::1		localhost ip6-localhost ip6-loopback
GUEST
text etc/motd 0644 <<'GUEST'
A small Debian with busybox, made for trying out disk conversion.
GUEST
# A device name that a cloud does not have, and a VirtualBox folder.
text etc/fstab 0644 <<'GUEST'
# <file system>	<mount point>	<type>	<options>	<dump>	<pass>
/dev/sda1	/		ext4	errors=remount-ro	0	1
proc		/proc		proc	defaults		0	0
share		/media/sf_share	vboxsf	defaults,uid=1000	0	0
GUEST
mkdir -p "$root/media/sf_share"
text etc/network/interfaces 0644 <<'GUEST'
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
GUEST
mkdir -p "$root"/etc/network/if-{down,post-down,pre-up,up}.d
text etc/resolv.conf 0644 <<'GUEST'
nameserver 10.0.2.3
GUEST
text etc/nsswitch.conf 0644 <<'GUEST'
passwd:	files
group:	files
shadow:	files
hosts:	files dns
GUEST
# The interface of the VirtualBox machine, remembered by its address.
text etc/udev/rules.d/70-persistent-net.rules 0644 <<'GUEST'
# PCI device 0x8086:0x100e (e1000)
SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="08:00:27:5d:1c:2e", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"
GUEST
text etc/profile 0644 <<'GUEST'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PS1='\u@\h:\w\$ '
export PATH PS1
GUEST
text etc/ld.so.conf 0644 <<'GUEST'
/lib/x86_64-linux-gnu
/usr/lib/x86_64-linux-gnu
GUEST

# busybox init, in the shape its own documentation gives.
ln -s /bin/busybox "$root/linuxrc"
text etc/inittab 0644 <<'GUEST'
# <id>::<action>:<process>
::sysinit:/etc/init.d/rcS
tty1::respawn:/sbin/getty 38400 tty1
tty2::askfirst:/bin/sh
#ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100
::ctrlaltdel:/sbin/reboot
::shutdown:/etc/init.d/rcK
::shutdown:/bin/umount -a -r
GUEST
text etc/init.d/rcS 0755 <<'GUEST'
#!/bin/sh
# System start: called by init once.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs udev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=0755 tmpfs /run
mount -o remount,rw /
mount -a
hostname -F /etc/hostname
for script in /etc/init.d/S??*; do
	[ -x "$script" ] && "$script" start
done
[ -x /etc/rc.local ] && /etc/rc.local
exit 0
GUEST
text etc/init.d/rcK 0755 <<'GUEST'
#!/bin/sh
# System stop: the services in the opposite order.
for script in $(ls -r /etc/init.d/S??*); do
	[ -x "$script" ] && "$script" stop
done
GUEST
text etc/init.d/S10syslog 0755 <<'GUEST'
#!/bin/sh
case "$1" in
start) syslogd -O /var/log/messages && klogd ;;
stop) killall klogd syslogd ;;
esac
GUEST
text etc/init.d/S20network 0755 <<'GUEST'
#!/bin/sh
case "$1" in
start)
	# Debian's busybox has an ifup without IPv4.
	while read -r word name family method rest; do
		case "$word $family $method" in
		"iface inet loopback") ifconfig "$name" 127.0.0.1 netmask 255.0.0.0 up ;;
		"iface inet dhcp") udhcpc -b -i "$name" -p "/run/udhcpc.$name.pid" -s /etc/udhcpc/default.script ;;
		esac
	done </etc/network/interfaces
	;;
stop) killall udhcpc ;;
esac
GUEST
text etc/init.d/S50dropbear 0755 <<'GUEST'
#!/bin/sh
# SSH server; settings in /etc/default/dropbear.
DROPBEAR_PORT=22
DROPBEAR_EXTRA_ARGS=
DROPBEAR_RECEIVE_WINDOW=65536
[ -r /etc/default/dropbear ] && . /etc/default/dropbear
case "$1" in
start) /usr/sbin/dropbear -R -p "$DROPBEAR_PORT" -W "$DROPBEAR_RECEIVE_WINDOW" $DROPBEAR_EXTRA_ARGS ;;
stop) killall dropbear ;;
esac
GUEST
text etc/rc.local 0755 <<'GUEST'
#!/bin/sh
# Last thing at system start.
date >>/var/log/boot
exit 0
GUEST
text etc/udhcpc/default.script 0755 <<'GUEST'
#!/bin/sh
# Called by udhcpc with what the DHCP server said.
case "$1" in
deconfig) ip addr flush dev "$interface"; ip link set "$interface" up ;;
bound | renew)
	ip addr add "$ip/${mask:-24}" dev "$interface" 2>/dev/null
	[ -n "$router" ] && ip route replace default via "${router%% *}"
	: >/etc/resolv.conf
	for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
	;;
esac
GUEST

# What the life of a machine leaves behind and no published image should carry.
# The keys were made for this image and open nothing.
mkdir -p "$root/etc/dropbear" "$root/root/.ssh"
base64 -d >"$root/etc/dropbear/dropbear_ed25519_host_key" <<'KEY'
AAAAC3NzaC1lZDI1NTE5AAAAQBdo7f75eiXF9yWrciAp6e9VPaczln7wrlnPYuFOpAbNHWtGhet2
hikWmYnfcm11xxW5aVVYL7gByZwh11EwpNs=
KEY
chmod 0600 "$root/etc/dropbear/dropbear_ed25519_host_key"
text root/.ssh/authorized_keys 0600 <<'GUEST'
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVbV0kA8lnDfHONxIGGmhvN0E/uhm1UzwSVeHgTFPFi builder@workshop
GUEST
text root/.ash_history 0600 <<'GUEST'
vi /etc/network/interfaces
mount -t vboxsf share /media/sf_share
poweroff
GUEST
text home/student/.profile 0644 <<'GUEST'
umask 022
GUEST
text home/student/notes.txt 0644 <<'GUEST'
The results of the course are in /srv.
GUEST
text srv/table.csv 0644 <<'GUEST'
x,y
1,1
2,4
3,9
GUEST
text var/log/messages 0640 <<'GUEST'
Jun 10 00:00:01 mydisk syslog.info syslogd started: BusyBox v1.35.0
Jun 10 00:00:04 mydisk authpriv.info dropbear[112]: Running in background
GUEST
: >"$root/var/log/wtmp"
chmod 0700 "$root/root" "$root/root/.ssh"
chmod 1777 "$root/tmp" "$root/var/tmp"

# --- the file system --------------------------------------------------------
raw=$share/mydisk.raw
truncate -s "${DISK_MIB}M" "$raw"
sfdisk --quiet "$raw" <<PARTS
label: dos
label-id: 0x4d594453
start=$START, type=83, bootable
PARTS
part=$work/part
truncate -s "$((DISK_MIB * 1048576 - START * 512))" "$part"
# As old installers set it: checked every 30 mounts or 180 days. Few inodes
# (1024) and a journal right behind the files keep all that is not zero together.
mkfs.ext4 -q -F -b 4096 -N 1024 -L mydisk -U 6f2d4c1e-52a7-4e0b-9b54-3d0b7f0c1a28 \
  -E hash_seed=0b8f6f0e-7c1d-4c55-a7a4-6e5d1f9b2c33,lazy_itable_init=1,root_owner=0:0 \
  -J size=4,location=1480 "$part"
tune2fs -c 30 -i 180d "$part" >/dev/null

python3 - "$root" "$SOURCE_DATE_EPOCH" >"$work/commands" <<'PY'
# One debugfs command a line, for a tree in sorted order.
import os, stat, sys

top, epoch = sys.argv[1], sys.argv[2]
owners = {"home/student": (1000, 1000)}
groups = {"etc/shadow": 42, "etc/gshadow": 42, "var/log/wtmp": 43}
print("set_current_time @%s" % epoch)

def settle(path, mode, uid, gid):
    quoted = '"/%s"' % path
    fields = [("mode", "0%o" % mode), ("uid", uid), ("gid", gid)]
    fields += [(name, "@" + epoch) for name in ("atime", "ctime", "mtime", "crtime")]
    fields += [(name, 0) for name in ("atime_extra", "ctime_extra", "mtime_extra", "crtime_extra")]
    for name, value in fields:
        print("set_inode_field %s %s %s" % (quoted, name, value))

def owner(path):
    for prefix, pair in owners.items():
        if path == prefix or path.startswith(prefix + "/"):
            return pair
    return 0, groups.get(path, 0)

def walk(folder):
    entries = sorted(os.listdir(os.path.join(top, folder)))
    for name in entries:
        path = os.path.join(folder, name)
        full = os.path.join(top, path)
        mode = os.lstat(full).st_mode
        print('cd "/%s"' % folder)
        if stat.S_ISLNK(mode):
            print('symlink "%s" "%s"' % (name, os.readlink(full)))
        elif stat.S_ISDIR(mode):
            print('mkdir "%s"' % name)
        else:
            print('write "%s" "%s"' % (full, name))
        settle(path, mode, *owner(path))
        if stat.S_ISDIR(mode):
            walk(path)

walk("")
# The two devices that init wants before anything is mounted.
for name, numbers, mode in (("console", "c 5 1", 0o20600), ("null", "c 1 3", 0o20666)):
    print('cd "/dev"\nmknod %s %s' % (name, numbers))
    settle("dev/" + name, mode, 0, 5 if name == "console" else 0)
# The folders' own times changed while they were filled.
for folder in [""] + sorted(os.path.relpath(os.path.join(w, d), top)
                            for w, dirs, _ in os.walk(top) for d in dirs
                            if not os.path.islink(os.path.join(w, d))) + ["lost+found"]:
    for name in ("atime", "ctime", "mtime", "crtime"):
        print('set_inode_field "/%s" %s @%s' % (folder, name, epoch))
PY
# debugfs ends with 0 whatever happens; an error is a line that is no echo.
debugfs -w -f "$work/commands" "$part" >"$work/debugfs.log" 2>&1
if grep -vE '^$|^debugfs:|^debugfs [0-9]|^Allocated inode: |^Setting current time' "$work/debugfs.log" >&2; then
  die "debugfs could not write the tree"
fi
# Exit status 0: nothing to repair.
e2fsck -fn "$part"
dd if="$part" of="$raw" bs=512 seek="$START" conv=notrunc,sparse status=none

# --- the VirtualBox disk ----------------------------------------------------
# An image that VirtualBox makes by default has its data at 2 MiB. The older
# layout, data right behind the map, saves those two; VBoxManage then copies
# the raw disk into the image that is there.
vb convertfromraw "$seen/mydisk.raw" "$seen/plain.vdi" --format VDI
"$vbox_img" createbase --filename "$share/mydisk.vdi" --size "$((DISK_MIB * 1048576))" \
  --format VDI --dataalignment 4096 >/dev/null
vb clonemedium disk "$seen/plain.vdi" "$seen/mydisk.vdi" --existing

# VirtualBox's own reading of the result is what went in.
"$vbox_img" convert --srcfilename "$share/mydisk.vdi" --srcformat VDI \
  --dstfilename "$share/back.raw" --dstformat RAW >/dev/null 2>&1
cmp "$share/back.raw" "$raw"

cp "$share/mydisk.vdi" "$out"
chmod 0644 "$out"
echo "packages:"
sed 's/^/  /' "$work/versions"
echo "raw sha1   $(sha1sum <"$raw" | cut -c1-40)"
echo "raw sha256 $(sha256sum <"$raw" | cut -c1-64)"
echo "$(stat -c %s "$out") bytes of VDI"

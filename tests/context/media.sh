#!/bin/bash
# Part of context.sh: which disk is the medium, and that it is never left mounted.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

# An action that prints NAME.
show() {
  action 50-show <<<$'enable=yes\nrun_exec=/usr/bin/show'
  fake show <<END
echo "\${$1-}" >"\$ROOT/shown"
END
}

# disk LABEL DEVICE: with a context.sh that says so.
disk() {
  medium "$1" "$2"
  on_medium context.sh <<<"FROM='$1 $2'"
}

case_order_of_labels() {
  local label rest
  show FROM
  for label in CDROM CIDATA cidata CONFIG-2 config-2 _CLOUD_INIT _STRATUSLAB CONTEXT; do
    disk "$label" "vd$label"
    run late
    code 0
    is shown "$label vd$label"
    unmounted
  done
}

case_cdrom_of_the_user() {
  show FROM
  medium CDROM sr0
  on_medium holiday.jpg <<<x
  run late
  code 1
  disk _STRATUSLAB hdd
  run late
  code 0
  is shown "_STRATUSLAB hdd"
}

case_cdrom_with_context() {
  show FROM
  disk CDROM hdc
  run late
  is shown "CDROM hdc"
}

case_loop_device() {
  show FROM
  disk CONTEXT loop0
  run late
  code 1
  expect "calls of mount" 0 "$(calls mount)"
}

case_by_link() {
  show FROM
  disk '' sr1
  mkdir -p "$R/dev/disk/by-label"
  ln -s ../../sr1 "$R/dev/disk/by-label/_STRATUSLAB"
  cp -a "$M" "$box/media/_STRATUSLAB"
  run late
  is shown " sr1"
  logged "_STRATUSLAB on"
}

case_blkid_of_busybox() {
  show FROM
  disk '' sr0
  fake blkid <<'END'
[ "$#" = 0 ] || { echo "blkid: invalid option" >&2; exit 1; }
echo '/dev/loop1: LABEL="CONTEXT" TYPE="iso9660"'
echo '/dev/vda1: LABEL="NOCONTEXT" UUID="1-2" TYPE="ext4"'
echo '/dev/vda2: PARTLABEL="CONTEXT" UUID="1-2" TYPE="ext4"'
echo '/dev/sr0: UUID="2026-11-23" LABEL="CONTEXT" TYPE="iso9660"'
END
  : >"$R/dev/vda2"
  run late
  is shown " sr0"
  logged "CONTEXT on"
}

case_without_label() {
  show FROM
  medium '' sdb
  on_medium etc/passwd <<<"a disk of the user"
  disk '' vdc
  run late
  code 0
  is shown " vdc"
  unmounted
  expect "only types of media are tried" "" "$(called mount | grep -v '\[-t\] \[iso9660\]\|\[-t\] \[vfat\]')"
}

case_device_of_settings() {
  show FROM
  disk '' nbd7
  put etc/stratuslab/stratuslab-one-context.cfg <<<context_device=nbd7
  run late
  is shown " nbd7"
  rm "$R/shown"
  put etc/stratuslab/stratuslab-one-context.cfg <<<context_device=/dev/nbd7
  run late
  is shown " nbd7"
  put etc/stratuslab/stratuslab-one-context.cfg <<<context_device=../etc/passwd
  run late
  code 1
}

case_cannot_be_mounted() {
  show FROM
  disk CONTEXT sr0
  : >"$box/broken-sr0"
  run early
  code 2
  expect "seconds waited" 5 "$(calls pause)"
  run late
  code 2
  is shown ""
  unmounted
  disk _STRATUSLAB hdd
  run late
  code 0
  is shown "_STRATUSLAB hdd"
}

case_slow_drives() {
  put proc/uptime <<<"5.43 3.21"
  fake blkid <<'END'
read -r up <"$box/root/proc/uptime"
echo "$((${up%%.*} + 12)).00 9.00" >"$box/root/proc/uptime"
echo '/dev/vda1: UUID="1-2" TYPE="ext4"'
END
  run early
  code 1
  expect "drives looked at" 3 "$(calls blkid)"
  expect "seconds waited" 2 "$(calls pause)"
}

case_mounted_by_others_with_link() {
  disk '' vdb
  mkdir -p "$R/dev/disk/by-label"
  ln -s ../../vdb "$R/dev/disk/by-label/config-2"
  on_medium openstack/latest/meta_data.json <<<'{}'
  put proc/mounts <<<"/dev/vdb /var/lib/cloud/seed vfat rw 0 0"
  fake mount <<'END'
case "$*" in
*--bind*) ;;
*) exit 32 ;;
esac
END
  run late
  expect "mounted" "mount [--bind] [$R/var/lib/cloud/seed] [$R/mnt/stratuslab]" "$(called mount | grep -- '\[--bind\]' | sort -u)"
}

case_empty_medium() {
  show FROM
  medium CONTEXT
  on_medium token.txt <<<x
  run
  code 2
  logged "has no context.sh"
  is shown ""
  unmounted
}

case_options_of_mount() {
  disk CONTEXT sr0
  run late
  expect "calls" "mount [-t] [iso9660] [-o] [ro,nosuid,nodev] [$R/dev/sr0] [$R/mnt/stratuslab]" "$(called mount)"
}

case_appears_late() {
  show FROM
  medium CONTEXT
  fake modprobe <<END
rm -f $R/dev/sr0
END
  fake blkid <<END
if [ "\$(grep -c pause "\$box/calls")" -lt 4 ]; then exit 2; fi
: >$R/dev/sr0
echo '/dev/sr0: LABEL="CONTEXT"'
END
  on_medium context.sh <<<"FROM=later"
  run early
  code 0
  expect "seconds waited" 4 "$(calls pause)"
}

case_mounted_by_others() {
  show FROM
  disk config-2 vdb
  on_medium openstack/latest/meta_data.json <<<'{}'
  put proc/mounts <<<"/dev/vdb /var/lib/cloud/seed vfat rw 0 0"
  fake mount <<'END'
case "$*" in
*remount*) exit 0 ;;
*--bind*) ;;
*) exit 32 ;;
esac
for place; do :; done
cp -a "$box/media/vdb/." "$place/"
mkdir -p "$box/mounts"; echo "$place" >"$box/mounts/$(echo "$place" | tr / _)"
END
  run late
  code 0
  is shown "config-2 vdb"
  expect "theirs" "mount [--bind] [$R/var/lib/cloud/seed] [$R/mnt/stratuslab]" "$(called mount | grep -- --bind)"
  expect "unmounted" "umount [$R/mnt/stratuslab]" "$(called umount)"
  unmounted
}

case_mount_point_is_a_link() {
  show FROM
  rmdir "$R/mnt/stratuslab"
  mkdir "$R/elsewhere"
  ln -s ../elsewhere "$R/mnt/stratuslab"
  disk CONTEXT sr0
  run late
  code 0
  is shown "CONTEXT sr0"
  expect "elsewhere" "" "$(ls -A "$R/elsewhere")"
  unmounted
}

case_mount_point_is_made() {
  rmdir "$R/mnt/stratuslab"
  rmdir "$R/mnt"
  disk CONTEXT sr0
  run late
  code 0
  mode mnt/stratuslab 755
}

# A signal, while an action runs.
case_stopped() {
  action 50-slow <<<$'enable=yes\nrun_exec=/usr/bin/slow'
  fake slow <<END
for folder in $R/run/stratuslab/work.*; do kill -TERM "\${folder##*.}"; done
sleep 1
END
  disk CONTEXT sr0
  run
  code 143
  unmounted
  absent 'run/stratuslab/work.*'
  run status
  code 3
}

# A run that could not clean up is cleaned up after.
case_killed() {
  action 50-slow <<<$'enable=yes\nrun_exec=/usr/bin/slow'
  fake slow <<END
for folder in $R/run/stratuslab/work.*; do kill -KILL "\${folder##*.}"; done
END
  disk CONTEXT sr0
  run
  expect "mounted" "$R/mnt/stratuslab" "$(cat "$box"/mounts/*)"
  rm "$R/etc/stratuslab/conf.d/50-slow.context"
  run
  code 0
  unmounted
  absent 'run/stratuslab/work.*'
}

case_config_drive_1() {
  medium _CLOUD_INIT hdd
  on_medium meta.js <<<'{"dsmode":"local"}'
  on_medium root/.ssh/authorized_keys <<<"ssh-rsa AAAAB3Nza ann@old"
  run early
  code 0
  is root/.ssh/authorized_keys "ssh-rsa AAAAB3Nza ann@old"
}

case_config_drive_2() {
  medium config-2 sr0
  on_medium openstack/latest/meta_data.json <<'END'
{"hostname": "h", "public_keys": {"mine": "ssh-rsa AAAAB3Nza\/C1 ann@home\n",
 "other": "ssh-ed25519 AAAAC3Nza bob@home"}, "note": "ssh is fine"}
END
  run early
  code 0
  is root/.ssh/authorized_keys $'ssh-rsa AAAAB3Nza/C1 ann@home\nssh-ed25519 AAAAC3Nza bob@home'
}

case_nocloud() {
  medium cidata sr0
  on_medium meta-data <<'END'
instance-id: i-1
public-keys:
  - ssh-rsa AAAAB3Nza ann@home
  - "ssh-ed25519 AAAAC3Nza bob@home"
  named: ssh-rsa AAAAB3Nzb carl@home
local-hostname: ssh-rsa AAAAno evil
END
  run early
  code 0
  is root/.ssh/authorized_keys $'ssh-rsa AAAAB3Nza ann@home\nssh-ed25519 AAAAC3Nza bob@home\nssh-rsa AAAAB3Nzb carl@home'
  on_medium meta-data <<<'public-keys: ["ssh-rsa AAAAB3Nzd dora@home"]'
  run early
  holds root/.ssh/authorized_keys $'\nssh-rsa AAAAB3Nzd dora@home'
}

case_left_to_others() {
  disk CONTEXT sr0
  on_medium init.sh <<<'echo ran >"$ROOT/ran"'
  put usr/sbin/one-contextd 755 <<<x
  run
  code 0
  absent ran
  logged "only keys actions are ours"
  rm "$R/usr/sbin/one-contextd"
  put run/cloud-init/enabled <<<x
  run
  is ran ran
  logged "cloud-init is active"
  rm "$R/ran"
  put etc/stratuslab/stratuslab-one-context.cfg <<<'handle="keys"'
  run
  absent ran
}

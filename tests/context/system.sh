#!/bin/bash
# Part of context.sh: host keys, host name, time zone, growing, accounts and passwords.
#
# shellcheck disable=SC2154,SC2086,SC2317,SC2016  # its variables and functions are those of context.sh

hash='$6$rounds=5000$saltsalt$Vb/.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRST'

# A chpasswd that does as the real one: hashes what it gets, here by turning it round.
shadow() {
  mkdir -p "$R/etc"
  printf '%s\n' 'root:*:19000:0:99999:7:::' 'bin:*:19000:0:99999:7:::' 'ann:!:19000:0:99999:7:::' >"$R/etc/shadow"
  chmod 640 "$R/etc/shadow"
  fake chpasswd <<'END'
IFS=: read -r name rest
cat >/dev/null
[ "${1-}" = -e ] || rest="\$6\$salt\$$(echo "$rest" | rev)$(echo "$rest" | rev)"
awk -F: -v OFS=: -v name="$name" -v rest="$rest" '$1 == name {$2 = rest} {print}' "$box/root/etc/shadow" >"$box/shadow" &&
  cat "$box/shadow" >"$box/root/etc/shadow"
END
}

field() {
  sed -n "s/^$1:\([^:]*\):.*/\1/p" "$R/etc/shadow"
}

# nothing_secret TEXT: not in the log, not in the arguments of any command.
nothing_secret() {
  unlogged "$1"
  expect "arguments with a secret" "" "$(grep -F -- "$1" "$box/calls")"
}

case_system_host_keys() {
  local key
  mkdir -p "$R/etc/ssh"
  : >"$R/etc/ssh/ssh_host_rsa_key"
  echo x >"$R/etc/ssh/ssh_host_rsa_key.pub"
  ln -s "$(command -v ssh-keygen)" "$R/usr/bin/ssh-keygen"
  run early
  code 1
  for key in rsa ecdsa ed25519; do
    expect "public key of $key" "$(ssh-keygen -y -f "$R/etc/ssh/ssh_host_${key}_key" | cut -d' ' -f2)" \
      "$(cut -d' ' -f2 "$R/etc/ssh/ssh_host_${key}_key.pub")"
    mode etc/ssh/ssh_host_${key}_key 600
    mode etc/ssh/ssh_host_${key}_key.pub 644
  done
  logged "host keys of the SSH server were made"
  again early
}

# One that has no option -A.
case_system_host_keys_old() {
  mkdir -p "$R/etc/ssh"
  fake ssh-keygen <<'END'
[ "$1" = -q ] && [ "$3" != ed25519 ] || exit 1
echo key >"$7"
echo key >"$7.pub"
END
  run early
  is etc/ssh/ssh_host_rsa_key key
  is etc/ssh/ssh_host_ecdsa_key key
  absent etc/ssh/ssh_host_ed25519_key
}

case_system_host_keys_fail() {
  mkdir -p "$R/etc/ssh"
  echo 'exit 1' | fake ssh-keygen
  context "SET_HOSTNAME=x"
  run early
  code 3
  logged "no host keys"
  is etc/hostname x
}

case_system_no_ssh() {
  echo 'exit 1' | fake ssh-keygen
  context "A=1"
  run early
  code 0
  expect calls 0 "$(calls ssh-keygen)"
}

case_system_hostname() {
  printf '127.0.0.1\tlocalhost\n127.0.1.1 old.example.org old\n127.0.1.10 other\n' | put etc/hosts
  echo old | put etc/hostname
  fake hostname </dev/null
  context "SET_HOSTNAME='vm-1.example.org'"
  run early
  code 0
  is etc/hostname vm-1.example.org
  is etc/hosts $'127.0.0.1\tlocalhost\n127.0.1.1\tvm-1.example.org vm-1\n127.0.1.10 other'
  expect "hostname" "hostname [vm-1.example.org]" "$(called hostname | tail -n 1)"
  again early
}

case_system_hostname_files() {
  printf 'NETWORKING=yes\nHOSTNAME=old\nHOSTNAME=older\nNOZEROCONF=yes\n' | put etc/sysconfig/network
  echo old | put etc/HOSTNAME
  printf '# x\nhostname="old"\n' | put etc/conf.d/hostname
  printf '10.0.0.1 vm1 x\n' | put etc/hosts
  context "SET_HOSTNAME='vm1'"
  run early
  is etc/sysconfig/network $'NETWORKING=yes\nHOSTNAME=vm1\nNOZEROCONF=yes'
  is etc/HOSTNAME vm1
  is etc/conf.d/hostname $'# x\nhostname="vm1"'
  absent etc/hostname
  is etc/hosts "10.0.0.1 vm1 x"
  again early
}

case_system_hostname_long() {
  local label
  label=$(printf 'a%.0s' {1..60})
  printf '127.0.0.1 localhost\n' | put etc/hosts
  context "SET_HOSTNAME='$label.example.org'"
  run early
  is etc/hostname "$label"
  is etc/hosts $'127.0.0.1 localhost\n127.0.1.1\t'"$label.example.org $label"
}

case_system_hostname_of_medium() {
  medium _STRATUSLAB
  echo 'HOSTNAME="vm2"' | on_medium context.sh
  run early
  is etc/hostname vm2
  context "HOSTNAME=vm3"
  run early
  is etc/hostname vm2
}

case_system_hostname_of_dns() {
  fake getent <<'END'
echo "$2   vm7.example.org vm7"
END
  context "DNS_HOSTNAME=YES
ETH0_IP=10.0.0.7
ETH0_METHOD=skip"
  run early
  absent etc/hostname
  run late
  code 0
  is etc/hostname vm7.example.org
  again late
  rm "$R/etc/hostname"
  run
  is etc/hostname vm7.example.org
}

case_system_hostname_hostile() {
  local name
  context ""
  for name in $'a\nb' 'a b' '$(id)' "a'b" 'a"b' '../x' -a a- a..b .a a. a_b 1.2.3.4 "$(printf 'a%.0s' {1..64})" \
    "$(printf 'a.%.0s' {1..127})a" ; do
    [ "${#name}" = 255 ] || [ "${#name}" -lt 100 ] || continue
    printf "SET_HOSTNAME='%s'\n" "${name//\'/\'\\\'\'}" >"$M/context.sh"
    rm -f "$R/$log"
    run early
    code 3
    absent etc/hostname
    logged refused
  done
}

case_system_timezone() {
  local zone
  put usr/share/zoneinfo/Europe/Paris <<<TZif
  mkdir -p "$R/usr/share/zoneinfo/America"
  put etc/localtime <<<copy
  put etc/timezone <<<UTC
  printf 'ZONE="UTC"\nUTC=true\n' | put etc/sysconfig/clock
  context "TIMEZONE='Europe/Paris'"
  run early
  code 0
  expect localtime /usr/share/zoneinfo/Europe/Paris "$(readlink "$R/etc/localtime")"
  is etc/timezone Europe/Paris
  is etc/sysconfig/clock $'ZONE="Europe/Paris"\nUTC=true'
  again early
  for zone in ../../../etc/passwd /etc/passwd America Mars/Base 'a b' $'Europe/Paris\n' '$(id)' "$(printf 'a%.0s' {1..5000})"; do
    printf "TIMEZONE='%s'\n" "$zone" >"$M/context.sh"
    run early
    expect "code for ${zone:0:30}" 3 "$code"
    is etc/timezone Europe/Paris
  done
}

# partitioned SIZE START LENGTH: vda with one partition, mounted at /.
partitioned() {
  local name
  mkdir -p "$R/sys/devices/vda/vda1" "$R/sys/class/block" "$R/proc/self"
  echo "$1" >"$R/sys/devices/vda/size"
  echo "$2" >"$R/sys/devices/vda/vda1/start"
  echo "$3" >"$R/sys/devices/vda/vda1/size"
  echo 1 >"$R/sys/devices/vda/vda1/partition"
  ln -sf ../../devices/vda "$R/sys/class/block/vda"
  ln -sf ../../devices/vda/vda1 "$R/sys/class/block/vda1"
  : >"$R/dev/vda1"
  printf 'proc /proc proc rw 0 0\n/dev/vda1 / %s rw 0 0\n' "${4-ext4}" >"$R/proc/self/mounts"
  for name in growpart sfdisk partx resize2fs xfs_growfs btrfs lvs vgs pvresize lvextend; do fake $name </dev/null; done
}

case_system_grow() {
  partitioned 4194304 2048 2097152
  context "GROW_ROOTFS=YES"
  run early
  code 0
  expect growpart "growpart [/dev/vda] [1]" "$(called growpart)"
  expect partx "partx [-u] [-n] [1] [/dev/vda]" "$(called partx)"
  expect resize2fs "resize2fs [/dev/vda1]" "$(called resize2fs)"
  logged "vda1 was grown"
  # Nothing to do: nothing is said.
  echo 4191000 >"$R/sys/devices/vda/vda1/size"
  run early
  expect growpart 1 "$(calls growpart)"
}

case_system_grow_sfdisk() {
  local name
  partitioned 4194304 2048 2097152 xfs
  rm "$R/usr/bin/growpart"
  context "GROW_ROOTFS=YES"
  run early
  # The machine of the test may have growpart.
  expect sfdisk "sfdisk [--no-reread] [-N] [1] [/dev/vda]" "$(called sfdisk)"
  expect xfs_growfs "xfs_growfs [/]" "$(called xfs_growfs)"
}

case_system_grow_btrfs() {
  partitioned 4194304 2048 2097152 btrfs
  echo "exit 1" | fake growpart
  context "GROW_ROOTFS=YES"
  run early
  expect btrfs "btrfs [filesystem] [resize] [max] [/]" "$(called btrfs)"
}

case_system_grow_not_last() {
  partitioned 4194304 2048 1048576
  mkdir -p "$R/sys/devices/vda/vda2"
  echo 2000000 >"$R/sys/devices/vda/vda2/start"
  echo 1000 >"$R/sys/devices/vda/vda2/size"
  echo 2 >"$R/sys/devices/vda/vda2/partition"
  context "GROW_ROOTFS=YES"
  run early
  code 0
  expect growpart 0 "$(calls growpart)"
  logged "not the last partition"
}

case_system_grow_logical() {
  partitioned 4194304 2048 1048576
  mkdir -p "$R/sys/devices/vda/vda2"
  echo 5 >"$R/sys/devices/vda/vda1/partition"
  echo 2046 >"$R/sys/devices/vda/vda2/start"
  echo 2 >"$R/sys/devices/vda/vda2/size"
  context "GROW_ROOTFS=YES"
  run early
  expect growpart 0 "$(calls growpart)"
}

case_system_grow_fails() {
  partitioned 4194304 2048 1048576
  echo "exit 2" | fake growpart
  context "GROW_ROOTFS=YES"
  run early
  code 3
  expect resize2fs 0 "$(calls resize2fs)"
}

volume() {
  partitioned 4194304 2048 2097152
  mkdir -p "$R/sys/class/block/dm-0/dm" "$R/dev/mapper"
  echo LVM-abc >"$R/sys/class/block/dm-0/dm/uuid"
  echo vg-root >"$R/sys/class/block/dm-0/dm/name"
  : >"$R/dev/dm-0"
  ln -s ../dm-0 "$R/dev/mapper/vg-root"
  printf '/dev/mapper/vg-root / ext4 rw 0 0\n' >"$R/proc/self/mounts"
  echo 'echo "  vg"' | fake lvs
}

case_system_grow_volume() {
  volume
  echo 'case $3 in pv_name) echo "  /dev/vda1" ;; *) echo "  99" ;; esac' | fake vgs
  context "GROW_ROOTFS=YES"
  run early
  code 0
  expect growpart "growpart [/dev/vda] [1]" "$(called growpart)"
  expect pvresize "pvresize [/dev/vda1]" "$(called pvresize)"
  expect lvextend "lvextend [-l] [+100%FREE] [/dev/mapper/vg-root]" "$(called lvextend)"
  expect resize2fs "resize2fs [/dev/mapper/vg-root]" "$(called resize2fs)"
}

case_system_grow_volume_of_two() {
  volume
  echo 'echo "  /dev/vda1"; echo "  /dev/vdb1"' | fake vgs
  context "GROW_ROOTFS=YES"
  run early
  expect growpart 0 "$(calls growpart)"
  expect lvextend 0 "$(calls lvextend)"
}

case_system_grow_hostile() {
  partitioned 4194304 2048 2097152
  local value
  context ""
  for value in $'/\n/x' '/../..' '$(id)' '/a;b' '*'; do
    printf "GROW_FS='%s'\n" "$value" >"$M/context.sh"
    run early
    code 3
  done
  expect resize2fs 0 "$(calls resize2fs)"
}

case_system_password() {
  shadow
  context "PASSWORD='a:b \\ \$(id) \`x\` \"q\"'"
  run early
  code 0
  expect "root's field" '$6$salt$"q" `x` )di($ \ b:a"q" `x` )di($ \ b:a' "$(grep ^root: "$R/etc/shadow" | sed 's/^root://; s/:19000:.*//')"
  mode etc/shadow 640
  nothing_secret '(id)'
}

case_system_password_base64() {
  shadow
  context "PASSWORD_BASE64='c2VjcmV0
MTIz'"
  run early
  expect "root's field" '$6$salt$321terces321terces' "$(field root)"
  nothing_secret secret123
}

case_system_password_crypted() {
  shadow
  context "CRYPTED_PASSWORD='$hash'
PASSWORD=other"
  run early
  expect "root's field" "$hash" "$(field root)"
  nothing_secret "$hash"
  again early
  # Without chpasswd; with base64.
  shadow
  rm "$R/usr/bin/chpasswd"
  printf "CRYPTED_PASSWORD_BASE64='%s'\n" "$(base64 <<<"$hash")" >"$M/context.sh"
  run early
  expect "root's field" "$hash" "$(field root)"
  expect "other lines" "bin:*:19000:0:99999:7:::" "$(sed -n 2p "$R/etc/shadow")"
  mode etc/shadow 640
  again early
}

# One in the file of accounts.
case_system_password_no_shadow() {
  context "CRYPTED_PASSWORD='$hash'"
  run early
  holds etc/passwd "root:$hash:"
}

case_system_password_hostile() {
  local value before
  shadow
  context ""
  before=$(cat "$R/etc/shadow")
  for value in $'a\nroot::0' "$(printf 'a%.0s' {1..600})" $'a\tb' $'a\rb'; do
    printf "PASSWORD='%s'\n" "$value" >"$M/context.sh"
    run early
    code 3
    printf "PASSWORD_BASE64='%s'\n" "$(base64 <<<"$value")" >"$M/context.sh"
    run early
    code 3
  done
  for value in 'a:b:cdefghijklmnop' $'$6$aaaaaaaaaaaaa\nroot::0' '*' '!' short '!$6$aaaaaaaaaaaaaaaa' '$(touch x)aaaaaaaaaaa' "$(printf 'a%.0s' {1..600})"; do
    printf "CRYPTED_PASSWORD='%s'\n" "$value" >"$M/context.sh"
    run early
    code 3
    unlogged "$value"
  done
  printf "PASSWORD_BASE64='%s'\n" '***' >"$M/context.sh"
  run early
  code 3
  expect shadow "$before" "$(cat "$R/etc/shadow")"
}

case_system_username() {
  shadow
  fake sudo </dev/null
  mkdir -p "$R/etc/sudoers.d"
  echo x >"$R/etc/sudoers.d/stratuslab-former"
  ln -sf "$(command -v bash)" "$R/bin/bash"
  fake useradd <<'END'
echo "bob.x:x:1001:1001::/home/bob.x:$3" >>"$box/root/etc/passwd"
echo 'bob.x:!:19000:0:99999:7:::' >>"$box/root/etc/shadow"
END
  context "USERNAME=bob.x"
  run early
  code 0
  expect useradd "useradd [-m] [-s] [/bin/bash] [bob.x]" "$(called useradd)"
  expect "the field" "*" "$(field bob.x)"
  is etc/sudoers.d/stratuslab-bob_x "bob.x ALL=(ALL) NOPASSWD: ALL"
  mode etc/sudoers.d/stratuslab-bob_x 440
  if PATH=/usr/sbin:/sbin:$PATH command -v visudo >/dev/null; then
    expect visudo 0 "$(PATH=/usr/sbin:/sbin:$PATH visudo -cf "$R/etc/sudoers.d/stratuslab-bob_x" >/dev/null 2>&1; echo $?)"
  fi
  absent etc/sudoers.d/stratuslab-former
  again early
  context "USERNAME=bob.x
USERNAME_SUDO=NO
PASSWORD=x1"
  run early
  absent etc/sudoers.d/stratuslab-bob_x
  expect "the field" '$6$salt$1x1x' "$(field bob.x)"
  expect "root's field" '*' "$(field root)"
}

# busybox.
case_system_username_adduser() {
  shadow
  fake adduser <<'END'
echo "bob:x:1001:1001::/home/bob:$3" >>"$box/root/etc/passwd"
END
  context "USERNAME=bob"
  run early
  code 0
  if ! [ -e "$R/bin/bash" ]; then expect adduser "adduser [-D] [-s] [/bin/sh] [bob]" "$(called adduser)"; fi
}

case_system_username_fails() {
  shadow
  echo 'exit 1' | fake useradd
  context "USERNAME=bob
PASSWORD=x"
  run early
  code 3
  expect "root's field" '*' "$(field root)"
}

case_system_username_hostile() {
  local name before
  shadow
  fake useradd </dev/null
  context ""
  before=$(cat "$R/etc/shadow" "$R/etc/passwd")
  for name in -r 'a b' a:b $'a\nb' '$(id)' ../a a/b 1a .a a. a..b '*' "$(printf 'a%.0s' {1..33})"; do
    printf "USERNAME='%s'\nPASSWORD=x\n" "$name" >"$M/context.sh"
    run early
    code 3
  done
  expect useradd 0 "$(calls useradd)"
  expect accounts "$before" "$(cat "$R/etc/shadow" "$R/etc/passwd")"
}

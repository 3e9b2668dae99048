#!/bin/bash
# Part of context.sh: the actions that come with the program, each called as the program would.
#
# shellcheck disable=SC2154,SC2086,SC2317,SC2016  # its variables and functions are those of context.sh

for bundled in "$here"/src/guest/context/actions/*.sh; do
  check "shellcheck of ${bundled##*/}" shellcheck -s sh -S style "$bundled"
  check "checkbashisms of ${bundled##*/}" checkbashisms -x "$bundled"
done

# start NAME [VARIABLE=VALUE...]: runs an action. busybox takes its own mount and the like rather than
# those in PATH, but functions first.
start() {
  local script=$box/$1
  {
    if [ "$shell" = "busybox sh" ]; then
      for fake in "$R"/usr/bin/*; do
        if [[ ${fake##*/} =~ ^[a-z]+$ ]]; then echo "${fake##*/}() { '$fake' \"\$@\"; }"; fi
      done
    fi
    cat "$here/src/guest/context/actions/$1.sh"
  } >"$script"
  shift
  code=0
  # shellcheck disable=SC2034  # for the function code
  out=$(cd / && env -i ROOT="$R" "$@" $shell "$script" 2>&1 </dev/null) || code=$?
}

same() {
  local before
  before=$(tree)
  start "$@"
  expect "a second run changes nothing" "$before" "$(tree)"
}

# Passwords --------------------------------------------------------------------------------------

# A chpasswd that notes what it gets.
accounts() {
  printf '%s\n' 'bin:*:19000:0:99999:7:::' 'root:$6$old$oldoldoldold:19000:0:99999:7:::' 'ann:!:19000:0:99999:7:::' |
    put etc/shadow 640
  fake chpasswd <<'END'
cat >"$box/password"
sed -i "s/^root:[^:]*/root:\$6\$salt\$$(cksum <"$box/password" | tr -d ' ')/" "$box/root/etc/shadow"
END
}

root_field() {
  sed -n 's/^root:\([^:]*\):.*/\1/p' "$R/etc/shadow"
}

case_bundled_password() {
  local first
  accounts
  start random-password
  code 0
  expect output "" "$out"
  first=$(<"$box/password")
  if ! [[ $first =~ ^root:[A-Za-z0-9]{32}$ ]]; then expect password "root: and 32 letters or digits" "$first"; fi
  expect "arguments of chpasswd" chpasswd "$(called chpasswd)"
  mode etc/shadow 640
  start random-password
  if [ "$first" = "$(<"$box/password")" ]; then expect "a second password" other same; fi
}

# The shell of a guest with everything, and with nothing but busybox.
case_bundled_password_real() {
  local hash
  accounts
  rm "$R/usr/bin/chpasswd"
  ln -s "$(command -v mkpasswd || command -v openssl)" "$R/usr/bin/"
  start random-password
  code 0
  hash=$(root_field)
  if [[ $hash != '$6$'* ]] || [ "${#hash}" -lt 90 ]; then expect "root's field" "a hash" "$hash"; fi
  expect "other lines" $'bin:*:19000:0:99999:7:::\nann:!:19000:0:99999:7:::' "$(grep -v ^root: "$R/etc/shadow")"
  expect "the rest" "19000:0:99999:7:::" "$(sed -n 's/^root:[^:]*://p' "$R/etc/shadow")"
  mode etc/shadow 640
}

# A chpasswd that fails, or says it did it and did not: nobody may log in.
case_bundled_password_chpasswd_fails() {
  accounts
  echo 'exit 1' | fake chpasswd
  start random-password
  code 0
  expect "root's field" '*' "$(root_field)"
  expect told locked "$(grep -o locked <<<"$out")"
  accounts
  echo 'cat >/dev/null; exit 0' | fake chpasswd
  start random-password
  expect "root's field" '*' "$(root_field)"
}

case_bundled_password_no_shadow() {
  fake chpasswd <<'END'
cat >/dev/null
sed -i 's/^root:[^:]*/root:$1$salt$hashhashhash/' "$box/root/etc/passwd"
END
  start random-password
  code 0
  holds etc/passwd 'root:$1$salt$hashhashhash:'
}

case_bundled_password_settings() {
  local before
  accounts
  before=$(<"$R/etc/shadow")
  printf 'context_device=auto\nroot_password=keep\n' | put etc/stratuslab/stratuslab-one-context.cfg
  start random-password
  code 0
  is etc/shadow "$before"
  printf 'root_password="lock"  # none\n' | put etc/stratuslab/stratuslab-one-context.cfg
  start random-password
  code 0
  expect "root's field" '*' "$(root_field)"
  expect calls 0 "$(calls chpasswd)"
  same random-password
  # The settings are not executed, and a word that is not known is no reason to do nothing.
  accounts
  printf 'touch %s/evil\nroot_password=$(touch %s/evil)\n' "$R" "$R" | put etc/stratuslab/stratuslab-one-context.cfg
  start random-password
  absent evil
  expect calls 1 "$(calls chpasswd)"
  # Nor are they read if others could have written them.
  printf 'root_password=keep\n' | put etc/stratuslab/stratuslab-one-context.cfg 666
  start random-password
  code 0
  expect calls 2 "$(calls chpasswd)"
  # A guest without /run has none afterwards.
  rmdir "$R/run"
  start random-password
  code 0
  absent run
}

case_bundled_password_no_random() {
  accounts
  echo 'exit 0' | fake head
  start random-password
  code 0
  expect "root's field" '*' "$(root_field)"
  expect calls 0 "$(calls chpasswd)"
  echo 'echo aaaaaaaaaaaaaaaa' | fake head
  accounts
  start random-password
  expect "root's field" '*' "$(root_field)"
}

# Nothing can be written: /etc is another file system that is read-only.
case_bundled_password_read_only() {
  accounts
  echo 'exit 1' | fake chpasswd
  echo 'exit 1' | fake cp
  start random-password
  code 1
  expect told "cannot be written" "$(grep -o "cannot be written" <<<"$out")"
  expect "root's field" '$6$old$oldoldoldold' "$(root_field)"
  echo 'exit 1' | fake mv
  rm "$R/usr/bin/cp"
  start random-password
  code 1
  expect "left over" "" "$(find "$R/etc" -name '.shadow*')"
}

# As the program runs it, before what the user wants.
case_bundled_password_in_program() {
  accounts
  mkdir -p "$R/usr/bin"
  put usr/bin/stratuslab-random-password 755 <"$here/src/guest/context/actions/random-password.sh"
  if [ "$shell" = "busybox sh" ]; then return; fi
  sed "s|^run_exec=|&$R|" "$here/src/guest/context/conf/01-password.context" | action 01-password
  run early
  code 1
  expect calls 1 "$(calls chpasswd)"
  unlogged "$(cut -d: -f2 "$box/password")"
}

# The persistent disk ----------------------------------------------------------------------------

disks() {
  local name
  for name in "$@"; do
    mkdir -p "$R/sys/devices/$name/holders" "$R/sys/block" "$R/sys/class/block" "$R/proc/self"
    echo 0 >"$R/sys/devices/$name/ro"
    echo "serial-$name" >"$R/sys/devices/$name/serial"
    ln -sf ../devices/$name "$R/sys/block/$name"
    ln -sf ../../devices/$name "$R/sys/class/block/$name"
    : >"$R/dev/$name"
  done
  mkdir -p "$R/sys/devices/vda/vda1/holders"
  echo 1 >"$R/sys/devices/vda/vda1/partition"
  echo "/dev/vda1 / ext4 rw 0 0" >"$R/proc/self/mounts"
  fake blkid <<'END'
[ -e "$box/full" ] || exit 2
END
  fake mount </dev/null
  for name in ext3 ext4 xfs; do echo ': >"$box/full"' | fake mkfs.$name; done
}

case_bundled_pdisk() {
  disks vda vdb sr0
  start pdisk
  code 0
  expect mount "mount [-o] [nosuid,nodev] [$R/dev/vdb] [$R/mnt/clouddisk]" "$(called mount)"
  expect mkfs 0 "$(calls mkfs.ext3)"
  disks vdc
  start pdisk
  code 1
  start pdisk PDISK_DEVICE=/dev/vdc PDISK_MOUNTPOINT=/data
  code 0
  expect mount "mount [-o] [nosuid,nodev] [$R/dev/vdc] [$R/data]" "$(called mount | tail -n 1)"
  echo "/dev/vdc $R/data ext4 rw 0 0" >>"$R/proc/self/mounts"
  start pdisk PDISK_DEVICE=vdc PDISK_MOUNTPOINT=/data
  code 0
  expect mounts 2 "$(calls mount)"
  start pdisk PDISK_DEVICE=vdx
  code 1
}

case_bundled_pdisk_format() {
  disks vda vdb
  start pdisk PDISK_FORMAT=yes PDISK_FORMAT_TYPE=ext4
  code 0
  expect mkfs "mkfs.ext4 [-F] [$R/dev/vdb]" "$(called mkfs.ext4)"
  start pdisk PDISK_FORMAT=yes PDISK_FORMAT_TYPE=ext4
  expect mkfs 1 "$(calls mkfs.ext4)"
  # What cannot be read is not taken for empty.
  echo 'exit 1' | fake blkid
  start pdisk PDISK_FORMAT=yes PDISK_FORMAT_TYPE=ext4
  expect mkfs 1 "$(calls mkfs.ext4)"
}

# Each disk is emptied once, whatever happens at the next starts.
case_bundled_pdisk_force() {
  disks vda vdb
  : >"$box/full"
  start pdisk PDISK_FORMAT=force
  code 3
  start pdisk PDISK_FORMAT=force PDISK_DEVICE=vdb PDISK_FORMAT_TYPE=xfs
  code 0
  expect mkfs "mkfs.xfs [-f] [$R/dev/vdb]" "$(called mkfs.xfs)"
  same pdisk PDISK_FORMAT=force PDISK_DEVICE=vdb PDISK_FORMAT_TYPE=xfs
  expect mkfs 1 "$(calls mkfs.xfs)"
  echo other >"$R/sys/devices/vdb/serial"
  start pdisk PDISK_FORMAT=force PDISK_DEVICE=vdb PDISK_FORMAT_TYPE=xfs
  expect mkfs 2 "$(calls mkfs.xfs)"
  # Known by the UUID: that is another one after the file system was made.
  echo >"$R/sys/devices/vdb/serial"
  echo 'cat "$box/full"' | fake blkid
  echo 'echo new >"$box/full"' | fake mkfs.ext4
  echo old >"$box/full"
  start pdisk PDISK_FORMAT=force PDISK_DEVICE=vdb PDISK_FORMAT_TYPE=ext4
  start pdisk PDISK_FORMAT=force PDISK_DEVICE=vdb PDISK_FORMAT_TYPE=ext4
  expect mkfs 1 "$(calls mkfs.ext4)"
  # In use.
  start pdisk PDISK_FORMAT=force PDISK_DEVICE=vda PDISK_FORMAT_TYPE=ext4
  code 3
  expect mkfs 1 "$(calls mkfs.ext4)"
}

case_bundled_pdisk_fails() {
  disks vda vdb
  echo 'exit 32' | fake mount
  start pdisk
  code 2
  echo 'exit 1' | fake mkfs.ext3
  start pdisk PDISK_FORMAT=yes
  code 3
}

case_bundled_pdisk_hostile() {
  local value
  disks vda vdb
  for value in ../etc/x '$(id)' 'a b' $'vdb\nx' '-x' '*'; do
    start pdisk "PDISK_DEVICE=$value"
    code 1
    start pdisk "PDISK_MOUNTPOINT=$value"
    code 1
    start pdisk "PDISK_FORMAT_TYPE=$value"
    code 3
    start pdisk "PDISK_FORMAT=$value"
    code 3
  done
  expect mounts "" "$(called mount)"
}

# The web server ---------------------------------------------------------------------------------

case_bundled_apache() {
  mkdir -p "$R"/etc/apache2/conf-{available,enabled} "$R/run/systemd/system"
  fake systemctl </dev/null
  fake htpasswd <<'END'
[ "$1 $2 $3" = "-i -B -c" ] && read -r password && echo "$5:$(echo "$password" | rev)" >"$4"
END
  start apache CREDENTIAL_LOGIN=ann 'CREDENTIAL_PASS=s: $(x) "y'
  code 0
  is etc/apache2/stratuslab-auth 'ann:y" )x($ :s'
  mode etc/apache2/stratuslab-auth 640
  expect "arguments with a secret" "" "$(grep -F 's: ' "$box/calls")"
  is etc/apache2/conf-enabled/stratuslab-auth.conf '# Written by stratuslab-apache-context.
<Location "/">
    AuthType Basic
    AuthName "Protected Area"
    AuthUserFile "/etc/apache2/stratuslab-auth"
    Require user "ann"
</Location>'
  expect reload "systemctl [try-reload-or-restart] [apache2]" "$(called systemctl)"
  same apache CREDENTIAL_LOGIN=ann 'CREDENTIAL_PASS=s: $(x) "y'
}

case_bundled_apache_redhat() {
  mkdir -p "$R"/etc/httpd/conf{,.d}
  fake service </dev/null
  echo 'cat >"$4"' | fake htpasswd
  start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=secret APACHE_AUTH_NAME="Ann's"
  code 1
  absent etc/httpd/conf/auth
  start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=secret APACHE_AUTH_NAME="Ann 1"
  code 0
  is etc/httpd/conf/auth secret
  holds etc/httpd/conf.d/auth.conf 'AuthName "Ann 1"'
  if ! command -v systemctl >/dev/null; then expect reload "service [httpd] [reload]" "$(called service)"; fi
}

case_bundled_apache_wrong() {
  local value
  start apache
  code 1
  start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=x
  code 1
  mkdir -p "$R"/etc/httpd/conf{,.d}
  echo 'cat >"$4"' | fake htpasswd
  start apache CREDENTIAL_LOGIN=ann
  code 1
  for value in $'a\nb' 'a"b' '$(id)' '<x>' '../x' '-x'; do
    if [ "$value" != -x ]; then
      start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=x "APACHE_AUTH_FILE=/etc/httpd/conf/$value"
      code 1
      start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=x "APACHE_AUTH_CONF=/etc/httpd/conf/$value"
      code 1
      if [ "$value" != ../x ]; then
        start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=x "APACHE_AUTH_NAME=$value"
        code 1
      fi
    fi
    start apache "CREDENTIAL_LOGIN=$value" CREDENTIAL_PASS=x
    code 1
  done
  start apache CREDENTIAL_LOGIN=ann $'CREDENTIAL_PASS=x\ny:z'
  code 1
  expect "files" "" "$(find "$R/etc/httpd" -type f)"
  echo 'exit 1' | fake htpasswd
  start apache CREDENTIAL_LOGIN=ann CREDENTIAL_PASS=x
  code 1
}

# The databases ----------------------------------------------------------------------------------

case_bundled_bio() {
  mkdir -p "$R/run/systemd/system"
  fake systemctl </dev/null
  echo '+auto.master' | put etc/auto.master
  start bio BIO_DB_SERVER=files.example.org
  code 0
  is etc/auto.bio '# Written by stratuslab-bio-context.
db -fstype=nfs,ro,soft,intr,nosuid,nodev,noexec files.example.org:/biomaj/db'
  is etc/auto.master $'+auto.master\n/automnt /etc/auto.bio'
  expect link /automnt/db "$(readlink "$R/bio/db")"
  # shellcheck disable=SC1091  # as a shell of a user does
  expect "for shells" /bio/db "$(. "$R/etc/profile.d/bio.sh" && echo "$BIO_DB_DIR")"
  expect reload "systemctl [reload-or-restart] [autofs]" "$(called systemctl)"
  same bio BIO_DB_SERVER=files.example.org
  echo '+dir:/etc/auto.master.d' | put etc/auto.master
  start bio BIO_DB_SERVER=files.example.org
  is etc/auto.master.d/bio.autofs "/automnt /etc/auto.bio"
  is etc/auto.master +dir:/etc/auto.master.d
  echo 'exit 1' | fake systemctl
  start bio BIO_DB_SERVER=files.example.org
  code 1
}

case_bundled_bio_hostile() {
  local value variable
  start bio
  code 1
  for value in $'a\nb' 'a b' '$(id)' '../x' '-x;y' '*'; do
    for variable in BIO_DB_SERVER BIO_DB_VOLUME BIO_MOUNT BIO_DB_MOUNT BIO_DB_MOUNT_OPTIONS BIO_ENV_FILE; do
      start bio BIO_DB_SERVER=files.example.org "$variable=$value"
      code 1
    done
  done
  absent etc/auto.bio
  absent bio
}

#!/bin/sh
# stratuslab-bio-context: mounts the biological databases of a file server when they are used.
#
#   BIO_DB_SERVER          the NFS server (required)
#   BIO_DB_VOLUME          what it exports, /biomaj/db
#   BIO_MOUNT              where the databases are to be seen, /bio
#   BIO_DB_MOUNT           their folder in there, db
#   BIO_DB_MOUNT_OPTIONS   ro,soft,intr,nosuid,nodev,noexec
#   BIO_ENV_FILE           tells shells of users where they are (BIO_DB_DIR), /etc/profile.d/bio.sh
#
# The automounter has them at /automnt; BIO_MOUNT has a link to there.
# Exit code: 1 without a server, with wrong variables, or if something failed.

LC_ALL=C
export LC_ALL
umask 022
root=${ROOT-}
root=${root%/}
PATH=$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

fail() {
  echo "stratuslab-bio-context: $*" >&2
  exit 1
}

# check_path NAME PATH
check_path() {
  case $2 in
  / | [!/]* | *..* | *[!A-Za-z0-9/._-]*) fail "$1 is no path" ;;
  esac
}

check_variables() {
  server=${BIO_DB_SERVER-}
  volume=${BIO_DB_VOLUME:-/biomaj/db}
  place=${BIO_MOUNT:-/bio}
  name=${BIO_DB_MOUNT:-db}
  options=${BIO_DB_MOUNT_OPTIONS:-ro,soft,intr,nosuid,nodev,noexec}
  env_file=${BIO_ENV_FILE:-/etc/profile.d/bio.sh}
  case $server in
  '') fail "BIO_DB_SERVER is not set" ;;
  -* | *[!A-Za-z0-9.-]*) fail "BIO_DB_SERVER is no name of a server" ;;
  esac
  case $name in
  .* | -* | *[!A-Za-z0-9._-]*) fail "BIO_DB_MOUNT is no name of a folder" ;;
  esac
  case $options in
  *[!A-Za-z0-9=,._-]*) fail "BIO_DB_MOUNT_OPTIONS are no options of mount" ;;
  esac
  check_path BIO_DB_VOLUME "$volume"
  check_path BIO_MOUNT "$place"
  check_path BIO_ENV_FILE "$env_file"
}

# put FILE: standard input becomes the file, at once.
put() {
  if ! mkdir -p "${1%/*}" || ! cat >"$1.new" || ! mv -f "$1.new" "$1"; then
    fail "${1#"$root"} cannot be written"
  fi
}

# The map and, in the main map, where it is. autofs reads /etc/auto.master.d/*.autofs if the main
# map says so, which it does but in old systems.
write_maps() {
  put "$root/etc/auto.bio" <<END
# Written by stratuslab-bio-context.
$name -fstype=nfs,$options $server:$volume
END
  if grep -qs '^+dir:/etc/auto.master.d' "$root/etc/auto.master"; then
    put "$root/etc/auto.master.d/bio.autofs" <<END
/automnt /etc/auto.bio
END
  elif ! grep -qs '^/automnt[[:blank:]]' "$root/etc/auto.master"; then
    echo "/automnt /etc/auto.bio" >>"$root/etc/auto.master" || fail "/etc/auto.master cannot be written"
  fi
}

# The link to the databases, and the variable that names it.
write_place() {
  mkdir -p "$root$place" "$root/automnt" || fail "$place cannot be made"
  if [ -e "$root$place/$name" ] && [ ! -L "$root$place/$name" ]; then fail "$place/$name is there already"; fi
  rm -f "$root$place/$name"
  ln -s "/automnt/$name" "$root$place/$name" || fail "$place/$name cannot be made"
  put "$root$env_file" <<END
# Written by stratuslab-bio-context.
BIO_DB_DIR=$place/$name
export BIO_DB_DIR
END
}

# The automounter reads its maps again, or is started.
reload() {
  if command -v systemctl >/dev/null && [ -d "$root/run/systemd/system" ]; then
    systemctl reload-or-restart autofs
  elif command -v service >/dev/null; then
    service autofs restart
  elif [ -x "$root/etc/init.d/autofs" ]; then
    "$root/etc/init.d/autofs" restart
  fi >/dev/null 2>&1 || fail "autofs could not be started: is it installed?"
}

check_variables
write_maps
write_place
reload

#!/bin/sh
# stratuslab-random-password: gives root a password that nobody knows.
#
# An image has the password of who made it, and everybody who has the image can try to find it. So
# root gets 32 random characters when the machine starts; log in with an SSH key. The password is
# never shown. In /etc/stratuslab/stratuslab-one-context.cfg:
#
#   root_password=random    this (default)
#   root_password=lock      no password at all is accepted for root
#   root_password=keep      root keeps what it has
#
# Exit codes: 0 it is done, 1 root still has the old password.

umask 077
LC_ALL=C
export LC_ALL
root=${ROOT-}
root=${root%/}
PATH=$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# Some shells keep a here-document in a file: where only root may look, in memory if possible.
for folder in "$root/run/stratuslab" "$root/var/lib/stratuslab"; do
  if [ -d "$folder" ]; then
    TMPDIR=$folder
    break
  fi
done

password_file=$root/etc/shadow
if [ ! -f "$password_file" ]; then password_file=$root/etc/passwd; fi
length=32

fail() {
  echo "stratuslab-random-password: $*" >&2
  exit 1
}

# guest_has COMMAND: is it there, and (in a test below $ROOT) the guest's own?
guest_has() {
  if [ -z "$root" ]; then
    command -v "$1" >/dev/null
    return
  fi
  [ -x "$root/usr/sbin/$1" ] || [ -x "$root/usr/bin/$1" ]
}

# trusted PATH: belongs to root, and nobody else can write it. (In a test, to who runs the test.)
trusted() {
  trusted_owner=0
  if [ -n "$root" ]; then trusted_owner=$(id -u); fi
  # shellcheck disable=SC2012  # mode and owner are what is wanted; find and stat differ too much
  ls -ldnL "$1" 2>/dev/null | (
    read -r permissions _links owner _rest || exit 1
    case $permissions in
    ?????w* | ????????w*) exit 1 ;;
    esac
    [ "$owner" = "$trusted_owner" ]
  )
}

# The word behind root_password= in the settings. The file is read, not executed; not if others
# could have written it.
setting() {
  trusted "$root/etc/stratuslab" && trusted "$root/etc/stratuslab/stratuslab-one-context.cfg" || return
  sed -n 's/^[[:blank:]]*root_password=["'\'']\{0,1\}\([a-z]*\).*/\1/p' \
    "$root/etc/stratuslab/stratuslab-one-context.cfg" 2>/dev/null | sed -n '$p'
}

# What stands in the file for the password of root.
root_field() {
  while IFS=: read -r name field _; do
    if [ "$name" = root ]; then
      cat <<END
$field
END
      return
    fi
  done <"$password_file"
}

# Sets password to $length characters of [A-Za-z0-9], or fails.
make_password() {
  # 62 of 256 bytes are letters or digits: 1024 bytes hold 32 of them but for one time in 10^60.
  password=$(head -c 1024 /dev/urandom | tr -dc 'A-Za-z0-9' | cut -c "1-$length")
  case $password in
  *[!A-Za-z0-9]*) return 1 ;;
  esac
  [ "${#password}" = "$length" ]
}

# Whether root has got a hash that was not there before.
has_new_hash() {
  now=$(root_field)
  case $now in
  "$before" | '' | x | '!'* | '*'*) return 1 ;;
  esac
  [ "${#now}" -ge 13 ]
}

# chpasswd makes the hash itself and reads from its standard input, which nobody can see.
set_by_chpasswd() {
  guest_has chpasswd || return 1
  chpasswd >/dev/null 2>&1 <<END
root:$password
END
  has_new_hash
}

# The hash is made by another program, for a chpasswd that cannot, or without one.
set_by_hash() {
  if guest_has mkpasswd; then
    hash=$(mkpasswd -s -m sha-512 2>/dev/null <<END
$password
END
    )
  fi
  if [ -z "${hash-}" ] && guest_has openssl; then
    hash=$(openssl passwd -6 -stdin 2>/dev/null <<END
$password
END
    )
  fi
  case ${hash-} in
  '' | *[!A-Za-z0-9./\$=,+_-]*) return 1 ;;
  esac
  set_field "$hash" && has_new_hash
}

# Replaces the field of root. The copy keeps owner and permissions, and takes the place of the file
# when it is complete.
set_field() {
  copy=${password_file%/*}/.${password_file##*/}.stratus.$$
  rm -f "$copy"
  if cp -p "$password_file" "$copy" 2>/dev/null && with_field "$1" <"$password_file" >"$copy" &&
    [ "$(wc -l <"$copy")" -ge "$(wc -l <"$password_file")" ]; then
    sync
    if mv -f "$copy" "$password_file" 2>/dev/null; then
      if guest_has restorecon; then restorecon -F "$password_file" >/dev/null 2>&1; fi
      [ "$(root_field)" = "$1" ]
      return
    fi
  fi
  rm -f "$copy" 2>/dev/null
  return 1
}

with_field() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    root:*:*)
      rest=${line#root:}
      line=root:$1:${rest#*:}
      ;;
    esac
    cat <<END
$line
END
  done
}

# No password is accepted: `*` is no hash. An SSH key is, unlike with `!` in some systems.
lock() {
  if [ "$(root_field)" = '*' ]; then return 0; fi
  set_field '*'
}

[ -f "$password_file" ] || fail "there is no $password_file"
before=$(root_field)

case $(setting) in
keep) exit 0 ;;
lock)
  lock || fail "$password_file cannot be written: root still has its old password"
  exit 0
  ;;
esac

if ! make_password; then
  why="/dev/urandom gave no password"
elif set_by_chpasswd || set_by_hash; then
  exit 0
else
  why="neither chpasswd nor another program could set a password"
fi
lock || fail "$why, and $password_file cannot be written: root still has its old password"
echo "stratuslab-random-password: $why: the password of root is locked" >&2

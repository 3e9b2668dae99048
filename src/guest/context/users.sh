
# Accounts ---------------------------------------------------------------------------------------

# The account USERNAME (root if there is none) exists, and has the password of the context.
set_users() {
  value USERNAME
  user_name=${VALUE:-root}
  # Not longer than utmp has room for; no name that a tool could take for an option or a path.
  case $user_name in
  [!A-Za-z_]* | *[!A-Za-z0-9._-]* | *. | *..* | ?????????????????????????????????*)
    trouble "USERNAME is refused: it is no name of an account"
    return 1
    ;;
  esac
  if ! has_account "$user_name" && ! add_account; then return 1; fi
  if [ "$user_name" != root ]; then allow_sudo; fi
  set_password
}

# has_account NAME
has_account() {
  grep -q "^$(print_text "$1" | sed 's/\./\\./g'):" "$root/etc/passwd"
}

# Creates the account with a home, without a password: `*` lets nobody in with one but, unlike the
# `!` of useradd, does not lock SSH keys out where SSH works without PAM.
add_account() {
  user_shell=/bin/sh
  if [ -x "$root/bin/bash" ]; then user_shell=/bin/bash; fi
  if guest_has useradd; then
    useradd -m -s $user_shell "$user_name" </dev/null >/dev/null 2>&1
  elif guest_has adduser; then
    # That of busybox.
    adduser -D -s $user_shell "$user_name" </dev/null >/dev/null 2>&1
  fi
  if ! has_account "$user_name"; then
    trouble "the account $user_name could not be made"
    return 1
  fi
  say "the account $user_name was made"
  case $(password_field "$user_name") in
  '!' | '!!') set_password_field "$user_name" '*' ;;
  esac
}

# Lets the account do all as root without a password, as the tools of OpenNebula do, where sudo is;
# USERNAME_SUDO=NO is against it. The account of an earlier context loses that.
allow_sudo() {
  # sudo does not read files with a dot in the name.
  sudo_file=$root/etc/sudoers.d/stratuslab-$(print_text "$user_name" | tr . _)
  for other_file in "$root"/etc/sudoers.d/stratuslab-*; do
    if [ "$other_file" != "$sudo_file" ]; then rm -f "$other_file"; fi
  done
  value USERNAME_SUDO
  case $VALUE in
  [Nn][Oo] | [Ff][Aa][Ll][Ss][Ee] | 0)
    rm -f "$sudo_file"
    return 0
    ;;
  esac
  guest_has sudo && [ -d "$root/etc/sudoers.d" ] || return 0
  if ! print_text "$user_name ALL=(ALL) NOPASSWD: ALL" | write_file "$sudo_file" 440; then
    trouble "$sudo_file could not be written"
  fi
  relabel "$sudo_file"
}

# Sets the password that the context has, in one of four forms; the first of them that is there.
# Neither it nor its hash becomes an argument of a command or a line of the log.
set_password() {
  for user_variable in CRYPTED_PASSWORD_BASE64 CRYPTED_PASSWORD PASSWORD_BASE64 PASSWORD; do
    value $user_variable
    if [ -n "$VALUE" ]; then break; fi
  done
  user_password=$VALUE
  if [ -z "$user_password" ]; then return 0; fi
  case $user_variable in
  *_BASE64)
    user_password=$(print_text "$user_password" | decode_base64 2>/dev/null) || user_password=
    if [ -z "$user_password" ]; then
      trouble "$user_variable is refused: it is not base64"
      return 1
    fi
    ;;
  esac
  case $user_variable in
  CRYPTED_*) set_crypted_password ;;
  *) set_plain_password ;;
  esac
}

# A hash as crypt(5) makes it: nothing else fits between the colons of the file.
set_crypted_password() {
  case $user_password in
  *[!A-Za-z0-9./\$=,+_-]*)
    trouble "$user_variable is refused: it is no hash of a password"
    return 1
    ;;
  esac
  if [ "${#user_password}" -lt 13 ] || [ "${#user_password}" -gt 500 ]; then
    trouble "$user_variable is refused: it is no hash of a password"
    return 1
  fi
  if [ "$(password_field "$user_name")" = "$user_password" ]; then return 0; fi
  if guest_has chpasswd; then print_text "$user_name:$user_password" | chpasswd -e >/dev/null 2>&1; fi
  if [ "$(password_field "$user_name")" != "$user_password" ]; then
    set_password_field "$user_name" "$user_password"
  fi && say "the password of $user_name was set"
}

# A plain password, which chpasswd makes a hash of. It takes the rest of the line: a colon is fine,
# a line break would be another account.
set_plain_password() {
  case $user_password in
  *[$control$tab]* | *"$nl"*)
    trouble "$user_variable is refused: it has a line break or another control character in it"
    return 1
    ;;
  esac
  # More than crypt(3) takes.
  if [ "${#user_password}" -gt 511 ]; then
    trouble "$user_variable is refused: it is too long"
    return 1
  fi
  if guest_has chpasswd && print_text "$user_name:$user_password" | chpasswd >/dev/null 2>&1; then
    case $(password_field "$user_name") in
    '' | '!'* | '*'* | x) ;;
    *)
      say "the password of $user_name was set"
      return 0
      ;;
    esac
  fi
  trouble "the password of $user_name could not be set"
  return 1
}

# The file with the passwords: some very small systems have no shadow.
password_file() {
  if [ -f "$root/etc/shadow" ]; then echo "$root/etc/shadow"; else echo "$root/etc/passwd"; fi
}

# password_field NAME: prints what is there for the password.
password_field() {
  while IFS=: read -r field_name field_text _; do
    if [ "$field_name" = "$1" ]; then print_text "$field_text"; fi
  done <"$(password_file)"
}

# set_password_field NAME TEXT: where no tool can. The copy keeps owner and permissions.
set_password_field() {
  field_file=$(password_file)
  field_copy=${field_file%/*}/.${field_file##*/}.stratus.$$
  rm -f "$field_copy"
  if cp -p "$field_file" "$field_copy" && replace_field "$1" "$2" <"$field_file" >"$field_copy" &&
    [ -s "$field_copy" ]; then
    sync "$field_copy" 2>/dev/null || sync
    if mv -f "$field_copy" "$field_file"; then
      relabel "$field_file"
      return 0
    fi
  fi
  rm -f "$field_copy"
  trouble "$field_file could not be written"
  return 1
}

replace_field() {
  while IFS= read -r field_line || [ -n "$field_line" ]; do
    case $field_line in
    "$1":*:*)
      field_rest=${field_line#*:}
      field_line=$1:$2:${field_rest#*:}
      ;;
    esac
    print_text "$field_line"
  done
}

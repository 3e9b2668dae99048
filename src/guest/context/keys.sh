
# Keys -------------------------------------------------------------------------------------------

# A key has options perhaps, a type, the key itself in base64, and perhaps a comment.
key_form="^([^#]*[ $tab])?(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+[ $tab]+[A-Za-z0-9+/]+=*([ $tab].*)?\$"
key_count_limit=256
key_length_limit=16384

# The keys that the user gave become the keys of USERNAME, or of root.
set_keys() {
  gather_keys | clean_keys >"$scratch/keys"
  if [ ! -s "$scratch/keys" ]; then return 0; fi
  key_user=root
  if value USERNAME && [ -n "$VALUE" ]; then
    case $VALUE in
    [!A-Za-z_]* | *[!A-Za-z0-9_.-]*)
      trouble "USERNAME is no name of a user: the keys are not used"
      return 1
      ;;
    esac
    key_user=$VALUE
  fi
  find_user "$key_user" || {
    trouble "there is no user $key_user: the keys are not used"
    return 1
  }
  if [ ! -d "$root$user_home" ]; then
    trouble "the home folder of $key_user is not there: the keys are not used"
    return 1
  fi
  key_folder=$root$user_home/.ssh
  key_file=$key_folder/authorized_keys
  place_keys
}

# Prints what may be keys, from all the places where clouds put them.
gather_keys() {
  for key_name in PUBLIC_KEY SSH_PUBLIC_KEY SSH_KEY EC2_PUBLIC_KEY; do
    if value "$key_name"; then print_text "$VALUE"; fi
  done
  if [ "$mounted" != yes ]; then return; fi
  case $medium_kind in
  config-drive-1)
    if [ -f "$mount_dir/root/.ssh/authorized_keys" ]; then cat "$mount_dir/root/.ssh/authorized_keys"; fi
    ;;
  config-drive)
    # In JSON a key is a string of its own, perhaps with \n at its end and \/ for /.
    if [ -f "$mount_dir/openstack/latest/meta_data.json" ]; then
      tr '"\n' '\n ' <"$mount_dir/openstack/latest/meta_data.json" | sed 's,\\/,/,g' | grep -E "$key_form"
    fi
    ;;
  nocloud)
    # In YAML it is an item of public-keys: "- KEY", "NAME: KEY" or ["KEY", ...].
    sed -n '/^public[-_]keys:/,/^[a-z]/{
        /^public[-_]keys:/p
        /^[a-z]/!p
      }' "$mount_dir/meta-data" | sed 's/[]["]/\
/g' |
      sed "s/^[ $tab]*-[ $tab]*//; s/^[ $tab]*[A-Za-z0-9_.-]*:[ $tab][ $tab]*//; s/^'//; s/'\$//; s/^[ $tab]*//"
    ;;
  esac
}

# Lets through what has the form of a key. Old clients wrote \n between keys.
clean_keys() {
  tr -d '\000' | sed "
    s/\\\\n\\([ $tab]*ssh-\\)/\\
\\1/g
    s/\\\\n\\([ $tab]*ecdsa-\\)/\\
\\1/g
    s/\\\\n\\([ $tab]*sk-\\)/\\
\\1/g
    s/\\\\n[ $tab$cr]*\$//" |
    sed "s/^[ $tab]*//; s/[ $tab$cr]*\$//; /^#/d" |
    grep -E "$key_form" | sed "/[$control]/d" | sed "${key_count_limit}q"
}

# find_user NAME: sets user_id, user_group and user_home from /etc/passwd.
find_user() {
  while IFS=: read -r passwd_name _password user_id user_group _comment user_home _shell; do
    if [ "$passwd_name" = "$1" ]; then
      case $user_id:$user_group:$user_home in
      *[!0-9]*:*:* | :*) return 1 ;;
      *:*[!0-9]*:/* | *::/*) return 1 ;;
      *:*:/*) return 0 ;;
      *) return 1 ;;
      esac
    fi
  done <"$root/etc/passwd"
  return 1
}

# owned_by_user PATH
owned_by_user() {
  # shellcheck disable=SC2012  # the owner's number is what is wanted
  ls -ldn "$1" 2>/dev/null | (
    read -r _permissions _links owner _rest || exit 1
    [ "$owner" = "$user_id" ]
  )
}

# Adds the keys that are not there yet to the user's authorized_keys.
place_keys() {
  if [ -L "$key_folder" ]; then
    trouble "$key_folder is a link: the keys are not used"
    return 1
  fi
  key_owner=
  if [ "$(id -u)" = 0 ]; then key_owner=$user_id:$user_group; fi
  if [ ! -d "$key_folder" ]; then
    mkdir -m 700 "$key_folder" || return 1
    if [ -n "$key_owner" ]; then chown -h "$key_owner" "$key_folder"; fi
  fi
  cd -P "$key_folder" || return 1
  place_keys_here
  key_code=$?
  release_folder
  cd "$root/" || return 1
  if [ "$key_code" != 0 ]; then return 1; fi
  if has restorecon; then restorecon -RF "$key_folder" >/dev/null 2>&1; fi
  say "keys: $key_added new for $key_user"
}

# The same in the folder that this shell is in. The user may have a program that runs already and
# puts links in the place of files; so the folder is root's until all is done.
place_keys_here() {
  if ! owned_by_user .; then
    trouble "$key_folder does not belong to $key_user: the keys are not used"
    return 1
  fi
  key_held=yes
  if [ -n "$key_owner" ]; then chown 0:0 . && chmod 711 . || return 1; fi
  if [ -L authorized_keys ]; then
    trouble "$key_file is a link: the keys are not used"
    return 1
  elif [ -e authorized_keys ] && [ ! -f authorized_keys ]; then
    trouble "$key_file is no file: the keys are not used"
    return 1
  elif [ -e authorized_keys ] && ! owned_by_user authorized_keys; then
    trouble "$key_file does not belong to $key_user: the keys are not used"
    return 1
  fi
  merge_keys >"$scratch/authorized_keys" || return 1
  write_file ./authorized_keys 600 "$key_owner" <"$scratch/authorized_keys" || {
    trouble "$key_file cannot be written"
    return 1
  }
}

# Gives the folder back.
key_held=no
release_folder() {
  if [ "$key_held" = no ]; then return; fi
  key_held=no
  chmod 700 .
  if [ -n "$key_owner" ]; then chown "$key_owner" .; fi
}

# Prints the file as it is, and the keys that it has not. Lines differ if more than blanks at the
# end does.
merge_keys() {
  key_added=0
  key_known=$nl
  if [ -f authorized_keys ]; then
    cat authorized_keys
    key_known=$nl$(sed "s/[ $tab$cr]*\$//" authorized_keys)$nl
    # The last line may have no newline.
    case $(tail -c 1 authorized_keys) in
    '') ;;
    *) echo ;;
    esac
  fi
  while IFS= read -r key_line; do
    if [ "${#key_line}" -gt "$key_length_limit" ]; then continue; fi
    case $key_known in
    *"$nl$key_line$nl"*) continue ;;
    esac
    print_text "$key_line"
    key_known=$key_known$key_line$nl
    key_added=$((key_added + 1))
  done <"$scratch/keys"
}

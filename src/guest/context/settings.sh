
# Settings ---------------------------------------------------------------------------------------

settings_folder=$root/etc/stratuslab
context_device=auto
handle=auto
refused=0

# has COMMAND: is there such a command?
has() {
  command -v "$1" >/dev/null 2>&1
}

# is_yes WORD
is_yes() {
  case $1 in
  yes | YES | Yes | true | TRUE | 1 | on | ON) return 0 ;;
  *) return 1 ;;
  esac
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

# refuse PATH: it is not used, because others than root could have written it.
refuse() {
  refused=$((refused + 1))
  trouble "$1 is refused: it, or its folder, does not belong to root or can be written by others"
}

# Takes the settings, and opens the log.
read_settings() {
  open_log
  settings_file=$settings_folder/stratuslab-one-context.cfg
  if [ ! -f "$settings_file" ]; then return; fi
  if trusted "$settings_folder" && trusted "$settings_file"; then
    read_context "$settings_file"
    load_defaults
    value context_device && context_device=$VALUE
    value log_console && log_console=$VALUE
    value handle && handle=$VALUE
    if [ "$log_console" != yes ]; then
      if is_yes "$log_console"; then log_console=yes; else log_console=no; fi
    fi
  else
    refuse "$settings_file"
  fi
}

# Decides what is left to others: the tool of OpenNebula on its own medium, and cloud-init.
choose_work() {
  work="keys users hostname network grow timezone scripts actions"
  case $handle in
  auto | '') ;;
  *)
    work=$handle
    return
    ;;
  esac
  if [ "$medium_label" = CONTEXT ] &&
    { [ -x "$root/usr/sbin/one-contextd" ] || [ -x "$root/usr/bin/one-contextd" ]; }; then
    work="keys actions"
    say "one-context is here: only $work are ours"
  elif [ -e "$root/run/cloud-init/enabled" ]; then
    # What it has written of the network gives way to ours, which comes after it; both know the
    # same variables. Growing at the same time would not do.
    work="keys users hostname network timezone scripts actions"
    say "cloud-init is active: $work are ours"
  fi
}

# ours WORD: is this ours to do?
ours() {
  case " $work " in
  *" $1 "*) return 0 ;;
  *) return 1 ;;
  esac
}

# The folder of what is kept until the machine stops, and in it a folder of this run.
make_scratch() {
  run_folder=$root/run/stratuslab
  if [ ! -d "$root/run" ] || ! make_private "$run_folder"; then
    run_folder=$root/var/lib/stratuslab
    mkdir -p "$root/var/lib" 2>/dev/null
    make_private "$run_folder" || return 1
  fi
  remove_leftovers
  scratch=$run_folder/work.$$
  rm -rf "$scratch"
  mkdir -m 700 "$scratch" || return 1
  # Some shells keep the text of a here-document in a file.
  TMPDIR=$scratch
}

# What runs that were killed have left: a mounted medium, and values, which may be secret.
remove_leftovers() {
  for leftover in "$run_folder"/work.*; do
    if [ -d "$leftover" ] && ! kill -0 "${leftover##*.}" 2>/dev/null; then
      if [ -f "$leftover/mounted" ]; then
        read -r leftover_place <"$leftover/mounted"
        umount "$leftover_place" >/dev/null 2>&1
      fi
      rm -rf "$leftover"
    fi
  done
}

# make_private FOLDER: it is there, is ours, and is no link.
make_private() {
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then rm -f "$1" 2>/dev/null; fi
  if [ ! -d "$1" ]; then mkdir -m 700 "$1" 2>/dev/null || return 1; fi
  chmod 700 "$1" 2>/dev/null && trusted "$1" && [ -w "$1" ]
}

# write_file PATH MODE [OWNER]: standard input becomes the file, completely or not at all. What is
# the same already is left alone; a link is replaced, not followed.
write_file() {
  write_temporary=${1%/*}/.${1##*/}.stratus.$$
  rm -f "$write_temporary"
  if (set -C && cat >"$write_temporary") 2>/dev/null && chmod "$2" "$write_temporary" &&
    { [ -z "${3-}" ] || chown "$3" "$write_temporary"; }; then
    if [ -f "$1" ] && [ ! -L "$1" ] && cmp -s "$write_temporary" "$1"; then
      rm -f "$write_temporary"
      chmod "$2" "$1" && { [ -z "${3-}" ] || chown "$3" "$1"; }
      return
    fi
    sync "$write_temporary" 2>/dev/null || sync
    if [ ! -d "$1" ] || [ -L "$1" ]; then
      mv -f "$write_temporary" "$1" && return
    fi
  fi
  rm -f "$write_temporary"
  return 1
}

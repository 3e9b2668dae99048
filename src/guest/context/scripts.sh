
# Scripts of the user ----------------------------------------------------------------------------

# Runs what the medium has to run: init.sh or INIT_SCRIPTS, SCRIPT_EXEC, START_SCRIPT.
run_scripts() {
  script_folder=$scratch/scripts
  mkdir -p "$script_folder"
  script_exec=yes
  if value INIT_SCRIPTS && [ -n "$VALUE" ]; then
    run_init_scripts "$VALUE"
  elif [ "$mounted" = yes ] && [ -f "$mount_dir/init.sh" ]; then
    run_init_scripts init.sh
  fi
  if [ "$script_exec" = yes ] && value SCRIPT_EXEC && [ -n "$VALUE" ]; then
    print_text "$VALUE" >"$script_folder/SCRIPT_EXEC"
    run_child SCRIPT_EXEC "$script_place" '' sh "$script_folder/SCRIPT_EXEC"
  fi
  run_start_script
}

# run_init_scripts NAMES: scripts on the medium, separated by blanks. A copy is run, since the
# medium may be mounted so that nothing on it can be.
run_init_scripts() {
  if [ "$mounted" != yes ]; then return; fi
  set -f
  # shellcheck disable=SC2086  # the words of it
  set -- $1
  set +f
  for script_name; do
    case $script_name in
    */* | .* | -* | *[!A-Za-z0-9._+@%,:=~-]*)
      fail_step "INIT_SCRIPTS: a name that is none of a script on the medium"
      continue
      ;;
    esac
    if [ -L "$mount_dir/$script_name" ] || [ ! -f "$mount_dir/$script_name" ]; then
      fail_step "$script_name: it is not on the medium"
      continue
    fi
    if stock_init "$mount_dir/$script_name"; then
      say "$script_name: that of StratusLab; its work is done without it"
      continue
    fi
    # A script that looks after SCRIPT_EXEC runs it itself.
    if [ "$script_name" = init.sh ] && grep -q SCRIPT_EXEC "$mount_dir/init.sh"; then script_exec=no; fi
    cat "$mount_dir/$script_name" >"$script_folder/$script_name"
    run_script "$script_name" "$script_folder/$script_name"
  done
}

# stock_init FILE: is it StratusLab's own init.sh, which only places PUBLIC_KEY and runs SCRIPT_EXEC?
stock_init() {
  grep -q 'CONTEXT_FILE=/mnt/stratuslab/context\.sh' "$1" &&
    grep -q 'INIT_SCRIPT=/tmp/init_extra\.sh' "$1"
}

# START_SCRIPT, or START_SCRIPT_BASE64.
run_start_script() {
  start_file=$script_folder/START_SCRIPT
  if value START_SCRIPT_BASE64 && [ -n "$VALUE" ]; then
    if ! print_text "$VALUE" | decode_base64 >"$start_file" 2>/dev/null || [ ! -s "$start_file" ]; then
      fail_step "START_SCRIPT_BASE64: it cannot be decoded"
      return
    fi
  elif value START_SCRIPT && [ -n "$VALUE" ]; then
    print_text "$VALUE" >"$start_file"
  else
    return
  fi
  run_script START_SCRIPT "$start_file"
}

# decode_base64: with what there is for it. Line breaks inside do not matter.
decode_base64() {
  if has base64; then
    tr -d ' \t\r\n' | base64 -d
  elif has openssl; then
    tr -d ' \t\r\n' | openssl base64 -d -A
  else
    tr -d ' \t\r\n' | busybox base64 -d
  fi
}

# run_script NAME FILE: runs it with the interpreter of its first line, as the kernel would; it is
# not executed itself, since /run may be mounted so that nothing on it can be.
# shellcheck disable=SC2295  # $blank is a set of characters; posh would not match it in quotes
run_script() {
  IFS= read -r script_first <"$2" 2>/dev/null
  script_first=${script_first%"$cr"}
  case $script_first in
  '#!'*) ;;
  *ELF*)
    chmod 700 "$2"
    run_child "$1" "$script_place" '' "$2"
    return
    ;;
  *) script_first= ;;
  esac
  script_first=${script_first#'#!'}
  script_first=${script_first#"${script_first%%[!$blank]*}"}
  script_program=${script_first%%[$blank]*}
  script_option=${script_first#"$script_program"}
  script_option=${script_option#"${script_option%%[!$blank]*}"}
  script_option=${script_option%"${script_option##*[!$blank]}"}
  case $script_program in
  /*) ;;
  *) script_program=sh script_option= ;;
  esac
  if [ -n "$script_option" ]; then
    run_child "$1" "$script_place" '' "$script_program" "$script_option" "$2"
  else
    run_child "$1" "$script_place" '' "$script_program" "$2"
  fi
}

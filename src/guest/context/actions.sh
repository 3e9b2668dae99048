
# Actions ----------------------------------------------------------------------------------------

failed=0

# fail_step TEXT: something was not done; the exit code will tell.
fail_step() {
  failed=$((failed + 1))
  trouble "$*"
  note "$*"
}

# Takes the defaults of all *.context, in the order of their names, and notes their actions in
# $scratch/actions, as $scratch/action.1, action.2, ...
read_contexts() {
  action_count=0
  context_folder=$settings_folder/conf.d
  if [ -d "$context_folder" ]; then
    if trusted "$settings_folder" && trusted "$context_folder"; then
      for context_file in "$context_folder"/*.context; do
        if [ -f "$context_file" ]; then read_action "$context_file"; fi
      done
    else
      refuse "$context_folder"
    fi
  fi
  load_defaults
}

# read_action FILE: one *.context.
read_action() {
  if ! trusted "$1"; then
    refuse "$1"
    return
  fi
  action_name=${1##*/}
  action_name=${action_name%.context}
  # Not in a condition: set -e would have no effect in the file.
  read_context "$1"
  if [ ! -e "$scratch/read.done" ]; then
    failed=$((failed + 1))
    note "$action_name: cannot be read"
    return
  fi
  read -r action_enable <"$scratch/read.action"
  if [ "$action_enable" != yes ]; then
    is_yes "$action_enable" || return 0
    say "$action_name: enable=$action_enable is taken for enable=yes"
  fi
  action_count=$((action_count + 1))
  {
    print_text "$action_name"
    cat "$scratch/read.action"
  } >"$scratch/action.$action_count"
}

# run_actions STAGE: early or late. Those without a stage, or with another word, are late.
run_actions() {
  action_number=0
  while [ "$action_number" -lt "$action_count" ]; do
    action_number=$((action_number + 1))
    {
      IFS= read -r action_name
      read -r _enable
      read -r action_stage
      read -r action_timeout
    } <"$scratch/action.$action_number"
    case $1:$action_stage in
    early:early) ;;
    early:* | late:early) continue ;;
    esac
    action_command=$(sed 1,4d "$scratch/action.$action_number")
    if [ -n "$action_command" ]; then run_action; fi
  done
}

# run_exec may be a command line. If its first word is a file that cannot be executed, sh runs it.
run_action() {
  case $action_timeout in
  *[!0-9]*)
    trouble "$action_name: run_timeout is no number of seconds"
    action_timeout=
    ;;
  esac
  # shellcheck disable=SC2295  # a set of characters; posh would not match it in quotes
  action_program=${action_command%%[$blank$nl]*}
  case $action_program in
  /*)
    if [ -f "$root$action_program" ]; then
      if [ ! -x "$root$action_program" ]; then
        action_command="sh $root$action_command"
      else
        action_command=$root$action_command
      fi
    fi
    ;;
  esac
  run_child "$action_name" "$root/" "$action_timeout" sh -c "$action_command"
}

# run_child NAME FOLDER SECONDS COMMAND...: runs a program with all values as its environment. Its
# output goes to the log when it ends; through a file, since what it leaves running would hold a
# pipe. SECONDS is the time that it may take, or empty.
run_child() {
  child_name=$1
  child_folder=$2
  child_seconds=$3
  shift 3
  say "$child_name: run"
  if [ -n "$child_seconds" ]; then
    if ! has timeout; then
      trouble "$child_name: no command to limit its time"
    elif timeout 1 true 2>/dev/null; then
      set -- timeout "$child_seconds" "$@"
    else
      set -- timeout -t "$child_seconds" "$@"
    fi
  fi
  (
    trap - 0 HUP INT TERM
    cd "$child_folder" || exit 126
    umask 022
    set -a
    # shellcheck disable=SC1091  # a file of assignments
    . "$scratch/children"
    set +a
    unset LC_ALL
    exec "$@"
  ) </dev/null >"$scratch/output" 2>&1
  child_code=$?
  log_output "$child_name"
  if [ "$child_code" = 0 ]; then
    say "$child_name: ok"
    note "$child_name: ok"
  else
    fail_step "$child_name: failed, exit $child_code"
  fi
}

# log_output NAME: the end of $scratch/output goes to the log, with the name in front of each line.
log_output() {
  if [ -s "$scratch/output" ]; then
    case $1 in
    *[!A-Za-z0-9._+@%,:=-]*) log_prefix=action ;;
    *) log_prefix=$1 ;;
    esac
    tail -c 65536 "$scratch/output" | sed "s/^/  $log_prefix: /" >>"$log_file"
  fi
  rm -f "$scratch/output"
}


# Main -------------------------------------------------------------------------------------------

# step NAME: calls the function; a failure is told and counted.
step() {
  "$1" || fail_step "$1: failed"
}

# What needs no network, and should be there before anybody can log in.
do_early() {
  if ours hostname; then step set_hostname; fi
  if ours network; then step set_network; fi
  if ours timezone; then step set_timezone; fi
  # The random password first: a password that the user gave comes after it and stays.
  if ours actions; then run_actions early; fi
  if ours users; then step set_users; fi
  if ours keys; then step set_keys; fi
  # Last, because it may take long on a large disk.
  if ours grow; then step grow_root; fi
}

# What may need the network.
do_late() {
  # DNS can tell the name only now.
  if [ "$stage" = late ] && ours hostname && value DNS_HOSTNAME && is_yes "$VALUE"; then step set_hostname; fi
  if [ "$stage" = late ] && ours keys; then step set_keys; fi
  if ours scripts; then run_scripts; fi
  if ours actions; then run_actions late; fi
}

# How often the medium is looked for: the early run waits for its device, a later one need not.
medium_patience() {
  if [ "$stage" = late ] && [ -e "$run_folder/no-medium" ]; then echo 1; else echo 10; fi
}

# The medium and what is on it.
take_medium() {
  find_medium "$(medium_patience)"
  script_place=$root/
  if [ "$mounted" = yes ]; then
    rm -f "$run_folder/no-medium"
    script_place=$mount_dir
    read_medium
    note "medium: ${medium_label:-no label} on $medium_device"
  elif [ "$medium_status" = 2 ]; then
    note "medium: cannot be mounted"
  else
    cat /dev/null >"$run_folder/no-medium"
    say "no medium with parameters was found"
    note "medium: none"
  fi
}

# The exit code of the run.
exit_code() {
  if [ "$refused" -gt 0 ]; then
    echo 4
  elif [ "$failed" -gt 0 ]; then
    echo 3
  else
    echo "$medium_status"
  fi
}

# Leaves nothing behind, whatever ends the run. (In mksh, the code of exit is lost in a trap.)
clean_up() {
  release_folder
  unmount_medium
  rm -rf "$scratch"
  exit "$final_code"
}

# stop_run CODE: a signal.
stop_run() {
  final_code=$1
  exit "$1"
}

# run_stage: early, late or both.
run_stage() {
  clean_environment
  make_scratch || {
    echo "stratuslab-one-context: $run_folder cannot be used; this has to be run by root" >&2
    exit 3
  }
  final_code=3
  trap clean_up 0
  trap 'stop_run 129' HUP
  trap 'stop_run 130' INT
  trap 'stop_run 143' TERM
  begin_status "$stage"
  read_settings
  say "begin: $stage"
  if [ "$stage" != late ]; then step set_host_keys; fi
  read_contexts
  take_medium
  choose_work
  prepare_children
  if [ "$stage" != late ]; then do_early; fi
  if [ "$stage" != early ]; then do_late; fi
  unmount_medium
  final_code=$(exit_code)
  end_status "$final_code"
  say "end: $stage, exit $final_code ($(explain "$final_code"))"
  exit "$final_code"
}

usage() {
  echo "usage: stratuslab-one-context [early|late|status]"
}

case $#:${1-} in
0:)
  stage=both
  run_stage
  ;;
1:early | 1:late)
  stage=$1
  run_stage
  ;;
1:status) show_status ;;
1:-h | 1:--help) usage ;;
*)
  usage >&2
  exit 64
  ;;
esac


# Status -----------------------------------------------------------------------------------------
#
# $run_folder/status.STAGE has what a person wants to know of the last run, and
# $run_folder/code the exit code of the last one.

status_file=/dev/null

# begin_status STAGE
begin_status() {
  status_file=$run_folder/status.$1
  print_text "$1: begun $(date '+%Y-%m-%d %H:%M:%S')" >"$status_file"
  rm -f "$run_folder/code"
}

# note TEXT: one line of the status.
note() {
  print_text "  $*" >>"$status_file"
}

# end_status CODE
end_status() {
  note "ended $(date '+%Y-%m-%d %H:%M:%S'), exit $1 ($(explain "$1"))"
  print_text "$1" >"$run_folder/code"
}

# explain CODE: in words.
explain() {
  case $1 in
  0) echo "all is done" ;;
  1) echo "no medium" ;;
  2) echo "the medium cannot be read completely" ;;
  3) echo "something failed" ;;
  4) echo "a file of the configuration was refused" ;;
  *) echo "interrupted" ;;
  esac
}

# Prints the status of the last runs; ends with the last exit code.
show_status() {
  for run_folder in "$root/run/stratuslab" "$root/var/lib/stratuslab"; do
    if [ -f "$run_folder/status.early" ] || [ -f "$run_folder/status.late" ] ||
      [ -f "$run_folder/status.both" ]; then
      for status_stage in both early late; do
        if [ -f "$run_folder/status.$status_stage" ]; then cat "$run_folder/status.$status_stage"; fi
      done
      if [ -f "$run_folder/code" ]; then
        read -r status_code <"$run_folder/code"
        return "$status_code"
      fi
      echo "the last run has not ended"
      return 3
    fi
  done
  echo "stratuslab-one-context has not run since this machine was started"
  return 1
}

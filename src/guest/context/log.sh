
# Log -------------------------------------------------------------------------------------------

log_file=/dev/null
log_limit=1048576
log_console=yes

# Opens the log. An old one of 1 MiB becomes .1; a link in its place is removed, not followed.
open_log() {
  log_file=$root/var/log/stratuslab-one-context.log
  mkdir -p "$root/var/log" 2>/dev/null
  if [ -L "$log_file" ] || { [ -e "$log_file" ] && [ ! -f "$log_file" ]; }; then
    rm -rf "$log_file"
  elif [ -f "$log_file" ] && [ "$(wc -c <"$log_file")" -ge "$log_limit" ]; then
    mv -f "$log_file" "$log_file.1"
  fi
  # The parentheses keep a shell alive for which a failed redirection is the end.
  if (cat /dev/null >>"$log_file") 2>/dev/null; then
    chmod 600 "$log_file"
  else
    log_file=/dev/null
  fi
}

# say TEXT...: one line to the log, to the system's log and to the console.
say() {
  say_line=$*
  case $say_line in
  *[!\ -~]*) say_line=$(print_text "$say_line" | tr '\n\t' '  ' | tr -d '\000-\037\177') ;;
  esac
  say_time=$(date '+%Y-%m-%d %H:%M:%S')
  print_text "$say_time $say_line" >>"$log_file"
  if has logger; then
    print_text "$say_line" | logger -t stratuslab-one-context >/dev/null 2>&1
  fi
  if [ "$log_console" = yes ] && [ -w "$root/dev/console" ]; then
    # A machine may have a console that cannot be opened.
    (print_text "stratuslab-one-context: $say_line" >>"$root/dev/console") 2>/dev/null
  fi
  if [ -t 2 ]; then print_text "$say_line" >&2; fi
}

# trouble TEXT...: something is not as it should be.
trouble() {
  say "warning: $*"
}

# print_text TEXT: any text of any length and a newline. Not printf: where that is no builtin, the
# text would be an argument of a process, which everybody can see and which has a limit.
print_text() {
  cat <<END
$1
END
}

#!/bin/bash
# Part of context.sh: what nobody else may see.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

# Every command that the program uses notes its arguments.
case_secrets() {
  local name found
  for name in date cat sed tr grep tail dd wc ls chmod chown mv rm id sort printf base64 openssl env cmp mkdir; do
    fake "$name" <<END
exec $(type -P "$name") "\$@"
END
  done
  action 10-default <<<"MY_SECRET='hidden-default'"
  action 50-x <<<$'enable=yes\nstage=early\nrun_exec="echo shown"'
  context "PASSWORD_BASE64='aGlkZGVu'
TOKEN=hidden-token
CRYPTED_PASSWORD='\$6\$hidden\$crypted'
START_SCRIPT='true hidden-script'
SCRIPT_EXEC='true hidden-exec'
USER_DATA='hidden-data'
FOO='hidden, too'"
  run
  code 0
  logged shown
  unlogged hidden
  lacks dev/console hidden
  found=$(grep -e hidden -e aGlkZGVu "$box/calls")
  expect "arguments of programs" "" "$found"
  expect "commands were seen" yes "$(grep -q '^sed \[' "$box/calls" && echo yes)"
  expect "left behind" "" "$(grep -rl hidden "$R/run" "$R/tmp" "$R/var" "$R/etc/stratuslab/stratuslab-one-context.cfg" 2>/dev/null)"
  run status
  case $out in *hidden*) expect status "no secret" "$out" ;; esac
}

case_private_folders() {
  action 50-x <<<$'enable=yes\nrun_exec=/usr/bin/look'
  fake look <<'END'
stat -c %a "$ROOT/run/stratuslab" "$ROOT"/run/stratuslab/work.* "$ROOT"/run/stratuslab/work.*/* | sort -u >"$ROOT/modes"
END
  context "A=1"
  run
  is modes $'600\n700'
}

# A folder in our place, of somebody else.
case_run_folder_of_others() {
  if [ "$(id -u)" != 0 ]; then return; fi
  mkdir "$R/elsewhere"
  ln -s ../elsewhere "$R/run/stratuslab"
  context "A=1"
  run
  code 0
  expect "elsewhere" "" "$(ls -A "$R/elsewhere")"
  rm -rf "$R/run/stratuslab"
  install -d -o 77 "$R/run/stratuslab"
  run
  code 0
  expect "in the folder of others" "" "$(ls -A "$R/run/stratuslab")"
  run status
  code 0
}

case_no_run_folder() {
  rmdir "$R/run"
  context "A=1"
  run
  code 0
  mode var/lib/stratuslab 700
  run status
  code 0
}

#!/bin/bash
# Part of context.sh: *.context files, however bad, and the programs that they name.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

# note_action NAME [LINE...]: an action that adds its name and FOO to $R/order.
note_action() {
  local name=$1
  shift
  printf '%s\n' "$@" enable=yes "run_exec='/usr/bin/order $name'" | action "$name"
  fake order <<'END'
echo "$1 ${FOO-}" >>"$ROOT/order"
END
}

# Runs the late stage without waiting for a medium.
late() {
  install -d -m 700 "$R/run/stratuslab"
  : >"$R/run/stratuslab/no-medium"
  run late
}

case_order() {
  note_action 10-b FOO=1
  note_action 9-a
  note_action B-x FOO=2
  note_action a-y FOO=3
  note_action zz
  late
  code 1
  # The later default wins for all, since actions are run when everything is read.
  is order $'10-b 3\n9-a 3\nB-x 3\na-y 3\nzz 3'
}

case_stages() {
  note_action 1-late
  note_action 2-early stage=early
  note_action 3-odd stage=sometimes
  run early
  is order "2-early "
  rm "$R/order"
  run late
  is order $'1-late \n3-odd '
  rm "$R/order"
  run
  is order $'2-early \n1-late \n3-odd '
}

case_enable() {
  local word
  for word in no '' Y enabled 0 false YES Yes true 1 on; do
    printf '%s\n' "enable=$word" "run_exec='/usr/bin/order x$word'" | action "x$word"
  done
  note_action last
  action never <<<'run_exec="/usr/bin/order never"'
  late
  is order $'last \nx1 \nxYES \nxYes \nxon \nxtrue '
  logged "xYES: enable=YES is taken for enable=yes"
}

case_failing_does_not_stop() {
  note_action 1
  action 2 <<<$'enable=yes\nrun_exec="sh -c \'exit 7\'"'
  action 3 <<<$'enable=yes\nrun_exec=/no/such'
  note_action 4
  late
  code 3
  is order $'1 \n4 '
  logged "2: failed, exit 7"
  logged "3: failed, exit 127"
  logged "4: ok"
}

case_command_lines() {
  action 1 <<<$'enable=yes\nrun_exec="/plain one \'two  words\' ; echo more"'
  put plain 644 <<<'printf "%s|" "$@" >$ROOT/plain-ran; echo >>$ROOT/plain-ran; pwd; cat; echo done'
  action 2 <<<$'enable=yes\nrun_exec="echo several words"'
  late
  code 1
  is plain-ran "one|two  words|"
  logged "1: done"
  logged "1: more"
  logged "2: several words"
}

case_left_running() {
  local began=$SECONDS
  action 1 <<<$'enable=yes\nrun_exec="sleep 30 & echo left"'
  late
  code 1
  logged "1: left"
  if [ $((SECONDS - began)) -gt 20 ]; then expect "does not wait" fast slow; fi
}

case_timeout() {
  action 1 <<<$'enable=yes\nrun_timeout=1\nrun_exec="sleep 30"'
  action 2 <<<$'enable=yes\nrun_timeout=soon\nrun_exec="echo two"'
  late
  code 3
  logged "1: failed"
  logged "2: run_timeout is no number"
  logged "2: two"
}

# Whatever a *.context does, those after it are read, and run with what was set before it.
bad_context() {
  action 10-before <<<"FOO='set before'"
  action 50-bad
  note_action 60-after
  late
  is order "60-after ${1-set before}"
  absent 'run/stratuslab/work.*'
}

case_exits() { bad_context <<<$'BAR=1\nexit 3'; code 1; }
case_changes_folder() { bad_context <<<'cd /tmp; umask 0; exec >/dev/null'; code 1; }
case_set_e() { bad_context <<<$'set -eu\nfalse\nFOO=never'; code 1; }
case_sets_all_options() { bad_context <<<'set -e -u -f -C; shift 2>/dev/null || :; set -- ; IFS=e'; }
case_traps() { bad_context <<<'trap "echo trapped" 0 1 2 15'; code 3; }
case_kills_itself() { bad_context <<<'sh -c "kill -9 \$PPID; :"'; code 3; }
case_syntax_error() { bad_context <<<$'FOO=new\nif then'; code 3; logged "50-bad.context is not used: it is no shell text"; }
case_reads_input() { bad_context <<<'cat; read x; while read -r y; do :; done'; code 1; }
case_readonly() { bad_context ro <<<'readonly FOO=ro BAR=2'; code 1; }
case_no_path() { bad_context <<<'unset PATH; LC_ALL=xx'; code 1; }
case_other_path() { bad_context <<<'PATH=/nowhere; export PATH'; code 1; }
case_execs() { bad_context <<<'exec sleep 100'; code 3; logged "did not come to an end"; }
case_loops() { bad_context <<<'while :; do :; done'; code 3; }
case_functions() { bad_context <<<'say() { exit 9; }; value() { exit 9; }; cat() { exit 9; }; root=/nowhere; scratch=/nowhere'; }
case_output() { bad_context <<<'echo told; echo warned >&2'; code 1; logged "50-bad.context: told"; logged "50-bad.context: warned"; }
case_unsets() { bad_context '' <<<'unset FOO'; code 1; }
case_long_value() { bad_context <<<"BAR='$(printf '%070000d' 7)'"; code 1; }

case_carries_any_value() {
  action 10-x <<'END'
FOO="@@ <@= =@> it's
a 'b' \\ \"c\"  
export EVIL=1
<@@=\`=@@>"
EMPTY=
A1='=@>'
A2='<@'
A3="'"
A4="
"
END
  action 20-y <<<'SEEN=$FOO; enable=yes; run_exec=/usr/bin/seen'
  fake seen <<'END'
for v in "$FOO" "$SEEN" "${EMPTY-unset}" "$A1" "$A2" "$A3" "$A4"; do printf '[%s]' "$v"; done >"$ROOT/seen"
echo "${EVIL-none}" >>"$ROOT/seen"
END
  late
  code 1
  local value=$'@@ <@= =@> it\'s\na \'b\' \\ "c"  \nexport EVIL=1\n<@@=`=@@>'
  is seen "[$value][$value][][=@>][<@]['][
]none"
}

case_refused() {
  note_action 10
  note_action 20
  chmod 666 "$R/etc/stratuslab/conf.d/20.context"
  note_action 30
  late
  code 4
  is order $'10 \n30 '
  logged "20.context is refused"
  chmod 644 "$R/etc/stratuslab/conf.d/20.context"
  chmod 664 "$R/etc/stratuslab/conf.d/30.context"
  rm "$R/order"
  late
  code 4
  is order $'10 \n20 '
  if [ "$(id -u)" = 0 ]; then
    chmod 644 "$R/etc/stratuslab/conf.d/30.context"
    chown 12345 "$R/etc/stratuslab/conf.d/10.context"
    rm "$R/order"
    late
    code 4
    is order $'20 \n30 '
  fi
  chmod 777 "$R/etc/stratuslab/conf.d"
  rm "$R/order"
  late
  code 4
  absent order
}

case_settings_refused() {
  put etc/stratuslab/stratuslab-one-context.cfg 666 <<<"handle=keys"
  note_action 10
  late
  code 4
  is order "10 "
}

case_bad_settings() {
  put etc/stratuslab/stratuslab-one-context.cfg <<<$'log_console=no\nexit 7'
  note_action 10
  late
  is order "10 "
  lacks dev/console begin
  put etc/stratuslab/stratuslab-one-context.cfg <<<'if'
  late
  holds dev/console begin
}

case_same_names_as_the_medium() {
  note_action 10 "FOO='a default'"
  context "FOO=
enable=no
run_exec=/evil
stage=early"
  run
  code 0
  is order "10 "
}

case_log_is_a_link() {
  ln -s ../../etc/passwd "$R/$log"
  local before
  before=$(<"$R/etc/passwd")
  note_action 10
  late
  is etc/passwd "$before"
  logged "10: ok"
  if [ -L "$R/$log" ]; then expect "the log" "a file" "a link"; fi
}

case_log_is_rotated() {
  head -c 1048576 /dev/zero >"$R/$log"
  late
  expect "old log" 1048576 "$(stat -c %s "$R/$log.1")"
  logged "begin: late"
  mode $log 600
}

case_environment_is_no_default() {
  note_action 10
  install -d -m 700 "$R/run/stratuslab"
  : >"$R/run/stratuslab/no-medium"
  out=$(env -i ROOT="$R" FOO=inherited U_FOO=x BASH_ENV=/nowhere $shell "$program" late 2>&1 </dev/null)
  is order "10 "
}

case_status() {
  run status
  code 1
  note_action 10
  action 20 <<<$'enable=yes\nrun_exec="exit 7"'
  medium _STRATUSLAB hdd
  on_medium context.sh <<<A=1
  run early
  code 0
  run late
  code 3
  run status
  code 3
  local line
  for line in "early: begun " "exit 0 (all is done)" "late: begun " "medium: _STRATUSLAB on " "10: ok" "20: failed, exit 7" \
    "exit 3 (something failed)"; do
    case $out in *"$line"*) ;; *) expect status "$line" "$out" ;; esac
  done
}

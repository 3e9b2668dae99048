#!/bin/bash
# Part of context.sh: what the medium brings to be run.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

case_own_init() {
  context "FOO='a b'"
  on_medium init.sh <<'END'
. "$CONTEXT_FILE"
printf '%s|' "$FOO" "$PWD" "$MOUNT_DIR" "$(ls)" "$(umask)" >"$ROOT/ran"
echo "$0" | grep -c stratuslab >>"$ROOT/ran"
exit 5
END
  run
  code 3
  is ran "a b|$R/mnt/stratuslab|$R/mnt/stratuslab|context.sh
init.sh|0022|1"
  logged "init.sh: failed, exit 5"
  unmounted
}

case_stock_init() {
  medium _STRATUSLAB
  on_medium context.sh <<'END'
PUBLIC_KEY="ssh-rsa AAAAB3Nza $HOME@here"
SCRIPT_EXEC="printf '%s|' a  b * >$ROOT/ran; echo >>$ROOT/ran"
END
  on_medium init.sh <<'END'
#!/bin/bash
CONTEXT_FILE=/mnt/stratuslab/context.sh
INIT_SCRIPT=/tmp/init_extra.sh
. $CONTEXT_FILE
echo ran >"$ROOT/stock"
END
  run
  code 0
  absent stock
  is ran "a|b|context.sh|init.sh|"
  is root/.ssh/authorized_keys 'ssh-rsa AAAAB3Nza $HOME@here'
  absent 'tmp/*'
  again
}

case_init_scripts() {
  medium CONTEXT
  printf '%s\n' "INIT_SCRIPTS='one.sh ../two.sh .hidden -n missing link two.py'" | on_medium context.sh
  on_medium one.sh <<<'echo "one $(basename "$PWD")" >>$ROOT/ran'
  on_medium init.sh <<<'echo init >>$ROOT/ran'
  on_medium .hidden <<<'echo hidden >>$ROOT/ran'
  on_medium ./-n <<<'echo dash >>$ROOT/ran'
  on_medium two.py <<<$'#! /usr/bin/env python3 \r\nimport os\nopen(os.environ["ROOT"] + "/ran", "a").write("python\\n")'
  echo 'echo link >>$ROOT/ran' >"$box/outside"
  ln -s "$box/outside" "$M/link"
  cp "$box/outside" "$box/two.sh"
  run
  code 3
  is ran $'one stratuslab\npython'
  logged "missing: it is not on the medium"
  logged "link: it is not on the medium"
}

case_start_script() {
  context "START_SCRIPT='#!/bin/bash -e
x=(1 2)
echo \"\${x[1]} \$FOO \$PWD\" >\$ROOT/ran
false
echo more >>\$ROOT/ran'
FOO='it'\\''s'"
  run early
  absent ran
  run late
  code 3
  is ran "2 it's $R/mnt/stratuslab"
  logged "START_SCRIPT: failed, exit 1"
  unlogged "x=(1 2)"
}

case_start_script_base64() {
  context "START_SCRIPT_BASE64='$(printf '%s\n' '#!/no/such/shell' | base64)'"
  run
  code 3
  no_media
  context "START_SCRIPT_BASE64='$(printf '%s\n' 'echo "$@ 64" >$ROOT/ran' | base64 | sed 's/^.../&\n/')'
START_SCRIPT='echo plain >>\$ROOT/ran'"
  run
  code 0
  is ran " 64"
  no_media
  context "START_SCRIPT_BASE64='@@@'"
  run
  code 3
  logged "START_SCRIPT_BASE64: it cannot be decoded"
  unmounted
}

case_script_exec_of_own_init() {
  context 'SCRIPT_EXEC="echo exec >>$ROOT/ran"'
  on_medium init.sh <<<'sh -c "$SCRIPT_EXEC"'
  run
  is ran exec
}

# A script that ends in the folder of the medium leaves nothing mounted, and the rest is done.
case_left_in_medium() {
  context 'START_SCRIPT="sleep 5 & exit 9"'
  action 90 <<<$'enable=yes\nrun_exec="echo last"'
  run
  code 3
  logged "90: last"
  unmounted
}

#!/bin/bash
# Part of context.sh: a whole run, as it should be.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

key="ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA user@home"

# An action that tells what it was given.
probe() {
  action "${1-50-probe}" <<END
${2-}
enable=yes
run_exec=/usr/bin/probe
END
  fake probe <<'END'
printf '%s|' "$FOO" "$BAR" "$PWD" "$(cat)" >"$ROOT/probe"
printf '\n' >>"$ROOT/probe"
umask -S >"$ROOT/umask"
END
}

case_first() {
  probe 50-probe FOO=bar
  context "FOO='shi \$HOME it'\\''s'
SSH_PUBLIC_KEY='$key'"
  run
  code 0
  is probe 'shi $HOME it'\''s||'"$R||"
  is umask u=rwx,g=rx,o=rx
  is root/.ssh/authorized_keys "$key"
  mode root/.ssh 700
  mode root/.ssh/authorized_keys 600
  mode $log 600
  logged "50-probe: run"
  logged "50-probe: ok"
  unmounted
  absent 'run/stratuslab/work.*'
  again
}

case_no_medium() {
  probe 50-probe 'FOO="a default"; BAR=$FOO'
  run early
  code 1
  absent probe
  expect "seconds waited" 9 "$(calls pause)"
  run late
  code 1
  expect "seconds waited" 9 "$(calls pause)"
  is probe "a default|a default|$R||"
  logged "no medium"
}

#!/bin/bash
# Part of context.sh: the user's keys.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

one="ssh-rsa AAAAB3NzaC1yc2E= one@home"
two="ssh-ed25519 AAAAC3NzaC1lZDI1 two words"

# keys VALUE: gives them as SSH_PUBLIC_KEY.
keys() {
  no_media
  context "SSH_PUBLIC_KEY='$1'
${2-}"
  run early
}

case_key_names() {
  context "PUBLIC_KEY='ssh-rsa AAAA1'
SSH_PUBLIC_KEY='ssh-rsa AAAA2'
SSH_KEY='ssh-rsa AAAA3'
EC2_PUBLIC_KEY='ssh-rsa AAAA4'"
  run early
  code 0
  is root/.ssh/authorized_keys $'ssh-rsa AAAA1\nssh-rsa AAAA2\nssh-rsa AAAA3\nssh-rsa AAAA4'
  expect "labels of SELinux" "restorecon [-RF] [$R/root/.ssh]" "$(called restorecon)"
  again early
}

# key_table: a value, and what becomes of it; both in the escapes of printf.
case_key_forms() {
  local given wanted
  while IFS='|' read -r given wanted; do
    rm -rf "$R/root/.ssh"
    keys "$(printf '%b.' "$given" | sed '$s/\.$//')"
    code 0
    if [ -n "$wanted" ]; then
      is root/.ssh/authorized_keys "$(printf '%b' "$wanted")"
    else
      absent root/.ssh
    fi
  done <<'END'
ssh-rsa AAAA1 a\nssh-rsa AAAA2 b|ssh-rsa AAAA1 a\nssh-rsa AAAA2 b
ssh-rsa AAAA1 a\\nssh-rsa AAAA2 b\\n|ssh-rsa AAAA1 a\nssh-rsa AAAA2 b
ssh-rsa AAAA1 a\r\n\r\n  ssh-rsa AAAA2 b  \t\r\n|ssh-rsa AAAA1 a\nssh-rsa AAAA2 b
# comment\n#ssh-rsa AAAA0\n\nssh-dss AAAA1\nssh-dss AAAA1  |ssh-dss AAAA1
command="echo it; exit",no-pty ssh-rsa AAAA1 a|command="echo it; exit",no-pty ssh-rsa AAAA1 a
sk-ssh-ed25519@openssh.com AAAA1\necdsa-sha2-nistp256 AAAA2=|sk-ssh-ed25519@openssh.com AAAA1\necdsa-sha2-nistp256 AAAA2=
-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA|
no key at all|
ssh-rsa|
ssh-rsa AAAA1 bell\a|
ssh-rsa AAAA1 h\0303\0251|ssh-rsa AAAA1 h\0303\0251
|
END
}

case_key_file_stays() {
  put root/.ssh/authorized_keys 600 <<<"# mine"$'\n'"$one  "
  chmod 700 "$R/root/.ssh"
  printf 'ssh-rsa AAAAlast' >>"$R/root/.ssh/authorized_keys"
  keys "$one
$two"
  is root/.ssh/authorized_keys "# mine"$'\n'"$one  "$'\nssh-rsa AAAAlast\n'"$two"
  again early
}

case_many_keys() {
  keys "$(for ((n = 0; n < 400; n++)); do echo "ssh-rsa AAAA$n x"; done)
ssh-rsa AAAA$(printf '%017000d' 1)"
  expect "keys" 256 "$(wc -l <"$R/root/.ssh/authorized_keys")"
  rm -r "$R/root/.ssh"
  keys "ssh-rsa AAAA$(printf '%017000d' 1)
$one"
  is root/.ssh/authorized_keys "$one"
}

case_other_user() {
  keys "$one" "USERNAME=ann"
  code 0
  is home/ann/.ssh/authorized_keys "$one"
  absent root/.ssh
}

case_user_with_capitals() {
  echo "Bob:x:$(id -u):$(id -g):Bob:/home/Bob:/bin/sh" >>"$R/etc/passwd"
  mkdir "$R/home/Bob"
  keys "$one" "USERNAME=Bob"
  code 0
  is home/Bob/.ssh/authorized_keys "$one"
}

case_user_of_other_number() {
  if [ "$(id -u)" != 0 ]; then return; fi
  printf 'bob:x:1234:2345:Bob:/home/bob:/bin/sh\n' >>"$R/etc/passwd"
  install -d -o 1234 -g 2345 "$R/home/bob"
  keys "$one" "USERNAME=bob"
  code 0
  expect "owner" "1234:2345 1234:2345" "$(stat -c %u:%g "$R/home/bob/.ssh" "$R/home/bob/.ssh/authorized_keys" | paste -sd ' ')"
  again early
  chown 0 "$R/home/bob/.ssh/authorized_keys"
  keys "$two" "USERNAME=bob"
  code 3
  is home/bob/.ssh/authorized_keys "$one"
  chown 1234 "$R/home/bob/.ssh/authorized_keys"
  chown 5 "$R/home/bob/.ssh"
  keys "$two" "USERNAME=bob"
  code 3
  is home/bob/.ssh/authorized_keys "$one"
}

case_folder_is_held() {
  if [ "$(id -u)" != 0 ]; then return; fi
  printf 'bob:x:1234:2345:Bob:/home/bob:/bin/sh\n' >>"$R/etc/passwd"
  install -d -o 1234 -g 2345 "$R/home/bob"
  fake sync <<<'stat -c "%u:%g %a" "$box/root/home/bob/.ssh" >"$box/held"'
  keys "$one" "USERNAME=bob"
  code 0
  expect "while the keys are written" "0:0 711" "$(cat "$box/held")"
  expect "then" "1234:2345 700" "$(stat -c '%u:%g %a' "$R/home/bob/.ssh")"
  is home/bob/.ssh/authorized_keys "$one"
  fake sync <<<'kill -TERM "$(sed -n "s/^PPid:[^0-9]*//p" /proc/$$/status)"; sleep 1'
  keys "$two" "USERNAME=bob"
  expect "after a signal" "1234:2345 700" "$(stat -c '%u:%g %a' "$R/home/bob/.ssh")"
}

case_bad_users() {
  local name
  for name in nobody-here '../root' 'ann x' '-x' 'Ann' '.*' 'ann
root' 'a:b'; do
    keys "$one" "USERNAME='$name'"
    code 3
    absent root/.ssh
    absent home/ann/.ssh
  done
}

case_ssh_folder_is_a_link() {
  mkdir -m 700 "$R/elsewhere"
  ln -s ../elsewhere "$R/root/.ssh"
  keys "$one"
  code 3
  absent elsewhere/authorized_keys
  unmounted
}

case_key_file_is_a_link() {
  mkdir -m 700 "$R/root/.ssh"
  put victim <<<victim
  ln -s ../../victim "$R/root/.ssh/authorized_keys"
  keys "$one"
  code 3
  is victim victim
}

case_key_file_is_no_file() {
  mkdir -m 700 "$R/root/.ssh" "$R/root/.ssh/authorized_keys"
  keys "$one"
  code 3
  absent 'root/.ssh/authorized_keys/*'
}

case_no_home() {
  rmdir "$R/root"
  keys "$one"
  code 3
}

case_not_ours() {
  put etc/stratuslab/stratuslab-one-context.cfg <<<'handle="users actions"'
  keys "$one"
  code 0
  absent root/.ssh
}

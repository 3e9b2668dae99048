#!/bin/bash
# Part of boot.sh: a machine that runs, and the ways into it.
#
# shellcheck disable=SC2034,SC2154  # its variables are those of boot.sh

# A machine --------------------------------------------------------------------------------------

# power_on BUS ADDRESS [OPTIONS...]: SSH at the guest's address is at 127.0.0.1:$port.
power_on() {
  local bus=$1 address=$2 tries
  shift 2
  rm -f "$work"/{monitor,monitor.log,serial}
  mkfifo "$work/monitor"
  : >"$work/monitor.log"
  exec {monitor}<>"$work/monitor"
  timeout -k 10 $((BOOT + HALT + 600)) qemu-system-x86_64 -machine pc,accel=tcg -m 768 -smp 2 \
    -display none -vga std -no-reboot -serial "file:$work/serial" -monitor stdio \
    -drive "file=$work/disk.raw,format=raw,if=$bus,cache=unsafe" \
    -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:0-$address:22" "$@" \
    <"$work/monitor" >"$work/monitor.log" 2>&1 &
  machine=$!
  echo 'info usernet' >&"$monitor"
  port=
  for ((tries = 0; tries < 100; tries++)); do
    port=$(awk '/HOST_FORWARD/ { print $4; exit }' "$work/monitor.log")
    [ -z "$port" ] || return 0
    sleep 0.2
  done
  cat "$work/monitor.log"
  return 1
}

# What stands on the screen, which is in text mode: all the memory it scrolls through.
screen() {
  rm -f "$work/screen"
  echo "pmemsave 0xb8000 32768 \"$work/screen\"" >&"$monitor"
  sleep 1
  od -An -v -tu1 -w2 "$work/screen" | awk '
    { printf "%c", ($1 < 32 || $1 > 126) ? 32 : $1 }
    NR % 80 == 0 { print "" }' | sed 's/ *$//' | grep . || :
}

running() {
  kill -0 "$machine" 2>/dev/null
}

# wait_for_ssh: the server's first line has come.
wait_for_ssh() {
  local began=$SECONDS line
  while running && [ $((SECONDS - began)) -lt "$BOOT" ]; do
    line=$(timeout 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && head -c 8 <&3" 2>/dev/null |
      tr -d '\0') || :
    if [[ $line == SSH-2.0* ]]; then
      echo "SSH answers after $((SECONDS - began)) s"
      return 0
    fi
    sleep 2
  done
  echo "no SSH after $((SECONDS - began)) s; the screen:"
  screen
  return 1
}

power_off() {
  local began=$SECONDS
  remote poweroff >"$work/poweroff.log" 2>&1 || :
  while running && [ $((SECONDS - began)) -lt "$HALT" ]; do sleep 1; done
  if running; then
    kill "$machine"
    wait "$machine" || :
    machine=
    return 1
  fi
  wait "$machine" || :
  machine=
}

SSH=(
  ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60
  -o IdentitiesOnly=yes -o IdentityAgent=none -o LogLevel=ERROR
)

with_key() {
  local key=$1 user=$2
  shift 2
  "${SSH[@]}" -o BatchMode=yes -i "$key" -p "$port" "$user@127.0.0.1" "$@"
}

with_password() {
  local user=$1
  shift
  SSH_ASKPASS=$folder/askpass SSH_ASKPASS_REQUIRE=force "${SSH[@]}" -o PubkeyAuthentication=no \
    -o NumberOfPasswordPrompts=1 -p "$port" "$user@127.0.0.1" "$@"
}

# As root, by the way that is open.
remote() {
  if [ "$variant" = control ]; then with_password root "$@"; else with_key "$folder/key" root "$@"; fi
}

# What the server offers to somebody without any key.
methods() {
  "${SSH[@]}" -v -o LogLevel=VERBOSE -o PreferredAuthentications=none -p "$port" "$1@127.0.0.1" \
    true 2>&1 </dev/null | sed -n 's/.*Permission denied (\(.*\))\..*/\1/p' | head -n 1
}

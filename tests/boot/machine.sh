#!/bin/bash
# Part of boot.sh: a machine that runs, and the ways into it.
#
# shellcheck disable=SC2034,SC2154  # its variables are those of boot.sh

# A machine --------------------------------------------------------------------------------------

# power_on BUS [OPTIONS...]: SSH at each address that the guest may have is at a port of 127.0.0.1.
power_on() {
  local bus=$1 address forwards='' tries disk=virtio-blk-pci
  shift
  [ "$bus" != ide ] || disk=ide-hd,bus=ide.0
  rm -f "$here"/{monitor,monitor.log,serial}
  mkfifo "$here/monitor"
  : >"$here/monitor.log"
  exec {monitor}<>"$here/monitor"
  for address in $DHCP_ADDRESS $MEDIUM_ADDRESS $OWN_ADDRESS; do
    forwards+=,hostfwd=tcp:127.0.0.1:0-$address:22
  done
  timeout -k 10 $((BOOT + HALT + 900)) qemu-system-x86_64 -machine pc,accel=tcg -m 768 -smp 2 \
    -display none -vga std -no-reboot -serial "file:$here/serial" -monitor stdio \
    -drive "file=$here/disk.raw,format=raw,if=none,id=disk,cache=unsafe" \
    -device "$disk,drive=disk,bootindex=1" "${attached[@]}" \
    -nic "user,model=virtio-net-pci,mac=$MAC,restrict=on$forwards" "$@" \
    <"$here/monitor" >"$here/monitor.log" 2>&1 &
  machine=$!
  echo 'info usernet' >&"$monitor"
  for ((tries = 0; tries < 100; tries++)); do
    [ "$(grep -c HOST_FORWARD "$here/monitor.log")" -lt 3 ] || return 0
    sleep 0.2
  done
  cat "$here/monitor.log"
  return 1
}

# The port of 127.0.0.1 that leads to an address of the guest.
port_of() {
  awk -v address="$1" '/HOST_FORWARD/ && $5 == address { print $4; exit }' "$here/monitor.log"
}

# What stands on the screen, which is in text mode: all the memory it scrolls through.
screen() {
  rm -f "$here/screen"
  echo "pmemsave 0xb8000 32768 \"$here/screen\"" >&"$monitor"
  sleep 1
  od -An -v -tu1 -w2 "$here/screen" | awk '
    { printf "%c", ($1 < 32 || $1 > 126) ? 32 : $1 }
    NR % 80 == 0 { print "" }' | sed 's/ *$//' | grep . || :
}

running() {
  kill -0 "$machine" 2>/dev/null
}

# answers ADDRESS SECONDS: the server's first line comes from there.
answers() {
  local line
  port=$(port_of "$1")
  line=$(timeout "$2" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && head -c 8 <&3" 2>/dev/null |
    tr -d '\0') || :
  [[ $line == SSH-2.0* ]]
}

# wait_for_ssh ADDRESS: there, or at another of its addresses, so that one can look why.
wait_for_ssh() {
  local began=$SECONDS address patience
  while running && [ $((SECONDS - began)) -lt "$BOOT" ]; do
    patience=10
    for address in "$1" $DHCP_ADDRESS $MEDIUM_ADDRESS $OWN_ADDRESS; do
      if answers "$address" "$patience"; then
        echo "SSH answers at $address after $((SECONDS - began)) s"
        return 0
      fi
      patience=3
    done
    sleep 2
  done
  echo "no SSH after $((SECONDS - began)) s; the screen:"
  screen
  return 1
}

power_off() {
  local began=$SECONDS
  remote poweroff >"$here/poweroff.log" 2>&1 || :
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
  timeout --foreground 420 ssh -F /dev/null -o StrictHostKeyChecking=no
  -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60 -o IdentitiesOnly=yes
  -o IdentityAgent=none -o LogLevel=ERROR -o ServerAliveInterval=30
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

# Network interfaces of this machine ---------------------------------------------------------------

# Prints number and name of each Ethernet interface, in the order in which the kernel found them:
# real cards (they have a device); where there is none (a container) all but bridges and the like.
list_interfaces() {
  for net_wanted in card any; do
    for net_dir in "$root"/sys/class/net/*; do
      net_type=1 net_number=0
      if [ -r "$net_dir/type" ]; then read -r net_type <"$net_dir/type"; fi
      if [ -r "$net_dir/ifindex" ]; then read -r net_number <"$net_dir/ifindex"; fi
      if [ "$net_type" != 1 ] || [ -e "$net_dir/wireless" ] || [ -e "$net_dir/phy80211" ]; then continue; fi
      if [ $net_wanted = card ]; then
        [ -e "$net_dir/device" ] || continue
      elif [ -e "$net_dir/bridge" ] || [ -e "$net_dir/bonding" ] || ! [ -e "$net_dir/address" ]; then
        continue
      fi
      echo "$net_number ${net_dir##*/}"
    done | sort -n >"$scratch/interfaces"
    if [ -s "$scratch/interfaces" ]; then break; fi
  done
  cat "$scratch/interfaces"
}

# Sets net_name to the interface with the hardware address $net_mac; without one to the N-th.
look_for_interface() {
  net_name=
  net_rank=0
  for net_word in $(list_interfaces); do
    # Number and name take turns.
    net_rank=$((net_rank + 1))
    if [ $((net_rank % 2)) = 1 ]; then continue; fi
    is_interface_name "$net_word" || continue
    if [ -n "$net_mac" ]; then
      net_address=
      if [ -r "$root/sys/class/net/$net_word/address" ]; then
        read -r net_address <"$root/sys/class/net/$net_word/address"
      fi
      if [ "$net_address" = "$net_mac" ]; then net_name=$net_word; fi
    elif [ "$net_rank" = $(($1 * 2 + 2)) ]; then
      net_name=$net_word
    fi
    if [ -n "$net_name" ]; then return 0; fi
  done
  return 1
}

# Finds the interface of ETHn. At this time of a boot its driver may not have been loaded, or udev
# may be about to give it its final name; so there is a wait, five seconds for all interfaces.
find_interface() {
  if [ "$net_settled" = no ]; then
    net_settled=yes
    if guest_has udevadm; then udevadm settle --timeout=10 >/dev/null 2>&1; fi
  fi
  until look_for_interface "$1"; do
    [ "$net_waited" -lt 5 ] || return 1
    net_waited=$((net_waited + 1))
    pause
  done
}

# Whether an interface works already.
is_up() {
  net_state=
  if [ -r "$root/sys/class/net/$1/operstate" ]; then
    read -r net_state <"$root/sys/class/net/$1/operstate"
  fi
  [ "$net_state" = up ]
}

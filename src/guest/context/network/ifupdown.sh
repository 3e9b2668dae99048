# ifupdown (interfaces(5)): Debian, Devuan; busybox in Alpine ---------------------------------------
#
# Stanzas of an interface must be in one place only: those of the image get a mark and become
# comments. When the context has nothing to say any more they are stanzas again.

ifupdown_file=/etc/network/interfaces
ifupdown_folder=/etc/network/interfaces.d
ifupdown_comment="#stratuslab: "

ifupdown_interface() {
  ifupdown_names="$ifupdown_names $net_name"
  ifupdown_text=$ifupdown_text$(ifupdown_stanzas)$nl
}

# The stanzas of one interface, in words that all versions understand, busybox included: the mask of
# its own, and `up` for the second address.
ifupdown_stanzas() {
  case $net_method in
  static)
    echo "iface $net_name inet static"
    net_word=${net_addresses%% *}
    mask_of "${net_word#*/}"
    ifupdown_address "$net_word" "$MASK" "$net_gateway" "$net_metric"
    ;;
  dhcp)
    echo "iface $net_name inet dhcp"
    if [ -n "$net_metric" ]; then echo "    metric $net_metric"; fi
    ;;
  *) ifupdown_ipv6 ;;
  esac
  ifupdown_options
  case $net_method,$net_method6 in
  ,* | *, | *,disable) ;;
  *) ifupdown_ipv6 ;;
  esac
}

ifupdown_ipv6() {
  case $net_method6 in
  static)
    echo "iface $net_name inet6 static"
    net_word=${net_addresses6%% *}
    ifupdown_address "$net_word" "${net_word#*/}" "$net_gateway6" "$net_metric6"
    ;;
  auto | dhcp)
    if ifupdown_is_busybox; then
      # It has neither; the kernel takes router advertisements by itself.
      echo "iface $net_name inet6 manual"
      echo "    pre-up ip link set dev $net_name up"
    else
      echo "iface $net_name inet6 $net_method6"
    fi
    ;;
  *) echo "iface $net_name inet6 manual" ;;
  esac
}

# ADDRESS/PREFIX MASK GATEWAY METRIC
ifupdown_address() {
  echo "    address ${1%/*}"
  echo "    netmask $2"
  if [ -z "$3" ]; then return 0; fi
  echo "    gateway $3"
  if [ -n "$4" ]; then echo "    metric $4"; fi
}

# What is not of a family, for the first stanza.
ifupdown_options() {
  if [ -n "$net_mtu" ]; then echo "    pre-up ip link set dev $net_name mtu $net_mtu"; fi
  if [ "$net_method6" = disable ]; then
    echo "    pre-up echo 1 >/proc/sys/net/ipv6/conf/$net_name/disable_ipv6"
  fi
  if [ -n "$net_dns" ]; then echo "    dns-nameservers $net_dns"; fi
  if [ -n "$net_search" ]; then echo "    dns-search $net_search"; fi
  ifupdown_others "$net_method" "$net_addresses"
  ifupdown_others "$net_method6" "$net_addresses6"
}

# METHOD ADDRESSES: those that the stanza itself does not have; a static one has the first.
ifupdown_others() {
  net_own=$1
  for net_word in $2; do
    if [ "$net_own" != static ]; then echo "    up ip addr add $net_word dev $net_name || :"; fi
    net_own=''
  done
}

ifupdown_is_busybox() {
  for net_file in "$root/sbin/ifup" "$root/usr/sbin/ifup"; do
    case $(readlink "$net_file") in
    busybox | */busybox*) return 0 ;;
    esac
  done
  return 1
}

# Writes our stanzas: a file of their own where the main file reads all of the folder.
ifupdown_finish() {
  if [ -z "$ifupdown_names" ]; then return 0; fi
  if ! [ -f "$root$ifupdown_file" ]; then
    put_config "$root$ifupdown_file" 644 "auto lo${nl}iface lo inet loopback" || return
  fi
  ifupdown_shared=' '
  ifupdown_take_over "$root$ifupdown_folder"/*
  without_block "$root$ifupdown_file" stanzas || return
  net_text=
  for net_word in $ifupdown_names; do
    case $ifupdown_shared in
    *" $net_word "*) ;;
    *) net_text="${net_text}auto $net_word$nl" ;;
    esac
  done
  net_text=$net_text${ifupdown_text%"$nl"}
  if ifupdown_reads_folder; then
    put_config "$root$ifupdown_folder/stratuslab" 644 "$net_mark$nl$net_text"
    net_text=
  fi
  put_block "$root$ifupdown_file" "$net_text" stanzas
}

# Marks the stanzas of our interfaces in files of the image, or gives back those of others.
ifupdown_take_over() {
  for net_file; do
    case $net_file in
    */stratuslab) continue ;;
    esac
    if [ -f "$net_file" ]; then put_block "$net_file" '' stanzas; fi
  done
}

# Whether the main file reads all files of the folder.
ifupdown_reads_folder() {
  [ -d "$root$ifupdown_folder" ] &&
    grep -Eq '^[[:blank:]]*source(-directory[[:blank:]]+(/etc/network/)?interfaces\.d/?|[[:blank:]]+(/etc/network/)?interfaces\.d/\*)[[:blank:]]*$' \
      "$root$ifupdown_file"
}

# Sets or takes off our mark at $line of such a file. What a stanza's first line
# decides is valid for its options and for a line that another goes on from with a backslash.
ifupdown_line() {
  line=${line#"$ifupdown_comment"}
  ifupdown_words "$line"
  case $ifupdown_goes_on,$ifupdown_word in
  no,'' | no,'#'*) return 0 ;;
  no,iface | no,mapping)
    ifupdown_ours=no
    is_taken "$ifupdown_second" && ifupdown_ours=yes
    ;;
  no,auto | no,allow-*) ifupdown_start ;;
  no,source* | no,rename | no,template | no,no-*) ifupdown_ours=no ;;
  esac
  case $line in
  *\\) ifupdown_goes_on=yes ;;
  *) ifupdown_goes_on=no ;;
  esac
  if [ "$ifupdown_ours" = yes ]; then line=$ifupdown_comment$line; fi
}

# A line with interfaces that are started: ours if it names no other, else it stays and starts ours, too.
ifupdown_start() {
  ifupdown_ours=no
  if [ "$ifupdown_count" = 2 ]; then
    is_taken "$ifupdown_second" && ifupdown_ours=yes
  elif [ "$ifupdown_word" = auto ]; then
    ifupdown_shared="$ifupdown_shared$ifupdown_all "
  fi
}

# Sets the first and the second word of a line, all of them, and their number.
ifupdown_words() {
  ifupdown_word='' ifupdown_second='' ifupdown_all='' ifupdown_count=0
  set -f
  for net_word in $1; do
    ifupdown_count=$((ifupdown_count + 1))
    ifupdown_all="$ifupdown_all $net_word"
    case $ifupdown_count in
    1) ifupdown_word=$net_word ;;
    2) ifupdown_second=$net_word ;;
    esac
  done
  set +f
}

# Whether NAME is one of our interfaces; eth0:1 is eth0.
is_taken() {
  case " $ifupdown_names " in
  *" ${1%%:*} "*) return 0 ;;
  esac
  return 1
}

ifupdown_clean() {
  restore_config "$root$ifupdown_folder/stratuslab"
  if [ "$net_renderer" = ifupdown ] && [ -n "$ifupdown_names" ]; then return 0; fi
  for net_file in "$root$ifupdown_file" "$root$ifupdown_folder"/*; do
    if grep -Eqs "^($ifupdown_comment|# stratuslab-one-context: begin)" "$net_file"; then
      put_block "$net_file" '' stanzas && say "$net_file: the settings of an earlier context are gone"
    fi
  done
}

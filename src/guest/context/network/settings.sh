# What the context wants of an interface -----------------------------------------------------------

# The variable ETHn_NAME in VALUE.
net_value() {
  value "${net_id}_$1"
}

# Tells that a variable is refused.
net_refuse() {
  trouble "${net_id}_$1 is not $2: $net_id is not configured"
  return 1
}

# Whether the context says anything about ETHn that calls for a configuration.
is_wanted() {
  net_id=ETH$1
  for net_variable in IP METHOD IP6 IP6_ULA IP6_METHOD; do
    net_value $net_variable
    if [ -n "$VALUE" ]; then return 0; fi
  done
  return 1
}

# Reads and checks all variables of ETHn. Sets (empty is "nothing said"):
#   net_mac                         hardware address in lower case
#   net_method net_method6          static dhcp; static auto dhcp disable
#   net_addresses net_addresses6    words ADDRESS/PREFIX, the first is the interface's own
#   net_gateway net_gateway6 net_metric net_metric6 net_mtu
#   net_dns net_search              words
# NETWORK follows from address and mask; the tags of VLAN_ID are the host's work: neither is read.
read_interface() {
  net_id=ETH$1
  read_hardware && read_ipv4 && read_ipv6 && read_names && read_aliases
}

read_hardware() {
  net_value MAC
  case $VALUE in
  '') net_mac= ;;
  *[!0-9a-fA-F:]*) net_refuse MAC "a hardware address" || return ;;
  ??:??:??:??:??:??)
    net_mac=$(tr ABCDEF abcdef <<END
$VALUE
END
    )
    ;;
  *) net_refuse MAC "a hardware address" || return ;;
  esac
  net_value MTU
  net_mtu=$VALUE
  [ -z "$net_mtu" ] || is_number "$net_mtu" 68 65536 || net_refuse MTU "a number from 68 to 65536"
}

read_ipv4() {
  net_addresses='' net_gateway='' net_metric=
  net_value IP
  net_ip=$VALUE
  net_value METHOD
  case $VALUE in
  '') net_method=${net_ip:+static} ;;
  static | STATIC) net_method=static ;;
  dhcp | DHCP) net_method=dhcp ;;
  skip | SKIP) net_method= ;;
  *) net_refuse METHOD "static, dhcp or skip" || return ;;
  esac
  if [ -z "$net_method" ]; then return 0; fi
  net_value METRIC
  net_metric=$VALUE
  [ -z "$net_metric" ] || is_number "$net_metric" 0 999999999 || net_refuse METRIC "a number" || return
  if [ "$net_method" = dhcp ]; then return 0; fi
  is_ipv4 "$net_ip" || net_refuse IP "an IPv4 address" || return
  # What OpenNebula assumes when a network has no mask.
  net_value MASK
  prefix_of "${VALUE:-255.255.255.0}" || net_refuse MASK "a network mask" || return
  net_addresses=$net_ip/$PREFIX
  net_value GATEWAY
  net_gateway=$VALUE
  [ -z "$net_gateway" ] || is_ipv4 "$net_gateway" || net_refuse GATEWAY "an IPv4 address"
}

read_ipv6() {
  net_addresses6='' net_gateway6='' net_metric6=
  net_value IP6
  net_ip=$VALUE
  net_value IP6_ULA
  net_ula=$VALUE
  net_value IP6_METHOD
  case $VALUE in
  '')
    net_method6=
    if [ -n "$net_ip$net_ula" ]; then net_method6=static; fi
    ;;
  static | STATIC) net_method6=static ;;
  auto | AUTO) net_method6=auto ;;
  dhcp | DHCP) net_method6=dhcp ;;
  disable | DISABLE) net_method6=disable ;;
  skip | SKIP) net_method6= ;;
  *) net_refuse IP6_METHOD "static, auto, dhcp, disable or skip" || return ;;
  esac
  if [ "$net_method6" != static ]; then return 0; fi
  [ -n "$net_ip$net_ula" ] || net_refuse IP6 "an IPv6 address" || return
  net_value IP6_PREFIX_LENGTH
  net_prefix=${VALUE:-64}
  is_number "$net_prefix" 1 128 || net_refuse IP6_PREFIX_LENGTH "a number from 1 to 128" || return
  if [ -n "$net_ip" ]; then
    is_ipv6 "$net_ip" || net_refuse IP6 "an IPv6 address" || return
    net_addresses6=$net_ip/$net_prefix
  fi
  if [ -n "$net_ula" ]; then
    is_ipv6 "$net_ula" || net_refuse IP6_ULA "an IPv6 address" || return
    net_addresses6="$net_addresses6${net_addresses6:+ }$net_ula/$net_prefix"
  fi
  net_value IP6_GATEWAY
  # The name that OpenNebula had before.
  if [ -z "$VALUE" ]; then net_value GATEWAY6; fi
  net_gateway6=$VALUE
  [ -z "$net_gateway6" ] || is_ipv6 "$net_gateway6" || net_refuse IP6_GATEWAY "an IPv6 address" || return
  net_value IP6_METRIC
  net_metric6=$VALUE
  [ -z "$net_metric6" ] || is_number "$net_metric6" 0 999999999 || net_refuse IP6_METRIC "a number"
}

# Name servers and search list; those for the whole machine go to its first interface. A machine
# with an address and no name servers is better than one without an address.
read_names() {
  net_value DNS
  words_of address "$VALUE" || trouble "${net_id}_DNS is not a list of addresses: it is left out"
  net_dns="$WORDS${WORDS:+${net_all_dns:+ }}$net_all_dns"
  net_value SEARCH_DOMAIN
  words_of domain "$VALUE" || trouble "${net_id}_SEARCH_DOMAIN is not a list of domains: it is left out"
  net_search="$WORDS${WORDS:+${net_all_search:+ }}$net_all_search"
}

# More addresses, ETHn_ALIASm_*: added to those of a family that is static or DHCP. Those that
# somebody else configures (EXTERNAL) or that are gone (DETACH) are not.
read_aliases() {
  net_alias=0
  while [ "$net_alias" -lt 32 ]; do
    read_alias "ALIAS$net_alias" || return
    net_alias=$((net_alias + 1))
  done
}

read_alias() {
  net_value "$1_EXTERNAL"
  if is_yes "$VALUE"; then return 0; fi
  net_value "$1_DETACH"
  if [ -n "$VALUE" ]; then return 0; fi
  net_value "$1_IP"
  net_ip=$VALUE
  if [ -n "$net_ip" ] && [ -n "$net_method" ]; then
    is_ipv4 "$net_ip" || net_refuse "$1_IP" "an IPv4 address" || return
    net_value "$1_MASK"
    prefix_of "${VALUE:-255.255.255.0}" || net_refuse "$1_MASK" "a network mask" || return
    net_addresses="$net_addresses${net_addresses:+ }$net_ip/$PREFIX"
  fi
  for net_variable in "$1_IP6" "$1_IP6_ULA"; do
    net_value "$net_variable"
    net_ip=$VALUE
    if [ -z "$net_ip" ] || [ "$net_method6" = disable ]; then continue; fi
    is_ipv6 "$net_ip" || net_refuse "$net_variable" "an IPv6 address" || return
    net_value "$1_IP6_PREFIX_LENGTH"
    net_prefix=${VALUE:-64}
    is_number "$net_prefix" 1 128 || net_refuse "$1_IP6_PREFIX_LENGTH" "a number from 1 to 128" || return
    net_addresses6="$net_addresses6${net_addresses6:+ }$net_ip/$net_prefix"
    net_method6=${net_method6:-static}
  done
}

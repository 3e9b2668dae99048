# Red Hat: /etc/sysconfig/network-scripts ----------------------------------------------------------

redhat_folder=/etc/sysconfig/network-scripts

redhat_interface() {
  replace_config "$root$redhat_folder/ifcfg-$net_name" 644 "$(redhat_text)"
}

# The names are those that both the network service and NetworkManager read.
redhat_text() {
  echo "DEVICE=$net_name"
  echo "TYPE=Ethernet"
  echo "ONBOOT=yes"
  echo "AUTOCONNECT_PRIORITY=100"
  if [ -n "$net_mtu" ]; then echo "MTU=$net_mtu"; fi
  if [ "$net_method" = dhcp ]; then echo "BOOTPROTO=dhcp"; else echo "BOOTPROTO=none"; fi
  net_count=
  for net_word in $net_addresses; do
    mask_of "${net_word#*/}"
    echo "IPADDR$net_count=${net_word%/*}"
    echo "NETMASK$net_count=$MASK"
    net_count=$((net_count + 1))
  done
  if [ -n "$net_gateway" ]; then echo "GATEWAY=$net_gateway"; fi
  if [ -n "$net_metric" ]; then
    echo "METRIC=$net_metric"
    echo "IPV4_ROUTE_METRIC=$net_metric"
  fi
  redhat_ipv6
  net_count=0
  for net_word in $net_dns; do
    net_count=$((net_count + 1))
    echo "DNS$net_count=$net_word"
  done
  if [ -n "$net_search" ]; then echo "DOMAIN=\"$net_search\""; fi
}

redhat_ipv6() {
  case $net_method6 in
  '') return 0 ;;
  disable)
    echo "IPV6INIT=no"
    echo "IPV6_DISABLED=yes"
    return 0
    ;;
  static) echo "IPV6_AUTOCONF=no" ;;
  auto) echo "IPV6_AUTOCONF=yes" ;;
  dhcp)
    echo "IPV6_AUTOCONF=no"
    echo "DHCPV6C=yes"
    ;;
  esac
  echo "IPV6INIT=yes"
  if [ -n "$net_addresses6" ]; then
    echo "IPV6ADDR=${net_addresses6%% *}"
    case $net_addresses6 in
    *' '*) echo "IPV6ADDR_SECONDARIES=\"${net_addresses6#* }\"" ;;
    esac
  fi
  if [ -n "$net_gateway6" ]; then echo "IPV6_DEFAULTGW=$net_gateway6"; fi
  if [ -n "$net_metric6" ]; then echo "IPV6_ROUTE_METRIC=$net_metric6"; fi
}

redhat_clean() {
  for net_file in "$root$redhat_folder"/ifcfg-*; do
    restore_config "$net_file"
  done
}

# SUSE: /etc/sysconfig/network ---------------------------------------------------------------------

suse_folder=/etc/sysconfig/network

suse_interface() {
  if [ "$net_method6" = disable ]; then trouble "ETHn_IP6_METHOD=disable is not possible in this system"; fi
  replace_config "$root$suse_folder/ifcfg-$net_name" 644 "$(suse_text)"
  if [ -n "$net_gateway$net_gateway6" ]; then
    replace_config "$root$suse_folder/ifroute-$net_name" 644 "$(
      suse_route "$net_gateway" "$net_metric"
      suse_route "$net_gateway6" "$net_metric6"
    )"
  fi
}

suse_text() {
  echo "STARTMODE='auto'"
  case $net_method,$net_method6 in
  dhcp,dhcp) echo "BOOTPROTO='dhcp'" ;;
  dhcp,*) echo "BOOTPROTO='dhcp4'" ;;
  *,dhcp) echo "BOOTPROTO='dhcp6'" ;;
  *) echo "BOOTPROTO='static'" ;;
  esac
  if [ -n "$net_mtu" ]; then echo "MTU='$net_mtu'"; fi
  if [ -n "$net_metric" ] && [ "$net_method" = dhcp ]; then echo "DHCLIENT_ROUTE_PRIORITY='$net_metric'"; fi
  net_count=0
  for net_word in $net_addresses $net_addresses6; do
    # What stands behind the underscore only tells the variables apart.
    echo "IPADDR_$net_count='$net_word'"
    net_count=$((net_count + 1))
  done
}

# Destination, gateway, mask, interface, type, options (ifroute(5)).
suse_route() {
  if [ -n "$1" ]; then echo "default $1 - $net_name${2:+ unicast metric $2}"; fi
}

# Name servers are a matter of the whole system here: the last assignment in a file that netconfig
# reads as shell. Only words of addresses and domains reach it.
suse_finish() {
  net_file=$root$suse_folder/config
  [ -f "$net_file" ] || return 0
  net_text=
  if [ -n "$net_servers$net_domains" ]; then
    net_text="NETCONFIG_DNS_STATIC_SERVERS=\"$net_servers\"${nl}NETCONFIG_DNS_STATIC_SEARCHLIST=\"$net_domains\""
  fi
  put_block "$net_file" "$net_text" asis
}

suse_clean() {
  for net_file in "$root$suse_folder"/ifcfg-* "$root$suse_folder"/ifroute-*; do
    restore_config "$net_file"
  done
  if [ "$net_renderer" != suse ]; then
    net_servers='' net_domains=
    suse_finish
  fi
}

# systemd-networkd (systemd.network(5)) ------------------------------------------------------------
#
# The first file that matches an interface is the one: ours sorts before those of the image.

networkd_folder=/etc/systemd/network

networkd_interface() {
  mkdir -p "$root$networkd_folder"
  # systemd-networkd gives up its rights and must be able to read it.
  put_config "$root$networkd_folder/05-stratuslab-$net_name.network" 644 "$(networkd_text)"
}

networkd_text() {
  echo "$net_mark"
  echo "[Match]"
  echo "Name=$net_name"
  if [ -n "$net_mtu" ]; then
    echo "[Link]"
    echo "MTUBytes=$net_mtu"
  fi
  echo "[Network]"
  case $net_method,$net_method6 in
  dhcp,dhcp) echo "DHCP=yes" ;;
  dhcp,*) echo "DHCP=ipv4" ;;
  *,dhcp) echo "DHCP=ipv6" ;;
  *) echo "DHCP=no" ;;
  esac
  case $net_method6 in
  auto | dhcp) echo "IPv6AcceptRA=yes" ;;
  disable)
    echo "LinkLocalAddressing=no"
    echo "IPv6AcceptRA=no"
    ;;
  esac
  for net_word in $net_addresses $net_addresses6; do echo "Address=$net_word"; done
  for net_word in $net_dns; do echo "DNS=$net_word"; done
  if [ -n "$net_search" ]; then echo "Domains=$net_search"; fi
  networkd_route "$net_gateway" "$net_metric"
  networkd_route "$net_gateway6" "$net_metric6"
  if [ -n "$net_metric" ] && [ "$net_method" = dhcp ]; then
    # Newer versions call it DHCPv4 and know this name, too.
    echo "[DHCP]"
    echo "RouteMetric=$net_metric"
  fi
}

# The way to the gateway is said to be direct, since in some clouds it is outside of the network.
networkd_route() {
  if [ -z "$1" ]; then return 0; fi
  echo "[Route]"
  echo "Gateway=$1"
  echo "GatewayOnLink=yes"
  if [ -n "$2" ]; then echo "Metric=$2"; fi
}

networkd_clean() {
  for net_file in "$root$networkd_folder"/05-stratuslab-*.network; do
    restore_config "$net_file"
  done
}

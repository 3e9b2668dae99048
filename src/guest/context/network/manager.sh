# NetworkManager (nm-settings-keyfile(5)) ----------------------------------------------------------
#
# The priority makes it prefer our connection to those of the image for the same interface.

manager_folder=/etc/NetworkManager/system-connections

manager_interface() {
  mkdir -p "$root$manager_folder"
  # It refuses files that others may read.
  put_config "$root$manager_folder/stratuslab-$net_name.nmconnection" 600 "$(manager_text)"
}

manager_text() {
  echo "$net_mark"
  echo "[connection]"
  echo "id=stratuslab-$net_name"
  echo "type=ethernet"
  echo "interface-name=$net_name"
  echo "autoconnect-priority=100"
  echo "[ethernet]"
  if [ -n "$net_mtu" ]; then echo "mtu=$net_mtu"; fi
  echo "[ipv4]"
  case $net_method in
  static) manager_family manual "$net_gateway" "$net_metric" ipv4 "$net_addresses" ;;
  dhcp) manager_family auto '' "$net_metric" ipv4 "$net_addresses" ;;
  *) echo "method=disabled" ;;
  esac
  echo "[ipv6]"
  case $net_method6 in
  static) manager_family manual "$net_gateway6" "$net_metric6" ipv6 "$net_addresses6" ;;
  dhcp) manager_family dhcp '' '' ipv6 "$net_addresses6" ;;
  disable) echo "method=disabled" ;;
  *) manager_family auto '' '' ipv6 "$net_addresses6" ;;
  esac
}

# METHOD GATEWAY METRIC FAMILY ADDRESSES. Each family has the name servers of its own.
manager_family() {
  echo "method=$1"
  manager_gateway=$2
  if [ -n "$3" ]; then echo "route-metric=$3"; fi
  manager_count=0
  for net_word in $5; do
    manager_count=$((manager_count + 1))
    echo "address$manager_count=$net_word${manager_gateway:+,$manager_gateway}"
    manager_gateway=
  done
  manager_servers=
  for net_word in $net_dns; do
    case $4,$net_word in
    ipv4,*:*) ;;
    ipv6,*:* | ipv4,*) manager_servers="$manager_servers$net_word;" ;;
    esac
  done
  if [ -n "$manager_servers" ]; then echo "dns=$manager_servers"; fi
  manager_servers=
  for net_word in $net_search; do manager_servers="$manager_servers$net_word;"; done
  if [ -n "$manager_servers" ]; then echo "dns-search=$manager_servers"; fi
}

manager_clean() {
  for net_file in "$root$manager_folder"/stratuslab-*.nmconnection; do
    restore_config "$net_file"
  done
}

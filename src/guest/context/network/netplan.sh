# netplan (Ubuntu, newer Debian clouds) ------------------------------------------------------------
#
# Its generator has run when the machine started, before us: it has to be called again. The names of
# our definitions begin with 0 so that their files for systemd-networkd are the first that match.

netplan_file=/etc/netplan/99-stratuslab.yaml

netplan_interface() {
  netplan_text="$netplan_text$nl$(netplan_definition)"
}

netplan_definition() {
  echo "    0-stratuslab-$net_name:"
  echo "      match:"
  echo "        name: \"$net_name\""
  if [ -n "$net_mtu" ]; then echo "      mtu: $net_mtu"; fi
  case $net_method in
  dhcp) echo "      dhcp4: true" ;;
  *) echo "      dhcp4: false" ;;
  esac
  case $net_method6 in
  dhcp) echo "      dhcp6: true" ;;
  *) echo "      dhcp6: false" ;;
  esac
  case $net_method6 in
  auto | dhcp) echo "      accept-ra: true" ;;
  disable)
    echo "      accept-ra: false"
    echo "      link-local: []"
    ;;
  esac
  if [ -n "$net_metric" ] && [ "$net_method" = dhcp ]; then
    echo "      dhcp4-overrides:"
    echo "        route-metric: $net_metric"
  fi
  netplan_list "      addresses:" "$net_addresses $net_addresses6"
  if [ -n "$net_gateway$net_gateway6" ]; then
    echo "      routes:"
    netplan_route 0.0.0.0/0 "$net_gateway" "$net_metric"
    netplan_route ::/0 "$net_gateway6" "$net_metric6"
  fi
  if [ -n "$net_dns$net_search" ]; then
    echo "      nameservers:"
    netplan_list "        addresses:" "$net_dns"
    netplan_list "        search:" "$net_search"
  fi
}

# KEY WORDS: a list. The words are in quotes: YAML takes some bare ones for something else.
netplan_list() {
  netplan_key=$1
  for net_word in $2; do
    if [ -n "$netplan_key" ]; then echo "$netplan_key"; fi
    netplan_key=''
    echo "${1%%[!\ ]*}  - \"$net_word\""
  done
}

netplan_route() {
  if [ -z "$2" ]; then return 0; fi
  echo "        - to: \"$1\""
  echo "          via: \"$2\""
  echo "          on-link: true"
  if [ -n "$3" ]; then echo "          metric: $3"; fi
}

netplan_finish() {
  if [ -z "$netplan_text" ]; then return 0; fi
  put_config "$root$netplan_file" 600 "$net_mark
network:
  version: 2
  ethernets:$netplan_text"
}

netplan_clean() {
  restore_config "$root$netplan_file"
}

# The network of the context -----------------------------------------------------------------------

# Configures the interfaces for which the context has variables ETHn_*, by way of what configures
# the network in this system; all others stay as they are. Runs before the network is started. What
# an earlier context wanted and this one does not is taken back, but not where there is no context
# at all: its device may be missing for once, and an address is better than none.
set_network() {
  net_failed=0
  net_renderer='' net_used=: net_changed=: net_settled=no net_waited=0
  net_configured='' net_servers='' net_domains=
  ifupdown_names='' ifupdown_text='' ifupdown_ours=no ifupdown_goes_on=no ifupdown_shared=' ' netplan_text=
  value NETWORK
  case $VALUE in
  [Nn][Oo] | [Ff][Aa][Ll][Ss][Ee] | 0) ;;
  *) configure_interfaces ;;
  esac
  if [ "$mounted" = no ] && [ -z "$net_configured" ]; then return $net_failed; fi
  networkd_clean
  netplan_clean
  manager_clean
  redhat_clean
  suse_clean
  ifupdown_clean
  restore_config "$root/etc/resolv.conf"
  if [ "$net_changed" != : ]; then tell_of_changes; fi
  return $net_failed
}

configure_interfaces() {
  read_names_of_all
  net_index=0
  while [ "$net_index" -lt 32 ]; do
    if is_wanted "$net_index"; then configure_interface "$net_index" || net_failed=1; fi
    net_index=$((net_index + 1))
  done
  if [ -z "$net_configured" ]; then return 0; fi
  case $net_renderer in
  netplan) netplan_finish ;;
  ifupdown) ifupdown_finish ;;
  suse) suse_finish ;;
  esac
  case $net_renderer in
  netplan | networkd | ifupdown) write_resolv_conf ;;
  esac
}

# The settings of one interface to its file, or to the text of the one file for all.
write_interface() {
  case $net_renderer in
  networkd) networkd_interface ;;
  netplan) netplan_interface ;;
  manager) manager_interface ;;
  redhat) redhat_interface ;;
  suse) suse_interface ;;
  ifupdown) ifupdown_interface ;;
  esac
}

# Name servers and search list of the machine, DNS and SEARCH_DOMAIN.
read_names_of_all() {
  value DNS
  words_of address "$VALUE" || trouble "DNS is not a list of addresses: it is left out"
  net_all_dns=$WORDS
  value SEARCH_DOMAIN
  words_of domain "$VALUE" || trouble "SEARCH_DOMAIN is not a list of domains: it is left out"
  net_all_search=$WORDS
}

configure_interface() {
  read_interface "$1" || return
  if [ -z "$net_method$net_method6" ]; then return 0; fi
  if ! find_interface "$1"; then
    trouble "$net_id: this machine has no such network interface"
    return 1
  fi
  case " $net_configured " in
  *" $net_name "*)
    trouble "$net_id: $net_name is configured already"
    return 1
    ;;
  esac
  if [ -z "$net_renderer" ]; then
    choose_renderer || { trouble "$net_id: what configures the network here is not known"; return 1; }
  fi
  write_interface || return
  say "$net_id: $net_name is ${net_method:-left to itself}${net_addresses:+ }$net_addresses," \
    "IPv6 ${net_method6:-left to itself}${net_addresses6:+ }$net_addresses6"
  net_configured="$net_configured${net_configured:+ }$net_name"
  net_servers="$net_servers${net_dns:+${net_servers:+ }}$net_dns"
  net_domains="$net_domains${net_search:+${net_domains:+ }}$net_search"
  net_all_dns='' net_all_search=
}

# Sets net_renderer to what configures the network of this system. More than one may be installed:
# the one that has a configuration wins over the one that is just there.
choose_renderer() {
  if guest_has netplan && has_netplan_files; then
    net_renderer=netplan
    if uses_manager; then net_renderer=manager; fi
  elif uses_redhat; then
    net_renderer=redhat
  elif is_enabled NetworkManager && ! has_stanzas; then
    net_renderer=manager
  elif [ -f "$root$suse_folder/config" ]; then
    net_renderer=suse
  elif has_stanzas; then
    net_renderer=ifupdown
  elif is_enabled systemd-networkd; then
    net_renderer=networkd
  elif [ -f "$root$ifupdown_file" ] || guest_has ifup; then
    net_renderer=ifupdown
  elif guest_has netplan && [ -d "$root/etc/netplan" ]; then
    net_renderer=netplan
  else
    return 1
  fi
}

has_netplan_files() {
  for net_file in "$root"/etc/netplan/*.yaml "$root"/lib/netplan/*.yaml "$root"/usr/lib/netplan/*.yaml; do
    if [ -f "$net_file" ]; then return 0; fi
  done
  return 1
}

# Whether netplan leaves all interfaces to NetworkManager, as in a desktop of Ubuntu.
uses_manager() {
  grep -Eqs '^[[:blank:]]*renderer:[[:blank:]]*"?NetworkManager' "$root"/etc/netplan/*.yaml \
    "$root"/lib/netplan/*.yaml "$root"/usr/lib/netplan/*.yaml
}

# Whether ifcfg files are read: by the network service, or by NetworkManager with its plugin for
# them, which it lacks since Red Hat 10. With the plugin alone new systems have no such file.
uses_redhat() {
  [ -d "$root$redhat_folder" ] || return 1
  if [ -e "$root$redhat_folder/ifup-eth" ] && ! is_enabled NetworkManager; then return 0; fi
  for net_file in "$root"/usr/lib*/NetworkManager/libnm-settings-plugin-ifcfg-rh.so \
    "$root"/usr/lib*/NetworkManager/*/libnm-settings-plugin-ifcfg-rh.so; do
    if [ -e "$net_file" ]; then
      has_ifcfg_files
      return
    fi
  done
  return 1
}

has_ifcfg_files() {
  for net_file in "$root$redhat_folder"/ifcfg-*; do
    case ${net_file##*/} in
    ifcfg-lo | 'ifcfg-*') ;;
    *) return 0 ;;
    esac
  done
  return 1
}

# Whether ifupdown has to do with anything but the loopback interface.
has_stanzas() {
  cat "$root$ifupdown_file" "$root$ifupdown_folder"/* 2>/dev/null |
    grep -Eq "^($ifupdown_comment)?[[:blank:]]*iface[[:blank:]]+([^l]|l[^o]|lo[^[:blank:]])"
}

# Whether the service NAME is started with the machine, in any init system.
is_enabled() {
  if [ -L "$root/etc/systemd/system/$1.service" ] &&
    [ "$(readlink "$root/etc/systemd/system/$1.service")" = /dev/null ]; then
    return 1
  fi
  for net_file in "$root"/etc/systemd/system/*.wants/"$1.service" \
    "$root"/lib/systemd/system/*.wants/"$1.service" "$root"/usr/lib/systemd/system/*.wants/"$1.service" \
    "$root"/etc/rc[2345].d/S??"$1" "$root"/etc/rc.d/rc[2345].d/S??"$1" "$root"/etc/runlevels/*/"$1"; do
    if [ -e "$net_file" ] || [ -L "$net_file" ]; then return 0; fi
  done
  # As Debian's own scripts call it.
  [ "$1" = NetworkManager ] && is_enabled network-manager
}

# Has changed files read by what reads them only once. A network that was started before us is not
# started again: that could cut off who set it up.
tell_of_changes() {
  case $net_changed in
  *"$netplan_file:"*)
    if guest_has netplan; then
      netplan generate ${root:+--root-dir "$root"} >/dev/null 2>&1 || trouble "netplan generate has failed"
    fi
    ;;
  esac
  case $net_changed in
  *"$netplan_file:"* | *"$networkd_folder/"*)
    if [ -e "$root/run/systemd/netif/state" ] && guest_has networkctl; then
      networkctl reload >/dev/null 2>&1 || say "networkctl reload has failed"
    fi
    ;;
  *"$manager_folder/"*)
    if [ -d "$root/run/NetworkManager/devices" ] && guest_has nmcli; then
      nmcli connection reload >/dev/null 2>&1 || say "nmcli connection reload has failed"
    fi
    ;;
  esac
  for net_word in $net_configured; do
    if is_up "$net_word"; then say "$net_word is up already: it takes the new settings at its next start"; fi
  done
}

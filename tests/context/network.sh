#!/bin/bash
# Part of context.sh: the network of the context. What it writes is judged by the programs that will
# read it where they can be asked without a running system: ifquery and ifup of ifupdown and of
# busybox, netplan, nmcli; for systemd-networkd by what netplan writes for the same settings.
#
# shellcheck disable=SC2154,SC2086,SC2317,SC2016  # its variables and functions are those of context.sh

# card NAME MAC NUMBER: a network card.
card() {
  mkdir -p "$R/sys/class/net/$1/device"
  echo "$2" >"$R/sys/class/net/$1/address"
  echo "$3" >"$R/sys/class/net/$1/ifindex"
  echo 1 >"$R/sys/class/net/$1/type"
  echo down >"$R/sys/class/net/$1/operstate"
}

cards() {
  mkdir -p "$R/sys/class/net/lo"
  echo 1 >"$R/sys/class/net/lo/ifindex"
  echo 772 >"$R/sys/class/net/lo/type"
  card ens10 02:00:0a:00:00:05 12
  card ens9 02:00:0a:00:00:06 3
  fake udevadm </dev/null
}

enabled() {
  mkdir -p "$R/etc/systemd/system/multi-user.target.wants"
  ln -s "/lib/systemd/system/$1.service" "$R/etc/systemd/system/multi-user.target.wants/"
}

full="ETH0_MAC='02:00:0A:00:00:05'
ETH0_IP='10.0.0.5'
ETH0_MASK='255.255.255.0'
ETH0_NETWORK='10.0.0.0'
ETH0_GATEWAY='10.0.0.1'
ETH0_DNS='10.0.0.2 fd00::53'
ETH0_SEARCH_DOMAIN='example.org lab.example.org'
ETH0_MTU='1400'
ETH0_METRIC='50'
ETH0_VLAN_ID='7'
ETH0_IP6='fd00::5'
ETH0_IP6_ULA='fd01::5'
ETH0_IP6_PREFIX_LENGTH='48'
ETH0_IP6_GATEWAY='fd00::1'
ETH0_IP6_METRIC='60'
ETH0_ALIAS0_IP='10.1.0.6'
ETH0_ALIAS0_MASK='255.255.0.0'
ETH0_ALIAS0_IP6='fd02::6'
ETH0_ALIAS1_IP='10.2.0.6'
ETH0_ALIAS1_EXTERNAL='YES'
ETH1_MAC='02:00:0a:00:00:06'
ETH1_METHOD='dhcp'
ETH1_METRIC='200'
ETH1_IP6_METHOD='auto'
DNS='192.0.2.1'
NETWORK='YES'"

# What netplan makes of a file, for a renderer.
netplan_generate() {
  sed "s/^network:/&\n  renderer: $2/" "$1" >"$box/plan.yaml"
  mkdir -p "$box/judge/etc/netplan"
  cp "$box/plan.yaml" "$box/judge/etc/netplan/" && chmod 600 "$box/judge/etc/netplan/plan.yaml"
  netplan generate --root-dir "$box/judge" 2>&1
}

# The lines of a file that say something, without those that are another spelling of the default.
settings() {
  grep -v '^\(#\|$\)' "$1" | grep -v '^\(ConfigureWithoutCarrier\|UseMTU\|LinkLocalAddressing=ipv6\|DHCP=no\)' |
    sed 's/^Domains=.*/Domains=/' | sort
}

tidy() {
  printf '%s\n' "$1" | sed 's/[[:blank:]][[:blank:]]*/ /g; s/^ //; s/ $//; /^$/d'
}

case_network_networkd() {
  cards
  enabled systemd-networkd
  context "$full"
  run early
  code 0
  put judge <"$R/etc/systemd/network/05-stratuslab-ens10.network"
  mode etc/systemd/network/05-stratuslab-ens10.network 644
  holds etc/systemd/network/05-stratuslab-ens10.network "Address=10.0.0.5/24
Address=10.1.0.6/16
Address=fd00::5/48
Address=fd01::5/48
Address=fd02::6/64
DNS=10.0.0.2
DNS=fd00::53
DNS=192.0.2.1
Domains=example.org lab.example.org
[Route]
Gateway=10.0.0.1
GatewayOnLink=yes
Metric=50
[Route]
Gateway=fd00::1"
  is etc/systemd/network/05-stratuslab-ens9.network "# Written by stratuslab-one-context from the variables ETHn_* of the context.
[Match]
Name=ens9
[Network]
DHCP=ipv4
IPv6AcceptRA=yes
[DHCP]
RouteMetric=200"
  lacks etc/systemd/network/05-stratuslab-ens9.network 192.0.2.1
  is etc/resolv.conf "# Written by stratuslab-one-context from the variables ETHn_* of the context.
search example.org lab.example.org
nameserver 10.0.0.2
nameserver fd00::53
nameserver 192.0.2.1"
  again early
}

# The same as netplan would write for it, setting by setting.
case_network_networkd_as_netplan() {
  local name
  cards
  enabled systemd-networkd
  context "$full"
  run early
  mkdir -p "$R/etc/netplan"
  mv "$R/etc/systemd/network" "$box/networkd"
  echo "network: {version: 2}" | put etc/netplan/10.yaml 600
  fake netplan </dev/null
  run early
  rm "$R/etc/netplan/10.yaml"
  expect netplan "" "$(netplan_generate "$R/etc/netplan/99-stratuslab.yaml" networkd)"
  for name in ens10 ens9; do
    expect "networkd of $name" \
      "$(settings "$box/judge/run/systemd/network/10-netplan-0-stratuslab-$name.network" |
        sed 's/^Destination=.*//; /^$/d')" \
      "$(settings "$box/networkd/05-stratuslab-$name.network" |
        sed 's/^GatewayOnLink=yes/GatewayOnLink=true/; s/^MTUBytes.*/&/' |
        if [ $name = ens9 ]; then sed '$a UseMTU' | grep -v UseMTU; else cat; fi)"
  done
}

case_network_netplan() {
  cards
  echo "network: {version: 2}" | put etc/netplan/10.yaml 600
  put run/systemd/netif/state </dev/null
  fake netplan </dev/null
  fake networkctl </dev/null
  context "$full"
  run early
  code 0
  mode etc/netplan/99-stratuslab.yaml 600
  expect netplan "" "$(netplan_generate "$R/etc/netplan/99-stratuslab.yaml" networkd)"
  expect "netplan generate" "netplan [generate] [--root-dir] [$R]" "$(called netplan)"
  expect reloads 1 "$(calls networkctl)"
  again early
  expect "netplan generate" 1 "$(calls netplan)"
  context ""
  run early
  absent etc/netplan/99-stratuslab.yaml
  expect "netplan generate" 2 "$(calls netplan)"
}

# A desktop: netplan leaves all to NetworkManager.
case_network_manager_of_netplan() {
  cards
  printf 'network:\n  version: 2\n  renderer: NetworkManager\n' | put usr/lib/netplan/00-network-manager-all.yaml 600
  fake netplan </dev/null
  context "$full"
  run early
  absent etc/netplan/99-stratuslab.yaml
  holds etc/NetworkManager/system-connections/stratuslab-ens10.nmconnection "address1=10.0.0.5/24,10.0.0.1"
}

case_network_manager() {
  local read name
  cards
  enabled NetworkManager
  printf 'auto lo\niface lo inet loopback\n' | put etc/network/interfaces
  context "$full"
  run early
  code 0
  for name in ens10 ens9; do
    mode etc/NetworkManager/system-connections/stratuslab-$name.nmconnection 600
    nmcli --offline connection modify connection.id $name \
      <"$R/etc/NetworkManager/system-connections/stratuslab-$name.nmconnection" >"$box/nm-$name" 2>&1
    expect "nmcli of $name" 0 $?
  done
  read=$(grep -v '^uuid=\|^$' "$box/nm-ens10")
  expect "as NetworkManager reads it" "[connection]
id=ens10
type=ethernet
autoconnect-priority=100
interface-name=ens10
[ethernet]
mtu=1400
[ipv4]
address1=10.0.0.5/24,10.0.0.1
address2=10.1.0.6/16
dns=10.0.0.2;192.0.2.1;
dns-search=example.org;lab.example.org;
method=manual
route-metric=50
[ipv6]
address1=fd00::5/48,fd00::1
address2=fd01::5/48
address3=fd02::6/64
dns=fd00::53;
dns-search=example.org;lab.example.org;
method=manual
route-metric=60
[proxy]" "$read"
  absent etc/resolv.conf
  again early
  context "ETH0_MAC='02:00:0A:00:00:05'
ETH0_METHOD=skip
ETH0_IP6_METHOD=dhcp"
  run early
  absent etc/NetworkManager/system-connections/stratuslab-ens9.nmconnection
  holds etc/NetworkManager/system-connections/stratuslab-ens10.nmconnection "method=disabled
[ipv6]
method=dhcp"
}

interfaces="# The loopback network interface
auto lo ens9
iface lo inet loopback

allow-hotplug ens10
iface ens10 inet static
  address 192.168.1.5/24
  # a comment
  up echo \\
    iface none

mapping ens10
  script /bin/true
auto ens11
iface ens11 inet dhcp
iface ens10:1 inet static
	address 192.168.1.6/24"

# judged FILE: what ifupdown and busybox would do; without what is no matter of ours.
debian_does() {
  tidy "$(/sbin/ifup --no-act --interfaces="$1" "$2" 2>&1)" | grep '^ip\|^echo\|dhclient'
}

case_network_ifupdown() {
  cards
  printf '%s\n' "$interfaces" | put etc/network/interfaces
  context "$full"
  run early
  code 0
  expect "interfaces of Debian" "ens10 ens11 ens9 lo" \
    "$(/sbin/ifquery --list -a -i "$R/etc/network/interfaces" | sort | tr '\n' ' ' | sed 's/ $//')"
  expect "Debian's ifup" "ip link set dev ens10 mtu 1400
ip addr add 10.0.0.5/255.255.255.0 broadcast 10.0.0.255 dev ens10 label ens10
ip link set dev ens10 up
ip route add default via 10.0.0.1 metric 50 dev ens10 onlink
ip addr add 10.1.0.6/16 dev ens10 || :
ip addr add fd01::5/48 dev ens10 || :
ip addr add fd02::6/64 dev ens10 || :
ip addr flush dev ens10 mngtmpaddr
ip link set dev ens10 up
ip -6 addr add fd00::5/48 dev ens10
ip -6 route replace default via fd00::1 metric 60 dev ens10 onlink" "$(debian_does "$R/etc/network/interfaces" ens10)"
  expect "busybox's ifup" "ip link set dev ens10 mtu 1400
ip addr add 10.0.0.5/24 dev ens10 label ens10
ip link set ens10 up
ip route add default via 10.0.0.1 dev ens10 metric 50
ip addr add 10.1.0.6/16 dev ens10 || :
ip addr add fd01::5/48 dev ens10 || :
ip addr add fd02::6/64 dev ens10 || :
ip addr add fd00::5/48 dev ens10 label ens10
ip link set ens10 up
ip route add ::/0 via fd00::1 dev ens10 metric 60" "$(tidy "$(sed '/inet6 auto/,$d' "$R/etc/network/interfaces" >"$box/bb" && busybox ifup -n -i "$box/bb" ens10 2>&1)" | grep -v run-parts)"
  holds etc/network/interfaces "auto lo ens9
iface lo inet loopback

#stratuslab: allow-hotplug ens10
#stratuslab: iface ens10 inet static
#stratuslab:   address 192.168.1.5/24
  # a comment
#stratuslab:   up echo \\
#stratuslab:     iface none

#stratuslab: mapping ens10
#stratuslab:   script /bin/true
auto ens11
iface ens11 inet dhcp
#stratuslab: iface ens10:1 inet static
#stratuslab: 	address 192.168.1.6/24
# stratuslab-one-context: begin (changes in here are lost)
auto ens10
iface ens10 inet static"
  lacks etc/network/interfaces "auto ens9"
  holds etc/resolv.conf "nameserver 10.0.0.2"
  again early
  context "NAME=x"
  run early
  is etc/network/interfaces "$interfaces"
  absent etc/resolv.conf
}

case_network_ifupdown_folder() {
  cards
  printf 'auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n' | put etc/network/interfaces
  printf 'allow-hotplug ens9\niface ens9 inet dhcp\n' | put etc/network/interfaces.d/50-image
  printf 'nameserver 9.9.9.9\n' | put etc/resolv.conf
  context "$full
ETH1_DNS=1.1.1.1"
  run early
  holds etc/network/interfaces.d/stratuslab "auto ens10
auto ens9
iface ens10 inet static"
  is etc/network/interfaces.d/50-image "#stratuslab: allow-hotplug ens9
#stratuslab: iface ens9 inet dhcp"
  lacks etc/network/interfaces stratuslab
  holds etc/resolv.conf "nameserver 1.1.1.1"
  holds etc/.stratuslab-saved.resolv.conf 9.9.9.9
  again early
  context "NETWORK=NO
$full"
  sed -i 's/^NETWORK=.YES.//' "$M/context.sh"
  run early
  absent etc/network/interfaces.d/stratuslab
  is etc/network/interfaces.d/50-image "allow-hotplug ens9
iface ens9 inet dhcp"
  is etc/resolv.conf "nameserver 9.9.9.9"
  absent etc/.stratuslab-saved.resolv.conf
}

# Only IPv6, and busybox's ifup, which has neither auto nor dhcp for it.
case_network_alpine() {
  cards
  ln -s /bin/busybox "$R/usr/sbin/ifup"
  printf 'auto lo\niface lo inet loopback\n\nauto ens9\niface ens9 inet dhcp' | put etc/network/interfaces
  context "ETH0_IP6_METHOD=auto
ETH1_METHOD=dhcp
ETH1_IP6_METHOD=disable"
  run early
  expect "busybox's ifup" "ip link set dev ens9 up" \
    "$(busybox ifup -n -i "$R/etc/network/interfaces" ens9 2>&1 | grep -v run-parts)"
  holds etc/network/interfaces "iface ens9 inet6 manual"
  holds etc/network/interfaces "iface ens10 inet dhcp
    pre-up echo 1 >/proc/sys/net/ipv6/conf/ens10/disable_ipv6"
  again early
}

case_network_redhat() {
  cards
  put etc/sysconfig/network-scripts/ifup-eth </dev/null
  printf 'DEVICE=ens9\nBOOTPROTO=static\nIPADDR=1.2.3.4\n' | put etc/sysconfig/network-scripts/ifcfg-ens9
  context "$full"
  run early
  is etc/sysconfig/network-scripts/ifcfg-ens10 "# Written by stratuslab-one-context from the variables ETHn_* of the context.
DEVICE=ens10
TYPE=Ethernet
ONBOOT=yes
AUTOCONNECT_PRIORITY=100
MTU=1400
BOOTPROTO=none
IPADDR=10.0.0.5
NETMASK=255.255.255.0
IPADDR1=10.1.0.6
NETMASK1=255.255.0.0
GATEWAY=10.0.0.1
METRIC=50
IPV4_ROUTE_METRIC=50
IPV6_AUTOCONF=no
IPV6INIT=yes
IPV6ADDR=fd00::5/48
IPV6ADDR_SECONDARIES=\"fd01::5/48 fd02::6/64\"
IPV6_DEFAULTGW=fd00::1
IPV6_ROUTE_METRIC=60
DNS1=10.0.0.2
DNS2=fd00::53
DNS3=192.0.2.1
DOMAIN=\"example.org lab.example.org\""
  holds etc/sysconfig/network-scripts/ifcfg-ens9 BOOTPROTO=dhcp
  again early
  context ""
  run early
  absent etc/sysconfig/network-scripts/ifcfg-ens10
  is etc/sysconfig/network-scripts/ifcfg-ens9 $'DEVICE=ens9\nBOOTPROTO=static\nIPADDR=1.2.3.4'
}

# Red Hat 7 to 9 read ifcfg files by a plugin of NetworkManager; without one it is a matter of keyfiles.
case_network_redhat_by_plugin() {
  cards
  enabled NetworkManager
  printf 'DEVICE=ens9\n' | put etc/sysconfig/network-scripts/ifcfg-ens9
  context "$full"
  run early
  holds etc/NetworkManager/system-connections/stratuslab-ens9.nmconnection method=auto
  is etc/sysconfig/network-scripts/ifcfg-ens9 DEVICE=ens9
  put usr/lib64/NetworkManager/1.40/libnm-settings-plugin-ifcfg-rh.so </dev/null
  run early
  absent etc/NetworkManager/system-connections/stratuslab-ens9.nmconnection
  holds etc/sysconfig/network-scripts/ifcfg-ens9 BOOTPROTO=dhcp
}

case_network_suse() {
  cards
  printf 'NETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_STATIC_SERVERS=""\n' | put etc/sysconfig/network/config
  context "$full"
  run early
  is etc/sysconfig/network/ifcfg-ens10 "# Written by stratuslab-one-context from the variables ETHn_* of the context.
STARTMODE='auto'
BOOTPROTO='static'
MTU='1400'
IPADDR_0='10.0.0.5/24'
IPADDR_1='10.1.0.6/16'
IPADDR_2='fd00::5/48'
IPADDR_3='fd01::5/48'
IPADDR_4='fd02::6/64'"
  is etc/sysconfig/network/ifroute-ens10 "# Written by stratuslab-one-context from the variables ETHn_* of the context.
default 10.0.0.1 - ens10 unicast metric 50
default fd00::1 - ens10 unicast metric 60"
  # shellcheck disable=SC1091  # as netconfig does
  expect "name servers" "10.0.0.2 fd00::53 192.0.2.1" \
    "$(. "$R/etc/sysconfig/network/config" && echo "$NETCONFIG_DNS_STATIC_SERVERS")"
  again early
  context ""
  run early
  absent etc/sysconfig/network/ifcfg-ens10
  absent etc/sysconfig/network/ifroute-ens10
  is etc/sysconfig/network/config $'NETCONFIG_DNS_POLICY="auto"\nNETCONFIG_DNS_STATIC_SERVERS=""'
}

# Without hardware addresses: the cards in the order of the kernel, not of their names.
case_network_by_order() {
  cards
  enabled systemd-networkd
  context "ETH0_IP=10.0.0.7"
  run early
  holds etc/systemd/network/05-stratuslab-ens9.network "Address=10.0.0.7/24"
  absent etc/systemd/network/05-stratuslab-ens10.network
}

# A container: interfaces that are no cards.
case_network_container() {
  enabled systemd-networkd
  mkdir -p "$R"/sys/class/net/eth0 "$R"/sys/class/net/br0/bridge
  echo 5 >"$R/sys/class/net/eth0/ifindex"
  echo 02:00:0a:00:00:05 | tee "$R/sys/class/net/eth0/address" >"$R/sys/class/net/br0/address"
  context "ETH0_MAC=02:00:0a:00:00:05
ETH0_METHOD=dhcp"
  run early
  holds etc/systemd/network/05-stratuslab-eth0.network "DHCP=ipv4"
}

# No such interface: a wait of five seconds, told once, others work.
case_network_no_interface() {
  cards
  enabled systemd-networkd
  echo up >"$R/sys/class/net/ens9/operstate"
  context "ETH0_MAC=02:00:0a:00:00:99
ETH0_IP=10.0.0.7
ETH1_MAC=02:00:0a:00:00:06
ETH1_METHOD=dhcp
ETH2_MAC=02:00:0a:00:00:98
ETH2_METHOD=dhcp
ETH3_MAC=02:00:0a:00:00:06
ETH3_METHOD=dhcp"
  run early
  logged "ETH0: this machine has no such network interface"
  logged "ETH3: ens9 is configured already"
  logged "ens9 is up already"
  holds etc/systemd/network/05-stratuslab-ens9.network "DHCP=ipv4"
}

case_network_nothing_known() {
  cards
  mkdir -p "$R/usr/sbin"
  context "ETH0_METHOD=dhcp"
  # The machine of the tests has ifup.
  if PATH=/usr/sbin:/sbin:/usr/bin:/bin command -v ifup >/dev/null; then return; fi
  run early
  logged "not known"
}

# hostile VARIABLE VALUE: nothing is written and the variable is told.
hostile() {
  local quoted=${2//\'/\'\\\'\'}
  printf '%s\n' "$base" "$1='$quoted'" >"$M/context.sh"
  rm -f "$R/$log"
  run early
  logged "$1"
  absent etc/systemd/network/05-stratuslab-ens10.network
  absent etc/resolv.conf
  absent etc/evil
}

case_network_hostile() {
  local variable value base long
  cards
  enabled systemd-networkd
  context ""
  long=$(printf '1%.0s' {1..5000})
  base="ETH0_MAC=02:00:0a:00:00:05
ETH0_IP=10.0.0.5
ETH0_IP6=fd00::1
ETH0_ALIAS0_IP=10.0.0.6"
  for variable in MAC IP MASK GATEWAY MTU METRIC METHOD IP6 IP6_ULA IP6_PREFIX_LENGTH \
    IP6_GATEWAY IP6_METRIC IP6_METHOD ALIAS0_IP ALIAS0_MASK ALIAS0_IP6 ALIAS0_IP6_ULA; do
    for value in $'10.0.0.1\n[Route]' "x'y\"" '$(touch '"$R"'/etc/evil)' '../../etc/evil *' "$long"; do
      hostile ETH0_$variable "$value"
    done
  done
}

case_network_bad_addresses() {
  local base value
  cards
  enabled systemd-networkd
  context ""
  base="ETH0_MAC=02:00:0a:00:00:05
ETH0_IP=10.0.0.5
ETH0_IP6=fd00::1"
  for value in 1.2.3 1.2.3.4.5 1.2.3.256 01.2.3.4 1.2.3.08 .1.2.3 1.2.3. 1..2.3 ::1; do hostile ETH0_IP $value; done
  for value in 33 0 255.0.255.0 255.255.255.1 0.0.0.0 256.0.0.0; do hostile ETH0_MASK $value; done
  for value in : :: 1::2::3 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 12345::1 :1::2 1::2: ::1.2.3 1.2.3.4 ::1.2.3.4:5; do
    if [ $value != :: ]; then hostile ETH0_IP6 $value; fi
  done
  for value in 67 65537 1e3 0100; do hostile ETH0_MTU $value; done
  for value in 02:00:0a:00:00:0 02:00:0a:00:00:055 02-00; do hostile ETH0_MAC $value; done
}

# Wrong name servers or domains do not cost the address.
case_network_names_left_out() {
  local variable value
  cards
  enabled systemd-networkd
  context ""
  for variable in DNS SEARCH_DOMAIN ETH0_DNS ETH0_SEARCH_DOMAIN; do
    for value in $'10.0.0.1\n[Route]' "10.0.0.1 x'y\"" '$(touch '"$R"'/etc/evil)' a_b '10.0.0.1 -a.b' a..b a.-b; do
      printf '%s\n' ETH0_MAC=02:00:0a:00:00:05 ETH0_IP=10.0.0.5 "$variable='${value//\'/\'\\\'\'}'" >"$M/context.sh"
      rm -f "$R/$log"
      run early
      code 0
      logged "$variable is not a list"
      holds etc/systemd/network/05-stratuslab-ens10.network Address=10.0.0.5/24
      lacks etc/systemd/network/05-stratuslab-ens10.network DNS=
      lacks etc/systemd/network/05-stratuslab-ens10.network Domains=
      lacks etc/systemd/network/05-stratuslab-ens10.network Route
      absent etc/resolv.conf
      absent etc/evil
    done
  done
}

case_network_good_addresses() {
  local value
  cards
  enabled systemd-networkd
  for value in 1:2:3:4:5:6:7:8 ::1 fe80::1 ::ffff:1.2.3.4 1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:: FD00:0000:0000:0000:0000:0000:0000:0001; do
    context "ETH0_IP6=$value"
    run early
    holds etc/systemd/network/05-stratuslab-ens9.network "Address=$value/64"
  done
  for value in 8 255.0.0.0 255.128.0.0 32 255.255.255.254; do
    context "ETH0_IP=10.0.0.1
ETH0_MASK=$value"
    run early
    holds etc/systemd/network/05-stratuslab-ens9.network "Address=10.0.0.1/"
  done
  holds etc/systemd/network/05-stratuslab-ens9.network "Address=10.0.0.1/31"
}

# A mark without its end, left by an editor: the file is the administrator's.
case_network_broken_marks() {
  cards
  printf '# stratuslab-one-context: begin (changes in here are lost)\niface eth7 inet dhcp\n' | put etc/network/interfaces
  context "ETH0_METHOD=dhcp"
  run early
  is etc/network/interfaces $'# stratuslab-one-context: begin (changes in here are lost)\niface eth7 inet dhcp'
  logged "left as it is"
}

# A machine without its medium for once keeps its address.
case_network_no_medium() {
  cards
  enabled systemd-networkd
  context "ETH0_IP=10.0.0.7"
  run early
  rm -r "$M" "$box/blkid" "$R/dev/sr0"
  run early
  code 1
  holds etc/systemd/network/05-stratuslab-ens9.network "Address=10.0.0.7/24"
}

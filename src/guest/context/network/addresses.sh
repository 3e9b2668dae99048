# What may stand in a network configuration --------------------------------------------------------
#
# Everything here comes from outside. It is checked before it reaches a file: a renderer such as
# netplan gives up all interfaces if one address is wrong, and a newline would be a line of its own.


# Whether TEXT is a whole number from LEAST to MOST, without leading zeros (those would be octal).
is_number() {
  case $1 in
  '' | *[!0-9]* | 0?* | ??????????*) return 1 ;;
  esac
  [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

# Whether TEXT is an IPv4 address: four numbers from 0 to 255 with dots between them.
is_ipv4() {
  case $1 in
  *[!0-9.]* | .* | *. | *..* | ????????????????*) return 1 ;;
  *.*.*.*.*) return 1 ;;
  *.*.*.*) ;;
  *) return 1 ;;
  esac
  ipv4_rest=$1.
  while [ -n "$ipv4_rest" ]; do
    is_number "${ipv4_rest%%.*}" 0 255 || return 1
    ipv4_rest=${ipv4_rest#*.}
  done
}

# Whether TEXT is an IPv6 address: eight groups of at most four hexadecimal digits; `::` once for
# any number of them; the last two may be written as an IPv4 address.
is_ipv6() {
  case $1 in
  *[!0-9a-fA-F:.]* | *:::* | *::*::* | ??????????????????????????????????????????????*) return 1 ;;
  *:*:*) ;;
  *) return 1 ;;
  esac
  case $1 in
  :[!:]* | *[!:]:) return 1 ;;
  esac
  ipv6_rest=$1:
  ipv6_groups=0
  while [ -n "$ipv6_rest" ]; do
    ipv6_group=${ipv6_rest%%:*}
    ipv6_rest=${ipv6_rest#*:}
    case $ipv6_group in
    '') continue ;;
    *.*)
      [ -z "$ipv6_rest" ] && is_ipv4 "$ipv6_group" || return 1
      ipv6_groups=$((ipv6_groups + 1))
      ;;
    ?????*) return 1 ;;
    esac
    ipv6_groups=$((ipv6_groups + 1))
  done
  case $1 in
  *::*) [ "$ipv6_groups" -le 7 ] ;;
  *) [ "$ipv6_groups" = 8 ] ;;
  esac
}

# Whether TEXT is a name of a host or domain (RFC 1123): labels of letters, digits and inner
# hyphens, at most 63 long each and 253 together. An address is none.
is_host_name() {
  case $1 in
  '' | *[!A-Za-z0-9.-]* | .* | *. | *..* | -* | *- | *-.* | *.-*) return 1 ;;
  esac
  [ "${#1}" -le 253 ] || return 1
  if is_ipv4 "$1"; then return 1; fi
  label_rest=$1.
  while [ -n "$label_rest" ]; do
    label=${label_rest%%.*}
    label_rest=${label_rest#*.}
    [ "${#label}" -le 63 ] || return 1
  done
}

# Whether TEXT can be the name of a network interface, and no pattern of names: at most 15 bytes
# (IFNAMSIZ of the kernel). One that begins with a dot would be a hidden file.
is_interface_name() {
  case $1 in
  '' | .* | -* | *[!A-Za-z0-9._-]* | ????????????????*) return 1 ;;
  esac
}

# Sets PREFIX to the length that MASK stands for: 24 and 255.255.255.0 are the same.
prefix_of() {
  PREFIX=$1
  if is_number "$1" 1 32; then return 0; fi
  is_ipv4 "$1" || return 1
  PREFIX=0
  mask_rest=$1.
  mask_ended=no
  while [ -n "$mask_rest" ]; do
    case $mask_ended,${mask_rest%%.*} in
    no,255) PREFIX=$((PREFIX + 8)) ;;
    no,254) PREFIX=$((PREFIX + 7)) mask_ended=yes ;;
    no,252) PREFIX=$((PREFIX + 6)) mask_ended=yes ;;
    no,248) PREFIX=$((PREFIX + 5)) mask_ended=yes ;;
    no,240) PREFIX=$((PREFIX + 4)) mask_ended=yes ;;
    no,224) PREFIX=$((PREFIX + 3)) mask_ended=yes ;;
    no,192) PREFIX=$((PREFIX + 2)) mask_ended=yes ;;
    no,128) PREFIX=$((PREFIX + 1)) mask_ended=yes ;;
    no,0 | yes,0) mask_ended=yes ;;
    *) return 1 ;;
    esac
    mask_rest=${mask_rest#*.}
  done
  [ "$PREFIX" -ge 1 ]
}

# Sets MASK to the dotted form of a prefix length, which old tools want.
mask_of() {
  MASK=
  mask_bits=$1
  for mask_dot in . . . ''; do
    if [ "$mask_bits" -ge 8 ]; then
      MASK=${MASK}255$mask_dot
      mask_bits=$((mask_bits - 8))
    else
      case $mask_bits in
      7) MASK=${MASK}254$mask_dot ;;
      6) MASK=${MASK}252$mask_dot ;;
      5) MASK=${MASK}248$mask_dot ;;
      4) MASK=${MASK}240$mask_dot ;;
      3) MASK=${MASK}224$mask_dot ;;
      2) MASK=${MASK}192$mask_dot ;;
      1) MASK=${MASK}128$mask_dot ;;
      0) MASK=${MASK}0$mask_dot ;;
      esac
      mask_bits=0
    fi
  done
}

# Sets WORDS to the words of TEXT (blanks or commas are between them) if each is of the KIND: address
# of either family, or domain.
words_of() {
  WORDS=
  case $2 in
  *[!0-9A-Za-z.:,\ -]*) return 1 ;;
  esac
  [ "${#2}" -le 1000 ] || return 1
  words_ifs=$IFS
  IFS=' ,'
  for word in $2; do
    IFS=$words_ifs
    case $1 in
    address) is_ipv4 "$word" || is_ipv6 "$word" ;;
    domain) is_host_name "$word" ;;
    esac || {
      WORDS=
      return 1
    }
    WORDS="$WORDS${WORDS:+ }$word"
  done
  IFS=$words_ifs
}

# Files of a network configuration -----------------------------------------------------------------
#
# Files that are ours alone have names of ours. Where a file of the image has to be replaced it is
# kept beside it, and comes back when the context has nothing to say about the interface any more.

net_mark="# Written by stratuslab-one-context from the variables ETHn_* of the context."

# Makes TEXT the content of PATH unless it is that. The path joins those that are in use ($net_used)
# and those that have changed ($net_changed).
put_config() {
  net_used="$net_used$1:"
  if [ -f "$1" ] && ! [ -L "$1" ] && [ "$(cat "$1")" = "$3" ]; then return 0; fi
  if write_file "$1" "$2" <<END
$3
END
  then
    relabel "$1"
    net_changed=$net_changed$1:
  else
    trouble "$1 could not be written"
    return 1
  fi
}

# Whether PATH is ours: the first line says so.
is_ours() {
  net_line=
  if [ -f "$1" ]; then IFS= read -r net_line <"$1"; fi
  [ "$net_line" = "$net_mark" ]
}

# Where the image's own file is kept while ours takes its place. The name begins with a dot, so that
# nobody takes it for a configuration.
saved_name() {
  net_saved=${1%/*}/.stratuslab-saved.${1##*/}
}

# Like put_config, for a file that the image may have. TEXT goes below the line that marks it.
replace_config() {
  saved_name "$1"
  if [ -f "$1" ] && ! is_ours "$1"; then
    mv -f "$1" "$net_saved" || { trouble "$1 could not be kept as $net_saved"; return 1; }
  fi
  put_config "$1" "$2" "$net_mark
$3"
}

# Takes away the file PATH of ours if this run did not write it, and brings the image's own back.
restore_config() {
  case $net_used in
  *":$1:"*) return 0 ;;
  esac
  if ! is_ours "$1"; then return 0; fi
  saved_name "$1"
  if [ -f "$net_saved" ]; then mv -f "$net_saved" "$1"; else rm -f "$1"; fi
  net_changed=$net_changed$1:
  say "$1: the settings of an earlier context are gone"
}

# Puts TEXT between two marks at the end of the file PATH of the image; an empty one takes them away.
# The other lines stay, LINES says how: asis, or as `stanzas` of ifupdown that may be taken over.
put_block() {
  without_block "$1" "$3" || return
  if [ -n "$2" ]; then net_new="$net_new$net_begin$nl$2$nl$net_end$nl"; fi
  if [ "$net_new" != "$net_old" ]; then put_config "$1" 644 "${net_new%"$nl"}"; fi
}

net_begin="# stratuslab-one-context: begin (changes in here are lost)"
net_end="# stratuslab-one-context: end"

# Sets net_old to the lines of the file PATH, net_new to those outside of our marks.
without_block() {
  net_old='' net_new='' net_in_block=no
  while IFS= read -r line || [ -n "$line" ]; do
    net_old=$net_old$line$nl
    case $net_in_block,$line in
    no,"$net_begin") net_in_block=yes ;;
    yes,"$net_end") net_in_block=no ;;
    no,*)
      if [ "$2" != asis ]; then ifupdown_line; fi
      net_new=$net_new$line$nl
      ;;
    esac
  done <"$1"
  [ $net_in_block = no ] || { trouble "$1 has our first mark without the last: it is left as it is"; return 1; }
}

# Name servers for a system in which nothing but the file /etc/resolv.conf holds them.
write_resolv_conf() {
  if [ -z "$net_servers$net_domains" ]; then return 0; fi
  if [ -L "$root/etc/resolv.conf" ] || guest_has resolvconf || is_enabled NetworkManager || is_enabled systemd-resolved; then
    return 0
  fi
  net_text=
  if [ -n "$net_domains" ]; then net_text="search $net_domains$nl"; fi
  for net_word in $net_servers; do
    net_text="${net_text}nameserver $net_word$nl"
  done
  replace_config "$root/etc/resolv.conf" 644 "${net_text%"$nl"}"
}

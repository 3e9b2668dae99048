#!/bin/sh
# An action for the guest's context: time from the site's own servers.
#
#   stratus-convert --context-script examples/actions/ntp.sh:NTP_SERVERS=pool.ntp.org mydisk.vdi
#   stratus-run-instance --context "NTP_SERVERS=ntp1.example.org ntp2.example.org" IDENTIFIER
#
# NTP_SERVERS   names or addresses, with blanks between them. A list in the cloud's context beats
#               the one of the image.
#
# For chrony, systemd-timesyncd and ntpd, whichever is there. Ends with 0 if the servers are set,
# with 1 if the list is wrong, with 2 if there is nothing to set them in. It runs at each start, so
# it writes only what is different; what it prints stands in /var/log/stratuslab-one-context.log.
set -uf
# For tests: the folder that stands for /.
root=${ROOT:-}

# What comes from the cloud is a stranger's text: look at it before it becomes configuration.
for server in ${NTP_SERVERS:-}; do
  case $server in
  -* | *[!A-Za-z0-9.:-]*)
    echo "NTP_SERVERS: '$server' is no name of a server"
    exit 1
    ;;
  esac
done
[ -n "${NTP_SERVERS:-}" ] || {
  echo "NTP_SERVERS is empty"
  exit 1
}

# put FILE SERVICE: standard input becomes the file, and the service reads it if it runs.
put() {
  new=$(cat)
  if [ -f "$1" ] && [ "$(cat "$1")" = "$new" ]; then
    echo "$1 is as it should be"
    return
  fi
  printf '%s\n' "$new" >"$1.new" && mv "$1.new" "$1" || exit 2
  echo "$1: ${NTP_SERVERS}"
  if [ -z "$root" ] && systemctl -q is-active "$2" 2>/dev/null; then
    systemctl --no-block restart "$2"
  fi
}

each() {
  for server in $NTP_SERVERS; do echo "server $server iburst"; done
}

if [ -d "$root/etc/chrony/conf.d" ]; then
  each | put "$root/etc/chrony/conf.d/site.conf" chrony
elif [ -f "$root/etc/chrony.conf" ]; then
  # Red Hat's has no folder for additions: the servers stand in place of the distribution's.
  { grep -Ev '^(server|pool) ' "$root/etc/chrony.conf"; each; } | put "$root/etc/chrony.conf" chronyd
elif [ -f "$root/etc/systemd/timesyncd.conf" ]; then
  mkdir -p "$root/etc/systemd/timesyncd.conf.d"
  printf '[Time]\nNTP=%s\n' "$NTP_SERVERS" |
    put "$root/etc/systemd/timesyncd.conf.d/site.conf" systemd-timesyncd
elif [ -f "$root/etc/ntp.conf" ]; then
  { grep -Ev '^(server|pool) ' "$root/etc/ntp.conf"; each; } | put "$root/etc/ntp.conf" ntpd
else
  echo "neither chrony, nor systemd-timesyncd, nor ntpd is here"
  exit 2
fi

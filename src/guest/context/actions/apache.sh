#!/bin/sh
# stratuslab-apache-context: the web server asks for a name and a password.
#
#   CREDENTIAL_LOGIN, CREDENTIAL_PASS   those that it takes; without them nothing is changed
#   APACHE_AUTH_FILE   where they are kept (the password as a hash of bcrypt)
#   APACHE_AUTH_CONF   the configuration that asks for them
#   APACHE_AUTH_NAME   what the browser shows, "Protected Area"
#
# The two paths have defaults for Debian (below /etc/apache2) and Red Hat (below /etc/httpd).
# Exit code: 1 without credentials, with wrong variables, or if something failed.

LC_ALL=C
export LC_ALL
umask 077
root=${ROOT-}
root=${root%/}
PATH=$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
newline='
'
# Some shells keep a here-document in a file: in memory, where only root may look.
if mkdir -p "$root/run/stratuslab" 2>/dev/null; then TMPDIR=$root/run/stratuslab; fi

fail() {
  echo "stratuslab-apache-context: $*" >&2
  exit 1
}

# check_path NAME PATH: a path of letters that mean nothing in the configuration.
check_path() {
  case $2 in
  [!/]* | *..* | *[!A-Za-z0-9/._-]* | */) fail "$1 is no path of a file" ;;
  esac
}

# Sets server and group to those of this system, and the paths.
find_server() {
  if [ -d "$root/etc/apache2" ]; then
    server=apache2 group=www-data
    config=/etc/apache2/conf-available/stratuslab-auth.conf
    if [ ! -d "$root/etc/apache2/conf-available" ]; then config=/etc/apache2/conf.d/stratuslab-auth.conf; fi
    password_file=/etc/apache2/stratuslab-auth
  elif [ -d "$root/etc/httpd" ]; then
    server=httpd group=apache
    config=/etc/httpd/conf.d/auth.conf
    password_file=/etc/httpd/conf/auth
  else
    fail "there is no Apache web server"
  fi
  config=${APACHE_AUTH_CONF:-$config}
  password_file=${APACHE_AUTH_FILE:-$password_file}
  check_path APACHE_AUTH_CONF "$config"
  check_path APACHE_AUTH_FILE "$password_file"
}

check_variables() {
  if [ -z "${CREDENTIAL_LOGIN-}" ] || [ -z "${CREDENTIAL_PASS-}" ]; then
    fail "CREDENTIAL_LOGIN and CREDENTIAL_PASS are not set"
  fi
  case $CREDENTIAL_LOGIN in
  -* | *[!A-Za-z0-9._@+-]*) fail "CREDENTIAL_LOGIN has characters that a name cannot have" ;;
  esac
  case $CREDENTIAL_PASS in
  *"$newline"*) fail "CREDENTIAL_PASS has a line break" ;;
  esac
  area=${APACHE_AUTH_NAME:-Protected Area}
  case $area in
  *[!A-Za-z0-9\ .,:_-]*) fail "APACHE_AUTH_NAME has characters that are not taken" ;;
  esac
}

# htpasswd takes the password from its standard input; as an argument everybody could see it.
write_password() {
  command -v htpasswd >/dev/null || fail "htpasswd is not here (apache2-utils, httpd-tools)"
  rm -f "$root$password_file.new"
  htpasswd -i -B -c "$root$password_file.new" "$CREDENTIAL_LOGIN" >/dev/null 2>&1 <<END || fail "htpasswd has failed"
$CREDENTIAL_PASS
END
  chmod 640 "$root$password_file.new"
  if [ -z "$root" ]; then chgrp "$group" "$password_file.new" || fail "there is no group $group"; fi
  mv -f "$root$password_file.new" "$root$password_file" || fail "$password_file cannot be written"
}

write_config() {
  cat >"$root$config.new" <<END || fail "$config cannot be written"
# Written by stratuslab-apache-context.
<Location "/">
    AuthType Basic
    AuthName "$area"
    AuthUserFile "$password_file"
    Require user "$CREDENTIAL_LOGIN"
</Location>
END
  chmod 644 "$root$config.new"
  mv -f "$root$config.new" "$root$config" || fail "$config cannot be written"
  # Debian reads what is linked from conf-enabled.
  case $config in
  /etc/apache2/conf-available/*)
    ln -sf "../conf-available/${config##*/}" "$root/etc/apache2/conf-enabled/${config##*/}" ||
      fail "$config cannot be enabled"
    ;;
  esac
}

# Reads the configuration again, if the server runs already.
reload() {
  if command -v systemctl >/dev/null && [ -d "$root/run/systemd/system" ]; then
    systemctl try-reload-or-restart "$server"
  elif command -v service >/dev/null; then
    service "$server" reload
  elif [ -x "$root/etc/init.d/$server" ]; then
    "$root/etc/init.d/$server" reload
  fi >/dev/null 2>&1 || echo "stratuslab-apache-context: $server does not run: it will ask when it is started"
}

check_variables
find_server
write_password
write_config
reload

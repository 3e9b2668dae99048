#!/bin/sh
# stratuslab-one-context: takes the parameters that a user gave when starting this machine.
#
#   stratuslab-one-context early     before network and SSH: host keys, medium, names, keys, accounts
#   stratuslab-one-context late      with the network up: scripts of the medium, late actions
#   stratuslab-one-context           both in one, for init systems that know one moment only
#   stratuslab-one-context status    what the last runs did
#
# The parameters come from a small disk that the cloud attaches (the medium). Their defaults come
# from /etc/stratuslab/conf.d/*.context, each of which may also name a program to run (an action).
# Settings: /etc/stratuslab/stratuslab-one-context.cfg. Log: /var/log/stratuslab-one-context.log.
#
# Exit codes: 0 all is done; 1 there is no medium; 2 the medium, or a part of it, cannot be read;
# 3 an action or step failed; 4 a file of the configuration was refused; 64 wrong usage.
#
# Nothing that comes from the medium, and no *.context, is executed in this shell: what it says is
# data here, kept in variables U_NAME, and becomes NAME only in the programs that are started.

set +e
umask 077

# $root is in front of every path of the guest. It is empty but for tests.
root=${ROOT-}
root=${root%/}
system_path=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
PATH=$system_path
if [ -n "$root" ]; then
  PATH=$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:$system_path
fi
export PATH

# The locale C treats text as bytes. Only yash, which takes its locale when it starts, could not
# read other bytes than ASCII then.
if [ -n "${YASH_VERSION-}" ] && [ "${LC_ALL-}" != C.UTF-8 ]; then
  LC_ALL=C.UTF-8
  export LC_ALL
  self=$0
  exec sh "$self" "$@"
elif [ -z "${YASH_VERSION-}" ]; then
  LC_ALL=C
fi
export LC_ALL

nl='
'
tab=$(printf '\t')
blank=" $tab"
cr=$(printf '\r')
# All control characters but tab and newline, as a range in [].
control=$(printf '\001-\010\013-\037\177')
IFS=" $tab$nl"

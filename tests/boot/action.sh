#!/bin/sh
# An action of the boot test: writes down what reached it.
umask 077
{
  echo "boot: $(cat /proc/sys/kernel/random/boot_id)"
  printf 'foo: %s\n' "$FOO"
  printf 'baked: %s\n' "$BAKED"
  awk 'BEGIN { for (name in ENVIRON) print "name: " name }'
} >/var/lib/stratus-boot-action
echo "the action of the boot test has run"

#!/bin/sh
# An action of the boot test, before the other one: fails where the medium says so.
[ "$FAIL" != yes ] || exit 7

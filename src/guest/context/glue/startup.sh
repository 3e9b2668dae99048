#!/bin/sh
# @WHAT@
[ "$1" = stop ] || /usr/bin/stratuslab-one-context @STAGE@ || :

#!/bin/bash
# Part of context.sh: how the program is called.
#
# shellcheck disable=SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

case_usage() {
  run later
  code 64
  run early late
  code 64
  absent $log
}

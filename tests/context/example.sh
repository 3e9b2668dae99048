#!/bin/bash
# Part of context.sh: the action in examples/.
#
# shellcheck disable=SC2154,SC2317  # its variables and functions are those of context.sh

case_example_action() {
  put usr/lib/stratuslab/actions/ntp 755 <"$here/examples/actions/ntp.sh"
  put etc/systemd/timesyncd.conf </dev/null
  action 60-ntp <<<$'enable=yes\nrun_exec=/usr/lib/stratuslab/actions/ntp\nNTP_SERVERS=pool.example.org'
  run
  holds etc/systemd/timesyncd.conf.d/site.conf "NTP=pool.example.org"
  context "NTP_SERVERS='a.example.org 10.0.0.1'"
  run
  code 0
  holds etc/systemd/timesyncd.conf.d/site.conf "NTP=a.example.org 10.0.0.1"
  again
  context 'NTP_SERVERS="x;reboot"'
  run
  code 3
  logged "is no name of a server"
  holds etc/systemd/timesyncd.conf.d/site.conf "NTP=a.example.org 10.0.0.1"
}

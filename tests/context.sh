#!/bin/bash
# The contextualizer in fake guests, in every shell that /bin/sh of a guest may be:
#
#   tests/context.sh [SHELL...]          CASES='raw* keys' tests/context.sh dash  only some cases
#
# Joins the program from the list of parts in src/guest/context.rs, has shellcheck, checkbashisms
# and `SHELL -n` read it, and runs the cases of tests/context/*.sh in each shell, two shells at a
# time. Ends with "N passed, N failed"; one case in one shell counts once.
#
# How to add cases: put a file into tests/context/. It is bash and defines functions called case_*
# (for every shell), once_* (in the first shell only) and helpers called otherwise. Each case runs
# in a subshell of its own with a fresh fake root:
#
#   $R                        the fake root: /etc/passwd, /etc/stratuslab/conf.d, /root, /dev, ...
#   $shell                    the shell under test, a command line; $R/bin/sh is it, too
#   $program                  the joined program; $parts the folder of its parts
#   put PATH [MODE]           standard input becomes $R/PATH (folders are made)
#   action NAME [MODE]        standard input becomes $R/etc/stratuslab/conf.d/NAME.context
#   medium LABEL [DEVICE]     a disk with that label ("" is none) on DEVICE (sr0); $M is its content
#   on_medium PATH            standard input becomes a file of that disk
#   no_media                  there are no disks any more
#   context TEXT              the disk CONTEXT on sr0 with TEXT as its context.sh
#   fake NAME                 standard input becomes the command $R/usr/bin/NAME (an sh script, whose
#                             calls are noted like those of the ready-made fakes)
#   run [ARGUMENT...]         runs the program: $code is its exit code, $out what it printed
#   expect WHAT WANTED GOT    the case has failed if the last two differ
#   code N                    the last run ended with N
#   holds PATH TEXT           $R/PATH has TEXT in it;    lacks PATH TEXT     it has not
#   is PATH TEXT              $R/PATH is TEXT and a newline
#   absent PATTERN            there is no such thing in $R
#   mode PATH OCTAL           its permissions
#   logged TEXT, unlogged TEXT   the same of the log
#   calls NAME                prints how often the fake NAME was called, and `called NAME` with what
#   unmounted                 nothing is left of the medium at any mount point
#   again [ARGUMENT...]       runs the program again, and nothing in $R may change but log and status
#
# In busybox, whose sh prefers its own commands, the fakes are functions: those whose names are
# letters only, and not in what the program starts.
#
# The fakes that are there: blkid mount umount logger modprobe sync restorecon; and the function
# pause, which does not wait. A *.context may take 4 s instead of 20 s.
#
# shellcheck disable=SC2034,SC2086  # variables for the case files; $shell may be two words
set -uo pipefail
shopt -s nullglob
export LC_ALL=C
unset CDPATH ENV BASH_ENV

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
cd "$here" || exit 1

if [ "$#" = 0 ]; then set -- dash "busybox sh" "bash --posix" mksh yash posh ksh; fi

# The Debian package of a command.
package() {
  case $1 in
  busybox) echo busybox-static ;;
  checkbashisms) echo devscripts ;;
  mkfs.vfat) echo dosfstools ;;
  mcopy) echo mtools ;;
  *) echo "$1" ;;
  esac
}

missing=
for tool in shellcheck checkbashisms python3 genisoimage mkfs.vfat mcopy "${@%% *}"; do
  PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null || missing="$missing $(package "$tool")"
done
if [ -n "$missing" ]; then
  echo "tests/context.sh: not installed; to do: apt-get install$missing" >&2
  echo "0 passed, 1 failed"
  exit 1
fi

work=$(mktemp -d) || exit 1
# A medium that a case mounted for real is unmounted by the case; this is for a run that is stopped.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The program ------------------------------------------------------------------------------------

parts=$here/src/guest/context
program=$work/stratuslab-one-context
shipped=$work/shipped

# What other parts of the program are called for; a part that is not there does nothing.
plain_calls="set_host_keys set_hostname set_network set_timezone grow_root set_users"

join() {
  local names part
  names=$(sed -n '/const PROGRAM:/,/);/s/.*include_str!("context\/\(.*\)").*/\1/p' src/guest/context.rs)
  [ -n "$names" ] || return 1
  for part in $names; do
    [ -f "$parts/$part" ] || { echo "tests/context.sh: no $parts/$part" >&2; return 1; }
    cat "$parts/$part" >>"$shipped"
    if [ "$part" = main.sh ]; then test_functions >>"$program"; fi
    cat "$parts/$part" >>"$program"
  done
}

# What the program has besides in a test: what parts that are not there would define, and no waiting.
test_functions() {
  local name
  for name in $plain_calls; do
    (cd "$parts" && grep -rqs "^$name()" --include=*.sh .) || echo "$name() { return 0; }"
  done
  cat <<'END'
pause() { echo pause >>"$root/../calls"; }
read_limit=4
# The sh of busybox takes its own mount rather than the one in PATH, but functions first.
if [ -e "$root/fakes-are-functions" ]; then
  for fake in "$root"/usr/bin/*; do
    case ${fake##*/} in
    *[!a-z_]*) ;;
    *) eval "${fake##*/}() { '$fake' \"\$@\"; }" ;;
    esac
  done
fi
END
}

join || exit 1
chmod 755 "$program" "$shipped"

# Results ----------------------------------------------------------------------------------------

# result SHELL CASE ok|FAILED
result() {
  echo "$3" >>"$work/results"
  if [ "$3" != ok ]; then echo "FAILED  $1: $2"; fi
}

# check NAME COMMAND...: a check that has to be silent and successful.
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1) && [ -z "$said" ]; then
    result all "$name" ok
  else
    printf '%s\n' "$said"
    result all "$name" FAILED
  fi
}

# What a case can use ----------------------------------------------------------------------------

put() {
  mkdir -p "$R/$(dirname "$1")" && cat >"$R/$1" && chmod "${2-644}" "$R/$1"
}

action() {
  put "etc/stratuslab/conf.d/$1.context" "${2-644}"
}

medium() {
  local device=${2-sr0}
  M=$box/media/$device
  mkdir -p "$M" && : >"$R/dev/$device"
  if [ -n "$1" ]; then printf '/dev/%s: LABEL="%s"\n' "$device" "$1" >>"$box/blkid"; fi
}

no_media() {
  rm -rf "${box:?}/media" "$box/blkid"
}

on_medium() {
  mkdir -p "$M/$(dirname "$1")" && cat >"$M/$1"
}

context() {
  medium CONTEXT
  printf '%s\n' "# Context variables generated by OpenNebula" "$1" | on_medium context.sh
}

fake() {
  {
    printf '#!/bin/dash\n'
    # shellcheck disable=SC2016  # for the script
    printf 'box=%q\n{ printf "%%s" "${0##*/}"; for a; do printf " [%%s]" "$a"; done; echo; } >>"$box/calls"\n' "$box"
    cat
  } >"$R/usr/bin/$1"
  chmod 755 "$R/usr/bin/$1"
}

run() {
  code=0
  out=$(cd / && env -i ROOT="$R" $shell "$program" "$@" 2>&1 </dev/null) || code=$?
}

expect() {
  if [ "$2" != "$3" ]; then
    bad="$bad
    $1: wanted $(shorten "$2")
    $1: got    $(shorten "$3")"
  fi
}

# shorten TEXT: quoted, and not more than fits on a screen.
shorten() {
  if [ "${#1}" -gt 1000 ]; then echo "${1:0:1000}..."; else echo "${1@Q}"; fi
}

code() {
  expect "exit code" "$1" "$code"
}

holds() {
  if ! [ -f "$R/$1" ]; then
    expect "$1" "a file" "no file"
  elif [[ $(<"$R/$1") != *"$2"* ]]; then
    expect "$1" "*$2*" "$(head -c 2000 "$R/$1")"
  fi
}

lacks() {
  if [ -f "$R/$1" ] && [[ $(<"$R/$1") == *"$2"* ]]; then
    expect "$1" "no $2" "$(head -c 2000 "$R/$1")"
  fi
}

is() {
  if [ -f "$R/$1" ]; then
    expect "$1" "$2"$'\n.' "$(head -c 200000 "$R/$1" && echo .)"
  else
    expect "$1" "a file" "no file"
  fi
}

absent() {
  expect "$1" "" "$(compgen -G "$R/$1")"
}

mode() {
  expect "mode of $1" "$2" "$(stat -c %a "$R/$1" 2>&1)"
}

log=var/log/stratuslab-one-context.log
logged() { holds $log "$1"; }
unlogged() { lacks $log "$1"; }

calls() { grep -c "^$1\( \|\$\)" "$box/calls" 2>/dev/null || :; }
called() { grep "^$1\( \|\$\)" "$box/calls" 2>/dev/null || :; }

unmounted() {
  expect "still mounted" "" "$(cat "$box"/mounts/* 2>/dev/null)"
}

# tree: everything in the fake root but the log and what tells of the last run.
tree() {
  (cd "$R" && find . -path ./run -prune -o -path "./$log" -prune -o -path ./dev/console -prune -o \
    -printf '%p %y %m %U:%G %l ' \( -type f -exec sh -c 'cksum <"$1"' sh {} \; -o -printf '\n' \) | sort)
}

again() {
  local before
  before=$(tree)
  run "$@"
  expect "a second run changes nothing" "$before" "$(tree)"
}

# A fake root ------------------------------------------------------------------------------------

# The fakes that every root has, made once for each shell and copied.
skeleton() {
  local name
  R=$1
  mkdir -p "$R"/{bin,sbin,dev,etc/stratuslab/conf.d,mnt/stratuslab,proc,root,run,sys,tmp,usr/bin,usr/sbin,var/log,var/lib,home}
  chmod 700 "$R/root"
  chmod 1777 "$R/tmp"
  : >"$R/dev/console"
  printf '%s\n' "root:x:$(id -u):$(id -g):root:/root:/bin/sh" "ann:x:$(id -u):$(id -g):Ann:/home/ann:/bin/sh" |
    put etc/passwd
  mkdir -p "$R/home/ann"
  case $shell in
  "bash --posix") ln -s "$(command -v bash)" "$R/bin/sh" ;;
  "busybox sh")
    ln -s "$(command -v busybox)" "$R/bin/sh"
    : >"$R/fakes-are-functions"
    ;;
  *) ln -s "$(command -v "$shell")" "$R/bin/sh" ;;
  esac
}

ready_fakes() {
  local name
  fake blkid <<'END'
list=$(cat "$box/blkid" 2>/dev/null)
case "$1" in
'') [ -z "$list" ] || printf '%s\n' "$list" ;;
-L) printf '%s\n' "$list" | sed -n "s/: LABEL=\"$2\".*//p" | grep . || exit 2 ;;
*) exit 4 ;;
esac
END
  # A mounted file system is a copy; a medium with a file "broken-mount" beside it cannot be mounted.
  fake mount <<'END'
device= place=
while [ "$#" -gt 0 ]; do
  case $1 in -t | -o) shift ;; -*) ;; *) device=$place place=$1 ;; esac
  shift
done
name=${device##*/}
[ -d "$box/media/$name" ] && ! [ -e "$box/broken-$name" ] || exit 32
[ -z "$(ls -A "$place")" ] || exit 32
cp -a "$box/media/$name/." "$place/" || exit 32
mkdir -p "$box/mounts"
echo "$place" >"$box/mounts/$(echo "$place" | tr / _)"
END
  fake umount <<'END'
for place; do :; done
[ -e "$box/mounts/$(echo "$place" | tr / _)" ] || exit 32
rm -f "$box/mounts/$(echo "$place" | tr / _)"
find "$place" -mindepth 1 -delete
END
  for name in logger modprobe sync restorecon; do fake $name </dev/null; done
}

# Runs one case in a new root, in a subshell.
one_case() {
  local name=$1 skeleton=$2
  box=$2-box
  R=$box/root
  bad=
  rm -rf --one-file-system "$box"
  mkdir -p "$box/media"
  cp -a "$skeleton" "$R"
  ready_fakes
  M=
  "$name"
  if [ -n "$bad" ]; then
    printf 'FAILED  %s: %s%s\n' "$shell" "${name#*_}" "$bad"
    if [ -n "${VERBOSE-}" ]; then sed 's/^/    | /' "$R/$log"; printf '%s\n' "$out"; fi
    return 1
  fi
}

# wanted NAME: is the case one of those that were asked for?
wanted() {
  local pattern patterns
  read -ra patterns <<<"${CASES:-*}"
  for pattern in "${patterns[@]}"; do
    # shellcheck disable=SC2053  # a pattern
    if [[ $1 == $pattern ]]; then return 0; fi
  done
  return 1
}

# all_cases SHELL NUMBER PATTERN: all cases in one shell, or those for one shell only, too.
all_cases() {
  local name number=$2
  shell=$1
  skeleton "$work/root$number"
  for name in $(declare -F | sed 's/^declare -f //' | grep -E "^($3)_"); do
    wanted "${name#*_}" || continue
    if (one_case "$name" "$work/root$number"); then
      echo ok >>"$work/results"
    else
      echo FAILED >>"$work/results"
    fi
  done
}

# ------------------------------------------------------------------------------------------------

check "shellcheck of the program" shellcheck -s sh -S style "$shipped"
check "checkbashisms of the program" checkbashisms -x "$shipped"
check "shellcheck of the tests" shellcheck -x tests/context.sh tests/context/*.sh
for shell; do
  # ksh has more to say, which is its own taste.
  check "$shell -n" eval "$shell -n \"\$shipped\" 2>\"\$work/said\" || cat \"\$work/said\""
done

for file in tests/context/*.sh; do
  # shellcheck disable=SC1090  # the cases
  . "$file"
done

number=0
for shell; do
  number=$((number + 1))
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
  all_cases "$shell" "$number" "case$([ "$number" != 1 ] || echo '|once')" &
done
wait

failed=$(grep -c FAILED "$work/results")
passed=$(grep -c ok "$work/results")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

#!/bin/bash
# Part of context.sh: what the values of a context.sh are.
#
# shellcheck disable=SC2016,SC2154,SC2086,SC2317  # its variables and functions are those of context.sh

# An action that prints the whole environment as NAME=VALUE, in the escapes of Python.
show_all() {
  action 50-show <<<$'enable=yes\nrun_exec=/usr/bin/show'
  fake show <<'END'
exec python3 -c 'import os
with open(os.environ["ROOT"] + "/shown", "w") as f:
    for n, v in sorted(os.environb.items()):
        f.write("%s=%r\n" % (n.decode(), v))'
END
}

# shows NAME VALUE: the action got exactly this; - is: it got no such variable.
shows() {
  local wanted="$1=$2"
  if [ "$2" = - ]; then wanted=; fi
  expect "$1" "$wanted" "$(grep "^$1=" "$R/shown")"
}

case_grammar() {
  show_all
  medium CONTEXT
  on_medium context.sh <<'END'
A='x'
  export B="a $HOME \"q\" `id` \\ \z"
	export	TABS=1
C=a\ b\;c$d'e'"f";g
D='it'\''s
multi "line" \n
EVIL=1
'
E=
G=x y
A-B=3
1A=4
J=#nocomment
no assignment 'here
K='two' M=no
L=1	tab
N=a\
b
O="a\
b"
P="$(touch /tmp/evil)`touch /tmp/evil`${IFS}"
Q=$(id)`id`
exported=1
export=5
  =6
R='a'"b"c\d
A=second
END
  run
  code 0
  shows A "b'second'"
  expect B $'B=b\'a $HOME "q" `id` \\\\ \\\\z\'' "$(grep ^B= "$R/shown")"
  shows TABS "b'1'"
  shows C $'b\'a b;c$def\''
  shows D $'b\'it\\\'s\\nmulti "line" \\\\n\\nEVIL=1\\n\''
  shows EVIL -
  shows E "b''"
  shows G "b'x'"
  shows A-B -
  shows 1A -
  shows J "b'#nocomment'"
  shows K "b'two'"
  shows M -
  shows L "b'1'"
  shows N "b'ab'"
  shows O "b'ab'"
  shows P $'b\'$(touch /tmp/evil)`touch /tmp/evil`${IFS}\''
  shows Q $'b\'$(id)`id`\''
  shows exported "b'1'"
  shows export "b'5'"
  shows R "b'abcd'"
}

case_raw() {
  show_all
  context 'F="raw "inner" \"esc\" \$x \q"
G="ends with a backslash\"
H="it'\''s"
I="multi
J=line"
K="x" # "y"
L=""
M="cr "here""'$'\r
N="last'
  run
  code 2
  expect F 'F=b'\''raw "inner" "esc" $x \\q'\' "$(grep ^F= "$R/shown")"
  expect G "G=b'ends with a backslash\\\\'" "$(grep ^G= "$R/shown")"
  expect H 'H=b"it'\''s"' "$(grep ^H= "$R/shown")"
  expect I 'I=b'\''multi\nJ=line'\' "$(grep ^I= "$R/shown")"
  shows J -
  expect K 'K=b'\''x" # "y'\' "$(grep ^K= "$R/shown")"
  shows L "b''"
  expect M 'M=b'\''cr "here"'\' "$(grep ^M= "$R/shown")"
  shows N -
}

case_raw_by_label() {
  show_all
  medium _STRATUSLAB
  on_medium context.sh <<<'F="raw "inner""'
  run
  code 0
  expect F 'F=b'\''raw "inner"'\' "$(grep ^F= "$R/shown")"
}

case_not_raw_elsewhere() {
  show_all
  medium cidata
  on_medium context.sh <<<'F="raw "inner""'
  run
  shows F "b'raw inner'"
}

case_unfinished() {
  show_all
  context "A=1
B='2'
C='unfinished
D=4"
  run
  code 2
  shows A "b'1'"
  shows B "b'2'"
  shows C -
  shows D -
  logged "the value of C has no end"
  unmounted
}

case_reserved() {
  show_all
  context "PATH='/evil'
IFS=/
LD_PRELOAD='/evil.so'
ENV=/evil
BASH_ENV=/evil
HOME=/evil
ROOT=/evil
PS4=x
COLUMNS='x[\$(touch $R/evil)]'
SECONDS='x[\$(touch $R/evil)]'
OPTIND='x[\$(touch $R/evil)]'
_=x
SHELLOPTS=noexec
UID=7
PPID=7
EUID=7
RANDOM=7
LINENO=7
BASHOPTS=extglob
KSH_VERSION=1
YASH_VERSION=1
TMPDIR=/evil
CDPATH=/evil
POSIXLY_CORRECT=1
LC_ALL=tr_TR.UTF-8
FINE=1"
  run
  code 0
  shows FINE "b'1'"
  shows CTX_PATH "b'/evil'"
  shows CTX_LD_PRELOAD "b'/evil.so'"
  shows CTX_IFS "b'/'"
  shows CTX_HOME "b'/evil'"
  shows CTX_ROOT "b'/evil'"
  shows LD_PRELOAD -
  shows HOME "b'/root'"
  absent evil
}

# Names of the program's own variables and functions are like any others.
case_own_names() {
  show_all
  local names name text=
  names=$(grep -oE '\b[a-z_]+=' "$program" | tr -d = | sort -u)
  for name in $names value say trouble VALUE HAVE MASKED U_A; do text="$text$name='spoilt; exit 9'
"; done
  context "$text
A=1"
  put etc/stratuslab/conf.d/10-own.context <<<"$text"
  run
  code 0
  shows A "b'1'"
  shows root "b'spoilt; exit 9'"
  shows scratch "b'spoilt; exit 9'"
  shows U_A "b'spoilt; exit 9'"
  unmounted
  absent 'run/stratuslab/work.*'
}

case_strange_bytes() {
  show_all
  medium CONTEXT
  printf 'A=1\0x\r\nB='\''cr\r\nlf'\''\r\nC=d\xc3\xa9j\xc3\xa0\n\n\n\nD="\x01\x7f\t"\nE=5' | on_medium context.sh
  run
  code 0
  shows A "b'1x'"
  shows B "b'cr\\r\\nlf'"
  shows C "b'd\\xc3\\xa9j\\xc3\\xa0'"
  shows D "b'\\x01\\x7f\\t'"
  shows E "b'5'"
}

case_bytes_that_are_no_text() {
  show_all
  medium CONTEXT
  printf 'A=1\nB='\''\xff\xfe\x80'\''\nC=3\n' | on_medium context.sh
  run
  # yash knows characters only; nobody has it as /bin/sh.
  if [ "$shell" != yash ]; then
    code 0
    shows B "b'\\xff\\xfe\\x80'"
    shows C "b'3'"
  fi
  unmounted
}

case_long() {
  show_all
  local began=$SECONDS name
  medium CONTEXT
  python3 - >"$M/context.sh" <<'END'
quote = "'\\''"
print("A='" + ("echo it" + quote + "s a line of text\n") * 3000 + "'")
print("B='" + "QUJD" * 17500 + "'")
print("C='" + " " * 70000 + "'")
print(" " * 70000 + "D=1")
print("E=" + "x" * 70000)
print("F='" + "x" * 300000 + "'")
print("G" * 300 + "=1")
print("H=" + "h" * 1100000)
print("I=1")
END
  run
  if [ $((SECONDS - began)) -gt 20 ]; then expect "time" "at most 20 s" "$((SECONDS - began)) s"; fi
  code 0
  for name in A B C D E I; do
    expect "$name" 1 "$(grep -c "^$name=" "$R/shown")"
  done
  expect "bytes of A" 75000 "$(python3 -c 'import ast,sys
for l in open(sys.argv[1]):
    n, v = l.split("=", 1)
    if n == "A": print(len(ast.literal_eval(v)))' "$R/shown")"
  shows D "b'1'"
  # What no program could be started with.
  shows F -
  shows H -
  logged "F is too long for the environment"
  expect "the long name" 0 "$(grep -c GGG "$R/shown")"
}

# source_it FILE: what a shell makes of it is in $box/sourced/shown.
source_it() {
  mkdir "$box/sourced"
  dash -c 'set -a; . "$1"; ROOT=$2 exec "$3"' sh "$1" "$box/sourced" "$R/usr/bin/show"
}

# 200 values that Python makes, written as OpenNebula does, are what the shell makes of them.
property() {
  python3 - "$M/context.sh" "$1" <<'END'
import random, sys
random.seed(int(sys.argv[2]))
parts = ["'", '"', "\n", "$", "\\", "`", " ", "\t", ";", "#", "=", "(", ")", "{", "}", "|", "&", "<", "!", "%", "*",
         "\r", "\r\n", "A=1", "\nB=2", "V7='", "export ", "é", "雪", "𝄞", "x", "yz", "$(id)", "${HOME}", "'\\''", '""', "''"]
with open(sys.argv[1], "w", newline="") as file:
    file.write("# Context variables generated by OpenNebula\n")
    for number in range(200):
        text = "".join(random.choice(parts) for _ in range(random.randrange(40)))
        if number % 3:
            file.write("V%d='%s'\n" % (number, text.replace("'", "'\\''")))
        else:
            for c in '\\"$`':
                text = text.replace(c, "\\" + c)
            # The marks of a raw line are not for these.
            file.write("%sV%d=\"%s\"\n" % (random.choice(["export ", " "]), number, text))
END
  source_it "$M/context.sh"
  run
  code 0
  expect "values like those of a shell" "$(grep '^V[0-9]*=' "$box/sourced/shown")" "$(grep '^V[0-9]*=' "$R/shown")"
  expect "all values" 200 "$(grep -c '^V[0-9]*=' "$R/shown")"
}

case_property() {
  show_all
  medium CONTEXT
  property 1
}

once_property_more() {
  local seed
  show_all
  medium CONTEXT
  for seed in 2 3 4 5; do
    property "$seed"
    rm -r "$box/sourced"
  done
}

# Media that the tools of clouds make, read back by others' tools: kernels that can mount them are
# not everywhere.
once_iso() {
  show_all
  medium CONTEXT
  property 6
  rm -r "$box/sourced" "$R/shown"
  mv "$M/context.sh" "$box/kept"
  mkdir "$box/iso"
  cp "$box/kept" "$box/iso/context.sh"
  genisoimage -quiet -o "$box/image" -V CONTEXT -J -R "$box/iso"
  fake mount <<'END'
for place; do :; done
case "$*" in "-t iso9660 -o ro,nosuid,nodev "*) ;; *) exit 32 ;; esac
isoinfo -i "$box/image" -R -x /context.sh >"$place/context.sh"
END
  fake umount <<'END'
for place; do :; done
rm "$place/context.sh"
END
  source_it "$box/kept"
  run
  code 0
  expect "values" "$(grep '^V[0-9]*=' "$box/sourced/shown")" "$(grep '^V[0-9]*=' "$R/shown")"
  absent mnt/stratuslab/context.sh
}

once_vfat() {
  PATH=$PATH:/sbin:/usr/sbin
  medium _CLOUD_INIT vdb
  truncate -s 1024000 "$box/image"
  mkfs.vfat -n _CLOUD_INIT "$box/image" >/dev/null
  echo '{"dsmode":"local"}' >"$box/meta.js"
  echo "ssh-rsa AAAAB3Nza ann@vfat" >"$box/keys"
  mmd -i "$box/image" ::root ::root/.ssh
  mcopy -i "$box/image" "$box/meta.js" ::meta.js
  mcopy -i "$box/image" "$box/keys" ::root/.ssh/authorized_keys
  fake mount <<'END'
for place; do :; done
case "$*" in "-t vfat -o ro,nosuid,nodev "*) ;; *) exit 32 ;; esac
mcopy -s -i "$box/image" ::root ::meta.js "$place/"
END
  fake umount <<'END'
for place; do :; done
rm -r "$place"/*
END
  run
  code 0
  is root/.ssh/authorized_keys "ssh-rsa AAAAB3Nza ann@vfat"
  absent 'mnt/stratuslab/*'
}

#!/bin/bash
# VirtualBox's own command-line tools as a judge, without installing them:
#
#   tests/virtualbox-tools.sh get DIR       unpacks them into DIR, if they are not there yet
#   tests/virtualbox-tools.sh compare DIR   reads every fixture with them and with us, and compares
#
# DIR gets vbox-img (a static format tool) and vboxmanage (VBoxManage in a root of its own, which
# needs root). They come from Debian's unstable suite; the mirror is the one that this machine's
# apt uses. Nothing is installed: apt works on a state of its own.
set -euo pipefail

usage() {
  echo "usage: tests/virtualbox-tools.sh get|compare DIR" >&2
  exit 2
}

[ $# -eq 2 ] || usage
mkdir -p "$2"
tools=$(cd "$2" && pwd)
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
top=$tools/root

# The mirror of the first Debian suite that apt knows, in whatever form its sources have.
mirror() {
  # shellcheck disable=SC2016  # $(SITE) is for apt to fill in
  apt-get indextargets --format '$(SITE)' 'Origin: Debian' 2>/dev/null | sed -n 1p | grep . ||
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
      /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
      2>/dev/null | sed -n 1p | grep .
}

unpack() {
  local apt=$tools/apt uri deb options
  uri=$(mirror) || {
    echo "virtualbox-tools.sh: apt has no sources to take a mirror from" >&2
    exit 1
  }
  rm -rf "$apt" "$top"
  mkdir -p "$apt"/{parts,lists/partial,archives/partial,debs} "$top"
  : >"$apt/status"
  printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main contrib\nSigned-By: %s\n' \
    "$uri" /usr/share/keyrings/debian-archive-keyring.gpg >"$apt/parts/sid.sources"
  options=(
    -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/parts"
    -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
    -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o Debug::NoLocking=1
  )
  apt-get "${options[@]}" update
  # VirtualBox itself depends on much that its command line does not need: only these are taken.
  (cd "$apt/debs" && apt-get "${options[@]}" download virtualbox libogg0 libpng16-16t64 \
    libvorbis0a libvorbisenc2 libvpx12)
  apt-get "${options[@]}" -y --no-install-recommends --download-only install \
    libcurl4-gnutls libcurl3t64-gnutls libxml2-16 libssl3t64 liblzf1 libstdc++6 libgcc-s1 \
    zlib1g liblzma5 >/dev/null
  for deb in "$apt"/debs/*.deb "$apt"/archives/*.deb; do
    dpkg-deb -x "$deb" "$top"
  done
  rm -rf "$apt"
}

# A root that is enough for one program: usr merged, a user, a loader.
furnish() {
  local loader=usr/lib64/ld-linux-x86-64.so.2
  ln -sfn usr/lib "$top/lib"
  mkdir -p "$top"/usr/lib64 "$top"/{tmp,root,proc,dev,etc,work}
  ln -sfn usr/lib64 "$top/lib64"
  [ -e "$top/$loader" ] || ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$top/$loader"
  echo root:x:0:0:root:/root:/bin/sh >"$top/etc/passwd"
  echo root:x:0: >"$top/etc/group"
}

wrap() {
  local libraries=$top/usr/lib/x86_64-linux-gnu box=$top/usr/lib/virtualbox
  cat >"$tools/vbox-img" <<END
#!/bin/sh
exec $libraries/ld-linux-x86-64.so.2 --library-path $libraries:$box $box/vbox-img "\$@"
END
  cat >"$tools/inside" <<END
#!/bin/sh
mount --bind /proc $top/proc && mount --bind /dev $top/dev || exit
export HOME=/root USER=root LOGNAME=root LD_LIBRARY_PATH=/usr/lib/virtualbox
[ "\$1" != -each ] || {
  set -f
  while read -r words; do
    chroot $top /usr/lib/virtualbox/VBoxManage \$words || exit
  done
  exit
}
exec chroot $top /usr/lib/virtualbox/VBoxManage "\$@"
END
  # With -each it carries out the lines of its input. What VirtualBox knows of disks lives only as
  # long as its server, which ends with this process.
  cat >"$tools/vboxmanage" <<END
#!/bin/sh
exec unshare -m -p -f --mount-proc=/proc $tools/inside "\$@"
END
  chmod +x "$tools/vbox-img" "$tools/inside" "$tools/vboxmanage"
}

get() {
  if [ ! -x "$tools/vboxmanage" ] || [ ! -e "$top/usr/lib/virtualbox/VBoxManage" ]; then
    unpack
    furnish
    wrap
  fi
  "$tools/vboxmanage" --version | tail -n 1 | sed 's/^/VBoxManage /'
}

# compare_one NAME [PARENT...]: VirtualBox's reading of NAME, a path below $top/work, and ours.
# Parents are listed nearest first.
compare_one() {
  local name=$1 file=$top/work/$1 ours=$tools/ours.raw theirs=$top/work/theirs.raw
  shift
  rm -f "$ours" "$ours.json" "$theirs"
  "$stratus" -q --no-context --this-layer -C none -o "$ours" "$file" 2>"$tools/ours.log" || {
    echo "FAILED  $name: $(head -n 1 "$tools/ours.log")"
    return 1
  }
  if [ $# -eq 0 ]; then
    "$tools/vbox-img" convert --srcfilename "$file" --dstfilename "$theirs" --srcformat VDI \
      --dstformat RAW >"$tools/theirs.log" 2>&1
  else
    rm -rf "$top/root/.config"
    # VBoxManage finds a parent only if it saw it before, the base first.
    {
      printf 'showmediuminfo disk /work/%s\n' "$@" | tac
      echo "clonemedium disk /work/$name /work/theirs.raw --format RAW"
    } | "$tools/vboxmanage" -each >"$tools/theirs.log" 2>&1
  fi || {
    echo "FAILED  $name: VirtualBox: $(tail -n 1 "$tools/theirs.log")"
    return 1
  }
  if cmp "$ours" "$theirs"; then
    echo "same    $name"
  else
    echo "DIFFERS $name"
    return 1
  fi
}

# The fixtures that VirtualBox reads, one a line, each with its parents behind it. What it refuses
# has no reading to compare with; our own tests judge that.
fixtures() {
  printf 'mydisk.vdi\n'
  python3 - "$project/testdata/disks/INDEX.json" <<'END'
import json, sys

for entry in json.load(open(sys.argv[1])):
    if not entry["virtualbox_refuses"]:
        print("\t".join([entry["file"], *entry["parents"]]))
END
}

compare() {
  local same=0 wrong=0 line lines family
  [ -x "$tools/vboxmanage" ] || {
    echo "virtualbox-tools.sh: no tools in $tools; run: tests/virtualbox-tools.sh get $tools" >&2
    exit 1
  }
  cargo build --release --manifest-path "$project/Cargo.toml"
  stratus=${CARGO_TARGET_DIR:-$project/target}/release/stratus-convert
  rm -rf "${top:?}/work"
  mkdir -p "$top/work"
  cp -r "$project/testdata/disks/." "$project/testdata/mydisk.vdi" "$top/work"
  find "$top/work" -name '*.vdi.gz' -exec gunzip {} +
  mapfile -t lines < <(fixtures)
  for line in "${lines[@]}"; do
    IFS=$'\t' read -r -a family <<<"$line"
    if compare_one "${family[@]}"; then same=$((same + 1)); else wrong=$((wrong + 1)); fi
  done
  echo "$same the same, $wrong not"
  [ "$wrong" -eq 0 ] && [ "$same" -gt 20 ]
}

case $1 in
get) get ;;
compare) compare ;;
*) usage ;;
esac

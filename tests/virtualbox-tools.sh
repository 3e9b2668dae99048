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
exec chroot $top "\$@"
END
  cat >"$tools/vboxmanage" <<END
#!/bin/sh
exec unshare -m -p -f --mount-proc=/proc $tools/inside /usr/lib/virtualbox/VBoxManage "\$@"
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

sha() {
  sha256sum "$1" | cut -d ' ' -f 1
}

# compare_one FILE: VirtualBox's reading of FILE, a path below $top/work, and ours.
compare_one() {
  local file=$1 name=${1#"$top/work/"} ours=$tools/ours.raw theirs=$top/work/theirs.raw who
  rm -f "$ours" "$theirs"
  "$stratus" -q --no-context --this-layer -C none --checksum none -o "$ours" "$file" \
    2>"$tools/ours.log" || {
    echo "FAILED  $name: $(head -n 1 "$tools/ours.log")"
    return 1
  }
  who=vbox-img
  # vbox-img opens single images; whatever has a parent needs the media registry of VBoxManage.
  if ! "$tools/vbox-img" convert --srcfilename "$file" --stdout --srcformat VDI \
    --dstformat RAW >"$theirs" 2>"$tools/theirs.log" || [ ! -s "$theirs" ]; then
    rm -f "$theirs"
    who=clonemedium
    rm -rf "$top/root/.config/VirtualBox"
    register "$file"
    "$tools/vboxmanage" clonemedium disk "/work/$name" /work/theirs.raw --format RAW \
      >"$tools/theirs.log" 2>&1 || {
      echo "FAILED  $name: VirtualBox: $(tail -n 1 "$tools/theirs.log")"
      return 1
    }
  fi
  if [ "$(sha "$ours")" = "$(sha "$theirs")" ]; then
    echo "same    $name ($who)"
  else
    echo "DIFFERS $name ($who)"
    return 1
  fi
}

# register FILE: VBoxManage knows a parent only if it saw it before: opens the other disks of
# FILE's family until nothing new can be opened.
register() {
  local other again=1
  while [ "$again" -gt 0 ] && [ "$again" -lt 9 ]; do
    again=$((again + 1))
    while IFS= read -r other; do
      "$tools/vboxmanage" showmediuminfo disk "/work/${other#"$top/work/"}" >/dev/null 2>&1 || :
    done < <(find "$(dirname "$1")" "$(dirname "$1")/.." -maxdepth 2 -name '*.vdi' | sort -u)
    [ "$again" -gt 3 ] && break
  done
}

compare() {
  local file name same=0 wrong=0 expected
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
  while IFS= read -r file; do
    name=${file#"$top/work/"}
    # What VirtualBox itself refuses has no reading to compare with; our tests judge it alone.
    expected=$(python3 - "$project/testdata/disks/INDEX.json" "$name" <<'END'
import json, sys
entries = {entry["file"]: entry for entry in json.load(open(sys.argv[1]))}
print("refused" if entries.get(sys.argv[2], {}).get("virtualbox_refuses") else "read")
END
)
    [ "$expected" = refused ] && continue
    if compare_one "$file"; then same=$((same + 1)); else wrong=$((wrong + 1)); fi
  done < <(find "$top/work" -name '*.vdi' | sort)
  echo "$same the same, $wrong not"
  [ "$wrong" -eq 0 ] && [ "$same" -gt 0 ]
}

case $1 in
get) get ;;
compare) compare ;;
*) usage ;;
esac

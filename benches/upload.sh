#!/bin/bash
# What publishing costs beside doing it by hand: checksum, upload with curl, download, checksum.
#
#   benches/upload.sh URL [MIB [RUNS]]    URL: a WebDAV folder that takes files without a password
#
# The programs take turns, so that both meet the same machine; the last line is the ratio of the
# medians. The objects are removed afterwards.
set -euo pipefail

url=${1:?usage: upload.sh URL [MIB [RUNS]]}
mib=${2:-512}
runs=${3:-3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cargo build --release --manifest-path "$root/Cargo.toml"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work
head -c "$((mib << 20))" /dev/urandom >noise.raw
"$target/release/stratus-convert" -q --input-format raw --no-context -C none noise.raw -o noise.img

clear_store() {
  local name
  for name in noise.img noise.img.sha256; do
    curl -sS -o /dev/null -X DELETE "${url%/}/$name"
  done
  rm -rf .noise.img.stratus
}

by_hand() {
  sha256sum noise.img >/dev/null
  curl -sSf -o /dev/null -T noise.img "${url%/}/noise.img"
  curl -sSf "${url%/}/noise.img" | sha256sum >/dev/null
}

stratus() {
  "$target/release/stratus-publish" -q --repository "$url" noise.img
}

# timed NAME: appends the milliseconds of a run to the file NAME.
timed() {
  local began
  clear_store
  began=$(date +%s%N)
  "$1"
  echo "$((($(date +%s%N) - began) / 1000000))" >>"$1"
}

for _ in $(seq "$runs"); do
  timed by_hand
  timed stratus
done
clear_store
median() {
  sort -n "$1" | sed -n "$(((runs + 1) / 2))p"
}
hand=$(median by_hand)
ours=$(median stratus)
echo "by hand $hand ms, stratus-publish $ours ms"
awk -v a="$hand" -v b="$ours" 'BEGIN { printf "%.2f times as fast\n", a / b }'

#!/bin/bash
# StratusLab's own programs as judges of manifests. They are fetched once, as the source
# distribution stratuslab-client 14.06.0, and kept in ${XDG_CACHE_HOME:-~/.cache}/stratus-tests.
#
#   stratuslab.sh get FOLDER       puts there what is needed to call them:
#                                    metadata.jar     the validator and the signer
#                                    java.security    for java -Djava.security.properties=:
#                                                     lets Java 17 check signatures with SHA-1
#                                    xsd/, catalog.xml  the schemas, for xmllint
#   stratuslab.sh check FILE...    one line a stage and file, with tabs between:
#                                    FILE  STAGE  ok|failed  MESSAGE
#                                  STAGE is signature, schema, constraints, rdf, all (by Java) or
#                                  xmllint. Ends with 0 if every line says ok, else with 1.
#
# Nothing of the distribution is run but its Java classes; no line of it is in this package.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/stratus-tests
name=stratuslab-client-14.06.0
digest=aa271951a9ef720a218ce0f93fa6230680dfd6983cad33513eefe725a1db1284
kept=$cache/$name

fail() {
  echo "stratuslab.sh: $*" >&2
  exit 2
}

need() {
  command -v "$1" >/dev/null || fail "$1 is missing: apt-get install $2"
}

# Downloads the distribution. pip would run its setup.py, which is of 2014, to learn its name: a
# build backend of ours tells the name instead.
fetch() {
  local work=$1
  mkdir -p "$work/setuptools" "$work/file"
  : >"$work/setuptools/__init__.py"
  cat >"$work/setuptools/build_meta.py" <<'PYTHON'
import os


class __legacy__:
    @staticmethod
    def get_requires_for_build_wheel(config_settings=None):
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        name = "stratuslab_client-14.6.0.dist-info"
        os.makedirs(os.path.join(folder, name))
        with open(os.path.join(folder, name, "METADATA"), "w") as file:
            file.write("Metadata-Version: 2.1\nName: stratuslab-client\nVersion: 14.06.0\n")
        return name
PYTHON
  PYTHONPATH=$work python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir \
    --no-deps --no-binary :all: --no-build-isolation --use-pep517 --dest "$work/file" \
    stratuslab-client==14.06.0 >&2 || fail "cannot download stratuslab-client 14.06.0 with pip"
  (cd "$work/file" && echo "$digest  $name.tar.gz" | sha256sum --check --quiet >&2) ||
    fail "what pip brought is not stratuslab-client 14.06.0"
}

# Takes the jar and the schemas out of it.
unpack() {
  local work=$1 schemas=eu/stratuslab/marketplace/metadata
  tar -xzf "$work/file/$name.tar.gz" -C "$work" \
    "$name/java/metadata-fatjar-jar-with-dependencies.jar"
  mkdir -p "$work/new/xsd" "$work/jar"
  mv "$work/$name"/java/*.jar "$work/new/metadata.jar"
  python3 -m zipfile -e "$work/new/metadata.jar" "$work/jar"
  mv "$work/jar/$schemas"/*.xsd "$work/new/xsd"
  cat >"$work/new/catalog.xml" <<'XML'
<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">
  <uri name="http://www.w3.org/2001/03/xml.xsd" uri="xsd/xml.xsd"/>
  <system systemId="http://www.w3.org/2001/03/xml.xsd" uri="xsd/xml.xsd"/>
</catalog>
XML
  # The policy of 2014: all that Java 17 has but the lines on SHA-1.
  echo 'jdk.xml.dsig.secureValidationPolicy=maxTransforms 5,maxReferences 30,disallowReferenceUriSchemes file http https,noDuplicateIds,noRetrievalMethodLoops' \
    >"$work/new/java.security"
}

# Makes sure that all is in $kept. Tests run at the same time: one fetches, the others wait.
prepare() {
  need java default-jdk-headless
  need javac default-jdk-headless
  need xmllint libxml2-utils
  need python3 python3-minimal
  need flock util-linux
  mkdir -p "$cache"
  exec 9>"$cache/$name.lock"
  flock 9
  if [ ! -d "$kept" ]; then
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing: apt-get install python3-pip"
    work=$(mktemp -d "$cache/$name.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    fetch "$work"
    unpack "$work"
    mv "$work/new" "$kept"
  fi
  exec 9>&-
}

get() {
  prepare
  mkdir -p "$1"
  cp -R "$kept/." "$1/"
}

check() {
  prepare
  local status=0
  java -XX:TieredStopAtLevel=1 -Djava.security.properties="$kept/java.security" \
    -cp "$kept/metadata.jar" "$here/Stages.java" "$@" || status=1
  export XML_CATALOG_FILES=$kept/catalog.xml
  xmllint --noout --nonet --schema "$kept/xsd/image-metadata.xsd" "$@" 2>&1 |
    awk -v OFS='\t' '
      / validates$/ { sub(/ validates$/, ""); print $0, "xmllint", "ok", ""; next }
      / fails to validate$/ { sub(/ fails to validate$/, ""); print $0, "xmllint", "failed", said; bad = 1; said = "" ; next }
      { said = said $0 " " }
      END { exit bad }' || status=1
  return $status
}

case "${1-}:$#" in
get:2) get "$2" ;;
check:0 | check:1) fail "usage: stratuslab.sh check FILE..." ;;
check:*) check "${@:2}" ;;
*) fail "usage: stratuslab.sh get FOLDER | check FILE..." ;;
esac

#!/bin/bash
# Makes the manifests of this folder with the original's programs (stratuslab-client 14.06.0).
# Needs what tests/judges/stratuslab.sh needs, openssl, and Python 2.7 as $PYTHON2.
#
#   PYTHON2=python2.7 testdata/manifests/make.sh SOURCE
#
# SOURCE is the unpacked source distribution. The times in the files are those of the making.
set -euo pipefail

source=$(realpath "$1")
python=${PYTHON2:-python2.7}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH=$source

"$here/../../tests/judges/stratuslab.sh" get "$work"
cd "$work"

# A disk of one MiB, and a key of 2011's size and kind.
printf 'stratus' >disk.img
truncate -s 1M disk.img
gzip -n disk.img
openssl req -x509 -newkey rsa:2048 -sha1 -nodes -keyout key.pem -out cert.pem -days 36500 \
  -subj '/C=EU/O=Example/OU=Tests/CN=Jane Tester' -addext subjectAltName=email:jane@example.org \
  2>/dev/null
openssl pkcs12 -export -legacy -inkey key.pem -in cert.pem -out key.p12 -passout pass:secret

sign() {
  java -Djava.security.properties=java.security -cp metadata.jar \
    eu.stratuslab.marketplace.metadata.SignMetadata "$1" "$2" key.p12 secret jane@example.org
}

# built.xml: what stratus-build-metadata writes.
"$python" "$source/bin/stratus-build-metadata" --author 'Jane Tester' --os debian --os-version 6.0 \
  --os-arch x86_64 --image-version 1.0 --title 'A small disk' --comment 'For tests.' \
  --tag small --disks-bus virtio --no-md5 --no-sha512 disk.img.gz >/dev/null
cp debian-6.0-x86_64-base-1.0.xml built.xml

# uploaded.xml: what stratus-upload-image makes of it (the sums that were left out, too, so that it
# is valid: the original leaves their elements empty).
"$python" "$source/bin/stratus-build-metadata" --author 'Jane Tester' --os debian --os-version 6.0 \
  --os-arch x86_64 --image-version 2.0 --title 'A small disk' --comment 'For tests.' \
  --tag small --compression '' disk.img.gz >/dev/null
cp debian-6.0-x86_64-base-2.0.xml uploaded.xml
"$python" - <<'PYTHON'
from stratuslab.ManifestInfo import ManifestInfo
add = ManifestInfo.addElementToManifestFile
add('uploaded.xml', 'compression', 'gz')
add('uploaded.xml', 'location', 'http://example.org/images/disk.img.gz')
PYTHON

# signed.xml: signed by the original.
sign uploaded.xml signed.xml

# deprecated.xml: what stratus-deprecate-metadata makes of that, with the network taken out.
"$python" - <<'PYTHON'
import shutil, sys, types, httplib
network = sys.modules['httplib2'] = types.ModuleType('httplib2')
network.httplib = httplib
from stratuslab.marketplace import Deprecator as module
class Signator(object):
    def __init__(self, name, holder): self.name = name
    def sign(self): shutil.copy(self.name, 'unsigned.xml')
class Network(object):
    def __init__(self, holder): pass
    def getManifestAsFile(self, uri, name): shutil.copy('signed.xml', name)
    def upload(self, name): pass
module.Signator, module.Uploader, module.ManifestDownloader = Signator, Network, Network
deprecator = module.Deprecator()
deprecator.email, deprecator.created, deprecator.reason = 'jane@example.org', '', 'Too old.'
deprecator.deprecate('identifier')
PYTHON
sign unsigned.xml deprecated.xml

cp built.xml uploaded.xml signed.xml deprecated.xml "$here/"

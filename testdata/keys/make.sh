#!/bin/bash
# Makes the keys of the tests anew. They protect nothing: do not use them for anything else.
# Needs openssl 3 with its legacy provider, and keytool (Debian: openssl default-jre-headless).
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.pem ./*.p12
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# certificate NAME SUBJECT DAYS OPTION...: a self-signed certificate, key and certificate in one file
certificate() {
  local name=$1 subject=$2 days=$3
  shift 3
  openssl req -x509 -newkey rsa:2048 -nodes -days "$days" -subj "$subject" \
    -keyout "$work/$name.key" -out "$work/$name.crt" "$@" 2>/dev/null
  cat "$work/$name.key" "$work/$name.crt" >"$name.pem"
}
jane='/C=EU/O=Example/CN=Jane Tester'
certificate jane "$jane" 36500 -addext 'subjectAltName=email:jane.tester@example.org'
certificate mallory '/C=EU/O=Example/CN=Mallory' 36500 -addext 'subjectAltName=email:mallory@example.org'
certificate no-email "$jane" 36500
certificate two-emails "$jane" 36500 \
  -addext 'subjectAltName=DNS:example.org,email:first@example.org,email:second@example.org'
certificate only-encipherment "$jane" 36500 -addext 'keyUsage=critical,keyEncipherment'
certificate weak "$jane" 36500 -newkey rsa:1024
certificate too-weak "$jane" 36500 -newkey rsa:512
certificate too-large "$jane" 36500 -newkey rsa:8448
rm too-large.pem && cp "$work/too-large.crt" too-large.crt.pem
# Only openssl ca takes dates.
: >"$work/index"
printf '%s\n' '[ca]' 'default_ca=c' '[c]' "database=$work/index" 'policy=p' 'rand_serial=yes' '[p]' 'C=optional' \
  'O=optional' 'CN=optional' >"$work/ca.conf"
openssl req -new -key "$work/jane.key" -subj "$jane" -out "$work/jane.csr"
openssl ca -batch -selfsign -config "$work/ca.conf" -keyfile "$work/jane.key" -in "$work/jane.csr" \
  -startdate 20000101000000Z -enddate 20010101000000Z -outdir "$work" -md sha256 \
  -notext -out "$work/expired.crt" 2>/dev/null
cat "$work/jane.key" "$work/expired.crt" >expired.pem

# A key that an authority vouches for.
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj '/O=Example/CN=Authority' \
  -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -new -newkey rsa:2048 -nodes -subj "$jane" -keyout "$work/leaf.key" -out "$work/leaf.csr" 2>/dev/null
openssl x509 -req -in "$work/leaf.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -days 36500 -set_serial 7 \
  -extfile <(echo 'subjectAltName=email:jane.tester@example.org') -out "$work/leaf.crt" 2>/dev/null
cat "$work/leaf.key" "$work/ca.crt" "$work/leaf.crt" >chain.pem
cp "$work/ca.crt" authority.crt.pem
openssl pkcs12 -export -inkey "$work/leaf.key" -in "$work/leaf.crt" -certfile "$work/ca.crt" \
  -passout pass:secret -out chain.p12

# Private keys alone, in all forms.
key=$work/jane.key
openssl rsa -in "$key" -traditional -out pkcs1.pem 2>/dev/null
openssl rsa -in "$key" -traditional -aes128 -passout pass:secret -out old-encryption.pem 2>/dev/null
openssl pkcs8 -topk8 -in "$key" -passout pass:secret -out pbes2.pem
openssl pkcs8 -topk8 -in "$key" -passout pass:secret -v2 des3 -v2prf hmacWithSHA1 -out pbes2-des3-sha1.pem
openssl pkcs8 -topk8 -in "$key" -passout pass:secret -scrypt -out pbes2-scrypt.pem
openssl pkcs8 -topk8 -in "$key" -passout pass:secret -v1 PBE-SHA1-3DES -out pbes1.pem
openssl pkcs8 -topk8 -in "$key" -passout pass:secret -v2 aes-256-cbc -iter 10000001 -out many-iterations.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem 2>/dev/null
openssl ec -in ec.pem -out ec-old.pem 2>/dev/null
openssl genpkey -algorithm ED25519 -out ed25519.pem
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.pem 2>/dev/null
openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out "$work/dsa" 2>/dev/null
openssl genpkey -paramfile "$work/dsa" -out dsa.pem 2>/dev/null

# PKCS#12: what OpenSSL and Java write now, and what they wrote.
p12() {
  local name=$1
  shift
  openssl pkcs12 -export -in jane.pem -name jane -out "$name.p12" "$@"
}
p12 openssl -passout pass:secret
p12 legacy -legacy -passout pass:secret
p12 rc2-40 -legacy -keypbe PBE-SHA1-RC2-40 -certpbe PBE-SHA1-RC2-40 -passout pass:secret
p12 legacy-3des -legacy -descert -passout pass:secret
p12 aes128 -keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha1 -passout pass:secret
p12 plain -keypbe NONE -certpbe NONE -passout pass:secret
p12 no-mac -nomac -passout pass:secret
p12 empty -passout pass:
p12 accents -passout pass:pässwörd€
p12 accents-legacy -legacy -passout pass:pässwörd€
p12 rc2-128 -legacy -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-128 -passout pass:secret
p12 2des -legacy -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-2DES -passout pass:secret
p12 rc4 -legacy -keypbe PBE-SHA1-RC4-128 -certpbe PBE-SHA1-RC4-128 -passout pass:secret
p12 camellia -keypbe CAMELLIA-128-CBC -certpbe CAMELLIA-128-CBC -passout pass:secret
openssl pkcs12 -export -nokeys -in jane.pem -passout pass:secret -out no-key.p12
openssl req -x509 -key ec.pem -days 36500 -subj "$jane" -out "$work/ec.crt"
openssl pkcs12 -export -inkey ec.pem -in "$work/ec.crt" -passout pass:secret -out ec.p12

# java NAME OPTION...: imports Jane's key as a, and Mallory's as b into NAME.p12
openssl pkcs12 -export -in jane.pem -name a -passout pass:secret -out "$work/a.p12"
openssl pkcs12 -export -in mallory.pem -name b -passout pass:secret -out "$work/b.p12"
java() {
  local name=$1 which=$2
  shift 2
  keytool "$@" -importkeystore -noprompt -srckeystore "$work/$which.p12" -srcstorepass secret \
    -destkeystore "$name.p12" -deststoretype PKCS12 -deststorepass secret 2>/dev/null
}
java keytool a
java keytool-legacy a -J-Dkeystore.pkcs12.legacy
java two-keys a
java two-keys b

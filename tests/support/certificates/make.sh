#!/bin/sh
# Makes the certificates of this folder anew. Needs openssl 3; the tests themselves do not.
set -eu
cd "$(dirname "$0")"
. ./authority.sh
cat >> "$work/ca.conf" <<CONF
[node]
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
[gateway]
extendedKeyUsage = clientAuth
CONF

for authority in authority other_authority; do
  key "$work/$authority.key"
  certificate "$authority" authority "$work/$authority.key" "$forever" -selfsign -keyfile "$work/$authority.key"
done
key key.pem
set -- -cert authority.pem -keyfile "$work/authority.key"
certificate node node key.pem "$forever" "$@"
certificate expired node key.pem 20250102000000Z "$@"
certificate gateway gateway key.pem "$forever" "$@"
chmod 644 ./*.pem

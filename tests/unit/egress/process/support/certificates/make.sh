#!/bin/sh
# Makes the certificates of this folder anew. Needs openssl 3; the tests themselves do not.
set -eu
cd "$(dirname "$0")"
. ../../../../../support/certificates/authority.sh
cat >> "$work/ca.conf" <<CONF
[server]
extendedKeyUsage = serverAuth
subjectAltName = DNS:egress.test, IP:127.77.0.1
CONF

key "$work/authority.key"
key key.pem
certificate authority authority "$work/authority.key" "$forever" -selfsign -keyfile "$work/authority.key"
set -- -cert authority.pem -keyfile "$work/authority.key"
certificate server server key.pem "$forever" "$@"
certificate expired server key.pem 20250102000000Z "$@"
certificate self_signed server key.pem "$forever" -selfsign -keyfile key.pem
chmod 644 ./*.pem

#!/bin/sh
# Makes the certificates of this folder anew. Needs openssl 3; the tests themselves do not.
set -eu
cd "$(dirname "$0")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
touch "$work/index.txt"
cat > "$work/ca.conf" <<CONF
[ca]
default_ca = here
[here]
new_certs_dir = $work
database = $work/index.txt
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
extendedKeyUsage = serverAuth
subjectAltName = DNS:egress.test, IP:127.77.0.1
CONF

# certificate FILE EXTENSIONS KEY END HOW...: from 2025 on; by itself (-selfsign) or by an authority (-cert -keyfile)
certificate() {
  file="$1" extensions="$2" key="$3" end="$4"
  shift 4
  openssl req -new -key "$key" -subj "/CN=Test of orama-gateway: $file" -out "$work/request"
  openssl ca -batch -notext -config "$work/ca.conf" -extensions "$extensions" -in "$work/request" -out "$file.pem" \
    -startdate 20250101000000Z -enddate "$end" "$@"
}

forever=21250101000000Z
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/authority.key"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
certificate authority authority "$work/authority.key" "$forever" -selfsign -keyfile "$work/authority.key"
set -- -cert authority.pem -keyfile "$work/authority.key"
certificate server server key.pem "$forever" "$@"
certificate expired server key.pem 20250102000000Z "$@"
certificate self_signed server key.pem "$forever" -selfsign -keyfile key.pem
chmod 644 ./*.pem

# What the scripts that make certificates of tests share: `work`, a folder that goes with the script, has a configuration to which they
# append their extensions. Needs openssl 3.
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
CONF

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

# certificate FILE EXTENSIONS KEY END HOW...: from 2025 on; by itself (-selfsign) or by an authority (-cert -keyfile)
certificate() {
  file="$1" extensions="$2" key="$3" end="$4"
  shift 4
  openssl req -new -key "$key" -subj "/CN=Test of orama-gateway: $file" -out "$work/request"
  openssl ca -batch -notext -config "$work/ca.conf" -extensions "$extensions" -in "$work/request" -out "$file.pem" \
    -startdate 20250101000000Z -enddate "$end" "$@"
}

forever=21250101000000Z

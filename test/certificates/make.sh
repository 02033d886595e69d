#!/bin/sh
# Makes the certificates of the tests anew, for the next hundred years; their keys are of no use elsewhere. Needs openssl.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# name, subject, extension, last day, authority
certificate() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$work/$1.csr"
  : > "$work/index.txt"
  printf '%s\n' '[ca]' 'default_ca=d' '[d]' "database=$work/index.txt" "new_certs_dir=$work" \
    'default_md=sha256' 'policy=p' 'rand_serial=yes' 'x509_extensions=x' '[p]' 'commonName=supplied' \
    '[x]' "$3" > "$work/ca.cnf"
  if [ "$1" = "$5" ]; then by=-selfsign; else by="-cert $5.crt"; fi
  openssl ca -batch -notext -config "$work/ca.cnf" $by -keyfile "$5.key" -in "$work/$1.csr" \
    -startdate 20240101000000Z -enddate "$4" -out "$1.crt"
}

ca='basicConstraints=critical,CA:TRUE'
name='subjectAltName=DNS:db.millrace.test'
certificate authority '/CN=Test authority' "$ca" 21240101000000Z authority
certificate stranger '/CN=Another authority' "$ca" 21240101000000Z stranger
certificate server '/CN=db.millrace.test' "$name" 21240101000000Z authority
certificate expired '/CN=db.millrace.test' "$name" 20240102000000Z authority
certificate client '/CN=certified' 'extendedKeyUsage=clientAuth' 21240101000000Z authority
rm authority.key stranger.key

#!/bin/sh
# Lays out the image's files for the last stage of the Dockerfile: stage.sh BINARY DIRECTORY
set -eu
binary=$(realpath "$1")
root=$(realpath -m "$2")/root
data=$(realpath -m "$2")/data
cd "$(dirname "$0")/../.."
name=ccass-2fa-exporter
umask 022

rm -rf "$root" "$data"
mkdir -p "$root/usr/bin" "$root/etc/$name" "$root/etc/ssl/certs" "$data"
install -m 755 "$binary" "$root/usr/bin/$name"
sed 's|^data_directory: null|data_directory: /data|' deploy/ccass.yml >"$root/etc/$name/ccass.yml"
grep -q '^data_directory: /data' "$root/etc/$name/ccass.yml"
# Mozilla's roots as Debian packages them, without those that this machine adds.
cat /usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
echo "$name:x:65532:65532::/data:/nonexistent" >"$root/etc/passwd"
echo "$name:x:65532:" >"$root/etc/group"

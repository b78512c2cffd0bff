#!/bin/sh
# Lays out the files of the packages and of the tarball: stage.sh BINARY DIRECTORY
set -eu
binary=$(realpath "$1")
root=$(realpath -m "$2")
cd "$(dirname "$0")/../.."
name=ccass-2fa-exporter
umask 022

# put MODE DESTINATION FILE...: copies files into a directory of the package, never over another file.
put() {
  mode=$1
  directory=$root/$2
  shift 2
  mkdir -p "$directory"
  for file; do
    if [ -e "$directory/${file##*/}" ]; then
      echo "stage.sh: $directory would get a second ${file##*/}: $file" >&2
      exit 1
    fi
    install -m "$mode" "$file" "$directory/"
  done
}

rm -rf "$root"
put 755 usr/bin "$binary" "$(dirname "$binary")/ccass-2fa-browser"
put 644 "etc/$name" deploy/packages/web-config.yml
sed "s|^data_directory: null|data_directory: /var/lib/$name|" deploy/ccass.yml >"$root/etc/$name/ccass.yml"
grep -q "^data_directory: /var/lib/$name" "$root/etc/$name/ccass.yml"
put 644 usr/lib/systemd/system deploy/packages/$name.service
put 644 usr/lib/sysusers.d deploy/packages/sysusers.conf
mv "$root/usr/lib/sysusers.d/sysusers.conf" "$root/usr/lib/sysusers.d/$name.conf"

put 644 usr/share/man/man1 docs/man/*.1
gzip -9n "$root"/usr/share/man/man1/*.1
completions() {
  mkdir -p "$root/usr/share/$2"
  "$binary" completions "$1" >"$root/usr/share/$2/$3"
}
completions bash bash-completion/completions $name
completions zsh zsh/vendor-completions _$name
completions zsh zsh/site-functions _$name
completions fish fish/vendor_completions.d $name.fish

share=usr/share/$name
put 644 $share/alerts alerts/*.yml alerts/names.txt
put 644 $share/alerts/templates alerts/templates/*.tmpl
put 644 $share/alerts/receivers alerts/receivers/*
put 644 $share/grafana grafana/*.json
grafana/with_inputs.py "$root/$share/grafana/import"
for kind in dashboards datasources; do
  put 644 $share/grafana/provisioning/$kind grafana/provisioning/$kind/*.yml
done
# Below deploy/, so that rules.sh finds alerts/ as in the repository.
for place in site centre; do
  put 644 $share/deploy/fleet/$place deploy/fleet/$place/*
done
put 644 $share README.md
put 644 $share/doc SECURITY.md THIRD-PARTY-NOTICES.md docs/*.md docs/*.json docs/*.png
put 644 $share/doc/adr docs/adr/*.md
put 644 usr/share/doc/$name CHANGELOG.md deploy/packages/copyright
# Debian's form of a changelog; what changed is in the other one.
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
cat >"$root/usr/share/doc/$name/changelog.Debian" <<CHANGELOG
$name ($version-1) unstable; urgency=medium

  * Version $version; see CHANGELOG.md.gz.

 -- $maintainer  $(LC_ALL=C date -uR -d "@${SOURCE_DATE_EPOCH:-0}")
CHANGELOG
gzip -9n "$root/usr/share/doc/$name/CHANGELOG.md" "$root/usr/share/doc/$name/changelog.Debian"

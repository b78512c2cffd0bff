#!/bin/sh
# Builds from the release binary what is named: build.sh BINARY DIRECTORY deb|rpm|tarball|sbom...
# The same commit and binary give the same bytes.
set -eu
binary=$(realpath "$1")
dist=$(realpath -m "$2")
shift 2
cd "$(dirname "$0")/../.."
name=ccass-2fa-exporter
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
cargo=${CARGO:-cargo}
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
mkdir -p "$dist" target
# Kinds that make(1) builds at a time share the directory with the files.
exec 9>target/package.lock
flock 9
deploy/packages/stage.sh "$binary" target/package

for kind; do
  case $kind in
    deb)
      rm -f "$dist"/${name}_*.deb
      "$cargo" deb --quiet --no-build --no-strip --output "$dist/"
      ;;
    rpm)
      rm -f "$dist"/$name-*.rpm
      "$cargo" generate-rpm --payload-compress xz --output "$dist/"
      ;;
    tarball)
      # Laid out as the repository, so that what refers to alerts/ and grafana/ finds them.
      top=$name-$version-linux-$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
      rm -rf "target/tarball/$top"
      mkdir -p "target/tarball/$top/completions"
      git ls-files -z alerts grafana docs deploy/ccass.yml deploy/compose deploy/fleet deploy/kubernetes LICENSE '*.md' ':!tests' |
        tar --create --null --files-from - | tar --extract --directory "target/tarball/$top"
      rm -rf "target/tarball/$top/alerts/tests"
      install -m 755 "$binary" "$(dirname "$binary")/ccass-2fa-browser" "target/tarball/$top/"
      for shell in bash zsh fish powershell; do
        "$binary" completions $shell >"target/tarball/$top/completions/$name.$shell"
      done
      tar --create --directory target/tarball --sort name --owner 0 --group 0 --numeric-owner \
        --mode u=rwX,go=rX --mtime "@$SOURCE_DATE_EPOCH" "$top" | gzip -9n >"$dist/$top.tar.gz"
      ;;
    sbom)
      "$cargo" cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps \
        --override-filename $name.cdx
      # One is written beside each Cargo.toml; only the exporter is shipped.
      rm -f tests/*/$name.cdx.json browser-check/$name.cdx.json
      sed "s|$PWD|/source|g" $name.cdx.json >"$dist/$name-$version.cdx.json"
      rm $name.cdx.json
      ;;
    *)
      echo "deploy/packages/build.sh: $kind is none of deb, rpm, tarball, sbom" >&2
      exit 2
      ;;
  esac
done

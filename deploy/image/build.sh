#!/bin/sh
# Builds the last stage of the Dockerfile on a binary, as root and without a daemon, and writes it as an
# archive in OCI layout: build.sh BINARY ARCHIVE
set -eu
binary=$(realpath "$1")
archive=$(realpath -m "$2")
cd "$(dirname "$0")/../.."
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
work=$PWD/target/image
storage="--root $work/storage --runroot $work/run"

mkdir -p "$work" "$(dirname "$archive")"
deploy/image/stage.sh "$binary" "$work/build/image"
sed -n '/^FROM scratch/,$p' Dockerfile >"$work/Dockerfile"
mkdir -p "$work/empty"
# shellcheck disable=SC2086 # one argument for each option
buildah $storage bud --quiet --format docker --timestamp "$SOURCE_DATE_EPOCH" \
  --build-context "build=$work/build" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
  --tag "ccass-2fa-exporter:$version" --file "$work/Dockerfile" "$work/empty" >/dev/null
rm -rf "$work/oci"
# shellcheck disable=SC2086
buildah $storage push --quiet "ccass-2fa-exporter:$version" "oci:$work/oci:ccass-2fa-exporter:$version"
# shellcheck disable=SC2086
buildah $storage inspect --type image \
  "ccass-2fa-exporter:$version" | deploy/image/add_healthcheck.py "$work/oci"
# shellcheck disable=SC2086
buildah $storage rmi --all --force >/dev/null
tar --create --file "$archive" --directory "$work/oci" --sort name --owner 0 --group 0 --numeric-owner \
  --mode u=rwX,go=rX --mtime "@$SOURCE_DATE_EPOCH" .

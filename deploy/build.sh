#!/bin/sh
# Builds the release binary: static, with the list of its dependencies inside (cargo audit bin reads
# it), and without a path of this machine, so that the same commit gives the same bytes everywhere.
# Prints its path, for Windows without .exe; ccass-2fa-browser, which opens pages in a browser for it, is in the same directory. The
# same script builds them for `make release`, the packages and the image.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
directory=${CARGO_TARGET_DIR:-$PWD/target}

"$cargo" auditable --version >/dev/null 2>&1 || {
  echo "deploy/build.sh: cargo-auditable is missing; run: deploy/install-tools.sh" >&2
  exit 1
}
"$cargo" fetch --locked --target "$target"
flags="-C target-feature=+crt-static"
case $target in
  # The addresses to relocate as bitmaps: a twentieth of the program.
  *-linux-gnu) flags="$flags -C link-arg=-Wl,-z,pack-relative-relocs" ;;
esac
case $target in
  # The system call, which a static program does not find by its name, instead of /dev/urandom.
  *-linux-*) flags="$flags --cfg getrandom_backend=\"linux_getrandom\"" ;;
  # The assembly of aws-lc as its authors have assembled it, so that no assembler is needed.
  *-windows-*) export AWS_LC_SYS_PREBUILT_NASM=1 ;;
esac
flags="$flags --remap-path-prefix=$PWD=/source"
prefixes="-ffile-prefix-map=$PWD=/source"
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
  flags="$flags --remap-path-prefix=$crates=/crates"
  prefixes="$prefixes -ffile-prefix-map=$crates=/crates"
done
case $target in
  # Microsoft's compiler does not know the option.
  *-msvc) prefixes= ;;
esac
# With --target, flags are for the program alone and not for build scripts and procedural macros.
RUSTFLAGS=$flags CFLAGS="${CFLAGS:-} $prefixes" CARGO_INCREMENTAL=0 \
  "$cargo" auditable build --release --locked --target "$target" --package ccass-2fa-exporter \
  --package ccass-2fa-browser >&2
echo "$directory/$target/release/ccass-2fa-exporter"

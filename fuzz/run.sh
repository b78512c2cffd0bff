#!/usr/bin/env bash
# Fuzzes targets one after the other and prints what each did: run.sh SECONDS TARGET...
# Without sanitizer: the exporter has no unsafe code, and is so twice as quick.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
status=0
export CARGO_INCREMENTAL=0
# The exporter's dependencies in the versions that it ships with.
cp Cargo.lock fuzz/
for target in "$@"; do
  mkdir -p "fuzz/corpus/$target"
  log=$(mktemp)
  if ! cargo +nightly fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
    status=1
    tail -n 40 "$log"
    echo "$target: failed; the input is in fuzz/artifacts/$target"
  fi
  awk -v target="$target" '
    /cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") edges = $(i + 1); if ($i == "ft:") features = $(i + 1) } }
    /stat::number_of_executed_units/ { runs = $2 }
    /stat::average_exec_per_sec/ { rate = $2 }
    /stat::peak_rss_mb/ { memory = $2 }
    END { printf "%-16s %12d executions, %7d a second, %6d edges, %6d features, %4d MiB\n",
          target, runs, rate, edges, features, memory }' "$log"
  rm -f "$log"
done
exit "$status"

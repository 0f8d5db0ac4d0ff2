#!/usr/bin/env bash
# Runs the simulation with one seed after the other until it is stopped: JOBS at
# a time, from SEED on (default: the time). A seed that fails is printed with
# the command that repeats it; its log is kept.
#   SEED=1 JOBS=2 RACE=1 SECONDS_MAX=600 testdata/soak.sh
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
first=${SEED:-$(date +%s)}
logs=$(mktemp -d "${TMPDIR:-/tmp}/dynaring-soak.XXXXXX")
binary=$logs/sim.test
go test -c ${RACE:+-race} -o "$binary" ./cmd/internal/sim
echo "seeds from $first, $jobs at a time; logs of those that fail: $logs"

# One seed a process: a run that hangs ends its process and nothing else.
worker() {
  local seed=$1 out run
  cd cmd/internal/sim
  trap 'kill "$run" 2>/dev/null; exit' TERM
  while :; do
    out=$logs/seed-$seed.log
    "$binary" -test.run '^TestRandom$' -test.v -sim.seed="$seed" -sim.log="$logs/seed-$seed.history" >"$out" 2>&1 &
    run=$!
    if wait "$run"; then
      rm -f "$out" "$logs/seed-$seed.history"
    else
      echo "seed $seed FAILED: go test ./cmd/internal/sim -run 'TestRandom\$' -sim.seed=$seed   ($out)"
    fi
    echo "$seed" >>"$logs/done"
    seed=$((seed + jobs))
  done
}

pids=()
finish() {
  trap - INT TERM EXIT
  kill "${pids[@]}" 2>/dev/null || true
  wait || true
  failed=$({ grep -l -s -e '^--- FAIL' -e '^panic:' "$logs"/seed-*.log || true; } | wc -l)
  ran=0; [ ! -e "$logs/done" ] || ran=$(wc -l <"$logs/done")
  echo "$ran seeds, $failed failed; logs: $logs"
  [ "$failed" -eq 0 ]
}
trap finish INT TERM EXIT
for ((i = 0; i < jobs; i++)); do
  worker $((first + i)) &
  pids+=($!)
done
if [ -n "${SECONDS_MAX:-}" ]; then sleep "$SECONDS_MAX"; else wait; fi

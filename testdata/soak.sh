#!/usr/bin/env bash
# Runs the simulation with one seed after the other until it is stopped: JOBS at
# a time, from SEED on (default: the time). A seed that fails is then tried under
# cmd/internal/replay, in some orders of its goroutines, and is printed with the
# command that repeats it: exactly, where one of those has failed. Logs are kept.
# With EXACT=1 all seeds run there, ten times slower, and whatever fails repeats.
#   SEED=1 JOBS=2 RACE=1 SECONDS_MAX=600 testdata/soak.sh
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
first=${SEED:-$(date +%s)}
logs=$(mktemp -d "${TMPDIR:-/tmp}/dynaring-soak.XXXXXX")
binary=$logs/sim.test
go test -c ${RACE:+-race} -o "$binary" ./cmd/internal/sim
go build -o "$logs/replay" ./cmd/internal/replay
"$logs/replay" -build "$logs/sim.wasm"
replay=("$logs/replay" -binary "$logs/sim.wasm")
orders=4 # in which a seed is tried that has failed in the open
[ -z "${EXACT:-}" ] || "${replay[@]}" -seed 1 >/dev/null || true # keeps the machine code for all that follow
echo "seeds from $first, $jobs at a time; logs of those that fail: $logs"

# simulate SEED runs one, in place of this process.
simulate() {
  if [ -n "${EXACT:-}" ]; then
    exec "${replay[@]}" -seed "$1" -log "$logs/seed-$1.history"
  fi
  exec "$binary" -test.run '^TestRandom$' -test.v -sim.seed="$1" -sim.log="$logs/seed-$1.history"
}

# repeats SEED prints the command that repeats its failure. It runs in the
# worker's shell, whose $run is what a signal ends.
repeats() {
  local seed=$1 out=$logs/seed-$1.replay
  if [ -n "${EXACT:-}" ]; then
    tail -n 1 "$logs/seed-$seed.log"
    return
  fi
  "${replay[@]}" -seed "$seed" -orders "$orders" -log "$out.history" >"$out.log" 2>&1 &
  run=$!
  if wait "$run"; then
    rm -f "$out.log" "$out.history"
    echo "seed $seed passes in $orders orders of make replay. Until it fails again:" \
      "go test ./cmd/internal/sim -count=20 -failfast -run 'TestRandom\$' -sim.seed=$seed"
  else
    tail -n 1 "$out.log"
  fi
}

# One seed a process: a run that hangs ends its process and nothing else.
worker() {
  local seed=$1 out run
  cd cmd/internal/sim
  trap 'kill "$run" 2>/dev/null; exit' TERM
  while :; do
    out=$logs/seed-$seed.log
    simulate "$seed" >"$out" 2>&1 &
    run=$!
    if wait "$run"; then
      rm -f "$out" "$logs/seed-$seed.history"
    else
      echo "seed $seed FAILED ($out)"
      repeats "$seed"
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
  failed=$({ grep -l -s -e '^--- FAIL' -e '^panic:' "$logs"/seed-*[0-9].log || true; } | wc -l)
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

#!/bin/bash
# run.sh HARNESS...: each fuzzer for FUZZ_SECONDS, two at a time, from the seeds beside it when there are any. What it finds
# stays in $O/fuzz-findings. The last line counts.
set -uo pipefail
seconds=${FUZZ_SECONDS:-20} out=${O:?}/fuzz-findings
mkdir -p "$out"

one() {
	local name=${1##*/} seeds=test/fuzz/seeds/${1##*/} corpus
	corpus=$(mktemp -d)
	timeout $((seconds + 60)) "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$out/$name-" "$corpus" $([ -d "$seeds" ] && echo "$seeds") >"$out/$name.log" 2>&1
	local rc=$?
	rm -rf "$corpus"
	if [ $rc = 0 ]; then
		echo "ok   $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") runs"
	else
		echo "FAIL $name (exit $rc)"
		tail -n 40 "$out/$name.log"
	fi
	return $rc
}

passed=0 failed=0
while [ $# -gt 0 ]; do
	pids=()
	for harness in "${@:1:2}"; do
		one "$harness" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		if wait "$pid"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	done
	shift ${#pids[@]}
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]

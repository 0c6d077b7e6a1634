#!/bin/bash
# check.sh [STEP...]: everything that must pass, one function per step; all of them run even when one fails. What a step
# prints is in build/check/STEP.log and shown when it fails. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
unset MAKEFLAGS MAKELEVEL MFLAGS
logs=build/check
mkdir -p "$logs"
jobs=$(nproc)
build() { make --no-print-directory -j"$jobs" "$@"; }

step_gcc() { build O=build/gcc CC=gcc WERROR=1 everything; }
step_clang() { build O=build/clang CC=clang CFLAGS=-O0 WERROR=1 everything; } # for its warnings only: nothing of it runs
step_floors() { build floors; }
step_format() { build CHECK=1 format; }
# The analyzer of clang takes longer than all other checks together; `make lint` has it.
step_lint() { build O=build/gcc lint TIDY='--checks=-clang-analyzer-*'; }
step_unit() { build O=build/gcc CC=gcc WERROR=1 unit; }
step_unit_address() { build CC=gcc SAN=address unit; }
step_assume() { build O=build/gcc CC=gcc WERROR=1 assume; }
step_systemd() { build O=build/gcc CC=gcc WERROR=1 all && O=build/gcc bash test/systemd.sh; }
step_sim() { build O=build/gcc CC=gcc WERROR=1 sim; }
step_fuzz() { build fuzz FUZZ_SECONDS=5; }
step_api() { build O=build/gcc CC=gcc WERROR=1 api; }
step_web() { build O=build/gcc CC=gcc WERROR=1 web; }
step_crash() { build O=build/gcc CC=gcc WERROR=1 crash CRASH=--quick; }
step_netns() { build O=build/gcc CC=gcc WERROR=1 netns; }
step_netns_address() { build CC=gcc SAN=address netns NETNS="join_approve frames relay revoke bad_input workers"; }
step_netns_thread() { FARLAN_WORKERS=2 build CC=gcc SAN=thread netns NETNS="frames relay revoke workers"; }

all="gcc clang floors format lint unit unit_address assume systemd sim fuzz api web crash netns netns_address netns_thread"
passed=0 failed=0 table=
began=$SECONDS
for name in ${*:-$all}; do
	if ! declare -F "step_$name" >/dev/null; then
		echo "check: no step $name; there are: $all" >&2
		exit 2
	fi
	from=$SECONDS
	printf '%-14s ... ' "$name"
	if "step_$name" >"$logs/$name.log" 2>&1; then
		passed=$((passed + 1)) result=ok
	else
		failed=$((failed + 1)) result=FAILED
	fi
	took=$((SECONDS - from))
	printf '%s (%d s)\n' $result $took
	[ $result = ok ] || { echo "---- end of $logs/$name.log"; tail -n 60 "$logs/$name.log"; echo "----"; }
	count=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$logs/$name.log" | tail -1)
	tests=$(grep -acE '^\[       OK \]' "$logs/$name.log")
	[ -n "$count" ] || { [ "$tests" = 0 ] || count="$tests tests"; }
	table+=$(printf '%-14s %-7s %5d s  %s' "$name" $result $took "$count")$'\n'
done
printf '\n%s' "$table"
echo "all in $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ $failed = 0 ]

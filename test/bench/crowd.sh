#!/bin/bash
# crowd.sh: the bench of a controller with ten thousand members (crowd.c), then the real farlan-controller on the database it left: how long its
# list of members takes over HTTP, a page of 100 and all, and how much memory it holds then. Arguments go to crowd.
set -eu
bin=${FARLAN_BIN:-build}
home=$(mktemp -d)/home
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$(dirname "$home")"' EXIT
"$bin/test/bench/crowd" "$@" -k "$home"
"$bin/farlan-controller" --home "$home" >"$home/log" 2>&1 &
pid=$!
socket=
for _ in $(seq 100); do
	socket=$(find "$home" -name '*.sock' | head -1)
	[ -n "$socket" ] && curl -sf -o /dev/null --unix-socket "$socket" http://x/v1/networks && break
	sleep 0.1
done
[ -n "$socket" ] || { cat "$home/log"; exit 1; }
network=$(curl -sf --unix-socket "$socket" http://x/v1/networks | python3 -c 'import json, sys; print(json.load(sys.stdin)["networks"][0]["id"])')
for what in "a page of 100|?limit=100" "all|"; do
	for _ in $(seq 7); do
		curl -sf -o /dev/null -w '%{time_total} %{size_download}\n' --unix-socket "$socket" "http://x/v1/networks/$network/members${what#*|}"
	done | sort -n | sed -n 4p | awk -v what="${what%|*}" '{ printf "over HTTP, %-35s %8.1f ms median, %d bytes\n", what, $1 * 1000, $2 }'
done
awk '/VmRSS/ { printf "farlan-controller resident then %23.1f MB\n", $2 / 1024 }' "/proc/$pid/status"

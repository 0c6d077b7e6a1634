#!/bin/bash
# run.sh TEST...: unit tests, two at a time for each core, since some of them mostly wait; what each one prints comes in one piece. All of them
# run even when one fails.
set -uo pipefail
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export logs
one() {
	log=$logs/$(basename "$1")
	"$1" >"$log" 2>&1 || echo "FAILED: $1" >>"$log"
	flock "$logs" cat <(echo "== $1") "$log"
	! grep -q "^FAILED: $1" "$log"
}
export -f one
printf '%s\n' "$@" | xargs -P "$((2 * $(nproc)))" -I{} bash -c 'one "$1"' one {} || exit 1

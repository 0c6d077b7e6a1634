#!/bin/bash
# systemd.sh: the units as systemd-analyze sees them: well formed, with programs that are there, and shut in: exposure 2.5 at most. And the users they
# name are those that farlan.sysusers makes. O names the build folder. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${O:-build}") most=25 # tenths
if ! command -v systemd-analyze >/dev/null; then
	echo "SKIPPED: systemd-analyze is not installed (package systemd)"
	echo "0 passed, 0 failed"
	exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
result() { # WHAT RC OUTPUT
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok: $1"
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n%s\n' "$1" "$3"
	fi
}
for unit in contrib/systemd/*.service; do
	name=$(basename "$unit")
	sed "s|/usr/sbin/|$bin/|" "$unit" >"$folder/$name"
	out=$(systemd-analyze verify --man=no --recursive-errors=no "$folder/$name" 2>&1)
	rc=$?
	[ -z "$out" ] || rc=1
	result "$name is well formed" $rc "$out"
	out=$(systemd-analyze security --offline=true --no-pager --threshold=$most "$folder/$name" 2>&1)
	result "$name: $(sed -n 's/.* level for .*: \([0-9.]*\) .*/\1/p' <<<"$out"), 2.5 at most" $? "$out"
	user=$(sed -n 's/^User=//p' "$unit")
	grep -q "^u $user " contrib/systemd/farlan.sysusers && grep -q "^m $user farlan$" contrib/systemd/farlan.sysusers
	result "$name: $user is made, and in the group farlan" $? "farlan.sysusers does not make it"
done
if command -v systemd-sysusers >/dev/null; then
	mkdir -p "$folder/root/etc"
	out=$(systemd-sysusers --root="$folder/root" - <contrib/systemd/farlan.sysusers 2>&1) && cut -d: -f1 "$folder/root/etc/passwd" | sort | tr '\n' ' ' >"$folder/users"
	[ "$(cat "$folder/users" 2>/dev/null)" = "_farlan _farlan-controller _farlan-root " ]
	result "farlan.sysusers makes three users" $? "$out"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]

#!/bin/bash
# run.sh: root, controller and this machine's node in the foreground, with their state in run/ of the tree, and a demo peer in
# a network namespace. Makes a network, approves both, shows a ping across it, invites others. Ctrl-C ends it all.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "${FARLAN_BIN:-build}") state=$PWD/run
ns=farlan-demo outer=farlan-demo0 inner=farlan-demo1 port=9993
if [ "$(id -u)" != 0 ]; then
	echo "run: TAP devices and namespaces need root: sudo make run" >&2
	exit 1
fi
mkdir -p "$state"
chmod 700 "$state"
exec 9>"$state/lock"
flock -n 9 || { echo "run: it is running already" >&2; exit 1; }

pids=()
sweep() {
	ip netns del "$ns" 2>/dev/null || true
	ip link del "$outer" 2>/dev/null || true
}
finish() {
	trap - EXIT INT TERM HUP
	echo "stopping"
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	sweep
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

die() {
	echo "run: $*" >&2
	tail -n 15 "$state"/*.log >&2 || true
	exit 1
}
farlan() { "$bin/farlan" --home "$state/$1" "${@:2}"; }
# start NAME PROGRAM [ARGS]: in the background, out of the reach of the terminal's Ctrl-C, so that we end them in order
start() {
	local name=$1
	shift
	setsid "$@" >>"$state/$name.log" 2>&1 9>&- </dev/null &
	pids+=($!)
	for _ in $(seq 300); do
		farlan "$name" status >/dev/null 2>&1 && return
		kill -0 "${pids[-1]}" 2>/dev/null || die "$name does not start"
		sleep 0.1
	done
	die "$name does not answer"
}

# A /30 of the range for tests (RFC 2544) that this machine does not use yet.
sweep
for net in $(seq 0 63); do
	here=198.19.$net.1 there=198.19.$net.2
	[ -n "$(ip -4 route show root "198.19.$net.0/24")" ] || break
done
ip netns add "$ns"
ip link add "$outer" type veth peer name "$inner" netns "$ns"
ip addr add "$here/30" dev "$outer"
ip link set "$outer" up
ip -n "$ns" link set lo up
ip -n "$ns" addr add "$there/30" dev "$inner"
ip -n "$ns" link set "$inner" up
ip -n "$ns" route add default via "$here"

# Where others reach the root: this machine's own address, when it has one.
public=$(ip -4 -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' || true)
if ss -Hlun "sport = :$port" | grep -q .; then
	port=19993
	ss -Hlun "sport = :$port" | grep -q . && die "UDP ports 9993 and 19993 are taken"
fi
http=8080
if ss -Hltn "sport = :$http" | grep -q .; then
	http=18080
fi
echo "starting root, controller, this machine's node and a demo peer; their logs are in $state"
start root "$bin/farland" --home "$state/root" --root --listen "0.0.0.0:$port"
line=$(farlan root root-line "$here:$port")
start controller "$bin/farlan-controller" --home "$state/controller" --add-root "$line" --http "127.0.0.1:$http"
start node "$bin/farland" --home "$state/node" --add-root "$line"
start peer ip netns exec "$ns" "$bin/farland" --home "$state/peer" --add-root "$line"

json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
nwid=$(farlan controller -o json network list | json 'next((n["id"] for n in d["networks"] if n["name"] == "demo"), "")')
if [ -z "$nwid" ]; then
	nwid=$(farlan controller network create demo --ipv4 10.88.0.0/24 | awk 'END { print $NF }')
fi
for name in node peer; do
	address=$(farlan "$name" id | cut -d: -f2)
	rc=0
	farlan "$name" join "$nwid" --wait 3 >/dev/null 2>&1 || rc=$?
	if [ $rc = 6 ]; then
		for _ in $(seq 100); do
			farlan controller member approve "$nwid" "$address" --name "demo-$name" >/dev/null 2>&1 && rc=0 && break
			sleep 0.1
		done
	fi
	[ $rc = 0 ] || die "$name cannot join: $(farlan "$name" join "$nwid" --wait 0 2>&1 || true)"
	farlan "$name" wait "$nwid" --wait 30 >/dev/null || die "$name does not get into the network"
done
to=$(farlan peer -o json networks | json 'next(a for n in d["networks"] if n["id"] == "'"$nwid"'" for a in n["addresses"] if ":" not in a).split("/")[0]')
echo
ping -n -c 4 -i 0.3 -W 2 "$to" || die "no ping across the overlay"
echo
farlan node networks
echo
echo "The controller's page, good for one visit within 15 minutes:"
echo "    $(farlan controller page | awk 'END { print $NF }')"
echo "    (another link: $bin/farlan --home $state/controller page)"
echo
echo "Another machine joins with this invitation, good for five within a day:"
echo "    farland --home DIR &"
echo "    farlan --home DIR join '$(farlan controller invite create "$nwid" --name run --uses 5 --expires 1d \
	--root "$(farlan root root-line "${public:-$here}:$port")")'"
echo
echo "Ctrl-C ends all of it; the state stays in $state."
rc=0
wait -n "${pids[@]}" || rc=$?
die "a daemon ended by itself (exit $rc)"

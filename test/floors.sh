#!/bin/bash
# floors.sh: the tree's shape. An include points only down, heavy headers stay in their rooms, files and functions stay small.
# test/ is exempt. Prints each breach; the exit status is 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
FILE_MAX=600 FUNCTION_MAX=80
bad=0
breach() { echo "floors: $*"; bad=1; }

# What each floor may include of ours, as extended regular expressions on the header's path.
declare -A below=(
	[proto/base]='^proto/base/'
	[proto]='^proto/'
	[tap]='^(tap|proto/base)/'
	[node]='^(node|proto)/|^tap/(tap|nic|netlink|groups|mirror)\.h$'
	[controller]='^(controller|proto)/|^schema\.inc$'
	[ui]='^(ui|controller|node|tap|proto)/|^web_table\.inc$'
	[ui/cli]='^(ui|tap|proto)/|^controller/backup\.h$'
)
# Where a heavy header may stand: header and files, as extended regular expressions.
rooms=(
	'sodium(/.*)?\.h ^proto/[^/]*$'
	'intel-ipsec-mb\.h ^proto/seal_ipsecmb\.c$'
	'immintrin\.h ^proto/seal_(vaes(_ghash)?|avx2|mask)\.[ch]$'
	'msgpack(/.*)?\.h ^proto/body\.c$'
	'sqlite3\.h ^controller/store(_[a-z]+)?\.[ch]$'
	'uv\.h ^(node/loop(_[a-z]+)?\.[ch]|ui/[^/]*)$'
	'pcap(/.*)?\.h ^tap/(capture|filter)\.c$'
	'libmnl/.*\.h ^tap/netlink(_[a-z]+)?\.[ch]$'
	'natpmp\.h ^node/mapping(_[a-z]+)?\.c$'
	'miniupnpc/.*\.h ^node/mapping(_[a-z]+)?\.c$'
	'microhttpd\.h ^ui/http(_[a-z]+)?\.[ch]$'
	'gnutls/.*\.h ^(node/stream_(tls|upgrade)|ui/certificate|proto/totp)\.c$'
	'wslay/.*\.h ^node/stream_websocket\.c$'
	'jansson\.h ^ui/'
	'curl/.*\.h ^ui/(cli/|webhook\.c$)'
	'qrencode\.h ^ui/qr\.c$'
	'libsmartcols(/.*)?\.h ^ui/cli/'
)

files=$(find proto tap node controller ui -name '*.[ch]' | sort)
[ -n "$files" ] || { breach "no sources found"; exit 1; }
while IFS=: read -r file line text; do
	[[ $text =~ [\<\"]([^\>\"]+)[\>\"] ]] || continue
	header=${BASH_REMATCH[1]}
	floor=${file%/*}
	if [ "${text//\"/}" != "$text" ]; then
		allowed=${below[$floor]-}
		if [ -z "$allowed" ]; then
			breach "$file: no floor $floor"
		elif ! [[ $header =~ $allowed ]]; then
			breach "$file:$line: $floor must not include $header"
		fi
	fi
	for room in "${rooms[@]}"; do
		if [[ $header =~ ^(${room%% *})$ ]] && ! [[ $file =~ ${room##* } ]]; then
			breach "$file:$line: $header belongs to ${room##* }"
		fi
	done
done < <(grep -nE '^#[ 	]*include' $files)

for file in $files GNUmakefile; do
	lines=$(wc -l <"$file")
	max=$FILE_MAX
	[ "$file" != GNUmakefile ] || max=149
	[ "$lines" -le "$max" ] || breach "$file: $lines lines, at most $max"
done

# Functions, by ctags: name, file, first and last line.
while IFS= read -r line; do
	breach "$line"
done < <(ctags -f - --languages=C --langmap=C:.c.h --kinds-C=f --fields=+ne $files | awk -F'\t' -v max=$FUNCTION_MAX '
	match($0, /line:[0-9]+/) { first = substr($0, RSTART + 5, RLENGTH - 5) }
	match($0, /end:[0-9]+/) { n = substr($0, RSTART + 4, RLENGTH - 4) - first + 1
		if (n > max) printf "%s:%d: %s has %d lines, at most %d\n", $2, first, $1, n, max }')

if [ $bad = 0 ]; then
	echo "floors: $(wc -l <<<"$files") files keep them"
fi
exit $bad

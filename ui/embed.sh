#!/bin/sh
# embed.sh OUT.S OUT_table.inc FILES...: compresses each file beside OUT.S and writes the assembly that takes the bytes in
# and the rows of web.c's table. A file given as NAME=PATH is served as /NAME. The same files give the same bytes: gzip -n
# keeps names and times out.
set -eu
asm=$1 table=$2
shift 2
dir=$(dirname "$asm")
i=0
: >"$asm.tmp"
: >"$table.rows"
echo '	.section .rodata' >>"$asm.tmp"
: >"$table.tmp"
for file in "$@"; do
	case $file in
	*=*) name=${file%%=*} file=${file#*=} ;;
	*) name=${file##*/} ;;
	esac
	case $name in
	*.json) # no page's file: the description of the API, as it is (openapi.c)
		printf '\t.globl openapi_begin, openapi_len\nopenapi_begin:\n\t.incbin "%s"\n0:\t.balign 8\nopenapi_len:\t.quad 0b - openapi_begin\n' "$file" >>"$asm.tmp"
		continue ;;
	*.html) type='text/html; charset=utf-8' ;;
	*.js) type='text/javascript; charset=utf-8' ;;
	*.css) type='text/css; charset=utf-8' ;;
	*.svg) type='image/svg+xml' ;;
	*) echo "embed.sh: no content type for $file" >&2; exit 1 ;;
	esac
	mkdir -p "$dir/web"
	gzip -n9 <"$file" >"$dir/web/$name.gz"
	etag=$(sha256sum "$dir/web/$name.gz" | cut -c1-32)
	printf '\t.globl web_%d_begin, web_%d_end\nweb_%d_begin:\n\t.incbin "%s"\nweb_%d_end:\n' \
		"$i" "$i" "$i" "$dir/web/$name.gz" "$i" >>"$asm.tmp"
	printf 'extern const unsigned char web_%d_begin[], web_%d_end[];\n' "$i" "$i" >>"$table.tmp"
	printf '\t{"/%s", "%s", web_%d_begin, web_%d_end, "\\"%s\\""},\n' "$name" "$type" "$i" "$i" "$etag" >>"$table.rows"
	i=$((i + 1))
done
echo '	.section .note.GNU-stack,"",%progbits' >>"$asm.tmp"
{ echo 'static const struct asset assets[] = {'; cat "$table.rows"; echo '};'; } >>"$table.tmp"
rm -f "$table.rows"
mv "$table.tmp" "$table"
mv "$asm.tmp" "$asm"

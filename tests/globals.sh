#!/bin/sh
# No mutable state outside objects that somebody owns: looks into the built libraries, and the objects
# beside the main file's, for symbols in writable sections. src/net and leveretd.c are the exception,
# since signals and the loop live there. Constant tables of pointers lie in .data.rel.ro,
# which is writable only while the program is being loaded. Speaks TAP; before it judges the build it
# shows, on objects that it compiles itself, that it would notice.
#
#     tests/globals.sh    (in the build folder, or with $top_builddir and $srcdir)

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
build=${top_builddir:-.}
source=${srcdir:-.}

# Prints object and name of each variable of the archives or objects given that can be written to.
# What sanitizers and coverage add for themselves is left out.
mutables() {
    nm -A --format=sysv "$@" 2>/dev/null | awk -F'|' '
        {
            name = $1
            sub(/ +$/, "", name)
            object = name
            sub(/:[^:]*$/, "", object)
            sub(/^.*:/, "", name)
            section = $7
            gsub(/ /, "", section)
            kind = $4
            gsub(/ /, "", kind)
        }
        section ~ /^\.data\.rel\.ro/ { next }
        name ~ /^(__odr_asan|__asan|__tsan|__ubsan|__sanc|__sancov|__gcov|__llvm|__prof|__unnamed_|\.L)/ { next }
        name ~ /(^|\.)__gcov/ { next }
        section ~ /^(\.data|\.bss|\.tdata|\.tbss|\.ldata|\.lbss|\*COM\*)/ && kind != "SECTION" {
            printf "%s: %s (%s)\n", object, name, section
        }'
}

# A source of these lines, compiled as the tree is: found or not, as it should be?
judged() { # allowed|refused SOURCE-TEXT
    printf '%s\n' "$2" >"$work/case.c"
    # The flags are a list on purpose.
    # shellcheck disable=SC2086
    if ! ${CC:-cc} ${CFLAGS_OF_TREE:-} -w -c -o "$work/case.o" "$work/case.c" 2>"$work/errors"; then
        ok 1 "compiled: $2"
        sed 's/^/# /' "$work/errors"
        return
    fi
    found=$(mutables "$work/case.o")
    case $1:$found in
    allowed: | refused:*"counter"*) ok 0 "$1: $2" ;;
    *)
        ok 1 "$1: $2"
        echo "# found: $found"
        ;;
    esac
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

judged refused 'int counter;'
judged refused 'int counter = 1;'
judged refused 'static int counter; int next(void) { return ++counter; }'
judged refused 'int next(void) { static int counter = 7; return ++counter; }'
judged refused 'static _Thread_local int counter; int next(void) { return ++counter; }'
judged refused 'const char *counter = "text";'
judged allowed 'const int counter = 7;'
judged allowed 'static const char *const counter[] = {"a", "b"}; const char *at(int i) { return counter[i]; }'
judged allowed 'int next(int counter) { return counter + 1; }'

# Nothing to find in these objects or archives?
clean() { # NAME FILE...
    place=$1
    shift
    found=$(mutables "$@")
    if [ -n "$found" ]; then
        printf '%s\n' "$found" | sed 's/^/# /'
    fi
    [ -z "$found" ]
    ok $? "$place has no mutable global"
}

for folder in "$source"/src/*/; do
    layer=$(basename "$folder")
    if [ "$layer" != net ] && [ -f "$build/libleveret_$layer.a" ]; then
        clean "src/$layer" "$build/libleveret_$layer.a"
    fi
done
for object in "$build"/src/*.o; do
    case $object in
    */leveretd.o | *'*'*) ;;
    *) clean "src/${object##*/}" "$object" ;;
    esac
done
[ -d "$source/src/base" ] && [ -f "$build/libleveret_base.a" ]
ok $? "there was something to look at in $build"

end

#!/bin/sh
# Every source file is named in the fragment of its folder: one that was forgotten is missing from the
# release, and a test that was forgotten never runs. Speaks TAP.
#
#     tests/listed.sh [TOP-FOLDER]

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
top=${1:-${srcdir:-.}}

# Prints the files of a folder (not of those below it) that its fragment does not name. A program
# of one file may stand there under its own name, and a test program must.
unlisted() { # TOP FOLDER
    for file in "$1/$2"/*.[ch] "$1/$2"/*.def "$1/$2"/*.sh "$1/$2"/*.py "$1/$2"/*.md; do
        [ -f "$file" ] || continue
        name=${file##*/}
        program=$name
        case $name in
        test_*.c) program=${name%.c}.t name=$program ;;
        *.c) program=${name%.c} ;;
        esac
        sed 's/#.*//' "$1/$2/local.mk" 2>/dev/null | tr -s ' \t=' '\n' |
            grep -qxF -e "%D%/$name" -e "%D%/$program" || echo "$2/${file##*/}"
    done
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/src/base"
touch "$work/src/base/list.c" "$work/src/base/list.h" "$work/src/base/test_list.c"
printf 'lib_SOURCES = \\\n\t%%D%%/list.h \\\n\t%%D%%/test_list.t\n# %%D%%/list.c\n' >"$work/src/base/local.mk"
[ "$(unlisted "$work" src/base)" = src/base/list.c ]
ok $? "a file that is named nowhere, or only in a comment, is found"

for folder in $(cd "$top" && find src tests interop bench -type d | LC_ALL=C sort); do
    case $folder in
    */corpus | */corpus/* | */cases | */__pycache__ | bench/results) continue ;;
    esac
    # The files in tests/lib are listed by tests/local.mk, as the test's own library.
    if [ "$folder" = tests/lib ]; then
        found=$(for file in "$top"/tests/lib/*.[ch] "$top"/tests/lib/*.sh; do
            grep -qF "%D%/lib/${file##*/}" "$top/tests/local.mk" || echo "tests/lib/${file##*/}"
        done)
    else
        found=$(unlisted "$top" "$folder")
    fi
    for file in $found; do
        echo "# not named in $folder/local.mk: $file"
    done
    [ -z "$found" ]
    ok $? "everything in $folder is named in a fragment"
done

end

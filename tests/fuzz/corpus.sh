#!/bin/sh
# Replays every fuzz target's corpus, corpus/<name>/ for fuzz_<name>: what was once found, and what
# reaches far into the code, must still pass. Speaks TAP, one line for each corpus.

set -u
# shellcheck source=../lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
corpora=${srcdir:-.}/tests/fuzz/corpus
programs=${top_builddir:-.}/tests/fuzz

# Prints the first input that the program does not survive on its own.
culprit() { # PROGRAM FOLDER
    find "$2" -type f | LC_ALL=C sort | while read -r input; do
        if ! "$1" "$input" >/dev/null 2>&1; then
            echo "$input"
            break
        fi
    done
}

log=$(mktemp) || exit 99
trap 'rm -f "$log"' EXIT

for program in "$programs"/fuzz_*; do
    case $program in
    *.o | *.c) continue ;;
    esac
    [ -x "$program" ] || continue
    name=${program##*/fuzz_}
    inputs=$(find "$corpora/$name" -type f 2>/dev/null | wc -l)
    if [ "$inputs" -gt 0 ] &&
        find "$corpora/$name" -type f -print0 | xargs -0 "$program" >"$log" 2>&1; then
        ok 0 "$name: $inputs inputs"
    else
        ok 1 "$name: $inputs inputs" "fails at $(culprit "$program" "$corpora/$name")
$(tail -n 40 "$log")"
    fi
done
[ "$count" -gt 0 ] || echo "Bail out! no fuzz target in $programs"

end

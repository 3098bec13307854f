#!/bin/sh
# Replays every fuzz target's corpus, corpus/<name>/ for fuzz_<name>: what was once found, and what
# reaches far into the code, must still pass. Speaks TAP, one line for each corpus.

set -u
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

count=0
failed=0
log=$(mktemp) || exit 99
trap 'rm -f "$log"' EXIT

for program in "$programs"/fuzz_*; do
    case $program in
    *.o | *.c) continue ;;
    esac
    [ -x "$program" ] || continue
    name=${program##*/fuzz_}
    inputs=$(find "$corpora/$name" -type f 2>/dev/null | wc -l)
    count=$((count + 1))
    if [ "$inputs" -gt 0 ] &&
        find "$corpora/$name" -type f -print0 | xargs -0 "$program" >"$log" 2>&1; then
        echo "ok $count - $name: $inputs inputs"
    else
        echo "not ok $count - $name: $inputs inputs"
        echo "# fails at $(culprit "$program" "$corpora/$name")"
        tail -n 40 "$log" | sed 's/^/# /'
        failed=1
    fi
done
[ "$count" -gt 0 ] || echo "Bail out! no fuzz target in $programs"

echo "1..$count"
exit $failed

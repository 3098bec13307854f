#!/bin/sh
# The manual pages are valid mdoc, to the letter: mandoc's lint has nothing to warn of. Speaks TAP.

set -u
top=${srcdir:-.}

if ! command -v mandoc >/dev/null; then
    echo "1..0 # SKIP mandoc is not installed"
    exit 0
fi

count=0
failed=0
for page in "$top"/man/*.[1-8]; do
    count=$((count + 1))
    if said=$(mandoc -T lint -W warning "$page" 2>&1); then
        echo "ok $count - ${page##*/}"
    else
        echo "not ok $count - ${page##*/}"
        failed=1
    fi
    if [ -n "$said" ]; then
        printf '%s\n' "$said" | sed 's/^/# /'
    fi
done

echo "1..$count"
exit $failed

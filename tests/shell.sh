#!/bin/sh
# The shell scripts have nothing that shellcheck objects to. Speaks TAP.

set -u
top=${srcdir:-.}

if ! command -v shellcheck >/dev/null; then
    echo "1..0 # SKIP shellcheck is not installed"
    exit 0
fi

count=0
failed=0
for script in $(cd "$top" && find scripts tests interop .ci -type f | LC_ALL=C sort); do
    head -n 1 "$top/$script" | grep -aqE '^#!.*[/ ](ba|da)?sh( |$)' || continue
    count=$((count + 1))
    if said=$(shellcheck -x -P SCRIPTDIR "$top/$script" 2>&1); then
        echo "ok $count - $script"
    else
        echo "not ok $count - $script"
        printf '%s\n' "$said" | sed 's/^/# /'
        failed=1
    fi
done

echo "1..$count"
exit $failed

#!/bin/sh
# The shell scripts have nothing that shellcheck objects to. Speaks TAP.

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
top=${srcdir:-.}

if ! command -v shellcheck >/dev/null; then
    echo "1..0 # SKIP shellcheck is not installed"
    exit 0
fi

for script in $(cd "$top" && find scripts tests interop .ci debian -type f 2>/dev/null | LC_ALL=C sort); do
    head -n 1 "$top/$script" | grep -aqE '^#!.*[/ ](ba|da)?sh( |$)' || continue
    said=$(shellcheck -x -P SCRIPTDIR "$top/$script" 2>&1)
    ok $? "$script" "$said"
done

end

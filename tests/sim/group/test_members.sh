#!/bin/sh
# Some seeds of members of groups with their stores and links. Speaks TAP.

# shellcheck source=../../lib/tap.sh
. "$(dirname "$0")/../../lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
simulate=$build/tests/sim/group/simulate_members
if [ ! -x "$simulate" ]; then
    echo "1..0 # SKIP built without libraft"
    exit 0
fi

seeds=30
[ "${PLANTED:-yes}" = yes ] || seeds=10
said=$("$simulate" --seeds $seeds --seconds 10)
ok $? "$seeds runs: members agree whatever goes wrong, and come back" "$said"
end

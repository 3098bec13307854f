#!/bin/sh
# Some seeds of nodes with links, and the planted bugs LINK_..., which must be found. Speaks TAP.

# shellcheck source=../../lib/tap.sh
. "$(dirname "$0")/../../lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
simulate=$build/tests/sim/link/simulate_link
if [ ! -x "$simulate" ]; then
    echo "1..0 # SKIP built without libraft"
    exit 0
fi

seeds=60
[ "${PLANTED:-yes}" = yes ] || seeds=20
said=$("$simulate" --seeds $seeds)
ok $? "$seeds runs: links keep what they promise, and come back" "$said"

[ "${PLANTED:-yes}" = no ] || for bug in OLD_CONNECTION SILENCE_UNNOTICED OUTPUT_UNBOUNDED NONCE_IGNORED; do
    said=$(LEVERET_PLANTED=LINK_$bug "${simulate}_planted" --seeds 20)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? "LINK_$bug is found" "$said"
done
end

#!/bin/sh
# Some seeds of whole brokers that are a cluster, and some of the planted bugs, which must be found. Speaks TAP.

# shellcheck source=../../lib/tap.sh
. "$(dirname "$0")/../../lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
simulate=$build/tests/sim/cluster/simulate_brokers
if [ ! -x "$simulate" ]; then
    echo "1..0 # SKIP built without libraft"
    exit 0
fi

seeds=40
[ "${PLANTED:-yes}" = yes ] || seeds=10
said=$("$simulate" --seeds $seeds --seconds 10)
ok $? "$seeds runs: what was confirmed is there, whoever leads" "$said"

[ "${PLANTED:-yes}" = no ] || for bug in AGREE_DONE_EARLY AGREE_MARK_EARLY; do
    said=$(LEVERET_PLANTED=$bug "${simulate}_planted" --seeds 200 --seconds 10)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? "$bug is found" "$said"
done
end

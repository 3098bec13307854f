#!/bin/sh
# Some seeds of groups that agree on a log, and some of the planted bugs, which must be found. Speaks TAP.

# shellcheck source=../../lib/tap.sh
. "$(dirname "$0")/../../lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
simulate=$build/tests/sim/engine/simulate_group
if [ ! -x "$simulate" ]; then
    echo "1..0 # SKIP built without libraft"
    exit 0
fi

seeds=400
[ "${PLANTED:-yes}" = yes ] || seeds=150
said=$("$simulate" --seeds $seeds)
ok $? "$seeds groups keep what they promise, and come back" "$said"

# Each of these has failed.
kept=20273
for seed in $kept; do
    said=$("$simulate" --seed "$seed")
    ok $? "seed $seed keeps what it promises" "$said"
done

[ "${PLANTED:-yes}" = no ] || for bug in COMMIT_FALLS ROUND_UNANSWERED SHORTER_LOG SYNC_EARLY; do
    said=$(LEVERET_PLANTED=ENGINE_$bug "${simulate}_planted" --seeds 400)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? "ENGINE_$bug is found" "$said"
done
end

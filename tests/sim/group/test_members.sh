#!/bin/sh
# Some seeds of members of groups with their stores and links, and some of the planted bugs, which must be
# found. Speaks TAP.

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

# A voter that made a second one, which has made others since, took itself for elected.
said=$("$simulate" --seed 300087)
ok $? 'a run in which the first of two voters comes back when others are voters' "$said"

# It said that it had what was written later.
said=$("$simulate" --seed 80)
ok $? 'a run in which a node comes back before its log is durable' "$said"

[ "${PLANTED:-yes}" = no ] || for bug in APPENDED_TWICE CHAIN_IGNORED STAMP_FALLS SYNC_EARLY; do
    said=$(LEVERET_PLANTED=MEMBER_$bug "${simulate}_planted" --seeds 50 --seconds 10)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? "MEMBER_$bug is found" "$said"
done

[ "${PLANTED:-yes}" = no ] || {
    said=$(LEVERET_PLANTED=MEMBER_TWO_SAID_ONCE "${simulate}_planted" --seed 300080 --seeds 10)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? 'MEMBER_TWO_SAID_ONCE is found' "$said"

    said=$(LEVERET_PLANTED=MEMBER_IMAGE_OF_BEFORE "${simulate}_planted" --seed 5458)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? 'MEMBER_IMAGE_OF_BEFORE is found' "$said"

    said=$(LEVERET_PLANTED=MEMBER_IMAGE_BEHIND "${simulate}_planted" --seed 5010)
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? 'MEMBER_IMAGE_BEHIND is found' "$said"
}
end

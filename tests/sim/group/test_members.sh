#!/bin/sh
# Some seeds of members of groups with their stores and links, and some of the planted bugs, which must be
# found. Speaks TAP.

# shellcheck source=../seeds.sh
. "$(dirname "$0")/../seeds.sh"
simulator group/simulate_members

seeds 30 10
keeps "$seeds runs: members agree whatever goes wrong, and come back" --seeds "$seeds" --seconds 10

# A voter that made a second one, which has made others since, took itself for elected.
keeps 'a run in which the first of two voters comes back when others are voters' --seed 300087

# It said that it had what was written later.
keeps 'a run in which a node comes back before its log is durable' --seed 80

for bug in APPENDED_TWICE CHAIN_IGNORED STAMP_FALLS SYNC_EARLY; do
    finds MEMBER_$bug --seeds 50 --seconds 10
done
finds MEMBER_TWO_SAID_ONCE --seed 300080 --seeds 10
finds MEMBER_IMAGE_OF_BEFORE --seed 5458
finds MEMBER_IMAGE_BEHIND --seed 5010
end

#!/bin/sh
# Some seeds of whole brokers that are a cluster, and some of the planted bugs, which must be found. Speaks TAP.

# shellcheck source=../seeds.sh
. "$(dirname "$0")/../seeds.sh"
simulator cluster/simulate_brokers

seeds 40 10
keeps "$seeds runs: what was confirmed is there, whoever leads" --seeds "$seeds" --seconds 10

# This one has failed.
keeps "seed 1163 keeps what it promises" --seed 1163

for bug in AGREE_DONE_EARLY AGREE_MARK_EARLY LANE_CLAIMS_WAIT LANE_OFFICE_EARLY RESUME_ANSWER_UNSAID \
    RESUME_CLAIM_LEFT_OUT RESUME_CONFIRM_SHIFTED RESUME_PUBLISH_UNSAID; do
    finds $bug --seeds 200 --seconds 10
done
end

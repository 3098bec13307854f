#!/bin/sh
# Some seeds of groups that agree on a log, and some of the planted bugs, which must be found. Speaks TAP.

# shellcheck source=../seeds.sh
. "$(dirname "$0")/../seeds.sh"
simulator engine/simulate_group

seeds 400 150
keeps "$seeds groups keep what they promise, and come back" --seeds "$seeds"

# Each of these has failed.
kept=20273
for seed in $kept; do
    keeps "seed $seed keeps what it promises" --seed "$seed"
done

for bug in COMMIT_FALLS HINT_LOST ROUND_UNANSWERED SHORTER_LOG SYNC_EARLY TRIES_ON; do
    finds ENGINE_$bug --seeds 400
done
end

#!/bin/sh
# Some seeds of nodes with links, and the planted bugs LINK_..., which must be found. Speaks TAP.

# shellcheck source=../seeds.sh
. "$(dirname "$0")/../seeds.sh"
simulator link/simulate_link

seeds 60 20
keeps "$seeds runs: links keep what they promise, and come back" --seeds "$seeds"

for bug in OLD_CONNECTION SILENCE_UNNOTICED OUTPUT_UNBOUNDED NONCE_IGNORED; do
    finds LINK_$bug --seeds 20
done
end

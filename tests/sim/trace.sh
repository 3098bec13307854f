#!/bin/sh
# A seed gives the same run wherever it is run: in two processes, whose memory lies elsewhere, and in
# another build: the one with planted bugs, unless PLANTED=no. Speaks TAP.

# shellcheck source=../lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
simulate=$build/tests/sim/simulate
trace() { # PROGRAM SEED
    "$1" --seed "$2" --seconds 2 | sed -n 's/.* trace=\([0-9a-f]*\)$/\1/p'
}

same() { # NAME TRACE TRACE
    [ -n "$2" ] && [ "$2" = "$3" ]
    ok $? "$1"
}

for seed in 3 5 9; do
    first=$(trace "$simulate" $seed)
    same "seed $seed in two processes" "$first" "$(trace "$simulate" $seed)"
    [ "${PLANTED:-yes}" = no ] || same "seed $seed in two builds" "$first" "$(trace "${simulate}_planted" $seed)"
done
end

#!/bin/sh
# How long the simulator takes to find the bugs of src/base/planted.def: for each the seed that shows it,
# the processor's seconds until then, and what was seen. A bug is given up after 600 of them. The exit
# status is 1 when one was not found.
#
#     tests/sim/planted.sh [BUG]...    (in the build folder, or with $top_builddir and $srcdir)

set -u
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
source=$(cd "${srcdir:-.}" && pwd) || exit 99
seconds_max=${SECONDS_MAX:-600}
output=$(mktemp) || exit 99
trap 'rm -f "$output"' EXIT
missed=0

names=$(sed -n '/^PLANTED(ENGINE_/d; /^PLANTED(LINK_/d; /^PLANTED(MEMBER_/d; /^PLANTED(LANE_/d; /^PLANTED(RESUME_/d; s/^PLANTED(\([A-Z_]*\),.*/\1/p' "$source/src/base/planted.def")
[ $# -eq 0 ] || names=$*
printf '%-26s %8s %8s  %s\n' bug seed seconds found
for name in $names; do
    case $name in
    AGREE_*) where=--agree ;;
    *) where= ;;
    esac
    # shellcheck disable=SC2086 # nothing, or one word
    LEVERET_PLANTED=$name prlimit --cpu="$seconds_max" \
        "${SIMULATE:-$build/tests/sim/simulate_planted}" $where --seeds 1000000 --seconds "${SECONDS_EACH:-2}" \
        >"$output" 2>&1
    spent=$(sed -n 's/^# \([0-9.]*\) seconds of a processor$/\1/p' "$output")
    seed=$(sed -n 's/^not ok - seed \([0-9]*\): .*/\1/p' "$output")
    what=$(grep -E '^not ok|Assertion' "$output" | head -n 1 | cut -c 1-120)
    [ -n "$what" ] || missed=1
    printf '%-26s %8s %8s  %s\n' "$name" "${seed:--}" "${spent:--}" "${what:-not found in $seconds_max s}"
done
exit $missed

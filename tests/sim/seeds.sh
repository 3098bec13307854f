# What the tests of simulators do alike. Read by `.` from a folder below; then: simulator PROGRAM, what is to be
# checked, and end at the end. PLANTED=no: there are fewer seeds, and no planted bugs.

# shellcheck source=../lib/tap.sh
. "$(dirname "$0")/../../lib/tap.sh"

# The test is skipped when it was not built.
simulator() { # PROGRAM
    simulate=$(cd "${top_builddir:-.}" && pwd)/tests/sim/$1 || exit 99
    if [ ! -x "$simulate" ]; then
        echo "1..0 # SKIP built without libraft"
        exit 0
    fi
}

# How many seeds there are, as `seeds`.
seeds() { # MANY FEW
    seeds=$1
    [ "${PLANTED:-yes}" = yes ] || seeds=$2
}

# These seeds are good.
keeps() { # NAME OPTION...
    name=$1
    shift
    said=$("$simulate" "$@")
    ok $? "$name" "$said"
}

# One of these seeds shows the planted bug.
finds() { # BUG OPTION...
    bug=$1
    shift
    [ "${PLANTED:-yes}" != no ] || return 0
    said=$(LEVERET_PLANTED=$bug "${simulate}_planted" "$@")
    printf '%s\n' "$said" | grep -q '^not ok - seed'
    ok $? "$bug is found" "$said"
}

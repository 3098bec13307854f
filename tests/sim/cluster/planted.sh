#!/bin/sh
# How long the simulation of whole brokers takes to find planted bugs: for each the seed that shows it, the processor's
# seconds until then, and what was seen. A bug is given up after 600 of them. The exit status is 1 when one was not
# found.
#
#     tests/sim/cluster/planted.sh [BUG]...    (in the build folder, or with $top_builddir and $srcdir)

set -u
top_builddir=${top_builddir:-.}
export top_builddir
source=$(cd "${srcdir:-.}" && pwd) || exit 99
# The names are words on purpose.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- AGREE_DONE_EARLY AGREE_MARK_EARLY SAID_AGAIN_UNMARKED RESUMED_DELIVERED_EARLY SETTLED_EARLY \
    $(sed -n 's/^PLANTED(\(\(LANE\|RESUME\)_[A-Z_]*\),.*/\1/p' "$source/src/base/planted.def")
SIMULATE="$top_builddir/tests/sim/cluster/simulate_brokers_planted" SECONDS_EACH=20 \
    exec "$source/tests/sim/planted.sh" "$@"

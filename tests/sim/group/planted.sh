#!/bin/sh
# How long the simulation of members takes to find the bugs MEMBER_... of src/base/planted.def: for each the
# seed that shows it, the processor's seconds until then, and what was seen. A bug is given up after 600 of
# them. The exit status is 1 when one was not found.
#
#     tests/sim/group/planted.sh [BUG]...    (in the build folder, or with $top_builddir and $srcdir)

set -u
top_builddir=${top_builddir:-.}
export top_builddir
source=$(cd "${srcdir:-.}" && pwd) || exit 99
# The names are words on purpose.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(sed -n 's/^PLANTED(\(MEMBER_[A-Z_]*\),.*/\1/p' "$source/src/base/planted.def")
SIMULATE="$top_builddir/tests/sim/group/simulate_members_planted" SECONDS_EACH=20 \
    exec "$source/tests/sim/planted.sh" "$@"

#!/bin/sh
# What `make install` brings beside programs and pages: the unit, which starts the program where it is
# installed, its users and folders, and what moves the log. Speaks TAP.

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
build=${top_builddir:-.}
unset MAKEFLAGS MFLAGS MAKELEVEL
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# The value of a variable of the Makefile; the $ is for make to read.
value_of() {
    # shellcheck disable=SC2016
    printf 'include Makefile\nsay:; @echo $(%s)\n' "$1" | make -s -C "$build" -f - say
}

make -s -C "$build" install-data DESTDIR="$place" >"$place/log" 2>&1
ok $? "installs" "$(tail -n 1 "$place/log")"
programs=$(value_of sbindir)
units=$(value_of systemdsystemunitdir)
if [ "$units" = no ]; then
    ok 0 "the unit # SKIP it is not wanted"
else
    grep -qx "ExecStart=$programs/leveretd --data-dir /var/lib/leveret" "$place$units/leveret.service"
    ok $? "the unit starts the program where it is installed"
    grep -q '^u leveret ' "$place$(value_of prefix)/lib/sysusers.d/leveret.conf"
    ok $? "its user is told"
    grep -qx 'm leveret leveret-admin' "$place$(value_of prefix)/lib/sysusers.d/leveret.conf"
    ok $? "who may give the control socket to those who may use it"
    grep -q '^d /var/lib/leveret 0700 leveret leveret' "$place$(value_of prefix)/lib/tmpfiles.d/leveret.conf"
    ok $? "and its folders"
fi
grep -q "[[:space:]]$programs/leveretctl rotate_logs" "$place$(value_of sysconfdir)/logrotate.d/leveret"
ok $? "so is how its log is moved"

end

#!/bin/sh
# The manual pages are valid mdoc, to the letter: mandoc's lint has nothing to warn of; and the table
# of events in leveretd(8) is that of log.def, of which each is used; and each option of the programs has
# its paragraph, and each that the pages speak of is there. Speaks TAP.
#
#     tests/man.sh [--events]
#
# --events: print the lines that belong into the page's table, and do nothing else.

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
top=${srcdir:-.}

# The rows of log.def, as the page has them.
events_of_table() {
    awk '
    /^EVENT\(/ { row = "" }
    { row = row $0 }
    /^EVENT\(/ || in_row {
        in_row = row !~ /"\)$/
        if (in_row)
            next
        split(row, part, /[(,] */)
        text = row
        sub(/^[^"]*"/, "", text)
        sub(/"\)$/, "", text)
        gsub(/" *"/, "", text)
        gsub(/[.] /, "&\n", text)
        gsub(/ \n/, "\n", text)
        printf ".It Sy %s Pq %s\n%s\n", part[2], tolower(part[3]), text
        row = ""
    }' "$top/src/base/log.def"
}

events_of_page() {
    awk '
    /^\.Sh / { in_section = $2 == "EVENTS" }
    in_section && /^\.El/ { in_list = 0 }
    in_section && in_list
    in_section && /^\.Bl/ { in_list = 1 }' "$top/man/leveretd.8"
}

if [ "${1:-}" = --events ]; then
    events_of_table
    exit 0
fi

table=$(events_of_table)
page=$(events_of_page)
if [ -n "$table" ] && [ "$table" = "$page" ]; then
    ok 0 "leveretd.8 has the events of log.def"
else
    ok 1 "leveretd.8 has the events of log.def" "the page's table should be:
$table"
fi

unused=
for event in $(printf '%s\n' "$table" | sed -n 's/^\.It Sy \([a-z0-9_]*\) .*/\1/p'); do
    grep -rqw --include='*.c' "EVENT_$event" "$top/src" || unused="$unused $event"
done
[ -n "$table" ] && [ -z "$unused" ]
ok $? "each event is logged somewhere" "$unused"

# Names of options, sorted.
options_of_program() { # PROGRAM
    "${top_builddir:-.}/$1" --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p' | LC_ALL=C sort -u
}

# "name" stands for any option on the pages.
options_of_page() { # PAGE MACROS: of the lines that begin with one of these
    grep -E "^\.($2) " "$top/man/$1" | grep -oE 'Fl -[a-z][a-z0-9-]*' | sed 's/^Fl -//' |
        grep -vx name | LC_ALL=C sort -u
}

only_in_first() { # LIST LIST
    printf '%s\n' "$1" | while read -r name; do
        printf '%s\n' "$2" | grep -qxe "$name" || printf ' --%s' "$name"
    done
}

for page in leveretd.8 leveretperf.1; do
    has=$(options_of_program "${page%.*}")
    missing=$(only_in_first "$has" "$(options_of_page "$page" It)")
    [ -n "$has" ] && [ -z "$missing" ]
    ok $? "$page has a paragraph for each option" "$missing"
    unknown=$(only_in_first "$(options_of_page "$page" '[A-Z][a-z]')" "$has")
    [ -n "$has" ] && [ -z "$unknown" ]
    ok $? "$page speaks of no option that is not there" "$unknown"
done

if command -v mandoc >/dev/null; then
    for file in "$top"/man/*.[1-8]; do
        said=$(mandoc -T lint -W warning "$file" 2>&1)
        ok $? "${file##*/}" "$said"
    done
else
    ok 0 "valid mdoc # SKIP mandoc is not installed"
fi

end

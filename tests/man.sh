#!/bin/sh
# The manual pages are valid mdoc, to the letter: mandoc's lint has nothing to warn of; and the table
# of events in leveretd(8) is that of log.def, of which each is used; the keys of leveret.conf(5) are those of
# leveretd; the paths of leveret-api(7) are those of routes.def; and each option of the programs has
# its paragraph, and each that the pages speak of is there. Speaks TAP.
#
#     tests/man.sh [--events | --keys]
#
# --events, --keys: print the lines that belong into the page's table, and do nothing else.

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
        category = part[3] == "DEFAULT" ? "" : tolower(part[3]) " , "
        printf ".It Sy %s Pq %s%s\n%s\n", part[2], category, tolower(part[4]), text
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

# The keys of the daemon's table with one of these effects, as leveret.conf(5) has them.
keys_of_table() { # EFFECTS
    "${top_builddir:-.}/leveretd" --list-keys | awk -F '\t' -v effects=" $1 " '
    index(effects, " " $5 " ") == 0 { next }
    {
        note = $5 == "live" ? " Pq Sy live" : ""
        printf ".It Ic %s%s\n", $1, note
        if ($8 == "")
            next
        text = $8
        gsub(/[.] /, "&\n", text)
        gsub(/ \n/, "\n", text)
        print text
        printf "Value: %s%s.\n", $3, $4 == "" ? "" : "; default: " $4
        if ($2 != "")
            printf "The same as\n.Ic %s .\n", $2
        if ($6 != "")
            printf "The same as the option\n.Fl -%s .\n", $6
        if ($7 != "")
            printf "The same as the variable\n.Ev %s .\n", $7
    }'
}

# Those of the page: the list in the section of that name.
keys_of_page() { # SECTION
    awk -v section="$1" '
    /^\.Sh / { in_section = substr($0, 5) == section }
    in_section && /^\.El/ { in_list = 0 }
    in_section && in_list
    in_section && /^\.Bl/ { in_list = 1 }' "$top/man/leveret.conf.5"
}

if [ "${1:-}" = --keys ]; then
    echo "KEYS"
    keys_of_table "live start"
    echo "KEYS OF THINGS THAT ARE NOT THERE YET"
    keys_of_table later
    echo "KEYS WITHOUT A MEANING"
    keys_of_table foreign
    exit 0
fi

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

# Does the section of leveret.conf(5) have the keys with these effects?
same_keys() { # SECTION EFFECTS
    wanted=$(keys_of_table "$2")
    if [ -n "$wanted" ] && [ "$wanted" = "$(keys_of_page "$1")" ]; then
        ok 0 "leveret.conf.5 has what leveretd --list-keys says: $1"
    else
        ok 1 "leveret.conf.5 has what leveretd --list-keys says: $1" "the page's list should be:
$wanted"
    fi
}

same_keys "KEYS" "live start"
same_keys "KEYS OF THINGS THAT ARE NOT THERE YET" later
same_keys "KEYS WITHOUT A MEANING" foreign

unused=
for event in $(printf '%s\n' "$table" | sed -n 's/^\.It Sy \([a-z0-9_]*\) .*/\1/p'); do
    grep -rqw --include='*.c' "EVENT_$event" "$top/src" || unused="$unused $event"
done
[ -n "$table" ] && [ -z "$unused" ]
ok $? "each event is logged somewhere" "$unused"

# The paths of routes.def with their methods, as leveret-api(7) has them.
paths_of_table() {
    tr '\n' ' ' <"$top/src/api/routes.def" | sed 's/[A-Z_]*ROUTE(/\n&/g' | awk -F '[(),]+ *' '
    /^[A-Z_]*ROUTE/ {
        gsub(/"/, "", $2)
        methods = ""
        split("GET PUT POST DELETE", name, " ")
        for (i = 1; i <= 4; i++)
            if ($(4 + i) != "NULL")
                methods = methods (methods == "" ? "" : ", ") name[i]
        if ($2 ~ /^\//)
            printf ".It Pa /api%s Pq %s\n", $2, methods
    }'
}

paths=$(paths_of_table)
page=$(grep '^\.It Pa /api' "$top/man/leveret-api.7")
if [ -n "$paths" ] && [ "$paths" = "$page" ]; then
    ok 0 "leveret-api.7 has the paths of routes.def"
else
    ok 1 "leveret-api.7 has the paths of routes.def" "the page's list should have:
$paths"
fi

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

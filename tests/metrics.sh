#!/bin/sh
# leveret-metrics(7) has the metrics of src/metrics/metrics.def, all of them in their order, with their kinds,
# their families and their texts; no two have the same name, and a name says what kind it is of. Speaks TAP.
#
#     tests/metrics.sh [--print]
#
# --print: print the lines that belong into the page's list, and do nothing else.

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
top=${srcdir:-.}

metrics_of_table() {
    awk '
    /^(METRIC|OBJECT|TOTAL)\(/ { row = "" }
    { row = row " " $0 }
    /^$/ { row = "" }
    row ~ /"/ && row ~ /"[^"]*", *[^ ]/ && match(row, /(GAUGE|COUNTER|UNTYPED|HISTOGRAM), +[a-z0-9_]+, +"/) {
        split(substr(row, RSTART, RLENGTH), part, /, +/)
        before = substr(row, 1, RSTART - 1)
        families = ""
        while (match(before, /FAMILY\([a-z_]+\)/)) {
            families = families " , " substr(before, RSTART + 7, RLENGTH - 8)
            before = substr(before, RSTART + RLENGTH)
        }
        text = row
        sub(/^[^"]*"/, "", text)
        gsub(/" +"/, "", text)
        sub(/".*/, "", text)
        sub(/[.]$/, "", text)
        gsub(/[.] /, ".\n", text)
        printf ".It Ic %s Pq %s%s\n%s.\n", part[2], tolower(part[1]), families, text
        row = ""
    }' "$top/src/metrics/metrics.def"
}

metrics_of_page() {
    awk '
    /^\.Sh / { in_section = $2 == "METRICS" }
    in_section && /^\.El/ { in_list = 0 }
    in_section && in_list
    in_section && /^\.Bl/ { in_list = 1 }' "$top/man/leveret-metrics.7"
}

if [ "${1:-}" = --print ]; then
    metrics_of_table
    exit 0
fi

table=$(metrics_of_table)
rows=$(grep -cE '^(METRIC|OBJECT|TOTAL)\(' "$top/src/metrics/metrics.def")
[ "$rows" -gt 0 ] && [ "$(printf '%s\n' "$table" | grep -c '^\.It Ic ')" = "$rows" ]
ok $? "each row of metrics.def was read: $rows"

page=$(metrics_of_page)
[ -n "$table" ] && [ "$table" = "$page" ]
ok $? "leveret-metrics.7 has the metrics of metrics.def" "$(printf '%s\n' "$table" >"${TMPDIR:-/tmp}/metrics.$$"
printf '%s\n' "$page" | diff "${TMPDIR:-/tmp}/metrics.$$" - | head -20
rm -f "${TMPDIR:-/tmp}/metrics.$$")"

names=$(printf '%s\n' "$table" | sed -n 's/^\.It Ic \([a-z0-9_]*\) .*/\1/p')
[ -z "$(printf '%s\n' "$names" | sort | uniq -d)" ]
ok $? "no name is there twice" "$(printf '%s\n' "$names" | sort | uniq -d)"

strange=$(printf '%s\n' "$names" | grep -vE '^(rabbitmq|leveret|process)_')
[ -z "$strange" ]
ok $? "names begin with rabbitmq_, leveret_ or process_" "$strange"

# What rises is called _total, and nothing else is.
wrong=$(printf '%s\n' "$table" | sed -n 's/^\.It Ic \([a-z0-9_]*\) Pq \([a-z]*\).*/\1 \2/p' | awk '
    ($1 ~ /_total$/) != ($2 == "counter")')
[ -z "$wrong" ]
ok $? "counters are called _total" "$wrong"

end

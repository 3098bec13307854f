#!/bin/sh
# Proves the campaigns: each store_campaign_N is built with one promise of the store broken, and must find
# that out within a few runs; the sound one must find nothing. Speaks TAP.

set -u
programs=${top_builddir:-.}/tests/fault
runs=30

# What is broken in the build of a number (enum planted, src/store/record.h).
broken() { # NUMBER
    case $1 in
    1) echo "a batch counts as durable without a sync" ;;
    2) echo "checksums are not verified" ;;
    3) echo "a checkpoint does not wait for the journal" ;;
    4) echo "a segment goes one checkpoint early" ;;
    5) echo "the name of a new segment is not synced" ;;
    6) echo "a delivery does not wait for its mark" ;;
    esac
}

count=0
failed=0

ok() { # STATUS NAME
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        failed=1
    fi
}

result=$("$programs/store_campaign" --runs 6 2>&1)
ok $? "the sound store: $(echo "$result" | tail -n 1)"

for planted in 1 2 3 4 5 6; do
    # An assertion of the store that stops the broken build counts: it was found.
    if result=$("$programs/store_campaign_$planted" --runs $runs 2>&1); then
        false
    else
        echo "$result" | grep -Eq '^not ok - seed|Assertion'
    fi
    ok $? "found: $(broken $planted)"
    echo "$result" | tail -n 1 | cut -c 1-200 | sed 's/^/# /'
done

echo "1..$count"
exit $failed

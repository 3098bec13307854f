# What a test in shell says. Read by `.`, then: ok STATUS NAME [WHY] for each check, and end at the end.

count=0
failed=0

# Good when the status is 0. WHY is for the reader, in either case.
ok() { # STATUS NAME [WHY]
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        failed=1
    fi
    if [ -n "${3:-}" ]; then
        printf '%s\n' "$3" | sed 's/^/# /'
    fi
}

end() {
    echo "1..$count"
    exit $failed
}

# What the tests of the packages share: `start` starts the installed broker on a port of its own, `port`, in
# the folder `work`, and it ends with the test.
broker=
trap '[ -z "$broker" ] || kill "$broker"' EXIT

export LEVERET_URI="unix:$work/ctl.sock"

start() {
    leveretd --data-dir "$work/data" --listen 127.0.0.1:0 --management none --metrics none \
        --control-socket "$work/ctl.sock" 2>"$work/log" &
    broker=$!
    left=200
    until grep -q 'Server startup complete' "$work/log"; do
        left=$((left - 1))
        if [ $left -eq 0 ] || ! kill -0 "$broker"; then
            cat "$work/log" >&2
            exit 1
        fi
        sleep 0.1
    done
    # Read by whoever includes this.
    # shellcheck disable=SC2034
    port=$(sed -n 's/.*listening.*address="*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/log" | head -n 1)
}

#!/bin/sh
# scripts/check ends what takes too long, and says which limit did it, and of which test. Speaks TAP.
# It runs here over a tree with a test that never ends, and time is up when that has begun.

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
top=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/scripts" "$work/bin" || exit 99
cp "$top/scripts/check" "$work/scripts/check"
cat >"$work/scripts/build" <<'END'
#!/bin/sh
mkdir -p "$1/tests"
printf 'check:\n\t@: >tests/endless.log; : >tests/done.log\n' >"$1/Makefile"
printf '\t@echo ":test-result: PASS done" >tests/done.trs; : >begun; exec sleep 600\n' >>"$1/Makefile"
END
cat >"$work/bin/timeout" <<'END'
#!/bin/sh
shift 3
"$@" &
waited=0
while [ ! -f "$LEVERET_BUILD/plain/begun" ] && [ $waited -lt 2000 ]; do
    sleep 0.05
    waited=$((waited + 1))
done
kill $!
wait $!
exit 124
END
chmod +x "$work/scripts/build" "$work/bin/timeout"

# make's variables are those of the make that runs this, and the others those of a step that does.
said=$(unset MAKEFLAGS MFLAGS MAKELEVEL PLANTED SHARE
    PATH="$work/bin:$PATH" STEP_SECONDS=2 LEVERET_BUILD="$work/build" \
        sh "$work/scripts/check" plain 2>&1)
status=$?

holds() { # TEXT NAME
    case $said in
    *"$1"*) ok 0 "$2" ;;
    *) ok 1 "$2" "$said" ;;
    esac
}

holds ' took more than 2 s, and was ended; STEP_SECONDS=N allows more' 'the limit is named'
holds 'ERROR plain/tests/endless.log was not done then' 'and the test that was not done'
holds '1 passed, 2 failed' 'what was done counts'
[ $status -ne 0 ]
ok $? 'it has failed'
end

#!/bin/sh
# Who may include whom. A folder of src/ includes only itself and the folders before it in `order`;
# the programs' main files and folders have their own lists. A library's header may be included only
# by the files that hide that library, nobody above src/queue takes messages from the store, and the
# journal in it knows no index. Speaks TAP; before it judges the tree it shows, on small broken trees of
# its own, that it would notice.
#
#     tests/layers.sh [SRC-FOLDER]

set -u
# shellcheck source=lib/tap.sh
. "$(dirname "$0")/lib/tap.sh"
src=${1:-${srcdir:-.}/src}

# Prints file:line and a reason for each include that is not allowed in the folder given.
offences() {
    (cd "$1" && find . -name '*.[ch]' -o -name '*.def') | LC_ALL=C sort | while read -r file; do
        awk -v file="${file#./}" '
        function fail(why) { printf "%s:%d: %s\n", file, FNR, why }

        function library(pattern, allowed) {
            if (header ~ pattern && file !~ allowed)
                fail(header " is for " allowed " only")
        }

        BEGIN {
            count = split("base amqp store queue broker peer cluster definitions http session net api metrics", order, " ")
            for (i = 1; i <= count; i++)
                rank[order[i]] = i
            # These see only what is named here: a socket and what it needs know no protocol, and some
            # stand beside the layers.
            extra["peer"] = "base store"
            extra["http"] = "base peer"
            extra["net"] = "base store peer"
            extra["ctl"] = "base amqp definitions"
            extra["config"] = "base"
            extra["perf"] = "base amqp"
            folder = file
            if (!sub("/.*", "", folder))
                folder = ""
            if (folder != "" && !(folder in rank) && !(folder in extra))
                printf "%s:1: src/%s has no place among the layers\n", file, folder
        }

        /index_(take|settle|return|redeliver|fetch|purge)[ \t]*\(/ && rank[folder] > rank["queue"] {
            fail("what a queue keeps its messages in is for src/queue to know")
        }

        /^[ \t]*#[ \t]*include[ \t]*["<]/ {
            header = $0
            sub(/^[^"<]*["<]/, "", header)
            sub(/[">].*/, "", header)

            library("^ev(\\+\\+)?\\.h$", "^(net/[^/]*|leveretd\\.c)$")
            if (header ~ /^store\/(internal|index|chunk|kv)\.h$/ &&
                file ~ /^store\/(journal|batch|segment|space|record|message|files|identity|disk)[_a-z]*\./)
                fail("the journal knows no " header)
            library("^leveldb/", "^store/kv_leveldb\\.c$")
            library("^pcre2", "^broker/pattern\\.c$")
            library("^raft\\.h$", "^cluster/engine_raft\\.c$")
            if (header ~ /^cluster\/engine_core\.h$/ && file !~ /^cluster\/engine(_raft)?\.c$/)
                fail("the core is behind the engine")
            library("^jansson", "^definitions/json\\.c$")
            library("^zlib", "^http/gzip\\.c$")
            library("^openssl/", "^((base/sha256|ctl/secure|net/tls(_peer)?|perf/tls)\\.c|net/tls_library\\.h)$")

            if (folder == "ctl" && header ~ "^definitions/" && header !~ "^definitions/json(_writer|_scan)?[.]h$")
                fail("of definitions, src/ctl sees JSON alone")

            quoted = $0 ~ /^[^<]*"/
            other = header
            placed = sub("/.*", "", other)
            if (folder == "" || (!quoted && !(other in rank)))
                next
            if (!placed)
                fail("\"" header "\" does not begin with its folder")
            else if (folder in extra) {
                if (other != folder && index(" " extra[folder] " ", " " other " ") == 0)
                    fail("src/" folder " must not include " header)
            } else if (!(other in rank))
                fail("\"" header "\" is in no layer")
            else if (rank[other] > rank[folder])
                fail("src/" folder " is below src/" other ": it must not include " header)
        }' "$1/$file"
    done
}

# One file with one line of source in a tree of its own: judged as it should be?
judged() { # allowed|refused FILE LINE
    rm -rf "$work/src"
    mkdir -p "$work/src/$(dirname "$2")"
    printf '/* a file */\n%s\n' "$3" >"$work/src/$2"
    found=$(offences "$work/src")
    case $1:$found in
    allowed: | "refused:$2:2: "*) ok 0 "$1: $3 in $2" ;;
    *)
        ok 1 "$1: $3 in $2"
        echo "# found: $found"
        ;;
    esac
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

judged allowed broker/queue.c '#include "base/list.h"'
judged allowed broker/queue.c '#include "broker/queue.h"'
judged allowed broker/queue.c '#include <stdio.h>'
judged refused broker/queue.c '#include "session/channel.h"'
judged refused base/list.h '#  include  "amqp/frame.h"'
judged refused base/list.h '#include <net/loop.h>'
judged allowed session/server.h '#include "peer/service.h"'
judged refused session/server.c '#include "net/loop.h"'
judged allowed net/loop.h '#include "peer/service.h"'
judged refused net/loop.h '#include "session/server.h"'
judged refused net/socket.c '#include "amqp/frame.h"'
judged refused net/loop.c '#include <broker/broker.h>'
judged refused peer/service.h '#include "session/server.h"'
judged allowed cluster/link.h '#include "peer/service.h"'
judged refused peer/service.h '#include "cluster/link.h"'
judged refused net/dial.c '#include "cluster/link.h"'
judged refused peer/output.c '#include "amqp/frame.h"'
judged allowed http/http.h '#include "peer/service.h"'
judged refused http/client.c '#include "broker/queue.h"'
judged allowed metrics/rows.c '#include "session/look.h"'
judged refused api/node.c '#include "metrics/metrics.h"'
judged refused http/server.c '#include "net/loop.h"'
judged refused peer/output.c '#include "http/http.h"'
judged refused base/list.h '#include "list.h"'
judged refused base/list.h '#include "../net/loop.h"'
judged refused store/store.c '#include "cellar/wine.h"'
judged allowed ctl/rows.c '#include "definitions/json.h"'
judged refused ctl/rows.c '#include "definitions/import.h"'
judged refused ctl/rows.c '#include "broker/queue.h"'
judged refused perf/main.c '#include "broker/queue.h"'
judged allowed perf/main.c '#include "amqp/frame.h"'
judged allowed leveretd.c '#include "net/loop.h"'
judged allowed leveretd.c '#include <ev.h>'
judged allowed net/loop.c '#include <ev.h>'
judged refused session/tick.c '#include <ev.h>'
judged refused session/ack.c 'index_settle(queue->state, 7);'
judged refused session/ack.c 'index_redeliver(queue->state, 7);'
judged refused broker/dead.c 'if (index_fetch (index, 7, &message))'
judged allowed queue/queue_classic.c 'index_settle(queue->state, 7);'
judged allowed session/ack.c 'queue_settle(queue, 7);'
judged allowed store/kv_leveldb.c '#include <leveldb/c.h>'
judged refused store/index.c '#include <leveldb/c.h>'
judged refused store/batch.c '#include "store/internal.h"'
judged refused store/journal.h '#include "store/index.h"'
judged allowed store/segment.c '#include "store/journal.h"'
judged allowed definitions/json.c '#include <jansson.h>'
judged refused definitions/import.c '#include <jansson.h>'
judged refused broker/vhost.c '#include "definitions/definitions.h"'
judged allowed http/gzip.c '#include <zlib.h>'
judged refused http/client.c '#include <zlib.h>'
judged allowed net/tls.c '#include <openssl/ssl.h>'
judged allowed net/tls_library.h '#include <openssl/ssl.h>'
judged allowed perf/tls.c '#include <openssl/ssl.h>'
judged allowed ctl/secure.c '#include <openssl/ssl.h>'
judged refused net/socket.c '#include <openssl/ssl.h>'

found=$(offences "$src")
if [ -n "$found" ]; then
    printf '%s\n' "$found" | sed "s|^|# $src/|"
fi
[ -z "$found" ] && find "$src" -name '*.c' | grep -q .
ok $? "every include of the tree points downwards"

end

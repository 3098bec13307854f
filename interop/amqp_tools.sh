#!/bin/sh
# rabbitmq-c's command-line programs against a broker: amqp_tools.sh HOST PORT.  Output is TAP.

host=$1 port=$2
number=0 failed=0
queue=amqp-tools.$$

result() {
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        failed=$((failed + 1))
        echo "not ok $number - $2"
    fi
}

# check WHAT EXPECTED GOT
check() {
    [ "$2" = "$3" ]
    result $? "$1"
    [ "$2" = "$3" ] || printf '# expected: %s\n# got: %s\n' "$2" "$3"
}

run() {
    program=$1
    shift
    timeout 20 "$program" -s "$host" --port="$port" "$@"
}

check "declare a durable queue" "$queue" "$(run amqp-declare-queue -d -q "$queue" 2>&1)"
check "declare it again" "$queue" "$(run amqp-declare-queue -d -q "$queue" 2>&1)"

run amqp-publish -r "$queue" -p -b "hello" 2>&1
result $? "publish a persistent message"
check "get it" "hello" "$(run amqp-get -q "$queue" 2>&1)"
run amqp-get -q "$queue" >/dev/null 2>&1
check "get from an empty queue" 2 $?

printf 'one\ntwo\nthree\n' | run amqp-publish -r "$queue" -l 2>&1
result $? "publish three lines"
check "consume three messages" "one
two
three" "$(run amqp-consume -q "$queue" -c 3 cat 2>&1)"
run amqp-get -q "$queue" >/dev/null 2>&1
check "they were acked" 2 $?

head -c 1048576 /dev/urandom >"/tmp/$queue"
run amqp-publish -r "$queue" -C application/octet-stream <"/tmp/$queue" 2>&1
result $? "publish 1 MiB from standard input"
run amqp-get -q "$queue" 2>/dev/null | cmp -s - "/tmp/$queue"
result $? "get the same 1 MiB"
rm -f "/tmp/$queue"

(run amqp-consume -e amq.topic -r "tools.$$.#" -c 2 cat >"/tmp/$queue.out" 2>/dev/null) &
consumer=$!
sleep 0.7
run amqp-publish -e amq.topic -r "tools.$$.a" -b "first " 2>&1
run amqp-publish -e amq.topic -r "tools.$$.b.c" -b "second" 2>&1
wait "$consumer"
check "consume through a queue of its own bound to amq.topic" "first second" \
    "$(cat "/tmp/$queue.out")"
rm -f "/tmp/$queue.out"

run amqp-publish -r "$queue" -b x 2>&1
run amqp-publish -r "$queue" -b y 2>&1
sleep 0.1
check "delete tells how many messages were there" 2 "$(run amqp-delete-queue -q "$queue" 2>&1)"
said=$(run amqp-get -q "$queue" 2>&1)
case $said in
*404*"NOT_FOUND - no queue '$queue' in vhost '/'"*) result 0 "get from a missing queue" ;;
*) result 1 "get from a missing queue"; echo "# $said" ;;
esac
said=$(run amqp-publish -e "amqp-tools.no.$$" -r k -b x 2>&1)
case $said in
*"no exchange 'amqp-tools.no.$$'"* | "") result 0 "publish to a missing exchange" ;;
*) result 1 "publish to a missing exchange"; echo "# $said" ;;
esac
said=$(run amqp-get --username=guest --password=wrong -q "$queue" 2>&1)
case $said in
*403* | *ACCESS_REFUSED* | *socket* | *onnection*) result 0 "a wrong password is refused" ;;
*) result 1 "a wrong password is refused"; echo "# $said" ;;
esac

echo "1..$number"
[ "$failed" -eq 0 ]

#!/usr/bin/python3
"""leveretctl and messages: a look at them, moving them, and why none come; what asks before it does something.

Each case starts a broker of its own. Output is TAP.
"""

import json
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from program import Broker  # noqa: E402
from wire import case, check, equal, main  # noqa: E402


def lengths(b):
    """Messages of all queues."""
    return {queue["name"]: queue["messages"] for queue in json.loads(b.ctl("list_queues", "-o", "json")[1])}


def client(t, b):
    c = b.daemon.client(t)
    c.channel()
    return c


def dead_letters(t, b, *bodies):
    """In queue "dead", of queue "work"; their connection."""
    c = client(t, b)
    c.call(1, "queue.declare", queue="dead", durable=True)
    c.call(1, "queue.declare", queue="work", durable=True,
           arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    for body in bodies:
        c.publish(1, "work", body, delivery_mode=2)
    for _ in bodies:
        c.send(1, "basic.reject", delivery_tag=c.get("work", no_ack=False).delivery_tag, requeue=False)
    c.call(1, "queue.declare", queue="dead", passive=True)
    return c


# ---- peek ----

@case("a look shows messages and leaves them")
def _(t):
    b = Broker(t)
    c = client(t, b)
    c.call(1, "queue.declare", queue="q", durable=True)
    c.publish(1, "q", b"first\nof two lines", content_type="text/plain", headers={"n": 1, "s": "a"})
    c.publish(1, "q", bytes(range(20)))
    c.publish(1, "q", b"\x1b[2Jcleared")
    c.call(1, "queue.declare", queue="q", passive=True)
    code, out, err = b.ctl("peek", "q")
    equal((code, err), (0, ""), "code")
    first, second, third = out.split("\n\nposition ")[0], *out.split("\nposition ")[1:]
    lines = first.split("\n")
    check(lines[0].startswith("position ") and
          lines[0].endswith(': ready, exchange "", key "q", 18 bytes'), lines[0])
    equal(sorted(lines[1:4]), ["  content_type: text/plain", "  header n: 1", "  header s: a"], "properties")
    equal(lines[4:], ["", "first", "of two lines"], "body")
    check("  00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n"
          "  00000010  10 11 12 13                                       |....|\n" in second, second)
    check("\x1b" not in third and "[2Jcleared|" in third, third)
    equal(lengths(b), {"q": 3}, "they are there")
    got = json.loads(b.ctl("peek", "q", "-o", "json")[1])
    equal([m["payload_encoding"] for m in got], ["string", "string", "string"], "as JSON")
    equal(got[0]["properties"]["headers"], {"n": 1, "s": "a"}, "headers")
    equal(len(b.ctl("peek", "q", "-o", "jsonl")[1].split("\n")), 4, "lines of JSON")
    equal(b.ctl("peek", "q", "-o", "csv")[0], 64, "a format that it has not")


@case("a look at some of them")
def _(t):
    b = Broker(t)
    b.queues(q=30, empty=0)

    def positions(*words):
        return [m["position"] for m in json.loads(b.ctl("peek", "q", "-o", "json", *words)[1])]
    everything = positions("--count", "1000")
    equal(len(everything), 30, "all")
    equal(positions(), everything[:10], "ten")
    equal(positions("--from", str(everything[5]), "--count", "2"), everything[5:7], "from one on")
    equal(positions("--filter", "key:none"), [], "a filter")
    equal(positions("--filter", "key:q", "--count", "2"), everything[:2], "another one")
    check("(cut; --truncate says where)" in b.ctl("peek", "q", "--truncate", "0")[1], "cut")
    equal(b.ctl("peek", "empty"), (0, "", ""), "an empty queue")
    equal(b.ctl("peek", "empty", "-o", "json"), (0, "[]\n", ""), "as JSON")
    for words in (("peek", "q"), ("move", "q", "r", "--yes"), ("requeue", "q", "--yes")):
        code, out, err = b.ctl(*words, "--filter", "bogus:x")
        check(code != 0 and out == "" and "there is no filter 'bogus:'; it is key:TEXT, header:NAME, "
              "header:NAME=VALUE or text:TEXT" in err, (words, code, out, err))
    equal(b.ctl("peek", "q", "--filter", "key:none"),
          (0, "", "leveretctl: no message passes the filter 'key:none'\n"), "none that passes")
    equal(b.ctl("peek", "none", "-p", "/"), (65, "", "leveretctl: there is no queue 'none' in virtual host '/'\n"),
          "no queue")
    equal(b.ctl("peek", "none"), (65, "", "leveretctl: there is no queue 'none' in virtual host '/'; "
                                  "-p names another virtual host\n"), "no queue where nothing else was said")
    equal(b.ctl("peek", "q", "--count", "x")[0], 64, "no number")


@case("explain says why nothing comes")
def _(t):
    b = Broker(t)
    b.queues(q=2)
    code, out, err = b.ctl("explain", "q")
    equal((code, err), (0, ""), "code")
    check(out.startswith("'q': 2 messages ready, 0 unacknowledged, 0 delayed; 0 consumers\n"), out)
    check("\n  no_consumer " in out, out)
    check("\nNothing hinders publishers.\n" in out, out)
    equal([reason["code"] for reason in json.loads(b.ctl("explain", "q", "-o", "json")[1])["delivery"]],
          ["no_consumer"], "as JSON")
    equal(b.ctl("explain", "none")[0], 65, "no queue")
    c = client(t, b)
    c.call(1, "basic.qos", prefetch_count=1)
    c.call(1, "basic.consume", queue="q", consumer_tag="slow")
    out = b.ctl("explain", "q")[1]
    check(re.search(r"\n  prefetch +consumer slow has 1 unacknowledged messages, and its prefetch is 1\n"
                    r" +of user guest, channel 1 of connection 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+\n", out), out)


# ---- move ----

@case("messages are moved to another queue")
def _(t):
    b = Broker(t)
    b.queues(a=30, b=0)
    equal(b.ctl("move", "a", "b", "--count", "10"), (0, "10 messages were moved\n", ""), "some")
    equal(lengths(b), {"a": 20, "b": 10}, "queues")
    equal(b.ctl("move", "a", "b", "--dry-run"), (0, "20 messages would be moved\n", ""), "a trial")
    equal(lengths(b), {"a": 20, "b": 10}, "nothing has changed")
    equal(b.ctl("move", "a", "b", "-o", "json"), (0, '{"moved":20,"stayed":[]}\n', ""), "all, as JSON")
    equal(lengths(b), {"a": 0, "b": 30}, "queues")
    equal(b.ctl("move", "a", "b"), (0, "0 messages were moved\n", ""), "nothing is there")
    equal(b.ctl("move", "b", "--exchange", "amq.default", "--routing-key", "a", "--filter", "text:x"),
          (0, "30 messages were moved\n", ""), "by an exchange")
    code, out, err = b.ctl("move", "a", "--exchange", "amq.fanout")
    equal((code, out), (65, "0 messages were moved\n"), "nobody is bound")
    equal(err, "leveretctl: 30 messages stay: there is no queue where it would go\n", "why")


@case("a queue that is full stops it")
def _(t):
    b = Broker(t)
    b.queues(a=30)
    client(t, b).call(1, "queue.declare", queue="full", arguments={"x-max-length": 7})
    code, out, err = b.ctl("move", "a", "full")
    equal((code, out), (69, "7 messages were moved\n"), "what was moved")
    check(err.startswith("leveretctl: stopped after 7 messages: ") and
          "queue 'full', where the next message would go, is as long as it may be" in err, err)
    check("--filter takes those of other queues" in err, err)
    equal(lengths(b), {"a": 23, "full": 7}, "queues")


@case("what makes no sense is refused")
def _(t):
    b = Broker(t)
    b.queues(a=1, b=0)
    for words in (("a",), ("a", "b", "--exchange", "amq.fanout"), ("a", "b", "--routing-key", "k"),
                  ("a", "b", "--count", "0"), ("a", "b", "--count", "x"), ("a", "b", "c")):
        equal(b.ctl("move", *words)[0], 64, "code for %r" % (words,))
    equal(b.ctl("move", "none", "b"),
          (65, "", "leveretctl: there is no queue 'none' in virtual host '/'; -p names another virtual host\n"),
          "no queue")
    equal(b.ctl("move", "a", "none"), (69, "", "leveretctl: no queue 'none' in vhost '/'\n"), "nor there")


@case("dead letters go back")
def _(t):
    b = Broker(t)
    c = dead_letters(t, b, b"1", b"2")
    c.publish(1, "dead", b"never died")
    c.call(1, "queue.declare", queue="dead", passive=True)
    said = "leveretctl: 1 messages stay: no dead letter: x-death does not say where it died\n"
    equal(b.ctl("requeue", "dead", "--dry-run"), (65, "2 messages would be moved\n", said), "a trial")
    equal(lengths(b), {"dead": 3, "work": 0}, "nothing has changed")
    equal(b.ctl("requeue", "dead"), (65, "2 messages were moved\n", said), "all")
    equal(lengths(b), {"dead": 1, "work": 2}, "queues")
    equal([m["properties"] for m in json.loads(b.ctl("peek", "work", "-o", "json")[1])],
          [{"delivery_mode": 2}] * 2, "as they were")


# ---- who sits at a terminal is asked ----

@case("moving asks at a terminal, and says how many it would move")
def _(t):
    b = Broker(t)
    dead_letters(t, b, b"1", b"2")
    b.queues(a=3, b=0)
    equal(b.asked("n", "move", "a", "b"), (0, "", "Move 3 messages of 'a' to 'b'? [y/N] "), "no")
    equal(b.asked("n", "move", "a", "b", "--count", "2")[2], "Move 2 messages of 'a' to 'b'? [y/N] ", "two")
    equal(b.asked("n", "requeue", "dead")[2],
          "Move 2 messages of 'dead' back to where they died? [y/N] ", "back")
    equal(b.asked("n", "move", "a", "--exchange", "amq.fanout")[2],
          "Move 0 messages of 'a' to exchange 'amq.fanout'? 3 more have to stay. [y/N] ", "nowhere")
    equal(lengths(b), {"a": 3, "b": 0, "dead": 2, "work": 0}, "nothing was moved")
    equal(b.asked("y", "move", "a", "b")[:2], (0, "3 messages were moved\n"), "yes")
    equal(b.asked("n", "requeue", "dead", "--yes")[:2], (0, "2 messages were moved\n"), "--yes")
    equal(lengths(b), {"a": 0, "b": 3, "dead": 0, "work": 2}, "queues")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""What leveretctl shows while it happens: messages as they pass (tail), and what is going on (top).

Each case starts a broker of its own. Output is TAP.
"""

import json
import os
import pty
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from program import PROGRAM, Broker  # noqa: E402
from tap import eventually  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402

TITLES = "time\twhat\texchange\trouting_keys\tqueues\tbytes\tpayload"


class Tail:
    """One that runs, and has begun."""

    def __init__(self, t, broker, *words):
        before = tails(broker)
        self.process = subprocess.Popen([PROGRAM, "--uri", "unix:" + broker.socket, "tail", *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        t.cleanup(self.process.wait)
        t.cleanup(self.process.kill)
        check(eventually(lambda: tails(broker) != before and is_traced(broker)), "it has begun")

    def ends(self, by=None):
        """Its lines, without the time; and what it ends with."""
        if by:
            self.process.send_signal(by)
        out, err = self.process.communicate(timeout=60)
        equal(err, "", "what it complains of")
        return [line.split("\t", 1)[1] for line in out.splitlines() if line != TITLES], self.process.returncode


def tails(broker):
    """Those with all their bindings."""
    found = [one for one in json.loads(broker.ctl("list_bindings", "source_name", "destination_name", "-o", "json")[1])
             if one["source_name"] == "amq.rabbitmq.trace"]
    return sorted(one["destination_name"] for one in found)


def is_traced(broker):
    return broker.ctl("list_vhosts", "tracing", "-s")[1] == "true\n"


def queues(broker):
    return sorted(broker.ctl("list_queues", "name", "-s")[1].split())


def client(t, broker):
    c = amqp.Connection(broker.daemon.addresses()[0])
    t.cleanup(c.close)
    c.open()
    c.channel()
    c.call(1, "queue.declare", queue="q")
    c.call(1, "queue.declare", queue="other")
    return c


def passes(c, *bodies, queue="q"):
    """They are published, and got."""
    for body in bodies:
        c.publish(1, queue, body)
        check(c.get_soon(queue, 1), "it is there")


def await_seen(broker):
    """Nothing waits in a queue any more."""
    check(eventually(lambda: not any(map(int, broker.ctl("list_queues", "messages", "-s")[1].split()))), "all was seen")


def left(broker):
    return queues(broker), tails(broker), is_traced(broker)


@case("each message is a line as it is published, and one as it is delivered; nothing is left behind")
def _(t):
    b = Broker(t)
    c = client(t, b)
    tail = Tail(t, b, "--limit", "4")
    passes(c, b"hello", b"two\nlines \x1b[31m " + b"x" * 100)
    lines, code = tail.ends()
    head = "two.lines .[31m " + "x" * 44
    equal(lines, ["publish\t\tq\tq\t5\thello", "deliver\t\tq\tq\t5\thello",
                  "publish\t\tq\tq\t116\t" + head, "deliver\t\tq\tq\t116\t" + head], "lines")
    equal(code, 0, "it ends after so many")
    equal(left(b), (["other", "q"], [], False), "what is left")


@case("Ctrl-C, SIGTERM and a reader that is gone end it, and tidy up")
def _(t):
    b = Broker(t)
    c = client(t, b)
    for by in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        tail = Tail(t, b)
        passes(c, b"x")
        lines, code = tail.ends(by)
        check(set(lines) <= {"publish\t\tq\tq\t1\tx", "deliver\t\tq\tq\t1\tx"}, "lines: %r" % lines)
        equal((code, left(b)), (0, (["other", "q"], [], False)), "what is left after %s" % by.name)
    tail = Tail(t, b, "-s")
    tail.process.stdout.close()
    passes(c, b"x")
    equal(tail.process.wait(60), 0, "what it ends with when nobody reads")
    equal(left(b), (["other", "q"], [], False), "what is left then")
    equal(b.ctl("tail", "-s", "--duration", "1"), (0, "", ""), "for a second")
    equal(left(b), (["other", "q"], [], False), "what is left then")


@case("those of an exchange, of a queue, or of both; as JSON; payloads that are no text, or not wanted")
def _(t):
    b = Broker(t)
    c = client(t, b)
    c.call(1, "exchange.declare", exchange="a.b", type="fanout")
    for queue in ("q", "other"):
        c.call(1, "queue.bind", queue=queue, exchange="a.b", routing_key="")
    exchange, queue = Tail(t, b, "--exchange", "a.b"), Tail(t, b, "--queue", "other", "--payload", "2")
    both = Tail(t, b, "-o", "jsonl", "--exchange", "a.b", "--queue", "q", "--limit", "2", "--payload", "0")
    c.publish(1, "k", b"\x00\xff12", exchange="a.b")
    for name in ("q", "other"):
        check(c.get_soon(name, 1), "it is there")
    passes(c, b"past the exchange", queue="other")
    out, err = both.process.communicate(timeout=60)
    equal((both.process.returncode, err), (0, ""), "code")
    objects = [json.loads(line) for line in out.splitlines()]
    equal([(one["what"], one["exchange"], one["routing_keys"], one["payload_bytes"], one["payload"], one["user"])
           for one in objects],
          [(what, "a.b", ["k"], 4, "", "guest") for what in ("publish", "deliver")], "as JSON")
    equal((sorted(objects[0]["queues"]), objects[1]["queue"], objects[1]["redelivered"]), (["other", "q"], "q", 0), "where to")
    await_seen(b)
    exchange_lines = exchange.ends(signal.SIGINT)[0]
    equal([line.replace("q,other", "other,q") for line in exchange_lines], ["publish\ta.b\tk\tother,q\t4\t..12"],
          "of the exchange")
    equal(queue.ends(signal.SIGINT)[0], ["deliver\ta.b\tk\tother\t4\t..", "deliver\t\tother\tother\t17\tpa"], "of the queue")
    equal(left(b), (["other", "q"], [], False), "what is left")


@case("tracing that was on stays on, and two at once share it")
def _(t):
    b = Broker(t)
    c = client(t, b)
    first, second = Tail(t, b, "--limit", "100"), Tail(t, b)
    equal(first.ends(signal.SIGINT)[1], 0, "the first ends")
    check(is_traced(b), "the second still looks")
    passes(c, b"x")
    await_seen(b)
    lines, code = second.ends(signal.SIGINT)
    equal((lines, code), (["publish\t\tq\tq\t1\tx", "deliver\t\tq\tq\t1\tx"], 0), "what it saw")
    equal(left(b), (["other", "q"], [], False), "what is left")
    equal(b.ctl("trace_on")[0], 0, "an operator turns it on")
    third = Tail(t, b)
    equal(third.ends(signal.SIGINT)[1], 0, "the third ends")
    equal(left(b), (["other", "q"], [], True), "what is left")


@case("who fills a queue: a summary of what goes into it, the most first")
def _(t):
    b = Broker(t)
    one, two = client(t, b), client(t, b)
    two.call(1, "exchange.declare", exchange="both", type="fanout")
    for queue in ("q", "other"):
        two.call(1, "queue.bind", queue=queue, exchange="both", routing_key="")
    tail = Tail(t, b, "--into", "q", "--summary")
    for c, body, count, exchange, key in ((one, b"12345", 2, "", "q"), (two, b"x", 3, "both", "k"), (two, b"x", 4, "", "other")):
        for _ in range(count):
            c.publish(1, key, body, exchange=exchange)
        c.call(1, "queue.declare", queue="q", passive=True)
    check(eventually(lambda: "\t0" in [line[line.index("\t"):] for line in
                                       b.ctl("list_queues", "name", "messages", "-s")[1].splitlines() if "tail" in line]), "it has seen them")
    tail.process.send_signal(signal.SIGINT)
    out, err = tail.process.communicate(timeout=60)
    lines = [line.split("\t") for line in out.splitlines()]
    equal((err, lines[0]), ("", ["messages", "bytes", "what", "exchange", "routing_keys", "queues", "user", "connection"]), "titles")
    equal([line[:5] + line[6:7] for line in lines[1:]], [["3", "3", "publish", "both", "k", "guest"], ["2", "10", "publish", "", "q", "guest"]],
          "who fills it")
    check(lines[1][7].startswith("127.0.0.1:%d -> " % two.sock.getsockname()[1]), lines[1][7])
    equal(left(b), (["other", "q"], [], False), "what is left")


@case("slow consumers are those with most unacknowledged")
def _(t):
    b = Broker(t)
    c = client(t, b)
    for tag in ("fast", "slow"):
        c.call(1, "basic.consume", queue="q" if tag == "fast" else "other", consumer_tag=tag)
    for queue in ("q", "other", "other"):
        c.publish(1, queue, b"x")
        tag = c.expect(1, "basic.deliver").delivery_tag
    equal(b.ctl("list_consumers", "consumer_tag", "messages_unacknowledged", "-s", "-S", "-messages_unacknowledged")[1],
          "slow\t2\nfast\t1\n", "consumers")
    c.send(1, "basic.ack", delivery_tag=tag, multiple=True)
    c.call(1, "queue.declare", queue="q", passive=True)
    equal(b.ctl("list_consumers", "messages_unacknowledged", "-s")[1], "0\n0\n", "when all is acknowledged")


@case("what it is told and cannot do, it says")
def _(t):
    b = Broker(t)
    for words, code, text in ((("--limit", "0"), 64, "--limit is a number of messages"),
                              (("--duration", "x"), 64, "--duration is a number of seconds"),
                              (("--payload", "1000000"), 64, "up to 65536"),
                              (("-o", "csv"), 64, "as jsonl"),
                              (("-p", "none"), 65, "there is no virtual host 'none'")):
        got, out, err = b.ctl("tail", *words)
        equal((got, out), (code, ""), "code of %r" % (words,))
        check(text in err, err)
    code, out, err = b.ctl("tail", "--dry-run")
    equal(code, 0, "what would be done")
    check("PUT /api/queues/%2F/leveret.tail.on." in out and "PUT /api/vhosts/%2F" in out, out)
    equal(left(b), ([], [], False), "and was not")


# ---- top ----

@case("top, once: the broker, queues in an order, and connections")
def _(t):
    b = Broker(t)
    b.queues(short=1, long=12, middle=5)
    c = client(t, b)
    c.call(1, "basic.qos", prefetch_count=2)
    c.call(1, "basic.consume", queue="short", consumer_tag="t")
    c.expect(1, "basic.deliver")
    code, out, err = b.ctl("top", "--sort", "ready", "--count", "3")
    equal((code, err), (0, ""), "what it ends with")
    lines = out.splitlines()
    check(lines[0].startswith("leveret@localhost   up 0:00 h   memory ") and "   disk free " in lines[0], lines[0])
    equal(lines[1], "connections 1   channels 1   queues 5   consumers 1   ready 17   unacked 1", "totals")
    check(lines[2].startswith("publish ") and "/s   ack " in lines[2], lines[2])
    equal(lines[4], "  ready unacked growth/s publish/s deliver/s   ack/s consumers      p99 queue", "titles")
    equal([line.split()[0:2] + line.split()[6:] for line in lines[5:8]],
          [["12", "0", "0", "-", "/", "long"], ["5", "0", "0", "-", "/", "middle"], ["0", "0", "0", "-", "/", "other"]], "queues")
    equal(lines[9], "  in B/s  out B/s unsent channels connection", "titles")
    own = c.sock.getsockname()
    equal(lines[10].split()[2:7], ["0", "1", "running", "guest", "127.0.0.1:%d" % own[1]], "the connection")
    equal(len(lines), 11, "all of it")
    equal(b.ctl("top", "--sort", "unacked", "--count", "1")[1].splitlines()[5].split()[7:], ["-", "/", "short"], "by another")
    check("\x1b" not in out, "nothing for a terminal")


@case("top as JSON, of a virtual host, again and again, and what it does not know")
def _(t):
    b = Broker(t)
    b.queues(q=3)
    found = json.loads(b.ctl("top", "-o", "json")[1])
    equal(sorted(found), ["connections", "node", "nodes", "overview", "queues"], "what is there")
    equal([(one["name"], one["messages_ready"]) for one in found["queues"]], [("q", 3)], "queues")
    equal(b.ctl("add_vhost", "v")[0], 0, "another virtual host")
    equal(json.loads(b.ctl("top", "-o", "json", "-p", "v")[1])["queues"], [], "its queues")
    process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "top", "-o", "jsonl", "--watch", "0.2"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.cleanup(process.kill)
    for _ in range(3):
        equal(json.loads(process.stdout.readline())["queues"][0]["name"], "q", "again")
    process.send_signal(signal.SIGINT)
    equal((process.communicate(timeout=60)[1], process.returncode), ("", 0), "the end")
    for words, text in ((("--sort", "name"), "--sort is publish, deliver"), (("--count", "0"), "--count is a number of lines"),
                        (("--watch", "0"), "--watch has a number of seconds"), (("-o", "csv"), "as text, or")):
        code, out, err = b.ctl("top", *words)
        equal((code, out), (64, ""), "code of %r" % (words,))
        check(text in err, err)


@case("top on a terminal takes the screen, and gives it back; names do nothing to it")
def _(t):
    b = Broker(t)
    c = client(t, b)
    c.call(1, "queue.declare", queue="evil \x1b[31m")
    main_end, other_end = pty.openpty()
    process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "top", "--watch", "0.2"], stdin=subprocess.DEVNULL,
                               stdout=other_end, stderr=subprocess.DEVNULL)
    t.cleanup(process.kill)
    os.close(other_end)
    shown = b""
    while shown.count(b"\x1b[H\x1b[2J") < 3:
        shown += os.read(main_end, 4096)
    process.send_signal(signal.SIGTERM)
    try:
        while True:
            shown += os.read(main_end, 4096)
    except OSError:
        os.close(main_end)
    equal(process.wait(60), 0, "the end")
    check(shown.startswith(b"\x1b[?1049h\x1b[?25l") and shown.endswith(b"\x1b[?25h\x1b[?1049l"), "the screen: %r" % shown[-40:])
    check(b'"evil \\u001b[31m"' in shown.replace(b"\\u001B", b"\\u001b") and b"evil \x1b" not in shown, "a name that steers a terminal")


if __name__ == "__main__":
    main(jobs=2)

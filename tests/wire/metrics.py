#!/usr/bin/python3
"""What Prometheus is told: names, labels, kinds and texts beside those of RabbitMQ 3.10, counts that are exact, and
paths, parameters and probes.

metrics_golden.json has the shape of what RabbitMQ answers; --rabbitmq starts Debian's, compares with what it
answers now, and with --record writes that file. What differs has to be in metrics_differences.txt, a line for
what it is: KIND NAME: reason, where a star in the name stands for anything. Kinds: "missing", a metric that is not
here; "type", "help", "labels". A line that fits nothing any more fails as well. Output is TAP.
"""

import fnmatch
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import amqp  # noqa: E402
import api  # noqa: E402
import service  # noqa: E402
import tap  # noqa: E402
from api import brokers  # noqa: E402
from tap import case, check, equal, main  # noqa: E402

RECORD = os.path.join(HERE, "metrics_golden.json")
ENDPOINTS = ["/metrics", "/metrics/per-object",
             "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count&family=connection_coarse_metrics"
             "&family=vhost_status&family=exchange_bindings&family=exchange_names&family=node_metrics"]
TYPE = "text/plain; version=0.0.4"
LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
ADDRESS = re.compile(r"listening address=(\S+) protocol=http/prometheus$", re.M)
PARTS = ("_bucket", "_sum", "_count")


# ---- reading ----

class Metric:
    def __init__(self, kind):
        self.kind, self.help, self.lines = kind, None, {}


def labels_of(text):
    found, at = [], 0
    for match in LABEL.finditer(text):
        if match.start() != at:
            raise AssertionError("no labels: " + text)
        at = match.end()
        value = re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), match.group(2))
        found.append((match.group(1), value))
    if at != len(text):
        raise AssertionError("no labels: " + text)
    return tuple(found)


def parse(text):
    """{name: Metric}. Every line belongs to the metric above it, and no series is there twice."""
    metrics, name = {}, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            if name in metrics:
                raise AssertionError("there twice: " + name)
            metrics[name] = Metric(kind)
        elif line.startswith("# HELP "):
            equal(line.split(" ")[2], name, "the name in HELP")
            metrics[name].help = line.split(" ", 3)[3]
        elif line:
            match = LINE.fullmatch(line)
            if not match:
                raise AssertionError("no line: " + line)
            base = match.group(1)
            if metrics[name].kind in ("histogram", "summary") and base != name:
                base = next(base[:-len(part)] for part in PARTS if base.endswith(part))
            equal(base, name, "the name of a line")
            key = (match.group(1),) + labels_of(match.group(2) or "")
            if key in metrics[name].lines:
                raise AssertionError("there twice: " + line)
            metrics[name].lines[key] = float(match.group(3))
    return metrics


def get(address, path, method="GET", headers=None):
    connection = http.client.HTTPConnection(address, timeout=amqp.PATIENCE)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def ask(address, path):
    status, headers, body = get(address, path)
    equal(status, 200, "status of " + path)
    check(headers["Content-Type"].startswith(TYPE), headers["Content-Type"])
    return parse(body.decode())


def value(metrics, name, **labels):
    """Of the one line that has these labels, among others."""
    found = [number for key, number in metrics[name].lines.items()
             if all((label, wanted) in key[1:] for label, wanted in labels.items())]
    equal(len(found), 1, "lines of %s with %r" % (name, labels))
    return found[0]


# ---- brokers ----

class Own:
    def __init__(self, t, *arguments):
        self.daemon = service.serve(t, service.folder(t), "--metrics", "127.0.0.1:0", *arguments)
        self.address = ADDRESS.findall(self.daemon.log())[0]
        self.uri = self.daemon.addresses()[0]

    def client(self, t):
        return self.daemon.client(t, self.uri)


class RabbitMQ:
    def __init__(self, t):
        work = tempfile.mkdtemp(prefix="leveret-rabbitmq-")
        t.cleanup(shutil.rmtree, work, True)
        node = brokers.RabbitMQ(work, None)
        node.plugins = ["rabbitmq_prometheus"]
        t.cleanup(node.close)
        self.port = brokers.free_port()
        node.settings = ["prometheus.tcp.ip = 127.0.0.1", "prometheus.tcp.port = %d" % self.port,
                         "collect_statistics_interval = 500"]
        node.start()
        self.uri, self.address = "%s:%d" % node.address(), "127.0.0.1:%d" % self.port

    def client(self, t):
        c = amqp.Connection(self.uri)
        t.cleanup(c.close)
        return c.open()


# ---- what is done, and what has to be told of it ----

PUBLISHED, FANNED = 20, 2  # messages; and such that go to two queues each
STAMP = 1700000000  # of the first of them


def work(t, broker):
    """Something of everything; the client, which stays."""
    c = broker.client(t)
    c.channel(1)
    c.call(1, "confirm.select")
    for queue, arguments in (("m.classic", {}), ("m.quorum", {"x-queue-type": "quorum"}), ("m.letters", {}),
                             ("m.dying", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "m.letters"})):
        c.call(1, "queue.declare", queue=queue, durable=True, arguments=arguments)
    c.call(1, "exchange.declare", exchange="m.fanout", type="fanout", durable=True)
    for queue in ("m.classic", "m.quorum"):
        c.call(1, "queue.bind", queue=queue, exchange="m.fanout", routing_key="")
    numbers = 0
    for number in range(PUBLISHED):
        c.publish(1, "m.classic", b"x" * 50, timestamp=STAMP + number)
        numbers += 1
    for _ in range(FANNED):
        c.publish(1, "", b"x" * 5000, exchange="m.fanout")
        numbers += 1
    c.publish(1, "m.dying", b"dies")
    c.publish(1, "m.nowhere", b"dropped")
    c.publish(1, "m.nowhere", b"returned", mandatory=True)
    numbers += 3
    confirmed, returned = set(), 0
    while len(confirmed) < numbers or not returned:  # not always in their order
        event = c.recv(1)
        if event.name == "basic.ack":
            confirmed.update(range(1, event.delivery_tag + 1) if event.multiple else [event.delivery_tag])
        returned += event.name == "basic.return"
    equal(returned, 1, "returned")
    c.channel(2)  # without confirms
    check(c.get("m.classic", 2, no_ack=True), "a message")
    first = c.get("m.classic", 2, no_ack=False)
    c.send(2, "basic.reject", delivery_tag=first.delivery_tag, requeue=True)
    check(c.get("m.classic", 2, no_ack=False).redelivered, "it comes again")
    c.call(2, "queue.purge", queue="m.letters")
    dying = c.get("m.dying", 2, no_ack=False)
    c.send(2, "basic.reject", delivery_tag=dying.delivery_tag, requeue=False)
    letters = {"queue": "m.letters", "passive": True}  # asked without a get, which would count
    check(tap.eventually(lambda: c.call(2, "queue.declare", **letters).message_count == 1), "its letter has come")
    check(c.get("m.letters", 2), "its letter")
    equal(c.get("m.letters", 2), None, "another one")
    c.channel(3)
    c.call(3, "basic.qos", prefetch_count=5)
    c.call(3, "basic.consume", queue="m.classic", consumer_tag="acks")
    for _ in range(5):
        tag = c.expect(3, "basic.deliver").delivery_tag
    c.send(3, "basic.ack", delivery_tag=tag - 2, multiple=True)
    for _ in range(3):
        c.expect(3, "basic.deliver")
    c.channel(4)
    c.call(4, "basic.consume", queue="m.quorum", consumer_tag="takes", no_ack=True)
    for _ in range(FANNED):
        c.expect(4, "basic.deliver")
    return c


CLASSIC = {"protocol": "amqp091", "queue_type": "rabbit_classic_queue"}
QUORUM = {"protocol": "amqp091", "queue_type": "rabbit_quorum_queue"}
AMQP = {"protocol": "amqp091"}
RECEIVED = PUBLISHED + FANNED + 3
COUNTS = [
    ("received_total", AMQP, RECEIVED),
    ("received_confirm_total", AMQP, RECEIVED),
    ("confirmed_total", AMQP, RECEIVED),
    ("routed_total", AMQP, PUBLISHED + 2 * FANNED + 1),
    ("unroutable_dropped_total", AMQP, 1),
    ("unroutable_returned_total", AMQP, 1),
    ("delivered_get_auto_ack_total", CLASSIC, 2),
    ("delivered_get_manual_ack_total", CLASSIC, 3),
    ("get_empty_total", CLASSIC, 1),
    ("redelivered_total", CLASSIC, 1),
    ("delivered_consume_manual_ack_total", CLASSIC, 8),
    ("delivered_consume_auto_ack_total", CLASSIC, 0),
    ("delivered_consume_auto_ack_total", QUORUM, FANNED),
    ("delivered_total", CLASSIC, 13),
    ("delivered_total", QUORUM, FANNED),
    ("acknowledged_total", CLASSIC, 3),
    ("acknowledged_total", QUORUM, 0),
    ("dead_lettered_rejected_total", {"queue_type": "rabbit_classic_queue", "dead_letter_strategy": "at_most_once"}, 1),
    ("dead_lettered_rejected_total", {"queue_type": "rabbit_classic_queue", "dead_letter_strategy": "disabled"}, 0),
]


def wrong_counts(metrics):
    return ["%s %r: %d is wanted, not %d" % (name, labels, wanted, value(metrics, "rabbitmq_global_messages_" + name, **labels))
            for name, labels, wanted in COUNTS
            if value(metrics, "rabbitmq_global_messages_" + name, **labels) != wanted]


# ---- the shape ----

def shape(address):
    """{endpoint: {name: [kind, text, names of labels]}}."""
    return {path: {name: [metric.kind, metric.help,
                          sorted({label for key in metric.lines for label, _ in key[1:]})]
                   for name, metric in ask(address, path).items()
                   if re.match("rabbitmq_|process_|erlang_|telemetry_", name)}
            for path in ENDPOINTS}


def differences(theirs, ours):
    """(kind, name, text) of what is not the same."""
    for path in ENDPOINTS:
        for name, (kind, text, labels) in sorted(theirs[path].items()):
            if name not in ours[path]:
                yield "missing", name, "in " + path
                continue
            for what, wanted, got in zip(("type", "help", "labels"), (kind, text, labels), ours[path][name]):
                if wanted != got and (what != "labels" or wanted):
                    yield what, name, "%r instead of %r in %s" % (got, wanted, path)


def read_differences():
    found = []
    with open(os.path.join(HERE, "metrics_differences.txt")) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                what, _, reason = line.partition(":")
                check(reason.strip(), "a reason for " + what)
                found.append(tuple(what.split()))
    return found


@case("names, kinds, texts and labels of RabbitMQ, but for what is listed")
def _(t):
    with open(RECORD) as file:
        theirs = json.load(file)
    broker = Own(t)
    work(t, broker)
    known, used, strange = read_differences(), set(), []
    for kind, name, text in differences(theirs, shape(broker.address)):
        fits = [one for one in known if one[0] == kind and fnmatch.fnmatchcase(name, one[1])]
        used.update(fits)
        if not fits:
            strange.append("%s %s: %s" % (kind, name, text))
    equal(strange, [], "what is not listed")
    equal([one for one in known if one not in used], [], "what is listed and does not differ")


ORACLE, RECORDS = "--rabbitmq" in sys.argv, "--record" in sys.argv
sys.argv = [one for one in sys.argv if one not in ("--rabbitmq", "--record")]

if ORACLE:
    @case("RabbitMQ: the same counts, and the shape that was recorded")
    def _(t):
        broker = RabbitMQ(t)
        work(t, broker)
        tap.eventually(lambda: not wrong_counts(ask(broker.address, "/metrics")))
        equal(wrong_counts(ask(broker.address, "/metrics")), [], "counts")
        time.sleep(1.5)  # statistics come by and by
        found = shape(broker.address)
        if RECORDS:
            with open(RECORD, "w") as file:
                json.dump(found, file, indent=1, sort_keys=True)
                file.write("\n")
        with open(RECORD) as file:
            equal(found, json.load(file), "what is recorded")


# ---- values ----

@case("the timestamp of a queue's first message, which may be with a consumer; who has none has no line")
def _(t):
    broker = Own(t)
    c = work(t, broker)
    for path, name in (("/metrics/per-object", "rabbitmq_queue_head_message_timestamp"),
                       ("/metrics/detailed?family=queue_metrics", "rabbitmq_detailed_queue_head_message_timestamp")):
        lines = ask(broker.address, path)[name].lines
        equal({dict(key[1:])["queue"]: number for key, number in lines.items()}, {"m.classic": STAMP + 1}, path)
    check("rabbitmq_queue_head_message_timestamp" not in ask(broker.address, "/metrics"), "no sum of times")
    c.call(1, "queue.purge", queue="m.classic")


@case("counts are exact: published, confirmed, routed, delivered, got, acknowledged, dead")
def _(t):
    broker = Own(t)
    c = work(t, broker)
    metrics = ask(broker.address, "/metrics")
    equal(wrong_counts(metrics), [], "counts")
    equal(value(metrics, "rabbitmq_queue_messages_ready"), PUBLISHED + FANNED - 1 - 1 - 8, "ready")
    equal(value(metrics, "rabbitmq_queue_messages_unacked"), 1 + 5, "unacked")
    equal(value(metrics, "rabbitmq_queue_messages"), PUBLISHED + FANNED - 1 - 3, "messages")
    equal(value(metrics, "rabbitmq_queue_messages_published_total"), PUBLISHED + 2 * FANNED + 2, "into queues, a letter too")
    equal(value(metrics, "rabbitmq_queues"), 4, "queues")
    equal(value(metrics, "rabbitmq_consumers"), 2, "consumers")
    equal(value(metrics, "rabbitmq_global_consumers", **AMQP), 2, "consumers")
    equal(value(metrics, "rabbitmq_global_publishers", **AMQP), 1, "publishers")
    equal(value(metrics, "rabbitmq_channels"), 4, "channels")
    equal(value(metrics, "rabbitmq_connections"), 1, "connections")
    equal(value(metrics, "rabbitmq_consumer_prefetch"), 5, "the sum of what consumers may have")
    equal(value(metrics, "rabbitmq_auth_attempts_succeeded_total", protocol="amqp091"), 1, "logins")
    del c


@case("dead letters are counted by why they died")
def _(t):
    broker = Own(t)
    c = broker.client(t)
    c.channel(1)
    c.call(1, "queue.declare", queue="m.letters")
    for queue, more in (("m.ends", {"x-message-ttl": 0}), ("m.full", {"x-max-length": 1}),
                        ("m.often", {"x-queue-type": "quorum", "x-delivery-limit": 1})):
        c.call(1, "queue.declare", queue=queue, durable=True,
               arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "m.letters", **more})
    c.publish(1, "m.ends", "ends")
    for number in range(3):
        c.publish(1, "m.full", str(number))
    c.publish(1, "m.often", "again")
    for _ in range(2):
        c.send(1, "basic.reject", delivery_tag=c.get_soon("m.often", 1, no_ack=False).delivery_tag, requeue=True)
    check(tap.eventually(lambda: c.call(1, "queue.declare", queue="m.letters", passive=True).message_count == 4),
          "four letters")
    found = ask(broker.address, "/metrics")
    died = {why: {queue_type: value(found, "rabbitmq_global_messages_dead_lettered_%s_total" % why,
                                    queue_type=queue_type, dead_letter_strategy="at_most_once")
                  for queue_type in ("rabbit_classic_queue", "rabbit_quorum_queue")}
            for why in ("expired", "maxlen", "delivery_limit", "rejected")}
    equal(died, {"expired": {"rabbit_classic_queue": 1, "rabbit_quorum_queue": 0},
                 "maxlen": {"rabbit_classic_queue": 2, "rabbit_quorum_queue": 0},
                 "delivery_limit": {"rabbit_classic_queue": 0, "rabbit_quorum_queue": 1},
                 "rejected": {"rabbit_classic_queue": 0, "rabbit_quorum_queue": 0}}, "letters")


@case("what is called _total does not fall when channels, connections and queues go")
def _(t):
    broker = Own(t)
    c = work(t, broker)
    before = ask(broker.address, "/metrics")
    for queue in ("m.classic", "m.quorum", "m.letters", "m.dying"):
        c.call(1, "queue.delete", queue=queue)
    c.call(2, "channel.close", reply_code=200)
    c.close()
    check(tap.eventually(lambda: value(ask(broker.address, "/metrics"), "rabbitmq_connections") == 0), "it is gone")
    after = ask(broker.address, "/metrics")
    fallen = ["%s %r: %s, then %s" % (name, key, number, after[name].lines.get(key))
              for name, metric in before.items() if metric.kind in ("counter", "histogram")
              for key, number in metric.lines.items() if after[name].lines.get(key, -1) < number]
    equal(fallen, [], "what has fallen")
    equal(value(after, "rabbitmq_channel_messages_published_total"), RECEIVED, "published, and nobody is there")
    equal(value(after, "rabbitmq_queue_messages_published_total"), PUBLISHED + 2 * FANNED + 2, "into queues that are gone")
    equal(value(after, "rabbitmq_queues"), 0, "queues")
    check(value(after, "rabbitmq_connection_incoming_bytes_total") > 5000 * FANNED, "bytes of who is gone")
    equal(broker.daemon.stop(), 0, "status")


@case("sizes of messages, turns, batches and syncs as histograms that add up")
def _(t):
    broker = Own(t)
    c = broker.client(t)
    c.channel(1)
    c.call(1, "confirm.select")
    c.call(1, "queue.declare", queue="h", durable=True)
    equal(c.get("h"), None, "a message; but somebody reads it now")
    sizes = [0, 100, 101, 1000, 1001, 100001]
    for size in sizes:
        c.publish(1, "h", b"x" * size, delivery_mode=2)
    tag = 0
    while tag < len(sizes):
        tag = c.expect(1, "basic.ack").delivery_tag
    c.send(1, "basic.ack", delivery_tag=c.get("h", no_ack=False).delivery_tag)
    c.call(1, "queue.declare", queue="h", passive=True)
    metrics = ask(broker.address, "/metrics")
    for name, metric in metrics.items():
        if metric.kind != "histogram":
            continue
        buckets = [number for key, number in metric.lines.items() if key[0].endswith("_bucket")]
        equal(buckets, sorted(buckets), "buckets of %s rise" % name)
        count = next(number for key, number in metric.lines.items() if key[0].endswith("_count"))
        equal(buckets[-1], count, "all of %s are in the last bucket" % name)
        check(count > 0, "there are some of %s" % name)
    bodies = metrics["rabbitmq_message_size_bytes"].lines
    for limit, below in (("100.0", 2), ("1000.0", 4), ("10000.0", 5), ("100000.0", 5), ("1e+06", 6), ("+Inf", 6)):
        equal(bodies[("rabbitmq_message_size_bytes_bucket", ("protocol", "amqp091"), ("le", limit))], below,
              "bodies of at most " + limit)
    equal(bodies[("rabbitmq_message_size_bytes_sum", ("protocol", "amqp091"))], sum(sizes), "their sum")
    check(value(metrics, "leveret_journal_messages_written_total") == len(sizes), "written")
    check(value(metrics, "rabbitmq_io_sync_time_seconds_total") > 0, "syncs took time")


@case("how long messages took is told of each queue that is read, of all together, and by the API")
def _(t):
    broker = Own(t, "--management", "127.0.0.1:0")
    c = broker.client(t)
    c.channel(1)
    for queue in ("slow \"one\"", "unread"):
        c.call(1, "queue.declare", queue=queue)
    c.call(1, "basic.qos", prefetch_count=2)
    c.call(1, "basic.consume", queue="slow \"one\"", consumer_tag="t")
    for queue in ("slow \"one\"", "unread"):
        for _ in range(4):
            c.publish(1, queue, b"x")
    first = [c.expect(1, "basic.deliver").delivery_tag for _ in range(2)]
    time.sleep(0.3)  # two wait for as long as two are not acknowledged
    c.send(1, "basic.ack", delivery_tag=first[1], multiple=True)
    last = [c.expect(1, "basic.deliver").delivery_tag for _ in range(2)]
    c.send(1, "basic.ack", delivery_tag=last[1], multiple=True)
    c.call(1, "queue.declare", queue="unread", passive=True)
    for path, labels, prefix in (("/metrics", (), "leveret_"),
                                 ("/metrics/per-object", (("vhost", "/"), ("queue", "slow \"one\"")), "leveret_"),
                                 ("/metrics/detailed?family=queue_latency_metrics", (("vhost", "/"), ("queue", "slow \"one\"")),
                                  "leveret_detailed_")):
        metrics = ask(broker.address, path)
        for part in ("delivery", "acknowledgement"):
            name = "%squeue_%s_latency_seconds" % (prefix, part)
            lines = metrics[name].lines
            equal({key[1:] for key in lines if key[0] == name + "_count"}, {labels}, "who has %s in %s" % (name, path))
            equal(lines[(name + "_count",) + labels], 4, "how many: " + name)
            at_once = lines[(name + "_bucket",) + labels + (("le", "0.262144"),)]
            equal((at_once, lines[(name + "_bucket",) + labels + (("le", "+Inf"),)]), (2, 4), "two had to wait: " + name)
            check(0.6 <= lines[(name + "_sum",) + labels] < 2 * amqp.PATIENCE, "how long in all: " + name)
    queues = {one["name"]: one for one in json.loads(api_get(broker.daemon.addresses()[1], "/api/queues"))}
    check("leveret_latency" not in queues["unread"], "of what nobody reads nothing is known")
    for part in ("publish_to_deliver", "deliver_to_ack"):
        found = queues["slow \"one\""]["leveret_latency"][part]
        equal((found["count"], sorted(found)), (4, ["count", "max", "p50", "p90", "p99"]), part)
        check(found["p50"] < 250000 < 300000 <= found["p90"] <= found["p99"] <= found["max"], "%s: %r" % (part, found))


def api_get(address, path):
    status, _, body = get(address, path, headers={"Authorization": api.basic("guest", "guest")})
    equal(status, 200, path)
    return body


@case("per object: each queue, channel, connection and exchange, by its name, whatever that is")
def _(t):
    names = ["plain", 'quote " and \\ and\ttab', "ünï"]
    broker = Own(t)
    c = broker.client(t)
    c.channel(1)
    for name in names:
        c.call(1, "queue.declare", queue=name)
        c.publish(1, name, b"12345")
    c.call(1, "queue.declare", queue="plain", passive=True)
    metrics = ask(broker.address, "/metrics/per-object")
    for name in names:
        equal(value(metrics, "rabbitmq_queue_messages_ready", vhost="/", queue=name), 1, "ready in %r" % name)
        equal(value(metrics, "rabbitmq_queue_messages_published_total", vhost="/", queue=name), 1, "into %r" % name)
        equal(value(metrics, "rabbitmq_queue_messages_ready_bytes", vhost="/", queue=name), 5, "bytes in %r" % name)
    own, peer = c.sock.getsockname(), c.sock.getpeername()
    connection = "%s:%d -> %s:%d" % (own[:2] + peer[:2])
    equal(value(metrics, "rabbitmq_connection_channels", connection=connection), 1, "its channels")
    check(value(metrics, "rabbitmq_connection_incoming_bytes_total", connection=connection) > 100, "what came of it")
    equal(value(metrics, "rabbitmq_channel_messages_published_total", channel=connection + " (1)"), 3, "published")
    equal(value(metrics, "rabbitmq_exchange_messages_published_total", vhost="/", exchange=""), 3, "into the exchange")
    equal(value(metrics, "leveret_exchange_messages_routed_total", vhost="/", exchange=""), 3, "out of it")
    equal(value(metrics, "rabbitmq_identity_info", rabbitmq_endpoint="per-object"), 1, "which endpoint it is")


def objects(metrics, name, label):
    return sorted(dict(key[1:])[label] for key in metrics[name].lines)


@case("detailed: families, virtual hosts, and queues by a pattern")
def _(t):
    broker = Own(t)
    c = broker.client(t)
    c.channel(1)
    for name in ("one", "two", "three"):
        c.call(1, "queue.declare", queue=name)
    info = {"rabbitmq_build_info", "rabbitmq_identity_info", "leveret_build_info"}
    equal(set(ask(broker.address, "/metrics/detailed")), info, "without a family")
    equal(set(ask(broker.address, "/metrics/detailed?family=nothing")), info, "with one that is none")
    found = ask(broker.address, "/metrics/detailed?family=queue_consumer_count")
    equal(set(found) - info, {"rabbitmq_detailed_queue_consumers"}, "one family")
    found = ask(broker.address, "/metrics/detailed?family=queue_coarse_metrics&family=vhost_status&queue=%5Et")
    equal(objects(found, "rabbitmq_detailed_queue_messages", "queue"), ["three", "two"], "queues that match")
    equal(objects(found, "rabbitmq_cluster_vhost_status", "vhost"), ["/"], "virtual hosts")
    ready = "rabbitmq_detailed_queue_messages_ready"
    found = ask(broker.address, "/metrics/detailed?family=queue_coarse_metrics&vhost=none")
    equal(objects(found, ready, "queue"), [], "queues of one that is not there")
    found = ask(broker.address, "/metrics/detailed?family=queue_coarse_metrics&vhost=none&vhost=%2F")
    equal(objects(found, ready, "queue"), ["one", "three", "two"], "queues of one that is")
    found = ask(broker.address, "/metrics/detailed?family=exchange_bindings")
    check("topic" in objects(found, "rabbitmq_cluster_exchange_bindings", "type"), "exchanges say of which type they are")
    for query in ("queue=(", "queue=a&queue=b", "queue=%zz"):
        equal(get(broker.address, "/metrics/detailed?family=queue_metrics&" + query)[0], 400, query)


@case("paths: what is there, what is not, and which methods")
def _(t):
    broker = Own(t)
    for path, status in (("/metrics", 200), ("/metrics/", 200), ("/metrics/per-object", 200), ("/metrics/detailed", 200),
                         ("/metrics/none", 404), ("/metricsx", 404), ("/", 404), ("/api/overview", 404),
                         ("/health/live", 200), ("/health/ready", 200), ("/health/none", 404)):
        equal(get(broker.address, path)[0], status, path)
    equal(get(broker.address, "/metrics/none")[2], b"Unknown Registry", "as RabbitMQ says it")
    equal(get(broker.address, "/metrics", "POST")[0], 405, "POST")
    equal(get(broker.address, "/metrics", "HEAD")[0], 200, "HEAD")
    status, headers, body = get(broker.address, "/metrics", headers={"Accept-Encoding": "gzip"})
    equal((status, headers["Content-Encoding"], body[:2]), (200, "gzip", b"\x1f\x8b"), "squeezed")


# What Prometheus sends.
ACCEPT = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
OPEN_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def parse_open(text):
    """The same of OpenMetrics, under the names that lines have: {name: Metric}."""
    titles = re.compile(r"# (TYPE|UNIT|HELP) (\S+) (.*)")
    lines, metrics, units = text.split("\n"), {}, {}
    equal(lines[-2:], ["# EOF", ""], "the end")
    family = name = None
    for line in lines[:-2]:
        title = titles.fullmatch(line)
        if not title:
            match = LINE.fullmatch(line)
            check(match, "no line: " + line)
            sample, metric = match.group(1), metrics[name]
            equal(sample in ([family + part for part in PARTS] if metric.kind == "histogram" else [name]), True,
                  "%s below %s" % (sample, family))
            metric.lines[(sample,) + labels_of(match.group(2) or "")] = float(match.group(3))
            continue
        what, family, rest = title.groups()
        if what == "TYPE":
            check(rest in ("counter", "gauge", "unknown", "histogram"), "kind " + rest)
            check(not family.endswith("_total"), "a family without _total: " + family)
            name = family + "_total" if rest == "counter" else family
            check(name not in metrics, "there twice: " + name)
            metrics[name] = Metric("untyped" if rest == "unknown" else rest)
        elif what == "UNIT":
            check(family.endswith("_" + rest), "the unit of " + family)
            units[name] = rest
        else:
            metrics[name].help = rest
    return metrics, units


@case("OpenMetrics for who would rather have it: the same lines, families without _total, units, an end")
def _(t):
    broker = Own(t)
    c = work(t, broker)
    for path in ENDPOINTS:
        plain = ask(broker.address, path)
        status, headers, body = get(broker.address, path, headers={"Accept": ACCEPT})
        equal((status, headers["Content-Type"]), (200, OPEN_TYPE), "what comes of " + path)
        found, units = parse_open(body.decode())
        equal(list(found), list(plain), "metrics of " + path)
        for name, metric in plain.items():
            equal((found[name].kind, found[name].help, list(found[name].lines)),
                  (metric.kind, metric.help, list(metric.lines)), "lines of " + name)
        equal({unit for name, unit in units.items() if name.endswith(("_bytes", "_bytes_total"))}, {"bytes"}, "bytes")
    for name, unit in (("process_start_time_seconds", "seconds"), ("rabbitmq_io_write_bytes_total", None),
                       ("leveret_turn_duration_seconds", "seconds"), ("rabbitmq_queues", None)):
        path = "/metrics/detailed?family=node_persister_metrics" if "_io_" in name else "/metrics"
        units = parse_open(get(broker.address, path, headers={"Accept": ACCEPT})[2].decode())[1]
        name = name.replace("rabbitmq_io", "rabbitmq_detailed_io")
        equal(units.get(name), "bytes" if "_bytes" in name else unit, "the unit of " + name)
    for accept, kind in (("text/plain", TYPE), ("*/*", TYPE), ("application/openmetrics-text", OPEN_TYPE),
                         ("application/openmetrics-text;q=0", TYPE),
                         ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TYPE)):
        check(get(broker.address, "/metrics", headers={"Accept": accept})[1]["Content-Type"].startswith(kind), accept)
    status, headers, _ = get(broker.address, "/metrics", headers={"Accept": ACCEPT, "Accept-Encoding": "gzip"})
    equal((status, headers["Content-Encoding"]), (200, "gzip"), "squeezed")
    del c


@case("limits of histograms are written as OpenMetrics has them, in both formats")
def _(t):
    broker = Own(t)
    text = get(broker.address, "/metrics")[2].decode()
    limits = set(re.findall(r'le="([^"]*)"', text)) - {"+Inf"}
    check({"1.0", "64.0", "1.048576e+06", "1e+06", "1e-06"} <= limits, "limits: %r" % sorted(limits))
    equal([one for one in limits if not re.fullmatch(r"\d{1,6}\.\d+|\d(\.\d*[1-9])?e[+-]\d\d", one)], [], "other forms")


@case("another path, and per object without being asked")
def _(t):
    folder = service.folder(t)
    file = os.path.join(folder, "leveret.conf")
    with open(file, "w") as out:
        out.write("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = %d\nprometheus.path = /numbers\n"
                  "prometheus.return_per_object_metrics = true\n" % brokers.free_port())
    daemon = service.Daemon(t, "--data-dir", os.path.join(folder, "data"), "--listen", "127.0.0.1:0", "--management", "none",
                            "--control-socket", "none", "--config", file, quiet=False).ready()
    address = ADDRESS.findall(daemon.log())[0]
    equal(get(address, "/metrics")[0], 404, "the usual path")
    metrics = ask(address, "/numbers")
    equal(value(metrics, "rabbitmq_identity_info", rabbitmq_endpoint="per-object"), 1, "which endpoint it is")
    check(objects(metrics, "rabbitmq_exchange_messages_published_total", "exchange"), "exchanges, one by one")


@case("ready is who listens for clients: not while their listeners are closed")
def _(t):
    broker = Own(t, "--management", "127.0.0.1:0")
    equal(json.loads(get(broker.address, "/health/ready")[2]), {"status": "ok"}, "at first")
    address = broker.daemon.addresses()[1]
    equal(send(address, "/api/listeners/suspend"), 204, "closed")
    status, _, body = get(broker.address, "/health/ready")
    equal((status, json.loads(body)["status"]), (503, "failed"), "while they are")
    equal(get(broker.address, "/health/live")[0], 200, "and it lives")
    equal(send(address, "/api/listeners/resume"), 204, "open again")
    equal(get(broker.address, "/health/ready")[0], 200, "and then")


def send(address, path):
    connection = http.client.HTTPConnection(address, timeout=amqp.PATIENCE)
    connection.request("POST", path, headers={"Authorization": api.basic("guest", "guest")})
    status = connection.getresponse().status
    connection.close()
    return status


CONTRIB = os.path.join(HERE, "..", "..", "contrib", "prometheus")


@case("what dashboards join on is there once, and all that ours and our alerts ask for is there")
def _(t):
    broker = Own(t)
    work(t, broker)
    metrics = ask(broker.address, "/metrics")
    equal(len(metrics["rabbitmq_identity_info"].lines), 1, "lines of the identity")
    node = "leveret@" + os.uname().nodename
    value(metrics, "rabbitmq_identity_info", rabbitmq_node=node, rabbitmq_cluster=node, rabbitmq_endpoint="aggregated")
    value(metrics, "rabbitmq_build_info", erlang_version="none")
    value(metrics, "rabbitmq_erlang_uptime_seconds")
    told = {key[0] for metric in metrics.values() for key in metric.lines} | set(metrics)
    for name in ("alerts.yml", "dashboard.json"):
        with open(os.path.join(CONTRIB, name)) as file:
            text = file.read()
        asked = set(re.findall(r"\b(?:rabbitmq|leveret)_[a-z0-9_]+", text)) - {"rabbitmq_node"}
        check(len(asked) > 10, "%s asks for something" % name)
        equal(sorted(asked - told), [], "what %s asks for and is not there" % name)


@case("the name of the cluster is told as operators have set it")
def _(t):
    control = os.path.join(service.folder(t), "ctl.sock")
    broker = Own(t, "--control-socket", control)
    subprocess.run([os.path.join(os.path.dirname(service.PROGRAM), "leveretctl"), "--uri", "unix:" + control,
                    "set_cluster_name", "hares"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    value(ask(broker.address, "/metrics"), "rabbitmq_identity_info", rabbitmq_cluster="hares")


@case("promtool finds nothing to complain of")
def _(t):
    if not shutil.which("promtool"):
        raise tap.Skip("promtool is not installed")
    broker = Own(t)
    work(t, broker)
    for path in ENDPOINTS:
        done = subprocess.run(["promtool", "check", "metrics"], input=get(broker.address, path)[2], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=amqp.PATIENCE)
        # Names are RabbitMQ's, good or not; what is ours is to be good.
        wrong = [line for line in done.stdout.decode().splitlines()
                 if not re.match(r"(rabbitmq_|process_)", line) or "error" in line.split(" ")[0]]
        equal(wrong, [], path)
    done = subprocess.run(["promtool", "check", "rules", os.path.join(CONTRIB, "alerts.yml")], check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=amqp.PATIENCE)
    equal(done.returncode, 0, done.stdout)


@case("the parser of Prometheus' own client for Python reads both formats")
def _(t):
    try:
        from prometheus_client import parser
        from prometheus_client.openmetrics import parser as strict
    except ImportError:
        raise tap.Skip("python3-prometheus-client is not installed") from None
    broker = Own(t)
    c = work(t, broker)
    for path in ENDPOINTS:
        plain = list(parser.text_string_to_metric_families(get(broker.address, path)[2].decode()))
        text = get(broker.address, path, headers={"Accept": ACCEPT})[2].decode()
        found = list(strict.text_string_to_metric_families(text))
        equal(len(found), text.count("# TYPE "), "families of " + path)
        equal([one.name for one in found], [one.name for one in plain], "their names")
        equal([sorted(map(str, (sample.labels for sample in one.samples))) for one in found],
              [sorted(map(str, (sample.labels for sample in one.samples))) for one in plain], "their labels")
    del c


if __name__ == "__main__":
    main(jobs=2)

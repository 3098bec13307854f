#!/usr/bin/python3
"""What the API answers to every kind of GET, compared with RabbitMQ 3.10's answers, key by key.

The same state is made in both brokers by the same requests. api_golden.json has what RabbitMQ
answered then; --rabbitmq starts Debian's, compares with what it answers now, and with --record
writes that file. --folder DIR compares with answers that somebody else has captured: a file for each,
its status line and its body, with other counts. Output is TAP: a case for each request.

Compared are the status, the keys, the types of values, and the values, unless they are of the
machine or of the moment. What differs has to be in api_differences.txt, a line for what it is:
KIND PATH PLACE: reason, where a star stands for anything. A line that fits nothing any more fails
as well. Kinds: "missing", a key or an item that is not here; "more", one that is only here; "type",
"value", "status". An item of a list is the place []; one that is missing is [what it is called by].
"""

import itertools
import json
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
import amqp  # noqa: E402
import tap  # noqa: E402

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "api_golden.json")
KINDS = ("missing", "more", "type", "value", "status")
PLUGINS = ["federation_management", "shovel_management", "top", "tracing"]
MESSAGES, FANNED, PREFETCH = 10, 6, 5

REQUESTS = """
    overview
    overview?columns=node,cluster_name
    overview?msg_rates_age=60&msg_rates_incr=30&lengths_age=60&lengths_incr=30
    whoami
    nosuch
    extensions
    feature-flags
    cluster-name
    global-parameters
    global-parameters/none
    auth/attempts/{node}
    auth/attempts/{node}/source
    auth/hash_password/abc
    aliveness-test/%2F
    aliveness-test/none
    healthchecks/node
    healthchecks/node/{node}
    health/checks/alarms
    health/checks/local-alarms
    health/checks/virtual-hosts
    health/checks/certificate-expiration/1/days
    health/checks/node-is-mirror-sync-critical
    health/checks/node-is-quorum-critical
    health/checks/port-listener/1
    health/checks/port-listener/{port}
    health/checks/protocol-listener/amqp091
    health/checks/protocol-listener/mqtt
    nodes
    nodes/{node}
    nodes/{node}?memory=true
    nodes/{node}/memory
    nodes/{node}/memory/relative
    top/{node}
    connections
    connections?page=1&page_size=501
    connections?page=1
    connections/{connection}
    connections/{connection}/channels
    connections/none
    connections/username/guest
    connections/username/none
    channels
    channels/{connection}%20(1)
    channels/{connection}%20(2)
    channels/none
    consumers
    consumers/%2F
    vhosts/%2F/connections
    vhosts/%2F/channels
    exchanges
    exchanges?page=1&page_size=3&sort=name
    exchanges/%2F
    exchanges/none
    exchanges/%2F/none
    exchanges/%2F/ex1
    exchanges/%2F/ex2
    exchanges/%2F/amq.default
    exchanges/%2F/ex1/bindings/source
    exchanges/%2F/ex2/bindings/source
    exchanges/%2F/ex2/bindings/destination
    queues
    queues?disable_stats=true&enable_queue_totals=true
    queues?columns=name,messages,message_stats.publish_details.rate&sort=name&sort_reverse=true
    queues?page=1&page_size=2&name=q&use_regex=true&pagination=true
    queues?page=1&page_size=10&name=*&use_regex=true
    queues?page=99
    queues?name=nothing
    queues/%2F
    queues/none
    queues/%2F/none
    queues/%2F/q1
    queues/%2F/q1?lengths_age=60&lengths_incr=10&msg_rates_age=60&msg_rates_incr=10
    queues/%2F/qq
    queues/%2F/st
    queues/%2F/q1/bindings
    bindings
    bindings/%2F
    bindings/%2F/e/ex1/q/q1
    bindings/%2F/e/ex1/q/q1/a.%23
    bindings/%2F/e/ex1/q/q1/none
    bindings/%2F/e/ex1/e/ex2
    vhosts
    vhosts?page=1&name=v
    vhosts/v2
    vhosts/none
    vhosts/%2F/permissions
    vhosts/%2F/topic-permissions
    users
    users/without-permissions
    users/alice
    users/none
    users/alice/permissions
    users/alice/topic-permissions
    permissions
    permissions/%2F/alice
    permissions/v2/alice
    topic-permissions
    topic-permissions/%2F/alice
    topic-permissions/v2/alice
    policies
    policies/%2F
    policies/%2F/ttl
    policies/%2F/none
    operator-policies
    operator-policies/%2F
    operator-policies/%2F/none
    parameters
    parameters/vhost-limits
    parameters/vhost-limits/v2
    parameters/vhost-limits/v2/limits
    parameters/vhost-limits/v2/none
    vhost-limits
    vhost-limits/v2
    user-limits
    user-limits/alice
    shovels
    shovels/%2F
    federation-links
    federation-links/%2F
    definitions
    definitions/%2F
    definitions/v2
    all-configuration
""".split()


# ---- the state ----

DEFINITIONS = [
    ("PUT", "vhosts/v2", {"description": "second", "tags": "a,b"}),
    ("DELETE", "permissions/v2/guest", None),  # of who has made it
    ("PUT", "users/alice", {"password": "secret", "tags": "monitoring,management"}),
    ("PUT", "permissions/%2F/alice", {"configure": ".*", "write": ".*", "read": ".*"}),
    ("PUT", "user-limits/alice/max-channels", {"value": 10}),
    ("PUT", "vhost-limits/v2/max-connections", {"value": 10}),
    ("PUT", "vhost-limits/v2/max-queues", {"value": 5}),
    ("PUT", "policies/%2F/ttl", {"pattern": "^q", "definition": {"message-ttl": 600000},
                                 "priority": 3, "apply-to": "queues"}),
    ("PUT", "exchanges/%2F/ex1", {"type": "topic", "durable": True}),
    ("PUT", "exchanges/%2F/ex2", {"type": "fanout", "durable": True}),
    ("PUT", "topic-permissions/%2F/alice", {"exchange": "ex1", "write": "^a", "read": ".*"}),
    ("PUT", "queues/%2F/q1", {"durable": True, "arguments": {"x-dead-letter-exchange": "ex2",
                                                            "x-max-length": 1000000}}),
    ("PUT", "queues/%2F/qq", {"durable": True, "arguments": {"x-queue-type": "quorum"}}),
    ("POST", "bindings/%2F/e/ex1/q/q1", {"routing_key": "a.#"}),
    ("POST", "bindings/%2F/e/ex1/q/q1", {"routing_key": "h", "arguments": {"x": 1}}),
    ("POST", "bindings/%2F/e/ex1/e/ex2", {"routing_key": "b.*"}),
    ("POST", "bindings/%2F/e/ex2/q/qq", {}),
]


def publish(c):
    c.channel(1)
    c.call(1, "confirm.select")
    c.call(1, "queue.declare", queue="excl", exclusive=True)
    for exchange, key, count in (("ex1", "a.x", MESSAGES), ("ex2", "", FANNED)):
        for _ in range(count):
            c.publish(1, key, b"hello", exchange=exchange, delivery_mode=2)
    confirmed = 0
    while confirmed < MESSAGES + FANNED:
        confirmed = c.expect(1, "basic.ack").delivery_tag


def consume(c):
    """All of one queue is acknowledged but the last, and nothing of the other."""
    c.channel(2)
    c.call(2, "basic.qos", prefetch_count=PREFETCH)
    for tag, queue in (("first", "q1"), ("second", "qq")):
        c.send(2, "basic.consume", queue=queue, consumer_tag=tag)
    got = {"first": 0, "second": 0}
    while got != {"first": MESSAGES, "second": PREFETCH}:
        event = c.recv(2)
        if event.name == "basic.deliver":
            got[event.consumer_tag] += 1
            if event.consumer_tag == "first" and got["first"] < MESSAGES:
                c.send(2, "basic.ack", delivery_tag=event.delivery_tag)


def make(broker):
    """The state; the client's connection."""
    for method, path, body in DEFINITIONS:
        answer = broker.ask(method, "/api/" + path, body)
        if answer.status not in (201, 204):
            raise AssertionError("%s %s: %r" % (method, path, answer))
    c = amqp.Connection(broker.uri).open(heartbeat=60, connection_name="golden")
    publish(c)
    consume(c)
    return c


def settled(broker):
    """Does it tell of all that happened? RabbitMQ does after a while."""
    def ask(path):
        return broker.ask("GET", "/api/" + path).body

    queues = {queue["name"]: queue for queue in ask("queues")}
    totals = [queues[name].get("messages_unacknowledged") for name in ("q1", "qq")]
    if broker.oracle:
        published = queues["q1"].get("message_stats", {}).get("publish")
        exchange = ask("exchanges/%2F/ex1").get("message_stats", {}).get("publish_in")
        connection = ask("connections")
        is_idle = ("idle_since" in queues["excl"] and published == exchange == MESSAGES
                   and connection and connection[0].get("channels") == 2
                   and ask("overview")["queue_totals"].get("messages") == 1 + FANNED
                   and ask("overview")["message_stats"].get("publish") == MESSAGES + FANNED)
        if not is_idle:
            return False
    channels = ask("channels")
    unacked = [channel.get("messages_unacknowledged") for channel in channels]
    return totals == [1, PREFETCH] and sorted(unacked, key=str) == [0, 1 + PREFETCH]


class Names:
    """What a broker calls itself and the client, and what stands for it."""

    def __init__(self, broker, c):
        own, peer = c.sock.getsockname(), c.sock.getpeername()
        self.node = broker.ask("GET", "/api/overview?columns=node").body["node"]
        self.port = peer[1]
        self.connection = "%s:%d -> %s:%d" % (own[:2] + peer[:2])
        cluster = broker.ask("GET", "/api/cluster-name").body["name"]
        self.swaps = [(re.escape(self.node), "node@host"), (re.escape(cluster), "cluster@host"), (r"\b%d\b" % own[1], "40000"),
                      (r"\b%d\b" % peer[1], "5672"),
                      (r"\b%s\b" % broker.address.rsplit(":", 1)[1], "15672")]

    def path(self, template):
        return template.format(node=api.quote(self.node), port=self.port,
                               connection=api.quote(self.connection))

    def plain(self, text):
        for pattern, name in self.swaps:
            text = re.sub(pattern, name, text)
        return text


def body_of(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def fetch(broker, c):
    """{request: [status, body]}, of each request."""
    names, answers = Names(broker, c), {}
    if not tap.eventually(lambda: settled(broker)):
        raise AssertionError("it does not tell of what was done")
    for template in sorted(REQUESTS, key=lambda request: not request.startswith("aliveness")):
        answer = broker.ask("GET", "/api/" + names.path(template))
        answers[template] = [answer.status, body_of(names.plain(answer.bytes.decode()))]
        if template == "aliveness-test/%2F":  # which leaves a queue in RabbitMQ
            broker.ask("DELETE", "/api/queues/%2F/aliveness-test")
    return answers


def answers_of(oracle):
    broker = api.Broker(oracle, ["rabbitmq_" + plugin for plugin in PLUGINS],
                        ["collect_statistics_interval = 500"])
    try:
        c = make(broker)
        try:
            return fetch(broker, c)
        finally:
            c.abort()
    finally:
        broker.close()


# ---- what is of the machine, or of the moment ----

MACHINE = re.compile(r"""
    rate | reductions | os_pid | uptime | processors | run_queue | context_switches | db_dir
    | (mem|disk|fd|sockets|proc)_(used|limit|total|free) | disk_free_limit
    | (io|mnesia|msg_store|queue_index)_\w+ | gc_\w+
    | (connection|channel)_(created|closed) | queue_(declared|created|deleted)
    | (rabbit|rabbitmq|management|product|erlang)(_full)?_version | cluster_name
    | connected_at | idle_since | (recv|send)_(oct|cnt|pend) | peer_port | password_hash | ok
    | consumer_(capacity|utilisation) | auth_attempts\w* | memory | rss | allocated | ip_address | backlog | net_ticktime
    """, re.X)
# In these everything is of the machine, and one item stands for all.
PARTS = re.compile(r"(memory|applications|log_files|config_files|garbage_collection|processes|"
                   r"backing_queue_status|client_properties|metrics_gc_queue_length|"
                   r"ra_open_file_metrics|churn_rates|ports)(\.|\[|$)")
# In a folder of others: how many messages there were.
COUNTS = re.compile(r"(messages|message_bytes|message_stats)|(^|\.)(timeout|channels|queues|exchanges|"
                    r"consumers|connections|consumer_capacity|consumer_utilisation)$")
LABELS = ("vhost", "name", "component", "user", "exchange", "source", "destination",
          "destination_type", "routing_key", "arguments", "protocol", "consumer_tag", "number",
          "properties")


def is_machine(place, others):
    last = re.split(r"[.\]]+", place)[-1]
    return (MACHINE.fullmatch(last) or PARTS.search(place)
            or others and COUNTS.search(place))


def kind_of(value):
    if value is None or isinstance(value, bool):
        return "null" if value is None else "flag"
    names = {int: "whole", float: "fraction", str: "text", list: "list", dict: "object"}
    return names[type(value)]


# ---- two answers ----

class Comparison:
    """Of one answer: (kind, place, what) of each difference, and how much was compared."""

    def __init__(self, others):
        self.found, self.keys, self.values, self.others = [], 0, 0, others

    def add(self, kind, place, what=""):
        self.found.append((kind, place or "-", what))

    def whole(self, theirs, ours, in_order):
        if theirs[0] != ours[0]:
            self.add("status", "", "%s, and %s there" % (ours[0], theirs[0]))
            return self
        self.in_order = in_order
        self.value("", theirs[1], ours[1])
        return self

    def value(self, place, theirs, ours):
        self.values += 1
        kinds = kind_of(theirs), kind_of(ours)
        if kinds == ("object", "object"):
            self.object(place, theirs, ours)
        elif kinds == ("list", "list"):
            self.list(place, theirs, ours)
        elif kinds[0] != kinds[1] and kinds != ("fraction", "whole"):
            self.add("type", place, "%r, and %r there" % (ours, theirs))
        elif theirs != ours and not is_machine(place, self.others):
            self.add("value", place, "%r, and %r there" % (ours, theirs))

    def object(self, place, theirs, ours):
        if place.endswith("_details") and "rate" in theirs:  # samples are left out
            theirs = {"rate": theirs["rate"]}
        for key in sorted(theirs):
            self.keys += 1
            inner = (place + "." if place else "") + key
            if key in ours:
                self.value(inner, theirs[key], ours[key])
            else:
                self.add("missing", inner, "%.100r" % (theirs[key],))
        for key in sorted(ours):
            if key not in theirs:
                self.add("more", (place + "." if place else "") + key, "%.100r" % (ours[key],))

    def list(self, place, theirs, ours):
        if PARTS.search(place):
            if theirs and ours:
                self.value(place + "[]", theirs[0], ours[0])
            return
        keys = [key for key in LABELS
                if all(key in item for item in theirs + ours if isinstance(item, dict))]
        sides = [{}, {}]
        for side, items in enumerate((theirs, ours)):
            for item in items:
                sides[side].setdefault(label_of(item, keys), []).append(item)
        if self.in_order and list(sides[0]) != list(sides[1]):
            self.add("value", place, "the order is %r, and %r there" % tuple(map(list, sides[::-1])))
        for label in dict.fromkeys(itertools.chain(*sides)):
            self.items(place, label, *(side.get(label, []) for side in sides))

    def items(self, place, label, theirs, ours):
        """Those of one label, in their order."""
        for one, other in itertools.zip_longest(theirs, ours, fillvalue=KeyError):
            if other is KeyError:
                self.add("missing", "%s[%s]" % (place, label))
            elif one is KeyError:
                self.add("more", "%s[%s]" % (place, label))
            else:
                self.value(place + "[]", one, other)


def label_of(item, keys):
    if isinstance(item, dict):
        item = ",".join(str(item[key]) for key in keys)
    return str(item).replace(" ", "_")


# ---- the differences that are wanted ----

class Wanted:
    def __init__(self, name, reason):
        self.name, self.reason, self.is_met = name, reason, False
        kind, path, place = name.split(" ")
        self.pattern = re.compile(" ".join([kind] + [
            ".*".join(re.escape(part) for part in glob.split("*")) for glob in (path, place)]))

    def meets(self, path, kind, place):
        is_this = self.pattern.fullmatch("%s /%s %s" % (kind, path, place)) is not None
        self.is_met |= is_this
        return is_this


def read_wanted():
    return [Wanted(name, reason) for name, reason in api.read_differences().items()
            if re.match("(%s) /" % "|".join(KINDS), name)]


# ---- where RabbitMQ's answers are ----

# What that broker and its client are called in there.
FOLDER_NAMES = [("research@localhost", "node@host"), ("research@vm", "cluster@host"), ("35672", "5672"),
                ("35673", "15672"), ("57304", "40000"),
                ("ctag2.10016ec1a8c1443e9a8450a032f78a9e", "first"),
                ("ctag2.ec4a2473da3d475296efa11bbfac48f9", "second")]


def of_folder(folder):
    """Those captured by somebody else."""
    answers = {}
    for template in REQUESTS:
        path = template.format(node="research@localhost", port=35672, connection="-")
        name = os.path.join(folder, re.sub("[/?&]", "_", path) + ".json")
        if os.path.exists(name):
            with open(name, encoding="utf-8") as file:
                first, _, body = file.read().partition("\n")
            for old, new in FOLDER_NAMES:
                body = body.replace(old, new)
            answers[template] = [int(first.split()[1]), json.loads(body)]
    return answers


def shortened(value, place=""):
    """Of lists in which one item stands for all, that."""
    if isinstance(value, dict):
        return {key: shortened(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in (value[:1] if PARTS.match(place) else value)]
    return value


def record(answers):
    with open(RECORD, "w", encoding="utf-8") as file:
        json.dump(shortened(answers), file, indent=1, sort_keys=True)
        file.write("\n")


def theirs_of(options):
    if options["folder"]:
        return of_folder(options["folder"])
    if options["rabbitmq"]:
        answers = answers_of(True)
        if options["record"]:
            record(answers)
        return answers
    with open(RECORD, encoding="utf-8") as file:
        return json.load(file)


# ---- the program ----

def register(theirs, ours, wanted, others):
    totals = {"answers": 0, "keys": 0, "values": 0, "differences": 0}

    def compare(t, template):
        result = Comparison(others or "_age=" in template).whole(theirs[template], ours[template], "sort=" in template)
        totals["answers"] += 1
        totals["keys"] += result.keys
        totals["values"] += result.values
        wrong = 0
        for kind, place, what in result.found:
            totals["differences"] += 1
            meeting = [one for one in wanted if one.meets(template, kind, place)]
            if not meeting:
                t.note("%s /%s %s: %s" % (kind, template, place, what))
                wrong += 1
        tap.equal(wrong, 0, "differences that are not listed")

    for template in theirs:
        tap.case("GET /api/" + template)(lambda t, template=template: compare(t, template))

    @tap.case("every difference that is listed is met")
    def _(t):
        t.note("%(answers)d answers, %(keys)d keys, %(values)d values compared; %(differences)d "
               "differences, " % totals + "of %d lines" % len(wanted))
        if not others:
            tap.equal([one.name for one in wanted if not one.is_met], [], "those that are not")


def main():
    options = {"folder": None, "rabbitmq": False, "record": False}
    for name in ("rabbitmq", "record"):
        if "--" + name in sys.argv:
            sys.argv.remove("--" + name)
            options[name] = True
    if "--folder" in sys.argv:
        at = sys.argv.index("--folder")
        options["folder"] = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    began = time.monotonic()
    theirs, ours = theirs_of(options), answers_of(False)
    register(theirs, ours, read_wanted(), bool(options["folder"]))
    print("# %.1f s to get the answers" % (time.monotonic() - began))
    tap.main()


if __name__ == "__main__":
    main()

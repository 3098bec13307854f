#!/usr/bin/python3
"""Rates and samples of the API: of queues, exchanges, channels, connections, the node and all together. The
broker looks at its counters every 200 ms, so that a case need not wait long. Output is TAP."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
import amqp  # noqa: E402
import service  # noqa: E402
import tap  # noqa: E402
from tap import case, check, equal, main  # noqa: E402

MESSAGES = 40


class Broker(api.Broker):
    def __init__(self, t):
        self.oracle, self.connection, self.differences, self.later = False, None, {}, []
        self.daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0",
                                    "--set", "collect_statistics_interval=200")
        self.uri, self.address = self.daemon.addresses()[:2]

    def get(self, path):
        answer = self.ask("GET", "/api/" + path)
        equal(answer.status, 200, "status of " + path)
        return answer.body


def start(t):
    broker = Broker(t)
    c = amqp.Connection(broker.uri)
    t.cleanup(c.close)
    c.open()
    c.channel(1)
    c.call(1, "confirm.select")
    return broker, c


def publish(c, queue, count=MESSAGES):
    """Returns when all are confirmed, which of one queue are in their order."""
    c.published = getattr(c, "published", 0) + count
    for _ in range(count):
        c.publish(1, queue, b"12345")
    while c.expect(1, "basic.ack").delivery_tag < c.published:
        pass


def rate(found, *path):
    for name in path:
        found = found.get(name, {})
    return found["rate"] if found else None


def rises_and_falls(broker, what, *path):
    """Within the time of a few looks."""
    check(tap.eventually(lambda: (rate(broker.get(what), *path) or 0) > 0), "a rate of %s: %r" % (what, path))
    check(tap.eventually(lambda: rate(broker.get(what), *path) == 0), "none any more of %s: %r" % (what, path))


@case("each of them has its rate, which falls when nothing happens any more")
def _(t):
    broker, c = start(t)
    c.call(1, "queue.declare", queue="q")
    own, peer = c.sock.getsockname(), c.sock.getpeername()
    name = api.quote("%s:%d -> %s:%d" % (own[:2] + peer[:2]))
    for what, path in (("queues/%2F/q", ("message_stats", "publish_details")),
                       ("overview", ("message_stats", "publish_details")),
                       ("overview", ("message_stats", "confirm_details")),
                       ("overview", ("queue_totals", "messages_details")),
                       ("exchanges/%2F/amq.default", ("message_stats", "publish_in_details")),
                       ("exchanges/%2F/amq.default", ("message_stats", "publish_out_details")),
                       ("channels/" + name + "%20(1)", ("message_stats", "confirm_details")),
                       ("connections/" + name, ("recv_oct_details",)),
                       ("queues/%2F/q", ("messages_ready_details",))):
        publish(c, "q")
        rises_and_falls(broker, what, *path)


@case("counts of a queue: as RabbitMQ names them, and those alone that mean something")
def _(t):
    broker, c = start(t)
    c.call(1, "queue.declare", queue="used")
    c.call(1, "queue.declare", queue="idle")
    publish(c, "used")
    c.channel(2)
    for _ in range(3):
        c.get("used", 2, no_ack=False)
    c.send(2, "basic.ack", delivery_tag=2, multiple=True)
    c.get("used", 2)
    c.get("idle", 2)
    stats = broker.get("queues/%2F/used")["message_stats"]
    equal({key: stats[key] for key in stats if not key.endswith("_details")},
          {"publish": MESSAGES, "ack": 2, "deliver": 0, "deliver_no_ack": 0, "get": 3, "get_no_ack": 1, "get_empty": 0,
           "deliver_get": 4, "redeliver": 0}, "of the one")
    equal(broker.get("queues/%2F/idle")["message_stats"]["get_empty"], 1, "of the other")
    c.call(1, "queue.declare", queue="new")
    check("message_stats" not in broker.get("queues/%2F/new"), "none where nothing has happened")
    light = broker.get("queues?disable_stats=true&enable_queue_totals=true")
    check(all("message_stats" not in queue and "messages" in queue for queue in light), light)
    stats = broker.get("overview")["message_stats"]
    equal((stats["publish"], stats["confirm"], stats["get"], stats["deliver_get"]), (MESSAGES, MESSAGES, 3, 4), "of all")
    stats = broker.get("channels")
    published = [one["message_stats"] for one in stats if one["number"] == 1][0]
    equal(sorted(key for key in published if not key.endswith("_details")),
          ["confirm", "drop_unroutable", "publish", "return_unroutable"], "of a publisher's channel")


@case("samples: newest first, at whole steps, and what they come to")
def _(t):
    broker, c = start(t)
    c.call(1, "queue.declare", queue="q")
    time.sleep(1.2)
    publish(c, "q")
    path = "queues/%2F/q?msg_rates_age=4&msg_rates_incr=1&lengths_age=4&lengths_incr=2"

    def found():
        details = broker.get(path)["message_stats"]["publish_details"]
        return details if details["samples"][0]["sample"] == MESSAGES else None

    details = tap.eventually(found)
    check(details, "the newest sample has all")
    samples = [one["sample"] for one in details["samples"]]
    times = [one["timestamp"] for one in details["samples"]]
    equal(len(samples), 5, "samples")
    check(all(at % 1000 == 0 for at in times) and times == sorted(times, reverse=True), times)
    check(abs(times[0] - time.time() * 1000) < 3000, "they are of now")
    equal(samples, sorted(samples, reverse=True), "they rise")
    equal(samples[-1], 0, "the oldest is of before")
    equal(details["rate"], samples[0] - samples[1], "the rate is that of the last step")
    equal(details["avg"], sum(samples) / 5, "the mean")
    equal(details["avg_rate"], (samples[0] - samples[-1]) / 4, "the mean rate")
    equal(len(broker.get(path)["messages_details"]["samples"]), 3, "samples of lengths")
    for query in ("msg_rates_age=60", "msg_rates_incr=5", "msg_rates_age=a&msg_rates_incr=5", "msg_rates_age=60&msg_rates_incr=0",
                  "msg_rates_age=999999999&msg_rates_incr=1"):
        details = broker.get("queues/%2F/q?" + query)["message_stats"]["publish_details"]
        check("samples" not in details and "rate" in details, query)


@case("of the node, and of what nothing has happened to")
def _(t):
    broker, c = start(t)
    node = broker.get("nodes")[0]["name"]
    path = "nodes/%s?node_stats_age=60&node_stats_incr=5" % node
    check(tap.eventually(lambda: broker.get(path)["mem_used_details"]["samples"][0]["sample"] > 0), "memory")
    found = broker.get(path)
    for name in ("mem_used", "fd_used", "io_sync_count", "connection_created"):
        equal(len(found[name + "_details"]["samples"]), 13, "samples of " + name)
    c.call(1, "queue.declare", queue="q")
    found = broker.get("queues/%2F/q?lengths_age=60&lengths_incr=5")
    equal({one["sample"] for one in found["messages_details"]["samples"]}, {0}, "of a queue that is idle")
    found = broker.get("overview?msg_rates_age=60&msg_rates_incr=5")
    equal(found["message_stats"], {}, "before the first message")


@case("lists by their rates, and columns of them")
def _(t):
    broker, c = start(t)
    for name in ("a", "b", "c"):
        c.call(1, "queue.declare", queue=name)
    publish(c, "b", 3)
    publish(c, "c", 30)
    found = broker.get("queues?sort=message_stats.publish&sort_reverse=true&columns=name,message_stats.publish_details.rate")
    equal([one["name"] for one in found], ["a", "c", "b"], "order, where nothing is more than any number")
    check(set(found[1]) == {"name", "message_stats"}, found[1])
    equal(list(found[1]["message_stats"]), ["publish_details"], "columns")


@case("after a reset rates and samples begin anew, and counters go on")
def _(t):
    broker, c = start(t)
    node = broker.get("overview")["node"]
    c.call(1, "queue.declare", queue="q")
    paths = ["overview", "queues/%2F/q"]

    def samples(path):
        """What was published, at whole seconds, the newest first."""
        found = broker.get(path + "?msg_rates_age=5&msg_rates_incr=1").get("message_stats", {})
        return [one["sample"] for one in found.get("publish_details", {}).get("samples", ())]

    for path in ("reset/none", "reset"):
        equal(broker.ask("GET", "/api/" + path).status, 405, "GET " + path)
    equal(broker.ask("DELETE", "/api/reset/none").status, 404, "another node")
    published = 0
    for path in ("reset", "reset/" + node):
        for _ in range(2):
            publish(c, "q")
            published += MESSAGES
            time.sleep(1.2)
        for what in paths:
            check(tap.eventually(lambda what=what: len(set(samples(what))) > 1 and samples(what)[0] == published),
                  "samples of %s before: %r" % (what, samples(what)))
        equal(broker.ask("DELETE", "/api/" + path).status, 204, path)
        for what in paths:
            equal(set(samples(what)), {published}, "samples of %s afterwards" % what)
            stats = broker.get(what)["message_stats"]
            equal((stats["publish"], rate(stats, "publish_details")), (published, 0), what)
    c.close()
    equal(broker.daemon.stop(), 0, "status")


@case("a queue of the same name begins anew")
def _(t):
    broker, c = start(t)
    c.call(1, "queue.declare", queue="q")
    publish(c, "q")
    check(tap.eventually(lambda: rate(broker.get("queues/%2F/q"), "message_stats", "publish_details")), "a rate")
    c.call(1, "queue.delete", queue="q")
    c.call(1, "queue.declare", queue="q")
    check("message_stats" not in broker.get("queues/%2F/q"), "nothing has happened to it")
    publish(c, "q", 5)
    equal(broker.get("queues/%2F/q")["message_stats"]["publish"], 5, "published")
    equal(broker.get("overview")["message_stats"]["publish"], MESSAGES + 5, "all together")
    c.close()
    equal(broker.daemon.stop(), 0, "status")


if __name__ == "__main__":
    main(jobs=2)

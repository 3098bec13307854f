"""Loads for what applications rely on beside plain queues: priorities, expiry, limits, dead
letters, requests, and exchanges that have to choose.

Each load is measured by a function of the bench, a broker and the sizes, and gives figures. In the
first round it is tried before with a small count, and what must come of it is looked at.
"""

import time

from perf import LINGER, LONG_LINGER, THREADS, Invalid

SMALL = ["--size", "16"]
PATTERNS = ["--exchange-type", "topic", "--binding-key", "*.%m.#", "--keys", "1000"]
LENGTH_MAX = 1000
RABBITMQ_PLUGINS = ["rabbitmq_consistent_hash_exchange"]


def figures(said, rate="consumed_per_s"):
    return {"rate": said[rate], "cpu": said["broker_us_per_message"],
            "saturated": said["saturated"]}


def through(*options):
    """From a producer to a consumer; every message comes."""
    def measure(bench, broker, sizes):
        # How many copies a topic exchange makes is not known to leveretperf: it waits for more.
        linger = LINGER if "topic" in options else LONG_LINGER
        load = ["throughput", *SMALL, *named(bench, options), *linger]
        if bench.first_round:
            bench.perf(broker, [*load, "--verify", "--count", str(sizes.verify)])
        return figures(bench.perf(broker, [*load, *THREADS, "--duration", str(sizes.seconds)]))
    return measure


def alone(left, *options):
    """A producer, and nobody who reads. `left`: the messages that its queue still has a moment
    later, however many there were; None: there are no such queues."""
    def measure(bench, broker, sizes):
        load = ["throughput", *SMALL, *named(bench, options), "--linger", "60", "--consumers", "0"]
        if bench.first_round and left is not None:
            bench.perf(broker, [*load, "--keep", "--count", str(max(sizes.verify, 2 * LENGTH_MAX))])
            look_for(bench, broker, bench.pattern, left)
            bench.perf(broker, ["queue-count", "--hold", "0", *options])  # it is deleted
        return figures(bench.perf(broker, [*load, *THREADS, "--duration", str(sizes.seconds)]),
                       "published_per_s")
    return measure


def drained(*options):
    """A queue is filled, and emptied at once."""
    def measure(bench, broker, sizes):
        load = ["backlog", *SMALL, *options, *LONG_LINGER, "--hold", "0"]
        if bench.first_round:
            bench.perf(broker, [*load, "--verify", "--count", str(sizes.verify)])
        said = bench.perf(broker, [*load, *THREADS, "--count", str(sizes.backlog // 10)])
        return {"rate": said["drain_consumed_per_s"], "cpu": said["drain_broker_us_per_message"],
                "saturated": said["saturated"]}
    return measure


def rejected(bench, broker, sizes):
    """A consumer rejects whatever it gets; the letters go to a queue that keeps the last ones."""
    letters = bench.pattern.replace("%d", "letters-%d")
    kept = ["queue-count", "--hold", "0", "--queue-pattern", letters, "--queue-args",
            "x-max-length=%d" % sizes.verify]
    dead = ["--queue-args",
            "x-dead-letter-exchange=,x-dead-letter-routing-key=" + letters.replace("%d", "0")]
    load = ["throughput", *SMALL, *LONG_LINGER, "--reject", "--prefetch", "500", *dead]
    bench.perf(broker, [*kept, "--keep"])
    if bench.first_round:
        # The queue stays: it could be deleted before the last rejections have come.
        bench.perf(broker, [*load, "--verify", "--count", str(sizes.verify), "--keep"])
        look_for(bench, broker, letters, sizes.verify)
        bench.perf(broker, ["queue-count", "--hold", "0", *dead])
    said = bench.perf(broker, [*load, *THREADS, "--duration", str(sizes.seconds)])
    bench.perf(broker, kept)
    return figures(said)


def requests(clients):
    """Round trips through direct reply-to: `clients` wait for one reply each."""
    def measure(bench, broker, sizes):
        said = bench.perf(broker, ["request-reply", *SMALL, "--connections", str(clients),
                                   "--duration", str(sizes.seconds)])
        return {"rate": said["rounds_per_s"], "cpu": said["broker_us_per_round"],
                "p50": said["round_p50_ms"], "p99": said["round_p99_ms"]}
    return measure


def named(bench, options):
    """With an exchange of their own, when they speak of one."""
    exchange = bench.pattern.replace("%d", "exchange")
    return [*options, *(["--exchange", exchange] if "--exchange-type" in options else [])]


def look_for(bench, broker, pattern, wanted):
    """So many messages must be in the queue, or come to it, and no more; they are taken."""
    time.sleep(0.5)
    take = ["throughput", "--producers", "0", "--passive", "--queue-pattern", pattern]
    found = 0
    if wanted:
        found = bench.perf(broker, [*take, *LONG_LINGER, "--count", str(wanted)])["consumed"]
    found += bench.perf(broker, [*take, "--duration", "0.5"])["consumed"]
    if found != wanted:
        raise Invalid("the queue has %d messages instead of %d" % (found, wanted))


RATE, REQUESTS = ("rate", "cpu"), ("rate", "cpu", "p50", "p99")

# (row, title, the figures that it has, how it is measured)
LOADS = (
    ("priorities", "x-max-priority 10, messages of all levels in turn, end to end", RATE,
     through("--priorities", "10", "--queue-args", "x-max-priority=10")),
    ("priorities-drain", "drain a backlog of all levels", RATE,
     drained("--priorities", "10", "--queue-args", "x-max-priority=10")),
    ("ttl-queue", "x-message-ttl of a minute, end to end", RATE,
     through("--queue-args", "x-message-ttl=60000")),
    ("ttl-message", "expiration of a minute on each message, end to end", RATE,
     through("--properties", "expiration=60000")),
    ("ttl-expired", "x-message-ttl of 100 ms, nobody reads: all expire", RATE,
     alone(0, "--queue-args", "x-message-ttl=100")),
    ("max-length", "x-max-length 1,000, drop-head, nobody reads", RATE,
     alone(LENGTH_MAX, "--queue-args", "x-max-length=%d" % LENGTH_MAX)),
    ("reject", "all rejected one by one, dead letters to a queue that keeps the last", RATE,
     rejected),
    ("hash", "consistent hash over 10 queues, 1,000 keys in turn", RATE,
     through("--exchange-type", "x-consistent-hash", "--binding-key", "1", "--queues", "10",
             "--routing-key", "key.%m", "--keys", "1000")),
    ("topic", "1,000 topic patterns, each key matches one", RATE,
     through(*PATTERNS, "--routing-key", "order.%m.new.eu")),
    ("topic-none", "1,000 topic patterns, no key matches", RATE,
     alone(None, *PATTERNS, "--routing-key", "order.%m-old.new.eu")),
    ("request-1", "request and reply through direct reply-to, one client", REQUESTS, requests(1)),
    ("request-10", "the same, 10 clients side by side", REQUESTS, requests(10)),
)

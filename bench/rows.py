"""What is measured: the rows of the table, and the steps that measure them.

A step runs on one broker and gives figures for one row or several. Steps belong to a stage, which
says how brokers are kept while they run:

    shared   all brokers run; each step is done on each broker in turn
    backlog  one broker at a time, started anew
    queues   the same
    turns    the same, for brokers that tell how long their turns are
    tls      all brokers run, and listen for TLS as well
"""

from collections import namedtuple

import brokers
import features
import turns
from perf import LINGER, LONG_LINGER, THREADS, Invalid

# `more`: whether more is better. `target`: what is wanted of Leveret, or a function of the machine.
Figure = namedtuple("Figure", "name label unit more target")
Row = namedtuple("Row", "name title step figures")
Step = namedtuple("Step", "name stage run")

Sizes = namedtuple("Sizes", "seconds verify backlog queues connections latency_s warmup_s hold")
FULL = Sizes(2.5, 20000, 1000000, 10000, 1000, 6, 1, 5)
QUICK = Sizes(0.3, 2000, 20000, 200, 100, 0.6, 0.1, 0.2)



def number(count):
    """1000000 as '1 M', 10000 as '10,000'."""
    if count % 1000000 == 0:
        return "%d M" % (count // 1000000)
    return "{:,}".format(count)


# ---- throughput: (row, title, options, messages a second, microseconds of the broker each) ----

PERSISTENT = ["--persistent"]
CONFIRMED = ["--persistent", "--ack-every", "1", "--prefetch", "500", "--confirm"]

LOADS = (
    ("small", "16 B transient, auto-ack, 1 producer, 1 consumer, end to end",
     ["--size", "16"], 6e6, 0.15),
    ("kib", "1 KiB transient, end to end", ["--size", "1024"], 1.2e6, 0.55),
    ("kib-persistent", "1 KiB persistent, no confirms, end to end",
     ["--size", "1024", *PERSISTENT], 700e3, 1.0),
    ("confirm-500", "1 KiB persistent, confirms (window 500), ack each, prefetch 500",
     ["--size", "1024", *CONFIRMED, "500"], 400e3, 1.5),
    ("confirm-100", "the same, window 100", ["--size", "1024", *CONFIRMED, "100"], 250e3, 2.0),
    ("confirm-1", "100 B persistent, one confirm outstanding",
     ["--size", "100", *CONFIRMED, "1"], lambda machine: machine.one_by_one / 1.3, None),
    ("four", "four producers, consumers and queues, 16 B",
     ["--size", "16", "--producers", "4", "--consumers", "4", "--queues", "4"], 2e6, 0.2),
)

TLS_LOADS = (
    ("small-tls", "16 B transient over TLS", ["--size", "16"], None, None),
    ("kib-tls", "1 KiB transient over TLS", ["--size", "1024"], None, None),
)


def rates(rate, cpu):
    return (Figure("rate", "messages/s", "/s", True, rate),
            Figure("cpu", "broker CPU, µs/message", "µs", False, cpu))


def load_step(name, options, sizes, tls=False):
    def run(bench, broker):
        if tls and not broker.tls_uri:
            return {}
        uri = broker.tls_uri if tls else broker.uri
        trust = bench.trust if tls else []
        if bench.first_round:
            bench.perf(broker, ["throughput", *options, *trust, *LINGER, "--verify", "--count",
                                str(count_to_verify(options, sizes))], uri=uri)
        said = bench.perf(broker, ["throughput", *options, *trust, *THREADS, *LINGER,
                                   "--duration", str(sizes.seconds)], uri=uri)
        return {name: {"rate": said["consumed_per_s"], "cpu": said["broker_us_per_message"],
                       "saturated": said["saturated"]}}
    return Step(name, "tls" if tls else "shared", run)


def count_to_verify(options, sizes):
    one_by_one = "--confirm" in options and options[options.index("--confirm") + 1] == "1"
    return sizes.verify // 20 if one_by_one else sizes.verify


def load_rows(sizes):
    for loads, tls in (LOADS, False), (TLS_LOADS, True):
        for name, title, options, rate, cpu in loads:
            yield Row(name, title, load_step(name, options, sizes, tls), rates(rate, cpu))


# ---- features ----

FEATURE_FIGURES = {
    "rate": Figure("rate", "messages/s", "/s", True, None),
    "cpu": Figure("cpu", "broker CPU, µs/message", "µs", False, None),
    "p50": Figure("p50", "p50, ms", "ms", False, None),
    "p99": Figure("p99", "p99, ms", "ms", False, None),
}


def feature_step(name, measure, sizes):
    return Step(name, "shared", lambda bench, broker: {name: measure(bench, broker, sizes)})


def feature_rows(sizes):
    for name, title, names, measure in features.LOADS:
        yield Row(name, title, feature_step(name, measure, sizes),
                  tuple(FEATURE_FIGURES[figure] for figure in names))


# ---- latency ----

def latency_step(name, options, sizes):
    def run(bench, broker):
        said = bench.perf(broker, ["latency", "--rate", "1000", "--size", "16", "--verify",
                                   *options, *LINGER, "--duration", str(sizes.latency_s),
                                   "--warmup", str(sizes.warmup_s)])
        found = {name: {"p50": said["latency_p50_ms"], "p99": said["latency_p99_ms"],
                        "saturated": said["saturated"]}}
        if "confirm_p50_ms" in said:
            found["latency-confirm"] = {"p50": said["confirm_p50_ms"],
                                        "p99": said["confirm_p99_ms"],
                                        "saturated": said["saturated"]}
        return found
    return Step(name, "shared", run)


def latency_rows(sizes):
    transient = latency_step("latency", [], sizes)
    persistent = latency_step("latency-persistent", [*CONFIRMED, "500"], sizes)
    for name, title, step, p50, p99 in (
            ("latency", "latency end to end at 1,000/s, transient", transient, 0.05, 0.2),
            ("latency-persistent", "the same, persistent with confirms", persistent, 0.18, 0.6),
            ("latency-confirm", "its confirms", persistent, None, None)):
        yield Row(name, title, step, (Figure("p50", "p50, ms", "ms", False, p50),
                                      Figure("p99", "p99, ms", "ms", False, p99)))


# ---- a broker that was just started ----

def fresh_step(sizes):
    """Start, memory of an idle broker and of idle connections; before anything else is done."""
    def run(bench, broker):
        found = {}
        if broker.owned:
            found["start"] = {"time": bench.started[broker.name] * 1000}
            bench.rest(sizes.hold)
            found["idle"] = {"memory": brokers.rss_mib(broker.pid)}
        said = bench.perf(broker, ["connection-count", "--connections", str(sizes.connections),
                                   "--hold", str(sizes.hold)])
        if said["connections"] != sizes.connections:
            raise Invalid("%d connections of %d" % (said["connections"], sizes.connections))
        found["connections"] = {"memory": said["broker_kib_each"]}
        return found
    return Step("fresh", "shared", run)


def fresh_rows(sizes):
    step = fresh_step(sizes)
    yield Row("idle", "resident memory, idle", step,
              (Figure("memory", "MiB", "MiB", False, 6),))
    yield Row("connections", "per idle connection with a channel (of %s)" %
              number(sizes.connections), step, (Figure("memory", "KiB", "KiB", False, 4),))
    yield Row("start", "start to accepting, empty", step,
              (Figure("time", "ms", "ms", False, 10),))


# ---- backlog ----

def backlog_step(sizes):
    """Fills a queue nobody reads, rests, reads the memory, and drains it."""
    options = ["backlog", "--size", "100"]

    def run(bench, broker):
        if bench.first_round:
            bench.perf(broker, [*options, *LONG_LINGER, "--verify", "--hold", "0", "--count",
                                str(sizes.verify)])
        said = bench.perf(broker, [*options, *LONG_LINGER, *THREADS, "--hold", str(sizes.hold),
                                   "--count", str(sizes.backlog)])
        return {"fill": {"rate": said["fill_published_per_s"],
                         "cpu": said["fill_broker_us_per_message"],
                         "saturated": said["saturated"]},
                "drain": {"rate": said["drain_consumed_per_s"],
                          "cpu": said["drain_broker_us_per_message"],
                          "saturated": said["saturated"]},
                "memory-queued": {"memory": said["rest_broker_rss_mib"]}}
    return Step("backlog", "backlog", run)


def drain_step(sizes):
    """The same without the rest."""
    def run(bench, broker):
        said = bench.perf(broker, ["backlog", "--size", "100", *LONG_LINGER, *THREADS,
                                   "--hold", "0", "--count", str(sizes.backlog)])
        return {"drain-now": {"rate": said["drain_consumed_per_s"],
                              "cpu": said["drain_broker_us_per_message"],
                              "saturated": said["saturated"]}}
    return Step("drain-now", "backlog", run)


def rest_step(sizes):
    """Fills a queue nobody reads; what that takes, and what the rest after it takes."""
    def run(bench, broker):
        began = brokers.processor_seconds(broker.pid)
        said = bench.perf(broker, ["throughput", "--size", "100", *THREADS, "--consumers", "0",
                                   "--keep", "--count", str(sizes.backlog)])
        memory, filled = brokers.rss_mib(broker.pid), brokers.processor_seconds(broker.pid)
        bench.rest(sizes.hold)
        rested = brokers.processor_seconds(broker.pid)
        bench.perf(broker, ["throughput", "--consumers", "0", "--purge", "--count", "1"])  # deletes it
        if said["published"] != sizes.backlog:
            raise Invalid("%d messages of %d" % (said["published"], sizes.backlog))
        return {"fill-rest": {"cpu": (rested - began) / sizes.backlog * 1e6,
                              "rest": (rested - filled) / sizes.backlog * 1e6,
                              "memory": memory}}
    return Step("fill-rest", "backlog", run)


def persistent_step(sizes):
    options = ["backlog", "--size", "100", *PERSISTENT]

    def run(bench, broker):
        if bench.first_round:
            bench.perf(broker, [*options, *LONG_LINGER, "--verify", "--hold", "0", "--count",
                                str(sizes.verify)])
        said = bench.perf(broker, ["throughput", *options[1:], *THREADS, "--consumers", "0",
                                   "--count", str(sizes.backlog)])
        if said["published"] != sizes.backlog:
            raise Invalid("%d messages of %d" % (said["published"], sizes.backlog))
        return {"fill-persistent": {"rate": said["published_per_s"],
                                    "cpu": said["broker_us_per_message"],
                                    "saturated": said["saturated"]}}
    return Step("fill-persistent", "backlog", run)


def backlog_rows(sizes):
    step, count = backlog_step(sizes), number(sizes.backlog)
    yield Row("fill", "publish %s x 100 B to a queue nobody reads" % count, step,
              rates(4e6, 0.22))
    yield Row("fill-persistent", "the same, persistent", persistent_step(sizes), rates(3e6, 0.32))
    yield Row("fill-rest", "that, and five seconds' rest", rest_step(sizes),
              (Figure("cpu", "broker CPU, µs/message", "µs", False, None),
               Figure("rest", "of that in the rest, µs/message", "µs", False, 0.056),
               Figure("memory", "MiB before it", "MiB", False, None)))
    yield Row("drain-now", "drain it (transient) at once", drain_step(sizes), rates(6e6, 0.15))
    yield Row("drain", "drain it after five seconds' rest", step, rates(6e6, 0.15))
    yield Row("memory-queued", "memory with %s x 100 B queued" % count, step,
              (Figure("memory", "MiB", "MiB", False, 20),))


# ---- many queues ----

def queues_step(sizes):
    """Declares durable queues one after the other, rests, restarts the broker, looks for them;
    binds and deletes them."""
    def run(bench, broker):
        options = ["queue-count", "--durable", "--queues", str(sizes.queues), "--hold",
                   str(sizes.hold)]
        said = bench.perf(broker, [*options, *(["--keep"] if broker.owned else [])], seconds=600)
        if said["queues"] != sizes.queues:
            raise Invalid("%d queues of %d" % (said["queues"], sizes.queues))
        found = {"declare": {"time": said["seconds"]},
                 "memory-queues": {"memory": said["broker_rss_mib"]}}
        if broker.owned:
            broker.stop()
            found["restart"] = {"time": broker.start(fresh=False)}
            look_for_queues(bench, broker, sizes.queues)
        said = bench.perf(broker, [*options, "--exchange", "amq.direct"], seconds=600)
        found["bind"] = {"rate": said["bound_per_s"]}
        found["delete"] = {"rate": said["deleted_per_s"]}
        return found
    return Step("queues", "queues", run)


def look_for_queues(bench, broker, count):
    """The first and the last one must still be there, and work."""
    for index in 0, count - 1:
        bench.perf(broker, ["throughput", "--passive", "--durable", "--queue-from", str(index),
                            "--count", "10", "--verify", "--queue-pattern", bench.pattern])


def queues_rows(sizes):
    step, count = queues_step(sizes), number(sizes.queues)
    yield Row("memory-queues", "memory with %s durable queues" % count, step,
              (Figure("memory", "MiB", "MiB", False, 30),))
    yield Row("declare", "%s durable queues declared one after the other" % count, step,
              (Figure("time", "s", "s", False, 2),))
    for name, title in ("bind", "bind them"), ("delete", "delete them"):
        yield Row(name, title + ", one after the other", step,
                  (Figure("rate", "queues/s", "/s", True, None),))
    yield Row("restart", "restart with them", step, (Figure("time", "s", "s", False, 0.1),))


# ---- the longest turn ----

def turns_step(name, load, counts):
    def run(bench, broker):
        del bench
        return {name: turns.measure(broker, load, counts)} if broker.tells_turns else {}
    return Step(name, "turns", run)


def turns_rows(sizes):
    for name, title, load, full, quick in turns.LOADS:
        step = turns_step(name, load, quick if sizes is QUICK else full)
        yield Row(name, "longest turn: " + title, step,
                  (Figure("turn", "turn, ms", "ms", False, 20),
                   Figure("ping", "longest ping beside, ms", "ms", False, None)))


# ---- all ----

ORDER = ("small", "fill", "fill-persistent", "fill-rest", "drain-now", "drain", "kib",
         "kib-persistent", "confirm-500", "confirm-100", "confirm-1", "four", "small-tls", "kib-tls",
         *(load[0] for load in features.LOADS), "latency", "latency-persistent",
         "latency-confirm", "idle", "connections", "memory-queued", "memory-queues", "declare",
         "bind", "delete", "restart", "start", *(load[0] for load in turns.LOADS))
STAGES = ("shared", "backlog", "queues", "tls", "turns")


def all_rows(sizes):
    rows = {row.name: row for rows in (load_rows, feature_rows, latency_rows, fresh_rows,
                                       backlog_rows, queues_rows, turns_rows) for row in rows(sizes)}
    assert set(rows) == set(ORDER)
    return [rows[name] for name in ORDER]


def steps_of(rows, stage):
    """Each step once. Fresh brokers are looked at first."""
    steps = {row.step.name: row.step for row in rows if row.step.stage == stage}
    return sorted(steps.values(), key=lambda step: step.name != "fresh")

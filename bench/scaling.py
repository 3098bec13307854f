"""How the broker's processor time for a message grows with what is there in number.

Each curve has a broker of its own. What there are many of is made first; then messages of 16 bytes
go through, and only those are counted. The curves are to be flat. For bindings, instructions are
counted as well, by a broker under callgrind, if valgrind is there.
"""

import json
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections import namedtuple

import turns
from brokers import BrokerError, Leveret
from perf import Invalid, leveretperf

Point = namedtuple("Point", "number cpu least most rate")
Curve = namedtuple("Curve", "name title points")

NUMBERS = (1, 10, 100, 1000, 10000)
BINDINGS = (10, 100, 1000, 10000, 100000)
DEPTHS = (0, 10000, 100000, 1000000, 10000000)
QUICK_NUMBERS = (1, 10, 100)
QUICK_BINDINGS = (10, 100, 1000)
QUICK_DEPTHS = (0, 1000, 10000)

LOAD = ["throughput", "--size", "16", "--threads", "2"]
DEEP = "leveret-deep-%d"
SETUP_SECONDS = 180

# By the type of an exchange: options of those who publish to it, or read from it.
BOUND = {
    "topic": ["--binding-key", "order.*.hot.#", "--routing-key", "order.%m.hot.eu", "--keys",
              "100"],
    "headers": ["--binding-args", "x-match=all,kind=order,of=hot", "--routing-key", "", "--header",
                "kind=order,of=hot"],
}


def cold(kind, queue, name, number):
    """A binding that does not match, and is alike to the one that does."""
    of = b"cold-%d" % number
    if kind == "topic":
        return turns.bind(queue, name, b"order.*.%s.#" % of)
    return turns.bind(queue, name, b"", turns.text_field(b"kind", b"order") +
                      turns.text_field(b"of", of) + turns.text_field(b"x-match", b"all"))


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid) as stat:
        return sum(int(word) for word in stat.read().rpartition(")")[2].split()[11:13])


def make_bindings(broker, kind, before, number):
    """So many, of which there were some before."""
    client, name, queue = turns.Client(broker.address()), b"leveret-" + kind.encode(), b"leveret-cold"
    client.call(turns.exchange(name, kind.encode()), 40, 11)
    client.call(turns.declare(queue), 50, 11)
    for first in range(before, number, 1000):
        client.send(b"".join(cold(kind, queue, name, at)
                             for at in range(first, min(first + 1000, number))))
    client.settle(queue)
    client.close()


class Scaling:
    def __init__(self, program, broker, quick, say):
        self.program, self.broker, self.say = program, broker, say
        self.repeats = 1 if quick else 3
        self.seconds = "0.2" if quick else "1"
        self.deep_count = 20000 if quick else 200000
        self.numbers = QUICK_NUMBERS if quick else NUMBERS
        self.depths = QUICK_DEPTHS if quick else DEPTHS
        self.counted_messages, self.patience = (500, "1") if quick else (5000, "3")
        self.many = QUICK_BINDINGS if quick else BINDINGS
        self.many_counted = self.many[:1] if quick else self.many
        self.curves, self.problems = [], []
        self.instructions = {}  # by curve: {number: instructions for a message}

    def run(self):
        for name, title, numbers, measure in (
                ("queues", "queues, messages to each in turn", self.numbers, self.queues),
                ("queues-idle", "queues, messages to one of them", self.numbers, self.idle_queues),
                ("connections", "idle connections beside", self.numbers, self.idle_connections),
                ("topic", "topic bindings that do not match", self.numbers, self.topic),
                ("direct", "direct bindings that do not match", self.numbers, self.direct),
                ("topic-one", "topic bindings of one queue that do not match", self.many,
                 self.topic_bindings),
                ("headers", "headers bindings of one queue that do not match", self.many,
                 self.headers_bindings),
                ("consumers-idle", "consumers of other queues", self.numbers, self.idle_consumers),
                ("consumers", "consumers of the queue, in turn", self.numbers, self.consumers),
                ("backlog", "messages in the queue, publish + consume (none: at 1)", self.depths,
                 self.backlog)):
            self.run_curve(Curve(name, title, []), numbers, measure)
        if shutil.which("valgrind"):
            for name, kind in ("topic-one", "topic"), ("headers", "headers"):
                self.instructions[name] = self.count(kind)

    def run_curve(self, curve, numbers, measure):
        self.curves.append(curve)
        try:
            self.broker.start()
            before = 0
            for number in numbers:
                costs = measure(before, number)
                middle = statistics.median(cpu for cpu, _ in costs)
                curve.points.append(Point(number, middle, min(costs)[0], max(costs)[0],
                                          statistics.median(rate for _, rate in costs)))
                self.say("  %-12s %9d  %.3f us a message" % (curve.name, number, middle))
                before = number
        except (Invalid, BrokerError, OSError, KeyError) as error:
            self.problems.append("%s: %s" % (curve.name, error))
        finally:
            self.stop()

    def stop(self):
        try:
            self.broker.stop()
        except BrokerError as error:
            self.problems.append(str(error))

    # -- the parts --

    def perf(self, *arguments, seconds=SETUP_SECONDS):
        return leveretperf(self.program, self.broker.uri, arguments, self.broker.pid, seconds)

    def costs(self, *arguments):
        """(microseconds of the broker for a message, messages a second) of each repeat."""
        found = []
        for _ in range(self.repeats):
            said = self.perf(*LOAD, "--duration", self.seconds, *arguments)
            found.append((said["broker_us_per_message"], said["consumed_per_s"]))
        return found

    def queues(self, _, number):
        return self.costs("--queues", str(number))

    def idle_queues(self, before, number):
        """All but the one that is used."""
        if number - 1 > before:
            self.perf("queue-count", "--keep", "--hold", "0", "--queues", str(number - 1 - before),
                      "--queue-from", str(before), "--queue-pattern", "leveret-idle-%d")
        return self.costs()

    def idle_connections(self, _, number):
        return self.costs_beside(["connection-count", "--connections", str(number), "--hold",
                                  "600"], number)

    def idle_consumers(self, _, number):
        """All on one connection, each with a queue."""
        return self.costs_beside(["throughput", "--producers", "0", "--queues", str(number),
                                  "--queue-pattern", "leveret-idle-%d", "--duration", "600"], 1)

    def costs_beside(self, arguments, connections):
        """While another leveretperf holds so many connections, and does nothing any more."""
        process = subprocess.Popen([self.program, *arguments, "--uri", self.broker.uri, "--quiet"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            self.wait_for_rest(connections, process)
            return self.costs()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()

    def wait_for_rest(self, connections, process):
        deadline = time.monotonic() + SETUP_SECONDS
        folder, before = "/proc/%d/fd" % self.broker.pid, -1
        while True:
            time.sleep(0.4)
            now = cpu_ticks(self.broker.pid)
            if len(os.listdir(folder)) >= connections and now == before:
                return
            if process.poll() is not None or time.monotonic() > deadline:
                raise Invalid("what is to be idle was not made")
            before = now

    def topic(self, before, number):
        # How many copies a topic exchange makes is not known to leveretperf: it waits for more.
        return self.bindings("topic", before, number, ["--binding-key", "cold.%q.*.x"],
                             ["--binding-key", "hot.*", "--routing-key", "hot.%m", "--keys", "100",
                              "--linger", "0.5"])

    def direct(self, before, number):
        """Keys are the names of the ten queues that are published to in turn."""
        return self.bindings("direct", before, number, ["--binding-key", "cold.%q"],
                             ["--queues", "10"])

    def bindings(self, kind, before, number, cold, hot):
        exchange = ["--exchange", "leveret-" + kind, "--exchange-type", kind, "--keep"]
        self.perf("throughput", *exchange, "--queues", str(number - before), "--queue-from",
                  str(before), "--queue-pattern", "leveret-cold-%d", *cold, "--consumers", "0",
                  "--count", "1", "--routing-key", "nowhere")
        return self.costs(*exchange, "--queue-pattern", "leveret-hot-%d", *hot)

    def topic_bindings(self, before, number):
        return self.bound("topic", before, number)

    def headers_bindings(self, before, number):
        return self.bound("headers", before, number)

    def bound(self, kind, before, number):
        make_bindings(self.broker, kind, before, number)
        return self.costs(*self.to_bound(kind))

    @staticmethod
    def to_bound(kind):
        # How many copies there will be is not known to leveretperf: it waits for more.
        return ["--exchange", "leveret-" + kind, "--exchange-type", kind, "--keep",
                "--queue-pattern", "leveret-hot-%d", *BOUND[kind], "--linger", "0.5"]

    def count(self, kind):
        """Instructions for a message by the number of bindings: what twice as many cost more."""
        out = os.path.join(os.path.dirname(self.broker.work), "callgrind.out")
        broker = Leveret(self.broker.program, os.path.dirname(self.broker.work), None, prefix=[
            "valgrind", "--tool=callgrind", "--callgrind-out-file=" + out])
        found, before = {}, 0
        try:
            broker.start()
            for number in self.many_counted:
                make_bindings(broker, kind, before, number)
                once, twice = (self.counted(broker, kind, out, times) for times in (1, 2))
                found[number], before = (twice - once) / self.counted_messages, number
                self.say("  %-12s %9d  %.0f instructions a message" % (kind, number,
                                                                       found[number]))
        except (Invalid, BrokerError, OSError, subprocess.SubprocessError) as error:
            self.problems.append("instructions of %s: %s" % (kind, error))
        finally:
            broker.close()
        return found

    def counted(self, broker, kind, out, times):
        """Instructions of a load with so many times the messages."""
        control = ["callgrind_control", "--%s", str(broker.pid)]
        run = {"check": True, "timeout": SETUP_SECONDS, "stdout": subprocess.DEVNULL,
               "stderr": subprocess.DEVNULL}
        subprocess.run([word.replace("%s", "zero") for word in control], **run)
        leveretperf(self.program, broker.uri,
                    [*LOAD, *self.to_bound(kind), "--timeout-ms", "120000", "--count",
                     str(times * self.counted_messages), "--linger", self.patience], None, SETUP_SECONDS)
        subprocess.run([word.replace("%s", "dump=counted") for word in control], **run)
        total = 0
        for path in glob.glob(out + ".*"):
            with open(path, encoding="utf-8", errors="replace") as text:
                total += sum(int(each) for each in re.findall(r"^summary: (\d+)", text.read(), re.M))
            os.unlink(path)
        if not total:
            raise Invalid("callgrind told nothing")
        return total

    def consumers(self, _, number):
        return self.costs("--consumers", str(number))

    def backlog(self, before, number):
        """Publishing to and consuming from a queue that holds so many before and after."""
        if before == 0 and number == 0:
            self.perf("queue-count", "--keep", "--queues", "1", "--hold", "0", "--queue-pattern",
                      DEEP)
        if number > before:
            self.publish(number - before)
        found = []
        for _ in range(self.repeats):
            into = self.publish(self.deep_count)
            out = self.perf(*LOAD, "--producers", "0", "--passive", "--queue-pattern", DEEP,
                            "--count", str(self.deep_count), "--ack-every", "100", "--prefetch",
                            "1000")
            found.append((into["broker_us_per_message"] + out["broker_us_per_message"],
                          out["consumed_per_s"]))
        return found

    def publish(self, count):
        said = self.perf(*LOAD, "--queues", "0", "--consumers", "0", "--count", str(count),
                         "--routing-key", DEEP.replace("%d", "0"))
        if said["published"] != count:
            raise Invalid("%d messages of %d" % (said["published"], count))
        return said

    # -- what came of it --

    def instructions_lines(self):
        if not self.instructions:
            return
        yield "| instructions of the broker for a message | %s |" % " | ".join(
            "{:,}".format(number) for number in self.many_counted)
        yield "| --- |" + " ---: |" * len(self.many_counted)
        for curve in self.curves:
            if curve.name in self.instructions:
                counted = self.instructions[curve.name]
                yield "| %s | %s |" % (curve.title, " | ".join(
                    "{:,.0f}".format(counted[number]) if number in counted else ""
                    for number in self.many_counted))
        yield ""

    def markdown(self, machine):
        lines = ["| microseconds of the broker for a message | %s |" % " | ".join(
            "{:,}".format(number) for number in self.all_numbers())]
        lines += ["| --- |" + " ---: |" * len(self.all_numbers())]
        for curve in self.curves:
            by_number = {point.number: "%.3f" % point.cpu for point in curve.points}
            lines += ["| %s | %s |" % (curve.title, " | ".join(
                by_number.get(number, "") for number in self.all_numbers()))]
        lines += ["", *self.instructions_lines(), "| machine | |", "| --- | --- |"]
        lines += ["| %s | %s |" % line for line in machine.lines()]
        for problem in self.problems:
            lines += ["", "**INVALID**: " + problem]
        return "\n".join(lines) + "\n"

    def all_numbers(self):
        return sorted(set(self.numbers) | set(self.depths) | set(self.many))

    def json(self):
        return json.dumps({"curves": [{"name": curve.name, "title": curve.title,
                                       "points": [point._asdict() for point in curve.points]}
                                      for curve in self.curves],
                           "instructions": self.instructions, "problems": self.problems}, indent=1) + "\n"

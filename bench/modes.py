"""leveretperf in every mode and with every option, once on each broker: was it reached?

Each load below is one run with a count or a time that is bounded. What came of it is judged by
leveretperf itself, and its counts are added up here once more. The figures are of one short run:
they say what is measured, and `bench/run` measures.
"""

import json
import os
import shlex
import socket
import subprocess
import threading

from brokers import BrokerError
from results import value_text

TIMEOUT_SECONDS = 60
SECONDS, QUICK_SECONDS = "1.5", "0.4"
QUICK_SHARE, QUICK_LEAST = 50, 40
QUICK_CUT = 900  # what is cut must be messages, and not the beginning of connections
CERTIFICATE = "cert.pem"  # in the folder in which the loads run
HISTOGRAM = "latency.txt"
# Of a message that is confirmed and acknowledged, whatever its size, both ways: it is more.
WIRE_BYTES_LEAST = 100

# The figure that must be what was asked with --count, --connections or --queues.
COUNTED = {"throughput": "published", "latency": "published", "backlog": "fill_published",
           "connection-count": "connections", "queue-count": "queues"}

FIGURES = {
    "throughput": (("published_per_s", "", "/s"), ("consumed_per_s", "", "/s"),
                   ("broker_us_per_message", "", "µs")),
    "latency": (("latency_p50_ms", "p50 ", "ms"), ("latency_p99_ms", "p99 ", "ms"),
                ("confirm_p50_ms", "confirm p50 ", "ms"), ("broker_us_per_message", "", "µs")),
    "backlog": (("fill_published_per_s", "fill ", "/s"), ("fill_broker_us_per_message", "", "µs"),
                ("drain_consumed_per_s", "drain ", "/s"),
                ("drain_broker_us_per_message", "", "µs")),
    "churn": (("rounds_per_s", "", "/s"), ("round_p50_ms", "p50 ", "ms"),
              ("broker_us_per_round", "", "µs")),
    # What each grew memory by is in the JSON: after other loads it says little.
    "reply": (("rounds_per_s", "", "/s"), ("round_p50_ms", "p50 ", "ms"),
              ("round_p99_ms", "p99 ", "ms"), ("broker_us_per_round", "", "µs")),
    "count": (("made_per_s", "", "/s"), ("broker_us_each", "", "µs")),
}


class Load:
    """One run. In `options`, {n} is the count and {s} the time. Every message arrives `copies`
    times; `counted` is the figure that must be {n}."""

    def __init__(self, options, count=0, copies=1, counted=None, note=""):
        self.template, self.count, self.copies, self.note = options, count, copies, note
        self.mode = options.split()[0]
        self.counted = counted or ("{n}" in options and COUNTED.get(self.mode, "rounds"))
        self.tls, self.cut = "--tls" in options, "--reconnect" in options

    def number(self, quick):
        least = QUICK_CUT if self.cut else QUICK_LEAST
        return min(self.count, max(self.count // QUICK_SHARE, least)) if quick else self.count

    def options(self, quick):
        return self.template.replace("{n}", str(self.number(quick))).replace(
            "{s}", QUICK_SECONDS if quick else SECONDS)

    def figures(self):
        return FIGURES.get(self.mode) or FIGURES[self.mode.rpartition("-")[2]]


LOADS = (
    # Messages, and what is asked of the broker for them.
    Load("throughput --count {n} --verify --quiet", 100000),
    Load("throughput --duration {s} --threads 2 --interval 0.5"),
    Load("throughput --count {n} --size 1024 --verify --linger 10", 50000),
    Load("throughput --count {n} --size 0 --consumers 0", 50000),
    Load("throughput --count {n} --persistent --verify", 20000),
    Load("throughput --count {n} --confirm 1 --persistent --verify", 500),
    Load("throughput --count {n} --confirm 100 --verify", 20000),
    Load("throughput --count {n} --confirm 500 --persistent --ack-every 1 --prefetch 500 --verify",
         20000),
    Load("throughput --count {n} --ack-every 1 --verify", 20000),
    Load("throughput --count {n} --prefetch 10 --verify", 10000),
    Load("throughput --count {n} --ack-every 50 --prefetch 200 --verify", 30000),
    Load("throughput --count {n} --mandatory --confirm 50 --verify", 10000),
    # Many of each.
    Load("throughput --count {n} --producers 4 --consumers 4 --queues 4 --threads 2 --verify",
         60000),
    Load("throughput --count {n} --producers 3 --consumers 2 --queues 50 --verify", 30000),
    Load("throughput --count {n} --consumers 5 --prefetch 20 --ack-every 5 --verify", 20000),
    # Exchanges.
    Load("throughput --count {n} --exchange modes.fanout --exchange-type fanout --queues 3"
         " --consumers 3 --verify", 15000, copies=3),
    Load("throughput --count {n} --exchange modes.direct --exchange-type direct --queues 4"
         " --consumers 2 --verify", 30000),
    Load("throughput --count {n} --exchange modes.keys --exchange-type direct"
         " --routing-key k.%q.%m --keys 10 --queues 4 --producers 2 --linger 1 --verify", 20000),
    Load("throughput --count {n} --exchange amq.direct --routing-key p.%p --binding-key p.%p"
         " --producers 2 --queues 2 --linger 1 --verify", 20000, copies=2),
    Load("throughput --count {n} --exchange modes.topic --exchange-type topic"
         " --routing-key order.%q.%m --binding-key order.%q.# --keys 100 --queues 4"
         " --producers 2 --consumers 4 --linger 1 --verify", 20000),
    Load("throughput --count {n} --exchange modes.headers --exchange-type headers"
         " --header kind=a,weight=3 --binding-args x-match=all,kind=a,weight=3 --queues 2"
         " --linger 1 --verify", 10000, copies=2),
    # Bodies, properties, arguments.
    Load("throughput --count {n} --size 8-300000 --verify", 1000),
    Load("throughput --count {n} --size 100-20K --frame-max 4096 --ack-every 1 --verify", 3000),
    Load("throughput --count {n} --properties 'content-type=text/plain priority=3 message-id=m1'"
         " --header tenant=7,region=north --header urgent=true --verify", 30000),
    Load("throughput --count {n} --queue-args x-max-length=1000000,x-max-priority=5"
         " --consume-args x-priority=2 --verify", 20000),
    Load("throughput --count {n} --priorities 10 --queue-args x-max-priority=10 --verify", 20000),
    Load("backlog --count {n} --priorities 10 --queue-args x-max-priority=10 --queues 2"
         " --producers 2 --hold 0.1 --verify", 20000),
    Load("throughput --count {n} --reject --verify", 20000),
    Load("throughput --count {n} --reject --ack-every 50 --prefetch 200 --persistent --verify",
         20000),
    Load("throughput --count {n} --durable --queue-args '{x-expires:i32 600000,"
         " x-message-ttl:i32 600000, x-queue-mode:S lazy}' --verify", 20000),
    # Rates.
    Load("throughput --rate 2000 --duration {s} --verify"),
    Load("throughput --rate 1000:0.2,4000:0.2 --duration {s} --producers 2 --verify"),
    Load("throughput --rate 10 --heartbeat 1 --count {n} --verify", 25),
    Load("throughput --rate 4000 --count {n} --reconnect --persistent --confirm 100 --ack-every 1"
         " --prefetch 50 --verify", 6000, note="all connections are cut twice"),
    # A queue that stays: filled, emptied and filled again, consumed.
    Load("throughput --count {n} --consumers 0 --auto-delete --keep --queue-pattern modes.kept.%d"
         " --queue-from 7", 5000),
    Load("throughput --count {n} --consumers 0 --passive --purge --queue-pattern modes.kept.%d"
         " --queue-from 7", 10000),
    Load("throughput --producers 0 --passive --duration {s} --queue-pattern modes.kept.%d"
         " --queue-from 7", 10000, counted="consumed",
         note="what the row above published"),
    # TLS.
    Load("throughput --count {n} --verify --tls-ca " + CERTIFICATE, 50000),
    Load("throughput --count {n} --size 16-50000 --confirm 100 --ack-every 1 --prefetch 100"
         " --verify --tls-insecure", 2000),
    # The other modes.
    Load("latency --rate 1000 --duration {s} --warmup 0.2 --verify --histogram " + HISTOGRAM),
    Load("latency --rate 1000 --duration {s} --persistent --confirm 500 --ack-every 1"
         " --prefetch 500 --verify"),
    Load("latency --rate 2000 --duration {s} --spin --verify"),
    Load("backlog --count {n} --size 100 --hold 0.5 --verify", 50000),
    Load("backlog --count {n} --size 1024 --persistent --confirm 500 --ack-every 1 --prefetch 500"
         " --queues 3 --consumers 3 --hold 0.1 --verify", 15000),
    Load("queue-churn --count {n}", 300),
    Load("queue-churn --count {n} --connections 3 --durable", 150),
    Load("queue-churn --duration {s} --rate 50 --exclusive"),
    Load("bind-churn --count {n}", 300),
    Load("bind-churn --count {n} --connections 3 --exchange amq.topic", 300),
    Load("channel-churn --count {n} --connections 2", 500),
    Load("connection-churn --count {n} --connections 2 --channels 3", 100),
    Load("request-reply --count {n}", 300),
    Load("request-reply --count {n} --connections 3 --size 200000", 150),
    Load("connection-count --connections {n} --channels 2 --hold 0.5 --timeout-ms 10000", 300),
    Load("queue-count --queues {n} --hold 0.5", 500),
    Load("queue-count --queues {n} --durable --exchange amq.topic --hold 0.5", 300),
)


class Relay:
    """Between leveretperf and a broker. When so many bytes as `cuts` says have passed, it ends all
    connections, and takes new ones."""

    def __init__(self, address, cuts):
        self.address, self.cuts = address, list(cuts)
        self.passed, self.ends, self.lock = 0, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = "amqp://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
                broker = socket.create_connection(self.address)
            except OSError:
                return
            with self.lock:
                self.ends += [client, broker]
            for source, sink in (client, broker), (broker, client):
                threading.Thread(target=self.pass_on, args=(source, sink), daemon=True).start()

    def pass_on(self, source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
                self.count(len(data))
        except OSError:
            pass
        self.end([source, sink])

    def count(self, size):
        with self.lock:
            self.passed += size
            if not self.cuts or self.passed < self.cuts[0]:
                return
            del self.cuts[0]
            ends, self.ends = self.ends, []
        self.end(ends)

    @staticmethod
    def end(sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.end(self.ends)


class Modes:
    """`brokers` are run one after the other; `work` is where the certificate is."""

    def __init__(self, program, brokers, work, quick, say, loads=LOADS):
        self.program, self.brokers, self.work = program, brokers, work
        self.quick, self.say = quick, say
        self.results = {load: {} for load in loads}  # by load and name of a broker
        self.broken = []  # brokers that did not start or end well

    def run(self):
        for broker in self.brokers:
            self.say(broker.name)
            try:
                broker.start(tls=True)
                for number, load in enumerate(self.results):
                    if broker.tls_uri or not load.tls:
                        self.results[load][broker.name] = self.run_load(load, broker, number)
                broker.stop()
            except (BrokerError, OSError) as error:
                self.broken.append("%s: %s" % (broker.name, error))

    def run_load(self, load, broker, number):
        options = load.options(self.quick)
        try:
            said, problems, command = self.perf(load, broker, shlex.split(options), number)
        except (subprocess.TimeoutExpired, OSError) as error:
            said, problems, command = {}, [str(error)], []
        if not broker.alive():
            problems.append("the broker ended: " + broker.explain())
        result = {"reached": not problems, "problems": problems, "command": command,
                  "verified": said.get("verified", said.get("drain_verified")), "said": said}
        self.say("  %-12s %s" % ("reached" if not problems else "NOT REACHED", options))
        return result

    def perf(self, load, broker, options, number):
        uri = broker.tls_uri if load.tls else broker.uri
        relay = None
        if load.cut:
            whole = load.number(self.quick) * WIRE_BYTES_LEAST
            relay = Relay(broker.address(), (whole // 3, whole * 2 // 3))
            uri = relay.uri
        if load.mode in ("throughput", "backlog", "latency") and "--queue-pattern" not in options:
            options = options + ["--queue-pattern", "modes.%d.%%d" % number]
        command = [self.program, *options, "--uri", uri, "--json", "--broker-pid", str(broker.pid)]
        try:
            done = subprocess.run(command, cwd=self.work, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=TIMEOUT_SECONDS, check=False)
        finally:
            if relay:
                relay.close()
        try:
            said = json.loads(done.stdout)
        except ValueError:
            why = done.stderr.strip().splitlines()[-1:] or ["no result"]
            return {}, ["status %d: %s" % (done.returncode, why[0])], command
        return said, list(self.problems(load, done.returncode, said)), command

    # -- was it reached? --

    def problems(self, load, status, said):
        yield from said.get("problems", [])
        if status and not said.get("problems"):
            yield "status %d" % status
        for name, wanted in self.wanted(load, said):
            if said.get(name) != wanted:
                yield "%s is %s, and not %s" % (name, said.get(name), wanted)
        if load.cut and said.get("reconnects", 0) < 2:
            yield "it had not to reconnect"
        if HISTOGRAM in load.template and not self.has_histogram():
            yield "there is no histogram in " + HISTOGRAM

    def wanted(self, load, said):
        """(figure, what it must be)"""
        if load.counted:
            yield load.counted, load.number(self.quick)
        published = said.get("published", said.get("fill_published"))
        if published is None:
            return
        part, first = ("drain_", "fill_") if load.mode == "backlog" else ("", "")
        if "--confirm" in load.template:
            yield first + "confirmed", published
        if "--verify" in load.template:
            yield part + "verified", published * load.copies
        if part + "consumed" in said and not load.cut:  # else what was not confirmed came again
            yield part + "consumed", published * load.copies

    def has_histogram(self):
        try:
            with open(os.path.join(self.work, HISTOGRAM)) as text:
                return "Total count" in text.read()
        except OSError:
            return False

    def failures(self):
        for load, results in self.results.items():
            for name, result in results.items():
                if not result["reached"]:
                    yield "%s: %s: %s" % (name, load.options(self.quick),
                                          "; ".join(result["problems"]))
        yield from self.broken

    # -- what came of it --

    @staticmethod
    def cell(load, result):
        if result is None:
            return "–"
        if not result["reached"]:
            return "**NOT REACHED**: " + "; ".join(result["problems"]).replace("|", "/")
        said = result["said"]
        parts = ["verified" if result["verified"] else "reached"]
        names = [figure for figure in load.figures() if figure[0] in said]
        if "consumed_per_s" in said:  # one rate is enough
            names = [figure for figure in names if figure[0] != "published_per_s"]
        for name, label, unit in names:
            text = value_text(said[name], unit)
            parts.append("%s%s%s" % (label, text, unit if unit == "/s" else " " + unit))
        return ", ".join(parts)

    def markdown(self, machine):
        lines = ["A quick run with small counts: these figures mean nothing.", ""] * self.quick
        lines += ["| mode and options of `leveretperf` | %s |" %
                  " | ".join(broker.name for broker in self.brokers)]
        lines += ["| --- |" + " --- |" * len(self.brokers)]
        for load, results in self.results.items():
            note = " (%s)" % load.note if load.note else ""
            lines += ["| `%s`%s | %s |" % (load.options(self.quick), note, " | ".join(
                self.cell(load, results.get(broker.name)) for broker in self.brokers))]
        lines += ["", "*reached*: all was published, consumed and confirmed, the rate was held, "
                  "nothing was refused or returned. *verified*: besides, every message came once "
                  "to each queue that it was for, in order and undamaged. Then: messages, rounds "
                  "or things made a second (`k`: thousands, `M`: millions), and the "
                  "broker's processor time for each. One short run of each, brokers one after the "
                  "other: that shows that it works; how fast it is, `bench/run` measures."]
        failures = list(self.failures())
        lines += ["", "**Not reached:**" if failures else "All was reached.", *(
            [""] * bool(failures)), *("- " + failure for failure in failures)]
        lines += ["", "| machine | |", "| --- | --- |"]
        lines += ["| %s | %s |" % line for line in machine.lines()]
        lines += ["| %s | %s |" % (broker.name, broker.version) for broker in self.brokers]
        return "\n".join(lines) + "\n"

    def json(self, machine):
        return json.dumps({
            "machine": dict(machine.lines()),
            "quick": self.quick,
            "reached": not list(self.failures()),
            "failures": list(self.failures()),
            "brokers": {broker.name: broker.version for broker in self.brokers},
            "loads": [{"mode": load.mode, "options": load.options(self.quick), "results": results}
                      for load, results in self.results.items()],
        }, indent=1, ensure_ascii=False) + "\n"

"""Rounds: each step on each broker in turn, and what came of it.

    records[row][broker] = {"rounds": [{figure: value, ...}, ...], "invalid": [reason, ...]}
"""

import time

import rows as table
from brokers import BrokerError
from perf import Invalid, leveretperf


class Bench:
    def __init__(self, program, brokers, rows, sizes, trust, say):
        self.program, self.brokers, self.rows, self.sizes = program, brokers, rows, sizes
        self.trust, self.say = trust, say
        self.first_round, self.pattern, self.started = True, "", {}
        self.runs = self.rounds = 0
        self.records = {row.name: {broker.name: {"rounds": [], "invalid": []}
                                   for broker in brokers} for row in rows}

    def does(self, broker, steps):
        """Those of the steps that give a row which it can do."""
        names = {row.step.name for row in self.rows if broker.does(row.name)}
        return [step for step in steps if step.name in names]

    # -- for the steps --

    def perf(self, broker, arguments, uri=None, seconds=240):
        arguments = list(arguments)
        if "--queue-pattern" not in arguments:
            arguments += ["--queue-pattern", self.pattern]
        said = leveretperf(self.program, uri or broker.uri, arguments, broker.pid, seconds)
        if not broker.alive():
            raise Invalid("the broker ended")
        return said

    @staticmethod
    def rest(seconds):
        time.sleep(seconds)

    # -- rounds --

    def run(self, rounds):
        self.rounds = rounds
        for number in range(rounds):
            self.first_round = number == 0
            self.say("round %d of %d" % (number + 1, rounds))
            for stage in table.STAGES:
                steps = table.steps_of(self.rows, stage)
                if not steps:
                    continue
                if stage in ("shared", "tls"):
                    self.run_shared(steps, stage == "tls")
                else:
                    self.run_alone(steps)
        if self.sizes is not table.QUICK:
            self.judge()

    def run_shared(self, steps, tls):
        try:
            fresh = [step for step in steps if step.name == "fresh"]
            for broker in self.brokers:
                if self.start(broker, steps, tls):
                    for step in self.does(broker, fresh):
                        self.run_step(step, broker)
            for step in steps:
                if step not in fresh:
                    for broker in self.brokers:
                        if self.does(broker, [step]):
                            self.run_step(step, broker)
        finally:
            self.stop_all(steps)

    def run_alone(self, steps):
        for broker in self.brokers:
            try:
                if self.start(broker, steps):
                    for step in self.does(broker, steps):
                        self.run_step(step, broker)
            finally:
                self.stop_all(steps)

    def start(self, broker, steps, tls=False):
        """False when it did not start, or has nothing to do."""
        if not self.does(broker, steps):
            return False
        try:
            self.started[broker.name] = broker.start(tls=tls)
            return True
        except (BrokerError, OSError) as error:
            for step in steps:
                self.invalid(step, broker, str(error))
            return False

    def stop_all(self, steps):
        for broker in self.brokers:
            try:
                broker.stop()
            except BrokerError as error:
                for step in steps:
                    self.invalid(step, broker, str(error))

    def run_step(self, step, broker):
        self.runs += 1
        self.pattern = "leveret-bench-%d-%%d" % self.runs
        try:
            if not broker.alive():
                raise Invalid("the broker does not run: " + broker.explain())
            found = step.run(self, broker)
        except (Invalid, BrokerError, OSError) as error:
            self.invalid(step, broker, str(error))
            return
        except KeyError as error:
            self.invalid(step, broker, "leveretperf did not tell %s" % error)
            return
        for name, figures in found.items():
            if name in self.records and broker.does(name):
                self.records[name][broker.name]["rounds"].append(figures)
                self.say("  %-18s %-12s %s" % (name, broker.name, "  ".join(
                    "%s %.6g" % (key, value) for key, value in figures.items()
                    if key != "saturated")))

    def invalid(self, step, broker, reason):
        """A reason is kept for each row that the step would have given."""
        self.say("  %-18s %-12s INVALID: %s" % (step.name, broker.name, reason))
        for row in self.rows:
            if row.step.name == step.name and broker.does(row.name):
                reasons = self.records[row.name][broker.name]["invalid"]
                if reason not in reasons:
                    reasons.append(reason)

    def problems(self):
        """All that is not valid: (row, broker, reason)."""
        for row in self.rows:
            for broker in self.brokers:
                record = self.records[row.name][broker.name]
                for reason in record["invalid"]:
                    yield row.name, broker.name, reason

    def judge(self):
        """A generator that was the limit makes a latency meaningless, and a rival look slower than
        it is. Leveret's own rate is then a lower bound, and so is all of the floor, which is
        compared with nothing but Leveret: the table marks them."""
        for row in self.rows:
            for broker in self.brokers:
                record = self.records[row.name][broker.name]
                saturated = [figures.get("saturated", False) for figures in record["rounds"]]
                matters = broker.rival or (broker is self.brokers[0] and
                                           row.name.startswith("latency"))
                if matters and 2 * sum(saturated) > len(saturated):
                    record["invalid"].append("the load generator was the limit in %d of %d rounds" %
                                             (sum(saturated), len(saturated)))

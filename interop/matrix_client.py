"""What the matrix's Python programs share: where the broker is, names, texts, and waiting.

The broker is at AMQP_PORT and AMQP_TLS_PORT on loopback; AMQP_CA is the certificate to trust.
"""

import itertools
import os
import sys
import threading

from tap import PATIENCE, check, equal, eventually

HOST = "127.0.0.1"
PORT = int(os.environ["AMQP_PORT"])
TLS_PORT = int(os.environ["AMQP_TLS_PORT"])
CA = os.environ["AMQP_CA"]
# How a scenario's own queue is declared, where it does not matter.
OWN = {"durable": True} if "AMQP_DURABLE" in os.environ else {"exclusive": True}
NUMBERS = itertools.count(1)


def uri():
    return "amqp://guest:guest@%s:%d//" % (HOST, PORT)


def name():
    """A name that nothing on this broker has yet."""
    return "interop.%d" % next(NUMBERS)


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def restart_broker():
    """The matrix kills the broker, and starts it again on the same store and ports."""
    print("restart", flush=True)
    equal(sys.stdin.readline().strip(), "restarted", "the matrix's answer")


def fail_broker():
    """The matrix kills the broker in a moment, and says so when it is there again, to broker_is_back()."""
    print("failover", flush=True)
    equal(sys.stdin.readline().strip(), "failing", "the matrix's answer")


def broker_is_back():
    equal(sys.stdin.readline().strip(), "restarted", "the matrix's answer")


BEFORE, HELD, MEANWHILE, AFTER = 10, 3, 200, 210


class Tally:
    """What the scenario "failover" has published, and got: each attempt to publish a number is a message."""

    def __init__(self):
        self.attempts, self.confirmed, self.seen, self.new = 0, set(), set(), set()
        self.wrong = []

    def body(self, number):
        self.attempts += 1
        return "%d.%d" % (number, self.attempts)

    def got(self, body, redelivered):
        body = body if isinstance(body, str) else body.decode()
        if not redelivered and body in self.new:
            self.wrong.append("%s comes twice, and does not say so" % body)
        self.seen.add(body)
        if not redelivered:
            self.new.add(body)

    def has_all(self):
        return self.confirmed <= self.seen

    def check(self):
        equal((self.wrong, sorted(self.confirmed - self.seen), len(self.confirmed)), ([], [], AFTER),
              "what is wrong, what is lost, and how many were confirmed")


def pattern(size):
    """A body in which a lost, doubled or swapped piece shows."""
    block = bytes((at * 7 + at // 256) % 256 for at in range(65537))
    return (block * (size // len(block) + 1))[:size]


def not_found(queue):
    return "NOT_FOUND - no queue '%s' in vhost '/'" % queue


def inequivalent(exchange):
    return ("PRECONDITION_FAILED - inequivalent arg 'type' for exchange '%s' in vhost '/': "
            "received 'fanout' but current is 'direct'" % exchange)


def confirmed(count, acks):
    """Do these (tag, multiple) confirm all tags from 1 to count?"""
    many = max((tag for tag, multiple in acks if multiple), default=0)
    single = {tag for tag, _ in acks}
    return all(tag <= many or tag in single for tag in range(1, count + 1))


def check_death(headers, queue):
    """The headers of a message that was published to that queue by name, and rejected once."""
    death = dict(headers["x-death"][0])
    check(death.pop("time"), "no time")
    equal(len(headers["x-death"]), 1, "entries")
    equal(death, {"count": 1, "reason": "rejected", "queue": queue, "exchange": "",
                  "routing-keys": [queue]}, "x-death")
    equal([headers["x-first-death-" + what] for what in ("reason", "queue", "exchange")],
          ["rejected", queue, ""], "first death")

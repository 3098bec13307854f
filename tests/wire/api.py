"""What the tests of the API share: a broker with it, requests, and what an answer should be.

A program of such tests starts a leveretd of its own (LEVERETD or leveretd in $top_builddir), which
all its cases use; with --rabbitmq it starts Debian's RabbitMQ instead, and asks that the same.

An answer is expected as values, or as types that stand for any value: `str`, `int`, `float`, `bool`.
An object has just the keys that are expected, or more if `...` is one of them; a list of one item
and `...` has any number of such items, an `anything` matches all, and one_of() several.  What
RabbitMQ answers otherwise is in api_differences.txt by the name that the check gives it: then
RabbitMQ's answer has to be another one, and has to be this one anywhere else.
"""

import base64
import http.client
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", folder) for folder in ("interop", "bench")]

import amqp  # noqa: E402
import brokers  # noqa: E402
import service  # noqa: E402
import tap  # noqa: E402
from tap import Skip, case, check, equal  # noqa: E402,F401

PATIENCE = tap.PATIENCE


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.bytes = response.read()
        try:
            self.body = json.loads(self.bytes) if self.bytes else None
        except ValueError:
            self.body = self.bytes

    def __repr__(self):
        return "%d %.1000r" % (self.status, self.body)


def basic(user, password):
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()


def quote(name):
    """A name as a segment of a path."""
    return urllib.parse.quote(name, safe="")


def path_of(*segments):
    """The path below /api; what is not the first segment may be any name."""
    return "/api/" + "/".join([segments[0]] + [quote(segment) for segment in segments[1:]])


class Broker:
    """One that serves the API at `address`; `uri` is for AMQP."""

    def __init__(self, oracle, plugins=(), settings=()):
        self.plugins = ["rabbitmq_management", "rabbitmq_consistent_hash_exchange", *plugins]
        self.settings = list(settings)
        self.oracle, self.connection, self.differences = oracle, None, read_differences()
        self.later = []  # to be done in the end, as a Context of tap.py has it
        if oracle:
            self.start_rabbitmq()
        else:
            self.start_leveret()

    def cleanup(self, function, *arguments):
        self.later.append((function, arguments))

    def start_leveret(self):
        folder = service.folder(self)
        sets = [part for line in self.settings for part in ("--set", line.replace(" = ", "="))]
        self.daemon = service.serve(self, folder, "--management", "127.0.0.1:0",
                                    "--auth-delay-ms", "10", *sets)
        self.uri, self.address = self.daemon.addresses()[:2]

    def start_rabbitmq(self):
        work = tempfile.mkdtemp(prefix="leveret-rabbitmq-")
        self.cleanup(shutil.rmtree, work, True)
        node = brokers.RabbitMQ(work, None)
        node.plugins = self.plugins
        self.cleanup(node.close)
        port = brokers.free_port()
        node.settings = self.settings + ["management.tcp.ip = 127.0.0.1",
                                         "management.tcp.port = %d" % port]
        node.start()
        self.uri, self.address = "%s:%d" % node.address(), "127.0.0.1:%d" % port
        tap.eventually(self.is_there)

    def is_there(self):
        try:
            return self.ask("GET", "/api/whoami").status == 200
        except OSError:
            self.connection = None
            time.sleep(0.2)
            return False

    def ask(self, method, path, body=None, user=("guest", "guest"), headers=None):
        """An Answer. A body that is no bytes is sent as JSON."""
        fields = dict(headers or {})
        if user:
            fields["Authorization"] = basic(*user)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        try:
            return self.send(method, path, body, fields)
        except http.client.RemoteDisconnected:
            if not self.oracle:  # which closes after some errors
                raise
            return self.send(method, path, body, fields)

    def send(self, method, path, body, fields):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        try:
            self.connection.request(method, path, body=body, headers=fields)
            return Answer(self.connection.getresponse())
        except (http.client.HTTPException, OSError):
            self.connection.close()
            self.connection = None
            raise

    def expect(self, method, path, status, body=None, answer=None, differs=None, **more):
        """Asks, and compares. `differs`: the name of what RabbitMQ answers otherwise."""
        got = self.ask(method, path, body, **more)
        wrong = compare(got, status, answer)
        is_other = differs is not None and self.oracle
        if differs is not None and differs not in self.differences:
            raise AssertionError("%r is not in api_differences.txt" % differs)
        if wrong and not is_other:
            raise AssertionError("%s %s: %s" % (method, path, wrong))
        if is_other and not wrong:
            raise AssertionError("%s %s: RabbitMQ does not differ in %r" % (method, path, differs))
        return got

    def close(self):
        if self.connection:
            self.connection.close()
        if not self.oracle:
            status = self.daemon.stop()
            if status != 0:
                print("# leveretd ended with status %d" % status)
        tap.Context.finish(self)


def read_differences():
    found = {}
    with open(os.path.join(HERE, "api_differences.txt")) as file:
        for line in file:
            line = line.strip()
            if line and not line.startswith("#"):
                name, _, reason = line.partition(":")
                if not reason.strip():
                    raise AssertionError("a difference without a reason: %s" % line)
                found[name.strip()] = reason.strip()
    return found


# ---- what an answer should be ----

class Anything:
    def __eq__(self, other):
        return True

    def __repr__(self):
        return "anything"


anything = Anything()


class one_of:
    def __init__(self, *choices):
        self.choices = choices

    def __repr__(self):
        return "one of %r" % (self.choices,)


class matching:
    """A text that a regular expression finds something in."""

    def __init__(self, pattern):
        self.pattern = pattern

    def __repr__(self):
        return "matching %r" % self.pattern


class some:
    """A list that has, whatever else is in it, these items."""

    def __init__(self, *items):
        self.items = items

    def __repr__(self):
        return "a list with %r" % (self.items,)


def error(code, reason=str):
    return {"error": code, "reason": reason}


def compare(got, status, answer):
    """What is wrong with it, or nothing."""
    if got.status != status:
        return "status %d, not %d: %r" % (got.status, status, got.body)
    if status >= 400 and got.bytes and not isinstance(got.body, dict):
        return "an error without an object: %r" % got.bytes
    return differs(got.body, answer, "") if answer is not None else ""


def differs_in_keys(got, wanted, place):
    missing = [key for key in wanted if key is not ... and key not in got]
    more = [] if ... in wanted else [key for key in got if key not in wanted]
    if missing or more:
        return "%s: keys missing %r, not expected %r" % (place or "the answer", missing, more)
    for key, value in wanted.items():
        wrong = differs(got[key], value, "%s.%s" % (place, key)) if key is not ... else ""
        if wrong:
            return wrong
    return ""


def differs_in_items(got, wanted, place):
    if wanted and wanted[-1] is ...:
        wanted = [wanted[0]] * len(got)
    if len(got) != len(wanted):
        return "%s: %d items, not %d: %r" % (place or "the answer", len(got), len(wanted), got)
    for number, (one, other) in enumerate(zip(got, wanted)):
        wrong = differs(one, other, "%s[%d]" % (place, number))
        if wrong:
            return wrong
    return ""


def differs(got, wanted, place=""):
    """The first difference, as a text, or ""."""
    wrong = "%s: %r is not %r" % (place or "the answer", got, wanted)
    if wanted is anything:
        return ""
    if isinstance(wanted, one_of):
        return "" if any(not differs(got, choice, place) for choice in wanted.choices) else wrong
    if isinstance(wanted, matching):
        return "" if isinstance(got, str) and re.search(wanted.pattern, got) else wrong
    if isinstance(wanted, some):
        has_all = isinstance(got, list) and all(
            any(not differs(item, one) for item in got) for one in wanted.items)
        return "" if has_all else wrong
    if isinstance(wanted, type):
        return "" if type(got) is wanted else wrong
    if isinstance(wanted, dict) and isinstance(got, dict):
        return differs_in_keys(got, wanted, place)
    if isinstance(wanted, list) and isinstance(got, list):
        return differs_in_items(got, wanted, place)
    return "" if type(got) is type(wanted) and got == wanted else wrong


# ---- for all cases of a program ----

BROKER = []  # the one that `main` has started
NUMBERS = itertools.count(1)
NOT_FOUND = error("Object Not Found", "Not Found")


def broker():
    return BROKER[0]


def expect(*arguments, **more):
    return broker().expect(*arguments, **more)


def ours(case_of_ours):
    """For cases of what RabbitMQ has not."""
    def run(t):
        if broker().oracle:
            raise Skip("RabbitMQ has no such thing")
        case_of_ours(t)
    return run


def soon(path, answer, seconds=15):
    """Asks until the answer is that: RabbitMQ knows of some things only after a while."""
    end = time.monotonic() + seconds
    while True:
        got = broker().ask("GET", path)
        wrong = compare(got, 200, answer)
        if not wrong:
            return got.body
        if time.monotonic() > end:
            raise AssertionError("%s: %s" % (path, wrong))
        time.sleep(0.05)


def client(t, channels=1, **options):
    c = amqp.Connection(broker().uri)
    t.cleanup(c.abort)
    c.open(**options)
    for number in range(1, channels + 1):
        c.channel(number)
    return c


def name_of(c):
    return "%s:%d -> %s:%d" % (c.sock.getsockname()[:2] + c.sock.getpeername()[:2])


def queue(t, c, **fields):
    q = "queue.%d" % next(NUMBERS)
    c.call(1, "queue.declare", queue=q, **fields)
    t.cleanup(broker().ask, "DELETE", path_of("queues", "/", q))
    return q


def broker_at(t, daemon):
    """A Broker that is a daemon of one case."""
    own = object.__new__(Broker)
    own.oracle, own.connection, own.differences = False, None, {}
    own.uri, own.address = daemon.addresses()[:2]
    t.cleanup(lambda: own.connection.close())
    return own


def consumer_like(c, q, tag, **fields):
    own = c.sock.getsockname()
    answer = {
        "arguments": {}, "ack_required": True, "active": True, "activity_status": "up",
        "channel_details": {"connection_name": name_of(c), "name": "%s (1)" % name_of(c),
                            "node": str, "number": 1, "peer_host": own[0], "peer_port": own[1],
                            "user": "guest"},
        "consumer_tag": tag, "exclusive": False, "prefetch_count": 0,
        "queue": {"name": q, "vhost": "/"}, "consumer_timeout": 1800000, "messages_unacknowledged": 0}
    if broker().oracle:
        del answer["consumer_timeout"]  # a field of newer versions
        del answer["messages_unacknowledged"]  # of this broker
    answer.update(fields)
    return answer


# ---- the program ----

def main(give=BROKER.append, plugins=(), settings=()):
    """`give`, a function, is called with the Broker before the cases; RabbitMQ has these plugins too.

    Both have these settings."""
    oracle = "--rabbitmq" in sys.argv
    if oracle:
        sys.argv.remove("--rabbitmq")
        sys.argv.append("--oracle")
    started = Broker(oracle, plugins, settings)
    try:
        give(started)
        tap.main()
    finally:
        started.close()

"""Transcripts of RabbitMQ's tools: files of commands, with what they print and end with; see README.md.

A broker plays them: Leveret with leveretctl under their names, or RabbitMQ with its own tools.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
for path in ("wire", "../interop", "../bench"):
    sys.path.insert(0, os.path.join(HERE, "..", path))

import amqp  # noqa: E402
from service import folder, serve  # noqa: E402

RABBITMQ_TOOLS = "/usr/lib/rabbitmq/bin/../lib/rabbitmq_server-3.10.8/sbin"
NAMES = ("rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues", "rabbitmq-plugins",
         "rabbitmq-upgrade", "rabbitmq-streams", "leveretctl")
NODE = "leveret@localhost"


class Step:
    """A command, what it prints, and what it ends with; or something done by AMQP, or waited for."""

    def __init__(self, line):
        self.line, self.lines, self.code = line[2:], [], None
        self.by_amqp = line[0] == "!"
        self.waits = line[0] == "%"


def read(path):
    steps = []
    with open(path) as file:
        for line in file.read().split("\n"):
            if line.startswith(("$ ", "! ", "% ")):
                steps.append(Step(line))
            elif line.startswith("[rc=") and steps:
                steps[-1].code = int(line[4:-1])
            elif steps and steps[-1].code is None and not (steps[-1].by_amqp or steps[-1].waits):
                steps[-1].lines.append(line)
            elif line and not line.startswith("#"):
                raise ValueError("%s: no command for %r" % (path, line))
    return steps


def differences():
    """What is to differ from RabbitMQ: [(kind, beginning of a command, what of it, why)]."""
    found = []
    with open(os.path.join(HERE, "differences.txt")) as file:
        for line in file:
            if not line.strip() or line.startswith("#"):
                continue
            kind, command, rest = [part.strip() for part in line.split(" | ", 2)]
            what, why = [part.strip() for part in rest.split(" | ", 1)] if kind in ("lines", "extra") else ("", rest)
            if not why:
                raise ValueError("no reason: " + line)
            found.append((kind, command, what, why))
    return found


class Leveret:
    def __init__(self, t):
        self.data = self.work = folder(t)
        path = os.path.join(self.data, "ctl.sock")
        daemon = serve(t, self.data, "--node-name", NODE, "--control-socket", path)
        self.address = daemon.addresses()[0]
        self.environment = dict(os.environ, PATH=tools(t) + ":" + os.environ["PATH"],
                                LEVERET_URI="unix:" + path)
        self.node = NODE


def tools(t):
    """A folder with the program under all its names."""
    path = folder(t)
    program = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "leveretctl"))
    for name in NAMES:
        os.symlink(program, os.path.join(path, name))
    return path


class RabbitMQ:
    def __init__(self, t):
        import brokers
        self.work = tempfile.mkdtemp(prefix="leveret-replay-")
        t.cleanup(shutil.rmtree, self.work, True)
        node = brokers.RabbitMQ(self.work, None)
        t.cleanup(node.close)
        node.start()
        self.address = "%s:%d" % node.address()
        self.environment = node.environment()
        self.environment["PATH"] = RABBITMQ_TOOLS + ":" + os.environ["PATH"]
        self.node = self.environment["RABBITMQ_NODENAME"]


def declare(c, name, *arguments):
    table = {}
    for pair in arguments:
        key, value = pair.split("=", 1)
        table[key] = int(value) if value.isdigit() else value
    c.call(1, "queue.declare", queue=name, durable=True, arguments=table)


def publish(c, name, count):
    c.call(1, "confirm.select")
    for _ in range(int(count)):
        c.publish(1, name, b"x")
    confirmed = 0
    while confirmed < int(count):
        confirmed = c.expect(1, "basic.ack").delivery_tag


def bind(c, exchange, name, key):
    c.call(1, "queue.bind", queue=name, exchange=exchange, routing_key=key)


def consume(c, name):
    c.call(1, "basic.consume", queue=name, consumer_tag="tag")


def by_amqp(t, broker, line):
    words = line.split()
    c = amqp.Connection(broker.address)
    c.open()
    c.channel()
    {"declare": declare, "publish": publish, "consume": consume, "bind": bind}[words[0]](c, *words[1:])
    if words[0] == "consume":
        t.cleanup(c.close)
    else:
        c.close()


def run(broker, line, split=shlex.split):
    done = subprocess.run(split(line), env=broker.environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90, check=False)
    text = done.stdout.decode(errors="replace").replace(broker.node, "NODE")
    return text.split("\n"), done.returncode


def like(got, wanted):
    return len(got) == len(wanted) and all(
        a == b or (b.endswith("*") and a.startswith(b[:-1])) for a, b in zip(got, wanted))

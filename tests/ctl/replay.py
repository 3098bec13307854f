#!/usr/bin/python3
"""Plays transcripts of RabbitMQ's tools with leveretctl under their names; see README.md.

With --rabbitmq RabbitMQ itself and its tools play them. Output is TAP.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("wire", "../interop", "../bench"):
    sys.path.insert(0, os.path.join(HERE, "..", folder))

import amqp  # noqa: E402
from service import PROGRAM, folder, serve  # noqa: E402
from wire import case, equal, main  # noqa: E402

CASES = os.path.join(HERE, "cases")
RABBITMQ_TOOLS = "/usr/lib/rabbitmq/bin/../lib/rabbitmq_server-3.10.8/sbin"
NAMES = ("rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues", "rabbitmq-plugins",
         "rabbitmq-upgrade", "leveretctl")
NODE = "leveret@localhost"


class Step:
    """A command, what it prints, and what it ends with; or something done by AMQP."""

    def __init__(self, line):
        self.line, self.lines, self.code = line[2:], [], None
        self.by_amqp = line[0] == "!"


def read(path):
    steps = []
    with open(path) as file:
        for line in file.read().split("\n"):
            if line.startswith(("$ ", "! ")):
                steps.append(Step(line))
            elif line.startswith("[rc=") and steps:
                steps[-1].code = int(line[4:-1])
            elif steps and steps[-1].code is None and not steps[-1].by_amqp:
                steps[-1].lines.append(line)
            elif line and not line.startswith("#"):
                raise ValueError("%s: no command for %r" % (path, line))
    return steps


def differences():
    """Beginnings of commands: those whose text differs, and those whose code differs as well."""
    texts, all_of_it = [], []
    with open(os.path.join(HERE, "differences.txt")) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                kind, command, _reason = line.split("|", 2)
                {"text": texts, "all": all_of_it}[kind.strip()].append(command.strip())
    return texts, all_of_it


class Leveret:
    def __init__(self, t):
        self.data = folder(t)
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


def consume(c, name):
    c.call(1, "basic.consume", queue=name, consumer_tag="tag")


def by_amqp(t, broker, line):
    words = line.split()
    c = amqp.Connection(broker.address)
    c.open()
    c.channel()
    {"declare": declare, "publish": publish, "consume": consume}[words[0]](c, *words[1:])
    if words[0] == "consume":
        t.cleanup(c.close)
    else:
        c.close()


def run(broker, line):
    done = subprocess.run(shlex.split(line), env=broker.environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90, check=False)
    text = done.stdout.decode(errors="replace").replace(broker.node, "NODE")
    return text.split("\n"), done.returncode


def like(got, wanted):
    return len(got) == len(wanted) and all(
        a == b or (b.endswith("*") and a.startswith(b[:-1])) for a, b in zip(got, wanted))


def play(t, path, broker, ask_rabbitmq):
    texts, all_of_it = differences() if ask_rabbitmq else ((), ())
    for step in read(path):
        if step.by_amqp:
            by_amqp(t, broker, step.line)
            continue
        if any(step.line.startswith(begin) for begin in all_of_it):
            continue
        got, code = run(broker, step.line)
        wanted = step.lines + [""]
        if ask_rabbitmq and " list_" in step.line:
            got, wanted = sorted(got), sorted(wanted)
        if any(step.line.startswith(begin) for begin in texts):
            got = wanted
        if not like(got, wanted):
            equal(got, wanted, "output of " + step.line)
        equal(code, step.code, "code of " + step.line)


def cases():
    ask_rabbitmq = "--rabbitmq" in sys.argv
    if ask_rabbitmq:
        sys.argv.remove("--rabbitmq")
    for name in sorted(os.listdir(CASES)):
        if not re.fullmatch(r"[a-z_]+\.txt", name):
            continue

        @case(name[:-4])
        def _(t, name=name):
            broker = RabbitMQ(t) if ask_rabbitmq else Leveret(t)
            play(t, os.path.join(CASES, name), broker, ask_rabbitmq)


cases()
if __name__ == "__main__":
    main()

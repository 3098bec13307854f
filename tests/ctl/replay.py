#!/usr/bin/python3
"""Plays transcripts of RabbitMQ's tools with leveretctl under their names; see README.md.

With --rabbitmq RabbitMQ itself and its tools play them. Output is TAP.
"""

import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from transcript import Leveret, RabbitMQ, by_amqp, differences, like, read, run  # noqa: E402
from wire import case, equal, main  # noqa: E402

CASES = os.path.join(HERE, "cases")


def play(t, path, broker, ask_rabbitmq):
    known = differences() if ask_rabbitmq else ()
    texts = [command for kind, command, _, _ in known if kind == "text"]
    all_of_it = [command for kind, command, _, _ in known if kind == "all"]
    for step in read(path):
        if step.by_amqp:
            by_amqp(t, broker, step.line)
            continue
        if any(step.line.startswith(begin) for begin in all_of_it):
            continue
        got, code = run(broker, step.line)
        wanted = step.lines + [""]
        if ask_rabbitmq and " list_" in step.line:
            got, wanted = (sorted(line.lstrip(",") for line in lines) for lines in (got, wanted))
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

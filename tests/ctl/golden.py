#!/usr/bin/python3
"""What RabbitMQ 3.10.8's tools say of many commands, and what leveretctl says under their names.

golden/*.cmd are the commands; --capture has Debian's RabbitMQ play them, and writes golden/*.txt, which the test
compares with: by text, or where that is of the machine by shape and type. differences.txt has what is to differ,
and why. Output is TAP.
"""

import json
import os
import re
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from transcript import Leveret, RabbitMQ, by_amqp, differences, read, run  # noqa: E402
from wire import case, check, equal, main  # noqa: E402

GOLDEN = os.path.join(HERE, "golden")
PATIENCE = 60
# Numbers in these are the machine's, or those of a moment.
OF_THE_MACHINE = re.compile(r" (-q )?(status|cluster_status|memory_breakdown|report|listeners|environment|"
                            r"check_port_\w+|list_connections|list_channels|list_consumers|"
                            r"list_node_auth_attempt_stats|list_network_interfaces|quorum_status)\b")


class Counts:
    def __init__(self):
        self.same = self.listed = 0
        self.used = set()


def names():
    return sorted(name[:-4] for name in os.listdir(GOLDEN) if name.endswith(".cmd"))


def wait(t, broker, what):
    """Until there are alarms, or none."""
    wanted = {"alarms": 69, "no alarms": 0}[what]
    deadline = time.monotonic() + PATIENCE
    while run(broker, "rabbitmq-diagnostics -q check_alarms")[1] != wanted:
        check(time.monotonic() < deadline, "still waiting for " + what)
        time.sleep(0.05)


def perform(t, broker, line, place):
    """What a command prints and ends with, with names for what is of this run."""
    port = broker.address.rsplit(":", 1)[1]
    got, code = run(broker, line.replace("PORT", port).replace("FOLDER", place), str.split)
    got = [text.replace(place, "FOLDER").replace(broker.work, "WORK").replace(port, "PORT").rstrip("\r")
           for text in got]
    while got and not got[-1]:
        got.pop()
    return got, code


def steps_of(t, path, broker, place):
    """Each command with what came of it."""
    for step in read(path):
        if step.by_amqp:
            by_amqp(t, broker, step.line)
        elif step.waits:
            wait(t, broker, step.line)
        else:
            yield step, *perform(t, broker, step.line, place)


def folder_of(t):
    place = tempfile.TemporaryDirectory(prefix="leveret-golden-")
    os.chmod(place.name, 0o777)
    t.cleanup(place.cleanup)
    return place.name


# ---- comparing ----

def verbs(lines):
    """The help's verbs, without what is said of them."""
    return [line.split()[0] for line in lines if re.match(r"   [a-z_]+( |$)", line)]


def paths(value, before=""):
    """The types of all members of a value of JSON, by their paths."""
    if isinstance(value, dict):
        return {one for key, item in value.items() for one in paths(item, before + "." + key)}
    if isinstance(value, list):
        return {before + "[]"} | {one for item in value for one in paths(item, before + "[]")}
    return {"%s: %s" % (before, type(value).__name__)}


def as_json(lines):
    try:
        return json.loads("\n".join(lines).replace("PORT", "0"))
    except ValueError:
        return None


def plain(step, lines):
    """Lines to be compared: of help its verbs, of JSON its types, of the machine no numbers."""
    if "Available commands:" in lines:
        return sorted(verbs(lines))
    document = as_json(lines) if any(word in step.line for word in ("json", " export_definitions -")) else None
    if isinstance(document, dict) and "result" not in document:
        return sorted(paths(document))
    lines = [re.sub(r"<[^<> ]*\.\d+\.[^<> ]*>", "PID", line) for line in lines]
    lines = [re.sub(r"127\.0\.0\.1:\d+ -> 127\.0\.0\.1:PORT", "CONNECTION", line) for line in lines]
    if OF_THE_MACHINE.search(step.line):
        lines = [re.sub(r"\d+(\.\d+)*", "N", line) for line in lines]
    if re.search(r" (list_\w+|report|environment|status|memory_breakdown)\b", step.line):
        lines = sorted(line for line in lines if line)
    if " --formatter json" in step.line:
        lines = sorted(line.lstrip(",") for line in lines)
    return lines


def applies(command, name, step):
    return step.line.startswith(command) or command == "all of " + name


def compare(name, step, got, code, counts, known):
    """None: it is as RabbitMQ has it, but for what is listed. Else what is not."""
    mine = [one for one in known if applies(one[1], name, step)]
    wanted, found = plain(step, step.lines), plain(step, got)
    is_help = "Available commands:" in step.lines
    is_same = code == step.code and (wanted == found or (is_help and set(wanted) <= set(found)))
    if is_same:
        counts.same += 1
        return None
    for one in mine:
        kind, _, what, _ = one
        lines = {"lines": wanted, "extra": found}.get(kind, [])
        if any(re.search(what, line) for line in lines):
            counts.used.add(one)
        if kind == "lines":
            wanted = [line for line in wanted if not re.search(what, line)]
        elif kind == "extra":
            found = [line for line in found if not re.search(what, line)]
        elif kind in ("text", "all"):
            counts.used.add(one)
            wanted = found
            code = step.code if kind == "all" else code
    if code != step.code:
        return "%s ended with %d, and not with %d: %s" % (step.line, code, step.code, "\n".join(got))
    if is_help:
        wanted = [verb for verb in wanted if verb not in found]
        found = []
    if wanted != found:
        return "%s\n  RabbitMQ: %s\n  here:     %s" % (
            step.line, "\n            ".join(line for line in wanted if line not in found) or wanted,
            "\n            ".join(line for line in found if line not in wanted) or found)
    counts.listed += 1
    return None


def cases():
    counts, known, played = Counts(), differences(), []
    for name in names():
        @case("%s are as RabbitMQ has them" % name)
        def _(t, name=name):
            wrong = []
            path = os.path.join(GOLDEN, name + ".txt")
            for step, got, code in steps_of(t, path, Leveret(t), folder_of(t)):
                played.append((name, step))
                fault = compare(name, step, got, code, counts, known)
                if fault:
                    wrong.append(fault)
            equal("\n".join(wrong), "", "%d commands" % len(wrong))

    @case("each difference that is listed is one")
    def _(_t):
        check(len(played) > 100, "only %d transcripts" % len(played))
        idle = [one for one in known if one not in counts.used and
                any(applies(one[1], name, step) for name, step in played)]
        print("# %d transcripts: %d the same, %d with listed differences" %
              (len(played), counts.same, counts.listed))
        equal(idle, [], "differences that are none")


# ---- capturing ----

class Keeper:
    """What a case is for who captures."""

    def __init__(self):
        self.calls = []

    def cleanup(self, call, *arguments):
        self.calls.append((call, arguments))

    def close(self):
        for call, arguments in reversed(self.calls):
            call(*arguments)


def short(line, lines):
    """Without what is not compared: the words of help, and terms of Erlang."""
    if re.search(r" (report|environment|help list_queues)\b", line):
        return lines[:3]
    if "Available commands:" not in lines:
        return lines
    return ["   " + lines[i].split()[0] if re.match(r"   [a-z_]+( |$)", lines[i]) else lines[i]
            for i in range(len(lines))]


def capture(wanted):
    for name in wanted or names():
        t = Keeper()
        try:
            with open(os.path.join(GOLDEN, name + ".cmd")) as file:
                commands = file.read().split("\n")
            broker, place = RabbitMQ(t), folder_of(t)
            out = []
            for line in commands:
                out.append(line)
                if line.startswith("! "):
                    by_amqp(t, broker, line[2:])
                elif line.startswith("% "):
                    wait(t, broker, line[2:])
                elif line.startswith("$ "):
                    got, code = perform(t, broker, line[2:], place)
                    out += short(line, got) + ["[rc=%d]" % code]
            with open(os.path.join(GOLDEN, name + ".txt"), "w") as file:
                file.write("\n".join(out))
        finally:
            t.close()


if __name__ == "__main__":
    if "--capture" in sys.argv:
        capture([word for word in sys.argv[1:] if word != "--capture"])
    else:
        cases()
        main()

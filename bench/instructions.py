"""Instructions that the broker spends for a message, counted by callgrind, and their budget.

The broker runs under callgrind twice, with N and with 2 N messages. The difference is what N
messages cost: start, connections and the end cancel. Processor time varies with the neighbours of a
machine, instructions hardly at all; so a regression of some percent is seen here. What depends on the
machine all the same is in how many pieces input comes, and how much it is that waits: so this is done
three times, and the count in the middle counts.
"""

import json
import os
import re
import subprocess

from brokers import BrokerError, Leveret
from perf import leveretperf

HERE = os.path.dirname(os.path.abspath(__file__))
BUDGET = os.path.join(HERE, "budget.json")
README = os.path.join(HERE, "README.md")
BEGIN, END = "<!-- budget: begin -->\n", "<!-- budget: end -->\n"
HOTTEST = 10
TIMES = 3
TOLERANCE = 1.10

FLOW = "throughput", "--threads", "2"

# Where messages lie and wait, a broker this slow has also written them for the sake of memory before the
# load ends.
ROWS = (
    ("small", "16 B transient, auto-ack", [*FLOW, "--size", "16"], 100000),
    ("kib", "1 KiB transient", [*FLOW, "--size", "1024"], 50000),
    ("kib-persistent", "1 KiB persistent, no confirms",
     [*FLOW, "--size", "1024", "--persistent"], 50000),
    ("fill-persistent", "100 B persistent to a queue nobody reads",
     [*FLOW, "--size", "100", "--persistent", "--consumers", "0"], 200000),
    ("backlog", "100 B to a queue nobody reads, drained at once",
     ["backlog", "--threads", "2", "--hold", "0", "--size", "100"], 200000),
)

# "12,345 (12.3%)  file:function [object]", of callgrind_annotate.
LINE = re.compile(r"^\s*([\d,]+)\s*(?:\([ \d.]+%\))?\s+(\S.*)$")


def count(programs, work, say):
    """{row: {"title", "total", "functions": {name: instructions for a message}}}"""
    found = {}
    for name, title, options, messages in ROWS:
        say("counting instructions of %s" % name)
        each, totals = middle([for_each(programs, work, options, messages) for _ in range(TIMES)])
        say("%s: %s" % (name, ", ".join("%.1f" % total for total in totals)))
        hottest = sorted(each, key=each.get, reverse=True)[:HOTTEST]
        found[name] = {"title": title, "total": round(sum(each.values()), 1),
                       "functions": {function: round(each[function], 1) for function in hottest}}
    return found


def middle(counts):
    """The one of these counts by function whose sum is the median, and all sums in order."""
    ordered = sorted(counts, key=lambda each: sum(each.values()))
    return ordered[len(ordered) // 2], [sum(each.values()) for each in ordered]


def for_each(programs, work, options, messages):
    """{function: instructions for a message}, counted once."""
    once = profile(programs, work, options, messages)
    twice = profile(programs, work, options, 2 * messages)
    return {function: (twice.get(function, 0) - once.get(function, 0)) / messages
            for function in set(once) | set(twice)}


def profile(programs, work, options, messages):
    """Instructions by function of one whole run of the broker."""
    out = os.path.join(work, "callgrind.out")
    broker = Leveret(programs[0], work, None, prefix=[
        "valgrind", "--tool=callgrind", "--callgrind-out-file=" + out])
    try:
        broker.start()
        leveretperf(programs[1], broker.uri,
                    [*options, "--linger", "60", "--timeout-ms", "120000", "--count",
                     str(messages)])
        broker.stop()
    finally:
        broker.close()
    said = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", out], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout
    os.unlink(out)
    return parse(said)


def parse(said):
    functions = {}
    for line in said.split("file:function", 1)[-1].splitlines():
        found = LINE.match(line)
        if found and ":" in found.group(2):
            name = function_name(found.group(2))
            functions[name] = functions.get(name, 0) + int(found.group(1).replace(",", ""))
    if not functions:
        raise BrokerError("callgrind_annotate told nothing")
    return functions


def function_name(place):
    """'/src/queue.c:queue_push'2 [/usr/leveretd]' as 'queue_push'; what is not ours with its
    library."""
    place, _, program = place.partition(" [")
    name = place.rsplit(":", 1)[-1].split("'")[0].strip()
    library = os.path.basename(program.rstrip("]"))
    return name if not library or library == "leveretd" else "%s (%s)" % (
        name, library.split(".so")[0])


def read_budget():
    try:
        with open(BUDGET, encoding="utf-8") as budget:
            return json.load(budget)
    except FileNotFoundError:
        return {}


def markdown(counted):
    """Beside the budget, where there is one."""
    budget = read_budget()
    lines = []
    for name, row in counted.items():
        kept = budget.get(name, {"total": None, "functions": {}})
        lines += ["| %s | instructions/message | budget |" % row["title"], "| --- | ---: | ---: |",
                  line("**all**", row["total"], kept["total"])]
        lines += [line("`%s`" % function, spent, kept["functions"].get(function))
                  for function, spent in row["functions"].items()]
        lines += [""]
    return "\n".join(lines)


def line(name, spent, kept):
    return "| %s | %.0f | %s |" % (name, spent, "" if kept is None else "%.0f" % kept)


def judge(counted, say):
    """1 when a row costs a tenth more than its budget."""
    budget, status = read_budget(), 0
    for name, row in counted.items():
        if name not in budget:
            say("%s has no budget" % name)
            status = 1
        elif row["total"] > budget[name]["total"] * TOLERANCE:
            say("OVER BUDGET: %s costs %.0f instructions a message instead of %.0f" %
                (name, row["total"], budget[name]["total"]))
            status = 1
    return status


def update_budget(counted):
    """Makes what was counted the budget, here and in the table of README.md."""
    with open(BUDGET, "w", encoding="utf-8") as budget:
        json.dump(counted, budget, indent=1)
        budget.write("\n")
    with open(README, encoding="utf-8") as readme:
        text = readme.read()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = []
    for row in counted.values():
        lines += ["| %s | instructions/message |" % row["title"], "| --- | ---: |",
                  "| **all** | %.0f |" % row["total"]]
        lines += ["| `%s` | %.0f |" % item for item in row["functions"].items()]
        lines += [""]
    with open(README, "w", encoding="utf-8") as readme:
        readme.write(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after)

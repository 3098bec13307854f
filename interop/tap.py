"""Test cases in Python that report in TAP.

    @case("a message comes back")
    def _(t):
        ...

    if __name__ == "__main__":
        main()

A case fails when it raises; t is the Context below.  How fast a broker is decides nothing: a wait
for what must come is as long as PATIENCE, and a case that hangs is ended after ten times that.  Programs take --uri HOST:PORT (the broker),
--only TEXT (run the cases whose name holds it) and --oracle: the broker is RabbitMQ 3.10, so that
the expectations marked with an older answer accept that answer.
"""

import argparse
import functools
import multiprocessing
import signal
import sys
import time
import traceback

CASES = []
PATIENCE = 60


def eventually(function, seconds=PATIENCE):
    """The first true value that the function returns, or its last one."""
    deadline = time.monotonic() + seconds
    while True:
        value = function()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.01)


class Skip(Exception):
    """Raised by a case that does not apply to this broker."""


class Context:
    """What a case gets: where the broker is, and clean-up at its end, last first."""

    def __init__(self, uri, oracle):
        self.uri, self.oracle, self.notes, self.later = uri, oracle, [], []

    def note(self, text):
        self.notes.append(text)

    def cleanup(self, function, *arguments):
        self.later.append((function, arguments))

    def skip_on_oracle(self, reason):
        if self.oracle:
            raise Skip(reason)

    def finish(self):
        while self.later:
            function, arguments = self.later.pop()
            try:
                function(*arguments)
            except Exception:  # pylint: disable=broad-except
                pass


def case(name):
    def register(function):
        CASES.append((name, function))
        return function
    return register


def equal(got, expected, what="value"):
    if got != expected:
        raise AssertionError("%s: expected %r, got %r" % (what, expected, got))


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def on_alarm(_number, _frame):
    raise AssertionError("the case took too long")


def run_case(context, function):
    """None, or the reason why the case failed."""
    signal.alarm(10 * PATIENCE)
    try:
        function(context)
        return None
    except Skip:
        raise
    except Exception as error:  # pylint: disable=broad-except
        context.notes.extend(traceback.format_exc().splitlines()[-5:])
        return "%s: %s" % (type(error).__name__, error)
    finally:
        signal.alarm(0)
        context.finish()


def outcome(options, number):
    """Of a case by its number: why it failed or None, what is said behind its name, its notes."""
    context = Context(options.uri, options.oracle)
    signal.signal(signal.SIGALRM, on_alarm)
    try:
        return run_case(context, CASES[number][1]), "", context.notes
    except Skip as reason:
        return None, " # SKIP %s" % reason, context.notes


def outcomes(options, numbers, jobs):
    """Those of many, in order; with several jobs so many run at a time, in processes of their own."""
    call = functools.partial(outcome, options)
    if jobs == 1:
        yield from map(call, numbers)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(call, numbers)


def main(jobs=1):
    """`jobs`: of cases that share nothing, and mostly wait, so many can run at a time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uri", default="127.0.0.1:5672")
    parser.add_argument("--only", default="")
    parser.add_argument("--oracle", action="store_true")
    options = parser.parse_args()
    chosen = [number for number, (name, _) in enumerate(CASES) if options.only in name]
    count = failed = 0
    for number, (error, suffix, notes) in zip(chosen, outcomes(options, chosen, jobs)):
        count += 1
        failed += error is not None
        print("%s %d - %s%s" % ("not ok" if error else "ok", count, CASES[number][0], suffix))
        for line in notes:
            print("# " + line)
        sys.stdout.flush()
    print("1..%d" % count)
    sys.exit(1 if failed else 0)

"""Runs leveretperf, and refuses what is not a valid measurement."""

import json
import subprocess

TIMEOUT_SECONDS = 240

# Most loads have these: each side has a thread of the generator, and what is missing is waited for.
THREADS = ["--threads", "2"]
LINGER = ["--linger", "3"]
LONG_LINGER = ["--linger", "20"]  # a broker that pages may pause for some seconds


class Invalid(Exception):
    """What was measured means nothing, and why."""


def leveretperf(program, uri, arguments, pid=None, seconds=TIMEOUT_SECONDS, began=None):
    """The figures that leveretperf reports; `began` is called with its process. Raises Invalid when it
    did not reach what was asked."""
    command = [program, *arguments, "--uri", uri, "--json", "--quiet"]
    if pid:
        command += ["--broker-pid", str(pid)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as perf:
        try:
            if began:
                began(perf)
            out, err = perf.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Invalid("not done after %d s" % seconds) from None
        finally:
            perf.kill()
    try:
        said = json.loads(out)
    except ValueError:
        raise Invalid("leveretperf ended with status %d: %s" %
                      (perf.returncode, err.strip() or "no result")) from None
    check(perf.returncode, said)
    return said


def check(status, said):
    """The counts are added up here once more: a fault of leveretperf is not to be believed."""
    if status != 0 or not said.get("reached"):
        raise Invalid("; ".join(said.get("problems", [])) or "status %d" % status)
    for part in "", "fill_", "drain_":
        published, confirmed = said.get(part + "published"), said.get(part + "confirmed")
        if confirmed is not None and confirmed != published:
            raise Invalid("%s messages published, %s confirmed" % (published, confirmed))
    published = said.get("published", said.get("fill_published"))
    consumed = said.get("consumed", said.get("drain_consumed"))
    if published is not None and consumed is not None and consumed != published:
        raise Invalid("%s messages published, %s consumed" % (published, consumed))
    verified = said.get("verified", said.get("drain_verified"))
    if verified is not None and verified != published:
        raise Invalid("%s messages published, %s verified" % (published, verified))

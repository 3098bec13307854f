"""A leveretd that a case starts for itself, with options of its own."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from wire import amqp

PATIENCE = amqp.PATIENCE

PROGRAM = os.environ.get("LEVERETD") or os.path.join(os.environ.get("top_builddir", "."), "leveretd")
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) [a-z0-9_]+"
                  r"( [a-z0-9_]+=([^ \"\\=]+|\"([^\"\\]|\\.)*\"))+")
LISTENING = re.compile(r"listening address=(\S+)(?: protocol=http)?$", re.M)
READY = "Server startup complete"
# No case is told apart by the port that another one has; who asks for the API says where.
QUIET = ["--management", "none", "--metrics", "none", "--control-socket", "none"]


def folder(t):
    path = tempfile.mkdtemp(prefix="leveret-daemon-")
    t.cleanup(shutil.rmtree, path, True)
    return path


def run(*arguments, **options):
    """A daemon that is expected to end by itself: status, output, log."""
    done = subprocess.run([PROGRAM, *QUIET, *arguments], stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    return done.returncode, done.stdout, done.stderr


class Daemon:
    """One that serves, once `ready`; its log so far is `log()`."""

    def __init__(self, t, *arguments, command=(), quiet=True, **options):
        self.path = os.path.join(folder(t), "log")
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen([*command, PROGRAM, *(QUIET if quiet else ()), *arguments], stderr=log,
                                            stdin=subprocess.DEVNULL, stdout=log, **options)
        t.cleanup(self.kill)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log(self):
        with open(self.path, errors="replace") as log:
            return log.read()

    def says(self, text, times=1):
        """Waits until the log has it, so often."""
        deadline = time.monotonic() + PATIENCE
        while self.log().count(text) < times:
            if time.monotonic() > deadline:
                raise AssertionError("%r is missing in the log: %s" % (text, self.log()))
            time.sleep(0.01)

    def serves(self):
        """Waits until it does; False: it has ended instead."""
        deadline = time.monotonic() + PATIENCE
        while READY not in self.log():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise AssertionError("it did not start: " + self.log())
            time.sleep(0.01)
        return True

    def ready(self):
        if not self.serves():
            raise AssertionError("it did not start: " + self.log())
        return self

    def addresses(self):
        return LISTENING.findall(self.log())

    def client(self, t, address=None):
        c = amqp.Connection((address or self.addresses()[0]).replace("[::1]", "::1"))
        t.cleanup(c.close)
        return c.open()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def serve(t, data, *arguments, **options):
    return Daemon(t, "--data-dir", data, "--listen", "127.0.0.1:0", *arguments, **options).ready()

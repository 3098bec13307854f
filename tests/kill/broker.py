"""The broker of a trial that kills it: a child process, started again and again on the same folder."""

import ctypes
import os
import re
import signal
import subprocess
import time

LISTENING = re.compile(rb" listening address=(\S+)")
PR_SET_PDEATHSIG = 1


class Broken(Exception):
    """A promise was."""


def waited_seconds(pid):
    """How long the threads of a process were ready to run and had no processor; 0 where nothing tells."""
    folder, nanoseconds = "/proc/%d/task" % pid, 0
    try:
        for thread in os.listdir(folder):
            with open("%s/%s/schedstat" % (folder, thread), encoding="ascii") as file:
                nanoseconds += int(file.read().split()[1])
    except (OSError, IndexError):
        pass  # a thread, or all of them, has ended
    return nanoseconds / 1e9


class Patience:
    """How long something takes, without the time in which the broker, or who waits for it, had no
    processor: on a busy machine that is no broken promise.  A twentieth of the time counts at least, so
    that each wait ends."""

    def __init__(self, broker, seconds):
        self.broker, self.limit = broker, seconds
        self.began = self.waited = 0
        self.again()

    def again(self):
        """It begins now."""
        self.began, self.waited = time.monotonic(), self.broker.starved()

    def took(self):
        passed = time.monotonic() - self.began
        return max(passed - max(0, self.broker.starved() - self.waited), passed / 20)

    def is_over(self):
        """Asks only when it could be, as asking takes time too."""
        return time.monotonic() - self.began > self.limit and self.took() > self.limit


def end_along():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """Its log is at `log`; `address` is where it listens, another one after each start."""

    start_seconds = 30
    command = ()  # what starts it, with the program and its arguments behind
    arguments = ()
    listen = "127.0.0.1:0"
    ends_along = False  # by SIGKILL, when the thread that has started it ends, however that does

    def __init__(self, program, folder, log):
        self.program, self.folder, self.log = program, folder, log
        self.process, self.address = None, None

    def start(self):
        with open(self.log, "ab") as log:
            began = log.tell()
            self.process = subprocess.Popen(
                [*self.command, self.program, "--data-dir", self.folder, "--listen", self.listen,
                 "--management", "none", "--control-socket", "none", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=end_along if self.ends_along else None)
        patience = Patience(self, self.start_seconds)
        while not patience.is_over() and self.process.poll() is None:
            with open(self.log, "rb") as log:
                log.seek(began)
                said = log.read()
            if b" started " in said:
                self.address = LISTENING.search(said).group(1).decode()
                return
            time.sleep(0.01)
        raise Broken("it does not start: " + self.last_line())

    def starved(self):
        """Seconds without a processor, of the broker and of who asks."""
        return waited_seconds(os.getpid()) + (waited_seconds(self.process.pid) if self.process else 0)

    def last_line(self):
        with open(self.log, "rb") as log:
            lines = log.read()[-2000:].decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def check(self):
        if self.process.poll() is not None:
            raise Broken("it has ended with status %s: %s" % (self.process.returncode,
                                                              self.last_line()))

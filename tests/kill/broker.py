"""The broker of a trial that kills it: a child process, started again and again on the same folder."""

import re
import subprocess
import time

LISTENING = re.compile(rb" listening address=(\S+)")


class Broken(Exception):
    """A promise was."""


class Broker:
    """Its log is at `log`; `address` is where it listens, another one after each start."""

    start_seconds = 30
    command = ()  # what starts it, with the program and its arguments behind
    arguments = ()
    listen = "127.0.0.1:0"

    def __init__(self, program, folder, log):
        self.program, self.folder, self.log = program, folder, log
        self.process, self.address = None, None

    def start(self):
        with open(self.log, "ab") as log:
            began = log.tell()
            self.process = subprocess.Popen(
                [*self.command, self.program, "--data-dir", self.folder, "--listen", self.listen,
                 "--management", "none", "--control-socket", "none", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + self.start_seconds
        while time.monotonic() < end and self.process.poll() is None:
            with open(self.log, "rb") as log:
                log.seek(began)
                said = log.read()
            if b" started " in said:
                self.address = LISTENING.search(said).group(1).decode()
                return
            time.sleep(0.01)
        raise Broken("it does not start: " + self.last_line())

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

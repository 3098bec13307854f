"""leveretctl, and a broker for it, as the tests of this folder have them."""

import os
import pty
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder_name in ("wire", "../interop"):
    sys.path.insert(0, os.path.join(HERE, "..", folder_name))

import amqp  # noqa: E402
from service import folder, serve  # noqa: E402

PROGRAM = os.path.join(os.environ.get("top_builddir", "."), "leveretctl")


class Broker:
    def __init__(self, t):
        self.data = folder(t)
        self.socket = os.path.join(self.data, "ctl.sock")
        self.again(t)

    def again(self, t):
        """A daemon in the same folder, where none is."""
        self.daemon = serve(t, self.data, "--control-socket", self.socket, "--node-name",
                            "leveret@localhost", "--management", "127.0.0.1:0")
        return self.daemon

    def queues(self, *, address=None, **counts):
        """Declares queues and puts messages into them."""
        c = amqp.Connection(address or self.daemon.addresses()[0])
        c.open()
        c.channel()
        c.call(1, "confirm.select")
        for name in counts:
            c.call(1, "queue.declare", queue=name, durable=True)
        for name, count in counts.items():
            for _ in range(count):
                c.publish(1, name, b"x")
        confirmed = 0
        while confirmed < sum(counts.values()):
            confirmed = c.expect(1, "basic.ack").delivery_tag
        c.close()

    def ctl(self, *words, **options):
        return ctl("--uri", "unix:" + self.socket, *words, **options)

    def asked(self, answer, *words):
        """What it says on both outputs to somebody who types an answer at a terminal."""
        main_end, other_end = pty.openpty()
        os.write(main_end, answer.encode() + b"\n")
        done = subprocess.run([PROGRAM, "--uri", "unix:" + self.socket, *words], stdin=other_end,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                              check=False)
        os.close(other_end)
        os.close(main_end)
        return done.returncode, done.stdout, done.stderr


def ctl(*words, given=None, environment=None):
    """What it ends with, and what it says on both outputs."""
    done = subprocess.run([PROGRAM, *words], input=given, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, timeout=60, check=False,
                          env=dict(os.environ, **(environment or {})))
    return done.returncode, done.stdout, done.stderr


def on_terminal(*words):
    """What it shows on a terminal."""
    main_end, other_end = pty.openpty()
    process = subprocess.Popen([PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=other_end,
                               stderr=subprocess.DEVNULL)
    os.close(other_end)
    shown = b""
    try:
        while True:
            piece = os.read(main_end, 4096)
            if not piece:
                break
            shown += piece
    except OSError:
        pass
    process.wait(60)
    os.close(main_end)
    return shown.decode().replace("\r\n", "\n")

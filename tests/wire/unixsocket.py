#!/usr/bin/python3
"""AMQP at a path of this machine: who connects, what is left behind, and who may.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import os
import socket
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import PATIENCE, PROGRAM, Daemon, folder, run  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402


class Connection(amqp.Connection):
    def __init__(self, t, address, path):
        super().__init__(address)
        self.sock.close()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        t.cleanup(self.abort)
        self.sock.connect(path)


def serve(t, path, *arguments, **options):
    return Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--listen", "unix:" + path, *arguments,
                  **options).ready()


@case("a conversation by a path, by a user who may come from this machine alone")
def _(t):
    path = os.path.join(folder(t), "amqp.sock")
    daemon = serve(t, path)
    check("listening address=unix:" + path in daemon.log(), daemon.log())
    check(stat.S_ISSOCK(os.stat(path).st_mode), "it is no socket")
    c = Connection(t, daemon.addresses()[0], path).open()
    c.channel()
    queue = c.queue()
    c.publish(1, queue, b"x" * 200000)
    equal(c.get(queue).body, b"x" * 200000, "a message")
    daemon.says("peer=unix:%d user=guest" % os.getpid())
    c.close()
    equal(daemon.stop(), 0, "status")
    check(not os.path.exists(path), "the path is still there")


@case("what a crash has left is no hindrance, and what is no socket is kept")
def _(t):
    path = os.path.join(folder(t), "amqp.sock")
    daemon = serve(t, path)
    daemon.kill()
    check(os.path.exists(path), "the path has gone with the crash")
    daemon = serve(t, path)
    Connection(t, daemon.addresses()[0], path).open().close()
    status, _, log = run("--data-dir", folder(t), "--listen", "unix:" + path)
    equal(status, 1, "status of a second one at the same path")
    check("cannot listen at unix:" + path in log, log)
    daemon.stop()
    with open(path, "w", encoding="ascii") as out:
        out.write("mine")
    status, _, log = run("--data-dir", folder(t), "--listen", "unix:" + path)
    equal(status, 1, "status where a file is")
    with open(path, encoding="ascii") as file:
        equal(file.read(), "mine", "the file")


@case("suspended and resumed")
def _(t):
    path, control = (os.path.join(folder(t), name) for name in ("amqp.sock", "ctl.sock"))
    daemon = serve(t, path, quiet=False, command=(
        "env", "LEVERET_LEVERET__CONTROL_SOCKET=" + control, "LEVERET_MANAGEMENT__TCP__PORT=0"))
    ctl = [os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + control, "-q"]
    address = daemon.addresses()[0]
    c = Connection(t, address, path).open()
    listed = subprocess.run([*ctl, "-s", "list_connections", "name", "peer_host", "peer_port", "host", "port"],
                            stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True).stdout
    check(listed.startswith("unix:%d -> " % os.getpid()) and path[:40] in listed, "it lists %r" % listed)
    c.close()
    for _ in range(2):
        subprocess.run([*ctl, "suspend_listeners"], check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
        check(not os.path.exists(path), "the path is still there")
        subprocess.run([*ctl, "resume_listeners"], check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
        Connection(t, address, path).open().close()
    equal(daemon.stop(), 0, "status")


@case("paths that cannot be")
def _(t):
    for text, why in (("unix:amqp.sock", "a path begins with /"),
                      ("unix:/" + "x" * 100, "a path of a socket has at most 96 bytes")):
        status, _, log = run("--data-dir", folder(t), "--listen", text)
        equal(status, 2, "status of " + text)
        check(why in log, log)
    status, _, log = run("--data-dir", folder(t), "--listen-tls", "unix:/tmp/x")
    equal(status, 2, "status with TLS")
    check("there is no TLS within a machine" in log, log)


if __name__ == "__main__":
    main()

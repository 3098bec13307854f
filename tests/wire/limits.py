#!/usr/bin/python3
"""How many may connect: at a time from one address, and in a second from all together; and how many may fail.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import os
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import PATIENCE, Daemon, folder  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402


def serve(t, *settings):
    file = os.path.join(folder(t), "leveret.conf")
    with open(file, "w", encoding="ascii") as out:
        out.write("".join(setting + "\n" for setting in settings))
    daemon = Daemon(t, "--config", file, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--log-level",
                    "debug").ready()
    daemon.file, daemon.amqp = file, daemon.addresses()[0]
    return daemon


def dial(t, daemon, source="127.0.0.1", header=b""):
    host, port = daemon.amqp.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), PATIENCE, (source, 0))
    t.cleanup(sock.close)
    sock.sendall(header)
    return sock


def is_served(sock):
    try:
        sock.sendall(amqp.PROTOCOL_HEADER)
        return sock.recv(7)[:3] == b"\x01\x00\x00"
    except ConnectionError:
        return False


def configure(daemon, text):
    with open(daemon.file, "w", encoding="ascii") as out:
        out.write(text)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("config_reloaded")


@case("connections of one address: the next one is closed, others may come, and who goes makes room")
def _(t):
    daemon = serve(t, "leveret.connections_per_address = 3")
    inside = [dial(t, daemon) for _ in range(3)]
    for sock in inside:
        check(is_served(sock), "it is not served")
    for _ in range(5):
        check(not is_served(dial(t, daemon)), "one too many is served")
    daemon.says("address_refused peer=127.0.0.1:")
    equal(daemon.log().count("address_refused"), 1, "lines about five in a moment")
    check(is_served(dial(t, daemon, "127.0.0.2")), "another address is not served")
    inside.pop().close()
    deadline = time.monotonic() + PATIENCE
    while not is_served(dial(t, daemon)):
        check(time.monotonic() < deadline, "there is no room for who comes after another has gone")
        time.sleep(0.05)
    configure(daemon, "leveret.connections_per_address = 0\n")
    for sock in [dial(t, daemon) for _ in range(10)]:
        check(is_served(sock), "it is not served without a limit")
    equal(daemon.stop(), 0, "status")


@case("behind a proxy it is the address that the proxy names")
def _(t):
    daemon = serve(t, "leveret.connections_per_address = 2", "proxy_protocol = true")

    def line(source):
        return b"PROXY TCP4 %s 198.51.100.7 1 2\r\n" % source
    for source, served in ((b"192.0.2.1", True), (b"192.0.2.1", True), (b"192.0.2.1", False), (b"192.0.2.2", True)):
        equal(is_served(dial(t, daemon, header=line(source))), served, "one more of %r" % source)
    daemon.says("address_refused peer=192.0.2.1:1 connections=1")
    equal(daemon.stop(), 0, "status")


@case("new connections in a second: the others wait, and all are served")
def _(t):
    daemon = serve(t, "leveret.connections_per_second = 20")
    begun = time.monotonic()
    socks = [dial(t, daemon) for _ in range(50)]
    for sock in socks:
        sock.sendall(amqp.PROTOCOL_HEADER)
    for sock in socks:
        equal(sock.recv(7)[:3], b"\x01\x00\x00", "the answer")
    took = time.monotonic() - begun
    check(took > 1.2, "50 came in %.2f s, where 20 may at once, and 20 in each second" % took)
    for sock in socks:
        sock.close()
    equal(daemon.stop(), 0, "status")


def log_in(t, daemon, password, source="127.0.0.1"):
    """A client that waits for the answer to its password."""
    c = amqp.Connection(daemon.amqp)
    c.sock.close()
    c.sock = dial(t, daemon, source)
    c.begin()
    c.login(password=password)
    return c


def is_in(c):
    return c.recv(0).name == "connection.tune"


@case("failed logins in a second: who has guessed too often is refused with the right password, for a moment")
def _(t):
    daemon = serve(t, "leveret.failed_logins_per_second = 5", "leveret.auth_delay_ms = 100")
    reason = 'reason="too many logins from its address have failed"'
    for _ in range(5):
        check(is_in(log_in(t, daemon, "guest")), "before anybody has failed")
    for attempt in range(10):
        asking = [log_in(t, daemon, "wrong") for _ in range(20)] + [log_in(t, daemon, "guest")]
        right = is_in(asking.pop())
        check(is_in(log_in(t, daemon, "guest", "127.0.0.2")), "from another address")
        check(not any(is_in(c) for c in asking), "a wrong password is right")
        if not right:
            break
    check(not right, "guessing goes on after %d rounds" % attempt)
    daemon.says(reason)
    deadline = time.monotonic() + PATIENCE
    while not is_in(log_in(t, daemon, "guest")):
        check(time.monotonic() < deadline, "the second never ends")
        time.sleep(0.05)
    configure(daemon, "leveret.auth_delay_ms = 100\n")
    for c in [log_in(t, daemon, "wrong") for _ in range(20)]:
        check(not is_in(c), "a wrong password is right")
    check(is_in(log_in(t, daemon, "guest")), "without a limit")
    equal(daemon.stop(), 0, "status")


@case("who has connected is served while others wait")
def _(t):
    daemon = serve(t, "leveret.connections_per_second = 1")
    c = amqp.Connection(daemon.amqp)
    t.cleanup(c.abort)
    c.open()
    waiting = [dial(t, daemon, header=amqp.PROTOCOL_HEADER) for _ in range(3)]
    begun = time.monotonic()
    c.channel()
    for _ in range(20):
        c.queue()
    check(time.monotonic() - begun < 1, "it waited, too")
    equal(waiting[0].recv(1), b"\x01", "the next one")
    c.close()
    equal(daemon.stop(), 0, "status")


if __name__ == "__main__":
    main()

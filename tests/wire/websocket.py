#!/usr/bin/python3
"""AMQP over WebSocket: the request, AMQP in frames of any size, with TLS and proxies, limits and ends.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import base64
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from certificates import certificates, path, trust  # noqa: E402
from service import PATIENCE, PROGRAM, Daemon, folder  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402

LISTENING = re.compile(r"listening address=(\S+) protocol=http/web-amqp(?: tls=true)?$", re.M)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x11\xfe\x00\x80"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def serve(t, *settings, kind="tcp", **options):
    more = [word for setting in settings for word in ("--set", setting)]
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--set", "web_amqp.%s.ip=127.0.0.1" % kind,
                    "--set", "web_amqp.%s.port=%d" % (kind, free_port()), *more, **options).ready()
    daemon.web = LISTENING.search(daemon.log()).group(1)
    return daemon


def frame(data, opcode=2, final=True):
    size = len(data)
    head = bytes([opcode | (0x80 if final else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += struct.pack(">BH", 0xfe, size)
    else:
        head += struct.pack(">BQ", 0xff, size)
    mask = MASK * (size // 4 + 1)
    masked = int.from_bytes(data, "big") ^ int.from_bytes(mask[:size], "big")
    return head + MASK + masked.to_bytes(size, "big")


class Web:
    """What stands in for the socket of a client: bytes in binary messages, of at most `piece` bytes."""

    def __init__(self, t, daemon, fields=(), piece=1 << 20, context=None, before=b""):
        host, port = daemon.web.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        t.cleanup(self.sock.close)
        self.sock.sendall(before)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname="127.0.0.1")
        self.piece, self.raw, self.data, self.controls = piece, b"", b"", []
        lines = ["GET /ws HTTP/1.1", "Host: " + daemon.web, "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + KEY, "Sec-WebSocket-Protocol: amqp", *fields]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.raw:
            part = self.sock.recv(65536)
            check(part, "the answer ends with %r" % self.raw)
            self.raw += part
        self.answer, self.raw = self.raw.split(b"\r\n\r\n", 1)

    def sendall(self, data):
        self.sock.sendall(b"".join(frame(data[at:at + self.piece]) for at in range(0, len(data), self.piece)))

    send = sendall

    def take_frame(self):
        """The next one of the server: its opcode and its data; None at the end."""
        def need(count):
            while len(self.raw) < count:
                part = self.sock.recv(1 << 20)
                if not part:
                    return False
                self.raw += part
            return True
        if not need(2):
            return None
        first, size = self.raw[0], self.raw[1]
        equal(first & 0xf0, 0x80, "the first bits of a frame")
        head = {126: 4, 127: 10}.get(size, 2)
        check(need(head), "a head was cut")
        if head > 2:
            size = int.from_bytes(self.raw[2:head], "big")
        check(size <= 128 << 10, "a frame of %d bytes" % size)
        check(need(head + size), "a frame was cut")
        data, self.raw = self.raw[head:head + size], self.raw[head + size:]
        return first & 15, data

    def recv(self, size, *_flags):
        while not self.data:
            taken = self.take_frame()
            if taken is None:
                return b""
            if taken[0] == 2:
                self.data = taken[1]
            else:
                self.controls.append(taken)
        out, self.data = self.data[:size], self.data[size:]
        return out

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def gettimeout(self):
        return self.sock.gettimeout()

    def close(self):
        self.sock.close()

    def fileno(self):
        return self.sock.fileno()

    def getsockname(self):
        return self.sock.getsockname()

    def shutdown(self, how):
        self.sock.shutdown(how)

    def setblocking(self, flag):
        self.sock.setblocking(flag)


class Connection(amqp.Connection):
    def __init__(self, t, daemon, **options):
        super().__init__(daemon.addresses()[0])
        self.sock.close()
        self.sock = Web(t, daemon, **options)
        t.cleanup(self.abort)


def ask(t, daemon, *lines):
    host, port = daemon.web.rsplit(":", 1)
    with socket.create_connection((host, int(port)), PATIENCE) as sock:
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        out = b""
        while True:
            part = sock.recv(65536)
            if not part:
                return out
            out += part


@case("the request and its answer")
def _(t):
    daemon = serve(t)
    web = Web(t, daemon)
    fields = web.answer.decode().lower().split("\r\n")
    accept = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    equal(fields[0], "http/1.1 101 switching protocols", "the first line")
    check("sec-websocket-protocol: amqp" in fields, fields)
    check(b"sec-websocket-accept: " + accept in web.answer, web.answer)
    equal(ask(t, daemon, "GET / HTTP/1.1", "Host: x")[:12], b"HTTP/1.1 404", "elsewhere")
    equal(ask(t, daemon, "GET /ws HTTP/1.1", "Host: x")[:12], b"HTTP/1.1 426", "without an upgrade")
    equal(ask(t, daemon, "AMQP\0\0\x09\1")[:12], b"HTTP/1.1 400", "AMQP itself")
    daemon.says("websocket_refused peer=127.0.0.1:")
    equal(daemon.stop(), 0, "status")


@case("a conversation, in messages of all sizes")
def _(t):
    daemon = serve(t)
    for piece in (1, 2, 7, 100, 65536, 1 << 20):
        c = Connection(t, daemon, piece=piece).open()
        c.channel()
        q = c.queue(exclusive=True)
        c.call(1, "confirm.select")
        body = os.urandom(3000 if piece < 100 else 3 << 20)
        c.publish(1, q, body, delivery_mode=2)
        c.expect(1, "basic.ack")
        c.consume(q, no_ack=True)
        check(c.expect(1, "basic.deliver").body == body, "the message is another one")
        c.send(0, "connection.close", reply_code=200, reply_text="bye")
        c.expect(0, "connection.close-ok")
        equal(c.sock.recv(100), b"", "what follows close-ok")
        equal(c.sock.controls, [(8, b"\x03\xe8")], "the end, in messages of %d bytes" % piece)
    equal(daemon.stop(), 0, "status")


@case("many small messages, in order, while pings are answered")
def _(t):
    daemon = serve(t)
    c = Connection(t, daemon).open()
    c.channel()
    q = c.queue(exclusive=True)
    c.consume(q, no_ack=True)
    for at in range(20):
        c.send_raw(b"".join(amqp.frame_bytes(amqp.FRAME_METHOD, 1, amqp.method_bytes(
            "basic.publish", routing_key=q)) + c.content(1, b"%d" % (at * 500 + number)) for number in range(500)))
        c.sock.sock.sendall(frame(b"ping %d" % at, 9))
    for number in range(10000):
        equal(c.expect(1, "basic.deliver").body, b"%d" % number, "a body")
    while len(c.sock.controls) < 20:
        taken = c.sock.take_frame()
        check(taken and taken[0] == 10, "it said %r" % (taken,))
        c.sock.controls.append(taken)
    equal(c.sock.controls, [(10, b"ping %d" % at) for at in range(20)], "the pongs")
    c.close()


@case("a peer that reads late gets everything, and holds up nobody")
def _(t):
    daemon = serve(t)
    c = Connection(t, daemon).open()
    c.channel()
    q = c.queue(exclusive=True)
    bodies = [bytes([number]) * (1 << 20) for number in range(16)]
    for body in bodies:
        c.publish(1, q, body)
    c.consume(q, no_ack=True)
    time.sleep(0.3)
    other = Connection(t, daemon).open()
    other.channel()
    other.queue()
    other.close()
    for body in bodies:
        check(c.expect(1, "basic.deliver").body == body, "a message is another one")
    c.close()


@case("a publisher that an alarm holds goes on after it")
def _(t):
    daemon = serve(t, "vm_memory_high_watermark.absolute=3MB")
    c, reader = Connection(t, daemon).open(), Connection(t, daemon).open()
    for one in (c, reader):
        one.channel()
    reader.call(1, "queue.declare", queue="q")
    for number in range(60):
        c.publish(1, "q", b"%02d" % number + b"x" * 100000)
    time.sleep(0.3)
    reader.consume("q", no_ack=True)
    for number in range(60):
        equal(reader.expect(1, "basic.deliver").body[:2], b"%02d" % number, "a message")


@case("frames that are wrong end the connection, with a code")
def _(t):
    daemon = serve(t)
    for data, code in ((frame(b"text", 1), 1003), (b"\x82\x01x", 1002), (frame(b"", 3), 1002),
                       (b"\x82\xff\0\0\0\0\1\0\0\1" + MASK, 1009)):
        web = Web(t, daemon)
        web.sock.sendall(data)
        equal(web.take_frame(), (8, struct.pack(">H", code)), "the answer to %r" % data)
        equal(web.take_frame(), None, "what follows")
    web = Web(t, daemon)
    web.sock.sendall(frame(b"\x03\xe9bye", 8))
    equal(web.take_frame(), (8, b"\x03\xe9"), "the answer to an end")
    web = Web(t, daemon)
    web.sendall(b"GET / HTTP/1.1\r\n")
    equal(web.take_frame()[1][:4], b"AMQP", "the answer to what is no AMQP")
    equal(web.take_frame(), (8, b"\x03\xe8"), "and then")
    equal(daemon.stop(), 0, "status")


@case("guest, by a page: only of a site that is listed")
def _(t):
    daemon = serve(t, "leveret.web_amqp.origins.1=https://app.example")
    Connection(t, daemon).open().close()
    Connection(t, daemon, fields=["Origin: https://app.example"]).open().close()
    c = Connection(t, daemon, fields=["Origin: https://evil.example"])
    c.begin()
    c.login()
    equal(c.expect(0, "connection.close").reply_code, 403, "the answer to a page of another site")


@case("with TLS, and with a proxy")
def _(t):
    certificates()
    own = ("ssl_options.certfile=" + path("chain.pem"), "ssl_options.keyfile=" + path("server.key"))
    daemon = serve(t, *own, kind="ssl")
    c = Connection(t, daemon, context=trust()).open()
    c.channel()
    q = c.queue(exclusive=True)
    body = os.urandom(1 << 20)
    c.publish(1, q, body)
    check(c.get(q).body == body, "the message is another one")
    c.close()
    daemon = serve(t, "web_amqp.proxy_protocol=true")
    c = Connection(t, daemon, before=b"PROXY TCP4 192.0.2.1 198.51.100.7 40112 443\r\n")
    c.begin()
    c.login()
    equal(c.expect(0, "connection.close").reply_code, 403, "the answer to guest from afar")
    daemon.says("peer=192.0.2.1:40112 user=guest")


@case("listed, suspended, and stopped in good order")
def _(t):
    control = os.path.join(folder(t), "ctl.sock")
    daemon = serve(t, quiet=False, command=("env", "LEVERET_LEVERET__CONTROL_SOCKET=" + control))
    ctl = [os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + control, "-q"]

    def run(*words):
        return subprocess.run([*ctl, *words], stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True).stdout
    check("http/web-amqp" in run("listeners"), run("listeners"))
    c = Connection(t, daemon).open()
    run("suspend_listeners")
    try:
        Web(t, daemon)
        raise AssertionError("it was let in")
    except ConnectionRefusedError:
        pass
    run("resume_listeners")
    Connection(t, daemon).open().close()
    asking = socket.create_connection(("127.0.0.1", int(daemon.web.rsplit(":", 1)[1])), PATIENCE)
    t.cleanup(asking.close)
    asking.sendall(b"GET /ws")
    daemon.process.send_signal(signal.SIGTERM)
    equal(c.expect(0, "connection.close").reply_code, 320, "code")
    c.send(0, "connection.close-ok")
    equal(c.sock.recv(10), b"", "what follows")
    c.sock.close()
    equal(daemon.process.wait(4), 0, "status")


if __name__ == "__main__":
    main()

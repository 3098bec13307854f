#!/usr/bin/python3
"""HTTP as it should not be, at a real socket: what it is answered, and that nobody else notices.

Needs no broker: it starts its own, LEVERETD or leveretd in $top_builddir, for all of its cases.  Beside
each attacker stands a victim, a client of AMQP that was there before: it publishes a message and
consumes it while the attack goes on.  The longest time that took is noted.  As a busy machine makes
everybody wait, a case fails only if the daemon has spent more than 100 ms of processor time on one
turn, or if the victim gets nothing for as long as tests are patient.  Output is TAP.
"""

import base64
import gzip
import json
import os
import re
import resource
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import PATIENCE, Daemon, folder  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402

HOST = b"Host: localhost\r\n"
USER = b"Authorization: Basic " + base64.b64encode(b"guest:guest") + b"\r\n"
WHO = b"GET /api/whoami HTTP/1.1\r\n" + HOST + USER
IDLE, OPEN_MAX = 10000, 1024
IDLE_BYTES = 4096  # at most, of each of them; sanitizers included
TURN_MS = 100
TURNS = re.compile(r" slow_turn ms=\d+ processor_ms=(\d+) .*")


class Broker:
    """The daemon that all cases use."""

    def __init__(self):
        self.later = []
        self.daemon = Daemon(self, "--data-dir", folder(self), "--listen", "127.0.0.1:0",
                             "--management", "127.0.0.1:0", "--auth-delay-ms", "10",
                             "--slow-turn-ms", str(TURN_MS)).ready()
        addresses = self.daemon.addresses()
        self.amqp, self.http = addresses[0], addresses[1]

    def cleanup(self, function, *arguments):
        self.later.append((function, arguments))

    def end(self):
        for function, arguments in reversed(self.later):
            function(*arguments)


BROKER = None


class Victim:
    def __init__(self, t):
        self.t, self.worst = t, 0.0
        self.c = BROKER.daemon.client(t, BROKER.amqp)
        self.c.channel()
        self.c.call(1, "queue.declare", queue="victim", auto_delete=True)
        self.c.call(1, "basic.consume", queue="victim", no_ack=True)
        self.trip()
        self.worst = 0.0

    def trip(self):
        begin = time.monotonic()
        self.c.publish(1, "victim", b"still here")
        equal(self.c.expect(1, "basic.deliver").body, b"still here", "the victim's message")
        self.worst = max(self.worst, (time.monotonic() - begin) * 1000)

    def verdict(self):
        self.trip()
        self.t.note("victim %.1f ms" % self.worst)
        for turn in TURNS.finditer(BROKER.daemon.log()):
            check(int(turn.group(1)) < TURN_MS, "a turn took long:" + turn.group())


def dial(t, timeout=PATIENCE):
    host, port = BROKER.http.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout)
    t.cleanup(sock.close)
    return sock


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body


class Reader:
    """Answers from a socket, one after the other."""

    def __init__(self, sock):
        self.sock, self.bytes = sock, b""

    def more(self):
        some = self.sock.recv(65536)
        self.bytes += some
        return bool(some)

    def until(self, end):
        while end not in self.bytes:
            check(self.more(), "it was closed in the middle of %r" % self.bytes[-100:])
        text, self.bytes = self.bytes.split(end, 1)
        return text

    def take(self, size):
        while len(self.bytes) < size:
            check(self.more(), "it was closed in the middle of %r" % self.bytes[-100:])
        text, self.bytes = self.bytes[:size], self.bytes[size:]
        return text

    def chunks(self):
        body = b""
        while True:
            size = int(self.until(b"\r\n"), 16)
            body += self.take(size)
            equal(self.take(2), b"\r\n", "what follows a chunk")
            if size == 0:
                return body

    def answer(self, head_only=False):
        lines = self.until(b"\r\n\r\n").split(b"\r\n")
        check(lines[0].startswith(b"HTTP/1.1 "), "a first line: %r" % lines[0])
        fields = {}
        for line in lines[1:]:
            name, value = line.split(b": ", 1)
            check(name == name.lower() and name not in fields, "a field: %r" % line)
            fields[name.decode()] = value.decode()
        body = b""
        if not head_only and "transfer-encoding" in fields:
            body = self.chunks()
        elif not head_only:
            body = self.take(int(fields.get("content-length", 0)))
        return Answer(int(lines[0].split()[1]), fields, body)

    def at_end(self):
        """Has it been closed, with nothing before?"""
        try:
            return self.bytes == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def send(sock, data):
    """All of it, or as much as is taken before the other side closes."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def whoami(answer):
    equal(answer.status, 200, "status")
    equal(json.loads(answer.body)["name"], "guest", "name")


def refused(title, status, data):
    """Register a case in which the bytes are answered so, and nothing behind them is."""

    @case("%d: %s" % (status, title))
    def _(t):
        victim, sock = Victim(t), dial(t)
        send(sock, data)
        victim.trip()
        reader = Reader(sock)
        answer = reader.answer()
        equal(answer.status, status, "status")
        equal(answer.fields.get("connection"), "close", "connection")
        equal(answer.fields.get("content-type"), "application/json", "type")
        told = json.loads(answer.body)
        equal(sorted(told), ["error", "reason"], "what is told")
        t.note("%s: %s" % (told["error"], told["reason"]))
        check(reader.at_end(), "there is more behind it")
        victim.verdict()


# ---- what two readers may understand in two ways

PUT = b"PUT /api/queues/%2F/smuggled HTTP/1.1\r\n" + HOST + USER
INNER = WHO + b"\r\n"

refused("a length and chunks", 400, PUT + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" % (len(INNER) + 5) + INNER)
refused("chunks and a length", 400, PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
        b"0\r\n\r\n" + INNER)
refused("two lengths", 400, PUT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + INNER)
refused("two equal lengths", 400, PUT + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + INNER)
refused("a list of lengths", 400, PUT + b"Content-Length: 2, 2\r\n\r\n{}" + INNER)
refused("a length with a sign", 400, PUT + b"Content-Length: +2\r\n\r\n{}" + INNER)
refused("a length in another base", 400, PUT + b"Content-Length: 0x2\r\n\r\n{}" + INNER)
refused("a coding of another name", 501, PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER)
refused("chunked twice", 400, PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" + INNER)
refused("a coding behind chunked", 501, PUT + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + INNER)
refused("chunks in HTTP/1.0", 400, PUT.replace(b"/1.1", b"/1.0") +
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER)
refused("a space before the colon", 400, PUT + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER)
refused("a field in two lines", 400, PUT + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n" + INNER)
refused("a line that ends with LF", 400, PUT + b"X: a\nTransfer-Encoding: chunked\r\n\r\n" + INNER)
refused("a CR in a field", 400, PUT + b"X: a\rTransfer-Encoding: chunked\r\n\r\n" + INNER)
refused("a NUL in a field", 400, PUT + b"X: a\0b\r\n\r\n" + INNER)
refused("a chunk that is longer than it says", 400, PUT +
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n" + INNER)
refused("a size of a chunk with a space", 400, PUT +
        b"Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n" + INNER)
refused("a size of a chunk that ends with LF", 400, PUT +
        b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + INNER)
refused("two hosts", 400, WHO + HOST + b"\r\n")
refused("no host", 400, b"GET /api/whoami HTTP/1.1\r\n" + USER + b"\r\n")
refused("a host with a path", 400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")
refused("two users", 400, WHO + USER + b"\r\n")


def with_length(text):
    return PUT + b"Content-Length: " + text + b"\r\n\r\n{}" + INNER


def with_coding(text):
    return PUT + b"Transfer-Encoding: " + text + b"\r\n\r\n0\r\n\r\n" + INNER


def with_field(line):
    return PUT + line + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER


def with_chunks(text):
    return PUT + b"Transfer-Encoding: chunked\r\n\r\n" + text + INNER


refused("an empty length", 400, with_length(b""))
refused("a negative length", 400, with_length(b"-2"))
refused("a length with a space in it", 400, with_length(b"1 2"))
refused("a length with a fraction", 400, with_length(b"2.0"))
refused("a length with an exponent", 400, with_length(b"2e0"))
refused("a length with an underscore", 400, with_length(b"0_2"))
refused("a length in other digits", 400, with_length("\u0662".encode()))
refused("two lengths in other letters", 400, PUT + b"content-length: 2\r\nCONTENT-LENGTH: 3\r\n\r\n{}" + INNER)
refused("an empty coding", 501, with_coding(b""))
refused("chunked in quotes", 501, with_coding(b"\"chunked\""))
refused("chunked with a parameter", 501, with_coding(b"chunked;q=1"))
refused("chunked twice in a list", 501, with_coding(b"chunked, chunked"))
refused("a coding before chunked", 501, with_coding(b"gzip, chunked"))
refused("no coding by its name", 501, with_coding(b"identity"))
refused("a vertical tab before chunked", 400, with_coding(b"\x0bchunked"))
refused("chunked behind a byte that is no text", 501, with_coding(b"\xa0chunked"))
refused("a coding that comes twice, once of another name", 400,
        PUT + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER)
refused("a space before the first field", 400, PUT.replace(b"\r\nHost", b"\r\n Host") + b"\r\n" + INNER)
refused("a field without a colon", 400, with_field(b"Content-Length 2"))
refused("a field without a name", 400, with_field(b": 2"))
refused("a name with a space in it", 400, with_field(b"Content Length: 2"))
refused("a name with a tab behind it", 400, with_field(b"Content-Length\t: 2"))
refused("a name with a NUL in it", 400, with_field(b"Content-\0Length: 2"))
refused("a name with a byte that is no ASCII", 400, with_field(b"Content-Length\xff: 2"))
refused("a name in quotes", 400, with_field(b"\"Content-Length\": 2"))
refused("a size of a chunk with a prefix", 400, with_chunks(b"0x2\r\n{}\r\n0\r\n\r\n"))
refused("a size of a chunk with a sign", 400, with_chunks(b"+2\r\n{}\r\n0\r\n\r\n"))
refused("a negative size of a chunk", 400, with_chunks(b"-1\r\n{}\r\n0\r\n\r\n"))
refused("a chunk without a size", 400, with_chunks(b"\r\n{}\r\n0\r\n\r\n"))
refused("a size of a chunk behind a space", 400, with_chunks(b" 2\r\n{}\r\n0\r\n\r\n"))
refused("a space before an extension", 400, with_chunks(b"2 ;a=b\r\n{}\r\n0\r\n\r\n"))
refused("a size of a chunk that is no number", 400, with_chunks(b"z\r\n{}\r\n0\r\n\r\n"))
refused("a size of a chunk with twenty zeros before it", 413,
        with_chunks(b"0" * 20 + b"2\r\n{}\r\n0\r\n\r\n"))
refused("a CR in an extension", 400, with_chunks(b"2;a=\rb\r\n{}\r\n0\r\n\r\n"))
refused("an extension of 300 bytes", 400, with_chunks(b"2;" + b"a" * 300 + b"\r\n{}\r\n0\r\n\r\n"))
refused("a chunk that has no end of its own", 400, with_chunks(b"2\r\n{}0\r\n\r\n"))
refused("a chunk that ends with LF", 400, with_chunks(b"2\r\n{}\n0\r\n\r\n"))
refused("a trailer with a NUL", 400, with_chunks(b"0\r\nX: \0\r\n\r\n"))
refused("a first line that ends with LF", 400, WHO.replace(b"1.1\r\n", b"1.1\n") + b"\r\n")
refused("a first line that ends with CR", 400, WHO.replace(b"1.1\r\n", b"1.1\r") + b"\r\n")
refused("two spaces before the path", 400, WHO.replace(b"GET ", b"GET  ") + b"\r\n")
refused("a tab before the path", 400, WHO.replace(b"GET ", b"GET\t") + b"\r\n")
refused("a space behind the version", 400, WHO.replace(b"1.1\r\n", b"1.1 \r\n") + b"\r\n")
refused("a space in the path", 400, WHO.replace(b"whoami", b"who ami") + b"\r\n")
refused("a NUL in the path", 400, WHO.replace(b"whoami", b"whoami\0") + b"\r\n")
refused("a host with a user", 400, WHO.replace(b"Host: ", b"Host: a@") + b"\r\n")
refused("two hosts in one field", 400, WHO.replace(b"Host: ", b"Host: a, ") + b"\r\n")
refused("a host in other letters behind a host", 400, WHO + b"hOST: elsewhere\r\n\r\n")

# ---- what is no request of HTTP/1.1

refused("HTTP/0.9", 400, b"GET /\r\n\r\n")
refused("HTTP/2", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
refused("HTTP/0.9 by its name", 505, WHO.replace(b"HTTP/1.1", b"HTTP/0.9") + b"\r\n")
refused("a version in small letters", 400, WHO.replace(b"HTTP/1.1", b"http/1.1") + b"\r\n")
refused("a version of two digits", 400, WHO.replace(b"HTTP/1.1", b"HTTP/1.10") + b"\r\n")
refused("AMQP", 400, b"AMQP\0\0\x09\x01")
refused("TLS", 400, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03")
refused("CONNECT", 400, b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n")
refused("a fragment", 400, b"GET /api#x HTTP/1.1\r\n" + HOST + b"\r\n")
refused("an expectation that is not known", 417, WHO + b"Expect: the-unexpected\r\n\r\n")

# ---- what is too much

refused("a first line of a megabyte", 414, b"GET /" + b"x" * 1000000)
refused("a field of a megabyte", 431, WHO + b"X: " + b"x" * 1000000)
refused("a thousand fields", 431, WHO + b"X: y\r\n" * 1000 + b"\r\n")
refused("a body larger than is taken", 413, PUT + b"Content-Length: 1000000000000\r\n\r\n")
refused("a body larger than is taken there", 413, PUT + b"Content-Length: 1048577\r\n\r\n")
refused("a length beyond 64 bits", 413, PUT + b"Content-Length: 18446744073709551618\r\n\r\n{}")
refused("a chunk larger than is taken", 413, PUT +
        b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n")
refused("a trailer without an end", 431, PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" +
        b"X: y\r\n" * 100000)


@case("a body that looks like a request is a body")
def _(t):
    victim, reader = Victim(t), Reader(dial(t))
    inner = PUT + b"Content-Length: 2\r\n\r\n{}"
    length = b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(inner) + inner + b"\r\n0\r\n"
    trailer = b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n"
    for body in (length, chunks + b"\r\n", chunks + trailer):
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
            send(reader.sock, WHO.replace(b"GET", method) + body + WHO + b"\r\n")
            status = reader.answer(head_only=method == b"HEAD").status
            equal(status, 405 if method == b"DELETE" else 200, "status of " + method.decode())
            whoami(reader.answer())
            victim.trip()
    victim.verdict()


@case("what comes behind the last request is not read")
def _(t):
    victim = Victim(t)
    for data in (WHO + b"Connection: close\r\n\r\n", WHO.replace(b"/1.1", b"/1.0") + b"\r\n",
                 WHO + b"Connection: x, Close\r\n\r\n"):
        reader = Reader(dial(t))
        send(reader.sock, data + PUT + b"Content-Length: 2\r\n\r\n{}")
        whoami(reader.answer())
        check(reader.at_end(), "it stays open")
    victim.verdict()


@case("nobody is let over to another protocol")
def _(t):
    reader = Reader(dial(t))
    for protocol in (b"h2c", b"websocket", b"TLS/1.2"):
        send(reader.sock, WHO + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol +
             b"\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
        whoami(reader.answer())


@case("nothing of all that was taken for a request")
def _(t):
    c = BROKER.daemon.client(t, BROKER.amqp)
    c.channel()
    c.send(1, "queue.declare", queue="smuggled", passive=True)
    equal(c.expect(1, "channel.close").reply_code, 404, "the queue")


# ---- what is unusual, and right

@case("byte by byte")
def _(t):
    victim, sock = Victim(t), dial(t)
    for number, byte in enumerate(WHO + b"\r\n"):
        sock.sendall(bytes([byte]))
        if number % 20 == 0:
            victim.trip()
    whoami(Reader(sock).answer())
    victim.verdict()


@case("a hundred requests at once are answered in their order")
def _(t):
    victim, sock = Victim(t), dial(t)
    missing = b"GET /api/queues/%%2F/number-%d HTTP/1.1\r\n" + HOST + USER + b"\r\n"
    send(sock, b"".join(WHO + b"\r\n" if number % 2 else missing % number for number in range(100)))
    reader = Reader(sock)
    for number in range(100):
        equal(reader.answer().status, 200 if number % 2 else 404, "status of %d" % number)
    whoami_again = WHO + b"Connection: close\r\n\r\n"
    send(sock, whoami_again)
    whoami(reader.answer())
    check(reader.at_end(), "it stays open")
    victim.verdict()


@case("a body in chunks, with extensions and a trailer")
def _(t):
    reader = Reader(dial(t))
    send(reader.sock, b"PUT /api/queues/%2F/in-chunks HTTP/1.1\r\n" + HOST + USER +
         b"Transfer-Encoding: chunked\r\n\r\n9;a=b\r\n{\"durable\r\n7\r\n\":true}\r\n0\r\nX: y\r\n\r\n")
    equal(reader.answer().status, 201, "status")
    send(reader.sock, b"DELETE /api/queues/%2F/in-chunks HTTP/1.1\r\n" + HOST + USER + b"\r\n")
    equal(reader.answer().status, 204, "status")


@case("a client that waits until its body is welcome")
def _(t):
    reader = Reader(dial(t))
    send(reader.sock, b"PUT /api/queues/%2F/welcome HTTP/1.1\r\n" + HOST + USER +
         b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    equal(reader.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue", "the invitation")
    send(reader.sock, b"{}")
    equal(reader.answer().status, 201, "status")
    send(reader.sock, b"DELETE /api/queues/%2F/welcome HTTP/1.1\r\n" + HOST + USER + b"\r\n")
    equal(reader.answer().status, 204, "status")


@case("HEAD has the head of GET, and no body")
def _(t):
    reader = Reader(dial(t))
    for path in (b"/api/whoami", b"/api/queues", b"/api/nothing", b"/api/overview"):
        line = b" " + path + b" HTTP/1.1\r\n" + HOST + USER + b"\r\n"
        send(reader.sock, b"GET" + line + b"HEAD" + line + WHO + b"\r\n")
        get, head = reader.answer(), reader.answer(head_only=True)
        equal((head.status, sorted(head.fields)), (get.status, sorted(get.fields)), path.decode())
        whoami(reader.answer())


@case("HTTP/1.0, with and without keep-alive")
def _(t):
    reader = Reader(dial(t))
    old = b"GET /api/whoami HTTP/1.0\r\n" + USER
    send(reader.sock, old + b"Connection: keep-alive\r\n\r\n")
    answer = reader.answer()
    whoami(answer)
    equal(answer.fields.get("connection"), "keep-alive", "connection")
    send(reader.sock, old + b"\r\n")
    whoami(reader.answer())
    check(reader.at_end(), "it stays open")


@case("a client that has nothing more to say is answered all the same")
def _(t):
    sock = dial(t)
    send(sock, WHO + b"\r\n")
    sock.shutdown(socket.SHUT_WR)
    whoami(Reader(sock).answer())


@case("paths that try to be something else")
def _(t):
    victim, reader = Victim(t), Reader(dial(t))
    for path in (b"/api/../etc/passwd", b"/../../etc/passwd", b"//api//whoami", b"/api/%2e%2e/whoami",
                 b"/api/queues/%2F/..", b"/api/queues/%2F/%2e%2e%2f", b"/api/queues/%2F/a%00b",
                 b"/api/queues/%2F/%zz", b"/api/queues/%2F/%", b"/api/queues/%2F/\xff\xfe",
                 b"/api/queues/%2F/%ff%fe", b"/api/queues/%252F/x", b"/api/whoami;x",
                 b"/api\\whoami", b"/api/whoami%20", b"/API/whoami", b"/api/queues/%2F/" + b"x" * 8000,
                 b"/api/" + b"a/" * 4000, b"http://elsewhere/api/../x", b"/?" + b"&" * 8000,
                 b"/api/./whoami", b"/api/whoami/.", b"/api/%2e%2e%2f%2e%2e%2fetc/passwd",
                 b"/api/%252e%252e/whoami", b"/api/%5c..%5cwhoami", b"/api/..;/whoami",
                 b"/api/queues/%2F/%c0%af", b"/api/queues/%2F/%c0%2e%c0%2e", b"/api/queues/%u002f/x",
                 b"/api/queues/%2F/%ed%a0%80", b"/api/queues%2F%2F", b"/api/queues/%2f%00/x",
                 b"/api%2Fwhoami", b"/api/who%61mi/x", b"//localhost/api/whoami"):
        send(reader.sock, b"GET " + path + b" HTTP/1.1\r\n" + HOST + USER + b"\r\n" + WHO + b"\r\n")
        answer = reader.answer()
        check(answer.status in (400, 404), "%r is answered %d" % (path, answer.status))
        whoami(reader.answer())
    victim.verdict()


@case("JSON as deep as its body is long")
def _(t):
    victim, reader = Victim(t), Reader(dial(t))
    for body in (b"[" * 1000000, b'{"a":' * 200000, b'{"arguments":' + b"[" * 500000,
                 b'{"arguments":{"x":' + b'{"y":' * 5000 + b"1" + b"}" * 5002, b"\xff\xfe", b"{",
                 b"null", b'"' + b"\\" * 99999):
        send(reader.sock, PUT + b"Content-Length: %d\r\n\r\n" % len(body) + body + WHO + b"\r\n")
        equal(reader.answer().status, 400, "status")
        whoami(reader.answer())
        victim.trip()
    victim.verdict()


@case("a body that is shorter than it says, and one that is longer")
def _(t):
    victim, reader = Victim(t), Reader(dial(t))
    short = dial(t)
    send(short, PUT + b"Content-Length: 10\r\n\r\n{}")
    short.shutdown(socket.SHUT_WR)
    equal(short.recv(1), b"", "no answer to half a request")
    send(reader.sock, PUT.replace(b"smuggled", b"longer") + b"Content-Length: 2\r\n\r\n{}{}{}\r\n\r\n")
    equal(reader.answer().status, 201, "status")
    equal(reader.answer().status, 400, "status of what is left")
    check(reader.at_end(), "it stays open")
    equal(victim.c.call(1, "queue.delete", queue="longer").message_count, 0, "the queue is there")
    victim.verdict()


@case("a list as gzip is the list")
def _(t):
    victim, reader = Victim(t), Reader(dial(t))
    for number in range(500):
        victim.c.send(1, "queue.declare", queue="listed-%d" % number, auto_delete=True, nowait=True)
    victim.c.call(1, "queue.declare", queue="listed-0", auto_delete=True)
    list_queues = b"GET /api/queues?columns=name,durable HTTP/1.1\r\n" + HOST + USER
    send(reader.sock, list_queues + b"\r\n")
    plain = reader.answer()
    send(reader.sock, list_queues + b"Accept-Encoding: gzip, deflate\r\n\r\n")
    zipped = reader.answer()
    equal(plain.fields.get("content-encoding"), None, "coding of the one")
    equal(zipped.fields.get("content-encoding"), "gzip", "coding of the other")
    equal(json.loads(gzip.decompress(zipped.body)), json.loads(plain.body), "the list")
    t.note("%d bytes, as gzip %d" % (len(plain.body), len(zipped.body)))
    for number in range(500):
        victim.c.send(1, "queue.delete", queue="listed-%d" % number, nowait=True)
    victim.verdict()


# ---- many, and slow ones

@case("five hundred bodies that do not come")
def _(t):
    victim = Victim(t)
    slow = [dial(t) for _ in range(500)]
    for number, sock in enumerate(slow):
        send(sock, PUT + b"Content-Length: 100000\r\n\r\n" + b"{" * number)
        if number % 50 == 0:
            victim.trip()
    for number in range(5):
        for sock in slow:
            send(sock, b" ")
        victim.trip()
    reader = Reader(dial(t))
    send(reader.sock, WHO + b"\r\n")
    whoami(reader.answer())
    victim.verdict()


@case("a hundred bodies that come a byte at a time")
def _(t):
    victim = Victim(t)
    body = b'{"durable":true,"auto_delete":false}'
    path = b"PUT /api/queues/%%2F/slow-%d HTTP/1.1\r\n" + HOST + USER
    slow = [dial(t) for _ in range(100)]
    for number, sock in enumerate(slow):
        send(sock, path % number + (b"Content-Length: %d\r\n\r\n" % len(body) if number % 2 else
                                    b"Transfer-Encoding: chunked\r\n\r\n"))
    for byte in body:
        for number, sock in enumerate(slow):
            send(sock, bytes([byte]) if number % 2 else b"1\r\n%c\r\n" % byte)
        victim.trip()
    for number, sock in enumerate(slow):
        send(sock, b"" if number % 2 else b"0\r\n\r\n")
        equal(Reader(sock).answer().status, 201, "status of %d" % number)
        victim.c.call(1, "queue.delete", queue="slow-%d" % number)
    victim.verdict()


@case("bodies of 15 MiB, five at a time")
def _(t):
    victim = Victim(t)
    body = b" " * (15 << 20)
    elsewhere = PUT.replace(b"/queues/", b"/definitions/")  # which may be so large; nobody reads it
    statuses = []

    def upload():
        reader = Reader(dial(t, 60))
        send(reader.sock, elsewhere + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        statuses.append(reader.answer().status)

    threads = [threading.Thread(target=upload) for _ in range(5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        victim.trip()
        time.sleep(0.01)
    equal(statuses, [404] * 5, "statuses")
    victim.verdict()


@case("clients that ask for much and take nothing")
def _(t):
    victim = Victim(t)
    for number in range(3000):
        victim.c.send(1, "queue.declare", queue="many-%d" % number, auto_delete=True, nowait=True)
    victim.c.call(1, "queue.declare", queue="many-0", auto_delete=True)
    deaf = [dial(t) for _ in range(50)]
    for sock in deaf:
        send(sock, (b"GET /api/queues HTTP/1.1\r\n" + HOST + USER + b"\r\n") * 20)
    for _ in range(50):
        victim.trip()
        time.sleep(0.01)
    reader = Reader(dial(t))
    send(reader.sock, b"GET /api/queues HTTP/1.1\r\n" + HOST + USER + b"\r\n")
    equal(len(json.loads(reader.answer().body)), 3001, "queues")
    victim.verdict()
    for number in range(3000):
        victim.c.send(1, "queue.delete", queue="many-%d" % number, nowait=True)
    victim.trip()


def own_broker(t):
    """For this case alone, as memory that others have had is used again."""
    global BROKER
    shared, BROKER = BROKER, Broker()
    t.cleanup(back_to, shared)


def back_to(shared):
    global BROKER
    BROKER.end()
    BROKER = shared


@case("ten thousand that say nothing")
def _(t):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = IDLE + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        t.note("only %d descriptors" % hard)
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    own_broker(t)
    victim, idle, before = Victim(t), [], resident()
    for number in range(wanted - 200):
        idle.append(dial(t))
        if number % 500 == 0:
            victim.trip()
    silent, gone = idle, 0
    deadline = time.monotonic() + PATIENCE
    # The last ones may still wait in the kernel to be taken.
    while len(silent) > OPEN_MAX and time.monotonic() < deadline:
        victim.trip()
        silent, answers = those_without_answer(silent)
        gone += sum(answer == b"" for answer in answers)
    t.note("%d stay, %d have made room" % (len(silent), gone))
    equal(len(silent), min(OPEN_MAX, len(idle)), "those that may stay")
    equal(gone, len(idle) - len(silent), "those that have made room, and are closed")
    equal(silent, idle[-len(silent):], "they came last")
    reader = Reader(dial(t))
    send(reader.sock, WHO + b"\r\n")
    equal(reader.answer().status, 200, "somebody who asks, beside them")
    grown = max(0, resident() - before)
    t.note("%d bytes of memory for each of them" % (grown / len(idle)))
    check(grown < len(idle) * IDLE_BYTES, "they take %d bytes" % grown)
    victim.trip()
    for sock in idle:
        sock.close()
    deadline = time.monotonic() + PATIENCE
    status = 503
    while status == 503 and time.monotonic() < deadline:
        reader = Reader(dial(t))
        send(reader.sock, WHO + b"\r\n")
        status = reader.answer().status
    equal(status, 200, "status when they have gone")
    victim.verdict()


def those_without_answer(socks):
    """Those that nothing has come to, and what came to the others."""
    silent, answers = [], []
    for sock in socks:
        sock.settimeout(0.0)
        try:
            answers.append(sock.recv(64))
        except BlockingIOError:
            silent.append(sock)
    return silent, answers


def resident():
    """The daemon's memory, in bytes."""
    with open("/proc/%d/statm" % BROKER.daemon.process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def run_all():
    global BROKER
    BROKER = Broker()
    try:
        return main()
    finally:
        BROKER.end()


if __name__ == "__main__":
    sys.exit(run_all())

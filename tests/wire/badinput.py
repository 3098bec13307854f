#!/usr/bin/python3
"""Bad input: the reply it gets, and that nobody else notices.

Beside each attacker stands a victim, a connection that was open before.  It publishes a message
and consumes it right after the bad bytes were sent and again after the reply was read; the longer
of the two is printed as "victim N.N ms".  It is meant to stay under 10 ms; the case fails at 250,
so that a busy machine does not fail it.

Expectations are RabbitMQ 4's where it answers, and Leveret's own where RabbitMQ just drops the
connection; old= is what RabbitMQ 3.10 does, GONE meaning that it says nothing and closes.
"""

import random
import struct
import time

from wire import amqp, case, check, client, dial, equal, exchange, main, name

GONE, QUIET = "closed without a word", "no reply"
FRAME = amqp.frame_bytes
METHOD = amqp.method_bytes
PUBLISH = METHOD("basic.publish", routing_key="nowhere")
LIMIT = 134217728
EMPTY_FLAGS = struct.pack(">HHQH", 60, 0, 0, 0xFFF8)  # announces 13 properties and has none


class Victim:
    def __init__(self, t):
        self.t, self.c, self.worst = t, client(t), 0.0
        self.q = self.c.queue()
        self.c.consume(self.q, no_ack=True)
        self.trip()
        self.worst = 0.0

    def trip(self):
        begin = time.monotonic()
        self.c.publish(1, self.q, "still here")
        equal(self.c.expect(1, "basic.deliver").body, b"still here", "the victim's message")
        self.worst = max(self.worst, (time.monotonic() - begin) * 1000)

    def verdict(self):
        self.trip()
        self.t.note("victim %.1f ms" % self.worst)


def reply_to(c, timeout=None):
    try:
        return c.recv(timeout=timeout)
    except amqp.ConnectionGone:
        return GONE
    except amqp.Silence:
        return QUIET


def check_reply(event, codes, text, method):
    """A connection.close with one of the codes; text may be just the beginning, then a star."""
    if event in (GONE, QUIET):
        raise AssertionError("expected a close with %s, got %s" % (codes, event))
    equal(event.name, "connection.close", "reply")
    check(event.reply_code in codes, "expected code %s, got %r" % (codes, event))
    if text is not None and text.endswith("*"):
        equal(event.reply_text[:len(text) - 1], text[:-1], "text")
    elif text is not None:
        equal(event.reply_text, text, "text")
    if method is not None:
        want = amqp.METHODS[method][:2] if method else (0, 0)
        equal((event.class_id, event.method_id), want, "class and method")


def bad(title, codes, text=None, method=None, old=None):
    """Register a case in which the function sends bad bytes on an open connection.

    method "" means class and method 0; None means that they are not compared.
    """
    codes = codes if isinstance(codes, tuple) else (codes,)

    def register(function):
        def run(t):
            victim, c = Victim(t), client(t)
            function(t, c)
            victim.trip()
            event = reply_to(c, 1 if t.oracle and old == QUIET else None)
            victim.verdict()
            if t.oracle and old is not None:
                if isinstance(old, str):
                    equal(event, old, "reply")
                else:
                    check_reply(event, old, None, None)
                return
            check_reply(event, codes, text, method)
            t.note("%d %s" % (event.reply_code, event.reply_text.encode("unicode_escape").decode()))
            c.send(0, "connection.close-ok")
            check(c.at_end(), "the socket stayed open after close-ok")
        case("%s: %s" % ("/".join(map(str, codes)), title))(run)
        return function
    return register


# ---- frames

@bad("a frame over frame_max is refused by its first 7 bytes", 501,
     "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,200000,131064}", "")
def _(t, c):
    c.send_raw(struct.pack(">BHI", amqp.FRAME_METHOD, 1, 200000))


@bad("a body frame of one byte too many, tolerance included", 501,
     "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,131073,131064}", "")
def _(t, c):
    c.send_raw(struct.pack(">BHI", amqp.FRAME_BODY, 1, 131073))


@bad("a frame of 4 GiB", 501,
     "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,131064}", "")
def _(t, c):
    c.send_raw(struct.pack(">BHI", amqp.FRAME_METHOD, 1, 0xFFFFFFFF))


@case("a body frame of frame_max, header and end octet not counted, is tolerated")
def frame_tolerance(t):
    c = client(t)
    q = c.queue()
    body = b"z" * 131072
    c.send_raw(FRAME(1, 1, METHOD("basic.publish", routing_key=q))
               + FRAME(2, 1, amqp.header_bytes(len(body))) + FRAME(3, 1, body))
    equal(c.get_soon(q).body, body, "body")


@bad("a bad end octet", 501, "FRAME_ERROR - type 1, all octets = <<0,20>>: "
     "{invalid_frame_end_marker,65}", "")
def _(t, c):
    c.send_frame(amqp.FRAME_METHOD, 1, b"\x00\x14", end=0x41)


@bad("a bad end octet after a good method", 501, "FRAME_ERROR - type 1, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_METHOD, 1, METHOD("queue.declare", queue=name()), end=0)


@bad("an unknown frame type", 501, "FRAME_ERROR - type 9, *", "")
def _(t, c):
    c.send_frame(9, 1, b"abc")


@bad("an unknown frame type on channel 0", 501, "FRAME_ERROR - type 4, *", "")
def _(t, c):
    c.send_frame(4, 0, b"")


@bad("a heartbeat with a payload", 501, "FRAME_ERROR - type 8, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_HEARTBEAT, 0, b"xx")


@bad("a heartbeat on a channel", 505, "UNEXPECTED_FRAME - type 8, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_HEARTBEAT, 1, b"")


@bad("a body on channel 0", 505, "UNEXPECTED_FRAME - type 3, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_BODY, 0, b"abc")


@bad("a content header on channel 0", 505, "UNEXPECTED_FRAME - type 2, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_HEADER, 0, amqp.header_bytes(3))


@bad("an empty method frame", 501, "FRAME_ERROR - type 1, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_METHOD, 1, b"")


@bad("half a method id", 501, "FRAME_ERROR - type 1, *", "")
def _(t, c):
    c.send_frame(amqp.FRAME_METHOD, 1, b"\x00\x32\x00")


# ---- content out of order

ORDER = "UNEXPECTED_FRAME - expected "
NO_HEADER = ORDER + "content header for class 60, got non content header frame instead"
NO_METHOD = ORDER + "method frame, got non method frame instead"
NO_BODY = ORDER + "content body, got non content body frame instead"


def order(title, text, method, *frames):
    @bad(title, 505, text, method)
    def _(t, c):
        c.send_raw(b"".join(FRAME(kind, 1, payload) for kind, payload in frames))


order("a content header without a method", NO_METHOD, "", (2, amqp.header_bytes(3)))
order("a body without a method", NO_METHOD, "", (3, b"abc"))
order("publish, then a method", NO_HEADER, "basic.publish", (1, PUBLISH),
      (1, METHOD("queue.declare")))
order("publish, then publish", NO_HEADER, "basic.publish", (1, PUBLISH), (1, PUBLISH))
order("publish, then a body", NO_HEADER, "basic.publish", (1, PUBLISH), (3, b"abc"))
order("publish, then the header of another class",
      ORDER + "content header for class 60, got one for class 50 instead", "basic.publish",
      (1, PUBLISH), (2, amqp.header_bytes(3, class_id=50)))
order("header, then a method", NO_BODY, "basic.publish", (1, PUBLISH), (2, amqp.header_bytes(3)),
      (1, METHOD("queue.declare")))
order("header, then a header", NO_BODY, "basic.publish", (1, PUBLISH), (2, amqp.header_bytes(3)),
      (2, amqp.header_bytes(3)))
order("half a body, then a method", NO_BODY, "basic.publish", (1, PUBLISH),
      (2, amqp.header_bytes(3)), (3, b"ab"), (1, METHOD("queue.declare")))
order("a whole content, then a body", NO_METHOD, "", (1, PUBLISH), (2, amqp.header_bytes(3)),
      (3, b"abc"), (3, b"d"))


@bad("a content header of weight 1", (501, 505))
def _(t, c):
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, amqp.header_bytes(0, weight=1)))


@case("an empty body frame is skipped")
def empty_body_frame(t):
    c = client(t)
    q = c.queue()
    c.send_raw(FRAME(1, 1, METHOD("basic.publish", routing_key=q))
               + FRAME(2, 1, amqp.header_bytes(3)) + FRAME(3, 1, b"") + FRAME(3, 1, b"abc"))
    equal(c.get_soon(q).body, b"abc", "body")


@case("contents of two channels may be mixed frame by frame")
def interleaved(t):
    c = client(t, channels=2)
    q = c.queue()
    method = METHOD("basic.publish", routing_key=q)
    out = b""
    for kind, one, two in ((1, method, method), (2, amqp.header_bytes(4), amqp.header_bytes(4)),
                           (3, b"on", b"tw"), (3, b"e1", b"o2")):
        out += FRAME(kind, 1, one) + FRAME(kind, 2, two)
    c.send_raw(out)
    bodies = [c.get_soon(q).body for _ in range(2)]
    equal(sorted(bodies), [b"one1", b"two2"], "bodies")  # in either order: two channels


# ---- sizes

@bad("a body longer than announced", 501,
     "FRAME_ERROR - content body frame exceeds remaining content size*", old=QUIET)
def _(t, c):
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, amqp.header_bytes(3)) + FRAME(3, 1, b"abcdef"))


@bad("a second body frame longer than what is left", 501,
     "FRAME_ERROR - content body frame exceeds remaining content size*", old=QUIET)
def _(t, c):
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, amqp.header_bytes(5)) + FRAME(3, 1, b"abc")
               + FRAME(3, 1, b"def"))


@case("406: a body_size over the limit is refused at the header, and its body discarded")
def message_too_large(t):
    t.skip_on_oracle("RabbitMQ 3.10 waits for the body")
    victim, c = Victim(t), client(t, channels=2)
    size = LIMIT + 1
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, amqp.header_bytes(size)))
    victim.trip()
    event = c.expect(1, "channel.close")
    equal((event.reply_code, event.reply_text, event.class_id, event.method_id),
          (406, "PRECONDITION_FAILED - message size %d is larger than configured max size %d"
           % (size, LIMIT), 60, 40), "error")
    for _ in range(20):
        c.send_frame(amqp.FRAME_BODY, 1, b"x" * 131064)
    c.send(1, "channel.close-ok")
    c.channel(1)
    c.queue(2)
    victim.verdict()


@case("406 or 501: a body_size of 2^63 takes no memory")
def message_absurd(t):
    t.skip_on_oracle("RabbitMQ 3.10 waits for the body")
    victim, c = Victim(t), client(t)
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, amqp.header_bytes(2**63)))
    victim.trip()
    event = c.recv()
    check((event.name, event.fields.get("reply_code")) in (("channel.close", 406),
                                                           ("connection.close", 501)),
          "got %r" % event)
    victim.verdict()


@case("100 contents of 128 MiB announced and never sent are forgotten with their connection")
def announced_only(t):
    victim, c = Victim(t), client(t, channels=100)
    for number in range(1, 101):
        c.send_raw(FRAME(1, number, PUBLISH) + FRAME(2, number, amqp.header_bytes(LIMIT))
                   + FRAME(3, number, b"x"))
    victim.trip()
    c.abort()
    victim.verdict()


# ---- fields and tables

def declare_with(table):
    """A queue.declare of a server-named queue with these raw bytes as argument table."""
    return struct.pack(">HHHBB", 50, 10, 0, 0, 4) + table


def nested(depth):
    table = b""
    for _ in range(depth):
        table = b"\x01aF" + amqp.longstr(table)
    return amqp.longstr(table)


def nested_arrays(depth):
    items = b""
    for _ in range(depth):
        items = b"A" + amqp.longstr(items)
    return amqp.longstr(b"\x01a" + items)


@bad("tables nested 150 deep", 502, "SYNTAX_ERROR*", old=(541, 502))
def _(t, c):
    if t.oracle:
        c.send(1, "queue.declare", queue="", arguments={})
        c.expect(1, "queue.declare-ok")
        c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, EMPTY_FLAGS))
        return
    c.send_frame(1, 1, declare_with(nested(150)))


@bad("tables nested 15,000 deep, in a method", 502, "SYNTAX_ERROR*", old=QUIET)
def _(t, c):
    if not t.oracle:
        c.send_frame(1, 1, declare_with(nested(15000)))


@bad("arrays nested 15,000 deep, in a method", 502, "SYNTAX_ERROR*", old=QUIET)
def _(t, c):
    if not t.oracle:
        c.send_frame(1, 1, declare_with(nested_arrays(15000)))


@bad("tables nested 15,000 deep, in message headers", (501, 502), old=QUIET)
def _(t, c):
    if not t.oracle:
        c.send_raw(FRAME(1, 1, PUBLISH)
                   + FRAME(2, 1, struct.pack(">HHQH", 60, 0, 0, 0x2000) + nested(15000)))


@case("tables nested 50 deep are kept")
def nested_enough(t):
    c = client(t)
    q = c.queue()
    table = {"end": 1}
    for _ in range(50):
        table = {"a": table}
    c.publish(1, q, "x", headers=table)
    equal(c.get_soon(q).properties["headers"], table, "headers")


def lying(title, table, old=GONE):
    @bad(title, (501, 502), old=old)
    def _(t, c):
        c.send_frame(1, 1, declare_with(table))


lying("a table longer than its method", struct.pack(">I", 1000) + b"\x01aI\0\0\0\1", old=(501,))
lying("a table of 4 GiB", b"\xff\xff\xff\xff\x01at\1", old=(501,))
lying("a string longer than its table", amqp.longstr(b"\x01aS\0\0\1\0abc"))
lying("a string of 4 GiB in a table", amqp.longstr(b"\x01aS\xff\xff\xff\xffabc"))
lying("a key longer than its table", amqp.longstr(b"\xffa"))
lying("an array longer than its table", amqp.longstr(b"\x01aA\0\0\1\0t\1"))
lying("a table longer than the table around it", amqp.longstr(b"\x01aF\0\0\1\0\x01bt\1"))
lying("a number cut short", amqp.longstr(b"\x01al\0\0\0"))
lying("a key without a value", amqp.longstr(b"\x01a"))
lying("an unknown type of field", amqp.longstr(b"\x01aZabc"))


def lying_headers(title, table):
    @bad(title + ", in message headers", (501, 502), old=(541, ))
    def _(t, c):
        if t.oracle:
            c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, EMPTY_FLAGS))
            return
        c.send_raw(FRAME(1, 1, PUBLISH)
                   + FRAME(2, 1, struct.pack(">HHQH", 60, 0, 0, 0x2000) + table))


lying_headers("a table longer than its frame", struct.pack(">I", 1000) + b"\x01at\1")
lying_headers("a string longer than its table", amqp.longstr(b"\x01aS\0\0\1\0abc"))
lying_headers("an unknown type of field", amqp.longstr(b"\x01aZabc"))


@bad("property flags without properties", (501, 502), old=(541,))
def _(t, c):
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, struct.pack(">HHQH", 60, 0, 0, 0xFFF8)))


@bad("a content header cut short", (501, 502), old=(501, 505, 541))
def _(t, c):
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, b"\x00\x3c\x00\x00\x00"))


@bad("a queue name that is not UTF-8", 501, "FRAME_ERROR - Malformed UTF-8 in shortstr*", "")
def _(t, c):
    c.send_frame(1, 1, struct.pack(">HHH", 50, 10, 0) + b"\x03a\xff\xfe" + b"\x00" + b"\0\0\0\0")


@case("a routing key that is not UTF-8 is carried, or 501")
def routing_key_bytes(t):
    victim, c = Victim(t), client(t)
    q = c.queue()
    c.call(1, "queue.bind", queue=q, exchange="amq.fanout")
    c.publish(1, b"\xc0\xaf", "x", exchange="amq.fanout")
    c.send(1, "basic.get", queue=q, no_ack=True)
    event = reply_to(c)
    if event.name == "basic.get-ok":
        equal(event.routing_key, b"\xc0\xaf", "routing key")
    else:
        check_reply(event, (501,), "FRAME_ERROR - Malformed UTF-8 in shortstr*", None)
    t.note(event.name)
    victim.verdict()


@bad("an overlong encoding in a queue name", 501, "FRAME_ERROR - Malformed UTF-8 in shortstr*", "")
def _(t, c):
    c.send_frame(1, 1, METHOD("queue.declare", queue=b"\xe0\x80\x80"))


@bad("a shortstr longer than its method", (501, 502), "FRAME_ERROR - *")
def _(t, c):
    c.send_frame(1, 1, struct.pack(">HHH", 50, 10, 0) + b"\xffabc")


@bad("a method cut short", (501, 502), "FRAME_ERROR - *")
def _(t, c):
    c.send_frame(1, 1, METHOD("queue.declare", queue="q")[:-3])


@bad("bytes after the last field of a method", (501, 502), "FRAME_ERROR - *")
def _(t, c):
    c.send_frame(1, 1, METHOD("queue.declare", queue="", exclusive=True) + b"zz")


# ---- methods

@bad("an unknown method", 540, old=GONE)
def _(t, c):
    c.send_frame(1, 1, struct.pack(">HH", 50, 99))


@bad("an unknown class", 540, old=GONE)
def _(t, c):
    c.send_frame(1, 1, struct.pack(">HH", 99, 1))


@bad("an unknown method on channel 0", 540, old=GONE)
def _(t, c):
    c.send_frame(1, 0, struct.pack(">HH", 10, 99))


@bad("a channel method on channel 0", 504, "CHANNEL_ERROR - *", "queue.declare")
def _(t, c):
    c.send(0, "queue.declare")


@bad("a connection method on channel 1", (503, 504, 505))
def _(t, c):
    c.send(1, "connection.close", reply_code=200)


for server_method in ("basic.cancel-ok", "channel.close-ok", "channel.flow-ok", "basic.get-empty",
                      "confirm.select-ok", "exchange.declare-ok"):
    def _(t, c, server_method=server_method):
        c.send(1, server_method)
    bad("%s from a client" % server_method, (503,), "COMMAND_INVALID - unimplemented method",
        server_method)(_)


# ---- reuse of a channel number while closing

@case("channel.open on a number that the broker is closing is ignored, or 504")
def open_while_closing(t):
    victim, c = Victim(t), client(t)
    c.send(1, "queue.declare", queue=name(), passive=True)
    c.expect(1, "channel.close")
    c.send(1, "channel.open")
    victim.trip()
    event = reply_to(c, 0.3)
    t.note("%r" % event)
    if event == QUIET:
        c.send(1, "channel.close-ok")
        c.channel(1)
        c.queue()
    else:
        check_reply(event, (504,), "CHANNEL_ERROR - second 'channel.open' seen", "channel.open")
    victim.verdict()


@case("a number is free again as soon as its close-ok is there, 200 times")
def reuse_at_once(t):
    victim, c = Victim(t), client(t)
    for _ in range(200):
        c.queue()
        c.call(1, "channel.close", reply_code=200)
        c.channel(1)
    victim.verdict()


@case("channel.open before the client has its close-ok is ignored, served in order, or 504")
def pipelined_reuse(t):
    victim, c = Victim(t), client(t, channels=2)
    c.send_raw(FRAME(1, 1, METHOD("channel.close", reply_code=200))
               + FRAME(1, 1, METHOD("channel.open")))
    event = c.recv(1)
    if event.name == "channel.close-ok":
        event = reply_to(c, 0.3)
        check(event == QUIET or event.name == "channel.open-ok", "got %r" % event)
        c.queue(2)
    else:
        check_reply(event, (504,), None, None)
    t.note("%r" % event)
    victim.verdict()


@case("a close in the middle of a content is taken as a close or as 505")
def close_inside_content(t):
    victim, c = Victim(t), client(t)
    c.send_raw(FRAME(1, 1, PUBLISH) + FRAME(2, 1, amqp.header_bytes(100))
               + FRAME(1, 1, METHOD("channel.close", reply_code=200)))
    event = c.recv()
    check(event.name == "channel.close-ok" or event.fields.get("reply_code") == 505,
          "got %r" % event)
    victim.verdict()


# ---- the handshake

def handshake(title, function):
    """The broker closes, with or without a connection.close, before it serves anything."""
    def run(t):
        victim, c = Victim(t), dial(t)
        function(c)
        victim.trip()
        event = reply_to(c)
        check(event != QUIET, "the socket stayed open")
        if event != GONE:
            equal(event.name, "connection.close", "reply")
            t.note("%d %s" % (event.reply_code, event.reply_text))
            c.send(0, "connection.close-ok")
            check(c.at_end(), "the socket stayed open after close-ok")
        victim.verdict()
    case("handshake: " + title)(run)


def skipping(*methods):
    def run(c):
        c.begin()
        for method, fields in methods:
            c.send(0 if method.startswith("connection") else 1, method, **fields)
    return run


handshake("open instead of start-ok", skipping(("connection.open", {"vhost": "/"})))
handshake("tune-ok instead of start-ok", skipping(("connection.tune-ok", {"frame_max": 4096})))
handshake("channel.open instead of start-ok", skipping(("channel.open", {})))
handshake("an unknown method instead of start-ok",
          lambda c: (c.begin(), c.send_frame(1, 0, struct.pack(">HH", 10, 99))))
handshake("a frame of 1 MiB before the login",
          lambda c: (c.begin(), c.send_raw(struct.pack(">BHI", 1, 0, 1 << 20))))
handshake("an unknown frame type before the login", lambda c: (c.begin(), c.send_frame(77, 0, b"")))
handshake("a bad end octet before the login",
          lambda c: (c.begin(), c.send_frame(1, 0, METHOD("connection.open", vhost="/"), end=1)))
handshake("a lying table in start-ok",
          lambda c: (c.begin(), c.send_frame(1, 0, struct.pack(">HHI", 10, 11, 5000) + b"\x01a")))


def open_too_early(c):
    c.begin()
    c.login()
    c.expect(0, "connection.tune")
    c.send(1, "channel.open")


handshake("channel.open instead of tune-ok", open_too_early)


@case("a login of 7,000 bytes is accepted")
def long_login(t):
    t.skip_on_oracle("RabbitMQ 3.10 accepts 4096")
    client(t, token="x" * 7000)


@case("slow or silent handshakes are closed after 10 s")
def slow_handshake(t):
    victim, begin = Victim(t), time.monotonic()
    silent, half, started, drip, tuned = [dial(t) for _ in range(5)]
    half.send_raw(b"AMQ")
    started.begin()
    tuned.begin()
    tuned.login()
    tuned.expect(0, "connection.tune")
    drip.begin()
    slow = FRAME(1, 0, METHOD("connection.start-ok", mechanism="PLAIN", response="\0guest\0guest",
                              locale="en_US"))
    for at in range(7):
        drip.send_raw(slow[at:at + 1])
        time.sleep(1)
    victim.trip()
    for what, c in (("silent", silent), ("half a header", half), ("after start", started),
                    ("a byte a second", drip), ("after tune", tuned)):
        check(c.at_end(),
              "%s: open after %.1f s" % (what, time.monotonic() - begin))
        took = time.monotonic() - begin
        check(took > 8, "%s: closed after %.1f s" % (what, took))
        t.note("%s: closed after %.1f s" % (what, took))
    victim.verdict()


# ---- and in bulk

@case("200 connections that end in the middle of a frame leave nothing behind")
def cut_frames(t):
    victim = Victim(t)
    whole = (FRAME(1, 1, METHOD("queue.declare", queue="")) + FRAME(1, 1, PUBLISH)
             + FRAME(2, 1, amqp.header_bytes(10)) + FRAME(3, 1, b"0123456789"))
    for at in range(0, 200):
        c = amqp.Connection(t.uri)
        c.open()
        c.channel()
        c.send_raw(whole[:at * len(whole) // 200])
        c.abort()
        if at % 20 == 0:
            victim.trip()
    victim.verdict()


@case("60 connections that send noise")
def noise(t):
    victim, dice = Victim(t), random.Random(20090915)
    for round_number in range(60):
        c = client(t)
        kind = dice.choice((1, 1, 1, 2, 3, 8))
        junk = bytes(dice.randrange(256) for _ in range(dice.randrange(60)))
        if dice.random() < 0.5:
            junk = struct.pack(">HH", *dice.choice([m[:2] for m in amqp.METHODS.values()])) + junk
        try:
            if dice.random() < 0.3:
                c.send_raw(junk)
            else:
                c.send_frame(kind, dice.choice((0, 1, 1, 2)), junk)
        except amqp.ConnectionGone:
            pass
        victim.trip()
        c.abort()
    victim.verdict()


if __name__ == "__main__":
    main()

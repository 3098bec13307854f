#!/usr/bin/python3
"""Every error that a client can cause: code, text to the letter, level, class and method.

A row of error() says which method fails and what the broker must answer.  Expectations are those
of RabbitMQ 4; `old=` is what RabbitMQ 3.10 answers instead, as (code, text, method), and None when
3.10 has no such error at all.
"""

import time

from wire import (Skip, amqp, case, check, client, dial, equal, exchange, fails, main, name,
                  shared_queue)

SAME = object()


def error(title, code, text, method, old=SAME, prefix=False, channel=1):
    """Register a case: the function causes the error on channel 1 of a fresh connection."""
    def register(function):
        def run(t):
            want = (code, text, method)
            if t.oracle and old is None:
                raise Skip("RabbitMQ 3.10 differs")
            if t.oracle and old is not SAME:
                want = old
            c = client(t)
            names = function(t, c) or {}
            fails(c, want[0], want[1] % names if names else want[1], want[2], channel, prefix)
        case("%d %s" % (code, title))(run)
        return function
    return register


# ---- the handshake

def before_open(t, **login):
    c = dial(t)
    c.begin()
    c.login(**login)
    return c


def tuned(t, frame_max=None, channel_max=None, heartbeat=0):
    c = before_open(t)
    c.tune = c.expect(0, "connection.tune")
    c.send(0, "connection.tune-ok", heartbeat=heartbeat,
           frame_max=c.tune.frame_max if frame_max is None else frame_max,
           channel_max=c.tune.channel_max if channel_max is None else channel_max)
    return c


@case("start names the mechanisms, the locale and every capability")
def start_is_complete(t):
    start = dial(t).begin()
    equal((start.version_major, start.version_minor), (0, 9), "version")
    mechanisms = start.mechanisms.split()
    check({"PLAIN", "AMQPLAIN"} <= set(mechanisms), "mechanisms are %r" % mechanisms)
    check(t.oracle or "ANONYMOUS" not in mechanisms, "ANONYMOUS is offered")
    equal(start.locales.split(), ["en_US"], "locales")
    for key in ("capabilities", "cluster_name", "copyright", "information", "platform", "product",
                "version"):
        check(key in start.server_properties, "no server property " + key)
    if not t.oracle:
        said = start.server_properties
        equal((said["product"], said["version"]), ("RabbitMQ", "3.13.7"), "what it behaves like")
        equal(said["platform"], "Leveret " + said["leveret_version"], "what it is")
    equal(start.server_properties["capabilities"],
          {key: True for key in ("publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                                 "consumer_cancel_notify", "connection.blocked",
                                 "consumer_priorities", "authentication_failure_close",
                                 "per_consumer_qos", "direct_reply_to")}, "capabilities")


@case("tune offers 2047 channels, frames of 131072 and a heartbeat of 60 s")
def tune_values(t):
    c = before_open(t)
    tune = c.expect(0, "connection.tune")
    equal((tune.channel_max, tune.frame_max, tune.heartbeat), (2047, 131072, 60), "tune")


def answers_with_header(junk):
    def run(t):
        c = dial(t)
        c.send_raw(junk)
        equal(c.read_bytes(8), amqp.PROTOCOL_HEADER, "answer")
        check(c.at_end(), "the socket stayed open")
    return run


for title, junk in (("an HTTP request", b"GET / HTTP/1.1\r\n\r\n"),
                    ("version 0-10", b"AMQP\x01\x01\x00\x0a"),
                    ("version 0-9-2", b"AMQP\x00\x00\x09\x02"),
                    ("version 0-8", b"AMQP\x01\x01\x07\x00"),
                    ("a TLS hello", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"),
                    ("version 1.0", b"AMQP\x00\x01\x00\x00")):
    case("wrong header: %s is answered with AMQP 0-9-1 and closed" % title)(
        answers_with_header(junk))


@case("the header of AMQP 0-9 is served as 0-9-1")
def old_header(t):
    c = dial(t)
    start = c.begin(b"AMQP\x01\x01\x00\x09")
    equal((start.version_major, start.version_minor), (0, 9), "version")
    c.login()
    c.expect(0, "connection.tune")


def refused(mechanism, **login):
    def run(t):
        c = before_open(t, mechanism=mechanism, **login)
        event = c.recv()
        equal((event.name, event.channel), ("connection.close", 0), "reply")
        equal((event.reply_code, event.reply_text, event.class_id, event.method_id),
              (403, "ACCESS_REFUSED - Login was refused using authentication mechanism %s. "
                    "For details see the broker logfile." % mechanism, 0, 0), "close")
        c.send(0, "connection.close-ok")
        check(c.at_end(), "the socket stayed open")
    return run


def dropped(**login):
    def run(t):
        c = before_open(t, **login)
        try:
            event = c.recv()
        except amqp.ConnectionGone:
            return
        raise AssertionError("expected the socket to close, got %r" % event)
    return run


QUIET = {"consumer_cancel_notify": True}
case("403 bad password with authentication_failure_close")(refused("PLAIN", password="wrong"))
case("403 unknown user with authentication_failure_close")(refused("PLAIN", user="nobody"))
case("403 bad password over AMQPLAIN")(refused("AMQPLAIN", password="wrong"))
case("bad password without the capability: closed without a word")(
    dropped(password="wrong", capabilities=QUIET))
case("unknown mechanism: closed without a word")(dropped(mechanism="FOO", response="x"))
case("ANONYMOUS while not enabled: closed without a word")(
    dropped(mechanism="ANONYMOUS", response=""))
case("malformed PLAIN response: closed without a word")(
    dropped(response="guest", capabilities=QUIET))


@case("AMQPLAIN logs in")
def amqplain(t):
    client(t, mechanism="AMQPLAIN")


@case("the socket of a bad login is kept for a while, and others are left alone")
def login_delay(t):
    c = before_open(t, password="wrong")
    c.expect(0, "connection.close")
    begin = time.monotonic()
    client(t)
    c.login()
    check(c.at_end(), "the socket stayed open, or was listened to")
    check(t.oracle or time.monotonic() - begin > 0.5, "gone at once: guessing is cheap")


def bad_tune(text, **values):
    """RabbitMQ has the same text in its log, but closes without a word."""
    def run(t):
        c = tuned(t, **values)
        if t.oracle:
            check(c.at_end() and not c.data, "expected the socket to close")
        else:
            fails(c, 530, "NOT_ALLOWED - negotiated " + text, "connection.tune")
    return run


for title, text, values in (
        ("frame_max 100", "frame_max = 100 is lower than the minimum allowed value (4096)",
         {"frame_max": 100}),
        ("frame_max 4095", "frame_max = 4095 is lower than the minimum allowed value (4096)",
         {"frame_max": 4095}),
        ("frame_max 131073", "frame_max = 131073 is higher than the maximum allowed value (131072)",
         {"frame_max": 131073}),
        ("frame_max 0",
         "frame_max = 0 (no limit) is higher than the maximum allowed value (131072)",
         {"frame_max": 0}),
        ("channel_max 2048", "channel_max = 2048 is higher than the maximum allowed value (2047)",
         {"channel_max": 2048}),
        ("channel_max 0",
         "channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
         {"channel_max": 0})):
    case("530 tune-ok with %s" % title)(bad_tune(text, **values))


@case("frame_max 4096 is accepted and kept in both directions")
def small_frames(t):
    c = client(t, frame_max=4096)
    q = c.queue()
    c.publish(1, q, b"x" * 10000)
    event = c.get_soon(q)
    equal(event.body, b"x" * 10000, "body")
    equal(event.body_frames, [4088, 4088, 1824], "body frames")


@case("530 vhost missing")
def no_vhost(t):
    c = tuned(t)
    c.send(0, "connection.open", vhost="nope")
    fails(c, 530, "NOT_ALLOWED - vhost nope not found", "connection.open")


@case("530 the empty vhost name is a name like others")
def empty_vhost(t):
    c = tuned(t)
    c.send(0, "connection.open", vhost="")
    fails(c, 530, "NOT_ALLOWED - vhost  not found", "connection.open")


@case("530 more channels than channel_max")
def channel_limit(t):
    c = client(t, channels=2, channel_max=2)
    c.send(3, "channel.open")
    fails(c, 530, "NOT_ALLOWED - number of channels opened (2) has reached the negotiated "
                  "channel_max (2)", None)


# ---- heartbeats

@case("heartbeat 2 s: an idle broker sends one each second")
def heartbeat_sent(t):
    c = client(t, heartbeat=2)
    begin = time.monotonic()
    while len(c.heartbeats) < 3 and time.monotonic() - begin < amqp.PATIENCE:
        c.send_frame(amqp.FRAME_HEARTBEAT, 0, b"")
        c.quiet(seconds=0.4)
    equal(len(c.heartbeats), 3, "heartbeats")
    took = time.monotonic() - begin
    check(took > 2, "three heartbeats in %.1f s" % took)
    t.note("three heartbeats in %.1f s" % took)


@case("heartbeat 1 s: a silent client is dropped after one to two intervals")
def heartbeat_missed(t):
    c, begin = client(t, heartbeat=1), time.monotonic()
    try:
        event = c.recv()
        raise AssertionError("expected the socket to close, got %r" % event)
    except amqp.ConnectionGone:
        pass
    took = time.monotonic() - begin
    check(took >= 0.9, "dropped after %.1f s" % took)
    t.note("dropped after %.1f s" % took)


@case("heartbeat 2 s: a client that sends anything stays")
def heartbeat_traffic(t):
    c = client(t, heartbeat=2)
    q = c.queue()
    for _ in range(8):
        c.quiet(seconds=0.8)
        c.publish(1, q, "alive")
    c.count(q)


@case("heartbeat 0: nobody sends one, nobody is dropped")
def heartbeat_off(t):
    c = client(t, heartbeat=0)
    c.quiet(seconds=3)
    equal(c.heartbeats, [], "heartbeats")
    c.queue()


@case("505 heartbeat on another channel than 0")
def heartbeat_channel(t):
    c = client(t)
    c.send_frame(amqp.FRAME_HEARTBEAT, 1, b"")
    event = c.recv()
    equal((event.name, event.fields.get("reply_code")), ("connection.close", 505), "reply")


# ---- connection and channel

@error("a second channel.open", 504, "CHANNEL_ERROR - second 'channel.open' seen", "channel.open")
def second_channel_open(t, c):
    c.send(1, "channel.open")


@error("a method on a channel that is not open", 504, "CHANNEL_ERROR - expected 'channel.open'",
       "queue.declare")
def method_on_channel_not_open(t, c):
    c.send(7, "queue.declare", queue="q")


@error("basic.ack on a channel that is not open", 504, "CHANNEL_ERROR - expected 'channel.open'",
       "basic.ack")
def basic_ack_on_channel_not_open(t, c):
    c.send(7, "basic.ack", delivery_tag=1)


@error("tune-ok on an open connection", 504,
       "CHANNEL_ERROR - unexpected method in connection state running", "connection.tune-ok")
def tune_ok_on_open_connection(t, c):
    c.send(0, "connection.tune-ok", channel_max=1, frame_max=4096)


@error("channel.flow with active=false", 540, "NOT_IMPLEMENTED - active=false", "channel.flow")
def channel_flow_active_false(t, c):
    c.send(1, "channel.flow", active=False)


@error("a method that only the broker may send", 503, "COMMAND_INVALID - unimplemented method",
       "queue.declare-ok")
def method_of_the_broker(t, c):
    c.send(1, "queue.declare-ok", queue="q")


@case("a connection that closes in error ignores everything but close-ok")
def closing_ignores(t):
    c = client(t)
    c.send(1, "channel.flow", active=False)
    c.expect(0, "connection.close")
    c.send(1, "queue.declare", queue=name())
    c.publish(1, "nowhere", "x")
    c.quiet(seconds=0.2)
    c.send(0, "connection.close-ok")
    check(c.at_end(), "the socket stayed open")


@case("a channel that closes in error ignores everything but close and close-ok")
def channel_closing_ignores(t):
    c, q = client(t, channels=2), name()
    c.send(1, "queue.declare", queue=q, passive=True)
    c.expect(1, "channel.close")
    c.send(1, "queue.declare", queue=q, exclusive=True)
    c.publish(1, q, "x" * 100)
    c.quiet(seconds=0.2)
    c.send(1, "channel.close-ok")
    c.channel(1)
    c.queue(2, q)
    equal(c.count(q, 1), (0, 0), "queue after the ignored methods")


@case("channel.close that crosses the broker's channel.close is answered")
def crossing_close(t):
    c = client(t, channels=2)
    c.send_raw(amqp.frame_bytes(1, 1, amqp.method_bytes("queue.declare", queue=name(),
                                                        passive=True))
               + amqp.frame_bytes(1, 1, amqp.method_bytes("channel.close", reply_code=200)))
    equal([c.recv(1).name, c.recv(1).name], ["channel.close", "channel.close-ok"], "replies")
    c.send(1, "channel.close-ok")
    c.channel(1)
    c.queue(2)


@case("connection.close is answered and closes")
def client_close(t):
    c = client(t)
    c.call(0, "connection.close", reply_code=200, reply_text="bye")
    check(t.oracle or c.at_end(), "the socket stayed open")


@case("a reply text is at most 255 octets")
def long_text(t):
    c = client(t)
    q = "q" * 250
    c.send(1, "queue.declare", queue=q, passive=True)
    close = c.expect(1, "channel.close")
    equal(close.reply_code, 404, "code")
    want = "NOT_FOUND - no queue '%s' in vhost '/'" % q
    check(len(close.reply_text) <= 255, "%d octets" % len(close.reply_text))
    equal(close.reply_text[:250], want[:250], "text")
    t.note("ends in %r" % close.reply_text[-8:])


# ---- exchanges

@error("passive declare of a missing exchange", 404, "NOT_FOUND - no exchange '%(x)s' in vhost '/'",
       "exchange.declare")
def passive_declare_missing_exchange(t, c):
    x = name("x")
    c.send(1, "exchange.declare", exchange=x, type="direct", passive=True)
    return {"x": x}


@error("unknown exchange type", 406, "PRECONDITION_FAILED - unknown exchange type 'zz'",
       "exchange.declare",
       old=(503, "COMMAND_INVALID - unknown exchange type 'zz'", "exchange.declare"))
def unknown_exchange_type(t, c):
    c.send(1, "exchange.declare", exchange=name("x"), type="zz")


@error("declare of a name in amq.*", 403,
       "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
       "exchange.declare")
def declare_exchange_name_amq(t, c):
    c.send(1, "exchange.declare", exchange="amq.mine", type="direct")


@error("declare of the default exchange", 403,
       "ACCESS_REFUSED - operation not permitted on the default exchange", "exchange.declare")
def declare_default_exchange(t, c):
    c.send(1, "exchange.declare", exchange="", type="direct", durable=True)


@error("declare of amq.direct as fanout", 406,
       "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': "
       "received 'fanout' but current is 'direct'", "exchange.declare")
def declare_amq_direct_as_fanout(t, c):
    c.send(1, "exchange.declare", exchange="amq.direct", type="fanout", durable=True)


def redeclare(title, arg, received, current, fields):
    @error("exchange redeclared with another " + title, 406,
           "PRECONDITION_FAILED - inequivalent arg '" + arg + "' for exchange '%(x)s' in vhost '/':"
           " received " + received + " but current is " + current, "exchange.declare")
    def cause(t, c):
        x = exchange(t, c, arguments={"alternate-exchange": "ae"} if "ae" in current else {})
        given = dict({"exchange": x, "type": "direct"}, **fields)
        if "ae" in current and "arguments" not in fields:
            given["arguments"] = {}
        c.send(1, "exchange.declare", **given)
        return {"x": x}


redeclare("type", "type", "'topic'", "'direct'", {"type": "topic"})
redeclare("durable", "durable", "'true'", "'false'", {"durable": True})
redeclare("auto_delete", "auto_delete", "'true'", "'false'", {"auto_delete": True})
redeclare("internal", "internal", "'true'", "'false'", {"internal": True})
redeclare("type before the others", "type", "'topic'", "'direct'",
          {"type": "topic", "durable": True, "auto_delete": True, "internal": True})
redeclare("durable before auto_delete", "durable", "'true'", "'false'",
          {"durable": True, "auto_delete": True, "internal": True})
redeclare("alternate-exchange added", "alternate-exchange", "the value 'z' of type 'longstr'",
          "none", {"arguments": {"alternate-exchange": "z"}})
redeclare("alternate-exchange removed", "alternate-exchange", "none",
          "the value 'ae' of type 'longstr'", {})
redeclare("alternate-exchange changed", "alternate-exchange", "'z'", "'ae'",
          {"arguments": {"alternate-exchange": "z"}})


@case("exchange arguments other than alternate-exchange are not compared")
def exchange_free_arguments(t):
    c = client(t)
    x = exchange(t, c, arguments={"x-mine": 1})
    c.call(1, "exchange.declare", exchange=x, type="direct", arguments={"x-mine": 2})
    c.call(1, "exchange.declare", exchange=x, type="direct")


@error("alternate-exchange that is no string", 406,
       "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in "
       "exchange '%(x)s' in vhost '/'", "exchange.declare")
def alternate_exchange_is_no_string(t, c):
    x = name("x")
    c.send(1, "exchange.declare", exchange=x, type="direct", arguments={"alternate-exchange": 5})
    return {"x": x}


@error("delete of amq.direct", 403,
       "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
       "exchange.delete")
def delete_amq_direct(t, c):
    c.send(1, "exchange.delete", exchange="amq.direct")


@error("delete of the default exchange", 403,
       "ACCESS_REFUSED - operation not permitted on the default exchange", "exchange.delete")
def delete_default_exchange(t, c):
    c.send(1, "exchange.delete", exchange="")


@case("delete of a missing exchange is no error")
def exchange_delete_missing(t):
    client(t).call(1, "exchange.delete", exchange=name("x"))


@error("delete if-unused of an exchange in use", 406,
       "PRECONDITION_FAILED - exchange '%(x)s' in vhost '/' in use", "exchange.delete")
def exchange_delete_if_unused_in_use(t, c):
    x, q = exchange(t, c), c.queue()
    c.call(1, "queue.bind", queue=q, exchange=x, routing_key="k")
    c.send(1, "exchange.delete", exchange=x, if_unused=True)
    return {"x": x}


@case("delete if-unused counts bindings as source only")
def exchange_delete_destination(t):
    c = client(t)
    source, target = exchange(t, c), exchange(t, c)
    c.call(1, "exchange.bind", destination=target, source=source, routing_key="k")
    c.call(1, "exchange.delete", exchange=target, if_unused=True)


@error("exchange.bind from a missing exchange", 404,
       "NOT_FOUND - no exchange '%(x)s' in vhost '/'", "exchange.bind")
def exchange_bind_from_missing_exchange(t, c):
    x = name("x")
    c.send(1, "exchange.bind", destination="amq.fanout", source=x, routing_key="k")
    return {"x": x}


@error("exchange.bind to a missing exchange", 404,
       "NOT_FOUND - no exchange '%(x)s' in vhost '/'", "exchange.bind")
def exchange_bind_to_missing_exchange(t, c):
    x = name("x")
    c.send(1, "exchange.bind", destination=x, source="amq.fanout", routing_key="k")
    return {"x": x}


DEFAULT_EXCHANGE = "ACCESS_REFUSED - operation not permitted on the default exchange"


@error("exchange.bind from the default exchange", 403, DEFAULT_EXCHANGE, "exchange.bind")
def exchange_bind_from_default_exchange(t, c):
    c.send(1, "exchange.bind", destination="amq.fanout", source="", routing_key="k")


@error("exchange.bind to the default exchange", 403, DEFAULT_EXCHANGE, "exchange.bind")
def exchange_bind_to_default_exchange(t, c):
    c.send(1, "exchange.bind", destination="", source="amq.fanout", routing_key="k")


@error("exchange.unbind from the default exchange", 403, DEFAULT_EXCHANGE, "exchange.unbind")
def exchange_unbind_from_default_exchange(t, c):
    c.send(1, "exchange.unbind", destination="amq.fanout", source="", routing_key="k")


@error("exchange.bind of what is not there to the default exchange", 403, DEFAULT_EXCHANGE,
       "exchange.bind")
def exchange_bind_of_nothing_to_default(t, c):
    c.send(1, "exchange.bind", destination="", source=name("x"), routing_key="k")


@error("exchange.unbind of what is not there from the default exchange", 403, DEFAULT_EXCHANGE,
       "exchange.unbind")
def exchange_unbind_of_nothing_from_default(t, c):
    c.send(1, "exchange.unbind", destination=name("x"), source="", routing_key="k")


@case("exchange.unbind of what is not there is no error")
def exchange_unbind_missing(t):
    c = client(t)
    c.call(1, "exchange.unbind", destination="amq.fanout", source="amq.direct", routing_key="no")
    c.call(1, "exchange.unbind", destination=name("x"), source=name("x"), routing_key="no")


# ---- queues

@error("passive declare of a missing queue", 404, "NOT_FOUND - no queue '%(q)s' in vhost '/'",
       "queue.declare")
def passive_declare_missing_queue(t, c):
    q = name()
    c.send(1, "queue.declare", queue=q, passive=True)
    return {"q": q}


@error("declare of a name in amq.*", 403,
       "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'", "queue.declare")
def declare_queue_name_amq(t, c):
    c.send(1, "queue.declare", queue="amq.mine", exclusive=True)


@error("redeclare of a server-named queue", 403,
       "ACCESS_REFUSED - queue name '%(q)s' contains reserved prefix 'amq.*'", "queue.declare")
def redeclare_server_named_queue(t, c):
    q = c.queue()
    c.send(1, "queue.declare", queue=q, exclusive=True)
    return {"q": q}


@error("queue.bind of what is not there to the default exchange", 403, DEFAULT_EXCHANGE,
       "queue.bind")
def queue_bind_of_nothing_to_default(t, c):
    c.send(1, "queue.bind", queue=name(), exchange="", routing_key="k")


@error("queue.unbind of what is not there from the default exchange", 403, DEFAULT_EXCHANGE,
       "queue.unbind")
def queue_unbind_of_nothing_from_default(t, c):
    c.send(1, "queue.unbind", queue=name(), exchange="", routing_key="k")


def requeue(title, arg, received, current, first, then):
    @error("queue redeclared with another " + title, 406,
           "PRECONDITION_FAILED - inequivalent arg '" + arg + "' for queue '%(q)s' in vhost '/': "
           "received " + received + " but current is " + current, "queue.declare")
    def cause(t, c):
        q = shared_queue(t, c, **first)
        c.send(1, "queue.declare", queue=q, **then)
        return {"q": q}


DLX_A = {"durable": True, "arguments": {"x-dead-letter-exchange": "a"}}
DLX_B = {"durable": True, "arguments": {"x-dead-letter-exchange": "b"}}
requeue("durable", "durable", "'false'", "'true'", {"durable": True}, {"durable": False})
requeue("auto_delete", "auto_delete", "'true'", "'false'", {"durable": True},
        {"durable": True, "auto_delete": True})
requeue("durable before auto_delete", "durable", "'false'", "'true'", {"durable": True},
        {"auto_delete": True})
requeue("x-dead-letter-exchange", "x-dead-letter-exchange", "'b'", "'a'", DLX_A, DLX_B)
requeue("x-dead-letter-exchange added", "x-dead-letter-exchange", "the value 'a' of type 'longstr'",
        "none", {"durable": True}, DLX_A)
requeue("x-dead-letter-exchange removed", "x-dead-letter-exchange", "none",
        "the value 'a' of type 'longstr'", DLX_A, {"durable": True})
requeue("auto_delete before arguments", "auto_delete", "'true'", "'false'", {"durable": True},
        dict(DLX_A, auto_delete=True))


@case("unknown arguments are not compared, classic is the absent queue type")
def queue_free_arguments(t):
    c = client(t)
    q = shared_queue(t, c, durable=True, arguments={"x-mine": 1})
    c.call(1, "queue.declare", queue=q, durable=True, arguments={"x-mine": "two"})
    c.call(1, "queue.declare", queue=q, durable=True)
    c.call(1, "queue.declare", queue=q, durable=True, arguments={"x-queue-type": "classic"})


@error("x-dead-letter-routing-key without an exchange", 406,
       "PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '%(q)s' in "
       "vhost '/': routing_key_but_no_dlx_defined", "queue.declare")
def dead_letter_key_without_exchange(t, c):
    q = name()
    c.send(1, "queue.declare", queue=q, exclusive=True,
           arguments={"x-dead-letter-routing-key": "k"})
    return {"q": q}


@error("x-dead-letter-exchange that is no string", 406,
       "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in "
       "queue '%(q)s' in vhost '/'", "queue.declare")
def dead_letter_exchange_is_no_string(t, c):
    q = name()
    c.send(1, "queue.declare", queue=q, exclusive=True, arguments={"x-dead-letter-exchange": 5})
    return {"q": q}


@error("x-dead-letter-routing-key that is no string", 406,
       "PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '%(q)s' in "
       "vhost '/': {unacceptable_type,signedint}", "queue.declare")
def dead_letter_key_is_no_string(t, c):
    q = name()
    c.send(1, "queue.declare", queue=q, exclusive=True,
           arguments={"x-dead-letter-exchange": "a", "x-dead-letter-routing-key": 5})
    return {"q": q}


LOCKED = ("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%(q)s' in vhost '/'. "
          "It could be originally declared on another connection or the exclusive property value "
          "does not match that of the original declaration.")


def locked(method, **fields):
    @error("%s on another connection's exclusive queue" % method, 405, LOCKED, method)
    def cause(t, c):
        owner = client(t)
        q = owner.queue(1, name())
        owner.call(1, "queue.bind", queue=q, exchange="amq.direct", routing_key="k")
        c.send(1, method, queue=q, **fields)
        return {"q": q}


locked("queue.declare", exclusive=True)
locked("queue.declare", passive=True)
locked("queue.bind", exchange="amq.direct", routing_key="k")
locked("queue.unbind", exchange="amq.direct", routing_key="k")
locked("queue.purge")
locked("queue.delete")
locked("basic.consume")
locked("basic.get")


@error("exclusive redeclared as not exclusive, on the same connection", 405, LOCKED,
       "queue.declare")
def exclusive_redeclared_as_not_exclusive(t, c):
    q = c.queue(1, name())
    c.send(1, "queue.declare", queue=q)
    return {"q": q}


@error("not exclusive redeclared as exclusive", 405, LOCKED, "queue.declare")
def not_exclusive_redeclared_as_exclusive(t, c):
    q = shared_queue(t, c)
    c.send(1, "queue.declare", queue=q, durable=True, exclusive=True)
    return {"q": q}


def missing_queue(method, **fields):
    @error("%s of a missing queue" % method, 404, "NOT_FOUND - no queue '%(q)s' in vhost '/'",
           method)
    def cause(t, c):
        q = name()
        c.send(1, method, queue=q, **fields)
        return {"q": q}


missing_queue("queue.bind", exchange="amq.direct", routing_key="k")
missing_queue("queue.purge")
missing_queue("basic.consume")
missing_queue("basic.get")


def no_last_queue(method, **fields):
    @error("%s without a queue name on a fresh channel" % method, 404,
           "NOT_FOUND - no previously declared queue", method)
    def cause(t, c):
        c.send(1, method, **fields)


no_last_queue("queue.bind", exchange="amq.direct", routing_key="k")
no_last_queue("queue.unbind", exchange="amq.direct", routing_key="k")
no_last_queue("queue.purge")
no_last_queue("queue.delete")
no_last_queue("basic.consume")
no_last_queue("basic.get")


@error("queue.bind to a missing exchange", 404, "NOT_FOUND - no exchange '%(x)s' in vhost '/'",
       "queue.bind")
def queue_bind_to_missing_exchange(t, c):
    x = name("x")
    c.send(1, "queue.bind", queue=c.queue(), exchange=x, routing_key="k")
    return {"x": x}


@error("queue.bind to the default exchange", 403, DEFAULT_EXCHANGE, "queue.bind")
def queue_bind_to_default_exchange(t, c):
    c.send(1, "queue.bind", queue=c.queue(), exchange="", routing_key="k")


@error("queue.unbind from the default exchange", 403, DEFAULT_EXCHANGE, "queue.unbind")
def queue_unbind_from_default_exchange(t, c):
    c.send(1, "queue.unbind", queue=c.queue(), exchange="", routing_key="k")


@case("queue.unbind and queue.delete of what is not there are no errors")
def queue_missing_ok(t):
    c = client(t)
    q = c.queue()
    c.call(1, "queue.unbind", queue=q, exchange="amq.direct", routing_key="no")
    c.call(1, "queue.unbind", queue=q, exchange=name("x"), routing_key="no")
    c.call(1, "queue.unbind", queue=name(), exchange="amq.direct", routing_key="no")
    equal(c.call(1, "queue.delete", queue=name()).message_count, 0, "message count")


@error("queue.delete if-unused with a consumer", 406,
       "PRECONDITION_FAILED - queue '%(q)s' in vhost '/' in use", "queue.delete")
def queue_delete_if_unused_in_use(t, c):
    q = c.queue()
    c.consume(q)
    c.send(1, "queue.delete", queue=q, if_unused=True)
    return {"q": q}


@error("queue.delete if-empty with a message", 406,
       "PRECONDITION_FAILED - queue '%(q)s' in vhost '/' not empty", "queue.delete")
def queue_delete_if_empty_not_empty(t, c):
    q = c.queue()
    c.publish(1, q, "x")
    c.send(1, "queue.delete", queue=q, if_empty=True)
    return {"q": q}


def bad_match(text, value):
    @error("headers binding with x-match %r" % (value,), 406,
           "PRECONDITION_FAILED - " + text, "queue.bind")
    def cause(t, c):
        c.send(1, "queue.bind", queue=c.queue(), exchange="amq.headers",
               arguments={"x-match": value})


bad_match("Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or any-with-x",
          "some")
bad_match("Invalid x-match field type signedint (value 5); expected longstr", 5)


# ---- basic

@error("basic.qos with a prefetch size", 540, "NOT_IMPLEMENTED - prefetch_size!=0 (10)",
       "basic.qos")
def basic_qos_prefetch_size(t, c):
    c.send(1, "basic.qos", prefetch_size=10, prefetch_count=1)


@error("a consumer tag used twice", 530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'",
       "basic.consume")
def consumer_tag_used_twice(t, c):
    q = c.queue()
    c.consume(q, consumer_tag="twice")
    c.send(1, "basic.consume", queue=q, consumer_tag="twice")


IN_USE = "ACCESS_REFUSED - queue '%(q)s' in vhost '/' in exclusive use"


@error("exclusive consume beside another consumer", 403, IN_USE, "basic.consume")
def exclusive_consume_beside_another_consumer(t, c):
    q = c.queue()
    c.consume(q)
    c.send(1, "basic.consume", queue=q, exclusive=True)
    return {"q": q}


@error("consume beside an exclusive consumer", 403, IN_USE, "basic.consume")
def consume_beside_exclusive_consumer(t, c):
    q = c.queue()
    c.consume(q, exclusive=True)
    c.send(1, "basic.consume", queue=q)
    return {"q": q}


@case("cancel of an unknown consumer tag is no error")
def cancel_unknown(t):
    equal(client(t).call(1, "basic.cancel", consumer_tag="who").consumer_tag, "who", "tag")


@error("publish to a missing exchange", 404, "NOT_FOUND - no exchange '%(x)s' in vhost '/'",
       "basic.publish")
def publish_to_missing_exchange(t, c):
    x = name("x")
    c.publish(1, "k", "body", exchange=x)
    return {"x": x}


@error("publish to an internal exchange", 403,
       "ACCESS_REFUSED - cannot publish to internal exchange '%(x)s' in vhost '/'",
       "basic.publish")
def publish_to_internal_exchange(t, c):
    x = exchange(t, c, internal=True)
    c.publish(1, "k", "body", exchange=x)
    return {"x": x}


@error("publish with immediate", 540, "NOT_IMPLEMENTED - immediate=true", "basic.publish")
def publish_immediate(t, c):
    c.publish(1, c.queue(), "body", immediate=True)


def bad_expiration(value, reason):
    @error("publish with expiration %r" % value, 406,
           "PRECONDITION_FAILED - invalid expiration '%s': %s" % (value, reason), "basic.publish")
    def cause(t, c):
        c.publish(1, c.queue(), "body", expiration=value)


bad_expiration("abc", "no_integer")
bad_expiration("", "no_integer")
bad_expiration("-1", "{value_negative,-1}")
bad_expiration("10s", '{leftover_string,"s"}')
bad_expiration("315360000001", "{value_too_large,315360000001}")


@error("publish with another user's id", 406,
       "PRECONDITION_FAILED - user_id property set to 'eve' but authenticated user was 'guest'",
       "basic.publish")
def publish_as_another_user(t, c):
    c.publish(1, c.queue(), "body", user_id="eve")


def bad_copy(key):
    @error("publish with a %s header that is no list" % key, 406,
           "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"%s\",longstr}"
           % key, "basic.publish")
    def cause(t, c):
        c.publish(1, c.queue(), "body", headers={key: "not a list"})


bad_copy("CC")
bad_copy("BCC")


def unknown_tag(method, tag, **fields):
    @error("%s of unknown delivery tag %d %s" % (method, tag, fields or ""), 406,
           "PRECONDITION_FAILED - unknown delivery tag %d" % tag, method)
    def cause(t, c):
        c.send(1, method, delivery_tag=tag, **fields)


unknown_tag("basic.ack", 5)
unknown_tag("basic.ack", 5, multiple=True)
unknown_tag("basic.ack", 0)
unknown_tag("basic.nack", 5)
unknown_tag("basic.nack", 5, multiple=True, requeue=True)
unknown_tag("basic.reject", 5, requeue=True)
unknown_tag("basic.reject", 0)


@error("an ack sent twice", 406, "PRECONDITION_FAILED - unknown delivery tag 1", "basic.ack")
def ack_sent_twice(t, c):
    q = c.queue()
    c.publish(1, q, "x")
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.ack", delivery_tag=1)
    c.send(1, "basic.ack", delivery_tag=1)


@error("an ack of a tag of another channel", 406, "PRECONDITION_FAILED - unknown delivery tag 1",
       "basic.ack", channel=2)
def ack_tag_another_channel(t, c):
    c.channel(2)
    q = c.queue()
    c.publish(1, q, "x")
    c.get_soon(q, no_ack=False)
    c.send(2, "basic.ack", delivery_tag=1)


@error("an ack of a message taken with no-ack", 406,
       "PRECONDITION_FAILED - unknown delivery tag 1", "basic.ack")
def ack_message_taken_no_ack(t, c):
    q = c.queue()
    c.publish(1, q, "x")
    c.get_soon(q, no_ack=True)
    c.send(1, "basic.ack", delivery_tag=1)


@case("ack 0 multiple of nothing is no error")
def ack_all_of_nothing(t):
    c = client(t)
    c.send(1, "basic.ack", delivery_tag=0, multiple=True)
    c.send(1, "basic.nack", delivery_tag=0, multiple=True, requeue=True)
    c.queue()


@error("basic.recover with requeue=false", 540, "NOT_IMPLEMENTED - requeue=false", "basic.recover")
def basic_recover_requeue_false(t, c):
    c.send(1, "basic.recover", requeue=False)


@error("basic.recover-async with requeue=false", 540, "NOT_IMPLEMENTED - requeue=false",
       "basic.recover-async")
def basic_recover_async_requeue_false(t, c):
    c.send(1, "basic.recover-async", requeue=False)


# ---- confirm and tx

@error("confirm.select on a tx channel", 406,
       "PRECONDITION_FAILED - cannot switch from tx to confirm mode", "confirm.select")
def confirm_select_on_tx_channel(t, c):
    c.call(1, "tx.select")
    c.send(1, "confirm.select")


@error("tx.select on a confirm channel", 406,
       "PRECONDITION_FAILED - cannot switch from confirm to tx mode", "tx.select")
def tx_select_on_confirm_channel(t, c):
    c.call(1, "confirm.select")
    c.send(1, "tx.select")


@error("tx.commit without tx.select", 406,
       "PRECONDITION_FAILED - channel is not transactional", "tx.commit")
def tx_commit_without_tx_select(t, c):
    c.send(1, "tx.commit")


@error("tx.rollback without tx.select", 406,
       "PRECONDITION_FAILED - channel is not transactional", "tx.rollback")
def tx_rollback_without_tx_select(t, c):
    c.send(1, "tx.rollback")


@case("confirm.select and tx.select may be repeated")
def select_twice(t):
    c = client(t, channels=2)
    c.call(1, "confirm.select")
    c.call(1, "confirm.select")
    c.call(2, "tx.select")
    c.call(2, "tx.select")


@error("an ack sent twice inside a transaction", 406,
       "PRECONDITION_FAILED - unknown delivery tag 1", "basic.ack")
def ack_sent_twice_inside_transaction(t, c):
    q = c.queue()
    c.publish(1, q, "x")
    c.call(1, "tx.select")
    c.get_soon(q, no_ack=False)
    c.send(1, "basic.ack", delivery_tag=1)
    c.send(1, "basic.ack", delivery_tag=1)


# ---- direct reply-to

@error("reply consumer that acknowledges", 406,
       "PRECONDITION_FAILED - reply consumer cannot acknowledge", "basic.consume")
def reply_consumer_acknowledges(t, c):
    c.send(1, "basic.consume", queue="amq.rabbitmq.reply-to")


@error("a second reply consumer on a channel", 406,
       "PRECONDITION_FAILED - reply consumer already set", "basic.consume")
def second_reply_consumer_on_channel(t, c):
    c.consume("amq.rabbitmq.reply-to", no_ack=True)
    c.send(1, "basic.consume", queue="amq.rabbitmq.reply-to", no_ack=True)


@error("publish with reply-to and no reply consumer", 406,
       "PRECONDITION_FAILED - fast reply consumer does not exist", "basic.publish")
def publish_reply_to_no_reply_consumer(t, c):
    c.publish(1, c.queue(), "x", reply_to="amq.rabbitmq.reply-to")


if __name__ == "__main__":
    main()

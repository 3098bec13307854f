"""A small AMQP 0-9-1 codec and client that hides nothing.

The tests of this folder have to see what a client library keeps to itself: which frame came
first, which class and method a close names, which tag a field of a table has.  So this client
speaks in frames: send() writes one method, publish() writes its content, recv() returns the next
thing the broker said, in the order in which it said it.  It never answers anything by itself,
save connection.close-ok and channel.close-ok when a test asks for them.

METHODS is the method table.  A field is "name:type", the types being those of the specification:
octet short long longlong shortstr longstr table bit timestamp.  Fields that a caller leaves out
are zero or empty.
"""

import socket
import struct
import time

PATIENCE = 60

FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
DELIVER = b"\x00\x3c\x00\x3c"  # how the payload of a basic.deliver begins
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

METHODS = {
    "connection.start": (10, 10, "version_major:octet version_minor:octet server_properties:table"
                                 " mechanisms:longstr locales:longstr"),
    "connection.start-ok": (10, 11, "client_properties:table mechanism:shortstr response:longstr"
                                    " locale:shortstr"),
    "connection.secure": (10, 20, "challenge:longstr"),
    "connection.secure-ok": (10, 21, "response:longstr"),
    "connection.tune": (10, 30, "channel_max:short frame_max:long heartbeat:short"),
    "connection.tune-ok": (10, 31, "channel_max:short frame_max:long heartbeat:short"),
    "connection.open": (10, 40, "vhost:shortstr reserved1:shortstr reserved2:bit"),
    "connection.open-ok": (10, 41, "reserved1:shortstr"),
    "connection.close": (10, 50, "reply_code:short reply_text:shortstr class_id:short"
                                 " method_id:short"),
    "connection.close-ok": (10, 51, ""),
    "connection.blocked": (10, 60, "reason:shortstr"),
    "connection.unblocked": (10, 61, ""),
    "connection.update-secret": (10, 70, "new_secret:longstr reason:shortstr"),
    "connection.update-secret-ok": (10, 71, ""),
    "channel.open": (20, 10, "reserved1:shortstr"),
    "channel.open-ok": (20, 11, "reserved1:longstr"),
    "channel.flow": (20, 20, "active:bit"),
    "channel.flow-ok": (20, 21, "active:bit"),
    "channel.close": (20, 40, "reply_code:short reply_text:shortstr class_id:short"
                              " method_id:short"),
    "channel.close-ok": (20, 41, ""),
    "access.request": (30, 10, "realm:shortstr exclusive:bit passive:bit active:bit write:bit"
                               " read:bit"),
    "access.request-ok": (30, 11, "ticket:short"),
    "exchange.declare": (40, 10, "ticket:short exchange:shortstr type:shortstr passive:bit"
                                 " durable:bit auto_delete:bit internal:bit nowait:bit"
                                 " arguments:table"),
    "exchange.declare-ok": (40, 11, ""),
    "exchange.delete": (40, 20, "ticket:short exchange:shortstr if_unused:bit nowait:bit"),
    "exchange.delete-ok": (40, 21, ""),
    "exchange.bind": (40, 30, "ticket:short destination:shortstr source:shortstr"
                              " routing_key:shortstr nowait:bit arguments:table"),
    "exchange.bind-ok": (40, 31, ""),
    "exchange.unbind": (40, 40, "ticket:short destination:shortstr source:shortstr"
                                " routing_key:shortstr nowait:bit arguments:table"),
    "exchange.unbind-ok": (40, 51, ""),
    "queue.declare": (50, 10, "ticket:short queue:shortstr passive:bit durable:bit exclusive:bit"
                              " auto_delete:bit nowait:bit arguments:table"),
    "queue.declare-ok": (50, 11, "queue:shortstr message_count:long consumer_count:long"),
    "queue.bind": (50, 20, "ticket:short queue:shortstr exchange:shortstr routing_key:shortstr"
                           " nowait:bit arguments:table"),
    "queue.bind-ok": (50, 21, ""),
    "queue.purge": (50, 30, "ticket:short queue:shortstr nowait:bit"),
    "queue.purge-ok": (50, 31, "message_count:long"),
    "queue.delete": (50, 40, "ticket:short queue:shortstr if_unused:bit if_empty:bit nowait:bit"),
    "queue.delete-ok": (50, 41, "message_count:long"),
    "queue.unbind": (50, 50, "ticket:short queue:shortstr exchange:shortstr"
                             " routing_key:shortstr arguments:table"),
    "queue.unbind-ok": (50, 51, ""),
    "basic.qos": (60, 10, "prefetch_size:long prefetch_count:short global_:bit"),
    "basic.qos-ok": (60, 11, ""),
    "basic.consume": (60, 20, "ticket:short queue:shortstr consumer_tag:shortstr no_local:bit"
                              " no_ack:bit exclusive:bit nowait:bit arguments:table"),
    "basic.consume-ok": (60, 21, "consumer_tag:shortstr"),
    "basic.cancel": (60, 30, "consumer_tag:shortstr nowait:bit"),
    "basic.cancel-ok": (60, 31, "consumer_tag:shortstr"),
    "basic.publish": (60, 40, "ticket:short exchange:shortstr routing_key:shortstr mandatory:bit"
                              " immediate:bit"),
    "basic.return": (60, 50, "reply_code:short reply_text:shortstr exchange:shortstr"
                             " routing_key:shortstr"),
    "basic.deliver": (60, 60, "consumer_tag:shortstr delivery_tag:longlong redelivered:bit"
                              " exchange:shortstr routing_key:shortstr"),
    "basic.get": (60, 70, "ticket:short queue:shortstr no_ack:bit"),
    "basic.get-ok": (60, 71, "delivery_tag:longlong redelivered:bit exchange:shortstr"
                             " routing_key:shortstr message_count:long"),
    "basic.get-empty": (60, 72, "reserved1:shortstr"),
    "basic.ack": (60, 80, "delivery_tag:longlong multiple:bit"),
    "basic.reject": (60, 90, "delivery_tag:longlong requeue:bit"),
    "basic.recover-async": (60, 100, "requeue:bit"),
    "basic.recover": (60, 110, "requeue:bit"),
    "basic.recover-ok": (60, 111, ""),
    "basic.nack": (60, 120, "delivery_tag:longlong multiple:bit requeue:bit"),
    "confirm.select": (85, 10, "nowait:bit"),
    "confirm.select-ok": (85, 11, ""),
    "tx.select": (90, 10, ""),
    "tx.select-ok": (90, 11, ""),
    "tx.commit": (90, 20, ""),
    "tx.commit-ok": (90, 21, ""),
    "tx.rollback": (90, 30, ""),
    "tx.rollback-ok": (90, 31, ""),
}
BY_ID = {(c, m): (name, fields) for name, (c, m, fields) in METHODS.items()}
WITH_CONTENT = ("basic.publish", "basic.return", "basic.deliver", "basic.get-ok")

PROPERTIES = (("content_type", "shortstr"), ("content_encoding", "shortstr"),
              ("headers", "table"), ("delivery_mode", "octet"), ("priority", "octet"),
              ("correlation_id", "shortstr"), ("reply_to", "shortstr"),
              ("expiration", "shortstr"), ("message_id", "shortstr"),
              ("timestamp", "timestamp"), ("type", "shortstr"), ("user_id", "shortstr"),
              ("app_id", "shortstr"), ("cluster_id", "shortstr"))


class ConnectionGone(Exception):
    """The broker closed the socket."""


class Silence(Exception):
    """The broker said nothing for as long as the test was willing to wait."""


class Typed:
    """A field-table value with its tag, to choose one when sending or to see one received."""

    def __init__(self, tag, value):
        self.tag, self.value = tag, value

    def __eq__(self, other):
        return isinstance(other, Typed) and (self.tag, self.value) == (other.tag, other.value)

    def __repr__(self):
        return "%s:%r" % (self.tag, self.value)


# ---- values to bytes

def raw(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def shortstr(text):
    data = raw(text)
    return bytes([len(data)]) + data


def longstr(text):
    data = raw(text)
    return struct.pack(">I", len(data)) + data


PLAIN_TAGS = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q",
              "L": ">Q", "f": ">f", "d": ">d", "T": ">Q"}


def field_tag(value):
    """The tag that a Python value gets when the test does not choose one."""
    if isinstance(value, bool):
        return "t"
    if isinstance(value, int):
        return "I" if -2**31 <= value < 2**31 else "l"
    if isinstance(value, float):
        return "d"
    if isinstance(value, dict):
        return "F"
    if isinstance(value, (list, tuple)):
        return "A"
    return "V" if value is None else "S"


def field_value(value):
    tag, value = (value.tag, value.value) if isinstance(value, Typed) else (field_tag(value), value)
    if tag in PLAIN_TAGS:
        data = struct.pack(PLAIN_TAGS[tag], value)
    elif tag == "t":
        data = bytes([1 if value else 0])
    elif tag == "D":
        data = struct.pack(">BI", *value)
    elif tag in "Sx":
        data = longstr(value)
    elif tag == "F":
        data = table(value)
    elif tag == "A":
        data = longstr(b"".join(field_value(item) for item in value))
    else:
        data = b""
    return tag.encode() + data


def table_body(fields):
    return b"".join(shortstr(key) + field_value(value) for key, value in fields.items())


def table(fields):
    return longstr(table_body(fields) if isinstance(fields, dict) else fields)


ENCODERS = {"octet": lambda v: struct.pack(">B", v), "short": lambda v: struct.pack(">H", v),
            "long": lambda v: struct.pack(">I", v), "longlong": lambda v: struct.pack(">Q", v),
            "timestamp": lambda v: struct.pack(">Q", v), "shortstr": shortstr,
            "longstr": longstr, "table": table}
EMPTY = {"shortstr": "", "longstr": "", "table": {}}


def fields_bytes(spec, values):
    out, bits, count = b"", 0, 0
    left = dict(values)
    for field in spec.split():
        name, kind = field.split(":")
        value = left.pop(name, EMPTY.get(kind, 0))
        if kind == "bit":
            bits |= (1 if value else 0) << count
            count += 1
            continue
        if count:
            out, bits, count = out + bytes([bits]), 0, 0
        out += ENCODERS[kind](value)
    if left:
        raise TypeError("no such field: " + ", ".join(left))
    return out + bytes([bits]) if count else out


def method_bytes(name, **values):
    class_id, method_id, spec = METHODS[name]
    return struct.pack(">HH", class_id, method_id) + fields_bytes(spec, values)


def properties_bytes(values):
    flags, out, left = 0, b"", dict(values)
    for index, (name, kind) in enumerate(PROPERTIES):
        if name in left:
            flags |= 1 << (15 - index)
            out += ENCODERS[kind](left.pop(name))
    if left:
        raise TypeError("no such property: " + ", ".join(left))
    return struct.pack(">H", flags) + out


def header_bytes(size, properties=None, class_id=60, weight=0):
    return struct.pack(">HHQ", class_id, weight, size) + properties_bytes(properties or {})


def frame_bytes(kind, channel, payload, end=FRAME_END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([end])


# ---- bytes to values

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("the broker sent a field that runs over its end")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, form):
        data = self.take(self.number(form))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    def field(self, typed):
        tag = self.take(1).decode("latin-1")
        if tag in PLAIN_TAGS:
            value = self.number(PLAIN_TAGS[tag])
        elif tag == "t":
            value = self.number(">B") != 0
        elif tag == "D":
            value = (self.number(">B"), self.number(">I"))
        elif tag in "Sx":
            value = self.text(">I")
        elif tag == "F":
            value = self.table(typed)
        elif tag == "A":
            inner, value = Reader(self.take(self.number(">I"))), []
            while inner.at < len(inner.data):
                value.append(inner.field(typed))
        elif tag == "V":
            value = None
        else:
            raise ValueError("the broker sent a field of unknown tag %r" % tag)
        return Typed(tag, value) if typed else value

    def table(self, typed=False):
        inner, out = Reader(self.take(self.number(">I"))), {}
        while inner.at < len(inner.data):
            key = inner.text(">B")
            out[key] = inner.field(typed)
        return out

    def value(self, kind):
        if kind == "table":
            return self.table()
        if kind in ("shortstr", "longstr"):
            return self.text(">B" if kind == "shortstr" else ">I")
        return self.number({"octet": ">B", "short": ">H", "long": ">I"}.get(kind, ">Q"))

    def fields(self, spec):
        out, bits, count = {}, 0, 8
        for field in spec.split():
            name, kind = field.split(":")
            if kind == "bit":
                if count == 8:
                    bits, count = self.number(">B"), 0
                out[name] = bool(bits >> count & 1)
                count += 1
                continue
            count = 8
            out[name] = self.value(kind)
        if self.at != len(self.data):
            raise ValueError("the broker sent bytes after the last field")
        return out


def parse_method(payload):
    reader = Reader(payload)
    ids = (reader.number(">H"), reader.number(">H"))
    if ids not in BY_ID:
        raise ValueError("the broker sent unknown method %d.%d" % ids)
    name, spec = BY_ID[ids]
    return name, reader.fields(spec)


def parse_properties(payload, typed=False):
    reader = Reader(payload)
    reader.take(12)
    flags, out = reader.number(">H"), {}
    for index, (name, kind) in enumerate(PROPERTIES):
        if flags >> (15 - index) & 1:
            out[name] = reader.table(typed) if kind == "table" else reader.value(kind)
    if reader.at != len(payload):
        raise ValueError("the broker sent bytes after the last property")
    return out


class Event:
    """One method from the broker; its fields, and any content, are attributes."""

    def __init__(self, channel, name, fields):
        self.channel, self.name, self.fields = channel, name, fields
        self.properties, self.body, self.header, self.body_frames = None, None, b"", []

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def typed_headers(self):
        return parse_properties(self.header, typed=True).get("headers", {})

    def __repr__(self):
        body = "" if self.body is None else " +%d bytes" % len(self.body)
        return "[%d] %s %r%s" % (self.channel, self.name, self.fields, body)


class Delivery:
    """A basic.deliver with its content; no more was read of it than this."""

    __slots__ = ("delivery_tag", "body")
    name = "basic.deliver"

    def __init__(self, delivery_tag, body):
        self.delivery_tag, self.body = delivery_tag, body

    @classmethod
    def find(cls, view, at):
        """The one whose three frames begin there, and where they end; none if they are not all there."""
        header = at + 8 + struct.unpack_from(">I", view, at + 3)[0]
        if header + 19 > len(view) or view[header] != FRAME_HEADER:
            return None, at
        body = header + 8 + struct.unpack_from(">I", view, header + 3)[0]
        size = struct.unpack_from(">Q", view, header + 11)[0]
        end = body + 8 + size
        if end > len(view) or view[body] != FRAME_BODY or struct.unpack_from(">I", view, body + 3)[0] != size:
            return None, at
        if not view[header - 1] == view[body - 1] == view[end - 1] == FRAME_END:
            return None, at
        tag = struct.unpack_from(">Q", view, at + 12 + view[at + 11])[0]
        return cls(tag, view[body + 7:end - 1]), end


# ---- a connection

CAPABILITIES = {"publisher_confirms": True, "exchange_exchange_bindings": True,
                "basic.nack": True, "consumer_cancel_notify": True, "connection.blocked": True,
                "authentication_failure_close": True}


class Connection:
    """One socket to the broker, which may be there already.  Without open() not a byte is sent on it."""

    def __init__(self, address, timeout=PATIENCE, sock=None):
        host, port = address.rsplit(":", 1)
        self.timeout = timeout
        self.sock = sock or socket.create_connection((host, int(port)), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        self.events, self.partial, self.heartbeats = [], {}, []
        self.frame_max = 131072
        self.start = self.tune = None

    # writing

    def send_raw(self, data):
        self.sock.settimeout(self.timeout)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ConnectionGone(str(error)) from None

    def send_frame(self, kind, channel, payload, end=FRAME_END):
        self.send_raw(frame_bytes(kind, channel, payload, end))

    def send(self, channel, name, **fields):
        self.send_frame(FRAME_METHOD, channel, method_bytes(name, **fields))

    def content(self, channel, body, properties=None):
        out = frame_bytes(FRAME_HEADER, channel, header_bytes(len(body), properties))
        step = self.frame_max - 8
        for at in range(0, len(body), step):
            out += frame_bytes(FRAME_BODY, channel, body[at:at + step])
        return out

    def publish(self, channel, routing_key, body=b"", exchange="", mandatory=False,
                immediate=False, **properties):
        method = method_bytes("basic.publish", exchange=exchange, routing_key=routing_key,
                              mandatory=mandatory, immediate=immediate)
        self.send_raw(frame_bytes(FRAME_METHOD, channel, method)
                      + self.content(channel, raw(body), properties))

    # reading

    def fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Silence("nothing came")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 18)
        except socket.timeout:
            raise Silence("nothing came") from None
        except ConnectionResetError:
            data = b""
        if not data:
            raise ConnectionGone("the broker closed the socket")
        self.data += data

    def read_bytes(self, count, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while len(self.data) < count:
            self.fill(deadline)
        out = bytes(self.data[:count])
        del self.data[:count]
        return out

    def has_frame(self):
        return len(self.data) >= 7 and len(self.data) >= 8 + int.from_bytes(self.data[3:7], "big")

    def read_frame(self, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.has_frame():
            self.fill(deadline)
        kind, channel, size = struct.unpack(">BHI", self.data[:7])
        payload, end = bytes(self.data[7:7 + size]), self.data[7 + size]
        del self.data[:size + 8]
        if end != FRAME_END:
            raise ValueError("the broker sent a frame with a bad end octet")
        if size + 8 > self.frame_max:
            raise ValueError("the broker sent a frame of %d bytes" % (size + 8))
        return kind, channel, payload

    def accept(self, kind, channel, payload):
        """Add one frame to what its channel is saying; the event, when it is whole."""
        if kind == FRAME_HEARTBEAT:
            if channel != 0 or payload:
                raise ValueError("the broker sent a heartbeat that is not one")
            self.heartbeats.append(time.monotonic())
            return None
        if kind == FRAME_METHOD:
            if channel in self.partial:
                raise ValueError("the broker sent a method inside a content")
            event = Event(channel, *parse_method(payload))
            if event.name not in WITH_CONTENT:
                return event
            self.partial[channel] = event
            return None
        event = self.partial[channel]
        if kind == FRAME_HEADER:
            event.header, event.properties = payload, parse_properties(payload)
            event.size, event.body = struct.unpack(">Q", payload[4:12])[0], b""
        else:
            event.body += payload
            event.body_frames.append(len(payload))
        if len(event.body) < event.size:
            return None
        if len(event.body) > event.size:
            raise ValueError("the broker sent a body longer than announced")
        return self.partial.pop(channel)

    def recv(self, channel=None, timeout=None):
        """The next event, of any channel or of one; others stay for later."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            for index, event in enumerate(self.events):
                if channel is None or event.channel in (channel, 0):
                    return self.events.pop(index)
            event = self.accept(*self.read_frame(deadline - time.monotonic()))
            if event:
                self.events.append(event)

    def wait(self, seconds):
        """Until something has come that take_events did not have, for so long at most."""
        if not self.events and not self.has_frame():
            try:
                self.fill(time.monotonic() + seconds)
            except Silence:
                pass

    def take_events(self):
        """All that is whole of what was read, also beside the answer that somebody waited for.

        It is for messages by the million: those that are in one piece become a Delivery.
        """
        events, self.events = self.events, []
        view, at = bytes(self.data), 0
        while at + 7 <= len(view):
            kind, channel, size = struct.unpack_from(">BHI", view, at)
            end = at + size + 8
            if end > len(view):
                break
            event = None
            if view.startswith(DELIVER, at + 7) and kind == FRAME_METHOD and channel not in self.partial:
                event, at = Delivery.find(view, at)
            if not event:
                if view[end - 1] != FRAME_END:
                    raise ValueError("the broker sent a frame with a bad end octet")
                event, at = self.accept(kind, channel, view[at + 7:end - 1]), end
            if event:
                events.append(event)
        del self.data[:at]
        return events

    def expect(self, channel, name, timeout=None):
        event = self.recv(channel, timeout)
        if event.name != name:
            raise AssertionError("expected %s, got %r" % (name, event))
        return event

    def quiet(self, channel=None, seconds=0.15):
        """Fail when the broker says anything in the next moment."""
        try:
            event = self.recv(channel, seconds)
        except Silence:
            return
        raise AssertionError("expected silence, got %r" % event)

    # conversations

    def call(self, channel, name, reply=None, **fields):
        self.send(channel, name, **fields)
        return self.expect(channel, reply or name + "-ok")

    def begin(self, header=PROTOCOL_HEADER):
        self.send_raw(header)
        self.start = self.expect(0, "connection.start")
        return self.start

    def login(self, user="guest", password="guest", mechanism="PLAIN", response=None,
              capabilities=None, locale="en_US", **properties):
        if response is None:
            response = "\0%s\0%s" % (user, password)
            if mechanism == "AMQPLAIN":
                response = table_body({"LOGIN": user, "PASSWORD": password})
        capabilities = CAPABILITIES if capabilities is None else capabilities
        self.send(0, "connection.start-ok", mechanism=mechanism, response=response, locale=locale,
                  client_properties=dict(product="wire tests", capabilities=capabilities,
                                         **properties))

    def open(self, vhost="/", channel_max=None, frame_max=None, heartbeat=0, **login):
        self.begin()
        self.login(**login)
        self.tune = self.expect(0, "connection.tune")
        self.frame_max = self.tune.frame_max if frame_max is None else frame_max
        self.send(0, "connection.tune-ok", heartbeat=heartbeat, frame_max=self.frame_max,
                  channel_max=self.tune.channel_max if channel_max is None else channel_max)
        self.call(0, "connection.open", vhost=vhost)
        return self

    def channel(self, number=1):
        self.call(number, "channel.open")
        return number

    def queue(self, channel=1, queue="", **fields):
        """Declare a queue, by default one that goes with this connection; its name."""
        if not fields:
            fields = {"exclusive": True}
        return self.call(channel, "queue.declare", queue=queue, **fields).queue

    def get(self, queue, channel=1, no_ack=True):
        self.send(channel, "basic.get", queue=queue, no_ack=no_ack)
        event = self.recv(channel)
        if event.name not in ("basic.get-ok", "basic.get-empty"):
            raise AssertionError("expected a reply to basic.get, got %r" % event)
        return event if event.name == "basic.get-ok" else None

    def get_soon(self, queue, channel=1, no_ack=True, timeout=PATIENCE):
        """A message from a queue that will have one in a moment."""
        deadline = time.monotonic() + timeout
        while True:
            event = self.get(queue, channel, no_ack)
            if event or time.monotonic() > deadline:
                return event
            time.sleep(0.01)

    def drain(self, queue, channel=1):
        """The bodies of all ready messages, in order."""
        out = []
        while True:
            event = self.get(queue, channel)
            if event is None:
                return out
            out.append(event.body.decode())

    def count(self, queue, channel=1):
        """Ready messages and consumers, as a passive declare tells them."""
        event = self.call(channel, "queue.declare", queue=queue, passive=True)
        return event.message_count, event.consumer_count

    def consume(self, queue, channel=1, **fields):
        return self.call(channel, "basic.consume", queue=queue, **fields).consumer_tag

    def at_end(self, timeout=PATIENCE):
        """Whether the broker closes the socket in time, whatever it says before."""
        try:
            while True:
                self.fill(time.monotonic() + timeout)
        except ConnectionGone:
            return True
        except Silence:
            return False

    def close(self):
        """Say goodbye and wait for the reply, so that what the connection owned is gone."""
        try:
            self.send(0, "connection.close", reply_code=200, reply_text="bye")
            while self.recv().name != "connection.close-ok":
                pass
        except (ConnectionGone, Silence, ValueError, KeyError):
            pass
        self.abort()

    def abort(self):
        self.sock.close()

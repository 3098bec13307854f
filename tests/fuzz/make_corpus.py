#!/usr/bin/python3
"""Writes the first inputs of the fuzz targets for frames, methods, tables, links and others: one of each kind,
so that the fuzzer begins with what a client says. Run it from the top of the tree; what fuzzing finds
is kept beside them under names of its own."""

import os
import struct


def shortstr(text):
    return bytes([len(text)]) + text


def longstr(text):
    return struct.pack(">I", len(text)) + text


def item(name, kind, value=b""):
    return shortstr(name) + kind + value


def method(class_id, method_id, fields=b""):
    return struct.pack(">HH", class_id, method_id) + fields


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


INNER = item(b"x", b"t", b"\0") + item(b"y", b"V")
TABLES = {
    "every_type": b"".join([
        item(b"t", b"t", b"\1"), item(b"b", b"b", b"\xff"), item(b"B", b"B", b"\xff"),
        item(b"s", b"s", b"\xff\xfe"), item(b"u", b"u", b"\xff\xfe"),
        item(b"I", b"I", struct.pack(">i", -3)), item(b"i", b"i", struct.pack(">I", 3)),
        item(b"l", b"l", struct.pack(">q", -4)), item(b"L", b"L", struct.pack(">q", 4)),
        item(b"f", b"f", struct.pack(">f", 1.5)), item(b"d", b"d", struct.pack(">d", 0.1)),
        item(b"D", b"D", b"\2" + struct.pack(">I", 12345)), item(b"S", b"S", longstr(b"text")),
        item(b"x", b"x", longstr(b"\0\xff")), item(b"T", b"T", struct.pack(">Q", 1600000000)),
        item(b"F", b"F", longstr(INNER)), item(b"A", b"A", longstr(b"t\1V")), item(b"V", b"V"),
    ]),
    "queue_arguments": item(b"x-max-length", b"I", struct.pack(">i", 10))
                       + item(b"x-overflow", b"S", longstr(b"drop-head")),
    "death": item(b"x-death", b"A", longstr(b"F" + longstr(
        item(b"count", b"l", struct.pack(">q", 1)) + item(b"reason", b"S", longstr(b"rejected"))
        + item(b"routing-keys", b"A", longstr(b"S" + longstr(b"key")))))),
    "twice": item(b"a", b"t", b"\1") + item(b"a", b"t", b"\2"),
    "unknown_type": item(b"a", b"?"),
    "lying_length": item(b"a", b"F", b"\0\0\0\x09") + item(b"b", b"V"),
    "infinite": item(b"a", b"d", b"\x7f\xf0\0\0\0\0\0\0"),
    "text": b"{a:i32 5, b:str \"x\\x00\", c:array [table {d:dec 1/2}, void]}",
}
deep = b""
for _ in range(99):
    deep = item(b"", b"F", longstr(deep))
TABLES["deep"] = deep

PUBLISH = method(60, 40, b"\0\0" + shortstr(b"amq.topic") + shortstr(b"a.b.c") + b"\1")
METHODS = {
    "start_ok": method(10, 11, longstr(item(b"capabilities", b"F", longstr(
        item(b"basic.nack", b"t", b"\1")))) + shortstr(b"PLAIN") + longstr(b"\0guest\0guest")
        + shortstr(b"en_US")),
    "tune_ok": method(10, 31, struct.pack(">HIH", 2047, 131072, 60)),
    "open": method(10, 40, shortstr(b"/") + b"\0\0"),
    "close": method(10, 50, struct.pack(">H", 200) + shortstr(b"bye") + b"\0\0\0\0"),
    "queue_declare": method(50, 10, b"\0\0" + shortstr(b"q") + b"\2"
                            + longstr(TABLES["queue_arguments"])),
    "queue_declare_all": method(50, 10, b"\0\0" + shortstr(b"") + b"\x1f"
                                + longstr(TABLES["every_type"])),
    "exchange_declare": method(40, 10, b"\0\0" + shortstr(b"e") + shortstr(b"topic") + b"\2"
                               + longstr(b"")),
    "queue_bind": method(50, 20, b"\0\0" + shortstr(b"q") + shortstr(b"e") + shortstr(b"#.x")
                         + b"\0" + longstr(b"")),
    "qos": method(60, 10, struct.pack(">IHB", 0, 10, 1)),
    "consume": method(60, 20, b"\0\0" + shortstr(b"q") + shortstr(b"tag") + b"\2" + longstr(b"")),
    "publish": PUBLISH,
    "deliver": method(60, 60, shortstr(b"tag") + struct.pack(">QB", 1, 1) + shortstr(b"e")
                      + shortstr(b"key")),
    "get_ok": method(60, 71, struct.pack(">QB", 1, 0) + shortstr(b"") + shortstr(b"q")
                     + struct.pack(">I", 3)),
    "ack": method(60, 80, struct.pack(">QB", 7, 1)),
    "nack": method(60, 120, struct.pack(">QB", 7, 3)),
    "bad_utf8": method(50, 40, b"\0\0" + shortstr(b"\xff") + b"\0"),
    "unknown": method(60, 200),
    "text": b"queue.declare queue=orders durable=1 arguments={x-max-length:i32 5}",
}


def content(flags, properties=b"", size=5):
    return struct.pack(">HHQH", 60, 0, size, flags) + properties


ALL_PROPERTIES = (shortstr(b"text/plain") + shortstr(b"gzip") + longstr(INNER) + b"\2\5"
                  + shortstr(b"c") + shortstr(b"r") + shortstr(b"1000") + shortstr(b"m")
                  + struct.pack(">Q", 7) + shortstr(b"t") + shortstr(b"u") + shortstr(b"a")
                  + shortstr(b"x"))
LIMIT = b"\x10\0"
FRAMES = {
    "publish": LIMIT + frame(1, 1, PUBLISH) + frame(2, 1, content(0x1000, b"\2"))
               + frame(3, 1, b"hello") + frame(8, 0, b""),
    "all_properties": LIMIT + frame(2, 1, content(0xfffc, ALL_PROPERTIES)),
    "bad_headers": LIMIT + frame(2, 1, content(0x2000, longstr(b"\1a?"))),
    "more_flags": LIMIT + frame(2, 1, content(1, b"\0\0")),
    "empty_body": LIMIT + frame(1, 1, PUBLISH) + frame(2, 1, content(0, b"", 0)),
    "bad_end": LIMIT + frame(8, 0, b"")[:-1] + b"\0",
    "unknown_type": LIMIT + frame(4, 0, b""),
    "too_large": LIMIT + struct.pack(">BHI", 3, 1, 4097),
    "no_limit": b"\0\0" + struct.pack(">BHI", 3, 1, 0xffffffff) + b"abc",
    "protocol_header": LIMIT + b"AMQP\0\0\x09\1",
    "http": LIMIT + b"GET / HTTP/1.1\r\n\r\n",
}

GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
REQUESTS = {
    "get": GET + b"\r\n",
    "head": b"HEAD /pieces?n=9&size=20000 HTTP/1.1\r\nHost: a\r\n\r\n" + GET + b"\r\n",
    "old": b"GET /pieces?n=3&size=9 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "body": POST + b"Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello" + GET + b"\r\n",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1F\r\n" + b"x" * 31
              + b"\r\n0\r\nA: b\r\n\r\n" + GET + b"\r\n",
    "expect": POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "ahead": (GET + b"\r\n") * 5 + b"GET /wait?n=3 HTTP/1.1\r\nHost: a\r\n\r\n" + GET
             + b"Connection: close\r\n\r\n" + GET + b"\r\n",
    "long": b"GET /pieces?n=50&size=16384 HTTP/1.1\r\nHost: a\r\n\r\n" + GET + b"\r\n",
    "gzip": b"GET /pieces?n=7&size=16384 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br;q=0, gzip;q=0.5"
            b"\r\n\r\n" + GET + b"\r\n",
    "costly": b"GET /costly?n=5 HTTP/1.1\r\nHost: a\r\n\r\n",
    "empty": b"PUT /created HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
             b"DELETE /nothing HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "form": POST + b"Content-Length: 73\r\nContent-Type: multipart/form-data; boundary=\"b\"\r\n\r\n"
            b"--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\nhello\r\n--b--\r\n"
            + GET + b"\r\n",
    "url": b"\r\nGET http://a:1/hello?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "both_lengths": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "two_lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "line_feed": b"GET /hello HTTP/1.1\nHost: a\n\n",
    "folded": GET + b"A: b\r\n c: d\r\n\r\n",
    "space_before_colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "http_2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "long_line": b"GET /" + b"x" * 8200 + b" HTTP/1.1\r\n",
    "many_fields": GET + b"A: b\r\n" * 70 + b"\r\n",
    "large_chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
}



def piece(kind, payload, more=0):
    return struct.pack(">BBHI", kind, more, 0, len(payload)) + payload


def hello(**changes):
    it = dict(magic=0x4c56524c, low=1, high=1, way=0, session=99, cluster=b"c" * 16, generation=0,
              node=b"n" * 16, incarnation=1, name=b"x@y", nonces=(5,))
    it.update(changes)
    return piece(1, struct.pack(">IHHQBQ", it["magic"], it["low"], it["high"], 0, it["way"], it["session"])
                 + it["cluster"] + struct.pack(">Q", it["generation"]) + it["node"]
                 + struct.pack(">QQ", it["incarnation"], 0) + shortstr(it["name"])
                 + struct.pack(">H%dQ" % len(it["nonces"]), len(it["nonces"]), *it["nonces"]))


def raft(kind, count=0, entries=b"", flags=0, **fields):
    numbers = [fields.get(name, 0) for name in ("index", "index_term", "commit", "rejected", "round")]
    return struct.pack(">QQQQBBQ5QI", 1, 1, 0x20001, 0x10001, kind, flags, 5, *numbers, count) + entries


ENTRIES = (struct.pack(">BQI", 2, 4, 0)
           + struct.pack(">BQIHQBQB", 3, 4, 20, 2, 0x10001, 1, 0x20001, 2)
           + struct.pack(">BQI", 1, 5, 7) + b"records")
# The first byte: to whom the rest goes: a stranger's connection, control, or data.
LINKS = {
    "hello": b"\0" + hello() + piece(3, struct.pack(">Q", 1)),
    "hello_data": b"\0" + hello(way=1),
    "hello_other": b"\0" + hello(cluster=b"d" * 16),
    "hello_restored": b"\0" + hello(nonces=(7, 8)),
    "hello_joins": b"\0" + hello(cluster=bytes(16), node=b"j" * 16),
    "bye": b"\1" + piece(2, b"\0\1" + shortstr(b"bye")),
    "ping": b"\1" + piece(3, struct.pack(">Q", 1)) + piece(4, struct.pack(">Q", 2)),
    "lease": b"\1" + piece(5, struct.pack(">QQQBH2Q", 1, 2, 3, 3, 2, 5, 6)),
    "grant": b"\1" + piece(6, struct.pack(">QH2Q", 1, 2, 5, 6)),
    "vote": b"\1" + piece(7, raft(3, flags=1, index=6, index_term=4)),
    "rejected": b"\1" + piece(7, raft(2, index=6, rejected=9, round=7)),
    "append": b"\2" + piece(7, raft(1, 3, ENTRIES, index=9, index_term=4, commit=9, round=7)),
    "append_in_pieces": b"\2" + piece(7, raft(1, 3, ENTRIES)[:50], 1) + piece(7, raft(1, 3, ENTRIES)[50:]),
    "reserved": b"\2" + piece(18, b""),
}



def item(what, text, index=0):
    return struct.pack(">BBH", what, index, len(text)) + text


def relay(known=b"", named=3, **changes):
    it = dict(magic=0x4c56524c, low=1, high=1, cluster=b"c" * 16, generation=0, node=b"n" * 16, kind=0, flags=0)
    it.update(changes)
    return piece(9, struct.pack(">IHH", it["magic"], it["low"], it["high"]) + it["cluster"]
                 + struct.pack(">Q", it["generation"]) + it["node"]
                 + struct.pack(">BBIII", it["kind"], it["flags"], 1000, 1000, 1)
                 + shortstr(b"192.0.2.1:1024") + shortstr(b"198.51.100.7:5672") + bytes([named]) + known)


KNOWN = (item(0x40, b"tlsv1.3") + item(0x44, b"CN=a,O=b") + item(0, b"CN=a,O=b") + item(1, b"a")
         + item(2, b"a.example") + item(2, b"b.example", 1) + item(6, b"a@b"))
# The first byte: who is played, another node or the leader; the second: in what pieces.
RELAYS = {
    "client": b"\0\xff" + relay(flags=2),
    "certificate": b"\0\7" + relay(KNOWN, 0, flags=1),
    "path": b"\0\0" + relay(flags=6),
    "known_wrong": b"\0\xff" + relay(KNOWN[:-1], 0),
    "known_unknown": b"\0\xff" + relay(item(7, b"x"), 0),
    "other_cluster": b"\0\xff" + relay(cluster=b"d" * 16),
    "other_kind": b"\0\xff" + relay(kind=1),
    "stranger": b"\0\xff" + relay(node=b"m" * 16),
    "too_early": b"\0\xff" + relay() + b"AMQP",
    "hello": b"\0\xff" + hello(),
    "taken": b"\1\xff" + piece(10, b"\0\1") + b"AMQP",
    "taken_in_bytes": b"\1\0" + piece(10, b"\0\1") + b"AMQP",
    "refused": b"\1\xff" + piece(2, b"\0\x14" + shortstr(b"elsewhere")),
    "no_answer": b"\1\xff" + piece(3, bytes(8)),
    "no_frame": b"\1\xff" + b"HTTP/1.1 400 Bad Request\r\n\r\n",
}



def said(speaker, data=b""):
    return struct.pack(">BH", speaker, len(data)) + data


def told(class_id, method_id, fields=b"", channel=1):
    return frame(1, channel, method(class_id, method_id, fields))


WHO = said(1, told(10, 10, b"\0\x09" + longstr(b"") + longstr(b"PLAIN") + longstr(b"en_US"), 0))
TUNE = said(1, told(10, 30, struct.pack(">HIH", 7, 131072, 0), 0))
OPENED = said(1, told(10, 41, shortstr(b""), 0))
BEGUN = (said(0, b"AMQP\0\0\x09\1") + WHO + said(0, frame(1, 0, METHODS["start_ok"])) + TUNE
         + said(0, told(10, 31, struct.pack(">HIH", 7, 131072, 0), 0) + frame(1, 0, METHODS["open"])) + OPENED
         + said(0, told(20, 10, shortstr(b""))) + said(1, told(20, 11, longstr(b""))))
def noted(data, channel=1):
    return said(1, frame(8, channel, data))


AGAIN = said(2) + WHO + TUNE + OPENED
OPENED_AGAIN = said(1, told(20, 11, longstr(b"")))
TOLD = frame(1, 1, PUBLISH) + frame(2, 1, content(0, b"", 5)) + frame(3, 1, b"hello")
GIVEN = frame(1, 1, METHODS["deliver"]) + frame(2, 1, content(0, b"", 5)) + frame(3, 1, b"hello")
# The first byte: in what pieces; then who says what.
RESUMES = {
    "publisher": b"\x20" + BEGUN + said(0, told(85, 10, b"\0") + TOLD * 3) + said(1, told(85, 11) + told(60, 80, struct.pack(">QB", 2, 0)))
                 + AGAIN + OPENED_AGAIN + said(1, told(60, 80, struct.pack(">QB", 2, 1))) + said(0, TOLD),
    "consumer": b"\7" + BEGUN + said(0, frame(1, 1, METHODS["qos"]) + frame(1, 1, METHODS["consume"]))
                + said(1, told(60, 11) + told(60, 21, shortstr(b"tag")) + GIVEN) + AGAIN + OPENED_AGAIN
                + said(1, told(60, 11)) + said(1, told(60, 21, shortstr(b"tag")) + GIVEN) + said(0, frame(1, 1, METHODS["ack"])),
    "held": b"\xff" + BEGUN + said(0, frame(1, 1, METHODS["consume"])) + said(1, told(60, 21, shortstr(b"tag")))
            + (noted(struct.pack(">BQ", 1, 5)) + said(1, GIVEN)) * 2 + said(0, told(60, 80, struct.pack(">QB", 1, 0)))
            + noted(struct.pack(">BQ", 2, 1)) + AGAIN + OPENED_AGAIN + said(1, told(60, 21, shortstr(b"tag")))
            + noted(struct.pack(">BHB", 4, 2, 2)) + said(0, frame(1, 1, METHODS["ack"])),
    "refused": b"\xff" + BEGUN + said(0, frame(1, 1, METHODS["consume"])) + said(1, told(60, 21, shortstr(b"tag"))) + AGAIN
               + OPENED_AGAIN + said(1, told(20, 40, struct.pack(">H", 404) + shortstr(b"no") + bytes(4))) + OPENED_AGAIN,
    "names": b"\xff" + BEGUN + said(0, told(50, 10, b"\0\0" + shortstr(b"") + b"\4" + longstr(b"")))
             + said(1, told(50, 11, shortstr(b"q") + bytes(8))) + said(0, frame(1, 1, METHODS["queue_bind"])) + said(1, told(50, 21))
             + AGAIN + said(1, told(20, 11, longstr(b""), 2)) + said(1, told(50, 11, shortstr(b"q") + bytes(8), 2))
             + said(1, told(50, 21, channel=2)) + said(1, told(20, 41, channel=2)) + OPENED_AGAIN,
    "asked": b"\1" + BEGUN + said(0, frame(1, 1, METHODS["queue_declare"]) + TOLD) + AGAIN + OPENED_AGAIN + AGAIN + OPENED_AGAIN,
    "transaction": b"\xff" + BEGUN + said(0, told(90, 10)) + said(1, told(90, 11)) + AGAIN + OPENED_AGAIN + said(1, told(90, 11)) + said(0, TOLD) + said(3),
    "closing": b"\xff" + BEGUN + said(0, told(20, 40, struct.pack(">H", 200) + shortstr(b"") + bytes(4))) + AGAIN,
    "shutdown": b"\xff" + BEGUN + said(1, told(10, 50, struct.pack(">H", 320) + shortstr(
        b"CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'") + bytes(4), 0)) + AGAIN + OPENED_AGAIN,
    "half": b"\xff" + BEGUN + said(0, TOLD[:-3]) + said(1, GIVEN[:-3]) + AGAIN + OPENED_AGAIN + said(0, TOLD[-3:]) + said(1, GIVEN),
    "wrong": b"\xff" + BEGUN + AGAIN + OPENED_AGAIN + said(0, b"GET / HTTP/1.1\r\n") + said(0, TOLD),
}

SETTINGS = {
    "all": b"listeners.tcp.a = 127.0.0.1:5672\nlisteners.tcp.b = ::1:5673\nlisteners.ssl = none\n"
           b"vm_memory_high_watermark.relative = 0.405\ndisk_free_limit.absolute = 2GB\n"
           b"loopback_users.guest = false\nloopback_users.ann = true\nheartbeat = 60\n"
           b"log.console.level = notice\nssl_options.versions.1 = tlsv1.3\nframe_max = 64KB\n"
           b"ssl_options.verify = verify_peer\nauth_mechanisms.1 = AMQPLAIN\nchannel_max = 0\n"
           b"connection_max = infinity\ndefault_user_tags.a = true\nmanagement.tcp.ip = ::1\n",
    "idle": b"mqtt.tcp.a = 1\nnum_acceptors.tcp = 10\nmanagement.cors.max_age = 1\n",
    "quotes": b"default_user = 'a # b' # c\ndefault_vhost = 'a\ndefault_pass = 'x\\'\n",
    "comments": b"# a\n  # b\n\nheartbeat = 1#c\nheartbeat=2 # d\r\n",
    "wrong": b"heartbeet = 1\nno\n= 1\na..b = 1\nheartbeat =\na/b = c\n\x01\n\xff\nheartbeat = x\n",
    "variables": b"default_user = a$(HOME)b\ndefault_vhost = $(\ncluster_name = $(NOT)\n",
    "escapes": b"product\\.name = a\nloopback_users.a\\.b = true\nauth_backends.1.authn = internal\n",
}


V4 = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack(">HH", 40112, 5672)


def proxied(command, family, rest, size=None):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, family, len(rest) if size is None else size) + rest


PROXIES = {
    "line_4": b"PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672\r\nAMQP\0\0\x09\1",
    "line_6": b"PROXY TCP6 2001:db8::1 ::1 65535 5672\r\nAMQP",
    "line_unknown": b"PROXY UNKNOWN whatever\r\nAMQP",
    "line_cut": b"PROXY TCP4 192.0.2.1",
    "line_wrong": b"PROXY TCP4 192.0.2.1 198.51.100.7 40112 65536\r\n",
    "binary_4": proxied(0x21, 0x11, V4) + b"AMQP",
    "binary_6": proxied(0x21, 0x21, bytes(range(36))) + b"AMQP",
    "binary_more": proxied(0x21, 0x11, V4 + b"\4\0\4more") + b"AMQP",
    "binary_local": proxied(0x20, 0, b"") + b"AMQP",
    "binary_unix": proxied(0x21, 0x31, bytes(216)) + b"AMQP",
    "binary_short": proxied(0x21, 0x11, V4, 11),
    "client": b"AMQP\0\0\x09\1",
}


def masked(first, data, size=None):
    mask = b"\x11\xfe\0\x80"
    count = len(data) if size is None else size
    head = (bytes([first, 0x80 | count]) if count < 126 else
            struct.pack(">BBH", first, 0xfe, count) if count < 65536 else struct.pack(">BBQ", first, 0xff, count))
    return head + mask + bytes(byte ^ mask[at & 3] for at, byte in enumerate(data))


ASKED = (b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
         b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: amqp\r\n\r\n")
WEBSOCKETS = {
    "message": ASKED + masked(0x82, b"AMQP\0\0\x09\1"),
    "parts": ASKED + masked(2, b"one") + masked(0x89, b"ping") + masked(0, b"") + masked(0x80, b"two"),
    "sizes": ASKED + masked(0x82, bytes(300)) + masked(0x82, bytes(70000)),
    "close": ASKED + masked(0x82, b"x") + masked(0x88, b"\x03\xe8bye"),
    "quit": ASKED + masked(0x82, b"say $") + masked(0x82, b"more"),
    "held": ASKED + masked(0x82, b"#hold") + masked(0x82, b"more"),
    "text": ASKED + masked(0x81, b"text"),
    "large": ASKED + masked(0x82, b"x", 1 << 40),
    "bare": ASKED + b"\x82\1x",
    "refused": ASKED.replace(b"amqp", b"mqtt"),
    "cut": ASKED[:60],
}


def image_act(what, data=b""):
    return bytes([what]) + struct.pack(">H", len(data)) + data


def image_files(*files):
    return image_act(0, b"".join(struct.pack(">QB", size, len(name)) + name for name, size in files))


SMALL_IMAGE = image_files((b"identity", 9), (b"journal-0000000001", 300), (b"index/CURRENT", 0), (b"index/000003.log", 4))
IMAGES = {
    "whole": SMALL_IMAGE + image_act(1, b"LVRI") + image_act(1, b"x" * 300) + image_act(1) + image_act(1, b"abcd"),
    "large": image_files((b"anchor", 600000)) + image_act(1, b"1") + image_act(1, b"2") + image_act(1, b"3"),
    "lost": SMALL_IMAGE + image_act(1, b"LVRI") + image_act(4) + image_act(1, b"y") + image_act(1) + image_act(1),
    "gone": SMALL_IMAGE + image_act(1, b"LVRI") + image_act(3) + SMALL_IMAGE + image_act(1),
    "another": SMALL_IMAGE + image_act(1) + SMALL_IMAGE + image_act(1) * 4,
    "anything": SMALL_IMAGE + image_act(2, bytes(16) + b"piece") + image_act(2, b"\0\0\0\0\0\0\0\1"),
    "asked": image_act(5, bytes(24)) + image_act(5, b"\xff" * 24),
    "elsewhere": image_files((b"../node", 4)) + image_files((b"index/../node", 4)) + image_act(1, b"1"),
    "more": image_files((b"anchor", 1 << 47)) + image_act(1, b"1"),
    "cut": SMALL_IMAGE[:40],
}


def main():
    requests = {kind: b"\x07\x20" + data for kind, data in REQUESTS.items()}
    for name, inputs in (("config", SETTINGS), ("frame", FRAMES), ("http", requests), ("image", IMAGES), ("link", LINKS),
                         ("method", METHODS), ("proxy", {kind: b"\6" + data for kind, data in PROXIES.items()}), ("relay", RELAYS),
                         ("resume", RESUMES), ("table", TABLES), ("websocket", {kind: b"\4" + data for kind, data in WEBSOCKETS.items()})):
        folder = os.path.join("tests/fuzz/corpus", name)
        os.makedirs(folder, exist_ok=True)
        for kind, data in inputs.items():
            with open(os.path.join(folder, kind), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Clients of brokers that do not lead: they are served like the leader's own, whatever they come by, and wait while
nobody leads. resume.py tells how they go on when the leader is gone.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

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

from certificates import authority, issue, path, trust  # noqa: E402
from members import ELECTED, Cluster, fill, free_ports, numbers  # noqa: E402
from service import PATIENCE, PROGRAM, folder  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402

MESSAGE = 8 << 20
GONE = (amqp.ConnectionGone, ConnectionError)


def others(cluster, number):
    return [other for other in range(1, cluster.count + 1) if other != number]


def led(t, *more):
    """A cluster, the number of its leader, and those of the others."""
    cluster = Cluster(t).found(*more)
    leader = cluster.leader()
    return cluster, leader, others(cluster, leader)


def dial(cluster, number, timeout=PATIENCE):
    c = amqp.Connection("127.0.0.1:%d" % cluster.clients[number - 1], timeout)
    cluster.t.cleanup(c.abort)
    return c


def resident(broker):
    """How many bytes of memory its process has."""
    with open("/proc/%d/status" % broker.process.pid, encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) << 10


def opened(broker, number=1):
    """The peers of the connections that it has opened."""
    broker.says(" connection_opened ", number)
    return re.findall(r" connection_opened connection=\d+ peer=(\S+)", broker.log())


@case("a client of each broker publishes with confirms, and consumes what the others have published")
def _(t):
    cluster, leader, _ = led(t)
    clients = [cluster.client(number) for number in (1, 2, 3)]
    for at, c in enumerate(clients):
        fill(c, "of%d" % (at + 1), 300)
    for at, c in enumerate(clients):
        equal(c.drain("of%d" % ((at + 1) % 3 + 1)), numbers(300), "what broker %d hands out" % (at + 1))
    peers = ["127.0.0.1:%d" % c.sock.getsockname()[1] for c in clients]
    equal(sorted(opened(cluster.brokers[leader], 3)), sorted(peers), "whom the leader takes them for")
    c = clients[others(cluster, leader)[0] - 1]
    c.call(1, "queue.declare", queue="mine", exclusive=True)
    c.consume("mine")
    c.publish(1, "mine", b"x")
    equal(c.expect(1, "basic.deliver").body, b"x", "a queue of the connection")
    c.close()
    cluster.brokers[leader].says(" connection_closed ")


def publish_surely(cluster, number, queue, body):
    """Until it is confirmed: on a machine that is busy another broker may come to lead meanwhile, and the one before
    starts again."""
    while True:
        try:
            c = cluster.client(number)
            c.channel()
            c.queue(queue=queue, durable=True)
            c.call(1, "confirm.select")
            c.publish(1, queue, body, delivery_mode=2)
            c.expect(1, "basic.ack")
            c.close()
            return
        except GONE:
            time.sleep(0.1)


def digest(body):
    return hashlib.sha256(body).digest()


def grown(cluster, number, sizes):
    return resident(cluster.brokers[number]) - sizes[number]


def on_the_way(cluster, taker, giver, sizes):
    """What the one keeps for a client that does not read: more than the other one, as both have what is in the queue.
    None: one of them has led, and has had clients of its own."""
    if any("office_taken" in cluster.brokers[number].log() for number in (taker, giver)):
        return None
    return grown(cluster, taker, sizes) - grown(cluster, giver, sizes)


@case("messages of 8 MiB go both ways, also to who reads slowly, and no broker keeps them on the way")
def _(t):
    cluster, _, (giver, taker) = led(t)
    bodies = [bytes([number]) * MESSAGE for number in range(4)]
    sizes = {number: resident(broker) for number, broker in cluster.brokers.items()}
    for body in bodies:
        publish_surely(cluster, giver, "large", body)
    wanted, got = {digest(body) for body in bodies}, set()
    while got != wanted:
        slow = None
        try:
            slow = dial(cluster, taker)
            slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            slow.open().channel()
            slow.call(1, "basic.qos", prefetch_count=2)
            slow.consume("large", no_ack=False)
            time.sleep(1)
            kept = on_the_way(cluster, taker, giver, sizes)
            check(kept is None or kept < MESSAGE, "the broker keeps %r bytes for who does not read" % kept)
            fast = cluster.client(taker)
            fast.channel()
            fast.count("large")
            while got != wanted:
                event = slow.expect(1, "basic.deliver")
                got.add(digest(event.body))
                slow.send(1, "basic.ack", delivery_tag=event.delivery_tag)
        except GONE:
            time.sleep(0.1)
        finally:
            if slow:
                slow.abort()


@case("a protocol header comes in two pieces, between which the leader is dialed")
def _(t):
    cluster, _, followers = led(t)
    c = dial(cluster, followers[0])
    c.send_raw(amqp.PROTOCOL_HEADER[:3])
    c.quiet(seconds=0.5)
    c.send_raw(amqp.PROTOCOL_HEADER[3:])
    c.expect(0, "connection.start", PATIENCE)


@case("who comes while nobody leads is served after the election, whoever is elected")
def _(t):
    cluster, leader, followers = led(t)
    fill(cluster.client(leader), "kept", 10)
    process = cluster.brokers[leader].process
    process.send_signal(signal.SIGSTOP)
    t.cleanup(process.send_signal, signal.SIGCONT)
    clients = [dial(cluster, number, ELECTED) for number in followers]
    for c in clients:
        c.send_raw(amqp.PROTOCOL_HEADER)
    silent = [dial(cluster, number, ELECTED) for number in followers]
    new = cluster.leader(besides={leader})
    check(new in followers, "who leads")
    for c in clients:
        c.expect(0, "connection.start")
        c.login()
        c.expect(0, "connection.tune")
        c.send(0, "connection.tune-ok", heartbeat=0, frame_max=131072, channel_max=10)
        c.call(0, "connection.open", vhost="/")
        c.channel()
        equal(c.count("kept")[0], 10, "messages")
    for c in silent:
        c.open().close()


@case("limits: clients of a broker, and how long one may be silent")
def _(t):
    cluster, leader, followers = led(t, "--max-connections", "2", "--handshake-ms", "1500")
    at = followers[0]
    first, second = dial(cluster, at), dial(cluster, at)
    first.open()
    began = time.monotonic()
    third = dial(cluster, at)
    check(third.at_end(1), "the third is let in")
    cluster.brokers[at].says("client_not_relayed")
    check(second.at_end(5), "who is silent stays")
    took = time.monotonic() - began
    check(1 < took < 4, "who is silent has %.1f s" % took)
    header = dial(cluster, at)
    header.send_raw(amqp.PROTOCOL_HEADER)
    header.expect(0, "connection.start")
    check(header.at_end(5), "who says nothing after its header stays")
    dial(cluster, followers[1]).open()
    full = dial(cluster, leader)
    full.begin()
    full.login()
    full.expect(0, "connection.tune")
    full.send(0, "connection.tune-ok", heartbeat=0, frame_max=131072, channel_max=10)
    full.send(0, "connection.open", vhost="/")
    equal(full.expect(0, "connection.close").reply_code, 530, "the leader counts all that it serves")
    first.channel()


@case("who has not the secret cannot use it, nor who is no broker of the cluster")
def _(t):
    cluster, leader, _ = led(t)
    frame = struct.pack(">IHH16sQ16sBBIII", 0x4c56524c, 1, 1, b"c" * 16, 0, b"n" * 16, 0, 0, 0, 0, 0) + b"\1a\1b\3"
    for hello in (b"\x09\0\0\0" + struct.pack(">I", len(frame)) + frame, amqp.PROTOCOL_HEADER):
        with socket.create_connection(("127.0.0.1", cluster.links[leader - 1]), PATIENCE) as sock:
            sock.sendall(hello)
            out = sock.recv(4096)
            check(not out or out[0] in (0x15, 0x16), "without TLS: %r" % out)
    for secret in ("00" * 32, None):
        words = ["-psk_identity", "leveret", "-psk", secret] if secret else []
        done = subprocess.run(["openssl", "s_client", "-quiet", "-tls1_3", "-connect",
                               "127.0.0.1:%d" % cluster.links[leader - 1], *words],
                              input=frame, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
                              check=False)
        check(done.returncode != 0 and b"AMQP" not in done.stdout, done.stdout)
    equal(cluster.brokers[leader].log().count(" connection_opened "), 0, "who was let in")
    cluster.client(leader).close()


def through(cluster, number, sock):
    """A client that has another socket than one to the usual port."""
    sock.settimeout(PATIENCE)
    c = dial(cluster, number)
    c.sock.close()
    c.sock = sock
    return c


def web(port):
    """A WebSocket that has said the header of AMQP, and what comes to it in a frame."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     b"Sec-WebSocket-Protocol: amqp\r\n\r\n\x82\x88\0\0\0\0" + amqp.PROTOCOL_HEADER)
        out = b""
        while b"version-major" not in out and b"connection.blocked" not in out:
            part = sock.recv(65536)
            check(part, "it ends with %r" % out)
            out += part
        return out.split(b"\r\n\r\n", 1)[1]


@case("by TLS, with a certificate that names a user, by a path, by WebSocket and behind a proxy")
def _(t):
    authority("people")
    issue("people", "server", alternatives="IP:127.0.0.1")
    issue("people", "anna")
    secure, web_port = free_ports(2)
    control, place = os.path.join(folder(t), "ctl.sock"), os.path.join(folder(t), "amqp.sock")
    every = ["--set", "auth_mechanisms.1=PLAIN", "--set", "auth_mechanisms.2=EXTERNAL", "--set",
             "ssl_cert_login_from=common_name"]
    settings = ["listeners.ssl.1=127.0.0.1:%d" % secure, "ssl_options.cacertfile=" + path("people.pem"),
                "ssl_options.certfile=" + path("server.pem"), "ssl_options.keyfile=" + path("server.key"),
                "ssl_options.verify=verify_peer", "ssl_options.fail_if_no_peer_cert=false",
                "web_amqp.tcp.ip=127.0.0.1", "web_amqp.tcp.port=%d" % web_port, "proxy_protocol=true"]
    cluster = Cluster(t)
    for number in (1, 2, 3):
        cluster.start(number, "--cluster-found", "--control-socket", control + str(number), *every)
    leader = cluster.leader()
    follower = others(cluster, leader)[0]
    cluster.brokers[follower].stop()
    cluster.start(follower, "--listen", "unix:" + place, *every,
                  *[word for setting in settings for word in ("--set", setting)])
    program = os.path.join(os.path.dirname(PROGRAM), "leveretctl")

    def ask(*words):
        return subprocess.run([program, "--uri", "unix:" + control + str(leader), "-q", *words], stdout=subprocess.PIPE,
                              text=True, timeout=PATIENCE, check=True).stdout

    ask("add_user", "anna", "not her password")
    ask("set_permissions", "anna", ".*", ".*", ".*")
    far = through(cluster, follower, socket.create_connection(("127.0.0.1", cluster.clients[follower - 1])))
    far.send_raw(b"PROXY TCP4 192.0.2.1 198.51.100.7 40112 5672\r\n")
    far.begin()
    far.login()
    equal(far.expect(0, "connection.close").reply_code, 403, "guest from afar")
    cluster.brokers[leader].says("peer=192.0.2.1:40112")
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(place)
    near = through(cluster, follower, sock)
    near.send_raw(b"PROXY UNKNOWN\r\n")
    near.open()
    cluster.brokers[leader].says("peer=unix:%d user=guest" % os.getpid())
    sock = socket.create_connection(("127.0.0.1", secure), PATIENCE)
    sock.sendall(b"PROXY UNKNOWN\r\n")
    named = through(cluster, follower, trust("anna", "people").wrap_socket(sock, server_hostname="127.0.0.1"))
    named.open(mechanism="EXTERNAL", response=b"")
    listed = ask("list_connections", "user", "peer_port", "ssl", "ssl_protocol", "peer_cert_subject")
    check("anna\t%d\ttrue\ttlsv1.3\tCN=anna" % named.sock.getsockname()[1] in listed, listed)
    sock = socket.create_connection(("127.0.0.1", secure), PATIENCE)
    sock.sendall(b"PROXY UNKNOWN\r\n")
    nameless = through(cluster, follower, trust(None, "people").wrap_socket(sock, server_hostname="127.0.0.1"))
    nameless.begin()
    nameless.login(mechanism="EXTERNAL", response=b"")
    equal(nameless.expect(0, "connection.close").reply_code, 403, "who has no certificate")
    start = web(web_port)
    check(start[0] == 0x82 and b"PLAIN" in start, start)


if __name__ == "__main__":
    main()

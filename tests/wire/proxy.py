#!/usr/bin/python3
"""The PROXY protocol: who is believed to be whom, headers that are slow or wrong, TLS behind one, and Debian's
haproxy in front, with its health checks.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from certificates import certificates, path, trust  # noqa: E402
from service import PATIENCE, PROGRAM, Daemon, folder  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SECURE = re.compile(r"listening address=(\S+) tls=true$", re.M)


def line(source="192.0.2.1", port=40112):
    return b"PROXY TCP4 %s 198.51.100.7 %d 5672\r\n" % (source.encode(), port)


def binary(source="192.0.2.1", port=40112, more=b""):
    addresses = (socket.inet_aton(source) + socket.inet_aton("198.51.100.7") +
                 struct.pack(">HH", port, 5672) + more)
    return SIGNATURE + struct.pack(">BBH", 0x21, 0x11, len(addresses)) + addresses


LOCAL = SIGNATURE + b"\x20\0\0\0"


def serve(t, *settings, listen="127.0.0.1:0"):
    more = [word for setting in settings for word in ("--set", setting)]
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", listen, "--set", "proxy_protocol=true",
                    "--log-level", "debug", *more).ready()
    daemon.amqp = daemon.addresses()[0]
    return daemon


class Connection(amqp.Connection):
    """One that a proxy has opened, which has said `header`."""

    def __init__(self, t, daemon, header):
        super().__init__(daemon.amqp)
        t.cleanup(self.abort)
        self.sock.sendall(header)


def dial(t, daemon, header=b"", address=None):
    host, port = (address or daemon.amqp).rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), PATIENCE)
    t.cleanup(sock.close)
    sock.sendall(header)
    return sock


def ends(sock):
    """Reads until the socket is closed; what came, or None: it never is."""
    out = b""
    try:
        while True:
            part = sock.recv(65536)
            if not part:
                return out
            out += part
    except socket.timeout:
        return None
    except ConnectionResetError:
        return out


def opened(daemon, number=1):
    """The peers of those that were opened."""
    daemon.says(" connection_opened ", number)
    return re.findall(r" connection_opened connection=\d+ peer=(\S+)", daemon.log())


@case("who has come, by a line and in binary, is whom the log and the API name")
def _(t):
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--set", "proxy_protocol=true",
                    "--guest-anywhere", "--management", "none", "--metrics", "none", "--control-socket",
                    os.path.join(folder(t), "ctl.sock"), quiet=False).ready()
    daemon.amqp = daemon.addresses()[0]
    control = re.search(r"listening address=unix:(\S+)", daemon.log()).group(1)
    headers = [line("192.0.2.1", 1001), binary("192.0.2.2", 1002), binary("192.0.2.3", 1003, b"\4\xea\x60" + b"x" * 60000),
               b"PROXY TCP6 2001:db8::1 ::1 1004 5672\r\n"]
    clients = [Connection(t, daemon, header).open() for header in headers]
    names = ["192.0.2.1:1001", "192.0.2.2:1002", "192.0.2.3:1003", "[2001:db8::1]:1004"]
    equal(opened(daemon, 4), names, "the peers")
    listed = subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + control, "-q",
                             "list_connections", "name", "peer_host", "peer_port", "host"],
                            stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True).stdout
    for text in ("192.0.2.1:1001 -> 198.51.100.7:5672", "192.0.2.2\t1002\t198.51.100.7", "2001:db8::1\t1004\t::1"):
        check(text in listed, "%r is not in %s" % (text, listed))
    for client in clients:
        client.channel()
        client.queue()
        client.close()
    equal(daemon.stop(), 0, "status")


@case("a header in single bytes, with the first ones of the client behind it")
def _(t):
    daemon = serve(t)
    for header in (line(), binary(more=b"\4\0\4more"), LOCAL, b"PROXY UNKNOWN\r\n"):
        sock = dial(t, daemon)
        for at in range(len(header)):
            sock.sendall(header[at:at + 1])
            time.sleep(0.001)
        sock.sendall(amqp.PROTOCOL_HEADER)
        equal(sock.recv(7)[:3], b"\x01\x00\x00", "the beginning of connection.start")
        sock.close()
    sock = dial(t, daemon, binary() + amqp.PROTOCOL_HEADER)
    equal(sock.recv(7)[:3], b"\x01\x00\x00", "the same in one piece")


@case("who speaks for itself, or of what has no address, is who it is")
def _(t):
    daemon = serve(t)
    peers = []
    for header in (LOCAL, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\0\0\0"):
        client = Connection(t, daemon, header)
        peers.append("127.0.0.1:%d" % client.sock.getsockname()[1])
        client.open().close()
    equal(opened(daemon, 3), peers, "the peers")


@case("headers that are wrong, missing or cut are refused, and nobody answers them")
def _(t):
    daemon = serve(t)
    for header, why in ((amqp.PROTOCOL_HEADER, "there is none"),
                        (b"PROXY TCP4 192.0.2.1\r\n", "its addresses make no sense"),
                        (b"PROXY " + b"x" * 200, "its line is too long"),
                        (SIGNATURE + b"\x31\0\0\0", "it has another version"),
                        (SIGNATURE + b"\x21\x11\0\4abcd", "its addresses are missing")):
        equal(ends(dial(t, daemon, header)), b"", "the answer to %r" % header)
        daemon.says('proxy_refused peer=127.0.0.1:')
        daemon.says('reason="%s"' % why)
    sock = dial(t, daemon, SIGNATURE[:5])
    sock.shutdown(socket.SHUT_WR)
    equal(ends(sock), b"", "the answer to the half of one")
    daemon.says('reason="it ends in the middle of the header"')
    count = daemon.log().count("proxy_refused")
    dial(t, daemon).close()
    Connection(t, daemon, LOCAL).open().close()
    equal(daemon.log().count("proxy_refused"), count, "refusals; who goes without a word is none")
    equal(daemon.stop(), 0, "status")


@case("a header that does not come in time, and one that is on its way when the daemon stops")
def _(t):
    daemon = serve(t, "ssl_handshake_timeout=500")
    silent, half = dial(t, daemon), dial(t, daemon, binary()[:14])
    for sock in (silent, half):
        equal(ends(sock), b"", "the answer")
    daemon.says('reason="it has not come in time"', 2)
    client = Connection(t, daemon, LOCAL).open()
    dial(t, daemon, b"PROXY ")
    time.sleep(0.6)
    client.channel()
    client.close()
    dial(t, daemon, b"PROXY ")
    begun = time.monotonic()
    equal(daemon.stop(), 0, "status")
    check(time.monotonic() - begun < 3, "it waited for a header")


@case("guest is from this machine only if who says so is")
def _(t):
    daemon = serve(t)
    Connection(t, daemon, line("127.0.0.1")).open().close()
    for header in (line(), binary()):
        client = Connection(t, daemon, header)
        client.begin()
        client.login()
        equal(client.expect(0, "connection.close").reply_code, 403, "the answer to guest from afar")
    daemon.says("user 'guest' can only connect via localhost")
    try:
        probe = socket.create_server((machine(), 0))
        probe.close()
    except OSError:
        return
    daemon = serve(t, listen=machine() + ":0")
    client = Connection(t, daemon, line("127.0.0.1"))
    client.begin()
    client.login()
    equal(client.expect(0, "connection.close").reply_code, 403, "the answer to what anybody can say")


def machine():
    """An address of this machine that is not its loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "192.0.2.1"
        return sock.getsockname()[0]


@case("only who is trusted has a header")
def _(t):
    daemon = serve(t, "leveret.proxy_trusted.1=192.0.2.0/24", "leveret.proxy_trusted.2=127.0.0.2")
    direct = amqp.Connection(daemon.amqp)
    t.cleanup(direct.abort)
    direct.open().close()
    equal(ends(dial(t, daemon, line()))[:4], b"AMQP", "the answer to who is not")
    host, port = daemon.amqp.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), PATIENCE, ("127.0.0.2", 0))
    t.cleanup(sock.close)
    sock.sendall(line() + amqp.PROTOCOL_HEADER)
    equal(sock.recv(7)[:3], b"\x01\x00\x00", "the answer to who is")


@case("TLS behind a header, and who has it")
def _(t):
    certificates()
    daemon = Daemon(t, "--data-dir", folder(t), "--listen-tls", "127.0.0.1:0", "--tls-cert", path("chain.pem"),
                    "--tls-key", path("server.key"), "--set", "proxy_protocol=true", "--guest-anywhere",
                    "--log-level", "debug").ready()
    daemon.amqp = SECURE.search(daemon.log()).group(1)
    for number, header in enumerate((line(), binary())):
        client = Connection(t, daemon, header)
        client.sock = trust().wrap_socket(client.sock, server_hostname="127.0.0.1")
        client.open()
        client.channel()
        client.queue()
        client.close()
        equal(opened(daemon, number + 1)[number], "192.0.2.1:40112", "the peer")
    check("tls_established peer=192.0.2.1:40112" in daemon.log(), "the log of TLS has another peer")
    sock = dial(t, daemon)
    try:
        trust().wrap_socket(sock, server_hostname="127.0.0.1")
        raise AssertionError("TLS without a header was taken")
    except (ssl.SSLError, ConnectionError):
        pass


@case("the API and metrics, for whom a proxy speaks")
def _(t):
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--management", "127.0.0.1:0",
                    "--metrics", "127.0.0.1:0", "--control-socket", "none",
                    "--set", "leveret.management.proxy_protocol=true",
                    "--set", "leveret.prometheus.proxy_protocol=true", quiet=False).ready()
    api = re.search(r"address=(\S+) protocol=http$", daemon.log(), re.M).group(1)
    metrics = re.search(r"address=(\S+) protocol=http/prometheus$", daemon.log(), re.M).group(1)

    def ask(address, header, target):
        sock = dial(t, daemon, header, address)
        sock.sendall(b"GET %s HTTP/1.0\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n" % target)
        return ends(sock)
    equal(ask(api, LOCAL, b"/api/whoami").split()[1], b"200", "guest from this machine")
    equal(ask(api, line("127.0.0.1"), b"/api/whoami").split()[1], b"200", "of whom the proxy of this machine says it")
    equal(ask(api, line(), b"/api/whoami").split()[1], b"401", "guest from afar")
    equal(ask(api, b"", b"/api/whoami"), b"", "without a header")
    check(b"leveret_build_info" in ask(metrics, binary(), b"/metrics"), "metrics")
    equal(ask(metrics, b"", b"/metrics"), b"", "metrics without a header")
    equal(daemon.client(t).close() is None and daemon.stop(), 0, "clients have none, and it stops")


@case("Debian's haproxy in front, by both versions, with health checks")
def _(t):
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not os.access(program, os.X_OK):
        raise Skip("haproxy is not installed")
    for word in ("send-proxy", "send-proxy-v2"):
        daemon = serve(t, "leveret.proxy_trusted.1=127.0.0.1/32")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        place = folder(t)
        file = os.path.join(place, "haproxy.cfg")
        with open(file, "w", encoding="ascii") as out:
            out.write("""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clients
    bind 127.0.0.1:%d
    default_backend brokers
backend brokers
    server one %s %s check inter 100ms
""" % (port, daemon.amqp, word))
        proxy = subprocess.Popen([program, "-db", "-f", file], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        t.cleanup(proxy.wait)
        t.cleanup(proxy.kill)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                break
            except OSError:
                check(time.monotonic() < deadline, "haproxy does not listen")
                time.sleep(0.05)
        client = amqp.Connection("127.0.0.1:%d" % port)
        t.cleanup(client.abort)
        name = "127.0.0.1:%d" % client.sock.getsockname()[1]
        client.open()
        client.channel()
        queue = client.queue()
        client.publish(1, queue, b"x" * 100000)
        equal(client.get(queue).body, b"x" * 100000, "a message")
        time.sleep(0.5)
        client.close()
        check(name in opened(daemon), "%s is not among %r" % (name, opened(daemon)))
        check("proxy_refused" not in daemon.log(), "health checks are taken for faults: " + daemon.log())
        equal(daemon.stop(), 0, "status")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""The daemon's TLS listener: options, handshakes that end well or not, much data, closing.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Certificates are
made by openssl for the run.  Output is TAP.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from certificates import authority, ca, certificates, certify, issue, openssl, path, revocations, trust  # noqa: E402
from service import PATIENCE, PROGRAM, Daemon, folder, run  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

LISTENING = re.compile(r"listening address=(\S+) tls=true$", re.M)
OWN = ("--tls-cert", path("chain.pem"), "--tls-key", path("server.key"))
RENEWALS = 20
VERIFY = ("--tls-verify-peer", "--tls-ca", path("authority.pem"))


def serve(t, *arguments, own=OWN):
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--listen-tls",
                    "127.0.0.1:0", "--log-level", "debug", *own, *arguments).ready()
    daemon.tls = LISTENING.search(daemon.log()).group(1)
    return daemon


class Connection(amqp.Connection):
    def __init__(self, t, daemon, context=None):
        super().__init__(daemon.tls)
        t.cleanup(self.abort)
        self.sock = (context or trust()).wrap_socket(self.sock, server_hostname="127.0.0.1")


def client(t, daemon, context=None):
    c = Connection(t, daemon, context).open()
    c.channel()
    return c


def dial(t, daemon):
    """A socket at the TLS port on which nothing has been said."""
    host, port = daemon.tls.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), PATIENCE)
    t.cleanup(sock.close)
    return sock


def ends(sock):
    """Reads until the socket is closed, in whatever way; false: it never is."""
    try:
        while sock.recv(65536):
            pass
    except socket.timeout:
        return False
    except (ConnectionResetError, ssl.SSLError):
        pass
    return True


def still_serves(t, daemon):
    c = client(t, daemon)
    c.queue()
    c.close()


def logs(daemon, text):
    daemon.says(text)


class Pieces:
    """A client's TLS whose bytes the case carries to the socket itself."""

    def __init__(self, t, daemon, context=None):
        self.sock = dial(t, daemon)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trust()).wrap_bio(self.incoming, self.outgoing,
                                                 server_hostname="127.0.0.1")

    def greet(self, carry):
        """The handshake; `carry` is given what is to be sent."""
        while True:
            try:
                self.tls.do_handshake()
                carry(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                carry(self.outgoing.read())
                self.incoming.write(self.sock.recv(65536))

    def encrypt(self, *texts):
        """A record for each."""
        for text in texts:
            self.tls.write(text)
        return self.outgoing.read()

    def read(self, count):
        out = b""
        while len(out) < count:
            try:
                out += self.tls.read(count - len(out))
            except ssl.SSLWantReadError:
                self.incoming.write(self.sock.recv(65536))
        return out


# ---- options

@case("options that cannot be meant, and files that are no good")
def _(t):
    listen = ("--listen-tls", "127.0.0.1:0")
    nowhere = os.path.join(folder(t), "nowhere")
    for arguments, text in (
            (listen, "--listen-tls needs --tls-cert FILE and --tls-key FILE"),
            (listen + OWN[:2], "--listen-tls needs --tls-cert FILE and --tls-key FILE"),
            (OWN, "options for TLS need --listen-tls"),
            (("--tls-verify-peer",), "options for TLS need --listen-tls"),
            (listen + OWN + ("--tls-crl", nowhere),
             "--tls-crl is for --tls-verify-peer, which is missing"),
            (listen + OWN + VERIFY + ("--tls-crl", nowhere),
             "no lists of revoked certificates can be read from %s: No such file" % nowhere),
            (listen + OWN + VERIFY + ("--tls-crl", path("chain.pem")),
             "no lists of revoked certificates can be read from"),
            (listen + OWN + VERIFY[:1], "--tls-verify-peer needs --tls-ca FILE"),
            (listen + OWN + ("--tls-peer-optional",),
             "--tls-peer-optional is for --tls-verify-peer, which is missing"),
            (listen + OWN + VERIFY[1:], "--tls-ca is for --tls-verify-peer, which is missing"),
            (("--listen-tls", "::1:1") + OWN, "--listen-tls must be [HOST:]PORT, at most 64 times, and "
             "not '::1:1': an IPv6 address needs brackets"),
            (listen + ("--tls-cert", nowhere) + OWN[2:],
             "no certificate can be read from %s: No such file or directory" % nowhere),
            (listen + ("--tls-cert", path("server.key")) + OWN[2:],
             "no certificate can be read from"),
            (listen + OWN[:2] + ("--tls-key", nowhere),
             "no private key without a passphrase can be read from %s: No such file" % nowhere),
            (listen + OWN[:2] + ("--tls-key", path("locked.key")),
             "no private key without a passphrase can be read from"),
            (listen + OWN[:2] + ("--tls-key", path("client.key")),
             "the key in %s does not belong to the certificate in" % path("client.key")),
            (listen + OWN + ("--tls-verify-peer", "--tls-ca", nowhere),
             "no certificates of authorities can be read from %s: No such file" % nowhere),
            (listen + OWN + ("--tls-verify-peer", "--tls-ca", path("server.key")),
             "no certificates of authorities can be read from")):
        data = os.path.join(folder(t), "data")
        status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0", *arguments)
        equal(status, 2 if text.startswith(("--", "options")) else 1, "status for %r" % (arguments,))
        check(('leveretd: ' if status == 2 else 'cannot_start reason="') + text in log, "for %r it said %r" % (arguments, log))
        check(not os.path.exists(data), "it made a data folder")
    status, _, log = run("--tls-min-version", "1.1")
    equal(status, 2, "status")
    check("--tls-min-version must be 1.2 or 1.3" in log, "it said %r" % log)


@case("with --listen-tls alone, nobody is listened to without it")
def _(t):
    daemon = Daemon(t, "--data-dir", folder(t), "--listen-tls", "127.0.0.1:0", *OWN).ready()
    equal(daemon.log().count("listening address="), 1, "listeners")
    daemon.tls = LISTENING.search(daemon.log()).group(1)
    client(t, daemon).close()


# ---- handshakes

@case("a conversation, with each version of TLS")
def _(t):
    daemon = serve(t)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trust()
        context.minimum_version = context.maximum_version = version
        c = client(t, daemon, context)
        q = c.queue(exclusive=True)
        c.call(1, "confirm.select")
        c.publish(1, q, b"hello", delivery_mode=2)
        c.expect(1, "basic.ack")
        equal(c.get(q).body, b"hello", "the message")
        c.close()
    logs(daemon, "version=TLSv1.2 cipher=")
    logs(daemon, "version=TLSv1.3 cipher=")
    equal(daemon.stop(), 0, "status")


@case("--tls-min-version 1.3 refuses older ones")
def _(t):
    daemon = serve(t, "--tls-min-version", "1.3")
    context = trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        client(t, daemon, context)
        raise AssertionError("it was let in")
    except ssl.SSLError as error:
        check("PROTOCOL_VERSION" in str(error), str(error))
    logs(daemon, "tls_failed peer=")
    client(t, daemon).close()


@case("client certificates: required, of the right authority, and then enough")
def _(t):
    daemon = serve(t, *VERIFY)
    for certificate in (None, "stranger"):
        try:
            client(t, daemon, trust(certificate))
            raise AssertionError("%s was let in" % certificate)
        except (ssl.SSLError, amqp.ConnectionGone, ConnectionError):
            pass
    logs(daemon, 'reason="peer did not return a certificate"')
    logs(daemon, 'reason="certificate verify failed: self-signed certificate"')
    c = client(t, daemon, trust("client"))
    c.queue()
    c.close()


@case("client certificates: asked for, but not required")
def _(t):
    daemon = serve(t, *VERIFY, "--tls-peer-optional")
    try:
        client(t, daemon, trust("stranger"))
        raise AssertionError("a stranger was let in")
    except (ssl.SSLError, amqp.ConnectionGone, ConnectionError):
        pass
    logs(daemon, 'reason="certificate verify failed: self-signed certificate"')
    for certificate in (None, "client"):
        c = client(t, daemon, trust(certificate))
        c.queue()
        c.close()


@case("a session that is resumed")
def _(t):
    for arguments, certificate in (((), None), (VERIFY, "client")):
        daemon = serve(t, *arguments)
        context = trust(certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        c = client(t, daemon, context)
        session = c.sock.session
        c.close()
        sock = context.wrap_socket(dial(t, daemon), server_hostname="127.0.0.1", session=session)
        check(sock.session_reused, "it was not")
        sock.sendall(amqp.PROTOCOL_HEADER)
        equal(sock.recv(1), b"\x01", "the answer")
        sock.close()


@case("a handshake that stalls is ended in time")
def _(t):
    daemon = serve(t, "--handshake-ms", "500")
    silent, half, done = dial(t, daemon), Pieces(t, daemon), Pieces(t, daemon)
    try:
        half.tls.do_handshake()
    except ssl.SSLWantReadError:
        half.sock.sendall(half.outgoing.read()[:100])
    done.greet(done.sock.sendall)
    for what, sock in (("silence", silent), ("half a hello", half.sock), ("no AMQP", done.sock)):
        check(ends(sock), "%s was borne" % what)
    logs(daemon, 'reason="handshake timeout"')
    still_serves(t, daemon)


@case("ssl_handshake_timeout ends what is stalled before TLS is agreed on, and nothing later")
def _(t):
    daemon = serve(t, "--handshake-ms", "60000", "--set", "ssl_handshake_timeout=500")
    done, silent, half = Pieces(t, daemon), dial(t, daemon), Pieces(t, daemon)
    done.greet(done.sock.sendall)
    try:
        half.tls.do_handshake()
    except ssl.SSLWantReadError:
        half.sock.sendall(half.outgoing.read()[:100])
    for what, sock in (("silence", silent), ("half a hello", half.sock)):
        check(ends(sock), "%s was borne" % what)
    logs(daemon, 'warning tls_failed peer=')
    logs(daemon, 'reason="timeout of the handshake"')
    time.sleep(0.6)
    done.sock.sendall(done.encrypt(amqp.PROTOCOL_HEADER))
    equal(done.read(1), b"\x01", "the answer to who has agreed on TLS in time")
    still_serves(t, daemon)


@case("a handshake in single bytes, and frames in records of their own bytes")
def _(t):
    daemon = serve(t)
    peer = Pieces(t, daemon)

    def carry(data):
        for at in range(len(data)):
            peer.sock.sendall(data[at:at + 1])
            if at % 16 == 0:
                time.sleep(0.001)
    peer.greet(carry)
    carry(peer.encrypt(*(amqp.PROTOCOL_HEADER[at:at + 1] for at in range(8))))
    equal(peer.read(7)[:3], b"\x01\x00\x00", "the beginning of connection.start")


@case("many handshakes at once")
def _(t):
    daemon = serve(t)
    peers = [Pieces(t, daemon) for _ in range(100)]
    for peer in peers:
        try:
            peer.tls.do_handshake()
        except ssl.SSLWantReadError:
            peer.sock.sendall(peer.outgoing.read())
    for peer in peers:
        peer.greet(lambda data, peer=peer: data and peer.sock.sendall(data))
        peer.sock.sendall(peer.encrypt(amqp.PROTOCOL_HEADER))
    for peer in peers:
        equal(peer.read(1), b"\x01", "the answer")
    equal(daemon.stop(), 0, "status")


@case("who does not speak TLS is told off by the log, and who does at the plain port, too")
def _(t):
    daemon = serve(t, "--handshake-ms", "3600000")
    for words in (amqp.PROTOCOL_HEADER, b"GET / HTTP/1.1\r\n\r\n", b"\x80" * 100, b"\0" * 1000):
        sock = dial(t, daemon)
        sock.sendall(words)
        check(ends(sock), "%r was borne" % words)
    logs(daemon, 'reason="wrong version number: the peer does not speak TLS"')
    host, port = daemon.addresses()[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), PATIENCE) as sock:
        try:
            trust().wrap_socket(sock, server_hostname="127.0.0.1")
            raise AssertionError("the plain port speaks TLS")
        except ssl.SSLError as error:
            check("WRONG_VERSION_NUMBER" in str(error), str(error))
    still_serves(t, daemon)


@case("damage on the way ends the connection")
def _(t):
    daemon = serve(t, "--handshake-ms", "3600000")
    peer = Pieces(t, daemon)
    peer.greet(peer.sock.sendall)
    peer.sock.sendall(peer.encrypt(amqp.PROTOCOL_HEADER))
    peer.read(7)
    record = bytearray(peer.encrypt(b"x" * 100))
    record[50] ^= 1
    peer.sock.sendall(record)
    check(ends(peer.sock), "it was borne")
    logs(daemon, 'tls_failed peer=')
    still_serves(t, daemon)


def s_client(t, daemon, talk, *arguments):
    """What openssl's client prints; `talk` has lines for it, and what it prints before the next."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", daemon.tls, *arguments],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    t.cleanup(process.kill)
    out = b""

    def read_until(word, seen):
        nonlocal out
        while word not in out[seen:]:
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                break
            out += part
    if talk:
        read_until(b"Verify return code", 0)
    for line, answer in talk:
        seen = len(out)
        process.stdin.write(line)
        process.stdin.flush()
        read_until(answer, seen)
    return out + process.communicate(timeout=PATIENCE)[0]


@case("old versions are refused in any case")
def _(t):
    daemon = serve(t)
    out = s_client(t, daemon, [], "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    check(b"alert protocol version" in out, "it said %r" % out[-300:])
    still_serves(t, daemon)


@case("keys may be changed")
def _(t):
    daemon = serve(t)
    out = s_client(t, daemon, [(b"K\n", b"KEYUPDATE"), (b"k\n", b"KEYUPDATE"),
                               (amqp.PROTOCOL_HEADER, b"capabilities"), (b"K\n", b"KEYUPDATE")],
                   "-tls1_3")
    check(out.count(b"KEYUPDATE") == 3 and b"capabilities" in out, "it said %r" % out[-300:])
    still_serves(t, daemon)


@case("nobody renegotiates")
def _(t):
    daemon = serve(t)
    out = s_client(t, daemon, [(b"R\n", b"no renegotiation")], "-tls1_2")
    check(b"no renegotiation" in out, "it said %r" % out[-300:])
    still_serves(t, daemon)


# ---- data

@case("large bodies, both ways")
def _(t):
    daemon = serve(t)
    c = client(t, daemon)
    q = c.queue()
    c.consume(q, no_ack=True)
    bodies = [os.urandom(5 << 20) for _ in range(3)]
    for body in bodies:
        c.publish(1, q, body)
    for body in bodies:
        check(c.expect(1, "basic.deliver").body == body, "it is not what was sent")
    c.close()


@case("many small messages, in order")
def _(t):
    daemon = serve(t)
    count = 30000
    c = client(t, daemon)
    q = c.queue()
    one = amqp.frame_bytes(amqp.FRAME_METHOD, 1, amqp.method_bytes("basic.publish", routing_key=q))
    c.send_raw(b"".join(one + c.content(1, b"%d" % number) for number in range(count)))
    c.consume(q, no_ack=True)
    for number in range(count):
        equal(c.expect(1, "basic.deliver").body, b"%d" % number, "a body")
    c.close()


@case("a peer that reads late gets everything")
def _(t):
    daemon = serve(t)
    c = client(t, daemon)
    q = c.queue()
    bodies = [bytes([number]) * (1 << 20) for number in range(16)]
    small = [b"%d" % number for number in range(5000)]
    c.consume(q, no_ack=True)
    other = client(t, daemon)
    for body in bodies:
        c.publish(1, q, body)
    time.sleep(0.5)
    still_serves(t, daemon)
    for body in bodies:
        check(c.expect(1, "basic.deliver").body == body, "it is not what was sent")
    for body in small:
        c.publish(1, q, body)
    time.sleep(0.5)
    for body in small:
        equal(c.expect(1, "basic.deliver").body, body, "a body")
    other.close()
    c.close()


@case("what an alarm kept from being read is read after it")
def _(t):
    daemon = serve(t, "--memory-limit", "3000000")
    publisher, reader = client(t, daemon), client(t, daemon)
    reader.call(1, "queue.declare", queue="q")
    body, count = b"x" * 100000, 100
    publisher.sock.setblocking(False)
    data = b""
    for number in range(count):
        data += amqp.frame_bytes(amqp.FRAME_METHOD, 1, amqp.method_bytes(
            "basic.publish", routing_key="q")) + publisher.content(1, b"%03d" % number + body)
    sent = 0

    def push():
        nonlocal sent
        try:
            while sent < len(data):
                sent += publisher.sock.send(data[sent:sent + 65536])
        except (ssl.SSLWantWriteError, BlockingIOError):
            pass
    push()
    time.sleep(0.5)
    push()
    reader.consume("q", no_ack=True)
    for number in range(count):
        push()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                event = reader.recv(1, timeout=0.05)
                break
            except amqp.Silence:
                push()
                check(time.monotonic() < deadline, "message %d did not come" % number)
        equal((event.name, event.body[:3]), ("basic.deliver", b"%03d" % number), "message")


# ---- ends

@case("the end is said by TLS, too")
def _(t):
    daemon = serve(t)
    c = Connection(t, daemon, trust())
    c.sock.suppress_ragged_eofs = False
    c.open()
    c.send(0, "connection.close", reply_code=200, reply_text="bye")
    c.expect(0, "connection.close-ok")
    equal(c.sock.recv(10), b"", "what follows close-ok")
    c.abort()


@case("a peer that closes its half is answered, and let go")
def _(t):
    daemon = serve(t)
    c = client(t, daemon)
    c.sock.settimeout(PATIENCE)
    c.sock.unwrap().close()
    logs(daemon, 'reason="the socket ended without connection.close"')
    c = client(t, daemon)
    socket.socket(fileno=os.dup(c.sock.fileno())).shutdown(socket.SHUT_WR)
    check(ends(c.sock), "it stayed open")
    still_serves(t, daemon)


@case("what was sent before the end counts")
def _(t):
    daemon = serve(t)
    other = client(t, daemon)
    other.call(1, "queue.declare", queue="q")
    c = client(t, daemon)
    for _ in range(100):
        c.publish(1, "q", b"x" * 10000)
    c.sock.unwrap()
    deadline = time.monotonic() + PATIENCE
    while other.count("q")[0] < 100 and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(other.count("q")[0], 100, "messages")


@case("SIGTERM says goodbye through TLS, and does not wait for handshakes")
def _(t):
    daemon = serve(t)
    c = client(t, daemon)
    half = Pieces(t, daemon)
    try:
        half.tls.do_handshake()
    except ssl.SSLWantReadError:
        half.sock.sendall(half.outgoing.read()[:100])
    daemon.process.send_signal(signal.SIGTERM)
    equal(c.expect(0, "connection.close").reply_code, 320, "code")
    c.send(0, "connection.close-ok")
    check(c.at_end(), "the socket stayed open")
    c.abort()
    ends(half.sock)
    half.sock.close()
    equal(daemon.process.wait(4), 0, "status")


@case("SIGHUP: new certificates for who comes, and none that are no good")
def _(t):
    shutil.copy(path("chain.pem"), path("live.pem"))
    shutil.copy(path("server.key"), path("live.key"))
    daemon = serve(t, own=("--tls-cert", path("live.pem"), "--tls-key", path("live.key")))
    old = client(t, daemon)
    shutil.copy(path("stranger.pem"), path("live.pem"))
    daemon.process.send_signal(signal.SIGHUP)
    logs(daemon, 'error tls_not_reloaded reason="the key in')
    client(t, daemon).close()
    shutil.copy(path("stranger.key"), path("live.key"))
    daemon.process.send_signal(signal.SIGHUP)
    logs(daemon, "info tls_reloaded")
    try:
        client(t, daemon)
        raise AssertionError("the old certificate is still there")
    except ssl.SSLCertVerificationError:
        pass
    client(t, daemon, trust(authority="stranger")).close()
    old.queue()
    old.close()
    equal(daemon.stop(), 0, "status")


def keys(t, *settings, plain="listeners.tcp = none", arguments=()):
    """A daemon that has its TLS from a configuration, whose file is `daemon.file`."""
    text = "".join(line + "\n" for line in (
        plain, "listeners.ssl.default = 127.0.0.1:0",
        "ssl_options.certfile = " + path("chain.pem"), "ssl_options.keyfile = " + path("server.key"),
        *settings))
    file = os.path.join(folder(t), "leveret.conf")
    with open(file, "w", encoding="ascii") as out:
        out.write(text)
    daemon = Daemon(t, "--config", file, "--data-dir", folder(t), "--log-level", "debug", *arguments).ready()
    daemon.tls, daemon.file = LISTENING.search(daemon.log()).group(1), file
    return daemon


def refused(t, daemon, context):
    try:
        client(t, daemon, context)
        raise AssertionError("it was let in")
    except (ssl.SSLError, amqp.ConnectionGone, ConnectionError):
        pass


@case("keys of the configuration: a key with a passphrase")
def _(t):
    daemon = keys(t, "ssl_options.keyfile = " + path("locked.key"), "ssl_options.password = x")
    client(t, daemon).close()
    for password, why in (("y", "no private key with that passphrase"), (None, "without a passphrase")):
        lines = ["ssl_options.password = y"] if password else []
        try:
            keys(t, "ssl_options.keyfile = " + path("locked.key"), *lines)
            raise AssertionError("it started")
        except AssertionError as error:
            check(why in str(error), error)


@case("keys of the configuration: ciphers and versions, and another set of them at SIGHUP")
def _(t):
    daemon = keys(t, "ssl_options.ciphers.1 = ECDHE-ECDSA-AES256-GCM-SHA384")
    c = client(t, daemon)
    equal(c.sock.cipher()[:2], ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2"), "the only one")
    c.close()
    with open(daemon.file, "a", encoding="ascii") as out:
        out.write("ssl_options.ciphers.1 = TLS_CHACHA20_POLY1305_SHA256\nssl_options.versions.1 = tlsv1.3\n")
    daemon.process.send_signal(signal.SIGHUP)
    logs(daemon, "config_reloaded changed=2")
    c = client(t, daemon)
    equal(c.sock.cipher()[:2], ("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3"), "the only one then")
    c.close()
    with open(daemon.file, "a", encoding="ascii") as out:
        out.write("ssl_options.ciphers.2 = NO-SUCH-CIPHER\n")
    daemon.process.send_signal(signal.SIGHUP)
    logs(daemon, "config_not_reloaded reason=\"OpenSSL has no cipher NO-SUCH-CIPHER")
    client(t, daemon).close()
    old = trust()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    refused(t, daemon, old)
    daemon = keys(t, "ssl_options.versions.1 = tlsv1.2")
    c = client(t, daemon)
    equal(c.sock.version(), "TLSv1.2", "a version alone")
    new = trust()
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    refused(t, daemon, new)


@case("keys of the configuration: parameters of DHE")
def _(t):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=old", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", path("old.key"), "-out", path("old.pem"))
    openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", path("dh.pem"))
    old = ("ssl_options.certfile = " + path("old.pem"), "ssl_options.keyfile = " + path("old.key"))
    context = trust(authority="old")
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    daemon = keys(t, *old, "ssl_options.dhfile = " + path("dh.pem"))
    c = client(t, daemon, context)
    equal(c.sock.cipher()[0], "DHE-RSA-AES128-GCM-SHA256", "cipher")
    c.close()
    for weak in "ECDHE-RSA-AES128-SHA256", "AES256-GCM-SHA384":  # without AEAD, without forward secrecy
        context.set_ciphers(weak)
        refused(t, daemon, context)
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256")
    refused(t, keys(t, *old), context)
    try:
        keys(t, *old, "ssl_options.dhfile = " + path("old.pem"))
        raise AssertionError("it started")
    except AssertionError as error:
        check("no parameters of DHE can be read from" in str(error), error)


@case("keys of the configuration: certificates of clients")
def _(t):
    authorities = "ssl_options.cacertfile = " + path("authority.pem")
    daemon = keys(t, authorities)
    client(t, daemon, trust("stranger")).close()
    daemon = keys(t, authorities, "ssl_options.verify = verify_peer")
    client(t, daemon).close()
    refused(t, daemon, trust("stranger"))
    daemon = keys(t, authorities, "ssl_options.verify = verify_peer",
                  "ssl_options.fail_if_no_peer_cert = true", "ssl_options.depth = 0")
    client(t, daemon, trust("client")).close()
    refused(t, daemon, None)


COLUMNS = ("ssl", "ssl_protocol", "ssl_key_exchange", "ssl_cipher", "ssl_hash", "peer_cert_subject",
           "peer_cert_issuer", "peer_cert_validity")


@case("what the handshake has come to, as list_connections tells it")
def _(t):
    control = os.path.join(folder(t), "ctl.sock")
    spoken = ("TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
              "ECDHE-ECDSA-AES128-SHA256")
    daemon = keys(t, "ssl_options.cacertfile = " + path("authority.pem"), "ssl_options.verify = verify_peer",
                  *("ssl_options.ciphers.%d = %s" % pair for pair in enumerate(spoken)),
                  plain="listeners.tcp.default = 127.0.0.1:0", arguments=("--control-socket", control))

    def told():
        out = subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + control, "-q",
                              "list_connections", "--formatter", "json", *COLUMNS], stdout=subprocess.PIPE, text=True,
                             timeout=PATIENCE, check=True).stdout
        return [[one[column] for column in COLUMNS] for one in json.loads(out)]
    c = client(t, daemon, trust("client"))
    dates = subprocess.run(["openssl", "x509", "-in", path("client.pem"), "-noout", "-startdate", "-enddate"],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    first, last = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ssl.cert_time_to_seconds(line.split("=")[1])))
                   for line in dates.splitlines())
    equal(told(), [[True, "tlsv1.3", "any", "aes_256_gcm", "aead", "CN=client", "CN=authority",
                    first + " - " + last]], "with a certificate")
    c.close()
    for cipher, tells in (("ECDHE-ECDSA-AES256-GCM-SHA384", ["ecdhe_ecdsa", "aes_256_gcm", "aead"]),
                          ("ECDHE-ECDSA-CHACHA20-POLY1305", ["ecdhe_ecdsa", "chacha20_poly1305", "aead"]),
                          ("ECDHE-ECDSA-AES128-SHA256", ["ecdhe_ecdsa", "aes_128_cbc", "sha256"])):
        old = trust()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers(cipher)
        c = client(t, daemon, old)
        equal([one[:5] for one in told()], [[True, "tlsv1.2", *tells]], cipher)
        check(not any(told()[0][5:]), "of no certificate it tells %s" % told())
        c.close()
    c = daemon.client(t)
    check(not any(told()[0]), "without TLS it tells %s" % told())
    c.close()
    equal(daemon.stop(), 0, "status")


@case("SIGHUP under load: certificates are renewed again and again, and no connection is dropped")
def _(t):
    for name in ("chain.pem", "server.key"):
        shutil.copy(path(name), path("renewed." + name[-3:]))
    certify("renewal", "authority")
    own = {"server": ("chain.pem", "server.key"), "renewal": ("renewal.pem", "renewal.key")}
    daemon = serve(t, own=("--tls-cert", path("renewed.pem"), "--tls-key", path("renewed.key")))
    clients = [client(t, daemon) for _ in range(4)]
    queues = [c.queue() for c in clients]
    for c in clients:
        c.call(1, "confirm.select")
    for turn in range(RENEWALS):
        name = ("renewal", "server")[turn % 2]
        for number, q in enumerate(queues):
            for at in range(50):
                clients[number].publish(1, q, b"%d" % (turn * 50 + at) + 2000 * b"x")
        for file, live in zip(own[name], ("renewed.pem", "renewed.key")):
            shutil.copy(path(file), path(live))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.says("info tls_reloaded", turn + 1)
        comer = Connection(t, daemon)
        shown = comer.sock.getpeercert()["subject"][0][0][1]
        equal(shown, name, "whose certificate who comes is shown")
        comer.open().close()
    for c, q in zip(clients, queues):
        confirmed = 0
        while confirmed < 50 * RENEWALS:
            ack = c.expect(1, "basic.ack")
            confirmed = ack.delivery_tag if ack.multiple else confirmed + 1
        for number in range(50 * RENEWALS):
            check(c.get(q).body.startswith(b"%dx" % number), "message %d is another one" % number)
        c.close()
    check(" connection_lost " not in daemon.log() and "tls_failed" not in daemon.log(), "one was lost")
    equal(daemon.stop(), 0, "status")


@case("certificates that were revoked, that have expired, and lists of them that are no good")
def _(t):
    authority("registry")
    issue("registry", "good")
    issue("registry", "bad")
    issue("registry", "old", "-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
    revocations("registry", "none.crl")
    ca("registry", "-revoke", path("bad.pem"))
    revocations("registry", "bad.crl")
    revocations("registry", "old.crl", "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z")
    shutil.copy(path("none.crl"), path("live.crl"))
    daemon = keys(t, "ssl_options.cacertfile = " + path("registry.pem"), "ssl_options.verify = verify_peer",
                  "ssl_options.fail_if_no_peer_cert = true", "leveret.ssl_options.crlfile = " + path("live.crl"))
    bad = trust("bad")
    bad.maximum_version = ssl.TLSVersion.TLSv1_2
    old = client(t, daemon, bad)
    session = old.sock.session
    client(t, daemon, trust("good")).close()
    refused(t, daemon, trust("old"))
    logs(daemon, 'reason="certificate verify failed: certificate has expired"')
    shutil.copy(path("bad.crl"), path("live.crl"))
    daemon.process.send_signal(signal.SIGHUP)
    logs(daemon, "info tls_reloaded")
    refused(t, daemon, bad)
    logs(daemon, 'reason="certificate verify failed: certificate revoked"')
    try:
        bad.wrap_socket(dial(t, daemon), server_hostname="127.0.0.1", session=session)
        raise AssertionError("a session from before has let it in")
    except (ssl.SSLError, ConnectionError):
        pass
    client(t, daemon, trust("good")).close()
    old.queue()
    shutil.copy(path("old.crl"), path("live.crl"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("info tls_reloaded", 2)
    refused(t, daemon, trust("good"))
    logs(daemon, 'reason="certificate verify failed: CRL has expired"')
    shutil.copy(path("chain.pem"), path("live.crl"))
    daemon.process.send_signal(signal.SIGHUP)
    logs(daemon, "no lists of revoked certificates can be read from " + path("live.crl"))
    daemon = keys(t, "ssl_options.cacertfile = " + path("authority.pem"), "ssl_options.verify = verify_peer",
                  "leveret.ssl_options.crlfile = " + path("bad.crl"))
    refused(t, daemon, trust("client"))
    logs(daemon, 'reason="certificate verify failed: unable to get certificate CRL"')
    client(t, daemon).close()


# ---- who shows a certificate is a user

EXTERNAL = ("auth_mechanisms.1 = PLAIN", "auth_mechanisms.2 = EXTERNAL", "ssl_options.verify = verify_peer")


def enter(t, daemon, certificate, **login):
    """Logs in by it, and returns the user that it has become, as the log says."""
    before = daemon.log().count(" connection_opened ")
    context = trust(certificate)
    c = Connection(t, daemon, context).open(mechanism="EXTERNAL", response=b"", **login)
    daemon.says(" connection_opened ", before + 1)
    c.close()
    return re.findall(r" connection_opened .* user=(\"(?:[^\"\\]|\\.)*\"|\S+)", daemon.log())[-1]


def turned_away(t, daemon, certificate, why):
    before = daemon.log().count(why)
    c = Connection(t, daemon, trust(certificate))
    c.begin()
    c.login(mechanism="EXTERNAL", response=b"")
    equal(c.expect(0, "connection.close").reply_code, 403, "the answer")
    daemon.says(why, before + 1)


def add_users(t, *names):
    file = os.path.join(folder(t), "definitions.json")
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"vhosts": [{"name": "/"}],
                   "users": [{"name": name, "password_hash": "", "tags": "", "hashing_algorithm":
                              "rabbit_password_hashing_sha256"} for name in names],
                   "permissions": [{"user": name, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
                                   for name in names]}, out)
    return "load_definitions = " + file


@case("EXTERNAL: by the distinguished name, in RabbitMQ's spelling, and by the common name")
def _(t):
    authority("people")
    trusted = "ssl_options.cacertfile = " + path("people.pem")
    issue("people", "plain", subject="/O=Example, Inc./OU=Sales/CN=anna")
    issue("people", "odd", subject="/OU=#1+UID=7/CN= Z\u00fcrich \"x\" /emailAddress=a@b.example")
    issue("people", "two", subject="/CN=first/CN=second")
    names = ["CN=anna,OU=Sales,O=Example\\, Inc.",
             "EMAILADDRESS=a@b.example,CN=\\ Z\\C3\\BCrich \\\"x\\\"\\ ,OU=\\#1+UID=7",
             "CN=second,CN=first", "anna", "first,second"]
    daemon = keys(t, *EXTERNAL, trusted, add_users(t, *names), "auth_mechanisms.1 = AMQPLAIN")
    c = Connection(t, daemon, trust())
    c.send_raw(amqp.PROTOCOL_HEADER)
    equal(c.expect(0, "connection.start").mechanisms, "AMQPLAIN EXTERNAL", "what is offered")
    c.abort()
    for certificate, name in zip(("plain", "odd", "two"), names):
        told = enter(t, daemon, certificate)
        equal(json.loads(told) if told.startswith('"') else told, name, "the user of " + certificate)
    turned_away(t, daemon, None, 'reason="it has shown no certificate"')
    daemon = keys(t, *EXTERNAL, trusted, add_users(t, *names), "ssl_cert_login_from = common_name")
    equal(enter(t, daemon, "plain"), "anna", "the user by the common name")
    equal(enter(t, daemon, "two"), "first,second", "of two common names")
    turned_away(t, daemon, "odd", 'reason="unknown user"')


@case("EXTERNAL: by a subject alternative name")
def _(t):
    authority("machines")
    trusted = "ssl_options.cacertfile = " + path("machines.pem")
    issue("machines", "many", alternatives="DNS:one.example,DNS:two.example,IP:192.0.2.1,IP:2001:db8::1,"
          "email:x@y.example,URI:spiffe://example/app,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:anna@corp")
    issue("machines", "none")
    names = ["one.example", "two.example", "192.0.2.1", "2001:db8::1", "x@y.example", "spiffe://example/app",
             "anna@corp"]
    users = add_users(t, *names)
    for kind, index, name in (("dns", 0, 0), ("dns", 1, 1), ("ip", 0, 2), ("ip", 1, 3), ("email", 0, 4),
                              ("uri", 0, 5), ("other_name", 0, 6), ("dns", 2, None), ("uri", 1, None)):
        daemon = keys(t, *EXTERNAL, trusted, users, "ssl_cert_login_from = subject_alternative_name",
                      "ssl_cert_login_san_type = " + kind, "ssl_cert_login_san_index = %d" % index)
        if name is None:
            turned_away(t, daemon, "many", 'reason="its certificate has no such name"')
        else:
            equal(enter(t, daemon, "many"), names[name], "%s %d" % (kind, index))
        turned_away(t, daemon, "none", 'reason="its certificate has no such name"')
        daemon.kill()


@case("EXTERNAL: nobody is taken for whom nobody has verified, and no TLS is no certificate")
def _(t):
    issue("people", "guest", subject="/CN=guest")
    trusted = "ssl_options.cacertfile = " + path("people.pem")
    daemon = keys(t, *EXTERNAL[:2], trusted, "ssl_cert_login_from = common_name",
                  plain="listeners.tcp.default = 127.0.0.1:0")
    turned_away(t, daemon, "guest", 'reason="it has shown no certificate"')
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.abort)
    c.send_raw(amqp.PROTOCOL_HEADER)
    equal(c.expect(0, "connection.start").mechanisms, "PLAIN", "what is offered without TLS")
    c.abort()
    daemon = keys(t, *EXTERNAL, trusted, "ssl_cert_login_from = common_name")
    equal(enter(t, daemon, "guest"), "guest", "the user, from this machine")
    refused(t, daemon, trust("stranger"))


@case("an idle connection is small")
def _(t):
    daemon = serve(t)

    def resident():
        with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as file:
            return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))
    still_serves(t, daemon)
    before, count = resident(), 100
    inside = [client(t, daemon) for _ in range(count)]
    t.note("%.1f KiB for each of %d idle connections" % ((resident() - before) / count, count))
    for c in inside:
        c.abort()


@case("leveretperf")
def _(t):
    program = os.path.join(os.path.dirname(PROGRAM), "leveretperf")
    if not os.access(program, os.X_OK):
        raise Skip("it was not built")
    daemon = serve(t)
    done = subprocess.run([program, "--uri", "amqps://" + daemon.tls, "--tls-ca",
                           path("authority.pem"), "--count", "20000", "--size", "16-20000",
                           "--confirm", "200", "--ack-every", "7", "--verify", "--quiet"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
    equal(done.returncode, 0, "status of leveretperf, which said %r" % done.stdout)


if __name__ == "__main__":
    try:
        certificates()
    except FileNotFoundError:
        print("1..0 # SKIP openssl is not installed")
        sys.exit(0)
    main()

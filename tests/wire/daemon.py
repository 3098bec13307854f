#!/usr/bin/python3
"""The daemon as its operator meets it: options, log, data folder, signals, limits of the machine.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import resource
import signal
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import LINE, PATIENCE, PROGRAM, READY, Daemon, folder, run, serve  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

def contents(path):
    """All files below a folder, with a digest of each."""
    found = {}
    for place, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.join(place, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


def crc32c(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff


def fill(t, daemon, count=10):
    """Durable messages, confirmed."""
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="kept", durable=True)
    c.call(1, "confirm.select")
    for number in range(count):
        c.publish(1, "kept", b"%d" % number, delivery_mode=2)
    confirmed = 0
    while confirmed < count:
        confirmed = c.expect(1, "basic.ack").delivery_tag
    c.close()


@case("--version and --help")
def _(_t):
    status, out, _ = run("--version")
    equal(status, 0, "status")
    check(re.fullmatch(r"leveretd \d+\.\d+\.\d+\S*\n", out), "the version is %r" % out)
    equal(run("-V")[:2], (0, out), "the same by -V")
    equal(run("-h")[:2], run("--help")[:2], "-h and --help")
    status, out, _ = run("--help")
    equal(status, 0, "status")
    for option in ("--data-dir", "--listen", "--log-level", "--check-store", "--segment-size"):
        check(option in out, "the help does not know " + option)


@case("wrong options end with status 2 and a reason")
def _(_t):
    for arguments, text in ((("--speed",), "unknown option '--speed'"),
                            (("--listen", "::1:5672"), "an IPv6 address needs brackets"),
                            (("--memory-limit", "40"), "a share has a % behind it"),
                            (("--tls-ca", "x.pem"), "options for TLS need --listen-tls"),
                            (("--listen",), "--listen needs a value"),
                            (("--frame-max", "1"), "--frame-max must be a size"),
                            (("now",), "unexpected argument 'now'")):
        status, _, log = run(*arguments)
        equal(status, 2, "status")
        check(text in log, "it said %r" % log)


@case("the log has one structured line for each event")
def _(t):
    daemon = serve(t, folder(t))
    daemon.client(t).close()
    equal(daemon.stop(), 0, "status after SIGTERM")
    for line in daemon.log().splitlines():
        check(LINE.fullmatch(line), "an odd line: %r" % line)
    check(" info started message=\"%s\"\n" % READY in daemon.log(), "it never said that it is ready")


def events(daemon):
    """The log without its times: (level, event, rest of the line)."""
    return [line.split(" ", 3)[1:] for line in daemon.log().splitlines()]


def reset(c):
    """Ends its socket as a machine does that has lost its memory."""
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.abort()


@case("why a connection that was open has ended")
def _(t):
    daemon = serve(t, folder(t))
    address = daemon.addresses()[0]
    daemon.client(t).close()
    daemon.says('user=guest reason="closed by the client" seconds=')
    daemon.client(t).abort()
    daemon.says('user=guest reason="the socket ended without connection.close"')
    reset(daemon.client(t))
    daemon.says('user=guest reason="Connection reset by peer"')
    c = daemon.client(t)
    c.send_frame(77, 0, b"")
    c.expect(0, "connection.close")
    c.send(0, "connection.close-ok")
    daemon.says('user=guest reason="closed by the broker"')
    c = amqp.Connection(address)
    t.cleanup(c.abort)
    c.open(heartbeat=1)
    daemon.says('user=guest reason="missed heartbeats"')
    told = [(level, event) for level, event, _ in events(daemon) if event.startswith("connection_")]
    equal([pair for pair in told if pair[1] != "connection_opened"],
          [("info", "connection_closed"), ("warning", "connection_lost"),
           ("warning", "connection_lost"), ("warning", "connection_error"),
           ("info", "connection_closed"), ("warning", "connection_lost")], "lines")
    equal(told.count(("info", "connection_opened")), 5, "lines of opened connections")


@case("why a connection was not opened")
def _(t):
    daemon = serve(t, folder(t))
    address = daemon.addresses()[0]
    for user, password, reason in (("guest", "no", "wrong password"),
                                   ('no "one"', "no", "unknown user")):
        c = amqp.Connection(address)
        t.cleanup(c.abort)
        c.begin()
        c.send(0, "connection.start-ok", client_properties={}, mechanism="PLAIN", locale="en_US",
               response="\0%s\0%s" % (user, password))
        written = user if " " not in user else '"no \\"one\\""'
        daemon.says(' user=%s mechanism=PLAIN reason="%s"\n' % (written, reason))
    c = amqp.Connection(address)
    t.cleanup(c.abort)
    c.begin()
    c.send(0, "connection.start-ok", mechanism="MAGIC", locale="en_US")
    daemon.says(' user="" mechanism=MAGIC reason="the mechanism is not offered"\n')
    c = amqp.Connection(address)
    t.cleanup(c.abort)
    c.send_raw(b"GET / HTTP/1.1\r\n\r\n")
    daemon.says(' reason="not AMQP 0-9-1, but HTTP"\n')
    for greeting, what in ((b"\x16\x03\x01\x00\xa5\x01", ", but TLS, which this port does not have"),
                           (b"AMQP\x00\x01\x00\x00", ", but another version of it"),
                           (b"HELO", "")):
        c = amqp.Connection(address)
        t.cleanup(c.abort)
        c.send_raw(greeting)
        daemon.says(' reason="not AMQP 0-9-1%s"\n' % what)
    c = amqp.Connection(address)
    t.cleanup(c.abort)
    c.begin()
    c.send(0, "connection.start-ok", client_properties={}, mechanism="PLAIN", locale="en_US",
           response="\0guest\0guest")
    c.expect(0, "connection.tune")
    c.send(0, "connection.tune-ok", channel_max=1, frame_max=8192, heartbeat=0)
    c.send(0, "connection.open", vhost="nowhere")
    daemon.says(' user=guest code=530 reason="NOT_ALLOWED - vhost nowhere not found"\n')
    c = amqp.Connection(address)
    c.begin()
    c.abort()
    daemon.says(' user="" reason="the socket ended without connection.close"')
    told = [event for _, event, _ in events(daemon) if "connection_" in event or "login_" in event]
    equal(told, 3 * ["login_refused"] + 4 * ["connection_refused"] +
          ["connection_error", "connection_lost"], "lines")


@case("a client that does not log in in time")
def _(t):
    daemon = serve(t, folder(t), "--handshake-ms", "100")
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.abort)
    daemon.says(' user="" reason="handshake timeout"')


@case("a probe that connects and goes has no line")
def _(t):
    daemon = serve(t, folder(t))
    before = daemon.log()
    for number in range(20):
        c = amqp.Connection(daemon.addresses()[0])
        reset(c) if number % 2 else c.abort()
    daemon.client(t).close()
    daemon.says("connection_closed")
    equal([event for _, event, _ in events(daemon)][len(before.splitlines()):],
          ["connection_opened", "connection_closed"], "lines")


@case("an orderly stop has one line for each connection, and no warning")
def _(t):
    daemon = serve(t, folder(t))
    clients = [daemon.client(t) for _ in range(4)]
    for number, c in enumerate(clients):
        c.channel()
        c.call(1, "queue.declare", queue="q%d" % number)
    daemon.process.send_signal(signal.SIGTERM)
    for c in clients:
        c.expect(0, "connection.close")
        c.send(0, "connection.close-ok")
    equal(daemon.process.wait(PATIENCE), 0, "status")
    equal([line for line in events(daemon) if line[0] != "info"], [], "warnings")
    closed = [rest for _, event, rest in events(daemon) if event == "connection_closed"]
    equal(len(closed), 4, "lines of connections")
    check(all(" reason=shutdown " in rest for rest in closed), "they said %r" % closed)


@case("an alarm says how much is used, and what the limit is")
def _(t):
    daemon = serve(t, folder(t), "--memory-limit", "1MiB")
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="q")
    c.publish(1, "q", b"x" * 2000000)
    daemon.says(" warning alarm_set alarm=memory used=")
    other = daemon.client(t)
    other.channel()
    other.call(1, "queue.purge", queue="q")
    daemon.says(" warning alarm_cleared alarm=memory used=")
    numbers = re.findall(r" alarm=memory used=(\d+) limit=(\d+)\n", daemon.log())
    equal([limit for _, limit in numbers], ["1048576", "1048576"], "limits")
    check(int(numbers[0][0]) > 1048576 and int(numbers[1][0]) < 1048576, "used: %r" % numbers)


@case("several addresses, IPv6 among them")
def _(t):
    if not os.path.exists("/proc/net/if_inet6"):
        raise Skip("this machine has no IPv6")
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--listen",
                    "[::1]:0").ready()
    first, second = daemon.addresses()
    check(first.startswith("127.0.0.1:") and not first.endswith(":0"), first)
    check(second.startswith("[::1]:") and not second.endswith(":0"), second)
    host, port = second.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), 5) as sock:
        sock.sendall(amqp.PROTOCOL_HEADER)
        check(len(sock.recv(7)) == 7, "nothing came by IPv6")
    daemon.client(t, first)


@case("everywhere, by a port alone, and by name")
def _(t):
    for text in ("0", ":0", "*:0"):
        daemon = Daemon(t, "--data-dir", folder(t), "--listen", text).ready()
        first = daemon.addresses()[0]
        check(first.startswith("0.0.0.0:"), "it listens at %r" % first)
        daemon.client(t, first.replace("0.0.0.0", "127.0.0.1")).close()
        equal(daemon.stop(), 0, "status")
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "localhost:0").ready()
    check(all(a.startswith(("127.", "[::1]")) for a in daemon.addresses()), daemon.addresses())
    daemon.client(t).close()


@case("values that are hardly meant are warned of")
def _(t):
    daemon = serve(t, folder(t), "--memory-limit", "1MiB", "--disk-reserve", "1000000TiB",
                   "--guest-anywhere")
    warnings = [rest for _, event, rest in events(daemon) if event == "option_unwise"]
    equal([rest.split()[0] for rest in warnings],
          ["option=--memory-limit", "option=--guest-anywhere", "option=--disk-reserve"], "warnings")


@case("a user who may come from this machine alone, and is not there, is warned of")
def _(t):
    daemon = serve(t, folder(t), "--loopback-users", "guest,ann, bob")
    warnings = [rest for _, event, rest in events(daemon) if event == "option_unwise"]
    equal([rest.partition(" reason=")[0] for rest in warnings],
          ["option=--loopback-users user=ann", 'option=--loopback-users user=" bob"'], "warnings")
    quiet = serve(t, folder(t), "--loopback-users", "none")
    check("option_unwise" not in quiet.log(), "nothing is wrong with none")


def open_refused(t, daemon):
    """The text with which the next connection is refused."""
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.abort)
    try:
        c.open()
    except AssertionError as error:
        return str(error)
    raise AssertionError("the connection was opened")


@case("a node has limits of connections, channels and queues")
def _(t):
    daemon = serve(t, folder(t), "--max-connections", "2", "--max-channels", "3", "--max-queues", "1")
    one, two = daemon.client(t), daemon.client(t)
    text = open_refused(t, daemon)
    check("NOT_ALLOWED - connection refused: node connection limit (2) is reached" in text, text)
    for c, number in ((one, 1), (one, 2), (two, 1)):
        c.channel(number)
    one.call(1, "queue.declare", queue="a", durable=True)
    one.send(1, "queue.declare", queue="b")
    equal(one.expect(1, "channel.close").reply_text,
          "PRECONDITION_FAILED - cannot declare queue 'b': queue limit in cluster (1) is reached", "queue")
    one.send(1, "channel.close-ok")
    one.channel(1)
    two.send(2, "channel.open")
    event = two.expect(0, "connection.close")
    equal((event.reply_code, event.reply_text),
          (530, "NOT_ALLOWED - number of channels opened for node 'leveret' has reached the maximum "
                "allowed limit of (3)"), "channel")
    two.send(0, "connection.close-ok")
    check(two.at_end(), "it is closed")
    daemon.client(t).channel(1)  # there is room again


@case("a channel has a limit of consumers, which may be said")
def _(t):
    daemon = serve(t, folder(t), "--set", "consumer_max_per_channel=2")
    c = daemon.client(t)
    c.channel(1)
    c.channel(2)
    q = c.queue()
    for channel in (1, 1, 2):
        tag = c.consume(q, channel)
    c.call(2, "basic.cancel", consumer_tag=tag)
    for _ in range(2):
        c.consume(q, 2)
    c.send(2, "basic.consume", queue=q)
    event = c.expect(0, "connection.close")
    equal((event.reply_code, event.reply_text),
          (530, "NOT_ALLOWED - reached maximum (2) of consumers per channel"), "the third one")
    c.send(0, "connection.close-ok")


@case("the type of queues that do not say")
def _(t):
    daemon = serve(t, folder(t), "--default-queue-type", "quorum")
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="q", durable=True)
    c.send(1, "queue.declare", queue="q", durable=True, arguments={"x-queue-type": "classic"})
    equal(c.expect(1, "channel.close").reply_text,
          "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received "
          "'classic' but current is 'quorum'", "text")
    status, _, log = run("--default-queue-type", "stream")
    equal(status, 2, "status")
    check("--default-queue-type must be classic or quorum" in log and "no streams" in log, log)


@case("addresses that are none, or not ours")
def _(t):
    data = os.path.join(folder(t), "data")
    for address, wanted in (("127.0.0.1:65536", 2), ("[::1:0", 2), ("192.0.2.1:0", 1),
                            ("no..name:0", 1)):
        status, _, log = run("--data-dir", data, "--listen", address)
        equal(status, wanted, "status for %s" % address)
        check(address in log, "it said %r" % log)
        check("getent" in log or address != "no..name:0", "it does not say where to look")
        check(not os.path.exists(data), "it made a data folder")


@case("what clients are told they speak to")
def _(t):
    daemon = serve(t, folder(t), "--product", "Another Broker", "--product-version", "7.8")
    c = amqp.Connection(daemon.addresses()[0], 5)
    t.cleanup(c.abort)
    said = c.begin().server_properties
    equal((said["product"], said["version"]), ("Another Broker", "7.8"), "what it behaves like")
    equal(said["platform"], "Leveret " + said["leveret_version"], "what it is")


@case("a port that is taken")
def _(t):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        data = os.path.join(folder(t), "data")
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        status, _, log = run("--data-dir", data, "--listen", address)
        equal(status, 1, "status")
        check("cannot listen at %s: Address already in use" % address in log, "it said %r" % log)
        check("'ss -ltnp'" in log, "it does not say how to find out who has it: %r" % log)
        check(not os.path.exists(data), "it made a data folder")


def settled(data):
    """What is in the folder when nothing is written any more."""
    before = None
    for _ in range(30):
        after = contents(data)
        if after == before:
            return after
        before = after
        time.sleep(1)
    raise AssertionError("the folder never rests")


@case("a folder that holds something else")
def _(t):
    data = folder(t)
    os.mkdir(os.path.join(data, "lost+found"))
    status, out, _ = run("--check-store", data)
    equal(status, 2, "status of --check-store")
    check("is not a store" in out, "it said %r" % out)
    with open(os.path.join(data, "letters"), "w", encoding="ascii") as file:
        file.write("dear")
    before = contents(data)
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0")
    equal(status, 1, "status")
    check("letters lies there" in log and "--data-dir" in log, "it said %r" % log)
    equal(contents(data), before, "what is in the folder")
    os.unlink(os.path.join(data, "letters"))
    daemon = serve(t, data)
    equal(daemon.stop(), 0, "status in a new file system")


@case("a data folder that is in use")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    fill(t, daemon)
    daemon.process.send_signal(signal.SIGSTOP)  # so that it writes nothing
    os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED)
    before = contents(data)
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0")
    equal(status, 1, "status")
    check("in use by another leveretd, process %d" % daemon.process.pid in log, "it said %r" % log)
    equal(contents(data), before, "what is in the folder")
    status, out, _ = run("--check-store", data)
    equal(status, 2, "status of --check-store")
    check("in use" in out, "it said %r" % out)
    status, out, _ = run("--salvage", "--data-dir", data)
    equal((status, out.count("in use")), (2, 1), "status of --salvage, and how often it says so")
    equal(contents(data), before, "what is in the folder")
    daemon.process.send_signal(signal.SIGCONT)
    daemon.client(t).close()
    equal(daemon.stop(), 0, "status after SIGTERM")


@case("data folders that cannot be used")
def _(t):
    place = folder(t)
    with open(os.path.join(place, "file"), "w", encoding="ascii") as file:
        file.write("no folder")
    for name in ("missing/data", "file", "file/data"):
        status, _, log = run("--data-dir", os.path.join(place, name), "--listen", "127.0.0.1:0")
        equal(status, 1, "status")
        check("cannot be used: " in log, "it said %r" % log)
    equal(os.listdir(place), ["file"], "what is there")
    # One that is there already, and cannot be written to, neither by root.
    os.makedirs(os.path.join(place, "held", "lock"))
    status, _, log = run("--data-dir", os.path.join(place, "held"), "--listen", "127.0.0.1:0")
    equal(status, 1, "status")
    check(re.search(r"cannot be used: [A-Za-z -]+; ", log), "it said %r" % log)


@case("the data folder is for its owner alone, and the default is the user's state")
def _(t):
    home = folder(t)
    environment = dict(os.environ, HOME=home)
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        environment.pop(name, None)
    daemon = Daemon(t, "--listen", "127.0.0.1:0", env=environment).ready()
    fill(t, daemon)
    data = os.path.join(home, ".local/state/leveret")
    equal(os.stat(data).st_mode & 0o777, 0o700, "mode of the folder")
    for path in contents(data):
        equal(os.stat(path).st_mode & 0o077, 0, "others' rights on " + path)
    daemon.stop()
    environment["STATE_DIRECTORY"] = os.path.join(home, "service")
    Daemon(t, "--listen", "127.0.0.1:0", env=environment).ready().stop()
    check(os.path.exists(os.path.join(home, "service")), "the service's folder was not used")


@case("SIGTERM says goodbye, and what was confirmed is there after it")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    fill(t, daemon)
    c = daemon.client(t)
    daemon.process.send_signal(signal.SIGTERM)
    close = c.expect(0, "connection.close")
    equal(close.reply_code, 320, "code")
    equal(close.reply_text, "CONNECTION_FORCED - broker forced connection closure with reason "
          "'shutdown'", "text")
    c.send(0, "connection.close-ok")
    check(c.at_end(), "the socket stayed open")
    c.sock.close()
    equal(daemon.process.wait(PATIENCE), 0, "status")
    daemon = serve(t, data)
    c = daemon.client(t)
    c.channel()
    equal(c.call(1, "queue.declare", queue="kept", passive=True).message_count, 10, "messages")


def told(daemon, name):
    """What the only line of this event says; None: there is none."""
    rest = [rest for _, event, rest in events(daemon) if event == name]
    check(len(rest) < 2, "lines %r" % rest)
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', rest[0])) if rest else None


def opened(daemon):
    """What the line of the start says of the store."""
    said = told(daemon, "store_opened")
    check(said, "no line")
    return said


@case("a start says what it has found, and after what")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    said = opened(daemon)
    equal([said[key] for key in ("path", "orderly", "queues", "messages")], [data, "yes", "0", "0"],
          "of a new folder")
    fill(t, daemon)
    daemon.kill()
    daemon = serve(t, data)
    said = opened(daemon)
    equal([said[key] for key in ("orderly", "queues", "messages")], ["no", "1", "10"],
          "after a crash")
    check(int(said["replayed_batches"]) > 0 and said["ms"].isdigit(), "it said %r" % said)
    equal(told(daemon, "journal_end")["segment"], "1", "the last file")
    equal(daemon.stop(), 0, "status")
    daemon = serve(t, data)
    said = opened(daemon)
    equal([said[key] for key in ("orderly", "queues", "messages", "replayed_batches", "cut_bytes")],
          ["yes", "1", "10", "0", "0"], "after a stop")
    equal(told(daemon, "journal_end"), None, "then there is no question where it ends")
    daemon.kill()
    equal(opened(serve(t, data))["orderly"], "no", "after a crash with nothing to replay")


def begins_of_batches(journal):
    """Where each batch of a file begins, and where the last one ends."""
    begins, at = [], 64
    while journal[at:at + 4] == b"LVRB":
        begins.append(at)
        at += struct.unpack("<I", journal[at + 16:at + 20])[0]
    return begins + [at]


@case("a journal that has lost its end does not start without a word")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    for _ in range(4):  # each is confirmed, and so has a batch of its own
        fill(t, daemon)
    daemon.kill()
    with open(os.path.join(data, "journal-0000000001"), "rb") as file:
        begins = begins_of_batches(file.read())
    check(len(begins) > 3, "batches at %r" % begins)
    for at in (0, 1, 63, 64, begins[2], begins[2] + 40, begins[-2], begins[-2] + 64):
        damaged = os.path.join(folder(t), "data")
        shutil.copytree(data, damaged)
        os.truncate(os.path.join(damaged, "journal-0000000001"), at)
        daemon = Daemon(t, "--data-dir", damaged, "--listen", "127.0.0.1:0")
        if not daemon.serves():  # which is right, too, once it is known that all was synced
            check("journal-0000000001" in daemon.log(), "it said %r" % daemon.log())
            continue
        check(at >= 64, "it starts without a file's header")
        end, cut = told(daemon, "journal_end"), told(daemon, "journal_cut")
        equal(end["offset"], str(max(begin for begin in begins if begin <= at)), "the end")
        equal(cut and cut["bytes"], None if at in begins else "%d" % (at - int(end["offset"])), "what is left")
        check(int(end["known_batch"]) <= int(end["batch"]), "it said %r" % end)
        daemon.kill()


@case("a client that does not answer is not waited for long")
def _(t):
    daemon = serve(t, folder(t))
    c = daemon.client(t)
    before = time.monotonic()
    daemon.process.send_signal(signal.SIGINT)
    c.expect(0, "connection.close")
    equal(daemon.process.wait(PATIENCE), 0, "status")
    check(time.monotonic() - before > 3, "it was not waited for at all")


@case("a signal ends a start with status 0: between two steps, or after two seconds of one that takes long")
def _(t):
    for is_slow in False, True:
        place = folder(t)
        pipe = os.path.join(place, "definitions")
        os.mkfifo(pipe)
        daemon = Daemon(t, "--data-dir", os.path.join(place, "data"), "--listen", "127.0.0.1:0", "--definitions", pipe)
        daemon.says(" info starting ")
        writer = open(pipe, "wb") if not is_slow else None  # waits until it reads
        time.sleep(0.3)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGTERM)
        if writer:
            writer.write(b"{}")
            writer.close()
        before = time.monotonic()
        equal(daemon.process.wait(PATIENCE), 0, "status")
        took = time.monotonic() - before
        check(took > 1.5 if is_slow else took < 1.5, "it took %.1f s" % took)
        check(" warning ended_at_once signal=SIGTERM\n" in daemon.log(), daemon.log())
        check(READY not in daemon.log(), "it served")


@case("a signal that came before its start, as when it begins anew by exec, ends it with status 0")
def _(t):
    def wait_for_it():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)
    data = folder(t)
    daemon = Daemon(t, "--data-dir", data, "--listen", "127.0.0.1:0", preexec_fn=wait_for_it)
    equal(daemon.process.wait(PATIENCE), 0, "status")
    check(" warning ended_at_once signal=SIGTERM\n" in daemon.log(), daemon.log())
    equal(serve(t, data).stop(), 0, "status of the next one")


@case("a second signal ends it at once, and loses nothing that was confirmed")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    fill(t, daemon)
    c = daemon.client(t)
    daemon.process.send_signal(signal.SIGTERM)
    c.expect(0, "connection.close")
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(1.1)
    equal(daemon.process.poll(), None, "status after one that came with the first")
    daemon.process.send_signal(signal.SIGTERM)
    equal(daemon.process.wait(PATIENCE), 128 + signal.SIGTERM, "status")
    check(" warning ended_at_once signal=SIGTERM\n" in daemon.log(), "it did not say so")
    c = serve(t, data).client(t)
    c.channel()
    equal(c.call(1, "queue.declare", queue="kept", passive=True).message_count, 10, "messages")


@case("SIGUSR1 has the counters of the store and of the turns in the log")
def _(t):
    daemon = serve(t, folder(t))
    fill(t, daemon)
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.says("turn_stats")
    counters = dict(pair.split("=") for line in daemon.log().splitlines() if "_stats " in line
                    for pair in line.split("_stats ")[1].split())
    equal(int(counters["messages_written"]), 10)
    check(int(counters["syncs"]) > 0 and int(counters["turns"]) > 0, counters)


@case("signals that ask for nothing end nothing")
def _(t):
    daemon = serve(t, folder(t))
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTTOU):
        daemon.process.send_signal(number)
    daemon.says("info config_reloaded changed=0")
    daemon.client(t).close()
    equal(daemon.stop(), 0, "status")


@case("a crash is logged, and is still one")
def _(t):
    daemon = serve(t, folder(t))
    daemon.process.send_signal(signal.SIGABRT)
    equal(daemon.process.wait(PATIENCE), -signal.SIGABRT, "status")
    check(" error crashed signal=SIGABRT\n" in daemon.log(), "it did not say so")


@case("nobody waits for who reads the log")
def _(t):
    command = [PROGRAM, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--log-level", "debug"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    t.cleanup(process.wait)
    t.cleanup(process.kill)
    t.cleanup(process.stderr.close)
    said = b""
    while READY.encode() not in said:
        said += os.read(process.stderr.fileno(), 65536)
    address = re.search(rb"listening address=(\S+)", said).group(1).decode()
    keeper = amqp.Connection(address)
    t.cleanup(keeper.abort)
    keeper.open()
    # More than a pipe and the memory for what waits: 64 KiB and 1 MiB.
    for _ in range(15000):
        amqp.Connection(address).abort()
    keeper.channel()
    equal(keeper.call(1, "queue.declare", queue="q").queue, "q", "who is served all the same")
    process.terminate()
    said += process.stderr.read()
    equal(process.wait(PATIENCE), 0, "status")
    dropped = [int(n) for n in re.findall(rb" warning log_dropped lines=(\d+)\n", said)]
    check(dropped and min(dropped) > 0, "it does not say what was dropped")
    check(said.endswith(b"\n") and b" stopped " in said.splitlines()[-1], "the end is missing")
    for line in said.decode().splitlines():
        check(LINE.fullmatch(line), "an odd line: %r" % line)


@case("who reads the log has gone")
def _(t):
    command = [PROGRAM, "--data-dir", folder(t), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    t.cleanup(process.wait)
    t.cleanup(process.kill)
    said = b""
    while READY.encode() not in said:
        said += os.read(process.stderr.fileno(), 65536)
    process.stderr.close()
    address = re.search(rb"listening address=(\S+)", said).group(1).decode()
    for _ in range(10):
        c = amqp.Connection(address)
        c.open()
        c.close()
    process.terminate()
    equal(process.wait(PATIENCE), 0, "status")


@case("signals that the parent ignores are obeyed all the same")
def _(t):
    daemon = serve(t, folder(t), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    equal(daemon.stop(signal.SIGINT), 0, "status")


@case("as process 1")
def _(t):
    command = ("unshare", "--pid", "--fork", "--kill-child")
    try:
        possible = subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise Skip("there is no unshare") from None
    if possible.returncode != 0:
        raise Skip("no new process namespace can be made here")
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", command=command).ready()
    check(" process=1\n" in daemon.log(), "it is another process")
    fill(t, daemon)
    with open("/proc/%d/task/%d/children" % (2 * (daemon.process.pid,)), encoding="ascii") as file:
        child = int(file.read().split()[0])
    os.kill(child, signal.SIGTERM)
    equal(daemon.process.wait(PATIENCE), 0, "status")
    check("stopped" in daemon.log(), "it was not stopped in good order")


GIVE = """
import os, sys
given = sys.argv[1].split(",")
for number, fd in enumerate(given):
    os.dup2(int(fd), 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def listening(t, address, family=socket.AF_INET):
    """A socket as a manager of services makes it, to be handed over."""
    sock = socket.socket(family)
    t.cleanup(sock.close)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(64)
    return sock


def given(t, data, sockets, *arguments, **options):
    """A daemon that is handed them."""
    fds = [fcntl.fcntl(sock, fcntl.F_DUPFD, 50) for sock in sockets]
    try:
        return Daemon(t, "--data-dir", data, *arguments, pass_fds=fds,
                      command=(sys.executable, "-c", GIVE, ",".join(map(str, fds))), **options)
    finally:
        for fd in fds:
            os.close(fd)


def at(sock):
    return "%s:%d" % sock.getsockname()[:2]


@case("sockets of the manager: each is used by the listener at its address, and refuses nobody over a restart")
def _(t):
    data, path = folder(t), os.path.join(folder(t), "amqp.sock")
    tcp, other = listening(t, ("127.0.0.1", 0)), listening(t, ("127.0.0.1", 0))
    local = listening(t, path, socket.AF_UNIX)
    sockets = [tcp, other, local, socket.socket()]
    t.cleanup(sockets[-1].close)
    early = socket.create_connection(tcp.getsockname(), PATIENCE)  # before there is a broker
    t.cleanup(early.close)
    arguments = ("--listen", at(tcp), "--listen", "unix:" + path)
    daemon = given(t, data, sockets, *arguments).ready()
    early.sendall(b"AMQP\0\0\x09\1")
    check(early.recv(1) == b"\1", "who came before the broker is not served")
    check('warning descriptor_unused descriptor=4 address=%s reason=' % at(other) in daemon.log(), daemon.log())
    check('warning descriptor_unused descriptor=6 reason="it is no socket' in daemon.log(), daemon.log())
    equal(daemon.log().count("descriptor_unused"), 2, "descriptors without a use")
    daemon.client(t, at(tcp)).close()
    c = socket.socket(socket.AF_UNIX)
    t.cleanup(c.close)
    c.connect(path)
    equal(daemon.stop(), 0, "status")
    waiting = [amqp.Connection(at(tcp)) for _ in range(20)]  # as no broker runs
    check(os.path.exists(path), "the socket at a path has gone with the broker")
    for one in waiting:
        t.cleanup(one.abort)
    given(t, data, sockets, *arguments).ready()
    for one in waiting:
        one.open().close()


@case("a socket of the manager that takes IPv6 and IPv4 is a port's, and who comes by IPv4 is known as such")
def _(t):
    try:
        sock = socket.socket(socket.AF_INET6)
        t.cleanup(sock.close)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
    except OSError as error:
        raise Skip("no IPv6: %s" % error) from None
    sock.listen(64)
    port = sock.getsockname()[1]
    daemon = given(t, folder(t), [sock], "--listen", str(port)).ready()
    daemon.client(t, "127.0.0.1:%d" % port).close()
    daemon.client(t, "[::1]:%d" % port).close()
    daemon.says(" peer=127.0.0.1:")
    daemon.says(" peer=[::1]:")
    equal(len(daemon.addresses()), 1, "listeners")


@case("sockets of the manager refuse while they are suspended, and listen on for who comes next")
def _(t):
    tcp, path = listening(t, ("127.0.0.1", 0)), os.path.join(folder(t), "ctl.sock")
    daemon = given(t, folder(t), [tcp], "--listen", at(tcp), "--control-socket", path, quiet=False).ready()

    def steer(verb):
        subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + path, "-q", verb],
                       check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)

    def is_refused():
        try:
            socket.create_connection(tcp.getsockname(), PATIENCE).close()
            return False
        except ConnectionRefusedError:
            return True
    steer("suspend_listeners")
    check(is_refused(), "a suspended one takes clients")
    steer("resume_listeners")
    daemon.client(t, at(tcp)).close()
    steer("suspend_listeners")
    equal(daemon.stop(), 0, "status")
    check(not is_refused(), "nobody can wait for the next broker")


@case("without standard descriptors")
def _(t):
    data = folder(t)
    command = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', PROGRAM]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:%d" % free.getsockname()[1]
    process = subprocess.Popen([*command, "--data-dir", data, "--listen", address])
    t.cleanup(process.wait)
    t.cleanup(process.kill)
    for _ in range(PATIENCE * 50):
        try:
            c = amqp.Connection(address)
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    c.open()
    c.close()
    process.terminate()
    equal(process.wait(PATIENCE), 0, "status")
    for path in contents(data):
        with open(path, "rb") as file:
            check(READY.encode() not in file.read(), "the log went into " + path)


@case("few descriptors: who is there is served, and who comes waits")
def _(t):
    limit = (64, 64)
    daemon = serve(t, folder(t),
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
    inside = [daemon.client(t) for _ in range(20)]
    address = daemon.addresses()[0]
    outside = [amqp.Connection(address) for _ in range(40)]
    for c in outside:
        t.cleanup(c.abort)
        c.send_raw(amqp.PROTOCOL_HEADER)
    time.sleep(0.3)
    c = inside[0]
    c.channel()
    c.call(1, "queue.declare", queue="kept", durable=True)
    c.call(1, "confirm.select")
    c.publish(1, "kept", b"x" * 100, delivery_mode=2)
    c.expect(1, "basic.ack")
    daemon.says("warning accept_paused connections=")
    for c in inside:
        c.close()
    for c in outside[:20]:
        c.expect(0, "connection.start")
    for c in outside:
        c.abort()
    equal(daemon.stop(), 0, "status")


@case("many descriptors cost no memory")
def _(t):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    daemon = serve(t, folder(t),
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard)))
    with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as file:
        size = int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))
    t.note("%d KiB with up to %d descriptors" % (size, hard))


@case("--check-store changes nothing")
def _(t):
    data = folder(t)
    daemon = serve(t, data, "--segment-size", "64K", "--chunk-entries", "16")
    fill(t, daemon, 2000)
    daemon.kill()
    before = contents(data)
    temporary = folder(t)
    status, out, _ = run("--check-store", data, "--segment-size", "64K", "--chunk-entries", "16",
                         env=dict(os.environ, TMPDIR=temporary))
    equal(status, 0, "status; it said %r" % out)
    check("2000 messages" in out, "it said %r" % out)
    equal(contents(data), before, "what is in the folder")
    equal(os.listdir(temporary), [], "what it left behind")
    status, out, _ = run("--check-store", os.path.join(data, "nowhere"))
    equal(status, 2, "status for a folder that is not there")


def spoil(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def depth(t, daemon):
    c = daemon.client(t)
    c.channel()
    found = c.call(1, "queue.declare", queue="kept", passive=True).message_count
    c.close()
    return found


@case("--salvage makes a store of what is sound")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    fill(t, daemon, 1000)
    status, out, _ = run("--salvage", "--data-dir", data)
    equal(status, 2, "status while a daemon uses it")
    settled(data)
    daemon.kill()
    status, out, _ = run("--salvage", "--data-dir", data)
    equal(status, 0, "status for a sound store")
    check("nothing to salvage" in out, "it said %r" % out)
    check(not [name for name in os.listdir(data) if name.startswith("salvaged-")], "it left a folder")
    journal = os.path.join(data, "journal-0000000001")
    with open(journal, "rb") as file:
        bytes_before = file.read()
    places = [found.start() for found in re.finditer(b"kept", bytes_before)]
    spoil(journal, places[len(places) // 2])
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0")
    equal(status, 1, "status of a start")
    check("journal-0000000001 at offset" in log and "--salvage" in log, "it said %r" % log)
    with open(journal, "rb") as file:
        damaged = file.read()
    status, out, _ = run("--salvage", "--data-dir", data)
    equal(status, 0, "status; it said %r" % out)
    check("damaged: journal-0000000001 offset" in out, "it said %r" % out)
    aside = [name for name in os.listdir(data) if name.startswith("salvaged-")]
    equal(len(aside), 1, "folders of what was")
    with open(os.path.join(data, aside[0], "journal-0000000001"), "rb") as file:
        equal(hashlib.sha256(file.read()).digest(), hashlib.sha256(damaged).digest(),
              "the damaged file")
    check(os.path.isdir(os.path.join(data, aside[0], "index")), "the old index is not there")
    with open(os.path.join(data, aside[0], "report.txt"), encoding="utf-8") as file:
        check("'kept' in virtual host '/': 999 messages" in file.read(), "the report")
    daemon = serve(t, data)
    equal(depth(t, daemon), 999, "messages")
    equal(daemon.stop(), 0, "status after SIGTERM")
    # Without its index, all that the journal has is there.
    os.rename(os.path.join(data, "index"), os.path.join(folder(t), "index"))
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0")
    equal(status, 1, "status of a start without the index")
    check("--salvage" in log, "it said %r" % log)
    time.sleep(1.1)  # another folder
    status, out, _ = run("--salvage", "--data-dir", data)
    equal(status, 0, "status; it said %r" % out)
    daemon = serve(t, data)
    equal(depth(t, daemon), 999, "messages")
    equal(daemon.stop(), 0, "status after SIGTERM")


@case("a journal of a newer version is left alone")
def _(t):
    data = folder(t)
    daemon = serve(t, data)
    fill(t, daemon)
    equal(daemon.stop(), 0, "status")
    journal = sorted(name for name in os.listdir(data) if name.startswith("journal-"))[-1]
    with open(os.path.join(data, journal), "r+b") as file:
        header = bytearray(file.read(60))
        header[4] += 1
        file.seek(0)
        file.write(header + crc32c(header).to_bytes(4, "little"))
    before = contents(data)
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0")
    equal(status, 1, "status")
    check("cannot_start reason=" in log and "newer version" in log, "it said %r" % log)
    now = contents(data)
    equal([path for path in before if "/index/" not in path and now.get(path) != before[path]], [],
          "files that changed")


@case("a peer that goes while an alarm blocks it is noticed")
def blocked_peer_goes(t):
    daemon = serve(t, folder(t), "--memory-limit", "300000")
    publisher = daemon.client(t)
    publisher.call(1, "channel.open")
    publisher.call(1, "queue.declare", queue="own", exclusive=True)
    publisher.call(1, "queue.declare", queue="q")
    publisher.publish(1, "q", b"x" * 400000)
    publisher.expect(0, "connection.blocked")
    publisher.send_raw(b"\x08")
    publisher.abort()
    other = daemon.client(t)
    for number in range(1, PATIENCE * 5):
        other.call(number, "channel.open")
        other.send(number, "queue.declare", queue="own", passive=True)
        if other.expect(number, "channel.close").reply_code == 404:
            return
        time.sleep(0.2)
    raise AssertionError("its exclusive queue is still there")



@case("the API is at a socket in the data folder, and at its usual port unless that is taken")
def _(t):
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # somebody has it, which will do
            taken.bind(("127.0.0.1", 15672))
            taken.listen()
        data = folder(t)
        daemon = Daemon(t, "--data-dir", data, "--listen", "127.0.0.1:0", quiet=False).ready()
        daemon.says("warning no_management address=127.0.0.1:15672 reason=")
        daemon.client(t).close()
    path = "/run/leveret/ctl.sock" if os.path.isdir("/run/leveret") else data + "/ctl.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.settimeout(PATIENCE)
        sock.sendall(b"GET /api/whoami HTTP/1.0\r\n\r\n")
        check(b'"administrator"' in sock.recv(10000), "no operator")
    equal(daemon.stop(), 0, "status")
    check(not os.path.exists(path), "the socket is still there")


class Manager:
    """A manager of services, which is told what the daemon does."""

    def __init__(self, t, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(PATIENCE)
        t.cleanup(self.socket.close)

    def hears(self, wanted):
        while True:
            said = self.socket.recv(1000).decode()
            if said != "WATCHDOG=1" or wanted == said:
                check(said.startswith(wanted), "%r, and not %r" % (said, wanted))
                return said


@case("a manager of services is told of start, reload and stop, and gets signs of life")
def _(t):
    path = os.path.join(folder(t), "notify")
    for address, shown in (path, path), ("\0leveret-%d" % os.getpid(), "@leveret-%d" % os.getpid()):
        manager = Manager(t, address)
        daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0",
                        env={**os.environ, "NOTIFY_SOCKET": shown, "WATCHDOG_USEC": "100000"}).ready()
        manager.hears("READY=1\n")
        manager.hears("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGHUP)
        said = manager.hears("RELOADING=1\nMONOTONIC_USEC=")
        check(abs(int(said.rpartition("=")[2]) / 1e6 - time.monotonic()) < PATIENCE, said)
        manager.hears("READY=1\n")
        daemon.process.send_signal(signal.SIGTERM)
        manager.hears("STOPPING=1\n")
        equal(daemon.process.wait(PATIENCE), 0, "status")


@case("for a manager of services a broker that is reset neither stops nor is dead")
def _(t):
    place = folder(t)
    manager = Manager(t, os.path.join(folder(t), "notify"))
    control = os.path.join(place, "ctl.sock")
    daemon = Daemon(t, "--data-dir", place, "--listen", "127.0.0.1:0", "--control-socket", control,
                    env={**os.environ, "NOTIFY_SOCKET": manager.socket.getsockname(), "WATCHDOG_USEC": "100000"}).ready()
    manager.hears("READY=1\n")
    subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + control, "reset"],
                   check=True, timeout=PATIENCE)
    manager.hears("STATUS=The broker begins anew.")
    manager.hears("READY=1\n")
    manager.hears("WATCHDOG=1")
    daemon.process.send_signal(signal.SIGTERM)
    manager.hears("STOPPING=1\n")
    equal(daemon.process.wait(PATIENCE), 0, "status")


if __name__ == "__main__":
    main(jobs=4)

#!/usr/bin/python3
"""Where the log goes, what of it, and how: categories and levels, text and JSON, a file that is moved.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import LINE, PATIENCE, PROGRAM, Daemon, folder, run  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

CTL = os.path.join(os.path.dirname(PROGRAM), "leveretctl")


def sets(*settings):
    return [part for setting in settings for part in ("--set", setting)]


class Logged(Daemon):
    """One with a configuration, and a folder for its log."""

    def __init__(self, t, *settings, **more):
        self.place = folder(t)
        self.file = os.path.join(self.place, "leveret.conf")
        self.path_of_log = os.path.join(self.place, "logs", "leveret.log")
        self.configure(*settings)
        super().__init__(t, "--config", self.file, "--data-dir", folder(t), "--listen", "127.0.0.1:0",
                         *sets("log.dir=" + os.path.dirname(self.path_of_log)), **more)

    def configure(self, *settings):
        with open(self.file, "w", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in settings))

    def file_text(self, path=None):
        try:
            with open(path or self.path_of_log, encoding="utf-8", newline="") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def files(self, text, path=None):
        """Waits until the file has it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.file_text(path):
            check(time.monotonic() < deadline, "%r is not in %r" % (text, self.file_text(path)))
            time.sleep(0.01)

    def reload(self, *settings):
        before = self.log().count("config_reloaded")
        self.configure(*settings)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while self.log().count("config_reloaded") == before:
            check(time.monotonic() < deadline, "nothing was reloaded: " + self.log())
            time.sleep(0.01)


def refuse_login(t, daemon, user):
    """Has a line logged with that user, whose name may be any bytes but zero."""
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.abort)
    c.begin()
    c.send(0, "connection.start-ok", client_properties={}, mechanism="PLAIN", locale="en_US",
           response=b"\0" + user + b"\0no")


@case("JSON: an object for each line, with numbers, whatever a peer says")
def _(t):
    daemon = Logged(t, "log.console.formatter = json", "log.console.level = debug")
    address = None
    while not address:
        daemon.says('"msg":"started"')
        objects = [json.loads(line) for line in daemon.log().splitlines()]
        address = [one["address"] for one in objects if one["msg"] == "listening"][0]
    daemon.addresses = lambda: [address]
    names = [b"a\nb\x1b[31m", b'"}{"level":"error', b"\xff\xfe", "gr\u00fc\u00df".encode(), b"x" * 200,
             b"\xc2\x9b", b"\\"]
    for name in names:
        refuse_login(t, daemon, name)
    daemon.client(t).close()
    daemon.says('"msg":"connection_closed"')
    equal(daemon.stop(), 0, "status")
    with open(daemon.path, "rb") as file:
        text = file.read().decode("utf-8")
    check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), "control characters: %r" % text)
    objects = [json.loads(line) for line in text.split("\n")[:-1]]
    for one in objects:
        equal(list(one)[:4], ["time", "level", "category", "msg"], "what comes first")
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]), one["time"])
        check(one["level"] in ("debug", "info", "warning", "error"), one)
        check(one["category"] in ("audit", "default", "connection", "channel", "queue"), one)
    refused = [one["user"] for one in objects if one["msg"] == "login_refused"]
    equal(refused, [name.decode("utf-8", "replace") for name in names], "users")
    closed = [one for one in objects if one["msg"] == "connection_closed"][0]
    check(all(isinstance(closed[key], int) for key in ("connection", "seconds", "received", "sent")), closed)
    check(isinstance(closed["peer"], str) and closed["category"] == "connection", closed)


@case("text: a line stays one, whatever a peer says")
def _(t):
    daemon = Logged(t).ready()
    for name, written in ((b"a\nb\x1b[31m", r'"a\x0ab\x1b[31m"'), (b"\xff", r'"\xff"'),
                          ("gr\u00fc\u00df".encode(), "gr\u00fc\u00df"), (b"\xc2\x9b", r'"\xc2\x9b"'),
                          (b'a" reason="none', r'"a\" reason=\"none"')):
        refuse_login(t, daemon, name)
        daemon.says(" user=%s mechanism=PLAIN " % written)
    equal(daemon.stop(), 0, "status")
    for line in daemon.log().splitlines():
        check(LINE.fullmatch(line), "an odd line: %r" % line)


def topology(c):
    """Everything that a client can change, and each change once more, when it is none."""
    work = {"queue": "work", "exchange": "orders", "routing_key": "a.#"}
    mine = {"queue": "mine", "exchange": "orders", "routing_key": "x"}
    copies = {"destination": "copies", "source": "orders", "routing_key": "a b"}
    for _ in range(2):
        c.call(1, "exchange.declare", exchange="orders", type="topic", durable=True)
        c.call(1, "exchange.declare", exchange="copies", type="fanout", durable=True)
        c.queue(queue="work", durable=True)
        c.call(1, "queue.bind", **work)
        c.call(1, "exchange.bind", **copies)
        c.queue(queue="mine", exclusive=True)
        c.call(1, "queue.bind", **mine)
    c.publish(1, "work", b"one")
    for _ in range(2):
        c.call(1, "queue.purge", queue="work")
    for _ in range(2):
        c.call(1, "exchange.unbind", **copies)
        c.call(1, "queue.unbind", **mine)
        c.call(1, "queue.delete", queue="work")
        c.call(1, "exchange.delete", exchange="orders")
        c.call(1, "exchange.delete", exchange="copies")


LASTS = ["method=exchange.declare change=created exchange=orders",
         "method=exchange.declare change=created exchange=copies",
         "method=queue.declare change=created queue=work",
         "method=queue.bind change=bound source=orders queue=work key=a.#",
         "method=exchange.bind change=bound source=orders exchange=copies key=\"a b\"",
         "method=queue.purge change=purged queue=work",
         "method=exchange.unbind change=unbound source=orders exchange=copies key=\"a b\"",
         "method=queue.delete change=deleted queue=work",
         "method=exchange.delete change=deleted exchange=orders",
         "method=exchange.delete change=deleted exchange=copies"]
BRIEF = ["method=queue.declare change=created queue=mine",
         "method=queue.bind change=bound source=orders queue=mine key=x",
         "method=queue.unbind change=unbound source=orders queue=mine key=x"]


def told(daemon, event):
    return [line.split(" %s " % event)[1] for line in daemon.log().splitlines() if " %s " % event in line]


@case("what clients declare, bind and delete is told once, with who and from where")
def _(t):
    daemon = Logged(t, "log.audit.level = debug", "log.console.level = debug").ready()
    client = daemon.client(t)
    client.channel()
    topology(client)
    client.close()
    daemon.says(" connection_closed ")
    who = re.compile(r"connection=\d+ peer=127\.0\.0\.1:\d+ user=guest vhost=/ ")
    for event, wanted in (("client_changed", LASTS), ("client_changed_briefly", BRIEF)):
        lines = told(daemon, event)
        check(all(who.match(line) for line in lines), lines)
        equal([who.sub("", line) for line in lines], wanted, event)


@case("what does not last is not told by itself, and nothing is if that is wanted")
def _(t):
    daemon = Logged(t).ready()
    client = daemon.client(t)
    client.channel()
    topology(client)
    daemon.says("method=exchange.delete change=deleted exchange=copies\n")
    equal((len(told(daemon, "client_changed")), told(daemon, "client_changed_briefly")), (len(LASTS), []),
          "lines")
    daemon.reload("log.audit.level = warning")
    topology(client)
    client.close()
    daemon.says(" connection_closed ")
    equal(len(told(daemon, "client_changed")), len(LASTS), "lines afterwards")


@case("categories have levels, which SIGHUP changes")
def _(t):
    daemon = Logged(t, "log.connection.level = warning").ready()
    daemon.client(t).close()
    refuse_login(t, daemon, b"nobody")
    daemon.says(" login_refused ")
    check(" connection_opened " not in daemon.log(), "what is less important than its level")
    daemon.reload("log.channel.level = debug", "log.default.level = info")
    daemon.client(t).close()
    daemon.says(" connection_closed ")
    daemon.says(" debug frame_received ")
    check(" debug connection_" not in daemon.log(), "debug of another category")
    daemon.configure("log.default.level = error", "log.console.level = debug")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("config_changed key=log.channel.level from=debug")  # the last line of that level
    seen = len(daemon.log())
    daemon.client(t).close()
    equal(daemon.stop(), 0, "status")
    equal(daemon.log()[seen:], "", "what was logged of a level that both have to want")


@case("a file beside the standard error, each with its level and format")
def _(t):
    daemon = Logged(t, "log.file = leveret.log", "log.file.level = debug", "log.file.formatter = json",
                    "log.console.level = warning")
    daemon.files('"msg":"started"')
    address = re.search('"msg":"listening","address":"([^"]*)"', daemon.file_text()).group(1)
    daemon.client(t, address).close()
    daemon.files('"msg":"frame_received"')
    daemon.files('"msg":"connection_closed"')
    equal(daemon.log(), "", "what the standard error has got")
    equal(os.stat(daemon.path_of_log).st_mode & 0o077, 0, "others' rights on the file")
    equal(daemon.stop(), 0, "status")
    objects = [json.loads(line) for line in daemon.file_text().splitlines()]
    equal(objects[-1]["msg"], "stopped", "the last line")


@case("a file alone")
def _(t):
    daemon = Logged(t, "log.file = leveret.log", "log.console = false")
    daemon.files(" started ")
    daemon.process.send_signal(signal.SIGABRT)
    equal(daemon.process.wait(PATIENCE), -signal.SIGABRT, "status")
    daemon.files(" error crashed signal=SIGABRT\n")
    check(" crashed " not in daemon.log(), "it went to the standard error")


@case("a file that was moved is opened again, by SIGHUP and by leveretctl")
def _(t):
    daemon = Logged(t, "log.file = leveret.log")
    path, control = daemon.path_of_log, os.path.join(folder(t), "ctl.sock")
    daemon.ready()
    os.rename(path, path + ".1")
    daemon.client(t).close()
    daemon.files(" connection_closed ", path + ".1")
    check(not os.path.exists(path), "it was made again")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says(" config_reloaded ")
    while not os.path.exists(path):
        time.sleep(0.01)
    daemon.client(t).close()
    daemon.files(" connection_closed ")
    equal(daemon.file_text(path + ".1").count(" connection_closed "), 1, "lines in the old one")
    equal(daemon.stop(), 0, "status")
    if not os.access(CTL, os.X_OK):
        raise Skip("leveretctl is not built")
    daemon = Logged(t, "log.file = leveret.log", "leveret.control_socket = " + control, quiet=False).ready()
    path = daemon.path_of_log
    os.rename(path, path + ".1")
    done = subprocess.run([CTL, "--uri", "unix:" + control, "rotate_logs"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
    equal(done.returncode, 0, "status of leveretctl, which said %r" % done.stdout)
    while not os.path.exists(path):
        time.sleep(0.01)
    daemon.client(t).close()
    daemon.files(" connection_closed ")


@case("a disk without room, and a file that cannot be opened")
def _(t):
    if os.path.exists("/dev/full"):
        daemon = Logged(t, "log.file = /dev/full").ready()
        daemon.says(" warning log_file_failed file=/dev/full reason=\"No space left on device\"\n")
        daemon.client(t).close()
        daemon.says(" connection_closed ")
        equal(daemon.stop(), 0, "status")
        equal(daemon.log().count(" log_file_failed "), 1, "how often it was told")
    data = os.path.join(folder(t), "data")
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0",
                         *sets("log.file=x", "log.dir=/nowhere/at/all"))
    equal(status, 1, "status")
    check('cannot_start reason="the log cannot be written to /nowhere/at/all/x: No such file' in log and
          "log.dir" in log, log)
    check(not os.path.exists(data), "it made a data folder")


@case("the folder of the file is made, if the one above it is there")
def _(t):
    place = folder(t)
    whole = os.path.join(place, "logs", "own.log")
    daemon = Logged(t, "log.file = " + whole).ready()
    daemon.files(" started ", whole)
    equal(daemon.stop(), 0, "status")
    daemon = Logged(t, "log.file = below/own.log").ready()
    daemon.files(" started ", os.path.join(os.path.dirname(daemon.path_of_log), "below", "own.log"))
    status, _, log = run("--data-dir", os.path.join(place, "data"), "--listen", "127.0.0.1:0",
                         *sets("log.file=" + os.path.join(place, "no", "such", "own.log")))
    equal(status, 1, "status")
    check("own.log: No such file" in log, log)


@case("lines are messages to amq.rabbitmq.log, by their level")
def _(t):
    daemon = Logged(t, "log.exchange = true", "leveret.node_name = n@here").ready()
    c = daemon.client(t)
    c.channel()
    for name, key in (("warnings", "warning"), ("infos", "info"), ("debugs", "debug")):
        c.queue(queue=name, exclusive=True)
        c.call(1, "queue.bind", queue=name, exchange="amq.rabbitmq.log", routing_key=key)
    refuse_login(t, daemon, b"nobody")
    one = c.get_soon("warnings")
    equal(one.routing_key, "warning", "key")
    check(re.fullmatch(r"\S+ warning (channel_error|login_refused) .*\n", one.body.decode()), one.body)
    equal((one.properties["content_type"], one.properties["headers"]), ("text/plain", {"node": "n@here"}),
          "properties")
    check(abs(one.properties["timestamp"] - time.time()) < 60, one.properties)
    daemon.client(t).close()
    check(" info connection_opened " in c.get_soon("infos").body.decode(), "a line of the next connection")
    equal(c.drain("debugs"), [], "lines that are not important enough")
    daemon.reload("log.exchange = true", "leveret.node_name = n@here", "log.exchange.level = debug",
                  "log.exchange.formatter = json", "log.console.level = debug")
    c.drain("infos")
    daemon.client(t).close()
    one = c.get_soon("infos")
    equal((one.properties["content_type"], json.loads(one.body)["level"]), ("application/json", "info"), "as JSON")
    time.sleep(0.3)
    told = [json.loads(line)["msg"] for line in c.drain("debugs")]
    check(not [msg for msg in told if msg.startswith("frame_")], "lines about what lines have made: %r" % told)
    equal(daemon.stop(), 0, "status")


@case("there is no such exchange by itself")
def _(t):
    c = Logged(t).ready().client(t)
    c.channel()
    c.send(1, "exchange.declare", exchange="amq.rabbitmq.log", type="topic", passive=True)
    equal(c.expect(1, "channel.close").reply_code, 404, "code")


@case("a file that has grown is moved")
def _(t):
    daemon = Logged(t, "log.file = leveret.log", "log.file.rotation.size = 2000",
                    "log.file.rotation.count = 2", "log.file.rotation.date = $D0")
    daemon.ready()
    daemon.says("log.file.rotation.date does nothing: use logrotate(8)")
    for _ in range(60):
        daemon.client(t).close()
    equal(daemon.stop(), 0, "status")
    place = os.path.dirname(daemon.path_of_log)
    equal(sorted(os.listdir(place)), ["leveret.log", "leveret.log.0", "leveret.log.1"], "files")
    check(" stopped " in daemon.file_text(), "the end is missing")


@case("the journal gets priorities, and nobody else")
def _(t):
    is_journal = ["sh", "-c", 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@"']
    daemon = Logged(t, command=is_journal).ready()
    refuse_login(t, daemon, b"nobody")
    daemon.says(" login_refused ")
    equal(daemon.stop(), 0, "status")
    for line in daemon.log().splitlines():
        level = line.split()[1]
        check(line.startswith({"info": "<6>2", "warning": "<4>2"}[level]), line)
    daemon = Logged(t, env=dict(os.environ, JOURNAL_STREAM="1:1")).ready()
    check("<" not in daemon.log(), "priorities for a file")


@case("RabbitMQ's variables")
def _(t):
    place = folder(t)
    status, out, log = run("--print-config", env=dict(
        os.environ, RABBITMQ_LOGS=os.path.join(place, "r.log"), RABBITMQ_LOG_BASE=place,
        RABBITMQ_LOG="warning,connection=debug,+color"))
    equal(status, 0, "status: " + log)
    for line in ("log.file = %s/r.log  # RABBITMQ_LOGS" % place, "log.dir = %s  # RABBITMQ_LOG_BASE" % place,
                 "log.default.level = warning  # RABBITMQ_LOG", "log.connection.level = debug  # RABBITMQ_LOG"):
        check(line in out, "%r is not in %s" % (line, out))
    status, out, _ = run("--print-config", env=dict(os.environ, RABBITMQ_LOGS="-"))
    check("log.file = false  # RABBITMQ_LOGS" in out, out)


if __name__ == "__main__":
    main(jobs=4)

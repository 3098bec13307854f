#!/usr/bin/python3
"""leveretctl under its own name: where its output goes, formats, filters, what it ends with.

Each case starts a broker of its own, if it needs one. Output is TAP.
"""

import json
import os
import pty
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for folder_name in ("wire", "../interop"):
    sys.path.insert(0, os.path.join(HERE, "..", folder_name))

import amqp  # noqa: E402
from service import folder, serve  # noqa: E402
from wire import case, check, equal, main  # noqa: E402

PROGRAM = os.path.join(os.environ.get("top_builddir", "."), "leveretctl")


class Broker:
    def __init__(self, t):
        self.data = folder(t)
        self.socket = os.path.join(self.data, "ctl.sock")
        self.daemon = serve(t, self.data, "--control-socket", self.socket, "--node-name",
                            "leveret@localhost", "--management", "127.0.0.1:0")

    def queues(self, **counts):
        """Declares queues and puts messages into them."""
        c = amqp.Connection(self.daemon.addresses()[0])
        c.open()
        c.channel()
        c.call(1, "confirm.select")
        for name in counts:
            c.call(1, "queue.declare", queue=name, durable=True)
        for name, count in counts.items():
            for _ in range(count):
                c.publish(1, name, b"x")
        confirmed = 0
        while confirmed < sum(counts.values()):
            confirmed = c.expect(1, "basic.ack").delivery_tag
        c.close()

    def ctl(self, *words, **options):
        return ctl("--uri", "unix:" + self.socket, *words, **options)


def ctl(*words, given=None, environment=None):
    """What it ends with, and what it says on both outputs."""
    done = subprocess.run([PROGRAM, *words], input=given, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, timeout=60, check=False,
                          env=dict(os.environ, **(environment or {})))
    return done.returncode, done.stdout, done.stderr


def on_terminal(*words):
    """What it shows on a terminal."""
    main_end, other_end = pty.openpty()
    process = subprocess.Popen([PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=other_end,
                               stderr=subprocess.DEVNULL)
    os.close(other_end)
    shown = b""
    try:
        while True:
            piece = os.read(main_end, 4096)
            if not piece:
                break
            shown += piece
    except OSError:
        pass
    process.wait(60)
    os.close(main_end)
    return shown.decode().replace("\r\n", "\n")


@case("data goes to stdout, tables have tabs in a pipe")
def _(t):
    b = Broker(t)
    b.queues(short=1, long=12)
    code, out, err = b.ctl("list_queues", "-S", "name")
    equal((code, out, err), (0, "name\tmessages\nlong\t12\nshort\t1\n", ""), "list")


@case("tables are aligned on a terminal, numbers to the right")
def _(t):
    b = Broker(t)
    b.queues(short=1, long=12)
    equal(on_terminal("--uri", "unix:" + b.socket, "list_queues", "-S", "name"),
          "\x1b[1mname   messages\n\x1b[0mlong         12\nshort         1\n", "list")


@case("formats")
def _(t):
    b = Broker(t)
    b.queues(q=2)
    for name, wanted in (("tsv", "name\tmessages\nq\t2\n"),
                         ("json", '[\n{"name":"q","messages":2}\n]\n'),
                         ("jsonl", '{"name":"q","messages":2}\n'),
                         ("csv", '"name","messages"\n"q","2"\n'),
                         ("pretty_table", "+------+----------+\n| name | messages |\n"
                          "+------+----------+\n| q    | 2        |\n+------+----------+\n")):
        equal(b.ctl("list_queues", "-o", name), (0, wanted, ""), name)
    code, out, err = b.ctl("list_queues", "-o", "yaml")
    equal((code, out), (64, ""), "a format that is not there")
    check("there is no format 'yaml'" in err, err)


@case("columns, order and filters")
def _(t):
    b = Broker(t)
    b.queues(a=3, b=10, c=0)
    equal(b.ctl("list_queues", "-c", "name", "-S", "-messages", "-s")[1], "b\na\nc\n", "order")
    for test, wanted in (("messages>0", "a\nb\n"), ("messages>=10", "b\n"), ("messages<10", "a\nc\n"),
                         ("name=a", "a\n"), ("name!=a", "b\nc\n"), ("type~lass", "a\nb\nc\n"),
                         ("messages = 3", "a\n"), ("messages<=3", "a\nc\n")):
        equal(b.ctl("list_queues", "name", "-s", "-S", "name", "-f", test)[1], wanted, test)
    for words in (("-f", "messages"), ("-f", "nosuch>1"), ("-S", "nosuch")):
        equal(b.ctl("list_queues", *words)[0], 64, "code for %r" % (words,))


@case("--dry-run sends nothing that changes something")
def _(t):
    b = Broker(t)
    b.queues(q=2)
    equal(b.ctl("purge_queue", "q", "--dry-run"), (0, "DELETE /api/queues/%2F/q/contents\n", ""),
          "what is said")
    equal(b.ctl("list_queues", "-s")[1], "q\t2\n", "the queue")


@case("errors are one line on stderr, and say what to do")
def _(t):
    code, out, err = ctl("--uri", "unix:/nonexistent/ctl.sock", "ping")
    equal((code, out), (69, ""), "no broker")
    check(err.startswith("leveretctl: no broker answers at /nonexistent/ctl.sock: No such file"), err)
    code, out, err = ctl("--uri", "https://localhost", "ping")
    equal((code, out), (64, ""), "TLS")
    check("speaks no TLS" in err, err)
    equal(ctl("pingg")[0], 64, "no such verb")
    check("Did you mean 'ping'?" in ctl("pingg")[2], "no suggestion")
    b = Broker(t)
    code, out, err = b.ctl("purge_queue", "nosuch")
    equal((code, out, err), (69, "", "leveretctl: not_found\n"), "no such queue")


@case("by TCP a name and a password are needed")
def _(t):
    b = Broker(t)
    address = [a for a in b.daemon.addresses() if not a.startswith("unix:")][1]
    equal(ctl("--uri", "http://guest:guest@" + address, "ping")[0], 0, "guest")
    equal(ctl("ping", environment={"LEVERET_URI": "http://guest:guest@%s/" % address})[0], 0,
          "from the environment")
    code, _, err = ctl("--uri", "http://guest:wrong@" + address, "ping")
    equal(code, 69, "a wrong password")
    check("Login failed" in err, err)


@case("a node that is called otherwise is left alone")
def _(t):
    b = Broker(t)
    for name in ("leveret@localhost", "leveret", "rabbit@localhost", "rabbit"):
        equal(b.ctl("-n", name, "ping")[0], 0, name)
    for name in ("other@localhost", "leveret@elsewhere", "rabbit@elsewhere"):
        equal(b.ctl("-n", name, "ping")[0], 69, name)


@case("completion knows verbs, options, columns and queues")
def _(t):
    b = Broker(t)
    b.queues(orders=0, orphans=0, other=0)
    equal(b.ctl("autocomplete", "list_q")[1], "list_queues\n", "verbs")
    check("--if-empty\n" in b.ctl("autocomplete", "--", "delete_queue", "--if")[1], "options")
    equal(b.ctl("autocomplete", "list_queues", "messages_r")[1].split()[0], "messages_ready", "columns")
    equal(sorted(b.ctl("autocomplete", "--", "purge_queue", "or")[1].split()), ["orders", "orphans"],
          "queues")
    for shell in ("bash", "zsh", "fish"):
        check("autocomplete" in ctl("completion", shell)[1], shell)
    equal(ctl("completion", "tcsh")[0], 64, "a shell that is not known")
    if os.access("/bin/bash", os.X_OK):
        subprocess.run(["/bin/bash", "-n"], input=ctl("completion", "bash")[1], text=True, check=True)


@case("await_startup waits for a broker that is not there yet")
def _(t):
    data = folder(t)
    path = os.path.join(data, "ctl.sock")
    waiting = subprocess.Popen([PROGRAM, "--uri", "unix:" + path, "await_startup", "-t", "50"])
    t.cleanup(waiting.kill)
    serve(t, data, "--control-socket", path)
    equal(waiting.wait(60), 0, "code")
    equal(ctl("--uri", "unix:/nonexistent/x", "await_startup", "-t", "0.3")[0], 69, "nobody there")


@case("stop ends the broker in good order, reload makes it read its configuration")
def _(t):
    b = Broker(t)
    equal(b.ctl("stop", "--dry-run"), (0, "kill -TERM %d\n" % b.daemon.process.pid, ""), "dry run")
    equal(b.ctl("reload"), (0, "", ""), "reload")
    b.daemon.says("config_reloaded")
    process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "stop"])
    equal(b.daemon.process.wait(60), 0, "status of the broker")
    equal(process.wait(60), 0, "stop")
    b = Broker(t)
    address = [a for a in b.daemon.addresses() if not a.startswith("unix:")][1]
    code, out, err = ctl("--uri", "http://guest:guest@" + address, "stop")
    equal((code, out), (69, ""), "by TCP")
    check("no control socket of this machine" in err, err)


@case("options: values, switches and what takes them back")
def _(t):
    b = Broker(t)
    b.queues(q=1)
    equal(b.ctl("--vhost=/", "list_queues", "--no-silent", "-s")[1], "q\t1\n", "the last one counts")
    equal(b.ctl("list_queues", "-s", "--no-silent")[1], "name\tmessages\nq\t1\n", "taken back")
    equal(b.ctl("list_queues", "--silent=false")[1], "name\tmessages\nq\t1\n", "false")
    equal(b.ctl("list_queues", "--silent=maybe")[0], 64, "no switch's value")
    equal(b.ctl("list_queues", "--vhost")[0], 64, "no value")
    code, out, _ = b.ctl("list_queues", "--help")
    equal(code, 0, "help")
    check("leveretctl list_queues [--vhost <vhost>]" in out, out)
    equal(ctl("--version")[1], ctl("version")[1], "version")
    equal(json.loads(b.ctl("ping", "-o", "json")[1]), {"message": "Ping succeeded"}, "JSON")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""leveretctl under its own name: where its output goes, formats, filters, what it ends with.

Each case starts a broker of its own, if it needs one. Output is TAP.
"""

import contextlib
import http.client
import http.server
import json
import os
import pty
import socket
import ssl
import subprocess
import sys
import termios
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from program import HERE, PROGRAM, Broker, ctl, on_terminal  # noqa: E402
import tap  # noqa: E402
from service import folder, run, serve  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402


def refused(address):
    """Nobody listens there; its host and port."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 5).close()
    except ConnectionRefusedError:
        return host, port
    raise AssertionError("somebody listens")


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
    equal(ctl("pingg")[0], 64, "no such verb")
    check("Did you mean 'ping'?" in ctl("pingg")[2], "no suggestion")
    b = Broker(t)
    code, out, err = b.ctl("purge_queue", "nosuch")
    equal((code, out, err), (69, "", "leveretctl: there is no queue 'nosuch' in virtual host '/'; "
                             "-p names another virtual host\n"), "no such queue")
    equal(b.ctl("list_queues", "-p", "none"), (65, "", "leveretctl: there is no virtual host 'none'\n"),
          "no such virtual host")
    equal(ctl("unheard_of"), (64, "", "\nCommand 'unheard_of' not found. \n"
                              "'leveretctl help' says which there are.\n\n"), "nothing like it")


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


class Secure(http.server.BaseHTTPRequestHandler):
    """Answers as a broker does, with TLS."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        body = b'{"node":"leveret@localhost"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def secure_server(t, place, asks_certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(place, "server.pem"), os.path.join(place, "server.key"))
    if asks_certificate:
        context.load_verify_locations(os.path.join(place, "server.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Secure)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    t.cleanup(server.server_close)
    t.cleanup(server.shutdown)
    return server.server_address[1]


@case("by TLS: a certificate that is good, one that is not, one of another name, and one of this client")
def _(t):
    place = folder(t)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                    os.path.join(place, "server.key"), "-out", os.path.join(place, "server.pem")], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    authority = os.path.join(place, "server.pem")
    port = secure_server(t, place, False)
    uri = "https://guest:guest@127.0.0.1:%d" % port
    equal(ctl("--uri", uri, "--tls-ca", authority, "ping"), (0, "Ping succeeded\n", ""), "a good one")
    code, out, err = ctl("--uri", uri, "ping")
    equal((code, out), (69, ""), "of nobody")
    check("certificate is not good: self-signed certificate" in err, err)
    equal(ctl("--uri", uri, "--tls-insecure", "ping")[0], 0, "any")
    code, _, err = ctl("--uri", "https://localhost:%d" % port, "--tls-ca", authority, "ping")
    equal(code, 69, "another name")
    check("mismatch" in err, err)
    code, _, err = ctl("--uri", uri, "--tls-ca", "/nonexistent", "ping")
    equal(code, 69, "no authorities")
    check("no authorities can be read from /nonexistent" in err, err)
    uri = "https://guest:guest@127.0.0.1:%d" % secure_server(t, place, True)
    equal(ctl("--uri", uri, "--tls-ca", authority, "ping")[0], 69, "a certificate of this client is missing")
    equal(ctl("--uri", uri, "--tls-ca", authority, "--tls-cert", authority, "--tls-key",
              os.path.join(place, "server.key"), "ping")[0], 0, "a certificate of this client")
    equal(ctl("--uri", "https://127.0.0.1:1", "ping")[0], 69, "nobody there")


@case("log level, watermarks and settings, until the configuration is read again")
def _(t):
    b = Broker(t)

    def setting(key):
        rows = json.loads(b.ctl("environment", "-o", "json", "-f", "key=" + key)[1])
        return rows[0]["value"], rows[0]["origin"]

    equal(b.ctl("set_log_level", "debug"), (0, "", ""), "level")
    b.queues(q=1)
    b.daemon.says(" debug ")
    equal(b.ctl("set_log_level", "loud")[0], 69, "no level")
    equal(b.ctl("set_vm_memory_high_watermark", "absolute", "100MB")[0], 0, "memory")
    told = json.loads(b.ctl("status", "-o", "json")[1])
    equal((told["vm_memory_high_watermark_limit"], told["vm_memory_high_watermark_setting"]),
          (100000000, {"absolute": 100000000}), "its limit")
    check("Memory high watermark setting: 100 mb, computed to: 100 mb\n" in b.ctl("status", "--unit", "mb")[1],
          b.ctl("status", "--unit", "mb"))
    equal(b.ctl("set_vm_memory_high_watermark", "0.25")[0], 0, "a share")
    told = json.loads(b.ctl("status", "-o", "json")[1])
    equal(told["vm_memory_high_watermark_setting"], {"relative": 0.25}, "its share")
    check("Memory high watermark setting: 0.25 of available memory, computed to: %d bytes\n"
          % told["vm_memory_high_watermark_limit"] in b.ctl("status", "--unit", "bytes")[1],
          b.ctl("status", "--unit", "bytes"))
    equal(setting("vm_memory_high_watermark.relative")[1], "set while it runs", "where it is from")
    equal(b.ctl("set_disk_free_limit", "12MB")[0], 0, "disk")
    equal(json.loads(b.ctl("status", "-o", "json")[1])["disk_free_limit"], 12000000, "its limit")
    for words in (("absolute", "x"), ("2",), ("absolute",), ("x",)):
        check(b.ctl("set_vm_memory_high_watermark", *words)[0] in (64, 65, 69), repr(words))
    equal(b.ctl("reload")[0], 0, "reload")
    b.daemon.says("config_reloaded")
    equal(setting("vm_memory_high_watermark.relative")[1], "default", "it is as it was")


@case("a broker that is drained has no clients, and says so, until it is revived")
def _(t):
    b = Broker(t)
    address = b.daemon.addresses()[0]
    clients = [amqp.Connection(address) for _ in range(30)]
    for c in clients:
        t.cleanup(c.close)
        c.open()
        c.channel()
    clients[0].call(1, "queue.declare", queue="kept", durable=True)
    clients[0].call(1, "confirm.select")
    clients[0].publish(1, "kept", b"it", delivery_mode=2)
    clients[0].expect(1, "basic.ack")
    check("Is under maintenance?: false" in b.ctl("status")[1], "at the beginning")
    equal(b.ctl("drain"), (0, "", ""), "drained")
    for c in clients:
        closed = c.expect(0, "connection.close")
        equal((closed.reply_code, closed.reply_text), (320, "CONNECTION_FORCED - Node was put into maintenance mode"),
              "what clients are told")
    refused(address)
    check("Is under maintenance?: true" in b.ctl("status")[1], "while it is drained")
    check("status: marked for maintenance" in b.ctl("cluster_status")[1], "of the cluster")
    equal(b.ctl("drain")[0], 0, "once more")
    equal(b.ctl("revive"), (0, "", ""), "revived")
    check("status: not under maintenance" in b.ctl("cluster_status")[1], "of the cluster then")
    c = amqp.Connection(address)
    t.cleanup(c.close)
    c.open()
    c.channel()
    equal(c.get("kept").body, b"it", "the message")


def made_something(b):
    """A user, a virtual host, a queue with three messages and a client, which it gives."""
    b.queues(kept=3)
    equal(b.ctl("add_user", "ann", "x")[0], 0, "user")
    equal(b.ctl("add_vhost", "shop")[0], 0, "virtual host")
    c = amqp.Connection(b.daemon.addresses()[0])
    c.open()
    return c


def has_nothing(b):
    equal(b.ctl("list_queues", "-o", "jsonl"), (0, "", ""), "queues")
    equal(b.ctl("list_vhosts", "-o", "jsonl"), (0, '{"name":"/"}\n', ""), "virtual hosts")
    equal(b.ctl("list_users", "-o", "jsonl"), (0, '{"user":"guest","tags":["administrator"]}\n', ""), "users")


@case("a broker that is reset begins anew in the same process, and what it had does not come back")
def _(t):
    b = Broker(t)
    c = made_something(b)
    t.cleanup(c.close)
    code, _, err = b.asked("n", "reset")
    check(code == 0 and "with 1 queues, 3 messages and 1 connections?" in err, err)
    equal(b.ctl("--dry-run", "reset")[0], 0, "dry run")
    check("kept\t3" in b.ctl("list_queues")[1], "what is there without an answer")
    equal(b.ctl("reset"), (0, "", ""), "reset")
    equal(c.expect(0, "connection.close").reply_code, 320, "what a client is told")
    check(b.daemon.process.poll() is None, "the process is the same")
    b.daemon.says("store_reset path=" + b.data)
    has_nothing(b)
    addresses = b.daemon.addresses()
    b.queues(address=addresses[len(addresses) // 2], other=1)
    b.daemon.process.kill()
    b.daemon.process.wait()
    again = b.again(t)
    check(" store_reset " not in again.log(), "it is reset once")
    equal(b.ctl("list_queues", "-o", "tsv"), (0, "name\tmessages\nother\t0\n", ""), "queues after another start")


def tool(b, *words):
    """What one of RabbitMQ's tools ends with and prints, all together."""
    done = subprocess.run([words[0], "--uri", "unix:" + b.socket, *words[1:]], executable=PROGRAM, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


@case("a broker that is stopped has no clients, tells nothing but that, and goes on where it was")
def _(t):
    b = Broker(t)
    c = made_something(b)
    t.cleanup(c.close)
    amqp_address = b.daemon.addresses()[0]
    api = [a for a in b.daemon.addresses() if not a.startswith("unix:")][1]
    equal(b.ctl("start_app"), (0, "", ""), "to start what was not stopped")
    equal(b.ctl("list_connections", "-s", "state")[1], "running\n", "nobody is sent away by that")
    equal(b.ctl("stop_app"), (0, "", ""), "stop_app")
    closed = c.expect(0, "connection.close")
    equal((closed.reply_code, closed.reply_text),
          (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"), "what a client is told")
    refused(amqp_address)
    for words in (("list_queues",), ("status",), ("resume_listeners",), ("set_policy", "p", "x", "{}")):
        code, out, err = b.ctl(*words)
        equal((code, out, err), (69, "", "leveretctl: this broker was stopped by stop_app, and start_app starts it "
                                 "again\n"), words)
    equal(b.ctl("ping")[0], 0, "ping")
    equal(b.ctl("check_running")[0], 69, "check_running")
    equal(b.ctl("environment")[0], 0, "its configuration")
    with contextlib.closing(http.client.HTTPConnection(api)) as web:
        web.request("GET", "/api/health/checks/is-in-service")
        answer = web.getresponse()
        said = json.loads(answer.read())
    equal((answer.status, said["error"], bool(said["node"])), (503, "app_stopped", True), "who asks by HTTP")
    equal(b.ctl("stop_app")[0], 0, "once more")
    equal(b.ctl("start_app"), (0, "", ""), "start_app")
    check("kept\t3" in b.ctl("list_queues")[1], "what was there")
    b.queues(other=1)


@case("scripts for RabbitMQ stop the broker, reset it and start it")
def _(t):
    b = Broker(t)
    c = made_something(b)
    t.cleanup(c.close)
    for words in ("stop_app", "reset", "start_app"):
        code, said = tool(b, "rabbitmqctl", words)
        check(code == 0 and " node leveret@" in said, (words, code, said))
        if words == "stop_app":
            code, said = tool(b, "rabbitmqctl", "list_queues")
            check(code == 64 and said.startswith("Error: this command requires the 'rabbit' app to be running"), said)
    has_nothing(b)
    addresses = b.daemon.addresses()
    b.queues(address=addresses[len(addresses) // 2], other=1)


@case("definitions that were imported before are skipped if that is wanted, and are imported if they are others")
def _(t):
    b = Broker(t)
    path = os.path.join(folder(t), "definitions.json")

    def imported(name, *options):
        with open(path, "w") as out:
            json.dump({"queues": [{"name": name, "vhost": "/", "durable": True, "auto_delete": False, "arguments": {},
                                   "note": "x" * 200000}]}, out)
        equal(b.ctl("import_definitions", path, *options)[0], 0, "import of " + name)
        there = b.ctl("list_queues", "-s", "name")[1].split()
        for queue in there:
            equal(b.ctl("delete_queue", queue)[0], 0, "delete")
        return there

    skip = "--skip-if-unchanged"
    equal(imported("a", skip), ["a"], "the first time")
    equal(imported("a", skip), [], "the same once more")
    equal(imported("a"), ["a"], "without the option")
    equal(imported("b", skip), ["b"], "another file")
    equal(imported("a", skip), ["a"], "and the first one again, which was not the last")
    equal(b.ctl("import_definitions", os.devnull, skip)[0], 69, "what is none")
    equal(imported("a", skip), [], "after what was none")


def interrupted(t):
    """One that had something, was to be reset, and has ended before that."""
    b = Broker(t)
    made_something(b).close()
    equal(b.daemon.stop(), 0, "stop")
    with open(os.path.join(b.data, "unfinished"), "w") as mark:
        mark.write("reset\n")
    return b


@case("a reset that was interrupted goes on at the next start, and nothing takes the folder for a store")
def _(t):
    b = interrupted(t)
    os.unlink(os.path.join(b.data, "anchor"))
    code, out, err = run("--check-store", b.data)
    check(code != 0 and "is to begin anew" in out + err, (code, out, err))
    code, out, err = ctl("restore", b.data, os.path.join(folder(t), "to"))
    check(code != 0 and "is to begin anew" in out + err, (code, out, err))
    again = b.again(t)
    again.says("store_reset path=" + b.data)
    has_nothing(b)


@case("a folder that cannot be emptied is not begun with")
def _(t):
    b = interrupted(t)
    os.mkdir(os.path.join(b.data, "index", "folder"))
    code, _, err = run("--data-dir", b.data, "--listen", "127.0.0.1:0")
    check(code == 1 and "cannot be used: Directory not empty" in err, err)


@case("listeners that are suspended refuse clients, and go on with those that are there")
def _(t):
    b = Broker(t)
    address = b.daemon.addresses()[0]
    c = amqp.Connection(address)
    t.cleanup(c.close)
    c.open()
    c.channel()
    equal(b.ctl("suspend_listeners"), (0, "", ""), "suspended")
    host, port = refused(address)
    c.call(1, "queue.declare", queue="while")
    equal(b.ctl("suspend_listeners")[0], 0, "once more")
    other = socket.socket()
    t.cleanup(other.close)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.bind((host, int(port)))
    other.listen()
    code, _, err = b.ctl("resume_listeners")
    equal(code, 69, "somebody else has the address")
    check("cannot listen at %s: Address already in use" % address in err, err)
    other.close()
    equal(b.ctl("resume_listeners"), (0, "", ""), "resumed")
    again = amqp.Connection(address)
    t.cleanup(again.close)
    again.open()
    equal(b.ctl("resume_listeners")[0], 0, "once more")


@case("verbs that look: report, hashes, where the log is")
def _(t):
    b = Broker(t)
    code, out, err = b.ctl("report")
    equal((code, err), (0, ""), "report")
    for text in ("Node name", "key\tvalue\torigin", "amq.topic"):
        check(text in out, text)
    equal(len(b.ctl("hash_password", "x")[1].strip()), 48, "a hash")
    equal(b.ctl("hash_password", given="x\n")[0], 0, "of the standard input")
    equal(b.ctl("log_location")[0], 0, "log")
    code, _, err = b.ctl("log_tail")
    equal(code, 69, "no file")
    check("journalctl" in err, err)
    equal(b.ctl("add_vhost", "v")[0], 0, "vhost")
    equal(b.ctl("update_vhost_metadata", "v", "--description", "what it is")[0], 0, "update")
    equal(b.ctl("list_vhosts", "name", "description", "-s", "-f", "name=v")[1], "v\twhat it is\n", "updated")
    equal(b.ctl("add_user", "u", "p")[0], 0, "user")
    equal(b.ctl("set_permissions_globally", "u", "a", "b", "c")[0], 0, "permissions")
    equal(b.ctl("list_user_permissions", "u", "-s", "-S", "vhost")[1], "/\ta\tb\tc\nv\ta\tb\tc\n", "in all")
    equal(b.ctl("clear_permissions_globally", "u")[0], 0, "cleared")
    equal(b.ctl("list_user_permissions", "u", "-s")[1], "", "in none")
    equal(b.ctl("set_permissions_globally", "nosuch", "a", "b", "c")[0], 67, "no such user")
    equal(b.ctl("eval", "1.")[0], 69, "refused")


@case("a node that is called otherwise is left alone")
def _(t):
    b = Broker(t)
    for name in ("leveret@localhost", "leveret", "rabbit@localhost", "rabbit"):
        equal(b.ctl("-n", name, "ping")[0], 0, name)
    for name in ("other@localhost", "leveret@elsewhere", "rabbit@elsewhere"):
        code, _, err = b.ctl("-n", name, "ping")
        check(code == 69 and "is called leveret@localhost, and not " + name in err, err)


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


@case("completion knows names of the broker, and what options say")
def _(t):
    b = Broker(t)
    b.queues(**{"orders": 0, "or.x": 0, "orxx": 0})
    for words in (("add_vhost", "vhost one"), ("add_vhost", "other"), ("add_user", "alice", "pw")):
        equal(b.ctl(*words)[0], 0, words[0])
    equal(b.ctl("set_permissions", "-p", "other", "guest", ".*", ".*", ".*")[0], 0, "permissions")

    def offered(*words):
        code, out, err = b.ctl("autocomplete", "--", *words)
        equal((code, err), (0, ""), "code for %r" % (words,))
        return sorted(out.split("\n")[:-1])
    equal(offered("purge_queue", "or."), ["or.x"], "a dot is a dot")
    equal(offered("move", "orders", "orx"), ["orxx"], "a second queue")
    equal(offered("peek", "orders", ""), [], "and no third one")
    equal(offered("move", "a", "b", "--exchange", "amq.f"), ["amq.fanout"], "an exchange")
    equal(offered("delete_vhost", ""), ["/", "other", "vhost one"], "virtual hosts")
    equal(offered("list_queues", "-p", "vh"), ["vhost one"], "those of an option")
    equal(offered("-p", "other", "purge_queue", ""), [], "queues of another one")
    equal(offered("purge_queue", "--vhost=other", ""), [], "the same")
    equal(offered("-p", "/", "purge_queue", "orx"), ["orxx"], "queues of this one")
    equal(offered("delete_user", "a"), ["alice"], "users")
    equal(offered("list_user_limits", "--user", "g"), ["guest"], "the same for an option")
    equal(offered("list_queues", "-o", "js"), ["json", "jsonl"], "formats")
    equal(offered("list_queues", "--sort", "messages_un"),
          ["messages_unacknowledged", "messages_unacknowledged_ram"], "columns")
    equal(offered("-q", "list_vh"), ["list_vhost_limits", "list_vhosts"], "a verb behind an option")
    equal(offered("nosuch", ""), [], "behind what is no verb")
    equal(offered("clear_topic_permissions", "alice", "amq.f"), ["amq.fanout"], "exchanges")


@case("scripts of completion are those that are installed, and bash takes what they offer")
def _(t):
    top = os.path.join(HERE, "..", "..", "contrib", "completion")
    for shell, name in (("bash", "leveretctl"), ("zsh", "_leveretctl"), ("fish", "leveretctl.fish")):
        with open(os.path.join(top, name)) as file:
            equal(file.read(), ctl("completion", shell)[1], shell)
    if not os.access("/bin/bash", os.X_OK):
        return
    b = Broker(t)
    b.queues(**{"two words": 0, "twins": 0})
    script = "%s\nCOMP_WORDS=(%s purge_queue tw); COMP_CWORD=2; _leveretctl; " \
             "printf '%%s\\n' \"${COMPREPLY[@]}\"" % (ctl("completion", "bash")[1], PROGRAM)
    done = subprocess.run(["/bin/bash"], input=script, text=True, stdout=subprocess.PIPE, check=True,
                          env=dict(os.environ, LEVERET_URI="unix:" + b.socket))
    equal(sorted(done.stdout.split("\n")), ["", "twins", "two\\ words"], "what bash offers")


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
    equal(b.ctl("reload", "--dry-run"), (0, "POST /api/configuration\n", ""), "reload, dry run")
    equal(b.ctl("reload"), (0, "0 settings have changed\n", ""), "reload")
    b.daemon.says("config_reloaded")
    process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "stop"])
    equal(b.daemon.process.wait(60), 0, "status of the broker")
    equal(process.wait(60), 0, "stop")

    def seconds_to_stop():
        one = Broker(t)
        began = time.monotonic()
        stop = subprocess.Popen([PROGRAM, "--uri", "unix:" + one.socket, "stop"])
        equal((one.daemon.process.wait(60), stop.wait(60)), (0, 0), "status of both")
        return time.monotonic() - began

    check(any(seconds_to_stop() < 2.5 for _ in range(4)), "the broker waits for the command, which waits for it")
    b = Broker(t)
    address = [a for a in b.daemon.addresses() if not a.startswith("unix:")][1]
    code, out, err = ctl("--uri", "http://guest:guest@" + address, "stop")
    equal((code, out), (69, ""), "by TCP")
    check("no control socket of this machine" in err, err)


@case("passwords are not shown, nor are digests to others, and a name is not empty")
def _(t):
    b = Broker(t)
    for words in (("add_user", "u1", "not-shown"), ("change_password", "guest", "not-shown")):
        code, out, err = b.ctl("--dry-run", *words)
        equal((code, '"password":"***"' in out, "not-shown" in out + err), (0, True, False), words[0])
    main_end, other_end = pty.openpty()
    process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "add_user", "u1"], stdin=other_end,
                               stderr=subprocess.PIPE)
    equal(process.stderr.read(10), b"Password: ", "prompt")
    check(tap.eventually(lambda: not termios.tcgetattr(other_end)[3] & termios.ECHO), "it is not hidden")
    os.write(main_end, b"typed\n")
    equal(process.wait(60), 0, "code")
    check(termios.tcgetattr(other_end)[3] & termios.ECHO, "what is typed afterwards is shown")
    os.set_blocking(main_end, False)
    try:
        shown = os.read(main_end, 100)
    except BlockingIOError:
        shown = b""
    check(b"typed" not in shown, shown)
    process.stderr.close()
    os.close(main_end)
    os.close(other_end)
    equal(b.ctl("authenticate_user", "u1", "typed")[0], 0, "the password that was typed")
    path = os.path.join(folder(t), "definitions.json")
    equal(b.ctl("export_definitions", path)[0], 0, "export")
    equal(os.stat(path).st_mode & 0o777, 0o600, "who can read it")
    address = [a for a in b.daemon.addresses() if not a.startswith("unix:")][1]
    process = subprocess.Popen([PROGRAM, "--uri", "http://guest:guest@" + address, "list_users", "--watch", "0.2"],
                               stdout=subprocess.PIPE)
    t.cleanup(process.stdout.close)
    t.cleanup(process.kill)
    for _ in range(6):
        process.stdout.readline()
    with open("/proc/%d/cmdline" % process.pid, encoding="utf-8") as file:
        equal(file.read().split("\0")[2], "http://guest:xxxxx@" + address, "what others see of an argument")
    equal(b.ctl("add_user", "", "secret"), (65, "", "leveretctl: user cannot be an empty string\n"), "no name")
    equal(b.ctl("add_vhost", ""), (65, "", "leveretctl: a name is empty\n"), "no name of a virtual host")
    equal(b.ctl("purge_queue", "", "--yes"), (65, "", "leveretctl: a name is empty\n"), "no queue")
    b.daemon.says(' user=uid:%d method=PUT path=/api/users/u1\n' % os.getuid())


@case("passwords among the arguments are hidden from others at once")
def _(t):
    path = os.path.join(folder(t), "mute.sock")
    mute, plain = socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))
    t.cleanup(mute.close)
    t.cleanup(plain.close)
    mute.bind(path)
    mute.listen()
    port = str(plain.getsockname()[1])
    for words, hidden in (
            (["leveretctl", "--uri", "unix:" + path, "add_user", "alice", "secret"], [5]),
            (["rabbitmqctl", "--uri", "unix:" + path, "-q", "change_password", "--", "alice", "-secret"], [7]),
            (["leveretctl", "--uri", "unix:" + path, "authenticate_user", "-q", "alice", "secret"], [6]),
            (["leveretctl", "--uri", "unix:" + path, "hash_password", "secret"], [4]),
            (["rabbitmqadmin", "-P", port, "-p", "secret", "declare", "user", "name=a", "password=secret",
              "tags="], [4, 8]),
            (["rabbitmqadmin", "-P", port, "--password=secret", "list", "users"], [3]),
            (["leveretctl", "--uri", "unix:" + path, "set_permissions", "alice", "secret", ".*", ".*"], [])):
        process = subprocess.Popen(words, executable=PROGRAM, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        t.cleanup(process.wait)
        t.cleanup(process.kill)
        wanted = [word if number not in hidden else word.replace("-secret", "xxxxxxx").replace("secret", "xxxxxx")
                  for number, word in enumerate(words)]

        def seen():
            with open("/proc/%d/cmdline" % process.pid, encoding="utf-8") as file:
                return file.read().split("\0")[:-1]
        tap.eventually(lambda: seen() == wanted)
        equal((seen(), process.poll()), (wanted, None), "what others see")


@case("paths of the API may begin with something else, but not at the control socket")
def _(t):
    place = folder(t)
    path, file = os.path.join(place, "ctl.sock"), os.path.join(place, "leveret.conf")
    for wrong in ("broker", "/broker/", "/"):
        code, _, err = run("--check-config", "--set", "management.path_prefix=" + wrong)
        equal(code, 2, wrong)
    with open(file, "w", encoding="utf-8") as out:
        out.write("management.path_prefix = /broker\n")
    daemon = serve(t, folder(t), "--control-socket", path, "--management", "127.0.0.1:0", "--config", file)
    address = [a for a in daemon.addresses() if not a.startswith("unix:")][1]
    equal(ctl("--uri", "unix:" + path, "ping")[0], 0, "control socket")
    equal(ctl("--uri", "http://guest:guest@%s/broker" % address, "ping")[0], 0, "with it")
    equal(ctl("--uri", "http://guest:guest@%s" % address, "ping")[0], 69, "without it")


@case("reload says what has changed, or what is wrong; status has the files that were read")
def _(t):
    place = folder(t)
    file, more, path = (os.path.join(place, name) for name in ("leveret.conf", "more", "ctl.sock"))

    def configure(text):
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        return ctl("--uri", "unix:" + path, "reload")

    def files():
        return json.loads(ctl("--uri", "unix:" + path, "status", "-o", "json")[1])["config_files"]

    configure("heartbeat = 7\n")
    with open(more, "w", encoding="utf-8") as out:
        out.write("frame_max = 65536\n")
    serve(t, folder(t), "--control-socket", path, "--management", "none", "--config", file)
    equal(files(), [file], "files")
    equal(configure("heartbeat = 8\ninclude more\n"),
          (0, "1 settings have changed: heartbeat; these need a restart: frame_max\n", ""), "changes")
    equal(files(), [file, more], "files, after that")
    code, out, err = configure("heartbeat = 9\nheartbeet = 1\n")
    equal((code, out), (69, ""), "a key that there is not")
    check("nothing is changed: 1 settings are wrong, the first at %s:2: " % file in err, err)
    equal(files(), [file, more], "files, as they were")


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


def lengths(b):
    """Messages of all queues."""
    return {queue["name"]: queue["messages"] for queue in json.loads(b.ctl("list_queues", "-o", "json")[1])}


@case("quotas are limits, and explained")
def _(t):
    b = Broker(t)
    b.queues(q=3)
    equal(b.ctl("set_vhost_limits", '{"max-queues":5,"max-messages":3,"max-publish-bytes-rate":1000000}')[0],
          0, "set")
    equal(b.ctl("list_vhost_limits")[1],
          '{"max-queues":5,"max-messages":3,"max-publish-bytes-rate":1000000}\n', "list")
    code, out, _ = b.ctl("explain", "q")
    equal(code, 0, "explain")
    check("max-messages is 3, and 3 count against it" in out, out)
    equal(b.ctl("set_user_limits", "guest", '{"max-publish-rate":7}')[0], 0, "a user's")
    equal(b.ctl("list_user_limits", "--user", "guest")[1], '{"max-publish-rate":7}\n', "list")
    equal(b.ctl("clear_user_limits", "guest", "max-publish-rate")[0], 0, "cleared")
    equal(b.ctl("list_user_limits", "--user", "guest")[1], "{}\n", "list")
    equal(b.ctl("clear_vhost_limits")[0], 0, "all of a virtual host")
    equal(b.ctl("list_vhost_limits")[1], "{}\n", "list")


@case("deleting asks at a terminal, with counts")
def _(t):
    b = Broker(t)
    b.queues(a=3)
    equal(b.ctl("add_vhost", "v")[0], 0, "a virtual host")
    equal(b.ctl("add_user", "u", "pw")[0], 0, "a user")
    equal(b.ctl("set_permissions", "-p", "v", "u", ".*", ".*", ".*")[0], 0, "permissions")
    for words, question in (
            (("purge_queue", "a"), "Delete the 3 messages that wait in 'a'?"),
            (("delete_queue", "a"), "Delete 'a', with 3 ready messages and 0 consumers?"),
            (("delete_vhost", "v"), "Delete virtual host 'v', with 0 queues, 0 messages and 0 connections?"),
            (("delete_user", "u"),
             "Delete user 'u', who has permissions in 1 virtual hosts and 0 connections?")):
        equal(b.asked("n", *words), (0, "", question + " [y/N] "), words[0])
        equal(b.asked("y", *words, "--dry-run")[2], "", "%s: a trial asks nothing" % words[0])
    equal(lengths(b), {"a": 3}, "nothing was deleted")
    equal(b.asked("y", "purge_queue", "a")[0], 0, "purge")
    equal(lengths(b), {"a": 0}, "the queue")
    for words in (("delete_queue", "a"), ("delete_vhost", "v"), ("delete_user", "u")):
        equal(b.asked("n", *words, "--yes")[0], 0, words[0])
    equal(lengths(b), {}, "queues")
    equal(b.ctl("list_vhosts", "-s")[1], "/\n", "virtual hosts")
    equal(b.ctl("list_users", "-s")[1], "guest\t[administrator]\n", "users")
    equal(b.asked("y", "delete_user", "u")[0], 67, "a user who is gone")
    equal(b.asked("y", "delete_vhost", "v")[0], 65, "a virtual host that is")


if __name__ == "__main__":
    main()

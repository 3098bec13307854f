#!/usr/bin/python3
"""The configuration of leveretd: files, environment and --set, what is wrong in them, and SIGHUP.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from certificates import certificates, path as path_of  # noqa: E402
from service import PROGRAM, Daemon, folder, run  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

CUTTLEFISH = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins"
SCHEMAS = CUTTLEFISH + "/*/priv/schema/*.schema"


def write(*path_and_text):
    path = os.path.join(*path_and_text[:-1])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        text = path_and_text[-1]
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def environment(**more):
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("LEVERET_", "RABBITMQ_"))}
    return dict(kept, **more)


class Configured(Daemon):
    """One that says what it does in a file."""

    def __init__(self, t, text, *arguments, **more):
        self.place = folder(t)
        self.file = write(self.place, "leveret.conf", text)
        super().__init__(t, "--config", self.place, "--data-dir", os.path.join(self.place, "data"),
                         "--management", "none", *arguments, env=environment(**more))
        self.seen = 0

    def reload(self, text=None):
        """The lines that a reload logs, but for those about who listens: (event, rest)."""
        before = self.log().count(" config_reloaded ") + self.log().count(" config_not_reloaded ")
        start = len(self.log())
        if text is not None:
            write(self.file, text)
        self.process.send_signal(signal.SIGHUP)
        for _ in range(1000):
            log = self.log()
            if log.count(" config_reloaded ") + log.count(" config_not_reloaded ") > before:
                break
            self.says(" config_")
            signal.sigtimedwait((), 0.01)
        else:
            raise AssertionError("nothing was reloaded: " + log)
        lines = [line.split(" ", 3)[2:] for line in log[start:].splitlines()]
        return [tuple(line) for line in lines if line[0].startswith("config_")]


LISTEN = "listeners.tcp.default = 127.0.0.1:0\n"


def printed(*arguments, **more):
    status, out, log = run(*arguments, "--print-config", env=environment(**more))
    equal(status, 0, "status of --print-config, which said %s%s" % (out, log))
    lines = [line for line in out.splitlines() if not line.startswith("#")]
    return {line.split(" = ")[0]: tuple(line.split(" = ", 1)[1].rsplit("  # ", 1)) for line in lines}


def checked(*arguments, **more):
    status, out, log = run(*arguments, "--check-config", env=environment(**more))
    check(("wrong: " in log) == (status == 2) and "wrong: " not in out, "%s %s" % (out, log))
    return status, (out + log).splitlines()


@case("a folder with leveret.conf and conf.d, the environment, --set and options, in this order")
def _(t):
    place = folder(t)
    config = write(place, "leveret.conf", "heartbeat = 1\nchannel_max = 1\nvhost_max = 1\n"
                   "connection_max = 1\ncluster_queue_limit = 1\n")
    ten = write(place, "conf.d", "10.conf", "channel_max = 2\nvhost_max = 2\nconnection_max = 2\n"
                "cluster_queue_limit = 2\n")
    two = write(place, "conf.d", "20.conf", "vhost_max = 3\n")
    write(place, "conf.d", "30.txt", "this is none\n")
    found = printed("--config", place, "--set", "cluster_queue_limit=5", "--max-queues", "6",
                    LEVERET_CONNECTION_MAX="4", LEVERET_CLUSTER_QUEUE_LIMIT="4")
    equal([found[key] for key in ("heartbeat", "channel_max", "vhost_max", "connection_max",
                                  "cluster_queue_limit", "frame_max")],
          [("1", config + ":1"), ("2", ten + ":1"), ("3", two + ":1"), ("4", "LEVERET_CONNECTION_MAX"),
           ("6", "--max-queues"), ("131072", "default")], "values")
    found = printed(CONFIGURATION_DIRECTORY=place)
    equal(found["heartbeat"], ("1", config + ":1"), "of the service manager's folder")
    equal(checked("--config", place), (0, ["the configuration is good"]), "what is checked")


@case("what is printed is a configuration that says the same")
def _(t):
    place = folder(t)
    file = write(place, "a", "listeners.tcp.a = ::1:5673\nlisteners.tcp.b = 5674\n"
                 "default_user = 'a#b'\nvm_memory_high_watermark.absolute = 2GB\n"
                 "loopback_users.ann = true\nauth_mechanisms.1 = PLAIN\n")
    first = printed("--config", file)
    text = "".join("%s = '%s'\n" % (key, value.strip("'")) for key, (value, _) in first.items())
    second = printed("--config", write(place, "b", text))
    equal({key: value.strip("'") for key, (value, _) in second.items()},
          {key: value.strip("'") for key, (value, _) in first.items()}, "values")
    equal(first["default_user"][0], "'a#b'", "a value with what begins a comment")


@case("passwords are not shown")
def _(t):
    file = write(folder(t), "a", "default_pass = topsecret\n")
    status, out, log = run("--config", file, "--print-config", env=environment())
    equal(status, 0, "status")
    check("topsecret" not in out + log and "default_pass" in out, out)


@case("all that is wrong is told at once, with its place, before anything is touched")
def _(t):
    place = folder(t)
    file = write(place, "leveret.conf", "heartbeet = 60\nthis is none\nheartbeat = sixty\n"
                 "disk_free_limit.absolute = 2 GB\nlog.console.level = loud\n"
                 "include missing.conf\nfoo.bar = 1\n")
    data = os.path.join(place, "data")
    status, _, log = run("--config", file, "--data-dir", data, env=environment())
    equal(status, 2, "status")
    told = re.findall(r" error config_wrong at=(\S+) reason=\"(.*)\"", log)
    equal(sorted(place for place, _ in told), ["%s:%d" % (file, n) for n in (1, 2, 3, 4, 5, 7)], "places")
    texts = dict(told)
    check(texts[file + ":1"].startswith(
        "You've tried to set heartbeet, but there is no setting with that name. "
        "Did you mean one of these? heartbeat"), texts)
    check("Syntax error in %s after line 2 column 6, parsing incomplete" % file in texts[file + ":2"],
          texts)
    check(" error cannot_start reason=\"6 settings" in log, log)
    check(not os.path.exists(data), "it made a data folder")
    status, lines = checked("--config", file)
    equal((status, len(lines)), (2, 6), "what --check-config finds: %s" % lines)


@case("what a start refuses of files, folders, addresses and definitions is found without one")
def _(t):
    place = folder(t)
    certificates()
    key = path_of("client.key")
    data = os.path.join(place, "data")
    wrong = write(place, "wrong.json", json.dumps({"queues": [
        {"name": "q", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-max-length": "z"}}]}))
    right = write(place, "right.json", json.dumps({"queues": [
        {"name": "q", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}]}))
    broken = write(place, "broken.json", "{\"queues\": [")
    for text, why in (
            ("listeners.tcp.1 = name.invalid:1", "cannot listen at name.invalid:1"),
            ("listeners.tcp.1 = unix:%s/none/a" % place, "No such file or directory"),
            ("listeners.tcp.1 = unix:" + right, "File exists"),
            ("listeners.tcp.1 = 127.0.0.1:7\nlisteners.tcp.2 = 127.0.0.1:7",
             "two of them are at 127.0.0.1:7"),
            ("log.file = %s/none/at/all/log" % place, "the log cannot be written to"),
            ("log.file = " + place, "Is a directory"),
            ("leveret.data_dir = %s/none/at/all" % place, "the folder above it has to be there"),
            ("leveret.data_dir = " + place, "is no store of messages, and not empty"),
            ("leveret.data_dir = " + right, "Not a directory"),
            ("listeners.ssl.1 = 5671\nssl_options.certfile = %s\nssl_options.keyfile = %s" %
             (path_of("chain.pem"), key), "does not belong to the certificate"),
            ("prometheus.ssl.certfile = %s/none\nprometheus.ssl.keyfile = %s" % (place, key), "no certificate"),
            ("load_definitions = %s/none.json" % place, "cannot be read"),
            ("load_definitions = " + broken, "']' expected near end of file"),
            ("load_definitions = " + wrong, "queue 1, vhost /, name q: invalid arg 'x-max-length'")):
        shutil.rmtree(data, True)  # the start before may have begun a store
        file = write(place, "conf", "leveret.data_dir = %s\n%s\n" % (data, text))
        status, lines = checked("--config", file)
        equal((status, len(lines)), (2, 1), "%s: %s" % (text, lines))
        check(why in lines[0] and (lines[0].startswith("wrong: %s:" % file) or "two of them" in why), lines)
        _, _, log = run("--config", file, env=environment())
        check(" cannot_start " in log, "a start with %s said %s" % (text, log))
    shutil.rmtree(data, True)
    file = write(place, "conf", "leveret.data_dir = %s\nload_definitions = %s\nlog.file = %s/log/log\n" %
                 (data, right, place))
    equal(checked("--config", file), (0, ["the configuration is good"]), "of one that is good")
    check(not os.path.exists(data) and not os.path.exists(place + "/log"), "it has made something")
    equal(run("--tls-cert", right, "--check-config", "--data-dir", data, env=environment())[0], 2, "an idle option")


@case("definitions that need the store that is there are told as odd, and not as wrong")
def _(t):
    place = folder(t)
    data = os.path.join(place, "data")
    daemon = Daemon(t, "--data-dir", data, "--listen", "127.0.0.1:0", env=environment()).ready()
    equal(daemon.stop(), 0, "status")
    users = write(place, "users.json", json.dumps({
        "vhosts": [], "permissions": [{"user": "guest", "vhost": "/", "configure": "", "write": "", "read": ""}]}))
    status, lines = checked("--data-dir", data, "--definitions", users)
    equal(status, 0, lines)
    check("wrong, unless the store has it: permission 1" in lines[0], lines)
    status, lines = checked("--data-dir", data + "2", "--definitions", users)
    check(status == 2 and "permission 1" in lines[0], lines)


@case("files that cannot be read")
def _(t):
    place = folder(t)
    for path, why in ((os.path.join(place, "missing"), "No such file or directory"),
                      ("/dev/zero", "larger than 1 MiB"), ("/dev/stdin/x", "Not a directory"),
                      (write(place, "nul", b"heartbeat = 1\0\n"), "no text"),
                      (write(place, "latin", b"default_user = \xe9\n"), "not in UTF-8"),
                      (write(place, "self", "include self\n"), "includes itself"),
                      (write(place, "dir", "include /tmp\n"), "it is a folder")):
        status, lines = checked("--config", path)
        check(status == 2 and why in lines[0], "of %s it said %s" % (path, lines))


@case("keys without an effect are accepted, and named in one line each")
def _(t):
    daemon = Configured(t, LISTEN + "mqtt.listeners.tcp.1 = 1883\nnum_acceptors.tcp = 10\n"
                        "prometheus.ssl.compress = true\ncluster_formation.node_type = disc\n").ready()
    remarks = [line for line in daemon.log().splitlines() if " config_remark " in line]
    equal(len(remarks), 2, "lines: %s" % remarks)
    check("mqtt.listeners.tcp.1, prometheus.ssl.compress, cluster_formation.node_type" in remarks[0], remarks)
    check("num_acceptors.tcp" in remarks[1], remarks)
    equal(daemon.stop(), 0, "status")


def login(daemon, user, password, vhost="/"):
    c = amqp.Connection(daemon.addresses()[0])
    c.begin()
    c.send(0, "connection.start-ok", client_properties={}, mechanism="PLAIN", locale="en_US",
           response="\0%s\0%s" % (user, password))
    tune = c.expect(0, "connection.tune")
    c.send(0, "connection.tune-ok", channel_max=tune.channel_max, frame_max=tune.frame_max, heartbeat=0)
    c.send(0, "connection.open", vhost=vhost)
    c.expect(0, "connection.open-ok")
    return c, tune


@case("the first user and virtual host, by keys and as the image's environment says")
def _(t):
    daemon = Configured(t, LISTEN + "default_user = shop\ndefault_pass = $(WORD)\ndefault_vhost = stock\n"
                        "default_permissions.configure = ^$\ndefault_user_tags.management = true\n",
                        WORD="p w#").ready()
    c, _ = login(daemon, "shop", "p w#", "stock")
    c.channel()
    c.send(1, "queue.declare", queue="q")
    equal(c.expect(1, "channel.close").reply_code, 403, "what it may not configure")
    c.abort()
    equal(daemon.stop(), 0, "status")
    daemon = Configured(t, "", RABBITMQ_DEFAULT_USER="u", RABBITMQ_DEFAULT_PASS="p",
                        RABBITMQ_DEFAULT_VHOST="v", RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
                        RABBITMQ_NODE_PORT="0").ready()
    c, _ = login(daemon, "u", "p", "v")
    c.channel()
    c.call(1, "queue.declare", queue="q")
    c.abort()
    try:
        daemon.client(t)
        raise AssertionError("guest is there as well")
    except AssertionError as error:
        check("ACCESS_REFUSED" in str(error), error)


@case("what a virtual host has from its beginning")
def _(t):
    place = folder(t)
    definitions = write(place, "d.json", json.dumps({"vhosts": [{"name": "shop.1"}, {"name": "other"}]}))
    daemon = Configured(t, LISTEN + "load_definitions = %s\n" % definitions +
                        "default_users.ann.vhost_pattern = ^shop\ndefault_users.ann.password = x\n"
                        "default_users.ann.configure = ^own\ndefault_users.ann.tags = monitoring\n"
                        "default_limits.vhosts.1.pattern = ^shop\ndefault_limits.vhosts.1.max_queues = 2\n"
                        "default_policies.operator.short.vhost_pattern = ^shop\n"
                        "default_policies.operator.short.queue_pattern = ^own\n"
                        "default_policies.operator.short.max_length = 1\n").ready()
    c, _ = login(daemon, "ann", "x", "shop.1")
    c.channel()
    c.call(1, "queue.declare", queue="own.1", durable=True)
    c.call(1, "queue.declare", queue="own.2", durable=True)
    c.send(1, "queue.declare", queue="own.3", durable=True)
    close = c.expect(1, "channel.close")
    check("queue limit in vhost 'shop.1' (2) is reached" in close.reply_text, close.reply_text)
    c.send(1, "channel.close-ok")
    c.channel()
    c.send(1, "queue.declare", queue="x", durable=True)
    equal(c.expect(1, "channel.close").reply_code, 403, "what she may not configure")
    c.abort()
    try:
        login(daemon, "ann", "x", "other")
        raise AssertionError("she is let in elsewhere")
    except AssertionError as error:
        check("access to vhost 'other' refused for user 'ann'" in str(error), error)
    equal([line for line in daemon.log().splitlines() if "default_refused" in line], [], "refused")
    status, out, _ = run("--config", daemon.file, "--print-config", env=environment())
    check(status == 0 and "password = x" not in out and "# default_users.ann.password is not shown" in out, out)
    told = daemon.reload()
    equal(told[-1], ("config_reloaded", "changed=0 need_restart=0"), "what changed without a change")
    equal(daemon.stop(), 0, "status")


@case("RabbitMQ's own file, by its variable; a file in Erlang's terms is told of")
def _(t):
    place = folder(t)
    file = write(place, "rabbit.conf", "heartbeat = 17\n")
    advanced = write(place, "advanced.config", "[].\n")
    variables = {"RABBITMQ_CONFIG_FILE": file[:-len(".conf")], "RABBITMQ_ADVANCED_CONFIG_FILE": advanced,
                 "CONFIGURATION_DIRECTORY": place, "RABBITMQ_PID_FILE": "/x"}
    equal(printed(**variables)["heartbeat"], ("17", file + ":1"), "heartbeat")
    status, lines = checked(**variables)
    equal(status, 0, "status")
    check(any(advanced in line and "Erlang" in line for line in lines), lines)
    check(any("RABBITMQ_PID_FILE" in line for line in lines), lines)


@case("a variable that is no key stops nothing, and one with a wrong value does")
def _(t):
    place = folder(t)
    status, lines = checked("--config", place, LEVERET_PORT="tcp://10.0.0.1:5672")
    check(status == 0 and "LEVERET_PORT" in lines[0], lines)
    status, lines = checked("--config", place, LEVERET_HEARTBEAT="x")
    check(status == 2 and lines[0].startswith("wrong: LEVERET_HEARTBEAT: heartbeat must be"), lines)


@case("load_definitions with a folder")
def _(t):
    place = folder(t)
    for number in (1, 2):
        write(place, "d", "%d.json" % number, json.dumps({"vhosts": [{"name": "v%d" % number}]}))
    write(place, "d", "notes.txt", "none")
    daemon = Configured(t, LISTEN + "load_definitions = %s\n" % os.path.join(place, "d")).ready()
    equal(daemon.log().count(" definitions_imported "), 2, "files")
    login(daemon, "guest", "guest", "v2")[0].abort()


@case("definitions that are as they were are imported again, or not, as definitions.skip_if_unchanged says")
def _(t):
    place = folder(t)
    file = write(place, "d.json", json.dumps({"vhosts": [{"name": "v1"}, {"name": "v2"}]}))
    text = LISTEN + "load_definitions = %s\nmanagement.tcp.port = 0\nleveret.control_socket = %s\n" % (
        file, os.path.join(place, "ctl"))
    broker = None

    def start(skip):
        daemon = Daemon(t, "--config", write(place, "conf", text + "definitions.skip_if_unchanged = %s\n" % skip),
                        "--data-dir", os.path.join(place, "data"), env=environment(), quiet=False)
        return daemon.ready()

    def ctl(*words):
        return subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri",
                               "unix:" + os.path.join(place, "ctl"), *words], check=True, text=True,
                              stdout=subprocess.PIPE, timeout=60).stdout

    def vhosts():
        return sorted(ctl("list_vhosts", "-o", "tsv").split()[1:])

    broker = start("true")
    equal(vhosts(), ["v1", "v2"], "imported for the first time")
    check("imported_definition_hash_value" in ctl("list_global_parameters"), "its digest is kept")
    ctl("delete_vhost", "v1")
    broker.stop()
    broker = start("true")
    broker.says(" definitions_unchanged file=" + file)
    equal(vhosts(), ["v2"], "what was deleted stays so")
    broker.stop()
    write(file, json.dumps({"vhosts": [{"name": "v1"}, {"name": "v3"}]}))
    broker = start("true")
    equal(vhosts(), ["v1", "v2", "v3"], "it has changed")
    ctl("delete_vhost", "v1")
    broker.stop()
    broker = start("false")
    equal(vhosts(), ["v1", "v2", "v3"], "without the key it is imported again")
    broker.stop()


@case("the largest frame before a login")
def _(t):
    daemon = Configured(t, LISTEN).ready()

    def say(size):
        c = amqp.Connection(daemon.addresses()[0])
        t.cleanup(c.abort)
        c.begin()
        c.send(0, "connection.start-ok", client_properties={"text": "x" * size}, mechanism="PLAIN", locale="en_US",
               response="\0guest\0guest")
        return c

    say(8000).expect(0, "connection.tune")
    equal(say(9000).expect(0, "connection.close").reply_code, 501, "by itself")
    equal(daemon.reload(LISTEN + "initial_frame_max = 20000\n")[0],
          ("config_changed", "key=initial_frame_max from=8192 to=20000"), "reload")
    say(19000).expect(0, "connection.tune")
    equal(say(21000).expect(0, "connection.close").reply_code, 501, "then")
    status, lines = checked("--set", "initial_frame_max=100")
    check(status == 2 and "initial_frame_max" in lines[0], lines)


@case("passwords are kept as password_hashing_module says, from then on")
def _(t):
    daemon = Configured(t, LISTEN + "password_hashing_module = rabbit_password_hashing_sha512\ndefault_user = ann\n"
                        "default_pass = x\n", "--control-socket", os.path.join(folder(t), "ctl")).ready()
    control = [at for at in daemon.addresses() if at.startswith("unix:")][0]

    def ctl(*words):
        return subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", control, *words],
                              check=True, text=True, stdout=subprocess.PIPE, timeout=60).stdout

    def kinds():
        return {user["name"]: user["hashing_algorithm"] for user in json.loads(ctl("export_definitions", "-"))["users"]}

    ctl("add_user", "bob", "y")
    told = daemon.reload(LISTEN + "password_hashing_module = leveret_scrypt\ndefault_user = ann\ndefault_pass = x\n")
    equal(told[0], ("config_changed", "key=password_hashing_module from=rabbit_password_hashing_sha512 "
                    "to=leveret_scrypt"), "reload")
    ctl("add_user", "cid", "z")
    equal(kinds(), {"ann": "rabbit_password_hashing_sha512", "bob": "rabbit_password_hashing_sha512",
                    "cid": "leveret_scrypt"}, "kinds")
    for name, password in ("ann", "x"), ("bob", "y"), ("cid", "z"):
        ctl("authenticate_user", name, password)
    check(len(ctl("hash_password", "q").split()[-1]) > 60, "a hash that is asked for")
    status, lines = checked("--set", "password_hashing_module=rot13")
    check(status == 2 and "leveret_scrypt" in lines[0], lines)


@case("who does not close a connection that has ended is waited for, as long as is set")
def _(t):
    def is_cut(text):
        c = Configured(t, LISTEN + text).ready().client(t)
        c.send(0, "connection.close", reply_code=200, reply_text="", class_id=0, method_id=0)
        c.expect(0, "connection.close-ok")
        equal(c.sock.recv(1), b"", "the end")
        time.sleep(2)
        c.sock.send(b"x")
        time.sleep(0.2)
        return c.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    linger = "tcp_listen_options.linger."
    check(not is_cut(""), "three seconds by itself")
    check(is_cut(linger + "on = true\n" + linger + "timeout = 1\n"), "one second")
    check(not is_cut(linger + "on = true\n" + linger + "timeout = 0\n"), "0 loses nothing")
    check(not is_cut(linger + "on = false\n" + linger + "timeout = 1\n"), "which does not count")


@case("who may log in, and how")
def _(t):
    daemon = Configured(t, LISTEN + "auth_mechanisms.1 = AMQPLAIN\ncluster_name = shop\n"
                        "product.name = Other\n").ready()
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.abort)
    start = c.begin()
    equal(start.mechanisms, "AMQPLAIN", "mechanisms")
    equal((start.server_properties["cluster_name"], start.server_properties["product"]),
          ("shop", "Other"), "names")
    c.send(0, "connection.start-ok", client_properties={}, mechanism="PLAIN", locale="en_US",
           response="\0guest\0guest")
    daemon.says('reason="the mechanism is not offered"')


# ---- SIGHUP ----

@case("SIGHUP: what is live counts at once, and the rest is told to need a restart")
def _(t):
    daemon = Configured(t, LISTEN + "heartbeat = 60\n").ready()
    equal(daemon.reload(), [("config_reloaded", "changed=0 need_restart=0")], "without a change")
    told = daemon.reload("listeners.tcp.default = 127.0.0.1:1\nheartbeat = 7\nframe_max = 65536\n"
                         "connection_max = 1\nlog.console.level = debug\n")
    equal(sorted(told[:-1]), [
        ("config_changed", "key=connection_max from=0 to=1"),
        ("config_changed", "key=heartbeat from=60 to=7"),
        ("config_changed", 'key=log.console.level from="" to=debug'),
        ("config_needs_restart", "key=frame_max from=131072 to=65536"),
        ("config_needs_restart", 'key=listeners.tcp.$name from="listeners.tcp.default = 127.0.0.1:0" '
         'to="listeners.tcp.default = 127.0.0.1:1"')], "lines")
    equal(told[-1], ("config_reloaded", "changed=3 need_restart=2"), "the last one")
    c, tune = login(daemon, "guest", "guest")
    equal((tune.heartbeat, tune.frame_max), (7, 131072), "heartbeat and frame_max")
    daemon.says(" debug frame_sent ")
    other = amqp.Connection(daemon.addresses()[0])
    t.cleanup(other.abort)
    try:
        other.open()
        raise AssertionError("a second one was opened")
    except AssertionError as error:
        check("node connection limit (1) is reached" in str(error), error)
    c.abort()
    told = daemon.reload(LISTEN)
    equal(told[-1], ("config_reloaded", "changed=3 need_restart=0"), "and back")
    equal(daemon.stop(), 0, "status")


@case("SIGHUP: what is wrong changes nothing")
def _(t):
    daemon = Configured(t, LISTEN + "heartbeat = 60\n").ready()
    told = daemon.reload(LISTEN + "heartbeat = 7\nheartbeet = 1\nvhost_max = x\n")
    equal([event for event, _ in told], 2 * ["config_wrong"] + ["config_not_reloaded"], "events")
    check("2 settings are wrong, the first at %s:3" % daemon.file in told[-1][1], told)
    c, tune = login(daemon, "guest", "guest")
    equal(tune.heartbeat, 60, "heartbeat")
    c.abort()
    os.unlink(daemon.file)
    told = daemon.reload()
    equal(told[-1][0], "config_reloaded", "a file that is not there says nothing")
    told = daemon.reload(LISTEN + "heartbeat = 8\n")
    check(("config_changed", "key=heartbeat from=60 to=8") in told, told)


@case("SIGHUP: watermarks of memory and disk")
def _(t):
    daemon = Configured(t, LISTEN).ready()
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="q")
    c.publish(1, "q", b"x" * 2000000)
    c.call(1, "queue.declare", queue="q", passive=True)
    daemon.reload(LISTEN + "vm_memory_high_watermark.absolute = 1MiB\n")
    daemon.says(" alarm_set alarm=memory used=")
    daemon.reload(LISTEN + "disk_free_limit.absolute = 1000000TiB\n")
    daemon.says(" alarm_cleared alarm=memory")
    daemon.says(" alarm_set alarm=disk")
    daemon.reload(LISTEN)
    daemon.says(" alarm_cleared alarm=disk")


@case("SIGHUP: users of this machine, and queues by default")
def _(t):
    daemon = Configured(t, LISTEN).ready()
    told = daemon.reload(LISTEN + "loopback_users.ann = true\ndefault_queue_type = quorum\nvhost_max = 9\n")
    equal(sorted(event for event, _ in told), 3 * ["config_changed"] + ["config_reloaded"], "events")
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="q", durable=True)
    c.send(1, "queue.declare", queue="q", durable=True, arguments={"x-queue-type": "classic"})
    check("current is 'quorum'" in c.expect(1, "channel.close").reply_text, "the type is another one")
    for _ in range(20):
        daemon.reload(LISTEN + "loopback_users = none\ndefault_queue_type = quorum\n")
        daemon.reload(LISTEN + "default_queue_type = classic\n")
    daemon.client(t).close()
    equal(daemon.stop(), 0, "status")


# ---- RabbitMQ's own parser ----

# What stands in files, with texts that may be the value of default_user.
SNIPPETS = [
    "default_user = b", "  default_user=b  \n", "default_user = b#c", "default_user = b # c",
    "default_user\t=\tb", "default_user = b c d", "default_user = b = c", "default_user = \"b\"",
    "default_user = b\r\nproduct.name = c\r\n", "# default_user = b", "", "\n\n", "default_user =",
    "default_user = # b", "default_user", "= b", "default user = b", "default_user. = b",
    ".default_user = b", "product..name = b", "product. name = b", "product.name = b",
    "pro\\duct.name = b", "product\\.name = b", "default_user = b\ndefault_user = c", "a/b = c",
    "default_user = \\#b", "default_user = b\n nonsense\n", "[{rabbit, []}].", "default_user = é",
    "include missing*.conf\ndefault_user = b", "include = b", "\ufeffdefault_user = b",
    "default_user = $b", "default_user = b\t\n", "cluster_name = b\nproduct.version = c",
]
TEXTS = ("default_user", "product.name", "product.version", "cluster_name")
SCRIPT = b"""#!/usr/bin/env escript
%%! +pc unicode
main(Files) -> io:setopts([{encoding, unicode}]), lists:foreach(fun(F) ->
    case catch cuttlefish_conf:file(F) of
        L when is_list(L) -> [io:format("~ts|~ts|~ts~n", [F, string:join(K, "."), V]) || {K, V} <- L],
                             io:format("~ts~n", [F]);
        _ -> io:format("~ts|wrong~n", [F])
    end end, Files).
"""


@case("the grammar is that of RabbitMQ's parser, where that is installed")
def _(t):
    plugins = glob.glob(CUTTLEFISH)
    if not plugins or not shutil.which("escript"):
        raise Skip("RabbitMQ is not installed")
    place = folder(t)
    files = [write(place, "%02d.conf" % number, text) for number, text in enumerate(SNIPPETS)]
    script = write(place, "parse", SCRIPT)
    out = subprocess.run(["escript", script, *files], env=environment(ERL_LIBS=plugins[0], HOME=place),
                         stdout=subprocess.PIPE, check=True, timeout=60, text=True).stdout
    theirs = {file: {} for file in files}
    for line in out.splitlines():
        file, *pair = line.split("|")
        theirs[file].update({"wrong": True} if pair == ["wrong"] else dict([pair]) if pair else {})
    for file, text in zip(files, SNIPPETS):
        status, _, log = run("--config", file, "--check-config", env=environment())
        is_syntax = "Syntax error" in log
        equal(is_syntax, "wrong" in theirs[file], "is %r wrong" % text)
        if status != 0:
            continue
        ours = {key: value for key, (value, origin) in printed("--config", file).items()
                if origin.startswith(file)}
        equal(ours, {key: value for key, value in theirs[file].items() if key in TEXTS}, repr(text))


def rabbitmq_keys():
    """The keys of its schemas, with something for what they leave open."""
    text = ""
    for file in glob.glob(SCHEMAS):
        with open(file, encoding="utf-8") as schema:
            text += re.sub("^ *%.*", "", schema.read(), flags=re.M)
    return sorted(re.sub(r"\$\w+", "1", key) for key in set(re.findall(r'\{\s*mapping,\s*"([^"]+)"', text)))


@case("every key of RabbitMQ's own schemas is known, where that is installed")
def _(t):
    keys = rabbitmq_keys()
    if not keys:
        raise Skip("RabbitMQ is not installed")
    check(len(keys) > 500, keys)
    place, unknown = folder(t), []
    for at in range(0, len(keys), 50):
        file = write(place, "%04d.conf" % at, "".join("%s = 1\n" % key for key in keys[at:at + 50]))
        _, _, log = run("--config", file, "--check-config", env=environment())
        unknown += re.findall("You've tried to set (\\S+),", log)
    equal(unknown, [], "those that are not")


@case("who asks the API or Prometheus' side nothing is sent away after idle_timeout")
def _(t):
    at = "127.0.0.1:0"
    daemon = Daemon(t, "--data-dir", os.path.join(folder(t), "data"), "--listen", at, "--management", at,
                    "--metrics", at, "--set", "management.tcp.idle_timeout=200",
                    "--set", "prometheus.tcp.idle_timeout=300", env=environment()).ready()
    for protocol in ("http", "http/prometheus"):
        port = int(re.search(r"listening address=127.0.0.1:(\d+) protocol=%s\n" % protocol, daemon.log()).group(1))
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            began = time.monotonic()
            equal(peer.recv(1), b"", "what is said")
            check(0.1 < time.monotonic() - began < 15, "after %.1f s" % (time.monotonic() - began))


@case("names of peers are not looked up, which is said if they should be")
def _(t):
    for value, count in (("true", 1), ("false", 0)):
        daemon = Configured(t, "reverse_dns_lookups = %s\n" % value, "--listen", "127.0.0.1:0").ready()
        equal(daemon.log().count("reverse_dns_lookups does nothing: peers are known by their addresses"), count,
              value)


if __name__ == "__main__":
    main()

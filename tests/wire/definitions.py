#!/usr/bin/python3
"""leveretd --definitions: what a start makes of a file, or refuses whole.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import base64
import hashlib
import http.client
import json
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from service import Daemon, folder, run, serve  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402


def hashed(kind, password, salt=b"\x8a\x00\xffz"):
    return base64.b64encode(salt + hashlib.new(kind, salt + password).digest()).decode()


def user(name, kind, password="secret", **more):
    return dict({"name": name, "password_hash": hashed(kind, password.encode()), "tags": [],
                 "hashing_algorithm": "rabbit_password_hashing_" + kind, "limits": {}}, **more)


def all_of(*users, vhost="/"):
    return [{"user": name, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}
            for name in users]


USERS = ("sha256", "sha512", "md5")
EXPORT = {
    "rabbit_version": "3.10.8", "rabbitmq_version": "3.10.8", "product_name": "RabbitMQ",
    "product_version": "3.10.8",
    "users": [user(name, name) for name in USERS],
    "vhosts": [{"name": "/"}, {"name": "own", "limits": [], "metadata":
                               {"description": "d", "tags": [], "default_queue_type": "undefined"}}],
    "permissions": all_of(*USERS) + all_of("sha256", vhost="own"),
    "topic_permissions": [{"user": "md5", "vhost": "/", "exchange": "amq.topic", "write": "^a",
                           "read": ".*"}],
    "parameters": [{"component": "vhost-limits", "vhost": "own", "name": "limits",
                    "value": {"max-queues": 1}}],
    "global_parameters": [{"name": "internal_cluster_id", "value": "c"}],
    "policies": [{"vhost": "/", "name": "length", "pattern": "^q$", "apply-to": "queues",
                  "definition": {"expires": 3600000}, "priority": 3}],
    "queues": [{"name": "q", "vhost": "/", "durable": True, "auto_delete": False,
                "arguments": {"x-max-length": 1, "x-dead-letter-exchange": "x"}},
               {"name": "dead", "vhost": "/", "durable": True, "auto_delete": False,
                "arguments": {}},
               {"name": "events", "vhost": "/", "durable": True, "auto_delete": False,
                "arguments": {"x-queue-type": "stream"}}],
    "exchanges": [{"name": "x", "vhost": "/", "type": "topic", "durable": True,
                   "auto_delete": False, "internal": False, "arguments": {}}],
    "bindings": [{"source": "x", "vhost": "/", "destination": "dead", "destination_type": "queue",
                  "routing_key": "#", "arguments": {}},
                 {"source": "x", "vhost": "/", "destination": "events", "destination_type": "queue",
                  "routing_key": "#", "arguments": {}}],
}


def write(t, definitions):
    path = os.path.join(folder(t), "definitions.json")
    with open(path, "w", encoding="utf-8") as file:
        if isinstance(definitions, str):
            file.write(definitions)
        else:
            json.dump(definitions, file)
    return path


def enter(t, daemon, name, password="secret", vhost="/"):
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.close)
    return c.open(vhost, user=name, password=password)


def is_out(t, daemon, name, password):
    c = amqp.Connection(daemon.addresses()[0])
    t.cleanup(c.abort)
    c.begin()
    c.login(user=name, password=password)
    event = c.recv()
    equal((event.name, event.fields.get("reply_code")), ("connection.close", 403), "login of " + name)


def refused(data, path):
    """The log of a start that this file ends."""
    status, _, log = run("--data-dir", data, "--listen", "127.0.0.1:0", "--definitions", path)
    equal(status, 1, "status: " + log)
    return log


def works(t, daemon):
    c = enter(t, daemon, "sha256")
    c.channel()
    equal(c.call(1, "queue.declare", queue="q", passive=True).consumer_count, 0, "consumers")
    for body in (b"one", b"two"):
        c.publish(1, "q", body)
    c.call(1, "basic.consume", queue="dead", no_ack=True)
    equal(c.expect(1, "basic.deliver").body, b"one", "what was one too many")
    equal(c.get("q").body, b"two", "what was kept")
    c.close()


@case("users log in with RabbitMQ's hashes, and there is no guest")
def _(t):
    daemon = serve(t, folder(t), "--definitions", write(t, EXPORT))
    for name in USERS:
        enter(t, daemon, name).close()
        is_out(t, daemon, name, "Secret")
    is_out(t, daemon, "guest", "guest")


@case("users log in with passwords that are kept by scrypt")
def _(t):
    salt = bytes(range(16))
    key = hashlib.scrypt(b"known", salt=salt, n=2048, r=4, p=2, dklen=32)
    hash_of = base64.b64encode(bytes([11, 4, 2]) + salt + key).decode()
    users = [{"name": "told", "password": "secret", "hashing_algorithm": "leveret_scrypt", "tags": ""},
             {"name": "made", "password_hash": hash_of, "hashing_algorithm": "leveret_scrypt", "tags": ""}]
    data = folder(t)
    daemon = serve(t, data, "--definitions", write(t, {"users": users, "permissions": all_of("told", "made")}))
    for _ in range(2):
        for name, password in (("told", "secret"), ("made", "known")):
            enter(t, daemon, name, password).close()
            is_out(t, daemon, name, password + "1")
        is_out(t, daemon, "unknown", "secret")
        daemon.stop(9)
        daemon = serve(t, data)


@case("the API knows them too, and answers others while it checks")
def _(t):
    users = [{"name": name, "password": "secret", "hashing_algorithm": kind, "tags": "management"}
             for name, kind in (("slow", "leveret_scrypt"), ("quick", "rabbit_password_hashing_sha256"))]
    daemon = serve(t, folder(t), "--definitions", write(t, {"users": users}), "--management", "127.0.0.1:0",
                   "--auth-delay-ms", "10")

    def ask(name, password):
        c = http.client.HTTPConnection(daemon.addresses()[-1])
        t.cleanup(c.close)
        c.request("GET", "/api/whoami", headers={
            "Authorization": "Basic " + base64.b64encode(("%s:%s" % (name, password)).encode()).decode()})
        return c

    waiting = [ask("slow", password) for password in ("secret", "wrong", "secret", "", "unknown")]
    equal(ask("quick", "secret").getresponse().status, 200, "one that is quick")
    equal([c.getresponse().status for c in waiting], [200, 401, 200, 401, 401], "those that waited")
    equal(json.loads(ask("slow", "secret").getresponse().read())["name"], "slow", "who it is")
    equal(ask("nobody", "secret").getresponse().status, 401, "nobody")


@case("passwords that are given to the API are kept by scrypt, too, and others are answered meanwhile")
def _(t):
    daemon = serve(t, folder(t), "--management", "127.0.0.1:0", "--auth-delay-ms", "10")

    def ask(method, path, body=None, user="guest", password="guest"):
        c = http.client.HTTPConnection(daemon.addresses()[-1])
        t.cleanup(c.close)
        c.request(method, "/api/" + path, json.dumps(body) if body else None, headers={
            "Authorization": "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()})
        return c

    def user(name):
        return {"name": name, "password": "of " + name, "hashing_algorithm": "leveret_scrypt", "tags": "management"}

    waiting = [ask("PUT", "users/late", user("late")),
               ask("PUT", "users/late", user("late")),
               ask("POST", "definitions", {"users": [user("first"), user("second")]}),
               ask("POST", "definitions", {"users": [user("third"), {"name": "wrong"}]})]
    equal(ask("GET", "whoami").getresponse().status, 200, "one that does not wait")
    said = [c.getresponse().status for c in waiting]
    equal(sorted(said[:2]), [201, 204], "the user is made by one of the two, whichever is read first")
    equal(said[2:], [204, 400], "the others that wait")
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.says("turn_stats")
    turns = int(daemon.log().split(" turns=")[1].split()[0])
    check(turns < 5000, "it has waited in %d turns" % turns)
    for name in ("late", "first", "second"):
        equal(ask("GET", "whoami", None, name, "of " + name).getresponse().status, 200, name)
        equal(ask("GET", "whoami", None, name, "of him").getresponse().status, 401, name + " with another password")
    equal(ask("GET", "users/third").getresponse().status, 404, "one that was taken back")
    ask("POST", "definitions", {"users": [user("hurried")]})
    equal(daemon.stop(), 0, "it stops while one is made")


@case("a hash that would cost too much to check is refused")
def _(t):
    for cost in ((20, 8, 1), (14, 8, 100), (0, 8, 1)):
        users = [{"name": "a", "password_hash": base64.b64encode(bytes(cost) + bytes(48)).decode(),
                  "hashing_algorithm": "leveret_scrypt", "tags": ""}]
        log = refused(folder(t), write(t, {"users": users}))
        check("to check a password of user 'a' by its hash would cost too much, or nothing" in log, log)


@case("queues, exchanges and bindings do what they are defined for, also after a start without the file")
def _(t):
    data = folder(t)
    daemon = serve(t, data, "--definitions", write(t, EXPORT))
    works(t, daemon)
    daemon.says("users=3 vhosts=2 permissions=4 topic_permissions=1 parameters=1 policies=1 queues=2 "
                "exchanges=1 bindings=1 left_out=3")
    daemon.stop(9)
    works(t, serve(t, data))


@case("a second import changes nothing, and messages stay")
def _(t):
    data, path = folder(t), write(t, EXPORT)
    daemon = serve(t, data, "--definitions", path)
    c = enter(t, daemon, "md5")
    c.channel()
    c.call(1, "confirm.select")
    c.publish(1, "dead", b"kept", delivery_mode=2)
    c.expect(1, "basic.ack")
    daemon.stop()
    daemon = serve(t, data, "--definitions", path)
    c = enter(t, daemon, "md5")
    c.channel()
    equal(c.get("dead").body, b"kept", "the message")
    works(t, daemon)


@case("limits of a virtual host count")
def _(t):
    daemon = serve(t, folder(t), "--definitions", write(t, EXPORT))
    c = enter(t, daemon, "sha256", vhost="own")
    c.channel()
    c.call(1, "queue.declare", queue="a")
    c.send(1, "queue.declare", queue="b")
    equal(c.expect(1, "channel.close").reply_text,
          "PRECONDITION_FAILED - cannot declare queue 'b': queue limit in vhost 'own' (1) is reached",
          "text")


@case("a file without users leaves guest")
def _(t):
    for queue in ({"name": "q"}, {"name": "q", "vhost": "/"}):
        daemon = serve(t, folder(t), "--definitions", write(t, {"queues": [queue]}))
        c = daemon.client(t)
        c.channel()
        c.call(1, "queue.declare", queue="q", passive=True)


@case("what is wrong is named, with its place, and nothing is imported")
def _(t):
    data = folder(t)
    wrong = dict(EXPORT, queues=EXPORT["queues"] + [
        {"name": "ttl", "vhost": "own", "arguments": {"x-message-ttl": -1}},
        {"name": "lost", "vhost": "nowhere"}])
    log = refused(data, write(t, wrong))
    for text in ("error definitions_wrong file=", "queue=4 vhost=own name=ttl reason=\"invalid arg "
                 "'x-message-ttl' for queue 'ttl' in vhost 'own'", "queue=5 vhost=nowhere name=lost",
                 "nothing of ", "(2 in all)"):
        check(text in log, "the log does not say %r: %s" % (text, log))
    daemon = serve(t, data)
    c = daemon.client(t)  # guest is there, so the users are not
    c.channel()
    c.send(1, "queue.declare", queue="q", passive=True)
    equal(c.expect(1, "channel.close").reply_code, 404, "the queue")
    log = refused(folder(t), write(t, {"vhosts": [{"name": "odd", "default_queue_type": "odd"}]}))
    check(" vhost=1 name=odd reason=" in log, "a virtual host is in none: %s" % log)


@case("a store that had something before is as it was")
def _(t):
    data = folder(t)
    serve(t, data, "--definitions", write(t, EXPORT)).stop()
    refused(data, write(t, {"users": [user("new", "md5"), user("md5", "md5", "changed")],
                            "vhosts": [{"name": "new"}], "queues": [{"name": "q"}, {}]}))
    daemon = serve(t, data)
    enter(t, daemon, "md5")
    is_out(t, daemon, "new", "secret")
    works(t, daemon)


@case("what is no JSON is told with line and column")
def _(t):
    data = folder(t)
    log = refused(data, write(t, '{"users": [],\n "queues": [{]}'))
    check("line 2, column 14" in log, log)


@case("a file that cannot be read, or is too large, is named")
def _(t):
    data = folder(t)
    missing = os.path.join(data, "missing.json")
    check("the definitions in %s cannot be read: No such file or directory" % missing in
          refused(data, missing), "the name is missing")
    path = write(t, "{}")
    os.truncate(path, (64 << 20) + 1)
    check("are larger than 64 MiB" in refused(data, path), "no word of its size")


@case("20,000 queues are imported at once, and are there after a kill")
def _(t):
    data, count = folder(t), 20000
    path = write(t, {"queues": [{"name": "queue.%d" % number} for number in range(count)]})
    daemon = serve(t, data, "--definitions", path)
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="durable", durable=True)  # answered when all before it is synced
    daemon.kill()
    daemon = Daemon(t, "--data-dir", data, "--listen", "127.0.0.1:0").ready()
    daemon.says("queues=%d " % (count + 1))


main()

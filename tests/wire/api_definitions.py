#!/usr/bin/python3
"""The API's resources of definitions: exchanges, bindings, users, policies and their like.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import base64
import hashlib
import itertools
import json
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import anything, case, check, equal, error, matching, quote, some  # noqa: E402

BROKER = []


def expect(*arguments, **more):
    return BROKER[0].expect(*arguments, **more)


NOT_FOUND = error("Object Not Found", "Not Found")
NO_VHOST = error("not_found", "vhost_not_found")
REFUSED = error("not_authorised", "Access refused.")
NUMBERS = itertools.count(1)


def bad(reason=str):
    return error("bad_request", reason)


def fresh(kind):
    """A name that no other case has used."""
    return "%s%d" % (kind, next(NUMBERS))


def exchange(t, kind="topic", **more):
    name = fresh("exchange")
    expect("PUT", "/api/exchanges/%2F/" + name, 201, dict({"type": kind, "durable": True}, **more))
    t.cleanup(BROKER[0].ask, "DELETE", "/api/exchanges/%2F/" + name)
    return name


def queue(t, name=None):
    name = name or fresh("queue")
    expect("PUT", "/api/queues/%2F/" + quote(name), 201, {"durable": True})
    t.cleanup(BROKER[0].ask, "DELETE", "/api/queues/%2F/" + quote(name))
    return name


# ---- who asks, and what is no request ----

@case("who asks")
def _(_t):
    expect("GET", "/api/whoami", 200, answer={"name": "guest", "tags": ["administrator"]})
    expect("GET", "/api/whoami", 401, user=("guest", "wrong"),
           answer=error("not_authorized", "Login failed"))
    expect("GET", "/api/nosuch", 404, answer=NOT_FOUND)


@case("a body that is no object of JSON")
def _(_t):
    for path in ("/exchanges/%2F/no", "/queues/%2F/no", "/vhosts/no", "/users/no",
                 "/permissions/%2F/guest"):
        for body in (b"no json", b'{"a":1', b'{"a":1} 2', b'{"a":01}', b"\xff"):
            expect("PUT", "/api" + path, 400, body, bad(matching("^not_json: line")), "not json")
        for body in (b"[1]", b"[]"):
            expect("PUT", "/api" + path, 400, body, bad("not_json: the body is no object"),
                   "not json")


# ---- exchanges ----

EXCHANGE = {"name": str, "vhost": str, "type": str, "durable": bool, "auto_delete": bool,
            "internal": bool, "arguments": {}, ...: 0}


@case("an exchange is made, looked at and deleted")
def _(_t):
    path = "/api/exchanges/%2F/" + fresh("exchange")
    name = path.split("/")[-1]
    body = {"type": "topic", "durable": True, "auto_delete": False, "internal": True,
            "arguments": {"alternate-exchange": "amq.fanout", "x": [1, "two", {"three": 3.5}]}}
    expect("PUT", path, 201, body)
    expect("PUT", path, 204, body)
    seen = dict(body, name=name, vhost="/", incoming=[], outgoing=[])
    expect("GET", path, 200, answer=seen, differs="who did it")
    expect("PUT", path, 400, dict(body, type="direct"),
           bad("inequivalent arg 'type' for exchange '%s' in vhost '/': "
               "received 'direct' but current is 'topic'" % name))
    expect("PUT", path, 400, dict(body, durable=False),
           bad("inequivalent arg 'durable' for exchange '%s' in vhost '/': "
               "received 'false' but current is 'true'" % name))
    expect("DELETE", path, 204)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("GET", path, 404, answer=NOT_FOUND)


@case("an exchange of which nothing is said")
def _(_t):
    path = "/api/exchanges/%2F/" + fresh("exchange")
    expect("PUT", path, 201)
    expect("GET", path, 200, answer={"type": "direct", "auto_delete": False, "internal": False,
                                     "arguments": {}, ...: 0})
    expect("GET", path, 200, answer={"durable": True, ...: 0}, differs="durable")
    expect("DELETE", path, 204)


@case("names of exchanges")
def _(t):
    for name in ("a/b", "%2F", "\u00fc\u00f6 \U0001f430", "a+b c", "x" * 255, "a?b#c&d=e"):
        path = "/api/exchanges/%2F/" + quote(name)
        expect("PUT", path, 201, {"type": "fanout", "durable": True})
        t.cleanup(BROKER[0].ask, "DELETE", path)
        expect("GET", path, 200, answer=dict(EXCHANGE, name=name, type="fanout"))
        expect("GET", "/api/exchanges/%2F", 200, answer=some(dict(EXCHANGE, name=name)))
        expect("DELETE", path, 204)
    expect("PUT", "/api/exchanges/%2F/" + "x" * 256, 400, {"type": "fanout"}, bad(),
           differs="256 bytes")


@case("lists of exchanges")
def _(t):
    name = exchange(t)
    ours = dict(EXCHANGE, name=name, vhost="/", type="topic", durable=True)
    expect("GET", "/api/exchanges", 200, answer=[EXCHANGE, ...])
    expect("GET", "/api/exchanges/%2F", 200, answer=some(
        ours, dict(EXCHANGE, name="", type="direct"), dict(EXCHANGE, name="amq.match", type="headers"),
        dict(EXCHANGE, name="amq.rabbitmq.trace", internal=True)))
    expect("GET", "/api/exchanges/%2F?columns=name,type&sort=name&sort_reverse=true&page=1&name=" +
           name, 200, answer={"items": [{"name": name, "type": "topic"}], "filtered_count": 1,
                              "item_count": 1, "page": 1, "page_count": 1, "page_size": 100,
                              "total_count": int})
    expect("GET", "/api/exchanges/nosuch", 404, answer=NOT_FOUND)


@case("the default exchange and reserved names")
def _(_t):
    path = "/api/exchanges/%2F/amq."
    expect("GET", path + "default", 200, answer={"name": "", "type": "direct", "durable": True, ...: 0})
    expect("PUT", path + "default", 401, {"type": "direct"}, REFUSED)
    expect("DELETE", path + "default", 401, answer=REFUSED)
    expect("PUT", path + "mine", 401, {"type": "direct"}, REFUSED)
    expect("PUT", path + "topic", 204, {"type": "topic", "durable": True})
    expect("DELETE", path + "topic", 401, answer=REFUSED)


@case("exchanges that cannot be")
def _(_t):
    path = "/api/exchanges/%2F/" + fresh("exchange")
    expect("PUT", path, 400, {"type": "nosuch"}, bad("unknown exchange type 'nosuch'"))
    expect("PUT", path, 400, {"type": 5}, bad("type is a whole number, and should be a string"),
           "wrong types")
    expect("PUT", path, 400, {"durable": "yes"},
           bad("durable is a string, and should be true or false"), "wrong types")
    expect("PUT", path, 400, {"arguments": {"alternate-exchange": 5}},
           bad(matching("invalid type 'long' for arg 'alternate-exchange' in exchange")))
    expect("PUT", path, 400, {"arguments": 5}, bad(matching("^arguments: ")), "wrong types")
    expect("PUT", path, 400, {"arguments": {"x": None}}, bad(matching("^arguments: ")),
           "null in arguments")
    expect("PUT", "/api/exchanges/nosuch/x", 404, {"type": "topic"}, NO_VHOST)
    expect("POST", path, 405)
    expect("GET", path, 404, answer=NOT_FOUND)


@case("an exchange that is used is kept, if one asks for that")
def _(t):
    x, q = exchange(t), queue(t)
    expect("POST", "/api/bindings/%%2F/e/%s/q/%s" % (x, q), 201, {})
    expect("DELETE", "/api/exchanges/%%2F/%s?if-unused=true" % x, 400,
           answer=bad("exchange '%s' in vhost '/' in use" % x))
    expect("DELETE", "/api/exchanges/%%2F/%s?if-unused=false" % x, 204)


# ---- bindings ----

def binding(source, destination, key="", kind="queue", **more):
    return dict({"source": source, "vhost": "/", "destination": destination,
                 "destination_type": kind, "routing_key": key, "arguments": {},
                 "properties_key": quote(key) if key else "~"}, **more)


@case("a binding is made, found by its properties_key, and taken away")
def _(t):
    x, q = exchange(t), queue(t)
    path = "/api/bindings/%%2F/e/%s/q/%s" % (x, q)
    made = expect("POST", path, 201, {"routing_key": "a.#"})
    equal(made.headers["location"], q + "/a.%2523", "location")
    expect("POST", path, 201, {"routing_key": "a.#"})
    for name in ("a.%23", "a.%2523"):
        expect("GET", path + "/" + name, 200, answer=binding(x, q, "a.#"))
    expect("GET", path, 200, answer=[binding(x, q, "a.#")])
    expect("DELETE", path + "/nosuch", 404, answer=NOT_FOUND)
    expect("DELETE", path + "/a.%2523", 204)
    expect("DELETE", path + "/a.%2523", 404, answer=NOT_FOUND)
    expect("GET", path, 200, answer=[])
    expect("PUT", path + "/a", 405)


@case("routing keys and arguments in properties_key")
def _(t):
    x, q = exchange(t), queue(t)
    base = "/api/bindings/%2F/e/" + x + "/q/"
    for key in ("", "plain", "a b", "a+b", "a%20b", "a/b", "\u00fc", "a~b", "~", "%", "x" * 255):
        for arguments in ({}, {"h": "v"}, {"h": "v", "n": 1, "l": ["a", {"b": False}]}):
            if BROKER[0].oracle and "~" in key and arguments:
                continue  # which 3.10 cannot make a location of
            made = expect("POST", base + q, 201, {"routing_key": key, "arguments": arguments})
            one = BROKER[0].ask("GET", base + made.headers["location"])
            equal(one.status, 200, "status of " + made.headers["location"])
            equal(one.body, binding(x, q, key, arguments=arguments,
                                    properties_key=one.body["properties_key"]), "the binding")
            if key != "~" and not (BROKER[0].oracle and set("~+%") & set(key)):
                expect("GET", base + q + "/" + one.body["properties_key"], 200, answer=one.body)
            expect("DELETE", base + made.headers["location"], 204)
    expect("GET", base + q, 200, answer=[])
    expect("POST", base + q, 400, {"routing_key": "x" * 256}, bad(), "256 bytes")


@case("arguments in another order are the same binding")
def _(t):
    x, q = exchange(t, "headers"), queue(t)
    path = "/api/bindings/%%2F/e/%s/q/%s" % (x, q)
    first = expect("POST", path, 201, b'{"arguments":{"a":1,"b":2}}')
    second = expect("POST", path, 201, b'{"arguments":{"b":2,"a":1}}')
    equal(first.headers["location"], second.headers["location"], "location")
    equal(len(BROKER[0].ask("GET", path).body), 1, "bindings")


@case("lists of bindings")
def _(t):
    x, y, q = exchange(t), exchange(t), queue(t)
    expect("POST", "/api/bindings/%%2F/e/%s/q/%s" % (x, q), 201, {"routing_key": "k"})
    expect("POST", "/api/bindings/%%2F/e/%s/e/%s" % (x, y), 201, {"routing_key": "b.*"})
    own, direct, further = binding("", q, q), binding(x, q, "k"), binding(
        x, y, "b.*", "exchange", properties_key="b.%2A")
    expect("GET", "/api/bindings", 200, answer=some(own, direct, further))
    expect("GET", "/api/bindings/%2F", 200, answer=some(own, direct, further))
    expect("GET", "/api/queues/%2F/" + q + "/bindings", 200, answer=[own, direct])
    expect("GET", "/api/exchanges/%2F/" + x + "/bindings/source", 200, answer=some(direct, further))
    equal(len(BROKER[0].ask("GET", "/api/exchanges/%2F/" + x + "/bindings/source").body), 2, "of it")
    expect("GET", "/api/exchanges/%2F/" + y + "/bindings/destination", 200, answer=[further])
    expect("GET", "/api/exchanges/%2F/amq.default/bindings/source", 200, answer=some(own))
    expect("GET", "/api/bindings/%2F/e/amq.default/q/" + q, 200, answer=[own])
    expect("GET", "/api/bindings/%2F/e/amq.default/q/" + q + "/" + q, 200, answer=own)
    expect("GET", "/api/bindings/%%2F/e/%s/e/%s" % (x, y), 200, answer=[further])
    expect("GET", "/api/bindings/%%2F/e/nosuch/q/%s" % q, 200, answer=[])
    expect("GET", "/api/bindings/%2F/e/" + x + "/q/nosuch", 200, answer=[])
    expect("GET", "/api/exchanges/%2F/nosuch/bindings/destination", 200, answer=[])
    expect("GET", "/api/queues/%2F/nosuch/bindings", 200, answer=[], differs="no such queue")
    expect("GET", "/api/bindings/nosuch", 404, answer=NOT_FOUND)
    expect("GET", "/api/bindings/%2F?columns=source,arguments.x", 200,
           answer=some({"source": x, ...: 0}))


@case("bindings that cannot be")
def _(t):
    x, q = exchange(t), queue(t)
    path = "/api/bindings/%%2F/e/%s/q/" % x
    expect("POST", path + "nosuch", 404, {}, error("not_found", "no queue 'nosuch' in vhost '/'"))
    expect("POST", "/api/bindings/%2F/e/nosuch/q/" + q, 404, {},
           error("not_found", "no exchange 'nosuch' in vhost '/'"))
    expect("POST", "/api/bindings/nosuch/e/x/q/q", 404, {}, NO_VHOST)
    expect("POST", "/api/bindings/%2F/e/amq.default/q/" + q, 401, {"routing_key": "b"}, REFUSED)
    expect("DELETE", "/api/bindings/%%2F/e/amq.default/q/%s/%s" % (q, q), 401, answer=REFUSED)
    expect("POST", "/api/bindings/%%2F/e/%s/z/%s" % (x, q), 404, {}, NOT_FOUND, "kind of destination")
    expect("POST", path + q, 400, {"routing_key": 5},
           bad("routing_key is a whole number, and should be a string"), "wrong types")
    expect("POST", path + q, 400, {"arguments": 5}, bad(matching("^arguments: ")), "wrong types")
    expect("POST", path + q, 400, b"no json", bad(matching("^not_json: ")), "not json")
    if not BROKER[0].oracle:
        expect("GET", path + q, 200, answer=[])


@case("many bindings of one exchange are all listed, each once")
def _(t):
    x, q, count = exchange(t), queue(t), 1500
    path = "/api/bindings/%%2F/e/%s/q/%s" % (x, q)
    for number in range(count):
        expect("POST", path, 201, {"routing_key": "%05d" % number})
    for where in (path, "/api/exchanges/%2F/" + x + "/bindings/source",
                  "/api/queues/%2F/" + q + "/bindings"):
        keys = [one["routing_key"] for one in BROKER[0].ask("GET", where).body if one["source"] == x]
        equal(sorted(keys), ["%05d" % number for number in range(count)], where)


# ---- virtual hosts ----

RATE = {"rate": 0.0}
VHOST = {"name": str, "description": "", "tags": [], "default_queue_type": "undefined",
         "metadata": {"description": "", "tags": []}, "tracing": False,
         "cluster_state": anything, ...: 0}


def vhost(t, **body):
    name = fresh("vhost")
    expect("PUT", "/api/vhosts/" + name, 201, body)
    t.cleanup(BROKER[0].ask, "DELETE", "/api/vhosts/" + name)
    return name


@case("a virtual host is made, described and deleted")
def _(_t):
    name = fresh("vhost")
    path = "/api/vhosts/" + name
    expect("PUT", path, 201)
    expect("GET", path, 200, answer=dict(VHOST, name=name))
    expect("GET", "/api/permissions/" + name + "/guest", 200,
           answer={"user": "guest", "vhost": name, "configure": ".*", "write": ".*", "read": ".*"})
    expect("PUT", path, 204, {"description": "d", "tags": "a,b", "tracing": True})
    meta = {"description": "d", "tags": ["a", "b"]}
    expect("GET", path, 200, answer=dict(VHOST, name=name, tracing=True, metadata=meta, **meta))
    expect("PUT", path, 204, {"tags": ["c"], "tracing": False})
    equal(BROKER[0].ask("GET", path).body["tags"], ["c"], "tags")
    expect("GET", "/api/vhosts", 200, answer=some(dict(VHOST, name=name, tags=["c"],
                                                       description=anything, metadata=anything)))
    expect("DELETE", path, 204)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("GET", path, 404, answer=NOT_FOUND)
    expect("GET", path + "/permissions", 404, answer=NOT_FOUND)
    expect("GET", path + "/topic-permissions", 404, answer=NOT_FOUND)


@case("the type of queues of a virtual host")
def _(_t):
    path = "/api/vhosts/" + fresh("vhost")
    expect("PUT", path, 201, {"default_queue_type": "quorum"})
    expect("GET", path, 200, answer={"default_queue_type": "quorum", ...: 0}, differs="queue type")
    expect("PUT", path, 400, {"default_queue_type": "nosuch"},
           bad("default_queue_type is 'nosuch', and may be classic, quorum or undefined"),
           "queue type")
    expect("DELETE", path, 204)


@case("virtual hosts that cannot be")
def _(_t):
    path = "/api/vhosts/" + fresh("vhost")
    expect("PUT", path, 400, {"tracing": "yes"},
           bad("tracing is a string, and should be true or false"), "wrong types")
    expect("PUT", path, 400, {"tags": 5}, bad("tags is a whole number, and should be a string"),
           "wrong types")
    expect("PUT", path, 400, {"tags": ["a", 5]}, bad("tags has something that is no string"),
           "wrong types")
    expect("PUT", path, 400, {"description": 5}, bad(), "wrong types")
    BROKER[0].ask("DELETE", path)
    expect("PUT", "/api/vhosts/" + "x" * 256, 400, {}, bad("a name has at most 255 bytes"),
           "256 bytes")


@case("names of virtual hosts")
def _(_t):
    for name in ("a/b", "%2F", "\u00fc \U0001f430", "a+b c", "x" * 255):
        path = "/api/vhosts/" + quote(name)
        expect("PUT", path, 201, {})
        expect("GET", path, 200, answer=dict(VHOST, name=name))
        expect("PUT", "/api/queues/" + quote(name) + "/q", 201, {"durable": True})
        expect("GET", "/api/queues/" + quote(name), 200, answer=[{"vhost": name, "name": "q", ...: 0}])
        expect("DELETE", path, 204)


@case("messages of a virtual host are counted")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("its counts come some seconds later")
    name = vhost(t)
    client = api.service.amqp.Connection(BROKER[0].uri)
    t.cleanup(client.close)
    client.open(vhost=name)
    client.channel()
    client.call(1, "confirm.select")
    for number in range(3):
        queue_name = "q%d" % number
        expect("PUT", "/api/queues/%s/%s" % (name, queue_name), 201, {"durable": True})
        client.publish(1, queue_name, b"x", delivery_mode=2)
        client.expect(1, "basic.ack")
    counts = {"messages": 3, "messages_details": RATE, "messages_ready": 3,
              "messages_ready_details": RATE, "messages_unacknowledged": 0,
              "messages_unacknowledged_details": RATE, ...: 0}
    expect("GET", "/api/vhosts/" + name, 200, answer=counts)
    expect("GET", "/api/vhosts", 200, answer=some(dict(counts, name=name)))


# ---- users ----

USER = {"name": str, "password_hash": str, "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [], "limits": {}}


def user(t, tags="", password="secret"):
    name = fresh("user")
    expect("PUT", "/api/users/" + name, 201, {"password": password, "tags": tags})
    t.cleanup(BROKER[0].ask, "DELETE", "/api/users/" + name)
    return name


@case("a user is made, changed and deleted")
def _(_t):
    name = fresh("user")
    path = "/api/users/" + name
    expect("PUT", path, 201, {"password": "p", "tags": "management,own"})
    expect("GET", path, 200, answer=dict(USER, name=name, tags=["management", "own"]))
    expect("GET", "/api/whoami", 200, user=(name, "p"),
           answer={"name": name, "tags": ["management", "own"]})
    expect("PUT", path, 204, {"password": "q", "tags": ["monitoring"]})
    expect("GET", "/api/whoami", 401, user=(name, "p"), answer=error("not_authorized", "Login failed"))
    expect("GET", "/api/whoami", 200, user=(name, "q"), answer={"name": name, "tags": ["monitoring"]})
    expect("GET", "/api/users", 200, answer=some(dict(USER, name=name, tags=["monitoring"])))
    expect("GET", "/api/users/without-permissions", 200,
           answer=some(dict(USER, name=name, tags=["monitoring"])))
    expect("DELETE", path, 204)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("GET", path, 404, answer=NOT_FOUND)
    expect("GET", "/api/whoami", 401, user=(name, "q"), answer=error("not_authorized", "Login failed"))


@case("hashes of passwords")
def _(_t):
    name = fresh("user")
    path = "/api/users/" + name
    for kind in ("sha256", "sha512", "md5"):
        salt = b"\x01\xff\x00z"
        hashed = base64.b64encode(salt + hashlib.new(kind, salt + b"pw").digest()).decode()
        algorithm = "rabbit_password_hashing_" + kind
        BROKER[0].ask("PUT", path, {"password_hash": hashed, "hashing_algorithm": algorithm,
                                    "tags": "management"})
        expect("GET", path, 200, answer=dict(USER, name=name, tags=["management"],
                                             password_hash=hashed, hashing_algorithm=algorithm))
        expect("GET", "/api/whoami", 200, user=(name, "pw"))
    expect("PUT", path, 204, {"password_hash": "", "tags": "management"})
    expect("GET", path, 200, answer=dict(USER, name=name, tags=["management"], password_hash=""))
    expect("GET", "/api/whoami", 401, user=(name, ""))
    for text in ("###", "AAA"):
        expect("PUT", path, 400, {"password_hash": text, "tags": ""},
               bad("password_hash is not base64 of salt and digest"), "no base64")
    expect("PUT", path, 400, {"password_hash": "AAAA", "tags": ""},
           bad(matching("has 3 bytes instead of 36")), "impossible hashes")
    expect("PUT", path, 400, {"password_hash": "", "hashing_algorithm": "nosuch", "tags": ""},
           bad(matching("^hashing_algorithm 'nosuch' is not known")), "impossible hashes")
    expect("DELETE", path, 204)


@case("users that cannot be")
def _(_t):
    path = "/api/users/" + fresh("user")
    expect("PUT", path, 400, {"password": "p"}, bad("tags_not_present"))
    expect("PUT", path, 400, None, bad("tags_not_present"))
    expect("PUT", path, 400, {"tags": 5}, bad("tags is a whole number, and should be a string"),
           "wrong types")
    expect("PUT", path, 400, {"tags": "", "password": 5},
           bad("password is a whole number, and should be a string"), "wrong types")
    expect("GET", path, 404, answer=NOT_FOUND)
    expect("POST", path, 405)
    expect("PUT", "/api/users/" + "x" * 256, 400, {"tags": ""}, bad(), "256 bytes")


@case("many users are deleted, or none")
def _(t):
    names = [user(t) for _ in range(3)]
    path = "/api/users/bulk-delete"
    given = ["nosuch"] + names if BROKER[0].oracle else names + ["nosuch"]
    expect("POST", path, 400, {"users": given}, bad("no_such_user: nosuch"), "no such user")
    expect("GET", "/api/users/" + names[0], 200)
    expect("POST", path, 400, {}, bad("[{key_missing,users}]"))
    expect("POST", path, 400, {"users": 5}, bad("users is a whole number, and should be an array"),
           "wrong types")
    expect("POST", path, 204, {"users": names[:2]})
    for name, status in zip(names, (404, 404, 200)):
        expect("GET", "/api/users/" + name, status)


# ---- permissions ----

@case("permissions are given, seen and taken")
def _(t):
    v, u = vhost(t), user(t)
    path = "/api/permissions/%s/%s" % (v, u)
    body = {"configure": "^c", "write": "", "read": ".*"}
    seen = dict(body, user=u, vhost=v)
    expect("GET", path, 404, answer=NOT_FOUND)
    expect("GET", "/api/users/" + u + "/permissions", 200, answer=[])
    expect("PUT", path, 201, body)
    expect("PUT", path, 204, body)
    expect("GET", path, 200, answer=seen)
    expect("GET", "/api/permissions", 200, answer=some(seen))
    expect("GET", "/api/users/" + u + "/permissions", 200, answer=[seen])
    expect("GET", "/api/vhosts/" + v + "/permissions", 200, answer=some(seen))
    expect("DELETE", path, 204)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    for other in ("/api/permissions/nosuch/" + u, "/api/permissions/" + v + "/nosuch"):
        expect("GET", other, 404, answer=NOT_FOUND)
        expect("DELETE", other, 404, answer=NOT_FOUND)
        expect("PUT", other, 400, body, bad("vhost_or_user_not_found"))
    expect("GET", "/api/users/nosuch/permissions", 404, answer=NOT_FOUND)


@case("permissions that cannot be")
def _(t):
    v, u = vhost(t), user(t)
    path = "/api/permissions/%s/%s" % (v, u)
    expect("PUT", path, 400, {"configure": "", "write": ""}, bad("[{key_missing,read}]"))
    expect("PUT", path, 400, {}, bad("[{key_missing,configure},{key_missing,write},{key_missing,read}]"))
    expect("PUT", path, 400, {"configure": "*", "write": "", "read": ""},
           bad(matching("^invalid regular expression '\\*'")), "no pattern")
    expect("PUT", path, 400, {"configure": 5, "write": "", "read": ""},
           bad("configure is a whole number, and should be a string"), "wrong types")
    expect("GET", path, 404, answer=NOT_FOUND)


@case("permissions of topics are given, seen and taken")
def _(t):
    v, u = vhost(t), user(t)
    path = "/api/topic-permissions/%s/%s" % (v, u)
    body = {"exchange": "amq.topic", "write": "^a", "read": ".*"}
    other = dict(body, exchange="other", write="^b")
    seen = [dict(one, user=u, vhost=v) for one in (body, other)]
    expect("GET", path, 404, answer=NOT_FOUND)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("PUT", path, 201, body)
    expect("PUT", path, 204, other)
    expect("PUT", path, 204, other)
    for where in (path, "/api/topic-permissions", "/api/users/" + u + "/topic-permissions",
                  "/api/vhosts/" + v + "/topic-permissions"):
        expect("GET", where, 200, answer=some(*seen))
    expect("GET", path + "/other", 200, answer=[seen[1]], differs="topic of one exchange")
    expect("DELETE", path + "/other", 204)
    expect("GET", path, 200, answer=seen[:1])
    expect("DELETE", path, 204)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("PUT", path, 400, {"exchange": "x", "write": ""}, bad("[{key_missing,read}]"))
    expect("PUT", path, 400, dict(body, write="*"), bad(matching("^invalid regular expression")),
           "no pattern")
    for where in ("/api/topic-permissions/nosuch/" + u, "/api/topic-permissions/" + v + "/nosuch"):
        expect("GET", where, 404, answer=NOT_FOUND)
        expect("PUT", where, 400, body, bad("vhost_or_user_not_found"))


# ---- who may do what ----

NO_ADMINISTRATOR = error("not_authorised", "Not administrator user")


@case("who is no administrator")
def _(t):
    v, w = vhost(t), vhost(t)
    names = {tags: user(t, tags) for tags in ("", "management", "policymaker", "monitoring")}
    for name in names.values():
        expect("PUT", "/api/permissions/%s/%s" % (v, name), 201,
               {"configure": "^m", "write": "^m", "read": "^m"})
    expect("GET", "/api/whoami", 401, user=(names[""], "secret"),
           answer=error("not_authorised", "Not management user"))
    for tags in ("management", "policymaker", "monitoring"):
        asking = (names[tags], "secret")
        for method, path in (("GET", "/users"), ("GET", "/users/guest"), ("PUT", "/users/x"),
                             ("DELETE", "/users/guest"), ("GET", "/permissions"),
                             ("GET", "/topic-permissions"), ("GET", "/vhosts/" + v),
                             ("PUT", "/vhosts/x"), ("DELETE", "/vhosts/" + v),
                             ("GET", "/vhosts/" + v + "/permissions"),
                             ("PUT", "/permissions/%s/%s" % (v, names[tags])),
                             ("GET", "/users/without-permissions"),
                             ("POST", "/users/bulk-delete")):
            expect(method, "/api" + path, 401, answer=NO_ADMINISTRATOR, user=asking)
    asking = (names["management"], "secret")
    seen = BROKER[0].ask("GET", "/api/vhosts", user=asking).body
    equal([one["name"] for one in seen], [v], "virtual hosts")
    no_vhost = error("not_authorised", "User not authorised to access virtual host")
    for path in ("/exchanges/", "/bindings/"):
        expect("GET", "/api" + path + w, 401, answer=no_vhost, user=asking)
        expect("GET", "/api" + path + v, 200, user=asking)
    expect("PUT", "/api/exchanges/" + v + "/mine", 201, {"type": "topic"}, user=asking)
    expect("PUT", "/api/exchanges/" + v + "/other", 401, {"type": "topic"}, REFUSED, user=asking)
    expect("PUT", "/api/exchanges/" + w + "/mine", 401, {"type": "topic"}, no_vhost, user=asking)
    expect("PUT", "/api/queues/" + v + "/mq", 201, {"durable": True}, user=asking)
    expect("POST", "/api/bindings/" + v + "/e/amq.direct/q/mq", 401, {}, REFUSED, user=asking)
    expect("POST", "/api/bindings/" + v + "/e/mine/q/mq", 201, {}, user=asking)
    expect("DELETE", "/api/bindings/" + v + "/e/mine/q/mq/~", 204, user=asking)
    expect("DELETE", "/api/exchanges/" + v + "/amq.direct", 401, answer=REFUSED, user=asking)


@case("what was changed is in the log, without passwords")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("it is Leveret's log")
    name = user(t, password="not-for-the-log")
    daemon = BROKER[0].daemon
    daemon.says("user=guest method=PUT path=/api/users/%s\n" % name)
    expect("POST", "/api/users/bulk-delete", 204, {"users": [name]})
    daemon.says("user=guest method=POST path=/api/users/bulk-delete name=%s\n" % name)
    equal(" info changed peer=127.0.0.1:" in daemon.log(), True, "who it was")
    equal("uid:" in daemon.log(), False, "a user of the system by TCP")
    equal("not-for-the-log" in daemon.log(), False, "a password in the log")


@case("who is deleted has no connection any more, nor has who is in a virtual host that is")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("RabbitMQ closes them some time later")
    v, u = vhost(t), user(t)
    expect("PUT", "/api/permissions/%s/%s" % (v, u), 201, {"configure": "", "write": "", "read": ""})
    for path in ("/api/users/" + u, "/api/vhosts/" + v):
        client = api.service.amqp.Connection(BROKER[0].uri)
        t.cleanup(client.close)
        if "users" in path:
            client.open(user=u, password="secret", vhost=v)
        else:
            client.open(vhost=v)
        expect("DELETE", path, 204)
        equal(client.expect(0, "connection.close").reply_code, 320, "code")


# ---- policies ----

POLICY = {"pattern": "^none", "definition": {"message-ttl": 1000}, "priority": 3,
          "apply-to": "queues"}


@case("policies are set, seen and taken away")
def _(_t):
    for kind in ("policies", "operator-policies"):
        name = fresh("policy")
        path = "/api/%s/%%2F/%s" % (kind, name)
        seen = dict(POLICY, name=name, vhost="/")
        expect("PUT", path, 201, POLICY)
        expect("PUT", path, 204, POLICY)
        expect("GET", path, 200, answer=seen)
        expect("GET", "/api/" + kind, 200, answer=some(seen))
        expect("GET", "/api/" + kind + "/%2F", 200, answer=some(seen))
        expect("PUT", path, 204, {"pattern": "x", "definition": {"max-length": 1}})
        expect("GET", path, 200, answer={"pattern": "x", "definition": {"max-length": 1}, "priority": 0,
                                         "apply-to": "all", "name": name, "vhost": "/"})
        expect("DELETE", path, 204)
        expect("DELETE", path, 404, answer=NOT_FOUND)
        expect("GET", path, 404, answer=NOT_FOUND)
        expect("GET", "/api/" + kind + "/nosuch", 404, answer=NOT_FOUND)
        expect("PUT", "/api/" + kind + "/nosuch/x", 404, POLICY, NO_VHOST)


@case("policies that cannot be")
def _(_t):
    def invalid(text):
        return bad("Validation failed\n\n" + text + "\n")

    path = "/api/policies/%2F/" + fresh("policy")
    expect("PUT", path, 400, {"definition": {}}, bad("[{key_missing,pattern}]"))
    expect("PUT", path, 400, {"pattern": ""}, bad("[{key_missing,definition}]"))
    expect("PUT", path, 400, None, bad("[{key_missing,pattern},{key_missing,definition}]"))
    expect("PUT", path, 400, dict(POLICY, definition={}), invalid("no policy provided"))
    expect("PUT", path, 400, dict(POLICY, definition={"nosuch": 1}),
           invalid('[{<<"nosuch">>,1}] are not recognised policy settings'), "escaped")
    expect("PUT", path, 400, dict(POLICY, definition={"message-ttl": "x"}),
           invalid('<<"x">> is not a valid message TTL'), "escaped")
    expect("PUT", path, 400, dict(POLICY, definition=5), bad(matching("^Validation failed")),
           "wrong types")
    expect("PUT", path, 400, dict(POLICY, pattern="*"),
           bad(matching("^Validation failed\n\npattern should be regular expression but is invalid: ")))
    expect("PUT", path, 400, dict(POLICY, pattern=5),
           invalid("pattern should be a string, and is a whole number"), "wrong types")
    expect("PUT", path, 400, dict(POLICY, priority="7"),
           invalid("priority should be a number, and is a string"), "wrong types")
    expect("PUT", path, 400, dict(POLICY, **{"apply-to": "nosuch"}),
           bad(matching("^Validation failed\n\napply-to 'nosuch' unrecognised; should be ")))
    expect("PUT", path.replace("policies", "operator-policies"), 400,
           dict(POLICY, definition={"dead-letter-exchange": "x"}),
           invalid('[{<<"dead-letter-exchange">>,<<"x">>}] are not recognised policy settings'))
    expect("GET", path, 404, answer=NOT_FOUND)


@case("who may set policies")
def _(t):
    v, w, u = vhost(t), vhost(t), user(t, "policymaker")
    expect("PUT", "/api/permissions/%s/%s" % (v, u), 201, {"configure": "", "write": "", "read": ""})
    asking = (u, "secret")
    expect("PUT", "/api/policies/" + v + "/p", 201, POLICY, user=asking)
    expect("PUT", "/api/policies/" + w + "/p", 401, POLICY, user=asking)
    expect("PUT", "/api/operator-policies/" + v + "/p", 401, POLICY, NO_ADMINISTRATOR, user=asking)
    expect("GET", "/api/policies", 200, answer=[dict(POLICY, name="p", vhost=v)], user=asking)
    expect("GET", "/api/policies/" + w, 401, user=asking,
           answer=error("not_authorised", "User not authorised to access virtual host"))
    expect("PUT", "/api/vhost-limits/" + v + "/max-queues", 401, {"value": 1}, NO_ADMINISTRATOR,
           user=asking)
    manager = (user(t, "management"), "secret")
    expect("GET", "/api/parameters", 401, user=manager,
           answer=error("not_authorised", "User not authorised to access object"))


# ---- parameters and limits ----

@case("operator policies and limits as parameters")
def _(t):
    v = vhost(t)
    base = "/api/parameters/operator_policy/" + v
    seen = {"value": POLICY, "vhost": v, "component": "operator_policy", "name": "p"}
    expect("PUT", base + "/p", 201, {"value": POLICY})
    expect("PUT", base + "/p", 204, {"value": POLICY})
    for path in ("/api/parameters", "/api/parameters/operator_policy", base):
        expect("GET", path, 200, answer=some(seen))
    expect("GET", base + "/p", 200, answer=seen)
    expect("DELETE", base + "/p", 204)
    expect("DELETE", base + "/p", 404, answer=NOT_FOUND)
    base = "/api/parameters/vhost-limits/" + v
    limits = {"value": {"max-queues": 5, "max-connections": 7}, "vhost": v,
              "component": "vhost-limits", "name": "limits"}
    expect("PUT", base + "/limits", 204, {"value": limits["value"]}, differs="new limits")
    expect("GET", base + "/limits", 200, answer=limits)
    expect("GET", base, 200, answer=[limits])
    expect("GET", "/api/vhost-limits/" + v, 200, answer=[{"vhost": v, "value": limits["value"]}])
    expect("DELETE", base + "/limits", 204)
    expect("GET", base + "/limits", 404, answer=NOT_FOUND)
    expect("PUT", "/api/policies/" + v + "/p", 201, POLICY)
    expect("GET", "/api/parameters/policy/" + v, 200, answer=[dict(seen, component="policy")])


@case("parameters that cannot be")
def _(_t):
    def unknown(name):
        return bad("Validation failed\n\ncomponent %s not found\n" % name)

    for name in ("nosuch", "Shovel"):
        expect("PUT", "/api/parameters/" + name + "/%2F/x", 400, {"value": {}}, unknown(name))
        expect("GET", "/api/parameters/" + name, 200, answer=[])
        expect("GET", "/api/parameters/" + name + "/%2F/x", 404, answer=NOT_FOUND)
        expect("DELETE", "/api/parameters/" + name + "/%2F/x", 404, answer=NOT_FOUND)
    expect("PUT", "/api/parameters/nosuch/nosuch/x", 404, {"value": {}}, NO_VHOST)
    expect("GET", "/api/parameters/operator_policy/nosuch", 404, answer=NOT_FOUND)
    expect("PUT", "/api/parameters/policy/%2F/x", 400, {"value": POLICY},
           bad("policies may not be set using this method"))
    expect("PUT", "/api/parameters/operator_policy/%2F/x", 400, {}, bad("[{key_missing,value}]"))
    expect("PUT", "/api/parameters/operator_policy/%2F/x", 400, {"value": 5},
           bad("Validation failed\n\nvalue should be an object, and is a whole number\n"),
           "wrong types")


@case("limits of a virtual host")
def _(t):
    v = vhost(t)
    base = "/api/vhost-limits/" + v
    expect("GET", base, 200, answer=[])
    expect("PUT", base + "/max-queues", 204, {"value": 1})
    expect("GET", base, 200, answer=[{"vhost": v, "value": {"max-queues": 1}}])
    expect("PUT", "/api/queues/" + v + "/one", 201, {"durable": True})
    expect("PUT", "/api/queues/" + v + "/two", 400, {"durable": True},
           bad("cannot declare queue 'two': queue limit in vhost '%s' (1) is reached" % v))
    expect("PUT", base + "/max-connections", 204, {"value": 7})
    both = {"vhost": v, "value": {"max-queues": 1, "max-connections": 7}}
    expect("GET", base, 200, answer=[both])
    expect("GET", "/api/vhost-limits", 200, answer=some(both))
    expect("DELETE", base + "/max-queues", 204)
    expect("DELETE", base + "/max-connections", 204)
    expect("GET", base, 200, answer=[])
    expect("PUT", base + "/max-queues", 400, {}, bad("[{key_missing,value}]"))
    expect("PUT", "/api/vhost-limits/nosuch/max-queues", 404, {"value": 5}, NO_VHOST)
    expect("GET", "/api/vhost-limits/nosuch", 404, answer=NOT_FOUND)
    expect("GET", base + "/max-queues", 405)
    expect("PUT", base + "/max-queues", 400, {"value": "5"},
           bad("max-queues should be a number, and is a string"), "wrong types")
    expect("PUT", base + "/nosuch", 400, {"value": 5},
           bad("Unrecognised limit 'nosuch'; it may be max-connections, max-queues, max-messages, "
               "max-message-bytes, max-publish-rate or max-publish-bytes-rate"), "wrong types")


@case("limits of a user")
def _(t):
    u = user(t, "management")
    base = "/api/user-limits/" + u
    expect("GET", base, 200, answer=[])
    expect("PUT", base + "/max-channels", 204, {"value": 500})
    expect("PUT", base + "/max-connections", 204, {"value": 5})
    both = {"user": u, "value": {"max-channels": 500, "max-connections": 5}}
    expect("GET", base, 200, answer=[both])
    expect("GET", "/api/user-limits", 200, answer=some(both))
    equal(BROKER[0].ask("GET", "/api/users/" + u).body["limits"], both["value"], "limits")
    expect("DELETE", base + "/max-channels", 204)
    expect("DELETE", base + "/max-channels", 204)
    expect("GET", base, 200, answer=[{"user": u, "value": {"max-connections": 5}}])
    expect("PUT", base + "/max-channels", 400, {}, bad("[{key_missing,value}]"))
    expect("GET", "/api/user-limits/nosuch", 404, answer=NOT_FOUND)
    expect("PUT", "/api/user-limits/nosuch/max-channels", 400, {"value": 5},
           bad("no_such_user: nosuch"), "no such user")
    expect("PUT", base + "/max-channels", 400, {"value": "x"},
           bad("max-channels should be a number, and is a string"), "wrong types")


@case("quotas of a virtual host and of a user")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("RabbitMQ has no such thing")
    v, u = vhost(t), user(t, "management")
    quotas = {"max-messages": 5, "max-message-bytes": 1 << 40, "max-publish-rate": 0,
              "max-publish-bytes-rate": 7}
    for name, most in quotas.items():
        expect("PUT", "/api/vhost-limits/" + v + "/" + name, 204, {"value": most})
    expect("PUT", "/api/vhost-limits/" + v + "/max-queues", 204, {"value": 9})
    expect("GET", "/api/vhost-limits/" + v, 200,
           answer=[{"vhost": v, "value": dict(quotas, **{"max-queues": 9})}])
    expect("GET", "/api/parameters/vhost-limits/" + v, 200, answer=[
        {"vhost": v, "component": "vhost-limits", "name": "limits",
         "value": dict(quotas, **{"max-queues": 9})}])
    exported = of_vhost(v)
    equal([one["value"] for one in exported["parameters"]], [dict(quotas, **{"max-queues": 9})],
          "exported")
    expect("DELETE", "/api/vhost-limits/" + v + "/max-message-bytes", 204)
    expect("PUT", "/api/vhost-limits/" + v + "/max-publish-rate", 204, {"value": -1})
    expect("GET", "/api/vhost-limits/" + v, 200, answer=[
        {"vhost": v, "value": {"max-messages": 5, "max-publish-bytes-rate": 7, "max-queues": 9}}])
    expect("POST", "/api/definitions/" + v, 204, exported)
    expect("GET", "/api/vhost-limits/" + v, 200,
           answer=[{"vhost": v, "value": dict(quotas, **{"max-queues": 9})}])
    expect("PUT", "/api/vhost-limits/" + v + "/max-messages", 400, {"value": (1 << 53) + 1},
           bad("max-messages is more than 9007199254740992"))
    expect("PUT", "/api/user-limits/" + u + "/max-publish-rate", 204, {"value": 100})
    expect("GET", "/api/user-limits/" + u, 200, answer=[{"user": u, "value": {"max-publish-rate": 100}}])
    expect("PUT", "/api/user-limits/" + u + "/max-messages", 400, {"value": 100},
           bad("Unrecognised limit 'max-messages'; it may be max-connections, max-channels, "
               "max-publish-rate or max-publish-bytes-rate"))
    named = [one for one in BROKER[0].ask("GET", "/api/definitions").body["users"] if one["name"] == u]
    equal(named[0]["limits"], {"max-publish-rate": 100}, "a user's, exported")
    expect("DELETE", "/api/user-limits/" + u + "/max-publish-rate", 204)
    expect("GET", "/api/user-limits/" + u, 200, answer=[])


# ---- what is asked of a cluster ----

@case("the cluster's name, its flags, and what a password is kept as")
def _(_t):
    expect("GET", "/api/cluster-name", 200, answer={"name": str})
    expect("GET", "/api/global-parameters", 200, answer=[{"name": str, "value": anything}, ...])
    expect("GET", "/api/global-parameters/nosuch", 404, answer=NOT_FOUND)
    expect("GET", "/api/extensions", 200, answer=[], differs="extensions")
    flag = {"name": str, "desc": str, "doc_url": str, "state": "enabled", "stability": "stable",
            "provided_by": str}
    expect("GET", "/api/feature-flags", 200, answer=[flag, ...])
    expect("GET", "/api/feature-flags", 200, answer=some(dict(flag, name="quorum_queue")))
    expect("PUT", "/api/feature-flags/quorum_queue/enable", 204, {})
    expect("PUT", "/api/feature-flags/nosuch/enable", 400, {}, bad("unsupported"))
    if BROKER[0].oracle:
        return  # 3.10 does not hash passwords for others
    made = expect("GET", "/api/auth/hash_password/s%2Fecret", 200, answer={"ok": str}).body["ok"]
    raw = base64.b64decode(made)
    equal(hashlib.sha256(raw[:4] + b"s/ecret").digest(), raw[4:], "digest")


# ---- definitions ----

DEFINITIONS = {"rabbit_version": str, "rabbitmq_version": str, "product_name": str,
               "product_version": str, "users": [dict(USER, tags=anything, limits=anything,
                                                      hashing_algorithm=str), ...],
               "vhosts": [{"name": str, ...: 0}, ...], "permissions": anything,
               "topic_permissions": anything, "parameters": anything, "policies": anything,
               "queues": anything, "exchanges": anything, "bindings": anything, ...: 0}


def fill(v):
    """A virtual host with one of everything."""
    for path, body in (
            ("/queues/%s/a%%2Fb", {"durable": True, "arguments": {"x-max-length": 5}}),
            ("/exchanges/%s/x", {"type": "topic", "durable": True}),
            ("/policies/%s/p", POLICY), ("/operator-policies/%s/o", POLICY)):
        expect("PUT", "/api" + path % v, 201, body)
    expect("PUT", "/api/vhost-limits/%s/max-queues" % v, 204, {"value": 5})
    expect("POST", "/api/bindings/%s/e/x/q/a%%2Fb" % v, 201,
           {"routing_key": "k", "arguments": {"h": "v"}})


def of_vhost(v):
    got = BROKER[0].ask("GET", "/api/definitions/" + v).body
    return {key: got[key] for key in ("parameters", "policies", "queues", "exchanges", "bindings")}


@case("definitions of everything")
def _(t):
    v = vhost(t)
    fill(v)
    got = expect("GET", "/api/definitions", 200, answer=DEFINITIONS).body
    for section, item in (
            ("queues", {"name": "a/b", "vhost": v, "durable": True, "auto_delete": False,
                        "arguments": {"x-max-length": 5}}),
            ("exchanges", {"name": "x", "vhost": v, "type": "topic", "durable": True,
                           "auto_delete": False, "internal": False, "arguments": {}}),
            ("bindings", {"source": "x", "vhost": v, "destination": "a/b", "destination_type": "queue",
                          "routing_key": "k", "arguments": {"h": "v"}}),
            ("policies", dict(POLICY, name="p", vhost=v)),
            ("parameters", {"vhost": v, "component": "operator_policy", "name": "o", "value": POLICY}),
            ("permissions", {"user": "guest", "vhost": v, "configure": ".*", "write": ".*",
                             "read": ".*"})):
        equal([one for one in got[section] if one == item], [item], section)
    names = [one["name"] for one in got["exchanges"]]
    equal([one for one in names if not one or one.startswith("amq.")], [], "given exchanges")
    equal([one for one in got["bindings"] if not one["source"]], [], "bindings of the default one")
    one = expect("GET", "/api/definitions?download=a.json", 200)
    equal(one.headers.get("content-disposition"), "attachment; filename=a.json", "its name")
    if not BROKER[0].oracle:  # which fails
        one = expect("GET", "/api/definitions?download=a%0Ab.json&sort=x&page=0", 200)
        equal(one.headers.get("content-disposition"), "attachment; filename=a_b.json", "its name")
    equal(BROKER[0].ask("GET", "/api/all-configuration").status, 200, "by its old name")
    expect("GET", "/api/definitions/nosuch", 404, answer=NOT_FOUND, differs="definitions of none")


@case("definitions of one virtual host make another one the same")
def _(t):
    v, w = vhost(t), vhost(t)
    fill(v)
    text = BROKER[0].ask("GET", "/api/definitions/" + v).bytes
    if BROKER[0].oracle:
        return  # 3.10 wants the virtual host in some of them
    equal(b'"vhost"' in text or b"properties_key" in text, False, "what an export does not have")
    expect("POST", "/api/definitions/" + w, 204, text)
    expect("POST", "/api/definitions/" + w, 204, text)
    equal(of_vhost(w), of_vhost(v), "definitions")


@case("what was exported is imported")
def _(t):
    v, u = vhost(t), user(t)
    fill(v)
    text = BROKER[0].ask("GET", "/api/definitions").bytes
    expect("DELETE", "/api/queues/" + v + "/a%2Fb", 204)
    expect("DELETE", "/api/exchanges/" + v + "/x", 204)
    expect("DELETE", "/api/users/" + u, 204)
    expect("DELETE", "/api/policies/" + v + "/p", 204)
    expect("POST", "/api/definitions", 204, text)
    for path in ("/queues/" + v + "/a%2Fb", "/exchanges/" + v + "/x", "/users/" + u,
                 "/policies/" + v + "/p"):
        expect("GET", "/api" + path, 200)
    equal(len(BROKER[0].ask("GET", "/api/bindings/" + v + "/e/x/q/a%2Fb").body), 1, "bindings")


@case("of definitions with a fault in them nothing is imported")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("RabbitMQ imports what comes before the fault")
    v, u = vhost(t), user(t)
    fill(v)
    expect("PUT", "/api/permissions/%s/%s" % (v, u), 201, {"configure": "a", "write": "b", "read": "c"})
    expect("PUT", "/api/topic-permissions/%s/%s" % (v, u), 201,
           {"exchange": "x", "write": "b", "read": "c"})
    expect("PUT", "/api/exchanges/" + v + "/unbound", 201, {"auto_delete": True})
    before = BROKER[0].ask("GET", "/api/definitions").body
    text = {
        "users": [{"name": u, "password": "other", "tags": "administrator",
                   "limits": {"max-channels": 3}}, {"name": "new", "password": "p", "tags": ""}],
        "vhosts": [{"name": v, "description": "other", "tags": ["t"]}, {"name": "newvhost"}],
        "permissions": [{"user": name, "vhost": where, "configure": "", "write": "", "read": ""}
                        for name in (u, "new") for where in (v, "newvhost")],
        "topic_permissions": [{"user": u, "vhost": v, "exchange": name, "write": "", "read": ""}
                              for name in ("x", "y")],
        "policies": [dict(POLICY, vhost=v, name=name, priority=9) for name in ("p", "q")],
        "parameters": [{"vhost": v, "component": "vhost-limits", "name": "limits",
                        "value": {"max-queues": 77}}],
        "queues": [{"name": "n", "vhost": where} for where in (v, "newvhost")],
        "exchanges": [{"name": "n", "vhost": where, "type": "fanout"} for where in (v, "newvhost")],
        "bindings": [{"source": "unbound", "vhost": v, "destination": "a/b", "routing_key": "n"},
                     {"source": "x", "vhost": v, "destination": "n", "routing_key": "n"},
                     {"source": "n", "vhost": "newvhost", "destination": "n", "arguments": {"a": 1}},
                     {"source": "x", "vhost": v, "destination": "nosuch"}]}
    expect("POST", "/api/definitions", 400, text,
           bad("nothing was imported: binding 4 'x': no queue 'nosuch' in vhost '%s'" % v))
    equal(BROKER[0].ask("GET", "/api/definitions").body, before, "definitions")
    expect("GET", "/api/vhosts/newvhost", 404)
    del text["bindings"][3]
    api.tap.eventually(lambda: BROKER[0].ask("POST", "/api/definitions", text).status == 204)
    equal(BROKER[0].ask("GET", "/api/users/" + u).body["limits"], {"max-channels": 3}, "limits")
    expect("GET", "/api/queues/newvhost/n", 200)
    expect("DELETE", "/api/vhosts/newvhost", 204)
    expect("DELETE", "/api/users/new", 204)


@case("definitions that are none")
def _(_t):
    expect("POST", "/api/definitions", 204, {})
    expect("POST", "/api/definitions", 400, b"no json", bad(matching("^nothing was imported: ")),
           "faults of definitions")
    expect("POST", "/api/definitions", 400, [1], bad(matching("^nothing was imported: ")),
           "faults of definitions")
    expect("POST", "/api/definitions", 400, {"queues": 5},
           bad("nothing was imported: 'queues' must be an array, and not a whole number"),
           "faults of definitions")
    expect("POST", "/api/definitions", 400, {"queues": [{"name": "q", "vhost": "nosuch"}]},
           bad(matching("virtual host \"nosuch\"")), "faults of definitions")
    expect("POST", "/api/definitions/nosuch", 404, {}, NO_VHOST)


@case("definitions of many queues")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("it takes a minute")
    v, count = vhost(t), 5000
    queues = [{"name": "q%05d" % number, "durable": True, "auto_delete": False, "arguments": {}}
              for number in range(count)]
    expect("POST", "/api/definitions/" + v, 204, {"queues": queues})
    equal(of_vhost(v)["queues"], queues, "queues")
    bad_one = {"source": "", "destination": "nosuch", "routing_key": "k"}
    expect("POST", "/api/definitions/" + v, 400,
           {"queues": [{"name": "new%d" % number} for number in range(count)], "bindings": [bad_one]},
           bad("nothing was imported: binding 1 '': no queue 'nosuch' in vhost '%s'" % v))
    equal(of_vhost(v)["queues"], queues, "queues")


def post_of(path, body):
    """The bytes of a request."""
    body = json.dumps(body).encode()
    return ("POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n" %
            (path, api.basic("guest", "guest"), len(body))).encode() + body


def connect():
    host, port = BROKER[0].address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), api.PATIENCE)


@case("imports at the same time come one after the other, and others are served meanwhile")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("it takes a minute")
    count, hosts = 3000, [vhost(t), vhost(t)]
    clients = [connect() for _ in hosts]
    for client, v in zip(clients, hosts):
        client.sendall(post_of("/api/definitions/" + v,
                               {"queues": [{"name": "q%d" % number} for number in range(count)]}))
    expect("GET", "/api/whoami", 200)
    for client, v in zip(clients, hosts):
        equal(client.recv(12), b"HTTP/1.1 204", "an import")
        equal(len(of_vhost(v)["queues"]), count, "queues")
        client.close()


@case("an import goes on when its client is gone")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("it takes a minute")
    v, count = vhost(t), 3000
    client = connect()
    client.sendall(post_of("/api/definitions/" + v,
                           {"queues": [{"name": "q%d" % number} for number in range(count)]}))
    client.close()
    api.tap.eventually(lambda: len(of_vhost(v)["queues"]) == count)


@case("an import into a virtual host that is deleted meanwhile")
def _(t):
    if BROKER[0].oracle:
        raise api.Skip("it takes a minute")
    v, count = vhost(t), 20000
    client = connect()
    t.cleanup(client.close)
    client.sendall(post_of("/api/definitions/" + v,
                           {"queues": [{"name": "q%d" % number} for number in range(count)]}))
    expect("DELETE", "/api/vhosts/" + v, 204)
    check(client.recv(12) in (b"HTTP/1.1 204", b"HTTP/1.1 400", b"HTTP/1.1 404"), "no answer")
    expect("GET", "/api/vhosts/" + v, 404)
    expect("POST", "/api/definitions", 204, {})


if __name__ == "__main__":
    api.main(BROKER.append)

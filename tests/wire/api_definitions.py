#!/usr/bin/python3
"""The API's resources of definitions: exchanges, bindings, users, policies and their like.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import itertools
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import anything, case, equal, error, matching, quote, some  # noqa: E402

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
    for path in ("/exchanges/%2F/no", "/queues/%2F/no"):
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


if __name__ == "__main__":
    api.main(BROKER.append)

#!/usr/bin/python3
"""The API's resources of what operators keep in a broker: parameters, the name of the cluster, protection.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import (NOT_FOUND, NUMBERS, broker, broker_at, case, check, equal, error,  # noqa: E402
                 expect, matching, ours, path_of, some)

import amqp  # noqa: E402
import service  # noqa: E402


def bad(reason=str):
    return error("bad_request", reason)


def fresh(kind):
    return "%s%d" % (kind, next(NUMBERS))


def vhost(t):
    v = fresh("vhost")
    expect("PUT", "/api/vhosts/" + v, 201)
    t.cleanup(broker().ask, "DELETE", "/api/vhosts/" + v)
    return v


UPSTREAM = {"uri": "amqp://127.0.0.1:1", "expires": 3600000, "trust-user-id": False}


# ---- of virtual hosts ----

@case("a parameter is kept, changed, and goes")
def _(t):
    v, path = vhost(t), None
    path = path_of("parameters", "federation-upstream", v, "up/1")
    one = {"component": "federation-upstream", "vhost": v, "name": "up/1", "value": UPSTREAM}
    expect("PUT", path, 201, {"value": UPSTREAM})
    for place in ("", "/federation-upstream", "/federation-upstream/" + v):
        expect("GET", "/api/parameters" + place, 200, answer=some(one))
    expect("GET", path, 200, answer=one)
    other = dict(UPSTREAM, expires=5)
    expect("PUT", path, 204, {"value": other})
    expect("PUT", path, 204, {"value": other})
    expect("GET", path, 200, answer=dict(one, value=other))
    expect("GET", "/api/parameters/federation-upstream/" + v + "?columns=name", 200,
           answer=[{"name": "up/1"}])
    expect("DELETE", path, 204)
    expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("GET", path, 404, answer=NOT_FOUND)
    expect("GET", "/api/parameters/federation-upstream/" + v, 200, answer=[])


@case("parameters go with their virtual host")
def _(t):
    v = vhost(t)
    for number in range(3):
        expect("PUT", path_of("parameters", "federation-upstream", v, str(number)), 201,
               {"value": UPSTREAM})
    expect("DELETE", "/api/vhosts/" + v, 204)
    expect("GET", path_of("parameters", "federation-upstream", v), 404, answer=NOT_FOUND)
    equal([p for p in expect("GET", "/api/parameters", 200).body if p["vhost"] == v], [], "left")


@case("what is no parameter")
def _(t):
    v = vhost(t)
    for component in ("nosuch", "Shovel", "x" * 300):
        expect("PUT", path_of("parameters", component, v, "x"), 400, {"value": {}},
               bad("Validation failed\n\ncomponent %s not found\n" % component)
               if len(component) < 256 or broker().oracle else bad())
        expect("GET", path_of("parameters", component, v, "x"), 404, answer=NOT_FOUND)
        expect("DELETE", path_of("parameters", component, v, "x"), 404, answer=NOT_FOUND)
    path = path_of("parameters", "federation-upstream", v, "x")
    expect("PUT", path, 400, {}, bad("[{key_missing,value}]"))
    expect("PUT", path_of("parameters", "federation-upstream", "nosuch", "x"), 404, {"value": {}},
           error("not_found", "vhost_not_found"))
    if not broker().oracle:  # which says what of it is missing
        expect("PUT", path, 400, {"value": 5}, bad(matching("^Validation failed\n\nvalue should be")))
        expect("PUT", path, 400, {"value": {"uri": "x" * 70000}}, bad(matching("and may have 65536\n")))
    expect("GET", path, 404, answer=NOT_FOUND)


# ---- of the broker ----

@case("global parameters have any name and value")
def _(t):
    for value in ("text", "", 5, -1, 0.1, True, [], [1, "a", {"b": [None]}],
                  {"a": {"b": 1.5, "c": "\u00fc\u0001\""}}):
        name = fresh("global")
        path = "/api/global-parameters/" + name
        expect("PUT", path, 201, {"value": value})
        t.cleanup(broker().ask, "DELETE", path)
        expect("GET", path, 200, answer={"name": name, "value": value})
        expect("GET", "/api/global-parameters", 200, answer=some({"name": name, "value": value}))
        expect("PUT", path, 204, {"value": "other"})
        expect("GET", path, 200, answer={"name": name, "value": "other"})
        expect("DELETE", path, 204)
        expect("DELETE", path, 404, answer=NOT_FOUND)
    expect("PUT", "/api/global-parameters/x", 400, {}, bad("[{key_missing,value}]"))
    expect("GET", "/api/global-parameters/x", 404, answer=NOT_FOUND)


def cluster_name():
    c = amqp.Connection(broker().uri)
    try:
        return amqp_text(c.begin().server_properties["cluster_name"])
    finally:
        c.abort()


def amqp_text(value):
    return value.decode() if isinstance(value, bytes) else value


@case("the name of the cluster is a global parameter, and what all are told")
def _(t):
    before = expect("GET", "/api/cluster-name", 200).body["name"]
    t.cleanup(broker().ask, "PUT", "/api/cluster-name", {"name": before})
    expect("PUT", "/api/cluster-name", 204, {"name": "rabbits"})
    expect("GET", "/api/cluster-name", 200, answer={"name": "rabbits"})
    expect("GET", "/api/overview?columns=cluster_name", 200, answer={"cluster_name": "rabbits"})
    expect("GET", "/api/global-parameters/cluster_name", 200,
           answer={"name": "cluster_name", "value": "rabbits"})
    equal(cluster_name(), "rabbits", "a client is told")
    expect("PUT", "/api/cluster-name", 204, {"name": "hares"})
    equal(cluster_name(), "hares", "then another one")
    expect("PUT", "/api/cluster-name", 400, {}, bad("[{key_missing,name}]"))
    expect("DELETE", "/api/cluster-name", 405)


@case("who may set them")
def _(t):
    expect("PUT", "/api/users/keeper", 201, {"password": "keeper", "tags": "management"})
    t.cleanup(broker().ask, "DELETE", "/api/users/keeper")
    user = ("keeper", "keeper")
    for path in ("/api/global-parameters/x", "/api/cluster-name",
                 "/api/parameters/federation-upstream/%2F/x"):
        expect("PUT", path, 401, {"value": {}, "name": "x"}, user=user,
               answer=error("not_authorised"))
    expect("GET", "/api/cluster-name", 200, user=user)
    expect("GET", "/api/global-parameters", 401, user=user, answer=error("not_authorised"))


# ---- and all of it once more ----

def fill(own):
    own.expect("PUT", "/api/vhosts/kept", 201, {"description": "d"})
    own.expect("POST", "/api/vhosts/kept/deletion/protection", 204)
    own.expect("PUT", "/api/parameters/shovel/kept/s", 201, {"value": {"src-uri": "amqp://"}})
    own.expect("PUT", "/api/parameters/federation-upstream-set/kept/f", 201,
               {"value": [{"upstream": "up"}]})
    own.expect("PUT", "/api/global-parameters/text", 201, {"value": "t"})
    own.expect("PUT", "/api/global-parameters/other", 201, {"value": {"a": [1, 0.5]}})
    own.expect("PUT", "/api/cluster-name", 204, {"name": "kept"})


PARAMETERS = [
    {"component": "federation-upstream-set", "vhost": "kept", "name": "f",
     "value": [{"upstream": "up"}]},
    {"component": "shovel", "vhost": "kept", "name": "s", "value": {"src-uri": "amqp://"}}]
GLOBALS = [{"name": "cluster_name", "value": "kept"}, {"name": "other", "value": {"a": [1, 0.5]}},
           {"name": "text", "value": "t"}]


def has_all(own):
    own.expect("GET", "/api/parameters", 200, answer=PARAMETERS)
    own.expect("GET", "/api/global-parameters", 200, answer=GLOBALS)
    own.expect("GET", "/api/cluster-name", 200, answer={"name": "kept"})
    own.expect("DELETE", "/api/vhosts/kept", 412, answer=error("precondition_failed"))


def start(t, folder, *options):
    daemon = service.serve(t, folder, "--management", "127.0.0.1:0", *options)
    return daemon, broker_at(t, daemon)


@case("they are there after a restart, and after a crash")
@ours
def _(t):
    folder = service.folder(t)
    daemon, own = start(t, folder)
    fill(own)
    has_all(own)
    daemon.says(" warning parameter_kept component=shovel vhost=kept name=s")
    daemon.stop()
    daemon, own = start(t, folder)
    has_all(own)
    own.expect("PUT", "/api/global-parameters/late", 201, {"value": 1})
    own.expect("DELETE", "/api/global-parameters/late", 204)
    daemon.kill()
    daemon, own = start(t, folder)
    has_all(own)


@case("they are part of the definitions")
@ours
def _(t):
    _, own = start(t, service.folder(t))
    fill(own)
    definitions = own.ask("GET", "/api/definitions").body
    equal((definitions["parameters"], definitions["global_parameters"]), (PARAMETERS, GLOBALS),
          "what is exported")
    one = own.ask("GET", "/api/definitions/kept").body
    check("global_parameters" not in one, "of one virtual host there are none")
    equal([p["name"] for p in one["parameters"]], ["f", "s"], "but its own")
    _, other = start(t, service.folder(t))
    other.expect("POST", "/api/definitions", 204, definitions)
    has_all(other)
    expected = dict(definitions)
    got = other.ask("GET", "/api/definitions").body
    equal({key: got[key] for key in expected if key != "users"},
          {key: expected[key] for key in expected if key != "users"}, "the same comes out")


@case("an import that fails leaves them as they were")
@ours
def _(t):
    _, own = start(t, service.folder(t))
    fill(own)
    wrong = {"vhosts": [{"name": "kept"}, {"name": "new",
                                           "metadata": {"protected_from_deletion": True}}],
             "parameters": [dict(PARAMETERS[1], value={"src-uri": "other"}),
                            dict(PARAMETERS[1], name="new"), dict(PARAMETERS[1], vhost="new")],
             "global_parameters": [{"name": "text", "value": "other"}, {"name": "new", "value": 1},
                                   {"name": "cluster_name", "value": "other"}],
             "queues": [{"name": "q", "vhost": "nosuch"}]}
    own.expect("POST", "/api/definitions", 400, wrong, bad(matching("^nothing was imported: ")))
    has_all(own)
    equal([v["name"] for v in own.ask("GET", "/api/vhosts").body], ["/", "kept"], "virtual hosts")


# ---- protection ----

@case("a virtual host that is protected is not deleted")
@ours
def _(t):
    v = vhost(t)
    path = "/api/vhosts/" + v
    expect("POST", path + "/deletion/protection", 204)
    expect("POST", path + "/deletion/protection", 204)
    metadata = expect("GET", path, 200).body["metadata"]
    equal(metadata["protected_from_deletion"], True, "it says so")
    expect("DELETE", path, 412, answer=error(
        "precondition_failed",
        "Refusing to delete virtual host '%s' because it is protected from deletion" % v))
    expect("PUT", path, 204, {"description": "changed"})
    expect("DELETE", path, 412)
    expect("DELETE", path + "/deletion/protection", 204)
    check("protected_from_deletion" not in expect("GET", path, 200).body["metadata"], "no more")
    expect("DELETE", path, 204)
    for method in ("POST", "DELETE"):
        expect(method, path + "/deletion/protection", 404)


# ---- definitions from a form ----

def form(*parts, boundary="----x7"):
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n" % (
        boundary.encode(), name.encode(), more, content) for name, more, content in parts)
    return body + b"--" + boundary.encode() + b"--\r\n"


def upload(status, body, kind="multipart/form-data; boundary=----x7", path="/api/definitions",
           answer=None):
    return expect("POST", path, status, body, headers={"Content-Type": kind}, answer=answer)


FILE = b"; filename=\"name=\\x;file.json\"\r\nContent-Type: application/json"


@case("definitions are uploaded as a form with a file")
def _(t):
    v = vhost(t)
    name = fresh("uploaded")
    file = b'{"queues":[{"name":"%s","vhost":"%s","durable":true,"auto_delete":false,' \
           b'"arguments":{}}]}' % (name.encode(), v.encode())
    queue = path_of("queues", v, name)
    upload(204, form(("file", FILE, file)))
    expect("GET", queue, 200)
    expect("DELETE", queue, 204)
    upload(204, form(("other", b"", b"x"), ("file", FILE, file), ("last", b"", b"")))
    expect("GET", queue, 200)
    got = upload(303, form(("file", FILE, file), ("redirect", b"", b"/#/")))
    equal(got.headers["location"].rsplit("/", 2)[-2:], ["#", ""], "where to go then")


@case("forms that cannot be read")
@ours
def _(_t):
    whole = form(("file", FILE, b"{}"))
    none = bad(matching("^the form has no field 'file'"))
    upload(204, whole)
    upload(204, b"preamble\r\n" + whole)
    upload(204, whole, 'multipart/form-data; charset=utf-8; boundary="----x7"')
    upload(204, whole[:-4])
    for body in (whole[:-12], whole[:20], b"", b"--", form(("File", FILE, b"{}")),
                 form(("x", b"; other=\"file\"", b"{}")), whole.replace(b"\r\n\r\n", b"\r\n")):
        upload(400, body, answer=none)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data;",
                 "multipart/form-data; boundary=" + 71 * "x", "multipart/form-data; boundary=other"):
        upload(400, whole, kind, answer=none)
    upload(400, form(("file", FILE, b"no json")), answer=bad(matching("^nothing was imported: ")))
    upload(400, b"\r\n----x7\r\n" * 100000, answer=none)


if __name__ == "__main__":
    api.main(plugins=["rabbitmq_federation_management"])

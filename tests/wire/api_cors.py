#!/usr/bin/python3
"""What pages of other sites may do with the API in a browser.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import broker, broker_at, case, check, equal, ours  # noqa: E402

import service  # noqa: E402
import tap  # noqa: E402

GOOD, OTHER = "https://admin.example.com", "http://localhost:8080"
SETTINGS = ["management.cors.allow_origins.1 = " + GOOD, "management.cors.allow_origins.2 = " + OTHER,
            "management.cors.max_age = 60", "management.csp.policy = default-src https:",
            "management.hsts.policy = max-age=31536000; includeSubDomains",
            "management.headers.content_type_options = nosniff", "management.headers.frame_options = DENY",
            "management.headers.xss_protection = 1; mode=block"]
PREFIX = "access-control-"


def fields(own, method, path, origin=None, headers=None, status=None, user=("guest", "guest")):
    """What the answer says to a browser."""
    sent = dict(headers or {})
    if origin is not None:
        sent["Origin"] = origin
    got = own.ask(method, path, user=user, headers=sent)
    check(status is None or got.status == status, got)
    check("origin" in got.headers["vary"], got.headers)
    return {name[len(PREFIX):]: value for name, value in got.headers.items() if name.startswith(PREFIX)}


@case("an origin that is listed is told so, whatever else the answer is")
def _(_t):
    for origin in (GOOD, OTHER):
        yes = {"allow-origin": origin, "allow-credentials": "true"}
        equal(fields(broker(), "GET", "/api/overview", origin, status=200), yes, "an answer")
        equal(fields(broker(), "GET", "/api/queues/%2F/nothing", origin, status=404), yes, "404")
        equal(fields(broker(), "GET", "/api/overview", origin, status=401, user=("guest", "no")), yes, "401")
        equal(fields(broker(), "GET", "/api/overview", origin, status=401, user=None), yes, "no name")


@case("headers that keys name are in every answer")
def _(_t):
    named = {"content-security-policy": "default-src https:",
             "strict-transport-security": "max-age=31536000; includeSubDomains",
             "x-content-type-options": "nosniff", "x-frame-options": "DENY",
             "x-xss-protection": "1; mode=block"}
    for path in ("/api/overview", "/api/queues/%2F/nothing"):
        got = broker().ask("GET", path).headers
        equal({name: got.get(name) for name in named}, named, path)


@case("other origins are not, nor is who has none")
def _(_t):
    for origin in (None, "", "null", "*", "https://evil.example.com", GOOD + ".evil.example.com",
                   GOOD[:-1], GOOD + "," + OTHER, GOOD.upper(), "https://admin.example.com:443"):
        for method in ("GET", "OPTIONS"):
            equal(fields(broker(), method, "/api/overview", origin, status=200), {}, origin)


@case("before a request, a browser asks what there may be, without a name")
def _(_t):
    asked = {"Access-Control-Request-Method": "PUT"}
    got = fields(broker(), "OPTIONS", "/api/queues/%2F/q", GOOD, asked, 200, user=None)
    equal(sorted(got.pop("allow-methods").split(", ")), ["DELETE", "GET", "HEAD", "OPTIONS", "PUT"], "methods")
    equal(got, {"allow-origin": GOOD, "allow-credentials": "true", "max-age": "60"}, "the rest")


@case("the headers that it asks for are allowed")
def _(_t):
    asked = {"Access-Control-Request-Method": "GET",
             "Access-Control-Request-Headers": "authorization,x-reason"}
    got = fields(broker(), "OPTIONS", "/api/overview", GOOD, asked, 200, user=None)
    equal(got["allow-headers"], "authorization,x-reason", "headers")
    equal("max-age" in got, not broker().oracle, "the age, which 3.10 forgets then")


@case("where all may, no password may be sent")
@ours
def _(t):
    daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0",
                           "--set", "management.cors.allow_origins.1=*",
                           "--set", "management.cors.allow_origins.2=" + GOOD)
    own = broker_at(t, daemon)
    equal(fields(own, "GET", "/api/overview", "http://any.example.com"), {"allow-origin": "*"}, "any")
    equal(fields(own, "GET", "/api/overview", GOOD),
          {"allow-origin": GOOD, "allow-credentials": "true"}, "the one that is listed")
    equal(fields(own, "GET", "/api/overview", "null"), {}, "null")
    equal(fields(own, "OPTIONS", "/api/overview", GOOD)["max-age"], "1800", "the age by itself")


@case("none may by itself, and keys are live")
@ours
def _(t):
    file = os.path.join(service.folder(t), "leveret.conf")
    open(file, "w").close()
    daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0", "--config", file)
    own = broker_at(t, daemon)
    equal(fields(own, "GET", "/api/overview", GOOD), {}, "by itself")
    for number, origins in enumerate(([GOOD], [GOOD, OTHER], [OTHER], [])):
        with open(file, "w") as out:
            out.writelines("management.cors.allow_origins.%d = %s\n" % pair for pair in enumerate(origins))
        daemon.process.send_signal(signal.SIGHUP)
        tap.eventually(lambda: daemon.log().count(" config_reloaded ") == number + 1)
        for one in (GOOD, OTHER):
            equal("allow-origin" in fields(own, "GET", "/api/overview", one), one in origins, one)
    own.expect("PUT", "/api/configuration/management.cors.max_age", 204, {"value": "5"})
    own.expect("GET", "/api/configuration/management.cors.max_age", 200,
               answer={"key": "management.cors.max_age", "value": "5", ...: ...})
    every = str(own.expect("GET", "/api/configuration", 200))
    equal(str(own.expect("GET", "/api/config/effective", 200)), every, "all of them by another name")
    own.expect("POST", "/api/config/effective", 405)


if __name__ == "__main__":
    api.main(settings=SETTINGS)

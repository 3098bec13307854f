#!/usr/bin/python3
"""The API and metrics over TLS: their keys, much data, other certificates, and those of clients.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from certificates import authority, certificates, certify, issue, openssl, path, revocations, trust  # noqa: E402
from service import PATIENCE, PROGRAM, Daemon, folder, run  # noqa: E402
from wire import Skip, case, check, equal, main  # noqa: E402

LISTENING = re.compile(r"listening address=(\S+) protocol=http tls=true$", re.M)
BASIC = {"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="}  # guest
QUEUES = 3000


def serve(t, *settings, arguments=(), control="none"):
    file = os.path.join(folder(t), "leveret.conf")
    with open(file, "w", encoding="ascii") as out:
        out.write("".join(line + "\n" for line in (
            "listeners.tcp.default = 127.0.0.1:0", "management.ssl.ip = 127.0.0.1",
            "management.ssl.certfile = " + path("chain.pem"),
            "management.ssl.keyfile = " + path("server.key"), *settings)))
    daemon = Daemon(t, "--config", file, "--data-dir", folder(t), "--control-socket", control,
                    "--set", "management.ssl.port=" + free_port(), *arguments, quiet=False).ready()
    daemon.file, daemon.api = file, LISTENING.search(daemon.log()).group(1)
    return daemon


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def dial(t, daemon, context=None):
    connection = http.client.HTTPSConnection(daemon.api, timeout=PATIENCE, context=context or trust())
    t.cleanup(connection.close)
    return connection


def ask(connection, target, method="GET", body=None):
    connection.request(method, target, body and json.dumps(body), BASIC)
    return connection.getresponse()


def get(connection, target):
    answer = ask(connection, target)
    equal(answer.status, 200, "status of " + target)
    return json.loads(answer.read())


def many_queues(t, daemon):
    c = daemon.client(t)
    c.channel()
    for number in range(QUEUES):
        c.send(1, "queue.declare", queue="queue.%06d" % number, nowait=True)
    c.call(1, "queue.declare", queue="last")
    return c


def refused(t, daemon, context):
    try:
        get(dial(t, daemon, context), "/api/whoami")
        raise AssertionError("it was let in")
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        pass


@case("it is at the port of its key, and with TLS alone")
def _(t):
    daemon = serve(t)
    equal(daemon.log().count("protocol=http"), 1, "listeners of the API")
    connection = dial(t, daemon)
    for _ in range(3):
        equal(get(connection, "/api/whoami")["name"], "guest", "who asks")
    port = int(daemon.api.rpartition(":")[2])
    overview = get(connection, "/api/overview")
    listeners = [one for one in overview["listeners"] if one["port"] == port]
    equal([one["protocol"] for one in listeners], ["https"], "what listens there")
    equal([(one["port"], one["ssl"]) for one in overview["contexts"]], [(str(port), "true")], "contexts")
    for check_of, wanted in (("port-listener/%d" % port, 200), ("protocol-listener/https", 200),
                             ("protocol-listener/http", 503), ("certificate-expiration/1/days", 200),
                             ("certificate-expiration/1/months", 503)):
        answer = ask(connection, "/api/health/checks/" + check_of)
        text = answer.read()
        equal(answer.status, wanted, "%s, which said %r" % (check_of, text))
    plain = http.client.HTTPConnection(daemon.api, timeout=PATIENCE)
    t.cleanup(plain.close)
    try:
        status = ask(plain, "/api/whoami").status
        raise AssertionError("an answer without TLS: %d" % status)
    except (http.client.HTTPException, ConnectionError):
        pass
    daemon.says("warning tls_failed peer=")
    equal(daemon.stop(), 0, "status")


@case("with TLS and without, when both are asked for")
def _(t):
    daemon = serve(t, arguments=("--management", "127.0.0.1:0"))
    plain = re.search(r"address=(\S+) protocol=http$", daemon.log(), re.M).group(1)
    equal(get(http.client.HTTPConnection(plain, timeout=PATIENCE), "/api/whoami")["name"], "guest", "plain")
    equal(get(dial(t, daemon), "/api/whoami")["name"], "guest", "with TLS")


@case("what cannot be")
def _(_t):
    for settings, why in ((["management.ssl.port=1"], "management.ssl.certfile and management.ssl.keyfile"),
                          (["management.ssl.certfile=" + path("chain.pem"), "management.ssl.keyfile=" +
                            path("server.key"), "management.ssl.verify=verify_peer"],
                           "verify_peer needs management.ssl.cacertfile")):
        status, _, log = run(*(part for setting in settings for part in ("--set", setting)),
                             "--check-config")
        check(status == 2 and why in log, "%d %s" % (status, log))
    status, _, log = run("--set", "management.ssl.certfile=" + path("chain.pem"), "--set",
                         "management.ssl.keyfile=" + path("client.key"), "--data-dir", "/nowhere/at/all")
    check(status == 1 and "does not belong to the certificate" in log, "%d %s" % (status, log))


def large(t, *arguments):
    daemon = serve(t, arguments=arguments)
    c = many_queues(t, daemon)
    connection = dial(t, daemon)
    for _ in range(3):
        equal(len(get(connection, "/api/queues")), QUEUES + 1, "queues")
    for number in range(10):
        c.publish(1, "last", bytes([number]) * 1000000)
    c.call(1, "queue.declare", queue="last", passive=True)
    answer = ask(connection, "/api/queues/%2f/last/get", "POST",
                 {"count": 10, "ackmode": "ack_requeue_true", "encoding": "base64"})
    equal(answer.status, 200, "status")
    equal([one["payload_bytes"] for one in json.loads(answer.read())], 10 * [1000000], "messages")
    # One that reads slowly, so that the socket is full again and again.
    answer = ask(connection, "/api/queues")
    text = b""
    while True:
        piece = answer.read(200000)
        if not piece:
            break
        text += piece
        time.sleep(0.01)
    equal(len(json.loads(text)), QUEUES + 1, "queues, read slowly")
    # A large body, the other way.
    answer = ask(connection, "/api/definitions", "POST",
                 {"queues": [{"name": "made.%d" % number, "vhost": "/", "durable": False,
                              "auto_delete": False, "arguments": {"note": 1000 * "x"}}
                             for number in range(1000)]})
    equal((answer.status, answer.read()), (204, b""), "of definitions")
    equal(len(get(connection, "/api/queues?columns=name")), QUEUES + 1001, "queues")
    equal(daemon.stop(), 0, "status")


@case("large answers, without I/O threads")
def _(t):
    large(t, "--io-threads", "0")


@case("large answers, with I/O threads")
def _(t):
    large(t, "--io-threads", "2")


@case("many clients at once, with and without I/O threads")
def _(t):
    for threads in ("0", "2"):
        daemon = serve(t, arguments=("--io-threads", threads))
        many_queues(t, daemon)
        clients = [dial(t, daemon) for _ in range(12)]
        for connection in clients:
            connection.request("GET", "/api/queues", headers=BASIC)
        for connection in clients:
            answer = connection.getresponse()
            equal(len(json.loads(answer.read())), QUEUES + 1, "queues")
        equal(daemon.stop(), 0, "status")


@case("curl, and what it may compress")
def _(t):
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    daemon = serve(t)
    many_queues(t, daemon)
    for more in ([], ["--compressed"], ["--http1.0"], ["--tls-max", "1.2"]):
        done = subprocess.run(["curl", "-sS", "--cacert", path("authority.pem"), "-u", "guest:guest",
                               *more, "https://%s/api/queues" % daemon.api], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
        equal(len(json.loads(done.stdout)), QUEUES + 1, "queues with %s" % more)
    done = subprocess.run(["curl", "-sS", "https://%s/api/whoami" % daemon.api], check=False,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE)
    equal(done.returncode, 60, "status without the authority")


@case("certificates of clients")
def _(t):
    daemon = serve(t, "management.ssl.cacertfile = " + path("authority.pem"),
                   "management.ssl.verify = verify_peer", "management.ssl.fail_if_no_peer_cert = true")
    equal(get(dial(t, daemon, trust("client")), "/api/whoami")["name"], "guest", "with one")
    refused(t, daemon, trust())
    refused(t, daemon, trust("stranger"))
    optional = serve(t, "management.ssl.cacertfile = " + path("authority.pem"),
                     "management.ssl.verify = verify_peer")
    equal(get(dial(t, optional), "/api/whoami")["name"], "guest", "without one, where that may be")
    refused(t, optional, trust("stranger"))


@case("metrics: at the port of their key, with TLS alone, for who has a certificate")
def _(t):
    own = ("certfile=" + path("chain.pem"), "keyfile=" + path("server.key"), "cacertfile=" + path("authority.pem"),
           "verify=verify_peer", "fail_if_no_peer_cert=true", "ip=127.0.0.1", "port=" + free_port())
    daemon = Daemon(t, "--data-dir", folder(t), "--listen", "127.0.0.1:0", "--management", "127.0.0.1:0",
                    "--control-socket", "none",
                    *(part for setting in own for part in ("--set", "prometheus.ssl." + setting)), quiet=False).ready()
    places = re.findall(r"listening address=(\S+) protocol=http/prometheus(.*)$", daemon.log(), re.M)
    equal([more for _, more in places], [" tls=true"], "listeners of metrics")

    def scrape(context):
        connection = http.client.HTTPSConnection(places[0][0], timeout=PATIENCE, context=context)
        t.cleanup(connection.close)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    check("leveret_certificate_end_time_seconds{" in scrape(trust("client")), "the end of the certificate is told")
    for context in (trust(), trust("stranger")):
        try:
            scrape(context)
            raise AssertionError("it was let in")
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            pass
    plain = re.search(r"address=(\S+) protocol=http$", daemon.log(), re.M).group(1)
    overview = get(http.client.HTTPConnection(plain, timeout=PATIENCE), "/api/overview")
    check("https/prometheus" in [one["protocol"] for one in overview["listeners"]], overview["listeners"])
    equal(daemon.stop(), 0, "status")


def shown(t, address, name):
    """The names in the certificate that is shown to who calls by this one."""
    host, port = address.rsplit(":", 1)
    context = trust()
    context.check_hostname = False
    with socket.create_connection((host, int(port)), PATIENCE) as sock:
        with context.wrap_socket(sock, server_hostname=name) as tls:
            return [value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "DNS"]


@case("certificates by the name that the client says, for AMQP, the API and metrics, read again at SIGHUP")
def _(t):
    certify("other", "authority", names="DNS:other.example,DNS:*.many.example", days=1)
    certify("third", "authority", names="DNS:third.example")
    for name in ("other", "third"):
        with open(path(name + ".both"), "w", encoding="ascii") as both:
            for part in (".pem", ".key"):
                with open(path(name + part), encoding="ascii") as file:
                    both.write(file.read())
    shutil.copy(path("other.both"), path("live.both"))
    usual = ("certfile = " + path("chain.pem"), "keyfile = " + path("server.key"))
    daemon = serve(t, "listeners.ssl.1 = 127.0.0.1:0", *("ssl_options." + line for line in usual),
                   *("prometheus.ssl." + line for line in (*usual, "ip = 127.0.0.1", "port = " + free_port())),
                   *("leveret.%s.sni.%d = %s" % (keys, number, path(file))
                     for keys in ("ssl_options", "management.ssl", "prometheus.ssl")
                     for number, file in enumerate(("live.both", "third.both"))))
    places = re.findall(r"listening address=(\S+) .*tls=true$|listening address=(\S+) tls=true$", daemon.log(), re.M)
    places = [one or other for one, other in places]
    equal(len(places), 3, "listeners with TLS")
    for place in places:
        for name, wanted in (("other.example", "other.example"), ("A.MANY.example", "other.example"),
                             ("third.example", "third.example"), ("localhost", "localhost"),
                             ("a.b.many.example", "localhost"), ("127.0.0.1", "localhost"), (None, "localhost")):
            equal(shown(t, place, name)[0], wanted, "shown at %s to who calls %s" % (place, name))
    answer = ask(dial(t, daemon), "/api/health/checks/certificate-expiration/1/days")
    equal(len(json.loads(answer.read())["expired"]), 3, "listeners of which a certificate ends in a day")
    for listener in get(dial(t, daemon), "/api/overview")["listeners"]:
        names = ["other.example", "*.many.example", "third.example"]
        equal(listener.get("names"), names if listener["protocol"] not in ("amqp", "http") else None,
              "names of the listener of %s" % listener["protocol"])
    shutil.copy(path("server.key"), path("live.both"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("error tls_not_reloaded reason=")
    equal(shown(t, places[0], "other.example")[0], "other.example", "shown after a reload that came to nothing")
    shutil.copy(path("third.both"), path("live.both"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("info tls_reloaded certificate=" + path("chain.pem"), 3)
    for place in places:
        equal(shown(t, place, "other.example")[0], "localhost", "shown once nobody has that name")
        equal(shown(t, place, "third.example")[0], "third.example", "shown to who calls third.example")
    equal(daemon.stop(), 0, "status")


@case("lists of revoked certificates: when the first of them ends is told before it does")
def _(t):
    authority("registry")
    issue("registry", "good")
    revocations("registry", "soon.crl", "-crlhours", "3")
    shutil.copy(path("soon.crl"), path("live.crl"))
    control = os.path.join(folder(t), "ctl.sock")
    check_lists = "/api/health/checks/revocation-list-expiration/"
    daemon = serve(t, "listeners.ssl.1 = 127.0.0.1:0", "ssl_options.certfile = " + path("chain.pem"),
                   "ssl_options.keyfile = " + path("server.key"), "ssl_options.cacertfile = " + path("registry.pem"),
                   "ssl_options.verify = verify_peer", "leveret.ssl_options.crlfile = " + path("live.crl"),
                   arguments=("--metrics", "127.0.0.1:0"), control=control)

    def fails(within):
        answer = ask(dial(t, daemon), check_lists + within)
        said = json.loads(answer.read())
        equal(answer.status, 503 if "expired" in said else 200, "status")
        return said.get("expired", [])

    def find(code):
        done = subprocess.run([os.path.join(os.path.dirname(PROGRAM), "leveretctl"), "--uri", "unix:" + control, "doctor"], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE)
        return re.findall(r"^\w+ %s: .*\n    Found: (.*)$" % code, done.stdout.decode(), re.M)

    def ends():
        place = re.search(r"listening address=(\S+) protocol=http/prometheus", daemon.log()).group(1)
        connection = http.client.HTTPConnection(place, timeout=PATIENCE)
        t.cleanup(connection.close)
        connection.request("GET", "/metrics")
        return re.findall(r'^leveret_revocation_list_end_time_seconds\{protocol="amqp/ssl".*\} (\S+)$',
                          connection.getresponse().read().decode(), re.M)
    equal(fails("2/hours"), [], "lists that end in two hours")
    [one] = fails("4/hours")
    equal((one["protocol"], one["crlfile"]), ("amqp/ssl", path("live.crl")), "the list that ends in four")
    check(abs(one["crlfile_expires_on"] - time.time() - 3 * 3600) < 120, one)
    equal([float(end) for end in ends()], [float(one["crlfile_expires_on"])], "the end as a metric")
    [found] = find("revocations_end")
    check(re.fullmatch(r"%s, port \d+: in 1[78]\d minutes" % re.escape(path("live.crl")), found), found)
    equal(ask(dial(t, daemon), check_lists + "1/fortnights").status, 400, "status of an unknown unit")
    equal(ask(dial(t, daemon), "/api/health/checks/certificate-expiration/1/hours").status, 400,
          "status of hours of a certificate, which RabbitMQ has not")
    revocations("registry", "live.crl", "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("info tls_reloaded certificate=" + path("chain.pem"), 2)
    equal(len(find("revocations_ended")), 1, "lists that have ended")
    revocations("registry", "live.crl", "-crldays", "7")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("info tls_reloaded certificate=" + path("chain.pem"), 4)
    equal((find("revocations_end"), find("revocations_ended"), fails("6/days"), len(fails("8/days"))),
          ([], [], [], 1), "with one of a week")
    equal(daemon.stop(), 0, "status")


@case("SIGHUP: other certificates for who comes, all or none")
def _(t):
    for name in ("live.pem", "live.key", "amqp.pem", "amqp.key", "metrics.pem", "metrics.key"):
        shutil.copy(path("chain.pem" if name.endswith("pem") else "server.key"), path(name))
    daemon = serve(t, "management.ssl.certfile = " + path("live.pem"),
                   "management.ssl.keyfile = " + path("live.key"), "listeners.ssl.1 = 127.0.0.1:0",
                   "ssl_options.certfile = " + path("amqp.pem"), "ssl_options.keyfile = " + path("amqp.key"),
                   "prometheus.ssl.certfile = " + path("metrics.pem"), "prometheus.ssl.ip = 127.0.0.1",
                   "prometheus.ssl.keyfile = " + path("metrics.key"), "prometheus.ssl.port = " + free_port())
    kept = dial(t, daemon)
    get(kept, "/api/whoami")
    shutil.copy(path("stranger.pem"), path("live.pem"))
    shutil.copy(path("stranger.key"), path("live.key"))
    shutil.copy(path("client.pem"), path("amqp.pem"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("error tls_not_reloaded reason=")
    daemon.says("config_not_reloaded")
    get(dial(t, daemon), "/api/whoami")
    shutil.copy(path("client.key"), path("amqp.key"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("info tls_reloaded certificate=" + path("live.pem"))
    daemon.says("info tls_reloaded certificate=" + path("amqp.pem"))
    daemon.says("info tls_reloaded certificate=" + path("metrics.pem"))
    refused(t, daemon, trust())
    get(dial(t, daemon, trust(authority="stranger")), "/api/whoami")
    get(kept, "/api/whoami")
    equal(daemon.stop(), 0, "status")


if __name__ == "__main__":
    try:
        certificates()
    except FileNotFoundError:
        print("1..0 # SKIP openssl is not installed")
        sys.exit(0)
    main(jobs=2)

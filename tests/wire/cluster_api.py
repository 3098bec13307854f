#!/usr/bin/python3
"""The API and the control socket of brokers that do not lead: what is about the broker itself it answers, and all else
is answered by who leads, as if it had been asked itself.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from api import basic, path_of  # noqa: E402
from members import ELECTED, Cluster, fill, numbers, publish  # noqa: E402
from service import PATIENCE, PROGRAM, run  # noqa: E402
from wire import case, check, equal, main  # noqa: E402

CONTROL = os.path.join(os.path.dirname(PROGRAM), "leveretctl")
GUEST = basic("guest", "guest")
GONE = (http.client.HTTPException, ConnectionError, OSError)


def name_of(number):
    return "leveret@node%d" % number


class Asked(Cluster):
    """One whose brokers all have the API and a control socket."""

    def start(self, number, *more, **options):
        path = os.path.join(self.folders[number - 1], "ctl.sock")
        return super().start(number, "--management", "127.0.0.1:0", "--control-socket", path, *more, **options)

    def api(self, number, timeout=PATIENCE):
        address = re.findall(r"listening address=(127\S+) protocol=http$", self.brokers[number].log(), re.M)[-1]
        connection = http.client.HTTPConnection(address, timeout=timeout)
        self.t.cleanup(connection.close)
        return connection

    def control(self, number, *words):
        done = subprocess.run([CONTROL, "--data-dir", self.folders[number - 1], *words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        return done.returncode, done.stdout


def ask(connection, method, path, body=None, user=GUEST, **fields):
    """The status of the answer, and what it says."""
    headers = {"Authorization": user} if user else {}
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {**headers, **fields})
    response = connection.getresponse()
    said = response.read()
    try:
        return response.status, json.loads(said) if said else None
    except ValueError:
        return response.status, said


def led(t, *more):
    """A cluster, the number of its leader, and that of another one, which follows."""
    cluster = Asked(t).found(*more)
    leader = cluster.leader()
    follower = leader % 3 + 1
    cluster.brokers[follower].says("office_elsewhere leader=%d" % leader)
    return cluster, leader, follower


def is_done(connection, *words):
    """Brokers that lose their office, as on a busy machine, end their connections, and the next request has another."""
    try:
        return ask(connection, *words)[0] == 204
    except GONE:
        return False


def soon(what, is_so):
    deadline = time.monotonic() + ELECTED
    while not is_so():
        check(time.monotonic() < deadline, what)
        time.sleep(0.1)


@case("queues are declared, filled, read and deleted by the API of a broker that follows")
def _(t):
    cluster, leader, follower = led(t)
    there, here = cluster.api(leader), cluster.api(follower)
    queue = path_of("queues", "/", "q")
    equal(ask(here, "PUT", queue, {"durable": True})[0], 201, "declared")
    equal(ask(there, "GET", queue)[1]["durable"], True, "at the one that leads")
    equal(ask(here, "PUT", queue, {"durable": False})[0], 400, "otherwise")
    said = ask(here, "POST", path_of("exchanges", "/", "amq.default", "publish"),
               {"properties": {}, "routing_key": "q", "payload": "hello", "payload_encoding": "string"})
    equal(said, (200, {"routed": True}), "published")
    status, said = ask(here, "POST", queue + "/get", {"count": 5, "ackmode": "ack_requeue_false", "encoding": "auto"})
    equal((status, [one["payload"] for one in said]), (200, ["hello"]), "taken")
    equal([one["name"] for one in ask(here, "GET", "/api/queues")[1]], ["q"], "list")
    equal(ask(here, "GET", "/api/queues?page=1&page_size=10&name=Q&use_regex=false&columns=name")[1]["items"],
          [{"name": "q"}], "with what is in a query")
    equal(ask(here, "HEAD", queue), (200, None), "without a body")
    equal(ask(here, "GET", path_of("queues", "/", "other")), (404, {"error": "Object Not Found", "reason": "Not Found"}),
          "what is not there")
    equal(ask(here, "POST", queue)[0], 405, "what cannot be done")
    equal(ask(here, "DELETE", queue), (204, None), "deleted")
    equal(ask(there, "GET", "/api/queues"), (200, []), "at the one that leads")


@case("who leads judges who asks, and its log has him, where he came from, and what was changed")
def _(t):
    cluster, leader, follower = led(t)
    here = cluster.api(follower)
    equal(ask(here, "PUT", "/api/users/tester", {"password": "secret", "tags": "monitoring"})[0], 201, "a user")
    address = "%s:%d" % here.sock.getsockname()[:2]
    changed = "changed peer=%s user=guest method=PUT path=/api/users/tester" % address
    cluster.brokers[leader].says(changed)
    check("method=PUT" not in cluster.brokers[follower].log(), cluster.brokers[follower].log())
    tester = basic("tester", "secret")
    for path in ("/api/queues", "/api/nodes"):
        status, said = ask(here, "GET", path, user=basic("tester", "wrong"))
        equal((status, said["error"]), (401, "not_authorized"), "a wrong password for " + path)
        equal(ask(here, "GET", path, user=None)[0], 401, "none for " + path)
        equal(ask(here, "GET", path, user=tester)[0], 200, "the right one for " + path)
    cluster.brokers[leader].says("login_refused peer=%s user=tester" % address, 2)
    equal(ask(here, "GET", "/api/users", user=tester)[0], 401, "only for administrators")
    equal(ask(here, "PUT", "/api/log/level", {"level": "debug"}, user=tester),
          (401, {"error": "not_authorised", "reason": "Not administrator user"}), "the same of this broker")
    equal(ask(here, "PUT", "/api/log/level", {"level": "debug"})[0], 204, "an administrator")
    cluster.brokers[follower].says("changed peer=%s user=guest method=PUT path=/api/log/level" % address)


@case("one connection asks about the broker that it is at, and about what all of them have, in turn")
def _(t):
    cluster, leader, follower = led(t)
    here = cluster.api(follower)
    kept = None
    for _turn in range(3):
        nodes = ask(here, "GET", "/api/nodes")[1]
        equal((nodes[0]["name"], nodes[0]["os_pid"]),
              (name_of(follower), "%d" % cluster.brokers[follower].process.pid), "its own process")
        equal(ask(here, "GET", "/api/whoami")[1]["name"], "guest", "who leads knows users")
        equal(ask(here, "GET", "/api/health/checks/ready-to-serve-clients", user=None)[0], 200, "for everybody")
        kept = kept or here.sock
        check(here.sock is kept, "the connection was closed")
    equal([one["leveret_member"]["leads"] for one in nodes if one["name"] == name_of(leader)], [True], "who leads")
    equal(ask(here, "GET", "/api/nodes/%s?columns=os_pid" % name_of(follower))[1],
          {"os_pid": "%d" % cluster.brokers[follower].process.pid}, "by its name")
    equal(ask(here, "GET", "/api/nodes/%s?columns=os_pid" % name_of(leader))[1],
          {"os_pid": "%d" % cluster.brokers[leader].process.pid}, "of the other one")
    port = int(here.sock.getpeername()[1])
    equal(ask(here, "GET", "/api/health/checks/port-listener/%d" % port)[0], 200, "its own port")
    there = int(cluster.clients[leader - 1])
    equal(ask(here, "GET", "/api/health/checks/port-listener/%d" % there)[0], 503, "another one's")
    ask(here, "PUT", path_of("queues", "/", "q"), {})
    overview, other = ask(here, "GET", "/api/overview")[1], ask(cluster.api(leader), "GET", "/api/overview")[1]
    equal((overview["node"], other["node"]), (name_of(follower), name_of(leader)), "nodes")
    equal((overview["object_totals"]["queues"], sorted(overview)), (1, sorted(other)), "the rest is as it is there")
    check(port in [one["port"] for one in overview["listeners"]], overview["listeners"])


@case("large bodies go both ways: definitions are imported and exported where nobody leads")
def _(t):
    cluster, leader, follower = led(t)
    here = cluster.api(follower, 60)
    queues = [{"name": "q%04d" % i, "vhost": "/", "durable": True, "auto_delete": False,
               "arguments": {"x-note": "n" * 1000}} for i in range(1500)]
    soon("imported", lambda: is_done(here, "POST", "/api/definitions", {"queues": queues}))
    exports = [ask(cluster.api(number, 60), "GET", "/api/definitions")[1] for number in (follower, leader)]
    for export in exports:
        equal([one["name"] for one in export["queues"]], [one["name"] for one in queues], "exported")
    status, said = ask(here, "GET", "/api/queues?columns=name", **{"Accept-Encoding": "gzip"})
    check(status == 200 and said[:2] == b"\x1f\x8b", "squeezed")


@case("leveretctl of a broker that follows does what it does at the one that leads")
def _(t):
    cluster, leader, follower = led(t)
    c = cluster.client(leader)
    fill(c, "q", 3)

    def shows(*words):
        status, said = cluster.control(follower, *words)
        equal(status, 0, "%s: %s" % (words, said))
        return said

    said = json.loads(shows("list_queues", "name", "messages", "--formatter", "json"))
    equal(said, [{"name": "q", "messages": 3}], "queues")
    shows("add_user", "tester", "secret")
    cluster.brokers[leader].says("user=uid:%d method=PUT path=/api/users/tester" % os.getuid())
    shows("set_permissions", "tester", ".*", ".*", ".*")
    shows("authenticate_user", "tester", "secret")
    equal(ask(cluster.api(follower), "PUT", path_of("queues", "/", "other"), {})[0], 201, "another one")
    shows("purge_queue", "q")
    shows("delete_queue", "q")
    equal([one["name"] for one in ask(cluster.api(leader), "GET", "/api/queues")[1]], ["other"], "what there is then")
    status = json.loads(shows("status", "--formatter", "json"))
    equal(status["pid"], cluster.brokers[follower].process.pid, "its process")
    said = json.loads(shows("cluster_status", "--formatter", "json"))
    equal(sorted(said["running_nodes"]), [name_of(number) for number in (1, 2, 3)], "who runs")
    said = shows("listeners")
    check("port: %d," % cluster.clients[follower - 1] in said, said)
    for words in (["environment"], ["ping"], ["await_startup"], ["check_running"], ["check_local_alarms"], ["reload"],
                  ["check_port_connectivity"], ["check_port_listener", "%d" % cluster.clients[follower - 1]],
                  ["check_if_node_is_quorum_critical"], ["set_log_level", "debug"], ["rotate_logs"], ["doctor"], ["top"],
                  ["export_definitions", "-"]):
        shows(*words)
    check("config_reloaded" in cluster.brokers[follower].log(), "it has read its own files")
    check("config_reloaded" not in cluster.brokers[leader].log(), "and the other one has not")
    other = 6 - leader - follower
    cluster.kill(other)
    cluster.brokers[leader].says("link_down")
    shows("forget_cluster_node", name_of(other))
    stopping = subprocess.Popen([CONTROL, "--data-dir", cluster.folders[follower - 1], "stop"])
    equal(cluster.brokers[follower].process.wait(PATIENCE), 0, "it has ended")
    equal(stopping.wait(PATIENCE), 0, "which was waited for")


def is_refused(cluster, number):
    try:
        cluster.client(number)
    except ConnectionRefusedError:
        return True
    return False


HEALTH = ["/api/health/checks/" + name for name in ("is-in-service", "ready-to-serve-clients")]


def healths(api):
    return [ask(api, "GET", path, user=None)[0] for path in HEALTH]


@case("a broker that follows is drained: its clients are told, and nobody else's; it follows, and is revived")
def _(t):
    cluster, leader, follower = led(t)
    other = 6 - leader - follower
    here = cluster.api(follower)
    there, drained, neighbour = (cluster.client(number) for number in (leader, follower, other))
    for c in (there, drained, neighbour):
        c.channel()
    neighbour.queue(queue="q", durable=True)
    silent = socket.create_connection(("127.0.0.1", cluster.clients[follower - 1]))
    t.cleanup(silent.close)
    equal(healths(here), [200, 200], "before")
    equal(cluster.control(follower, "drain"), (0, ""), "drain")
    closed = drained.expect(0, "connection.close")
    check(closed.reply_code == 320 and "maintenance mode" in closed.reply_text, closed)
    drained.send(0, "connection.close-ok")
    check(drained.at_end(), "who was told is at its end")
    silent.settimeout(PATIENCE)
    equal(silent.recv(100), b"", "who has said nothing is at its end")
    check(is_refused(cluster, follower), "a client has come in")
    equal(healths(here), [503, 503], "while it is drained")
    equal(healths(cluster.api(leader)), [200, 200], "of the other one")
    equal(ask(here, "GET", "/api/nodes")[1][0]["being_drained"], True, "it says so")
    status = json.loads(cluster.control(follower, "status", "--formatter", "json")[1])
    equal(status["is_under_maintenance"], True, "and so does status")
    for c in (there, neighbour):
        equal(c.queue(queue="q", durable=True), "q", "those of others go on")
    cluster.kill(other)
    there.call(1, "confirm.select")
    publish(there, "q", 3)
    equal(cluster.control(follower, "revive"), (0, ""), "revive")
    equal(healths(here), [200, 200], "afterwards")
    c = cluster.client(follower)
    c.channel()
    equal(c.drain("q"), numbers(3), "it has gone on to follow")


@case("a broker that led and was drained follows, and takes no clients until it is revived, whatever happens")
def _(t):
    cluster, leader, follower = led(t)
    c = cluster.client(leader)
    c.channel()
    equal(cluster.control(leader, "drain"), (0, ""), "drain")
    closed = c.expect(0, "connection.close")
    check(closed.reply_code == 320 and "maintenance mode" in closed.reply_text, closed)
    after = cluster.leader(besides={leader})
    cluster.brokers[leader].says("office_elsewhere leader=%d" % after, 1)
    cluster.brokers[leader].says("Server startup complete", 2)
    soon("its socket is there", lambda: cluster.control(leader, "await_startup", "--timeout", "5")[0] == 0)
    here = cluster.api(leader)
    equal(healths(here), [503, 503], "while it is drained")
    check(is_refused(cluster, leader), "a client has come in")
    equal(ask(here, "GET", "/api/nodes/%s" % name_of(leader))[1]["being_drained"], True, "it says so")
    equal(cluster.control(leader, "revive"), (0, ""), "revive")
    equal(healths(here), [200, 200], "afterwards")
    cluster.client(leader).channel()
    equal(cluster.control(leader, "drain"), (0, ""), "once more, as one that follows")
    check(is_refused(cluster, leader), "a client has come in")
    cluster.brokers[leader].stop()
    cluster.start(leader)
    cluster.client(leader).channel()


def restored(t, copy):
    """A cluster of one, not started yet, in whose folder is what the copy has."""
    alone = Asked(t, 1)
    done = subprocess.run([CONTROL, "restore", copy, alone.folders[0]], capture_output=True, text=True, check=False)
    equal(done.returncode, 0, done.stderr)
    check("--cluster-found" in done.stdout and "messages: 0" not in done.stdout, done.stdout)
    return alone


def grown(t, alone):
    """The cluster of one with two more, which join it."""
    cluster = Asked(t, 3)
    cluster.folders[0], cluster.cookie = alone.folders[0], alone.cookie
    cluster.start(1)
    for number in (2, 3):
        cluster.start(number, "--cluster-join")
        cluster.brokers[number].says("joined")
    soon("all count", lambda: sum(
        row["leveret_member"]["role"] == "voter" and row["running"] for row in
        ask(cluster.api(cluster.leader()), "GET", "/api/nodes")[1]) == 3)
    return cluster


@case("a copy of any broker's store has all that was confirmed, and a cluster begins anew with it")
def _(t):
    cluster, leader, follower = led(t)
    c = cluster.client(leader)
    fill(c, "q", 1)
    equal(cluster.control(leader, "add_user", "tester", "secret")[0], 0, "a user")
    copies = [os.path.join(cluster.folders[number - 1], "copy") for number in (follower, leader)]
    for number, copy in zip((follower, leader), copies):
        for _burst in range(10):
            publish(c, "q", 20)
        status, said = cluster.control(number, "backup", copy)
        equal((status, copy in said), (0, True), said)
    for number in (1, 2, 3):
        cluster.kill(number)
    for bursts, copy in zip((10, 20), copies):
        alone = restored(t, copy)
        for words in (["--cluster-found", "--set", "cluster.nodes.2=127.0.0.1:1"], []):
            status, _, log = run(*alone.arguments(1, *words))
            check(status == 1 and "was made from a copy of a broker of a cluster" in log, (status, log))
        alone.start(1, "--cluster-found")
        alone.brokers[1].says("cluster_refounded self=1")
        equal(alone.leader(), 1, "who leads")
        c = alone.client(1)
        c.channel()
        equal(c.count("q")[0], 1 + bursts * 20, "messages")
        equal(ask(alone.api(1), "GET", "/api/users/tester")[0], 200, "the user")
        c.call(1, "confirm.select")
        publish(c, "q", 5)
        alone.kill(1)
        alone.start(1, "--cluster-found")
        c = alone.client_of_leader()
        equal(c.count("q")[0], 6 + bursts * 20, "messages after another start")
        check("cluster_refounded" not in alone.brokers[1].log(), "it begins anew once")
        equal(alone.brokers[1].stop(), 0, "status")
    cluster = grown(t, alone)
    cluster.kill(1)
    c = cluster.client_of_leader(besides={1})
    equal(c.count("q")[0], 6 + bursts * 20, "messages of those who have joined")


@case("while nobody leads no copy is made of a broker that follows: nobody knows what it lacks")
def _(t):
    cluster, leader, follower = led(t)
    for number in (6 - leader - follower, leader):  # so that nobody comes to lead between
        cluster.kill(number)
    copy = os.path.join(cluster.folders[follower - 1], "copy")
    soon("nobody leads", lambda: ask(cluster.api(follower), "GET", "/api/queues")[0] == 503)
    status, said = cluster.control(follower, "backup", copy)
    check(status == 69 and "may lack something that was confirmed" in said and not os.path.exists(copy), (status, said))


@case("a command is about the broker that --node names, whichever is asked")
def _(t):
    cluster, leader, follower = led(t)
    other = 6 - leader - follower
    pids = {number: broker.process.pid for number, broker in cluster.brokers.items()}
    for at in (leader, follower):
        for about in (1, 2, 3):
            for name in (name_of(about), "rabbit@node%d" % about):
                status, said = cluster.control(at, "-n", name, "status", "--formatter", "json")
                equal((status, json.loads(said)["pid"] if status == 0 else said), (0, pids[about]), (at, name))
    equal(cluster.control(leader, "-n", name_of(follower), "ping"), (0, "Ping succeeded\n"), "ping")
    for node, code, text in (("rabbit@node%d" % follower, 0, name_of(follower)),
                             ("rabbit@nowhere", 69, "unable to perform an operation on node 'rabbit@nowhere'")):
        done = subprocess.run(["rabbitmqctl", "--data-dir", cluster.folders[leader - 1], "-n", node, "status"],
                              executable=CONTROL, capture_output=True, text=True, check=False, timeout=60)
        check(done.returncode == code and text in done.stdout + done.stderr, (node, done))
    equal(cluster.control(leader, "-n", name_of(follower), "drain"), (0, ""), "drain")
    check(is_refused(cluster, follower) and not is_refused(cluster, leader), "who is drained")
    cluster.brokers[follower].says("user=uid:%d method=POST path=/api/maintenance/drain" % os.getuid())
    equal(cluster.control(other, "-n", name_of(follower), "revive"), (0, ""), "revive")
    check(not is_refused(cluster, follower), "who is revived")
    equal(ask(cluster.api(leader), "PUT", path_of("queues", "/", "q"), {})[0], 201, "a queue")
    queues = cluster.control(follower, "-n", name_of(other), "list_queues", "name", "-s")
    equal(queues, (0, "q\n"), "what is about the cluster")
    for words, said in ((["stop"], "on its own machine"), (["log_tail"], "the log is no file"),
                        (["backup", os.path.join(cluster.folders[0], "copy")], "run this on that of " + name_of(follower)),
                        (["check_port_connectivity"], "from the machine of " + name_of(follower))):
        status, text = cluster.control(leader, "-n", name_of(follower), *words)
        check(status == 69 and said in text, (words, status, text))
    status, said = cluster.control(leader, "-n", "leveret@nowhere", "ping")
    check(status == 69 and "is called %s, and not leveret@nowhere" % name_of(leader) in said, (status, said))
    cluster.kill(follower)
    cluster.brokers[leader].says("link_down")
    status, said = cluster.control(leader, "-n", name_of(follower), "ping")
    check(status == 69 and "does not run, or is not reached" in said, (status, said))
    equal([broker.process.poll() for number, broker in cluster.brokers.items() if number != follower], [None, None],
          "nobody else has ended")


@case("by HTTP, too, another broker is asked, which judges who asks")
def _(t):
    cluster, leader, follower = led(t)
    for at, about in ((leader, follower), (follower, leader), (follower, 6 - leader - follower)):
        api = cluster.api(at)
        for name in (name_of(about), "%d" % about):
            named = {"X-Leveret-Node": name}
            equal(ask(api, "GET", "/api/overview?columns=node", **named), (200, {"node": name_of(about)}), "who answers")
            equal(ask(api, "GET", "/api/overview", user=basic("guest", "wrong"), **named)[0], 401, "who asks")
        equal(ask(api, "GET", "/api/overview?columns=node"), (200, {"node": name_of(at)}), "itself")
    status, said = ask(cluster.api(leader), "GET", "/api/nodes", **{"X-Leveret-Node": "nobody"})
    equal((status, said["error"]), (404, "not_in_cluster"), "one that there is not")


@case("while nobody leads the answer says so, and what is about the broker is still answered")
def _(t):
    cluster, leader, follower = led(t)
    here = cluster.api(follower)
    for number in (6 - leader - follower, leader):  # so that nobody comes to lead between
        cluster.kill(number)
    # One that is gone is taken to lead for a moment: then 502 is right.
    soon("nobody leads", lambda: ask(here, "GET", "/api/queues")[0] == 503)
    status, said = ask(here, "GET", "/api/queues")
    check(status == 503 and said["error"] == "not_leading" and "more than half" in said["reason"], (status, said))
    status, said = ask(here, "GET", "/api/nodes")
    check(status == 503 and "control socket" in said["reason"], (status, said))
    status, said = ask(here, "GET", "/api/health/checks/ready-to-serve-clients", user=None)
    check(status == 503 and "more than half" in said["reason"], (status, said))
    equal(ask(here, "GET", "/api/health/checks/is-in-service", user=None)[0], 200, "it runs")
    status, said = cluster.control(follower, "list_queues")
    check(status == 69 and "more than half" in said, (status, said))
    equal(cluster.control(follower, "await_startup", "--timeout", "1")[0], 75, "nobody is served")
    status, said = cluster.control(follower, "cluster_status", "--formatter", "json")
    equal((status, json.loads(said)["running_nodes"]), (0, [name_of(follower)]), "who runs")
    cluster.start(leader)
    soon("it is answered again", lambda: cluster.control(follower, "list_queues")[0] == 0)
    equal(cluster.control(follower, "await_startup")[0], 0, "somebody is")


@case("a request that waits for a leader who stands still is answered by the next one")
def _(t):
    cluster, leader, follower = led(t)
    here = cluster.api(follower, 60)
    equal(ask(here, "PUT", path_of("queues", "/", "q"), {"durable": True})[0], 201, "declared")
    process = cluster.brokers[leader].process
    process.send_signal(signal.SIGSTOP)
    t.cleanup(process.send_signal, signal.SIGCONT)
    soon("it is answered", lambda: ask(here, "PUT", path_of("queues", "/", "p"), {"durable": True})[0] in (201, 204))
    equal([one["name"] for one in ask(here, "GET", "/api/queues")[1]], ["p", "q"], "what there is")
    process.send_signal(signal.SIGCONT)
    cluster.brokers[leader].says("office_lost")
    cluster.brokers[leader].says("Server startup complete", 2)
    soon("who has led brings it on", lambda: ask(cluster.api(leader), "GET", path_of("queues", "/", "q"))[0] == 200)


TOO_LATE = "too late"


def goes_on_until_killed(t, act):
    """What the act comes to, which kills the leader: on a busy machine another one may come to lead before that, or the
    leader may have said all by then, and then it is done again."""
    cluster, leader, follower = led(t)
    for _attempt in range(5):
        try:
            what = act(cluster, leader, follower)
        except GONE:
            what = None
        if what != TOO_LATE and not any("office_lost" in broker.log() for broker in cluster.brokers.values()):
            check(what is not None, "a connection was lost")
            soon("it is answered", lambda: ask(cluster.api(follower, 60), "GET", "/api/whoami")[0] == 200)
            return what
        for number in cluster.brokers:
            cluster.kill(number)
            cluster.start(number)
        leader = cluster.leader()
        follower = leader % 3 + 1
    raise AssertionError("leaders come and go, or are killed too late")


@case("a request whose leader is killed in the middle of it may have been done, and its answer says so")
def _(t):
    def act(cluster, leader, follower):
        there, here, said = cluster.api(leader), cluster.api(follower, 60), []
        queues = [{"name": "q%05d" % i, "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
                  for i in range(10000)]

        def post():
            try:
                said.append(ask(here, "POST", "/api/definitions", {"queues": queues}))
            except GONE as error:
                said.append((0, {"error": repr(error)}))

        asking = threading.Thread(target=post)
        asking.start()
        try:
            while ask(there, "GET", "/api/overview")[1]["object_totals"]["queues"] == 0 and not said:
                pass
        finally:
            cluster.kill(leader)
            asking.join(60)
        return said

    said = goes_on_until_killed(t, act)
    equal([(status, body["error"]) for status, body in said], [(502, "leader_lost")], "what is said")
    check("may have been done" in said[0][1]["reason"], said)


@case("an answer that has begun ends without its end when the leader is killed")
def _(t):
    def act(cluster, leader, follower):
        there = cluster.api(leader, 60)
        for i in range(250):
            made = ask(there, "PUT", "/api/global-parameters/p%d" % i, {"value": "v" * 60000})
            check(made[0] in (201, 204, 502, 503), made)
        here = cluster.api(follower, 60)
        here.connect()
        here.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        here.request("GET", "/api/global-parameters", headers={"Authorization": GUEST})
        response = here.getresponse()
        got = response.read(1000)
        cluster.kill(leader)
        try:
            rest = response.read()
            json.loads(got + rest)
            return TOO_LATE  # all of it was on its way: sockets of the system may have as much
        except GONE:
            return response.status, len(got)

    equal(goes_on_until_killed(t, act), (200, 1000), "it begins, and has no end")


@case("a prefix of paths is each broker's own")
def _(t):
    cluster = Asked(t)
    for number in range(1, 4):
        cluster.start(number, "--cluster-found", "--set", "management.path_prefix=/broker%d" % number)
    leader = cluster.leader()
    follower = leader % 3 + 1
    cluster.brokers[follower].says("office_elsewhere leader=%d" % leader)
    here = cluster.api(follower)
    equal(ask(here, "GET", "/broker%d/api/queues" % follower), (200, []), "its own")
    equal(ask(here, "GET", "/broker%d/api/queues" % leader)[0], 404, "another one's")
    equal(cluster.control(follower, "list_queues")[0], 0, "without one at the control socket")


if __name__ == "__main__":
    main()

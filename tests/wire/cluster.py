#!/usr/bin/python3
"""Brokers of a cluster: one serves, the others follow and take over; what is kept, and who may not come.

Needs no broker: every case starts its own, LEVERETD or leveretd in $top_builddir.  Output is TAP.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from members import ELECTED, Cluster, numbers, publish, secret, served  # noqa: E402
from service import PATIENCE, PROGRAM, Daemon, folder, run  # noqa: E402
from tap import eventually  # noqa: E402
from wire import amqp, case, check, equal, main  # noqa: E402


def said_before_end(c):
    """What the broker sends before it closes the socket, which it does in time."""
    said = []
    try:
        while True:
            said.append(c.recv(1, ELECTED).name)
    except amqp.ConnectionGone:
        return said


@case("names and messages are there when another one takes over, whoever is killed in turn")
def _(t):
    cluster, serving, c = served(t, "kept", 200)
    c.call(1, "exchange.declare", exchange="way", type="fanout", durable=True)
    c.call(1, "queue.bind", queue="kept", exchange="way", routing_key="")
    for turn in range(3):
        before = serving
        cluster.kill(before)
        serving = cluster.leader(besides={before})
        c = cluster.client(serving)
        c.channel()
        c.call(1, "confirm.select")
        c.publish(1, "", b"after %d" % turn, exchange="way", delivery_mode=2)
        c.expect(1, "basic.ack")
        cluster.start(before)
    want = numbers(200) + ["after %d" % turn for turn in range(3)]
    equal(c.drain("kept"), want, "what is in the queue")
    equal([broker.log().count("office_taken") for broker in cluster.brokers.values()].count(1), 1, "who serves")


@case("what was taken and not acknowledged comes again, and says so")
def _(t):
    cluster, serving, c = served(t, "taken", 3)
    c.consume("taken", no_ack=False)
    got = [c.expect(1, "basic.deliver") for _ in range(3)]
    c.send(1, "basic.ack", delivery_tag=got[0].delivery_tag, multiple=False)
    c.publish(1, "taken", b"later", delivery_mode=2)  # its confirm comes when the ack is agreed on as well
    while c.recv(1).name != "basic.ack":
        pass
    cluster.kill(serving)
    c = cluster.client_of_leader(besides={serving})
    again = [c.get_soon("taken") for _ in range(2)]
    equal([(one.body, one.redelivered) for one in again], [(b"1", True), (b"2", True)], "what comes again")


@case("who is stopped and goes on gives nobody anything, and follows")
def _(t):
    cluster, serving, c = served(t, "given", 1)
    process = cluster.brokers[serving].process
    process.send_signal(signal.SIGSTOP)
    t.cleanup(process.send_signal, signal.SIGCONT)
    c.send(1, "basic.get", queue="given", no_ack=True)
    other = cluster.client_of_leader(besides={serving})
    equal(other.get_soon("given").body, b"0", "the message")
    process.send_signal(signal.SIGCONT)
    equal(said_before_end(c), [], "answers of who was deposed")
    cluster.brokers[serving].says("office_lost")
    cluster.brokers[serving].says("Server startup complete", 2)
    equal(cluster.brokers[serving].stop(), 0, "its status")


@case("who hears of nobody answers no question, as another one may lead")
def _(t):
    cluster, serving, there = served(t, "there", 1)
    missing = cluster.client(serving)
    missing.channel()
    followers = [broker.process for number, broker in cluster.brokers.items() if number != serving]
    for process in followers:
        process.send_signal(signal.SIGSTOP)
        t.cleanup(process.send_signal, signal.SIGCONT)
    time.sleep(0.6)
    there.send(1, "queue.declare", queue="there", passive=True)
    missing.send(1, "queue.declare", queue="missing", passive=True)
    for c in (there, missing):
        equal(said_before_end(c), [], "answers")


@case("who is deposed while its clients hold messages, and answer some, starts again")
def _(t):
    cluster, serving, c = served(t, "held", 300)
    c.consume("held", no_ack=False)
    got = [c.expect(1, "basic.deliver") for _ in range(300)]
    others = [broker.process for number, broker in cluster.brokers.items() if number != serving]
    for process in others:
        process.send_signal(signal.SIGSTOP)
        t.cleanup(process.send_signal, signal.SIGCONT)
    for one in got[:100]:
        c.send(1, "basic.ack" if one.delivery_tag % 2 else "basic.nack", delivery_tag=one.delivery_tag)
    cluster.brokers[serving].says("Server startup complete", 2)
    for process in others:
        process.send_signal(signal.SIGCONT)
    c = cluster.client_of_leader()
    left = c.drain("held")
    equal(left[-200:], numbers(300)[100:], "what nobody has answered")
    check("crashed" not in cluster.brokers[serving].log(), "a crash")


@case("who ends in good order is followed at once, and one alone serves nobody")
def _(t):
    cluster, first, _ = served(t, "kept", 10)
    equal(cluster.brokers[first].stop(), 0, "status")
    second = cluster.leader(besides={first})
    equal(cluster.brokers[second].stop(), 0, "status")
    third = 6 - first - second
    time.sleep(4)
    check("office_taken" not in cluster.brokers[third].log(), "one of three serves")
    cluster.start(first)
    c = cluster.client_of_leader(besides={second})
    equal(c.drain("kept"), numbers(10), "what is in the queue")


@case("a folder that was lost does not come back as if nothing had been")
def _(t):
    cluster, lost, _ = served(t, "kept", 10)
    cluster.lose(lost)
    cluster.leader(besides={lost})
    status, _, log = run(*cluster.arguments(lost))
    equal(status, 1, "status")
    check("belongs to no cluster" in log and "--cluster-found" in log, log)
    cluster.start(lost, "--cluster-found")
    time.sleep(3)
    check("link_refused" in cluster.brokers[lost].log(), cluster.brokers[lost].log())
    check("office_taken" not in cluster.brokers[lost].log() and "link_up" not in cluster.brokers[lost].log(),
          cluster.brokers[lost].log())


@case("a store that was used alone founds nothing, and a cluster's does not serve alone")
def _(t):
    cluster = Cluster(t)
    alone = Daemon(t, "--data-dir", cluster.folders[0], "--listen", "127.0.0.1:0").ready()
    equal(alone.stop(), 0, "status")
    status, _, log = run(*cluster.arguments(1, "--cluster-found"))
    equal(status, 1, "status")
    check("without a cluster" in log and "definitions" in log, log)
    equal(cluster.start(2, "--cluster-found").stop(), 0, "status")
    status, _, log = run("--data-dir", cluster.folders[1], "--listen", "127.0.0.1:0")
    equal(status, 1, "status")
    check("cluster.nodes" in log, log)


@case("another secret is none, and settings that cannot be are refused")
def _(t):
    cluster = Cluster(t)
    other = secret(t, b"quite another secret of that length\n")
    cluster.start(1, "--cluster-found")
    cluster.start(2, "--cluster-found", cookie=other)
    time.sleep(2)
    for number in (1, 2):
        log = cluster.brokers[number].log()
        check("link_up" not in log and "binder does not verify: the two have different secrets" in log and
              "illegal parameter: the two have different secrets" in log, log)
    for settings, wanted in ((["cluster.nodes.1=127.0.0.1:1"], "cluster.number"),
                             (["cluster.nodes.1=127.0.0.1:1", "cluster.number=2"], "cluster.number"),
                             (["cluster.nodes.1=127.0.0.1:1", "cluster.number=1"], "cluster.cookie"),
                             (["cluster.number=1"], "cluster.nodes"),
                             (["cluster.nodes.0=127.0.0.1:1"], "from 1 to 64"),
                             (["cluster.nodes.1=25672"], "find it")):
        words = [word for setting in settings for word in ("--set", setting)]
        status, out, log = run("--data-dir", cluster.folders[2], *words)
        check(status == 2 and wanted in out + log, "%r: %d %s" % (settings, status, log))
    missing = cluster.arguments(3, "--check-config", cookie=os.path.join(cluster.folders[2], "none"))
    status, out, log = run(*missing)
    check(status == 2 and "none" in out + log, "a secret that is missing: %d %s%s" % (status, out, log))


@case("a follower says who leads, and who leads what there is of the cluster")
def _(t):
    cluster, serving, ask = with_sockets(t)
    follower, other = serving % 3 + 1, (serving + 1) % 3 + 1
    status, said = ask(follower, "cluster_status")
    check(status == 0 and "Node: leveret@node%d, number: %d, role: voter, leads" % (serving, serving) in said, said)
    equal(ask(serving, "list_queues")[0], 0, "who serves")
    status, said = ask(serving, "reset")
    check(status == 69 and "relies on what it has agreed to" in said, (status, said))
    status, said = ask(serving, "stop_app")
    check(status == 69 and "drain has another one serve" in said, (status, said))
    names = ["leveret@node%d" % number for number in (1, 2, 3)]
    status, said = ask(serving, "cluster_status", "--formatter", "json")
    equal(status, 0, said)
    said = json.loads(said)
    equal((sorted(said["disk_nodes"]), sorted(said["running_nodes"])), (names, names), "nodes")
    equal(ask(serving, "check_if_node_is_quorum_critical")[0], 0, "with all three")
    cluster.kill(other)
    cluster.brokers[serving].says("link_down")
    status, said = ask(serving, "check_if_node_is_quorum_critical")
    check(status == 69 and "nobody would serve" in said, (status, said))
    said = json.loads(ask(serving, "cluster_status", "--formatter", "json")[1])
    equal(sorted(said["running_nodes"]), [name for name in names if name != "leveret@node%d" % other], "nodes")
    shown = ask(serving, "top")[1].splitlines()[1]
    check(shown.startswith("cluster   leveret@node%d leads   " % serving), shown)
    check("   leveret@node%d DOWN" % other in shown and shown.count("DOWN") == 1, shown)
    status, said = ask(serving, "await_online_quorum_plus_one", "--timeout", "1")
    equal(status, 75, said)
    cluster.start(other)
    equal(ask(serving, "await_online_quorum_plus_one", "--timeout", "60")[0], 0, "when it is back")


def metrics_of(broker):
    """{name: value} of its lines without labels."""
    address = re.findall(r"listening address=(\S+) protocol=http/prometheus$", broker.log(), re.M)[0]
    with urllib.request.urlopen("http://%s/metrics" % address, timeout=PATIENCE) as answer:
        lines = [line.split(" ") for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {line[0]: float(line[1]) for line in lines if "{" not in line[0]}


def of_members(broker, name):
    """{member: value} of a metric that is about each."""
    address = re.findall(r"listening address=(\S+) protocol=http/prometheus$", broker.log(), re.M)[0]
    with urllib.request.urlopen("http://%s/metrics" % address, timeout=PATIENCE) as answer:
        lines = re.findall(r"^%s\{member=\"(.*)\"\} (\S+)$" % name, answer.read().decode(), re.M)
    return {member: float(value) for member, value in lines}


def metrics_text(broker, path):
    address = re.findall(r"listening address=(\S+) protocol=http/prometheus$", broker.log(), re.M)[0]
    with urllib.request.urlopen("http://%s%s" % (address, path), timeout=PATIENCE) as answer:
        return answer.read().decode()


def cluster_label(broker):
    """What its metrics say is the name of the cluster."""
    return re.search(r'^rabbitmq_identity_info\{.*rabbitmq_cluster="(.*?)"', metrics_text(broker, "/metrics"), re.M).group(1)


@case("metrics tell of the group: who leads, what is agreed on, and who is away")
def _(t):
    cluster, serving, c = served(t, "measured", 50, "--metrics", "127.0.0.1:0")
    equal({number: cluster_label(cluster.brokers[number]) for number in (1, 2, 3)}, {1: "leveret", 2: "leveret", 3: "leveret"},
          "what each says is the name of the cluster")
    follower, other = serving % 3 + 1, (serving + 1) % 3 + 1
    leader = metrics_of(cluster.brokers[serving])
    equal((leader["leveret_cluster_members"], leader["leveret_cluster_members_up"], leader["leveret_cluster_leads"],
           leader["rabbitmq_unreachable_cluster_peers_count"]), (3, 3, 1, 0), "the cluster")
    check(leader["leveret_cluster_entries_proposed_total"] > 0 and leader["leveret_cluster_log_bytes"] > 0, leader)
    commit = leader["rabbitmq_raft_commit_index"]
    check(0 < commit == leader["rabbitmq_raft_log_commit_index"] and leader["rabbitmq_raft_last_written_index"] >= 1, leader)
    took = "rabbitmq_raft_commit_latency_seconds"
    equal(leader[took], leader["rabbitmq_raft_entry_commit_latency_seconds"], "how long a commit takes, by both names")
    check(eventually(lambda: 0 < metrics_of(cluster.brokers[serving])[took] < 60 or publish(c, "measured", 1)), "which is some time")
    check(eventually(lambda: metrics_of(cluster.brokers[follower])["rabbitmq_raft_last_applied"] >= commit), "a follower comes after")
    followed = metrics_of(cluster.brokers[follower])
    check(took in followed, "of its own entries, if it had any")
    equal((followed["leveret_cluster_leads"], followed["rabbitmq_raft_term"], followed["leveret_cluster_entries_proposed_total"]),
          (0, leader["rabbitmq_raft_term"], 0), "it follows")
    for number, leads in ((serving, 1), (follower, 0)):
        lines = metrics_text(cluster.brokers[number], "/metrics/detailed?family=ra_metrics").splitlines()
        check("leveret_detailed_cluster_leads %d" % leads in lines, "what a proxy may look for: %r" % lines)
    cluster.kill(other)
    cluster.brokers[serving].says("link_down")
    alone = metrics_of(cluster.brokers[serving])
    equal((alone["rabbitmq_unreachable_cluster_peers_count"], alone["leveret_cluster_members_up"]), (1, 2), "one is away")
    publish(c, "measured", 10)
    names = ["leveret@node%d" % number for number in (1, 2, 3)]
    away = "leveret@node%d" % other
    equal(of_members(cluster.brokers[serving], "leveret_cluster_member_up"),
          {name: 0 if name == away else 1 for name in names}, "who is up")
    equal(of_members(cluster.brokers[serving], "leveret_cluster_member_votes"), {name: 1 for name in names}, "who counts")
    behind = of_members(cluster.brokers[serving], "leveret_cluster_member_entries_behind")
    check(sorted(behind) == names and behind[away] > 0, behind)
    equal(of_members(cluster.brokers[serving], "leveret_cluster_member_lacks_entries"), {name: 0 for name in names}, "the log has all")
    equal(sorted(of_members(cluster.brokers[follower], "leveret_cluster_member_entries_behind")), ["leveret@node%d" % follower],
          "who follows knows itself")


def with_sockets(t):
    """A cluster whose brokers can be asked, who serves, and who asks one of them: its status, and what it says."""
    cluster = Cluster(t)
    for number in range(1, 4):
        cluster.start(number, "--cluster-found", *asked_at(cluster, number))
    program = os.path.join(os.path.dirname(PROGRAM), "leveretctl")

    def ask(number, *words):
        done = subprocess.run([program, "--data-dir", cluster.folders[number - 1], *words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    return cluster, cluster.leader(), ask


def asked_at(cluster, number):
    return ["--control-socket", os.path.join(cluster.folders[number - 1], "ctl.sock")]


def name_of(number):
    return "leveret@node%d" % number


def filled(cluster, serving, count):
    """A client that has filled the queue "kept", and has its messages confirmed."""
    c = cluster.client(serving)
    c.channel()
    c.queue(queue="kept", durable=True)
    c.call(1, "confirm.select")
    publish(c, "kept", count)
    return c


def members_of(ask, serving):
    """What cluster_status says of each, by name."""
    status, said = ask(serving, "cluster_status", "--formatter", "json")
    equal(status, 0, said)
    return json.loads(said)["members"]


def soon(what, is_so):
    deadline = time.monotonic() + ELECTED
    while not is_so():
        check(time.monotonic() < deadline, what)
        time.sleep(0.05)


@case("verbs about a cluster and its replicas do what they say, or say what there is to do")
def _(t):
    cluster, serving, ask = with_sockets(t)
    other, third = serving % 3 + 1, (serving + 1) % 3 + 1
    c = cluster.client(serving)
    c.channel()
    c.queue(queue="q", durable=True, arguments={"x-queue-type": "quorum"})
    c.queue(queue="c", durable=True)
    c.queue(queue="t")
    names = [name_of(number) for number in (1, 2, 3)]
    soon("all have all", lambda: all(one.get("entries_behind") == 0 and one["role"] == "voter"
                                     for one in members_of(ask, serving).values()))
    equal([name for name, one in members_of(ask, serving).items() if one["leads"]], [name_of(serving)], "who leads")
    check("number: %d, role: voter, leads" % serving in ask(serving, "cluster_status")[1], "for people")

    status, said = ask(serving, "list_queues", "name", "leader", "members", "online", "slave_pids",
                       "synchronised_slave_pids", "--formatter", "json")
    equal(status, 0, said)
    queues = {one["name"]: one for one in json.loads(said)}
    equal((queues["q"]["leader"], sorted(queues["q"]["members"]), sorted(queues["q"]["online"])),
          (name_of(serving), names, names), "of a quorum queue")
    equal(sorted(queues["c"]["slave_pids"]), sorted([name_of(other), name_of(third)]), "of another durable one")
    equal(sorted(queues["c"]["synchronised_slave_pids"]), sorted([name_of(other), name_of(third)]), "and up to date")
    check(not queues["t"].get("members") and not queues["t"].get("slave_pids"), queues["t"])

    status, said = ask(serving, "listeners")
    check(status == 0 and "protocol: clustering, purpose: inter-node" in said and "amqp/ssl" not in said, said)
    equal(ask(serving, "check_protocol_listener", "clustering")[0], 0, "the port for brokers")
    equal(ask(serving, "check_protocol_listener", "amqps")[0], 69, "no client can connect there")

    cluster.brokers[serving].process.send_signal(signal.SIGHUP)
    cluster.brokers[serving].says("config_reloaded changed=0 need_restart=0")

    status, said = ask(serving, "quorum_status", "q", "--formatter", "json")
    equal(status, 0, said)
    rows = {row["Node Name"]: row for row in json.loads(said)}
    equal(sorted(rows), names, "members of a queue")
    equal({name: row["Raft State"] for name, row in rows.items()},
          {name: "leader" if name == name_of(serving) else "follower" for name in names}, "what they do")
    equal(ask(serving, "quorum_status", "c")[0], 69, "of a classic queue")

    for words, wanted, text in (
            (("discover_peers",), 0, names[0]), (("await_online_nodes", "3"), 0, ""),
            (("await_online_nodes", "4", "--timeout", "1"), 75, "joined %s's cluster: 3 of 4 run" % name_of(serving)),
            (("join_cluster", name_of(other)), 0, "already a member"),
            (("join_cluster", "leveret@stranger"), 69, "--cluster-join"),
            (("add_member", "q", name_of(other)), 0, ""), (("add_member", "q", "leveret@stranger"), 69, "--cluster-join"),
            (("add_member", "c", name_of(other)), 69, "classic"), (("delete_member", "q", name_of(other)), 69, "all brokers"),
            (("delete_member", "q", "leveret@stranger"), 0, ""), (("grow", name_of(other), "all"), 0, ""),
            (("grow", "leveret@stranger", "all"), 69, "--cluster-join"), (("shrink", name_of(other)), 69, "forget_cluster_node"),
            (("rebalance", "all"), 0, ""), (("sync_queue", "c"), 0, ""), (("sync_queue", "t"), 69, "not durable"),
            (("cancel_sync_queue", "c"), 69, ""), (("force_boot",), 69, "more than half"),
            (("forget_cluster_node", name_of(other)), 69, "stop it first"),
            (("forget_cluster_node", "leveret@stranger"), 69, "not in the cluster")):
        status, said = ask(serving, *words)
        check(status == wanted and text in said, (words, status, said))
    follower = ask(other, "await_startup", "--timeout", "30")
    equal(follower[0], 0, follower)


@case("who is down counts no more when it is forgotten, and counts again when it is back with all")
def _(t):
    cluster, serving, ask = with_sockets(t)
    away = serving % 3 + 1
    c = filled(cluster, serving, 10)
    cluster.kill(away)
    cluster.brokers[serving].says("link_down")
    publish(c, "kept", 10)
    one = members_of(ask, serving)[name_of(away)]
    check(one["role"] == "voter" and one["entries_behind"] > 0, one)
    status, said = ask(serving, "forget_cluster_node", name_of(away))
    equal(status, 0, said)
    soon("it does not count", lambda: members_of(ask, serving)[name_of(away)]["role"] == "learner")
    publish(c, "kept", 10)
    status, said = ask(serving, "check_if_node_is_quorum_critical")
    equal(status, 69, said)
    cluster.start(away, *asked_at(cluster, away))
    soon("it counts again", lambda: members_of(ask, serving)[name_of(away)]["role"] == "voter")
    soon("all three are there", lambda: ask(serving, "check_if_node_is_quorum_critical")[0] == 0)


def listed(ask, number, *words):
    """Of a list, by name."""
    status, said = ask(number, *words, "--formatter", "json")
    equal(status, 0, said)
    return {row["name"]: row for row in json.loads(said)}


def mirrored(t):
    """A cluster with a policy that has queues mirrored whose names begin with "m.", who serves, and a client of that."""
    cluster, serving, ask = with_sockets(t)
    status, said = ask(serving, "set_policy", "mirrors", "^m[.]", '{"ha-mode":"exactly","ha-params":2,"ha-sync-mode":"automatic"}')
    check(status == 0 and "Note" not in said, said)
    c = cluster.client(serving)
    c.channel()
    c.call(1, "confirm.select")
    return cluster, serving, ask, c


@case("what is not durable is there when another one takes over, if a policy says so or its client")
def _(t):
    cluster, serving, ask, c = mirrored(t)
    c.queue(queue="m.plain", durable=False)
    c.queue(queue="m.auto", auto_delete=True)
    c.queue(queue="m.levels", arguments={"x-max-priority": 3})
    c.queue(queue="m.three", arguments={"x-max-length": 3})
    c.queue(queue="m.brief", arguments={"x-message-ttl": 2000})
    c.queue(queue="m.once", arguments={"x-message-deduplication": True})
    c.queue(queue="asked", arguments={"mirrored": True})
    c.queue(queue="m.never", arguments={"mirrored": False})
    c.queue(queue="m.mine", exclusive=True)
    c.queue(queue="other", durable=False)
    c.call(1, "queue.bind", queue="m.auto", exchange="amq.topic", routing_key="a.#")
    c.call(1, "queue.bind", queue="other", exchange="amq.topic", routing_key="a.#")
    for number in range(10):
        for queue in ("m.plain", "m.levels", "m.three", "m.brief", "asked", "other"):
            c.publish(1, queue, b"%d" % number, delivery_mode=1, priority=number % 2)
        c.publish(1, "a.b", b"%d" % number, exchange="amq.topic")
        c.publish(1, "m.once", b"%d" % number, delivery_mode=1, headers={"x-deduplication-header": number % 5})
    c.confirmed = 80
    highest = 0
    while highest < c.confirmed:
        highest = max(highest, c.expect(1, "basic.ack").delivery_tag)
    cluster.kill(serving)
    after = cluster.leader(besides={serving})
    c = cluster.client_of_leader(besides={serving})
    c.call(1, "confirm.select")
    rows = listed(ask, after, "list_queues", "name", "durable", "auto_delete", "policy", "slave_pids", "members")
    equal(sorted(rows), ["asked", "m.auto", "m.brief", "m.levels", "m.once", "m.plain", "m.three"], "queues that are there")
    check(not any(row["durable"] for row in rows.values()) and rows["m.auto"]["auto_delete"], rows)
    equal((rows["m.plain"]["policy"], rows["asked"]["policy"]), ("mirrors", None), "policies")
    names = [name_of(number) for number in (1, 2, 3)]
    equal(sorted(rows["m.plain"]["members"]), names, "who has it")
    equal(c.drain("m.plain"), numbers(10), "in order")
    equal(c.drain("m.levels"), ["1", "3", "5", "7", "9", "0", "2", "4", "6", "8"], "by priority")
    equal(c.drain("m.three"), ["7", "8", "9"], "the last three")
    c.publish(1, "m.once", b"again", headers={"x-deduplication-header": 3})
    c.expect(1, "basic.ack")
    equal(c.drain("m.once"), numbers(5), "what it has seen")
    equal((c.drain("m.auto"), c.drain("asked")), (numbers(10), numbers(10)), "by a binding, and of who has asked")
    check(eventually(lambda: c.count("m.brief")[0] == 0), "what ends")
    c.publish(1, "a.c", b"later", exchange="amq.topic")
    c.expect(1, "basic.ack")
    equal(c.get_soon("m.auto").body, b"later", "the binding")
    tag = c.consume("m.auto")
    c.call(1, "basic.cancel", consumer_tag=tag)
    equal("m.auto" in listed(ask, after, "list_queues", "name"), False, "one that nobody uses any more")


@case("what is mirrored and not durable stays when all were down")
def _(t):
    cluster, serving, ask, c = mirrored(t)
    c.queue(queue="m.auto", auto_delete=True)
    publish(c, "m.auto", 20)
    for number in (1, 2, 3):
        cluster.kill(number)
    for number in (1, 2, 3):
        cluster.start(number, *asked_at(cluster, number))
    c = cluster.client_of_leader()
    equal(c.queue(queue="m.auto", auto_delete=True), "m.auto", "it is what it was")
    equal(c.drain("m.auto"), numbers(20), "its messages")


@case("a policy about mirrors says that it is for queues that are declared later")
def _(t):
    cluster, serving, ask, c = mirrored(t)
    c.queue(queue="before", durable=False)
    c.queue(queue="m.before", durable=False)
    status, said = ask(serving, "set_policy", "mirrors", "^before", '{"ha-mode":"all"}')
    check(status == 0 and "Note: what this says of mirrors applies to queues that are declared from now on" in said, said)
    check(eventually(lambda: "mirrors_kept vhost=/ queues=2" in cluster.brokers[serving].log()), cluster.brokers[serving].log())
    status, said = ask(serving, "set_policy", "mirrors", "^before", '{"ha-mode":"nodes","ha-params":["%s"]}' % name_of(1))
    check(status == 0 and "Note" not in said, said)
    status, said = ask(serving, "set_policy", "mirrors", "^before", '{"ha-mode":"exactly","ha-params":"two"}')
    check(status != 0 and 'ha-mode="exactly" takes an integer, <<"two">> given' in said, said)
    c.queue(queue="before2", durable=False)
    rows = listed(ask, serving, "list_queues", "name", "slave_pids")
    equal({name: bool(row["slave_pids"]) for name, row in rows.items()},
          {"before": False, "m.before": True, "before2": True}, "who has mirrors")
    said = ask(serving, "explain", "before")[1] + ask(serving, "explain", "m.before")[1]
    check("is not mirrored" in said, said)
    status, said = ask(serving, "clear_policy", "mirrors")
    check(status == 0 and "Note" in said, said)


@case("drain has another broker serve, which has everything, and who has served follows")
def _(t):
    cluster, serving, ask = with_sockets(t)
    filled(cluster, serving, 100)
    status, said = ask(serving, "drain")
    equal(status, 0, said)
    after = cluster.leader(besides={serving})
    cluster.brokers[serving].says("office_lost")
    cluster.brokers[serving].says("Server startup complete", 2)
    c = cluster.client(after)
    c.channel()
    equal(c.drain("kept"), numbers(100), "what is in the queue")
    soon("it follows", lambda: ask(serving, "await_startup", "--timeout", "5")[0] == 0)
    soon("all run", lambda: ask(after, "await_online_nodes", "3", "--timeout", "5")[0] == 0)
    try:
        cluster.client(serving)
        raise AssertionError("it takes clients")
    except ConnectionRefusedError:
        equal(ask(serving, "revive")[0], 0, "it does when it is revived")
    cluster.client(serving).channel()


def takes_over(cluster, number, queue):
    """What the broker has, once it is the one that serves: all others are started again until it does."""
    deadline = time.monotonic() + ELECTED
    while True:
        serving = cluster.leader()
        if serving == number:
            c = cluster.client(number)
            c.channel()
            return c.drain(queue)
        check(time.monotonic() < deadline, "it does not serve: " + cluster.brokers[number].log())
        equal(cluster.brokers[serving].stop(), 0, "status")
        cluster.leader(besides={serving})
        cluster.start(serving)


@case("a broker that was down until no log has what it lacks gets a copy of the store, and can serve")
def _(t):
    cluster, serving, c = served(t, "kept", 10, "--set", "cluster.log_bytes=1MiB", "--segment-size", "1MiB")
    away = serving % 3 + 1
    cluster.kill(away)
    publish(c, "kept", 300, 20000)
    cluster.start(away)
    cluster.brokers[serving].says("image_made")
    cluster.brokers[away].says("image_came")
    cluster.brokers[away].says("image_taken")
    cluster.brokers[away].says("Server startup complete", 2)
    publish(c, "kept", 10, 10)
    got = takes_over(cluster, away, "kept")
    equal([body.strip() for body in got], numbers(10) + numbers(300) + numbers(10), "what it has")
    equal(cluster.brokers[away].log().count(" image_comes "), 1, "copies that it got")


@case("a broker that has lost its folder joins in its place, and counts like the others")
def _(t):
    cluster, serving, c = served(t, "kept", 10)
    lost = serving % 3 + 1
    cluster.lose(lost)
    publish(c, "kept", 10, 10)
    cluster.start(lost, "--cluster-join")
    cluster.brokers[lost].says("joined")
    cluster.brokers[serving].says("voter=%d" % lost)
    other = 6 - serving - lost
    cluster.kill(other)
    publish(c, "kept", 10, 10)
    cluster.start(other)
    got = takes_over(cluster, lost, "kept")
    equal([body.strip() for body in got], numbers(10) + numbers(10) + numbers(10), "what it has")


if __name__ == "__main__":
    main()

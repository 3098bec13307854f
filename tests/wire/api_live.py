#!/usr/bin/python3
"""The API's resources of what lives: connections, channels, consumers, the node.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import (NOT_FOUND, NUMBERS, Skip, anything, broker, broker_at, case, check,  # noqa: E402
                 client, consumer_like, equal, error, expect, name_of, one_of, ours, path_of, queue,
                 quote, some, soon)

import amqp  # noqa: E402
import service  # noqa: E402
import tap  # noqa: E402

RATE = {"rate": float}


# ---- connections ----

def connection_like(c, **fields):
    own = c.sock.getsockname()
    answer = {
        "name": name_of(c), "node": str, "user": "guest", "vhost": "/", "state": "running",
        "user_who_performed_action": "guest", "type": "network", "protocol": "AMQP 0-9-1",
        "auth_mechanism": "PLAIN", "channels": int, "channel_max": 2047, "frame_max": 131072,
        "timeout": 0, "connected_at": int, "host": "127.0.0.1", "peer_host": own[0],
        "port": c.sock.getpeername()[1], "peer_port": own[1],
        "client_properties": {"product": "wire tests", ...: ...}, "ssl": False,
        "peer_cert_issuer": one_of(None, ""), "peer_cert_subject": one_of(None, ""),
        "peer_cert_validity": one_of(None, ""), "ssl_protocol": one_of(None, ""),
        "ssl_key_exchange": one_of(None, ""), "ssl_cipher": one_of(None, ""),
        "ssl_hash": one_of(None, ""), "recv_oct": int, "recv_oct_details": RATE, "recv_cnt": int,
        "send_oct": int, "send_oct_details": RATE, "send_cnt": int, "send_pend": int, ...: ...}
    answer.update(fields)
    return answer


@case("connections: in lists, and one by its name")
def _(t):
    c = client(t)
    one = connection_like(c)
    soon("/api/connections", some(one))
    soon("/api/vhosts/%2F/connections", some(one))
    soon(path_of("connections", name_of(c)), one)
    soon("/api/connections?page=1&page_size=500&name=" + quote(name_of(c)),
         {"items": [one], "filtered_count": 1, "total_count": int, "item_count": 1, "page": 1,
          "page_size": 500, "page_count": 1})
    soon("/api/connections?sort=peer_port&columns=name,peer_port",
         some({"name": name_of(c), "peer_port": one["peer_port"]}))
    soon("/api/connections/username/guest",
         some({"name": name_of(c), "node": str, "user": "guest", "vhost": "/"}))
    expect("GET", "/api/connections/username/nobody", 200, answer=[])
    expect("GET", "/api/connections/none", 404, answer=NOT_FOUND)
    expect("GET", "/api/vhosts/none/connections", 404, answer=NOT_FOUND)


@case("what a connection has read and written is counted")
def _(t):
    c = client(t)
    soon(path_of("connections", name_of(c)), connection_like(c))
    q = queue(t, c, exclusive=True)
    c.publish(1, q, b"x" * 100000)
    c.call(1, "basic.get", queue=q, no_ack=True)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        got = broker().ask("GET", path_of("connections", name_of(c))).body
        if got["recv_oct"] > 100000 and got["send_oct"] > 100000:
            break
        time.sleep(0.05)
    check(100000 < got["recv_oct"] < 105000, "%d bytes received" % got["recv_oct"])
    check(100000 < got["send_oct"] < 105000, "%d bytes sent" % got["send_oct"])
    check(got["recv_cnt"] > 3 and got["send_cnt"] > 3, "some reads and writes")


def closed_with(c, reason):
    while True:
        event = c.recv(timeout=api.PATIENCE)
        if event.name == "connection.close":
            break
    equal((event.reply_code, event.reply_text), (320, "CONNECTION_FORCED - " + reason), "why")


@case("a connection is closed, with a reason")
def _(t):
    c = client(t)
    soon(path_of("connections", name_of(c)), connection_like(c))
    expect("DELETE", path_of("connections", name_of(c)), 204)
    closed_with(c, "Closed via management plugin")
    other = client(t)
    soon(path_of("connections", name_of(other)), connection_like(other))
    expect("DELETE", path_of("connections", name_of(other)), 204,
           headers={"X-Reason": "maintenance at noon"})
    closed_with(other, "maintenance at noon")
    other.abort()
    expect("DELETE", "/api/connections/none", 404, answer=NOT_FOUND)


# ---- channels ----

def channel_like(c, number, **fields):
    own = c.sock.getsockname()
    answer = {
        "name": "%s (%d)" % (name_of(c), number), "number": number, "node": str, "user": "guest",
        "user_who_performed_action": "guest", "vhost": "/", "state": "running", "confirm": False,
        "transactional": False, "prefetch_count": 0, "global_prefetch_count": 0,
        "consumer_count": 0, "messages_unacknowledged": 0, "messages_unconfirmed": 0,
        "messages_uncommitted": 0, "acks_uncommitted": 0, "pending_raft_commands": 0,
        "connection_details": {"name": name_of(c), "peer_host": own[0], "peer_port": own[1]},
        ...: ...}
    answer.update(fields)
    return answer


@case("channels: what they are for and what they have")
def _(t):
    c = client(t, channels=3)
    q = queue(t, c, exclusive=True)
    c.call(1, "confirm.select")
    c.call(2, "basic.qos", prefetch_count=7)
    c.call(2, "basic.consume", queue=q, consumer_tag="one")
    c.call(3, "tx.select")
    c.publish(3, q, b"uncommitted")
    for _ in range(3):
        c.publish(1, q, b"message")
    wanted = [channel_like(c, 1, confirm=True),
              channel_like(c, 2, prefetch_count=7, consumer_count=1, messages_unacknowledged=3),
              channel_like(c, 3, transactional=True, messages_uncommitted=1)]
    for one in wanted:
        soon("/api/channels", some(one))
        soon("/api/vhosts/%2F/channels", some(one))
        soon(path_of("connections", name_of(c), "channels"), some(one))
        soon(path_of("channels", one["name"]), one)
    check(len(broker().ask("GET", path_of("connections", name_of(c), "channels")).body) == 3,
          "the channels of one connection")
    soon("/api/channels?page=1&name=" + quote(name_of(c) + " (2)"),
         {"items": [wanted[1]], "filtered_count": 1, ...: ...})
    got = soon(path_of("channels", wanted[1]["name"]), wanted[1])
    equal([item["consumer_tag"] for item in got["consumer_details"]], ["one"], "consumers")
    for name in (name_of(c) + " (9)", name_of(c), "none", "none (1)", name_of(c) + " (1) "):
        expect("GET", path_of("channels", name), 404, answer=NOT_FOUND)
    expect("GET", "/api/connections/none/channels", 404, answer=NOT_FOUND,
           differs="channels of no connection")


# ---- consumers ----

@case("consumers: in lists, with what they were begun with")
def _(t):
    c = client(t)
    q, other = queue(t, c), queue(t, c)
    c.call(1, "basic.consume", queue=q, consumer_tag="plain", no_ack=True)
    c.call(1, "basic.qos", prefetch_count=9)
    c.call(1, "basic.consume", queue=q, consumer_tag="first", arguments={"x-priority": 5})
    c.call(1, "basic.consume", queue=other, consumer_tag="alone", exclusive=True)
    for one in (consumer_like(c, q, "plain", ack_required=False),
                consumer_like(c, q, "first", prefetch_count=9, arguments={"x-priority": 5}),
                consumer_like(c, other, "alone", exclusive=True, prefetch_count=9)):
        soon("/api/consumers", some(one))
        soon("/api/consumers/%2F", some(one))
    expect("GET", "/api/consumers/none", 404, answer=NOT_FOUND)
    c.call(1, "basic.cancel", consumer_tag="plain")
    end = time.monotonic() + 15
    while any(item["consumer_tag"] == "plain"
              for item in broker().ask("GET", "/api/consumers").body):
        check(time.monotonic() < end, "one that was cancelled is still told of")
        time.sleep(0.05)


@case("of a queue with a single active consumer the others are waiting")
def _(t):
    c = client(t)
    q = queue(t, c, arguments={"x-single-active-consumer": True})
    c.call(1, "basic.consume", queue=q, consumer_tag="active")
    c.call(1, "basic.consume", queue=q, consumer_tag="second")
    soon("/api/consumers", some(consumer_like(c, q, "active", activity_status="single_active")))
    soon("/api/consumers",
         some(consumer_like(c, q, "second", active=False, activity_status="waiting")))


# ---- the node ----

COUNTERS = ["messages", "messages_ready", "messages_unacknowledged"]


def counters(*names, **values):
    """With ... for others: more fields than these."""
    answer = {...: ...} if ... in names else {}
    names = [name for name in names if name is not ...]
    for name in names:
        answer[name] = values.get(name, int)
        answer[name + "_details"] = RATE
    return answer


def node_name():
    return broker().ask("GET", "/api/overview?columns=node").body["node"]


@case("the overview")
def _(t):
    c = client(t)
    q = queue(t, c)
    c.publish(1, q, b"one")
    node = node_name()
    got = soon("/api/overview", {
        "management_version": str, "rabbitmq_version": str, "product_name": str,
        "product_version": str, "erlang_version": str, "erlang_full_version": str,
        "cluster_name": str, "node": node, "rates_mode": "basic", "disable_stats": False,
        "enable_queue_totals": False, "release_series_support_status": str,
        "sample_retention_policies": {"global": [600, 3600, 28800, 86400], "basic": [600, 3600],
                                      "detailed": [600]},
        "exchange_types": some(*({
            "name": name, "enabled": True,
            "description": "AMQP %s exchange, as per the AMQP specification" % name}
            for name in ("direct", "fanout", "topic", "headers"))),
        "message_stats": {...: ...},
        "churn_rates": counters("connection_created", "connection_closed", "channel_created",
                                "channel_closed", ...),
        "queue_totals": counters(*COUNTERS, messages=1, messages_ready=1,
                                 messages_unacknowledged=0),
        "object_totals": {"channels": int, "connections": int, "consumers": int,
                          "exchanges": int, "queues": 1},
        "statistics_db_event_queue": 0,
        "listeners": some({"node": node, "protocol": "amqp", "ip_address": "127.0.0.1",
                           "port": int(broker().uri.rsplit(":")[-1]),
                           "socket_opts": {"nodelay": True, ...: ...}},
                          {"node": node, "protocol": "http", "ip_address": str,
                           "port": int(broker().address.rsplit(":")[-1]), "socket_opts": anything}),
        "contexts": [{"ssl_opts": [], "node": node, "description": "RabbitMQ Management",
                      "path": "/", "ip": "127.0.0.1",
                      "port": broker().address.rsplit(":")[-1], ...: ...}]})
    check(got["churn_rates"]["connection_created"] >= 1, "a connection was opened")
    expect("GET", "/api/overview?columns=node,cluster_name", 200,
           answer={"node": node, "cluster_name": str})


MEMORY = ["binary", "code", "connection_readers", "connection_writers", "connection_channels",
          "connection_other", "queue_procs", "quorum_queue_procs", "plugins", "other_proc",
          "metrics", "mgmt_db", "mnesia", "other_ets", "msg_index", "atom", "other_system",
          "allocated_unused", "reserved_unallocated", "queue_slave_procs", "quorum_ets",
          "quorum_queue_dlx_procs", "stream_queue_procs", "stream_queue_replica_reader_procs",
          "stream_queue_coordinator_procs"]


@case("the node, and what it takes")
def _(_t):
    node = node_name()
    answer = {
        "name": node, "type": "disc", "running": True, "os_pid": str, "uptime": int,
        "processors": int, "run_queue": int, "rates_mode": "basic", "mem_limit": int,
        "mem_alarm": False, "mem_calculation_strategy": "rss", "disk_free_limit": int,
        "disk_free_alarm": False, "fd_total": int, "sockets_total": int, "proc_total": int,
        "partitions": [], "exchange_types": [{"name": str, "description": str, "enabled": bool,
                                              ...: ...}, ...],
        "auth_mechanisms": some({"name": "PLAIN", "enabled": True,
                                 "description": "SASL PLAIN authentication mechanism"}),
        "applications": some({"name": "rabbit", "description": "RabbitMQ", "version": str}),
        "contexts": some({"description": "RabbitMQ Management", "path": "/", "ip": "127.0.0.1",
                          "port": str, ...: ...}),
        "log_files": [str, ...], "config_files": [str, ...], "db_dir": str, "net_ticktime": int,
        "enabled_plugins": some("rabbitmq_management"), "cluster_links": [],
        "metrics_gc_queue_length": {
            "connection_closed": 0, "channel_closed": 0, "consumer_deleted": 0,
            "exchange_deleted": 0, "queue_deleted": 0, "vhost_deleted": 0,
            "node_node_deleted": 0, "channel_consumer_deleted": 0}, ...: ...}
    answer.update(counters(
        "mem_used", "disk_free", "fd_used", "sockets_used", "proc_used", "gc_num",
        "gc_bytes_reclaimed", "context_switches", "io_sync_count", "io_write_count",
        "io_write_bytes", "io_reopen_count", "mnesia_ram_tx_count", "mnesia_disk_tx_count",
        "msg_store_read_count", "msg_store_write_count", "queue_index_write_count",
        "queue_index_read_count", "connection_created", "connection_closed", "channel_created",
        "channel_closed"))
    soon("/api/nodes", [answer])
    got = soon(path_of("nodes", node), answer)
    check(0 < got["mem_used"] < got["mem_limit"] and 0 < got["fd_used"] < got["fd_total"],
          "what is used is below what may be")
    memory = {"strategy": "rss", "total": {"rss": int, "erlang": int, "allocated": int}}
    memory.update({name: int for name in MEMORY})
    soon(path_of("nodes", node, "memory"), {"memory": memory})
    soon(path_of("nodes", node) + "?memory=true&columns=memory", {"memory": memory})
    got = soon(path_of("nodes", node, "memory", "relative"),
               {"memory": dict({"total": int}, **{name: int for name in MEMORY})})
    check(got["memory"]["total"] >= 100, "the shares are of a hundred")
    expect("GET", "/api/nodes/none/memory", 404, answer=NOT_FOUND)
    expect("GET", "/api/nodes/none", 404, answer=NOT_FOUND, differs="a node that is not there")


# ---- health ----

@case("health checks of a node that is well")
def _(_t):
    node = node_name()
    port = int(broker().uri.rsplit(":")[-1])
    for path in ("alarms", "local-alarms", "virtual-hosts", "certificate-expiration/1/days",
                 "certificate-expiration/2/weeks", "certificate-expiration/1/months",
                 "certificate-expiration/1/years"):
        expect("GET", "/api/health/checks/" + path, 200, answer={"status": "ok"})
    for path in ("node-is-mirror-sync-critical", "node-is-quorum-critical"):
        expect("GET", "/api/health/checks/" + path, 200,
               answer={"status": "ok", "reason": "single node cluster"})
    expect("GET", "/api/health/checks/port-listener/%d" % port, 200,
           answer={"status": "ok", "port": port})
    for name, protocol in (("amqp", "amqp"), ("amqp091", "amqp"), ("http", "http")):
        expect("GET", "/api/health/checks/protocol-listener/" + name, 200,
               answer={"status": "ok", "protocol": protocol})
    expect("GET", "/api/healthchecks/node", 200, answer={"status": "ok"})
    expect("GET", path_of("healthchecks", "node", node), 200, answer={"status": "ok"})
    expect("GET", "/api/aliveness-test/%2F", 200, answer={"status": "ok"})


@case("health checks that fail, or cannot be asked for")
def _(_t):
    got = expect("GET", "/api/health/checks/port-listener/1", 503,
                 answer={"status": "failed", "reason": "No active listener", "missing": 1,
                         "ports": [int, ...]})
    check(int(broker().uri.rsplit(":")[-1]) in got.body["ports"], "the ports that there are")
    got = expect("GET", "/api/health/checks/protocol-listener/mqtt", 503,
                 answer={"status": "failed", "reason": "No active listener", "missing": "mqtt",
                         "protocols": [str, ...]})
    check({"amqp", "http"} <= set(got.body["protocols"]), "the protocols that there are")
    for path, reason in (("port-listener/x", "Invalid port"),
                         ("certificate-expiration/x/days", "Invalid expiration value."),
                         ("certificate-expiration/1/hours",
                          "Time unit not recognised. Supported units: days, weeks, months, years.")):
        expect("GET", "/api/health/checks/" + path, 400, answer=error("bad_request", reason))
    expect("GET", "/api/healthchecks/node/none", 404, answer=NOT_FOUND)
    expect("GET", "/api/aliveness-test/none", 404, answer=NOT_FOUND)


@case("what load balancers ask needs no password")
def _(_t):
    if broker().oracle:
        raise Skip("newer than this RabbitMQ")
    for path in ("is-in-service", "ready-to-serve-clients", "below-node-connection-limit",
                 "reached-target-cluster-size"):
        expect("GET", "/api/health/checks/" + path, 200, user=None, answer={"status": "ok"})
    for path in ("alarms", "metadata-store/initialized",
                 "quorum-queues-without-elected-leaders/all-vhosts"):
        expect("GET", "/api/health/checks/" + path, 401, user=None)
        expect("GET", "/api/health/checks/" + path, 200, answer={"status": "ok"})


@case("an alarm is told by whoever asks for one")
def _(t):
    if broker().oracle:
        raise Skip("this RabbitMQ is used by others")
    own = broker_at(t, service.serve(t, service.folder(t), "--management", "127.0.0.1:0",
                                     "--disk-reserve", str(1 << 60)))
    node = own.ask("GET", "/api/overview").body["node"]
    alarms = [{"node": node, "resource": "disk"}]
    tap.eventually(lambda: own.ask("GET", "/api/health/checks/alarms").status != 200)
    for path, where in (("alarms", "in the cluster"), ("local-alarms", "on the node")):
        own.expect("GET", "/api/health/checks/" + path, 503, answer={
            "status": "failed", "reason": "There are alarms in effect " + where,
            "alarms": alarms})
    own.expect("GET", "/api/healthchecks/node", 200, answer={
        "status": "failed", "reason": "resource alarm(s) in effect:[disk]"})
    own.expect("GET", path_of("nodes", node) + "?columns=disk_free_alarm,mem_alarm", 200,
               answer={"disk_free_alarm": True, "mem_alarm": False})
    own.expect("GET", "/api/aliveness-test/%2F", 200, answer={"status": "ok"})
    c = amqp.Connection(own.uri)
    t.cleanup(c.abort)
    c.open()
    own.expect("GET", "/api/connections?columns=state", 200, answer=[{"state": "blocking"}])


def quotas_of(own, vhost):
    return own.expect("GET", path_of("vhosts", vhost), 200).body.get("quotas")


@case("who exceeds a quota waits, and nobody else")
@ours
def _(t):
    daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0")
    own = broker_at(t, daemon)
    own.expect("PUT", "/api/vhosts/full", 201)
    equal(quotas_of(own, "full"), None, "no quotas")
    own.expect("PUT", "/api/vhost-limits/full/max-messages", 204, {"value": 100})
    publisher, consumer, other = (amqp.Connection(own.uri) for _ in range(3))
    for c in (publisher, consumer, other):
        t.cleanup(c.abort)
        c.open(vhost="/" if c is other else "full")
        c.channel()
    publisher.call(1, "queue.declare", queue="q")
    other.call(1, "queue.declare", queue="q")
    publisher.call(1, "confirm.select")
    for _ in range(99):
        publisher.publish(1, "q", b"x" * 10)
    publisher.publish(1, "q", b"the last")
    equal(publisher.expect(0, "connection.blocked").reason,
          "max-messages of vhost 'full' is reached", "why")
    publisher.publish(1, "q", b"waits")
    daemon.says(" quota_reached vhost=full quota=max-messages most=100 is=100")
    equal(quotas_of(own, "full"), [{"name": "max-messages", "most": 100, "is": 100, "blocks": True}],
          "in the list")
    equal(own.expect("GET", path_of("connections", name_of(publisher)), 200).body["state"], "blocked",
          "the publisher")
    equal(own.expect("GET", path_of("connections", name_of(consumer)), 200).body["state"], "running",
          "the consumer")
    equal(own.expect("GET", path_of("queues", "full", "q", "explain"), 200).body["acceptance"],
          [{"code": "quota", "limit": "max-messages", "most": 100, "is": 100,
            "text": "publishers into vhost 'full' wait, as max-messages is 100, and 100 count against it"}],
          "explained")
    equal(own.expect("GET", path_of("queues", "/", "q", "explain"), 200).body["acceptance"], [],
          "elsewhere nobody waits")
    for _ in range(500):
        other.publish(1, "q", b"y")
    equal(other.call(1, "queue.declare", queue="q", passive=True).message_count, 500, "elsewhere")
    equal(consumer.call(1, "queue.declare", queue="q", passive=True).message_count, 100, "held")
    consumer.call(1, "queue.purge", queue="q")
    publisher.expect(0, "connection.unblocked")
    daemon.says(" quota_left vhost=full quota=max-messages most=100 is=0")
    tap.eventually(lambda: consumer.call(1, "queue.declare", queue="q", passive=True).message_count == 1)
    equal(quotas_of(own, "full"), [{"name": "max-messages", "most": 100, "is": 1, "blocks": False}],
          "in the end")


@case("a rate lets through so much in a second, by the clock")
@ours
def _(t):
    daemon = service.serve(t, service.folder(t), "--management", "127.0.0.1:0")
    own = broker_at(t, daemon)
    own.expect("PUT", "/api/user-limits/guest/max-publish-rate", 204, {"value": 200})
    c = daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="q")
    began = time.monotonic()
    for _ in range(500):
        c.publish(1, "q", b"x")
    c.send(1, "queue.declare", queue="q", passive=True)
    heard = [c.recv()]
    while heard[-1].name != "queue.declare-ok":
        heard.append(c.recv())
    took = time.monotonic() - began
    equal(heard[0].reason, "max-publish-rate of user 'guest' is reached", "why")
    equal([event.name for event in heard[:-1]],
          ["connection.blocked", "connection.unblocked"] * (len(heard) // 2), "what is told")
    check(3 <= len(heard) // 2 <= 6, "it was told %d times" % (len(heard) // 2))
    equal(heard[-1].message_count, 500, "all are there")
    check(took >= 1.4, "300 more than at once took %.2f s" % took)


@case("a virtual host that was deleted may be made again at once, however much was in it")
@ours
def _(t):
    own = broker_at(t, service.serve(t, service.folder(t), "--management", "127.0.0.1:0"))
    queues = [{"name": "q%d" % i, "vhost": "much", "durable": True, "auto_delete": False, "arguments": {}}
              for i in range(10000)]
    own.expect("POST", "/api/definitions", 204, {"vhosts": [{"name": "much"}], "queues": queues})
    own.expect("DELETE", "/api/vhosts/much", 204)
    own.expect("PUT", "/api/vhosts/much", 201, {})
    own.expect("GET", "/api/queues/much", 200, answer=[])
    own.expect("DELETE", "/api/vhosts/nosuch", 404)


@case("a certificate that ends soon is told")
@ours
def _(t):
    folder = service.folder(t)
    key, certificate = (os.path.join(folder, name) for name in ("key.pem", "cert.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", certificate], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    own = broker_at(t, service.serve(
        t, os.path.join(folder, "data"), "--management", "127.0.0.1:0", "--listen-tls",
        "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key))
    path, ends = "/api/health/checks/certificate-expiration/", time.time() + 3 * 86400
    own.expect("GET", path + "2/days", 200, answer={"status": "ok"})
    for within in ("4/days", "1/weeks", "1/months", "1/years"):
        got = own.expect("GET", path + within, 503, answer={
            "status": "failed", "reason": "Certificates expiring", "expired": [
                {"node": str, "protocol": "amqp/ssl", "interface": "127.0.0.1", "port": int,
                 "certfile": certificate, "certfile_expires_on": int}]})
        check(abs(got.body["expired"][0]["certfile_expires_on"] - ends) < 600, "when it ends")


@case("attempts to log in are counted")
def _(_t):
    node = node_name()
    expect("DELETE", path_of("auth", "attempts", node), 204)
    for _ in range(3):
        expect("GET", "/api/whoami", 401, user=("guest", "wrong"))
    got = expect("GET", path_of("auth", "attempts", node), 200, answer=[
        {"protocol": str, "auth_attempts": int, "auth_attempts_failed": int,
         "auth_attempts_succeeded": int}, ...]).body
    http = [item for item in got if item["protocol"] == "http"][0]
    equal((http["auth_attempts"], http["auth_attempts_failed"]), (4, 3), "three were wrong")
    expect("GET", path_of("auth", "attempts", node, "source"), 200, answer=[])
    expect("GET", "/api/auth/attempts/none", 404, answer=NOT_FOUND)


@case("a virtual host that runs is started")
def _(_t):
    node = expect("GET", "/api/overview", 200).body["node"]
    expect("POST", path_of("vhosts", "/", "start", node), 204)
    expect("POST", path_of("vhosts", "none", "start", node), 400)


@case("of what there is none the list is empty")
def _(_t):
    expect("POST", "/api/rebalance/queues", 204)
    if broker().oracle:
        raise Skip("the rest is of plugins, or newer")
    for path in ("shovels", "shovels/%2F", "federation-links", "federation-links/%2F",
                 "stream/connections", "stream/connections/%2F", "stream/publishers",
                 "stream/publishers/%2F", "stream/consumers", "stream/consumers/%2F",
                 "deprecated-features", "deprecated-features/used"):
        expect("GET", "/api/" + path, 200, answer=[])
    expect("GET", "/api/shovels/none", 404, answer=NOT_FOUND)
    names = [[queue["name"] for queue in expect("GET", path, 200).body]
             for path in ("/api/queues", "/api/queues/detailed")]
    equal(names[0], names[1], "queues, by their other path")
    expect("GET", "/api/version", 200, answer=str)


# ---- who may see what ----

def person(t, tags, permissions=None):
    """A user with a password that is his name, and these permissions on "/"."""
    name = "user%d" % next(NUMBERS)
    expect("PUT", path_of("users", name), 201, {"password": name, "tags": tags})
    t.cleanup(broker().ask, "DELETE", path_of("users", name))
    if permissions:
        expect("PUT", path_of("permissions", "/", name), 201, permissions)
    return name, name


@case("all connections of a user are closed, and no others")
def _(t):
    name, password = person(t, "", {"configure": ".*", "write": ".*", "read": ".*"})
    others = client(t)
    mine = [client(t, user=name, password=password) for _ in range(3)]
    for c in mine:
        soon(path_of("connections", name_of(c)), connection_like(
            c, user=name, user_who_performed_action=name))
    expect("DELETE", path_of("connections", "username", name), 204,
           headers={"X-Reason": "go"})
    for c in mine:
        closed_with(c, "go")
    others.channel(2)


@case("who has no tag of monitoring sees his own connections only")
def _(t):
    user = person(t, "management", {"configure": ".*", "write": ".*", "read": ".*"})
    c, own = client(t), client(t, user=user[0], password=user[1])
    soon(path_of("connections", name_of(own)), {"user": user[0], ...: ...})
    soon(path_of("connections", name_of(c)), {"user": "guest", ...: ...})
    expect("GET", "/api/connections?columns=user", 200, user=user, answer=[{"user": user[0]}])
    expect("GET", path_of("connections", name_of(c)), 401, user=user,
           answer=error("not_authorised"))
    expect("DELETE", path_of("connections", name_of(c)), 401, user=user,
           answer=error("not_authorised"))
    own.call(1, "queue.declare", queue="", exclusive=True)
    expect("GET", "/api/channels?columns=user", 200, user=user, answer=[{"user": user[0]}])
    expect("GET", "/api/consumers", 200, user=user, answer=[])
    expect("DELETE", path_of("connections", name_of(own)), 204, user=user)
    closed_with(own, "Closed via management plugin")


@case("who may look at the node")
def _(t):
    node, user = node_name(), person(t, "management")
    for path in ("/api/nodes", path_of("nodes", node), path_of("nodes", node, "memory"),
                 "/api/auth/attempts/" + node, "/api/shovels"):
        if not broker().oracle or "shovels" not in path:
            expect("GET", path, 401, user=user, answer=error("not_authorised"))
    other = person(t, "monitoring")
    expect("GET", "/api/nodes", 200, user=other, answer=[{...: ...}])


if __name__ == "__main__":
    api.main()

#!/usr/bin/python3
"""leveretctl doctor: what it finds, and what it does not.

Each case starts a broker of its own. Output is TAP.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from program import HERE, Broker, ctl  # noqa: E402
from service import folder, serve  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

# What is so of a test's broker on any machine, or may be.
USUAL = {"guest_default", "store_temporary", "store_on_network", "disk_near", "descriptors_few"}


def doctor(b):
    """What it ends with, and what it has found, by code."""
    code, out, err = b.ctl("doctor", "-o", "json")
    equal(err, "", "errors")
    return code, {one["code"]: one for one in json.loads(out)}


def found(b):
    return set(doctor(b)[1]) - USUAL


def client(t, b):
    c = b.daemon.client(t)
    c.channel()
    return c


@case("a new broker is well, but for guest's password")
def _(t):
    b = Broker(t)
    code, all_of_it = doctor(b)
    equal(set(all_of_it) - USUAL, set(), "findings")
    check("guest_default" in all_of_it, "guest")
    worst = {one["severity"] for one in all_of_it.values()}
    equal(code, 2 if "critical" in worst else 1 if "warning" in worst else 0, "code")
    equal(b.ctl("change_password", "guest", "another")[0], 0, "another password")
    check("guest_default" not in doctor(b)[1], "guest has another password")
    out = b.ctl("doctor")[1]
    check(all(line[0] == " " or re.match(r"(critical|warning|note) [a-z_]+: |Nothing", line)
              for line in out.split("\n")[:-1]), out)
    equal(b.ctl("doctor", "-o", "json", "-f", "severity=none")[1].strip(), "[\n]", "a filter")


@case("hints name the virtual host, where it is another one")
def _(t):
    b = Broker(t)
    b.queues(here=1)
    equal(b.ctl("add_vhost", "my shop's")[0], 0, "a virtual host")

    def hints(code):
        return [word.split(" bounds")[0].split(" when")[0].rstrip(".,; ") for word in
                doctor(b)[1][code]["next"].split("leveretctl ")[1:]]

    equal(hints("queue_unlimited"), ["set_policy"], "in /")
    equal(hints("queue_unattended"), ["peek QUEUE", "explain QUEUE; then", "move QUEUE TO, or delete_queue QUEUE"], "in /")
    b.ctl("set_permissions", "-p", "my shop's", "guest", ".*", ".*", ".*")
    address = b.daemon.addresses()[0]
    c = amqp.Connection(address)
    t.cleanup(c.close)
    c.open(vhost="my shop's")
    c.channel()
    c.queue(queue="there", durable=True)
    c.publish(1, "there", b"x")
    equal(hints("queue_unlimited"), ["set_policy -p VHOST"], "in both")
    equal(b.ctl("delete_queue", "here")[0], 0, "the queue in /")
    equal(hints("queue_unlimited"), ["set_policy -p 'my shop'\\''s'"], "in the other one")
    c.publish(1, "nowhere", b"x")
    c.count("there")
    equal(hints("unroutable"), ["list_bindings -p VHOST, or give the exchange an alternate-exchange by a policy, "
                                "which gets them"], "in one of two")
    equal(b.ctl("trace_on", "-p", "my shop's")[0], 0, "a trace")
    equal(hints("traced"), ["trace_off -p 'my shop'\\''s'"], "its trace")


@case("queues: unattended, growing, without limits")
def _(t):
    b = Broker(t)
    b.queues(lazy=3, fine=0)
    c = client(t, b)
    c.call(1, "queue.declare", queue="bounded", durable=True, arguments={"x-max-length": 5})
    c.publish(1, "bounded", b"x")
    c.call(1, "basic.consume", queue="fine")
    _, all_of_it = doctor(b)
    equal(set(all_of_it) - USUAL, {"queue_unattended", "queue_unlimited"}, "findings")
    equal(set(all_of_it["queue_unattended"]["detail"].removeprefix("2: ").split(", ")),
          {"bounded", "lazy"}, "which ones")
    equal(set(all_of_it["queue_unlimited"]["detail"].removeprefix("2: ").split(", ")), {"fine", "lazy"},
          "without limits")
    equal(b.ctl("set_policy", "bounds", ".*", '{"max-length": 100000}', "--apply-to", "queues")[0], 0, "policy")
    stop = threading.Event()

    def publish():
        own = client(t, b)
        while not stop.is_set():
            own.publish(1, "lazy", b"x")
            time.sleep(0.02)
    publisher = threading.Thread(target=publish)
    publisher.start()
    code, all_of_it = doctor(b)
    stop.set()
    publisher.join()
    equal(set(all_of_it) - USUAL, {"queue_unattended", "queue_grows"}, "one grows")
    equal(all_of_it["queue_grows"]["detail"], "1: lazy", "which one")
    check(code in (1, 2), "a warning ends with %d" % code)


@case("dead letters that go nowhere, and that come back")
def _(t):
    b = Broker(t)
    c = client(t, b)
    bound = {"x-max-length": 10}
    for name, arguments in (("none", {"x-dead-letter-exchange": "missing"}),
                            ("unbound", {"x-dead-letter-exchange": "amq.fanout"}),
                            ("nobody", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "absent"}),
                            ("self", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "self"}),
                            ("good", {"x-dead-letter-exchange": "amq.topic"}),
                            ("fine", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "good"})):
        c.call(1, "queue.declare", queue=name, durable=True, arguments=dict(bound, **arguments))
    c.call(1, "queue.bind", queue="fine", exchange="amq.topic", routing_key="#")
    _, all_of_it = doctor(b)
    equal(set(all_of_it) - USUAL, {"dead_letters_lost", "dead_letters_loop"}, "findings")
    equal(set(all_of_it["dead_letters_lost"]["detail"].removeprefix("3: ").split(", ")),
          {"none", "unbound", "nobody"}, "lost")
    equal(all_of_it["dead_letters_loop"]["detail"], "1: self", "coming back")
    c.call(1, "queue.declare", queue="plain", durable=True, arguments=bound)
    equal(b.ctl("set_policy", "dlx", ".*", '{"dead-letter-exchange": "gone"}', "--apply-to", "queues")[0],
          0, "a policy")
    check(doctor(b)[1]["dead_letters_lost"]["detail"].startswith("4: "), "what a policy says")


@case("messages that reach no queue")
def _(t):
    b = Broker(t)
    c = client(t, b)
    for _ in range(3):
        c.publish(1, "nobody", b"x")
    c.publish(1, "nobody", b"x", mandatory=True)
    c.expect(1, "basic.return")
    _, all_of_it = doctor(b)
    equal(set(all_of_it) - USUAL, {"unroutable", "returned"}, "findings")
    equal((all_of_it["unroutable"]["detail"], all_of_it["returned"]["detail"]),
          ("3 since the start", "1 since the start"), "how many")


def serving(t, *arguments):
    """What is found at a broker with these options, by code."""
    path = os.path.join(folder(t), "ctl.sock")
    daemon = serve(t, folder(t), "--control-socket", path, *arguments)
    found_there = {one["code"]: one for one in json.loads(ctl("--uri", "unix:" + path, "doctor", "-o", "json")[1])}
    return daemon, found_there


@case("who can come from other machines, and with which password")
def _(t):
    _, all_of_it = serving(t, "--listen", "0.0.0.0:0")
    check("plain_from_afar" in all_of_it and "guest_default" in all_of_it, sorted(all_of_it))
    check(all_of_it["plain_from_afar"]["detail"].startswith("amqp at port "), "where")
    _, all_of_it = serving(t, "--listen", "0.0.0.0:0", "--set", "loopback_users=none")
    check("guest_from_afar" in all_of_it and "guest_default" not in all_of_it, sorted(all_of_it))
    equal(all_of_it["guest_from_afar"]["detail"], "1 listeners are open to others", "how many")
    _, all_of_it = serving(t, "--set", "loopback_users=none")
    check("guest_from_afar" not in all_of_it and "guest_default" in all_of_it, sorted(all_of_it))


@case("certificates that end soon")
def _(t):
    if not shutil.which("openssl"):
        raise Skip("openssl is not installed")
    work = folder(t)
    key, certificate = os.path.join(work, "key"), os.path.join(work, "certificate")
    for days, wanted in ((10, True), (100, False)):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", str(days), "-subj", "/CN=x", "-keyout", key, "-out", certificate],
                       check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, all_of_it = serving(t, "--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key)
        equal("certificate_ends" in all_of_it, wanted, "%d days" % days)
        if wanted:
            check(re.search(r"certificate, port \d+: in (9|10) days$", all_of_it["certificate_ends"]["detail"]),
                  all_of_it["certificate_ends"]["detail"])
        check("certificate_ended" not in all_of_it, "it has not ended")


@case("an alarm, no limit on memory, and tracing")
def _(t):
    b = Broker(t)
    equal(b.ctl("trace_on")[0], 0, "trace_on")
    equal(found(b), {"traced"}, "findings")
    data = folder(t)
    path = os.path.join(data, "ctl.sock")
    for limit, wanted in (("0", "no_memory_limit"), ("100K", "memory_alarm")):
        daemon = serve(t, folder(t), "--control-socket", path, "--memory-limit", limit)
        c = daemon.client(t)
        c.channel()
        c.call(1, "queue.declare", queue="q")
        c.publish(1, "q", b"x" * 200000)
        if limit != "0":
            daemon.says("alarm_set")
        code, out, _ = ctl("--uri", "unix:" + path, "doctor", "-o", "json")
        codes = {one["code"] for one in json.loads(out)}
        check(wanted in codes, "%s is missing in %r" % (wanted, codes))
        equal(code == 2, any(one["severity"] == "critical" for one in json.loads(out)), "code")
        daemon.stop()


@case("all that it looks for is said, and is in the page's words")
def _(t):
    listed = json.loads(ctl("doctor", "--list", "-o", "json")[1])
    with open(os.path.join(HERE, "..", "..", "src", "ctl", "findings.def")) as file:
        names = re.findall(r"^FINDING\((\w+), (\w+),", file.read(), re.M)
    equal([(one["code"], one["severity"].upper()) for one in listed], names, "list")
    check(all(one["what"] and one["why"] and one["next"] for one in listed), "texts")


if __name__ == "__main__":
    main()

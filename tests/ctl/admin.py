#!/usr/bin/python3
"""rabbitmqadmin: what it prints and ends with, and side by side with version 1 of RabbitMQ's, if Debian's is here.

Both play the same commands, each with a broker of its own. Output is TAP.
"""

import os
import re
import shlex
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for path in ("wire", "../interop"):
    sys.path.insert(0, os.path.join(HERE, "..", path))

from service import folder, serve  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

PROGRAM = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "leveretctl"))
SCRIPT = "/usr/bin/rabbitmqadmin"

# What is typed, and what the standard input has.
STEPS = r"""
list queues
-q list queues
declare queue name=q1
declare queue name=q2 durable=false 'arguments={"x-max-length":5}'
declare queue name=qq queue_type=quorum
declare queue name=q1 durable=false
declare exchange name=e1 type=topic
declare exchange name=e2 type=fanout auto_delete=true internal=true
declare exchange name=e3 type=nosuch
declare binding source=e1 destination=q1 routing_key=a.#
declare binding source=e1 destination=e2 destination_type=exchange
declare binding source=e1 destination=q2 'arguments={"x":1}'
declare binding source=e1 destination=nosuch
declare vhost name=v1
declare vhost name=v2 tracing=true
declare user name=alice password=pw tags=monitoring
declare user name=bob password_hash= tags=administrator
declare user name=carol tags=
declare permission vhost=v1 user=alice configure=.* write=.* read=.*
declare permission user=alice configure=.* write=.* read=.*
declare parameter component=nosuch name=n value=5
declare policy name=p1 pattern=^q 'definition={"max-length":100}' priority=3 apply-to=queues
declare policy name=p2 pattern=^q 'definition={"nosuch":100}'
declare policy name=p3 pattern=^q definition={bad
declare operator_policy name=o1 pattern=^q 'definition={"max-length":1000}'
declare vhost_limit vhost=v1 name=max-connections value=5
declare vhost_limit vhost=v1 name=nosuch value=5
-V v1 declare queue name=q3
-V nosuch declare queue name=q3
publish routing_key=q1 payload=hello
publish routing_key=q1 < from the standard input
publish routing_key=nowhere payload=x
publish exchange=e1 routing_key=a.b payload=aGk= payload_encoding=base64 'properties={"delivery_mode":2,"headers":{"a":1,"b":"ä"}}'
publish exchange=nosuch routing_key=a payload=x
publish payload=x
-q publish routing_key=q1 payload=quiet
get queue=q1
get queue=q1 count=3
-f pretty_json get queue=q1 count=3
-f kvp get queue=q1 count=3
-f long get queue=q1 count=4
get queue=q1 ackmode=ack_requeue_false
get queue=q1 ackmode=ack_requeue_false payload_file=PAYLOAD
get queue=q1 count=2 payload_file=PAYLOAD
get queue=nosuch
get queue=q2
get
list queues name messages durable arguments
-f tsv list queues name durable auto_delete messages arguments.x-max-length
-f long list queues name durable
-f kvp list queues name durable node
-f bash list queues
-f pretty_json list queues name durable messages arguments
-f raw_json list queues name durable
-f bogus list queues
-q -f tsv list queues name
-S messages list queues name
-S name -R list queues name
-d 2 -f tsv list queues name
-V v1 list queues
-V nosuch list queues
list exchanges name type durable auto_delete internal
-V v2 list exchanges
list bindings
-f tsv list bindings source destination destination_type routing_key properties_key
list users name tags
list vhosts name tracing
list permissions user vhost configure write read
list permissions
list nodes name type running
list parameters
list policies
-f tsv list policies name definition priority
list operator_policies
list vhost_limits
list connections
list channels
list consumers
show overview product_name
show nosuch
show
list nosuch
export EXPORT
export
-V v1 export EXPORT
import EXPORT
import nosuch
import a b
purge queue name=q1
purge queue name=nosuch
purge
purge exchange name=e1
close connection name=nosuch
delete binding source=e1 destination_type=queue destination=q1 properties_key=a.%23
delete binding source=e1 destination_type=exchange destination=e2
delete binding source=e1 destination=q2
delete exchange name=e1
delete exchange name=amq.direct
delete queue name=q1
delete queue name=nosuch
delete queue name=q2 if-empty=true
delete policy name=p1
delete policy name=p1
delete operator_policy name=o1
delete parameter component=nosuch name=n
delete vhost_limit vhost=v1 name=max-connections
delete permission vhost=v1 user=alice
delete user name=alice
delete vhost name=v1
delete vhost name=v1
delete nosuch name=x
delete

bogus
help nosuch
help a b
-u guest -p wrong list queues
-P 1 list queues
--no-such-option list queues
-Z list queues
--host
-q=x list queues
--quiet=x list queues
--p 1 list queues
-t x list queues
declare queue
declare queue name
declare queue name=x bogus=1
declare
declare nosuch name=x
-c nosuch list queues
-c CONFIG list queues
-c CONFIG -N other list queues
-c CONFIG -N missing list queues
--path-prefix /nowhere list queues
"""


class Side:
    """One of the two, and its broker."""

    def __init__(self, t, command):
        self.folder = folder(t)
        self.command = command
        daemon = serve(t, os.path.join(self.folder, "data"), "--management", "127.0.0.1:0",
                       "--node-name", "leveret@localhost")
        self.amqp, self.api = daemon.addresses()[:2]
        self.port = self.api.rsplit(":", 1)[1]
        with open(os.path.join(self.folder, "CONFIG"), "w") as file:
            file.write("# a remark\n[default]\nformat = tsv\n[other]\nport: 1\nvhost = v1\n")

    def run(self, words, given=""):
        environment = {k: v for k, v in os.environ.items() if k != "LEVERET_URI"}
        environment.update(HOME=self.folder, COLUMNS="80")
        return subprocess.run(
            [*self.command, "-H", "127.0.0.1", *([] if "-P" in words else ["-P", self.port]), *words],
            input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
            check=False, cwd=self.folder, env=environment)


def ours(t):
    path = os.path.join(folder(t), "rabbitmqadmin")
    os.symlink(PROGRAM, path)
    return Side(t, [path])


def plain(text, side):
    """Without what only one broker or one language has."""
    text = text.replace(side.port, "PORT").replace("[Errno 111] ", "")
    text = re.sub(r"amq\.gen-\S+", "amq.gen", text)
    return text


def files(side):
    """What the command has left, and takes it."""
    found = {}
    for name in ("PAYLOAD", "EXPORT"):
        path = os.path.join(side.folder, name)
        if os.path.exists(path) and name == "PAYLOAD":
            with open(path) as file:
                found[name] = file.read()
    return found


def steps():
    for line in STEPS.split("\n")[1:-1]:
        words, _, given = line.partition(" < ")
        yield line, shlex.split(words), given


@case("version 1 of RabbitMQ's, and this one, say the same of each command")
def _(t):
    if not os.path.exists(SCRIPT):
        raise Skip("there is no " + SCRIPT)
    theirs, own = Side(t, ["/usr/bin/python3", SCRIPT]), ours(t)
    count = 0
    for line, words, given in steps():
        wanted, got = theirs.run(words, given), own.run(words, given)
        equal(plain(got.stdout, own), plain(wanted.stdout, theirs), "output of %r" % line)
        equal(got.returncode, wanted.returncode, "code of %r" % line)
        if "Traceback" not in wanted.stderr:
            equal(plain(got.stderr, own), plain(wanted.stderr, theirs), "errors of %r" % line)
        check(got.returncode == 0 or got.stderr, "%r ended with %d, and said nothing" % (line, got.returncode))
        equal(files(own), files(theirs), "files of %r" % line)
        count += 1
    print("# %d commands" % count)


@case("lists, objects and messages")
def _(t):
    a = ours(t)

    def says(line, wanted, code=0, given=""):
        done = a.run(shlex.split(line), given)
        equal((done.returncode, done.stdout + done.stderr), (code, wanted), line)

    says("declare queue name=q1", "queue declared\n")
    says("publish routing_key=q1", "Message published\n", given="hello")
    says("list queues", "+------+----------+\n| name | messages |\n+------+----------+\n"
         "| q1   | 1        |\n+------+----------+\n")
    says("-q -f tsv list queues name durable", "q1\tTrue\n")
    check('payload="hello"' in a.run(["-f", "kvp", "get", "queue=q1", "ackmode=ack_requeue_false"]).stdout,
          "the message")
    says("delete queue name=q1", "queue deleted\n")
    says("delete queue name=q1", "*** Not found: /api/queues/%2F/q1\n\n", 1)
    says("declare queue", '\nERROR: mandatory argument "name" is required\n\nrabbitmqadmin --help for help\n\n', 1)
    says("list queues", "No items\n")


@case("a connection is closed by its name")
def _(t):
    a = ours(t)
    c = amqp.Connection(a.amqp)
    t.cleanup(c.close)
    c.open()
    name = a.run(["-q", "-f", "tsv", "list", "connections", "name"]).stdout.strip()
    check(name, "no connection")
    equal(a.run(["close", "connection", "name=" + name]).stdout, "connection closed\n", "closed")
    equal(c.expect(0, "connection.close").reply_code, 320, "what the client is told")


@case("the help has each type, and completion is bash")
def _(t):
    a = ours(t)
    text = a.run(["help", "subcommands"]).stdout
    for line in ("  list queues [<column>...]", "  declare queue name=... [auto_delete=... durable=... "
                 "arguments=... node=... queue_type=...]", "  declare user name=... password=... OR "
                 "password_hash=... tags=... [hashing_algorithm=...]", "  get queue=... [count=... ackmode=... "
                 "payload_file=... encoding=...]"):
        check(line in text.split("\n"), "%r is missing in %s" % (line, text))
    if os.path.exists(SCRIPT):
        wanted = subprocess.run(["/usr/bin/python3", SCRIPT, "help", "subcommands"], check=True, text=True,
                                stdout=subprocess.PIPE).stdout
        for line in wanted.split("\n"):
            if "=..." in line or "[<column>" in line:
                check(line.strip() in [one.strip() for one in text.split("\n")], "%r is missing" % line)
    for words in (["--help"], ["help", "config"], ["--version"]):
        equal(a.run(words).returncode, 0, "code of %r" % words)
    script = a.run(["--bash-completion"]).stdout
    if os.access("/bin/bash", os.X_OK):
        subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=True)


@case("a file of configuration, and a URI that counts before all else")
def _(t):
    a = ours(t)
    a.run(["declare", "queue", "name=q1"])
    path = os.path.join(a.folder, ".rabbitmqadmin.conf")
    with open(path, "w") as file:
        file.write("[default]\nport = %s\nformat = tsv\n[dead]\nport = 1\n" % a.port)

    def run(*words):
        done = subprocess.run([*a.command, *words], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, env=dict(os.environ, HOME=a.folder))
        return done.returncode, done.stdout

    equal(run("-q", "list", "queues"), (0, "q1\t0\n"), "from the file")
    equal(run("-N", "dead", "-q", "list", "queues")[0], 1, "a section that leads nowhere")
    equal(run("-N", "dead", "-P", a.port, "-q", "-f", "bash", "list", "queues"), (0, "q1\n"),
          "the command line counts")
    equal(run("-N", "dead", "-U", "http://guest:guest@127.0.0.1:" + a.port, "-q", "-f", "bash", "list",
              "queues"), (0, "q1\n"), "the URI counts")
    equal(run("-U", "http://guest:wrong@127.0.0.1:" + a.port, "list", "queues")[0], 1, "its password")


if __name__ == "__main__":
    main()

"""Brokers to measure: Leveret and RabbitMQ, started privately, and those that run already.

Each has a `name`, a `uri`, perhaps a `tls_uri`, the `pid` whose processor time and memory count,
and a `version` that it told itself. Those started here listen on loopback, have their data in a
folder of their own, and are ended by their process id. The floor is no broker, but stands in for one
in the rows that it can do.
"""

import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
START_SECONDS, STOP_SECONDS = 60, 60
PORTS = 16384, 32768
LOG_LINES = 8


class BrokerError(Exception):
    """A broker did not start, or ended, or is not what it should be."""


def free_port():
    """Below those that the system gives to connections, which may take it before the broker does."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", random.randrange(*PORTS)))
                return probe.getsockname()[1]
            except OSError:
                continue


def rss_mib(pid):
    with open("/proc/%d/statm" % pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2 ** 20


def processor_seconds(pid):
    """What all its threads have taken, those that have ended, too."""
    return time.clock_gettime(~pid << 3 | 2)  # the process' clock, as clock_getcpuclockid(3) has it


def greet(address, seconds=1.0):
    """Connects and says hello: the broker's properties out of its connection.start, as text."""
    with socket.create_connection(address, seconds) as connection:
        connection.settimeout(seconds)
        connection.sendall(b"AMQP\0\0\x09\x01")
        said = b""
        while len(said) < 7 or len(said) < 8 + struct.unpack(">I", said[3:7])[0]:
            more = connection.recv(65536)
            if not more:
                raise OSError("the broker hung up")
            said += more
        if said[0] != 1 or said[7:11] != b"\0\x0a\0\x0a":
            raise OSError("that is no connection.start")
        return {name: value for name in ("product", "version", "platform", "leveret_version")
                for value in [text_property(said, name)] if value}


def text_property(table, name):
    """The long string of that name in an encoded table."""
    key = bytes([len(name)]) + name.encode() + b"S"
    at = table.find(key)
    if at < 0:
        return ""
    at += len(key)
    size = struct.unpack(">I", table[at:at + 4])[0]
    return table[at + 4:at + 4 + size].decode(errors="replace")


class Broker:
    """What runs already: --rival NAME=URI,PID. It is neither started nor stopped."""

    owned = False
    rival = True  # is Leveret compared with it?
    rows = None   # the short names of the only rows that it can do; None: all
    tls_uri = None
    tells_turns = False  # does it tell at SIGUSR1 how long its turns were?

    def __init__(self, name, uri="", pid=0):
        self.name, self.uri, self.pid, self.version = name, uri, pid, ""

    def does(self, row):
        return self.rows is None or row in self.rows

    def start(self, fresh=True, tls=False):
        """Returns the seconds from the start of the program until it accepts, or None. With `tls`,
        it listens for that, too, and `tls_uri` is set."""
        del fresh, tls
        self.meet()

    def stop(self):
        pass

    def alive(self):
        return os.path.exists("/proc/%d" % self.pid)

    def explain(self):
        """The end of its log, to say what was wrong."""
        return ""

    def address(self):
        found = re.match(r"amqp://(?:[^@/]*@)?\[?([^\]/]+?)\]?(?::(\d+))?(?:/|$)", self.uri)
        if not found:
            raise BrokerError("%s: %r is no amqp:// URI" % (self.name, self.uri))
        return found.group(1), int(found.group(2) or 5672)

    def meet(self):
        try:
            said = greet(self.address(), 5)
        except OSError as error:
            raise BrokerError("%s cannot be reached: %s" % (self.name, error)) from None
        self.version = said.get("leveret_version") or " ".join(
            said.get(key, "") for key in ("version", "platform")).strip()


class OwnBroker(Broker):
    """One that is started here. `work` is its folder."""

    owned = True

    def __init__(self, name, work, certificate):
        super().__init__(name)
        self.work = os.path.join(work, name.lower())
        self.certificate = certificate  # (certificate, key), or None
        self.log = os.path.join(work, name.lower() + ".log")
        self.process = None
        self.port = self.tls_port = 0

    logs = property(lambda self: [self.log])

    def command(self):
        raise NotImplementedError

    def environment(self):
        return None

    def start(self, fresh=True, tls=False):
        if fresh:
            shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work, exist_ok=True)
        if fresh or not self.port:
            self.port, self.tls_port = free_port(), free_port()
        self.tls_uri = None
        if tls and self.certificate:
            self.tls_uri = "amqps://127.0.0.1:%d" % self.tls_port
        self.uri = "amqp://127.0.0.1:%d" % self.port
        self.before_start()
        command, environment = self.command(), self.environment()
        with open(self.log, "wb") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.work)
        self.pid = self.process.pid
        seconds = self.wait_until_it_accepts(began)
        self.meet()
        return seconds

    def before_start(self):
        pass

    def wait_until_it_accepts(self, began):
        while self.process.poll() is None:
            try:
                greet(("127.0.0.1", self.port))
                return time.monotonic() - began
            except OSError:
                waited = time.monotonic() - began
            if waited > START_SECONDS:
                break
            # Asking must not slow down what is waited for.
            time.sleep(min(0.02, max(0.0003, waited / 100)))
        why = "did not accept within %d s" % START_SECONDS if self.alive() else "did not start"
        said = self.explain()
        self.stop()
        raise BrokerError("%s %s: %s" % (self.name, why, said))

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Ends it in good order, or kills it when it takes too long."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        status = process.wait()
        if status not in (0, -signal.SIGTERM):
            raise BrokerError("%s ended with status %d: %s" % (self.name, status, self.explain()))

    def kill(self):
        """Ends it at once: what it holds is not wanted any more."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def close(self):
        self.kill()
        shutil.rmtree(self.work, ignore_errors=True)

    def explain(self):
        try:
            with open(self.log, errors="replace") as log:
                return " / ".join(line.strip() for line in log.readlines()[-LOG_LINES:])
        except OSError:
            return "it left no log"


class Leveret(OwnBroker):
    rival = False
    tells_turns = True

    def __init__(self, program, work, certificate, prefix=()):
        super().__init__("Leveret", work, certificate)
        self.program, self.prefix = program, list(prefix)

    def command(self):
        command = self.prefix + [self.program, "--data-dir", os.path.join(self.work, "data"),
                                 "--listen", "127.0.0.1:%d" % self.port]
        if self.tls_uri:
            command += ["--listen-tls", "127.0.0.1:%d" % self.tls_port,
                        "--tls-cert", self.certificate[0], "--tls-key", self.certificate[1]]
        return command


class LeveretNode(Leveret):
    """One of a cluster. `ports`: where each listens for the others."""

    def __init__(self, program, work, number, ports, cookie, certificate=None):
        super().__init__(program, work, certificate)
        self.work, self.log = "%s/leveret%d" % (work, number), "%s/leveret%d.log" % (work, number)
        self.number, self.ports, self.cookie = number, ports, cookie

    def command(self):
        given = ["cluster.nodes.%d=127.0.0.1:%d" % (i + 1, port) for i, port in enumerate(self.ports)]
        given += ["cluster.number=%d" % self.number, "cluster.listen=127.0.0.1:%d" % self.ports[self.number - 1],
                  "cluster.cookie=" + self.cookie]
        return super().command() + ["--management", "none", "--control-socket", "none", "--metrics", "none",
                                    "--node-name", "leveret@node%d" % self.number, "--cluster-found"] + \
            [word for one in given for word in ("--set", one)]

    def wait_until_it_accepts(self, began):
        """Which one does is not known before most of them run."""
        return time.monotonic() - began

    def meet(self):
        pass

    def taken(self):
        """When it took the office last, as its log has it."""
        with open(self.log, "rb") as log:
            lines = [line for line in log if b" office_taken " in line]
        return lines[-1].split()[0] if lines else b""


def leveret_nodes(program, work, count, certificate=None):
    """A cluster of so many, none of which runs."""
    ports, cookie = [free_port() for _ in range(count)], os.path.join(work, "cookie")
    with open(cookie, "w") as file:
        file.write("of brokers that are started here, and of nothing else\n")
    os.chmod(cookie, 0o600)
    return [LeveretNode(program, work, number + 1, ports, cookie, certificate) for number in range(count)]


class Floor(OwnBroker):
    """floor.c: messages are moved, and nothing else is done."""

    rival = False
    rows = ("small", "kib", "four", "latency", "fill", "drain-now", "drain")

    def __init__(self, program, work):
        super().__init__("floor", work, None)
        self.program = program

    def command(self):
        return [self.program, str(self.port)]


class RabbitMQ(OwnBroker):
    """Debian's RabbitMQ as a node of its own, with an epmd of its own."""

    def __init__(self, work, certificate):
        super().__init__("RabbitMQ", work, certificate)
        self.epmd, self.epmd_port = None, 0
        self.plugins, self.settings = [], []  # settings: lines of rabbitmq.conf

    @staticmethod
    def installed():
        return os.access(RABBITMQ, os.X_OK)

    def before_start(self):
        if self.epmd is None:
            self.epmd_port = free_port()
            self.epmd = subprocess.Popen(
                ["epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.3)
        lines = ["listeners.tcp.1 = 127.0.0.1:%d" % self.port] + self.settings
        if self.tls_uri:
            lines += ["listeners.ssl.1 = 127.0.0.1:%d" % self.tls_port,
                      "ssl_options.certfile = " + self.certificate[0],
                      "ssl_options.keyfile = " + self.certificate[1],
                      "ssl_options.verify = verify_none"]
        with open(os.path.join(self.work, "rabbitmq.conf"), "w") as conf:
            conf.write("\n".join(lines) + "\n")
        with open(os.path.join(self.work, "plugins"), "w") as plugins:
            plugins.write("[%s].\n" % ",".join(self.plugins))

    def command(self):
        return [RABBITMQ]

    def environment(self):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("RABBITMQ_", "ERL_"))}
        environment.update({
            "HOME": self.work,  # of the cookie
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_MNESIA_BASE": os.path.join(self.work, "mnesia"),
            "RABBITMQ_LOG_BASE": os.path.join(self.work, "log"),
            "RABBITMQ_CONFIG_FILE": os.path.join(self.work, "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.path.join(self.work, "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": os.path.join(self.work, "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(self.work, "plugins"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            # Its start script becomes the virtual machine instead of waiting for it as a child, so
            # that the process started here is the one to measure and to end.
            "RUNNING_UNDER_SYSTEMD": "true"})
        return environment

    def start(self, fresh=True, tls=False):
        seconds = super().start(fresh, tls)
        with open("/proc/%d/comm" % self.pid) as comm:
            name = comm.read().strip()
        if name != "beam.smp":
            self.stop()
            raise BrokerError("RabbitMQ: process %d is %r" % (self.pid, name))
        return seconds

    def close(self):
        super().close()
        epmd, self.epmd = self.epmd, None
        if epmd is not None:
            epmd.kill()
            epmd.wait()


def make_certificate(folder):
    """(certificate, key) of a new authority that vouches for localhost, or None without openssl."""
    if not shutil.which("openssl"):
        return None
    certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return (certificate, key) if done.returncode == 0 else None

"""Start a leveretd of a build, and see to it that it ends well; run test programs against it.

The broker gets a free port and a data directory of its own, and says on stderr where it listens.
At the end it is sent SIGTERM; a status other than 0, a report of a sanitizer or a directory that
cannot be removed is a failed case like any other.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import three

LISTENING = re.compile(r"listening\b.*\baddress=\"?(127\.0\.0\.1:\d+)")
LISTENING_TLS = re.compile(LISTENING.pattern + r"\b.*\btls=true")
READY = "Server startup complete"
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:")
START_SECONDS, STOP_SECONDS = 20, 30


def certificate(directory):
    """A certificate for this machine, good for itself, and its key: names of the files."""
    files = os.path.join(directory, "certificate.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return files


class Broker:
    """A leveretd at `uri`, and with `tls` also at `tls_uri`, by the certificate `tls_ca`."""

    def __init__(self, program, tls=False):
        self.directory = tempfile.mkdtemp(prefix="leveret-")
        self.tls_uri = self.tls_ca = None
        arguments = []
        if tls:
            self.tls_ca, key = certificate(self.directory)
            arguments = ["--listen-tls", "127.0.0.1:0", "--tls-cert", self.tls_ca,
                         "--tls-key", key]
        self.log = os.path.join(self.directory, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program, "--data-dir", os.path.join(self.directory, "data"),
                 "--listen", "127.0.0.1:0", "--io-threads", "1"] + arguments,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.uri = self.wait_ready()
        if tls:
            self.tls_uri = LISTENING_TLS.search(self.read_log()).group(1)

    def read_log(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            text = self.read_log()
            found = LISTENING.search(text)
            if found and READY in text:
                return found.group(1)
            time.sleep(0.02)
        text = self.read_log()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        raise SystemExit("Bail out! the broker did not start:\n" + text)

    def stop(self):
        """What was wrong with the end of the broker, as a list of reasons."""
        wrong = []
        if self.process.poll() is not None:
            wrong.append("it had ended before, status %d" % self.process.returncode)
        else:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(STOP_SECONDS)
                if status != 0:
                    wrong.append("status %d after SIGTERM" % status)
            except subprocess.TimeoutExpired:
                wrong.append("still there %d s after SIGTERM" % STOP_SECONDS)
                self.process.kill()
                self.process.wait()
        text = self.read_log()
        if SANITIZER.search(text):
            wrong.append("its log holds a sanitizer report")
        if wrong:
            wrong.extend(text.splitlines()[-60:])
        shutil.rmtree(self.directory, ignore_errors=True)
        return wrong


class Followers:
    """A cluster of three; `uri` and `tls_uri` are those of one that does not lead."""

    def __init__(self, program, tls=False):
        self.directory = tempfile.mkdtemp(prefix="leveret-")
        self.three = three.Three(program, self.directory, certificate(self.directory) if tls else None)
        try:
            self.three.start(tls=tls)
        except three.brokers.BrokerError as error:
            self.three.close()
            shutil.rmtree(self.directory, ignore_errors=True)
            raise SystemExit("Bail out! the brokers did not start: %s" % error) from None
        self.uri = "127.0.0.1:%d" % self.three.port
        self.tls_uri = "127.0.0.1:%d" % self.three.tls_port if tls else None
        self.tls_ca = self.three.certificate and self.three.certificate[0]

    def stop(self):
        """What was wrong with their end, as a list of reasons."""
        wrong = []
        try:
            self.three.stop()
        except three.brokers.BrokerError as error:
            wrong.append(str(error))
        if self.three.has_moved:
            print("# another broker came to lead by itself, and clients lost their connections")
        for path in self.three.logs:
            with open(path, errors="replace") as log:
                text = log.read()
            if SANITIZER.search(text):
                wrong += ["a log holds a sanitizer report"] + text.splitlines()[-60:]
        self.three.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return wrong


class Report:
    """One TAP stream out of many."""

    def __init__(self):
        self.count = self.failed = 0

    def line(self, good, name, suffix=""):
        self.count += 1
        self.failed += not good
        print("%s %d - %s%s" % ("ok" if good else "not ok", self.count, name, suffix), flush=True)

    def run(self, title, command, environment=None, seconds=600):
        """Run a program that speaks TAP, and pass its cases on under its title."""
        seen, planned = 0, None
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              errors="replace", stderr=subprocess.STDOUT,
                              env=dict(os.environ, **(environment or {}))) as process:
            begin = time.monotonic()
            for line in process.stdout:
                found = re.match(r"(not )?ok\b *\d* *-? *(.*)", line.rstrip("\n"))
                plan = re.match(r"1\.\.(\d+)$", line)
                if found:
                    seen += 1
                    self.line(not found.group(1), "%s: %s" % (title, found.group(2)))
                elif plan:
                    planned = int(plan.group(1))
                else:
                    print(line if line.startswith("#") else "# " + line, end="", flush=True)
                if time.monotonic() - begin > seconds:
                    process.kill()
        if planned != seen:
            self.line(False, "%s: all of its cases ran" % title)
            print("# planned %s, saw %d, status %d" % (planned, seen, process.returncode))

    def end(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build-dir", default=".", help="where leveretd was built")
    parser.add_argument("--cluster", action="store_true",
                        help="start three that are one, and go to one that does not lead")
    parser.add_argument("--uri", help="HOST:PORT of a broker that runs already")
    parser.add_argument("--tls-uri", help="HOST:PORT of the same, with TLS")
    parser.add_argument("--tls-ca", help="file of certificates to trust there")
    parser.add_argument("--oracle", action="store_true", help="that broker is RabbitMQ 3.10")
    parser.add_argument("--only", default="", help="run the programs whose name holds this")
    options = parser.parse_args()
    options.build_dir = os.path.abspath(options.build_dir)
    return options


def main(programs, tls=False):
    """programs(options, uri) yields (title, command, environment) to run one after another.

    With `tls`, options.tls_uri and options.tls_ca tell where a broker that is started here has it.
    """
    options, report, broker = arguments(), Report(), None
    if not options.uri:
        start = Followers if options.cluster else Broker
        broker = start(os.path.join(options.build_dir, "leveretd"), tls)
        options.tls_uri, options.tls_ca = broker.tls_uri, broker.tls_ca
    try:
        uri = options.uri or broker.uri
        for title, command, environment in programs(options, uri):
            if options.only in title:
                report.run(title, command, environment)
    finally:
        wrong = broker.stop() if broker else []
    if broker:
        report.line(not wrong, "the broker ends with status 0 and no sanitizer report")
        for line in wrong:
            print("# " + line)
    sys.exit(report.end())

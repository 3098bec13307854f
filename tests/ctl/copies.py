#!/usr/bin/python3
"""leveretctl backup, restore, store check, store dump and store salvage, as an operator calls them.

Each case starts brokers of its own. Output is TAP.
"""

import hashlib
import http.client
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for folder_name in ("wire", "../interop"):
    sys.path.insert(0, os.path.join(HERE, "..", folder_name))

import service  # noqa: E402
import tap  # noqa: E402
from service import folder, serve  # noqa: E402
from wire import Skip, amqp, case, check, equal, main  # noqa: E402

PROGRAM = os.path.join(os.environ.get("top_builddir", "."), "leveretctl")
IS_ROOT = os.geteuid() == 0


def ctl(*words):
    """What it ends with, and what it says on both outputs."""
    done = subprocess.run([PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, stderr=subprocess.PIPE, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


class Broker:
    """A broker at `data`; `place` is a folder for copies."""

    def __init__(self, t, *arguments, **options):
        self.data = folder(t)
        self.place = folder(t)
        self.socket = os.path.join(self.place, "ctl.sock")
        self.daemon = serve(t, self.data, "--control-socket", self.socket, "--segment-size", "256K",
                            *arguments, **options)

    def ctl(self, *words):
        return ctl("--uri", "unix:" + self.socket, *words)

    def fill(self, t, bodies, queue="kept", **properties):
        c = self.daemon.client(t)
        c.channel()
        c.call(1, "queue.declare", queue=queue, durable=True)
        c.call(1, "confirm.select")
        for body in bodies:
            c.publish(1, queue, body, delivery_mode=2, **properties)
        confirmed = 0
        while confirmed < len(bodies):
            confirmed = c.expect(1, "basic.ack").delivery_tag
        c.close()

    def backup(self, name="copy"):
        path = os.path.join(self.place, name)
        code, out, err = self.ctl("backup", path)
        equal((code, err), (0, ""), "backup; it said %r" % out)
        return path


def taken(t, data, queue="kept"):
    """All messages of a queue, by a broker that is started there."""
    daemon = serve(t, data)
    c = daemon.client(t)
    c.channel()
    bodies = []
    while (event := c.get(queue)) is not None:
        bodies.append(event.body)
    c.close()
    equal(daemon.stop(), 0, "status of the broker")
    return bodies


def contents(path):
    found = {}
    for place, _, names in os.walk(path):
        for name in names:
            if name == "ctl.sock":
                continue
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.join(place, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


NUMBERS = [b"%d" % number for number in range(2000)]


@case("a backup is restored elsewhere, and is not changed by that")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    code, out, err = b.ctl("backup", os.path.join(b.place, "copy"))
    equal((code, err), (0, ""), "backup")
    check("files of the journal" in out and "bytes were copied" in out, out)
    copy, target = os.path.join(b.place, "copy"), os.path.join(b.place, "target")
    b.fill(t, [b"later"])
    before = contents(copy)
    code, out, err = ctl("restore", copy, target)
    equal((code, err), (0, ""), "restore; it said %r" % out)
    for line in ("restored: %s from %s" % (target, copy), "as of: 2", "queues: 1\n",
                 "messages: 2000, of %d bytes" % sum(map(len, NUMBERS)), "owner: ", "next: start"):
        check(line in out, "%r is not in %r" % (line, out))
    equal(taken(t, target), NUMBERS, "messages")
    equal(contents(copy), before, "the copy")
    equal(b.daemon.stop(), 0, "the broker that was copied")


@case("a data folder at rest is restored as well, without what was kept in reserve")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    b.daemon.kill()
    target = os.path.join(b.place, "target")
    code, out, err = ctl("restore", b.data, target)
    equal((code, err), (0, ""), "restore; it said %r" % out)
    check(not [name for name in os.listdir(target) if name.startswith(("reserve", "spare", "ctl"))],
          os.listdir(target))
    equal(taken(t, target), NUMBERS, "messages")


@case("files of a restored store and of what it was restored from do not mix")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    copy, target = b.backup(), os.path.join(b.place, "target")
    equal(ctl("restore", copy, target)[0], 0, "restore")
    segment = sorted(name for name in os.listdir(target) if name.startswith("journal-"))[-1]
    shutil.copy(os.path.join(copy, segment), os.path.join(target, segment))
    code, out, _ = ctl("store", "check", target)
    equal(code, 1, "check; it said %r" % out)
    check("belongs to another store" in out, out)


@case("how far a backup is, is shown on a terminal")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    for words, wanted in (((), True), (("--quiet",), False)):
        ours, its = pty.openpty()
        code = subprocess.run([PROGRAM, "--uri", "unix:" + b.socket, "backup", *words,
                               os.path.join(b.place, "copy%d" % len(words))], stderr=its,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60,
                              check=False).returncode
        os.write(its, b"$")
        shown = b""
        while not shown.endswith(b"$"):
            shown += os.read(ours, 4096)
        os.close(ours)
        os.close(its)
        equal(code, 0, "code")
        equal(b"MB copied" in shown, wanted, "what was shown: %r" % shown)


def request(path, method, place, body=None):
    """Of the API, at its socket: the status, and what it says."""
    c = http.client.HTTPConnection("localhost", timeout=60)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(path)
    c.request(method, place, json.dumps(body) if body else None)
    response = c.getresponse()
    said = json.loads(response.read())
    c.close()
    return response.status, said


@case("the API: POST waits for the copy, and GET tells of the last one")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    for method in ("GET", "DELETE"):
        equal(request(b.socket, method, "/api/backup"), (200, {"state": "none"}), "before there is one")
    path = os.path.join(b.place, "copy")
    status, said = request(b.socket, "POST", "/api/backup", {"directory": path})
    equal((status, said["state"], said["directory"], said["segments"]),
          (200, "done", path, said["segments_total"]), "the answer")
    equal(request(b.socket, "GET", "/api/backup"), (200, said), "the last one")
    for body in ({"directory": ""}, {"directory": "here"}, {"directory": path},
                 {"directory": path + "2", "wait": 7}):
        equal(request(b.socket, "POST", "/api/backup", body)[0], 400, "status for %r" % body)
    check(not os.path.exists(path + "2"), "one was begun")


@case("who interrupts a backup has it given up, and nothing is left of it")
def _(t):
    b = Broker(t, "--segment-size", "400M")
    b.fill(t, [b"x" * 1000000] * 150)
    for number in range(10):
        path = os.path.join(b.place, "copy%d" % number)
        process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "backup", path], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while process.poll() is None and not os.path.exists(path + "/unfinished"):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        if process.returncode != 0:
            break
    equal((process.returncode, out), (-signal.SIGINT, ""), "what it ends with; it said %r" % err)
    check("nothing is left of it in %s: it was given up" % path in err, err)
    equal(os.listdir(path), [], "what is left")
    status, said = request(b.socket, "GET", "/api/backup")
    equal((status, said["state"], said["reason"]), (200, "failed", "it was given up"), "the broker")
    equal(request(b.socket, "DELETE", "/api/backup"), (200, said), "there is none to be given up")
    copy = b.backup()
    status, said = request(b.socket, "DELETE", "/api/backup?directory=/elsewhere")
    equal((status, said["state"]), (200, "done"), "one that is done stays")
    equal(ctl("store", "check", copy)[0], 0, "status of it")


@case("a broker that stops gives a backup up, which is told, and nothing is left of it")
def _(t):
    for number in range(10):
        b = Broker(t, "--segment-size", "400M")
        b.fill(t, [b"x" * 1000000] * 150)
        path, answers = os.path.join(b.place, "copy"), []
        waits = threading.Thread(target=lambda: answers.append(
            request(b.socket, "POST", "/api/backup", {"directory": path})))
        waits.start()
        while waits.is_alive() and not os.path.exists(path + "/unfinished"):
            pass
        process = subprocess.Popen([PROGRAM, "--uri", "unix:" + b.socket, "backup", path + "2"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        equal(b.daemon.stop(), 0, "how it ends")
        out, err = process.communicate(timeout=60)
        waits.join(60)
        if answers[0][0] != 200:
            break
    equal((process.returncode, out), (69, ""), "what another one ends with; it said %r" % err)
    equal(answers, [(500, {"error": "backup_failed", "reason": "the broker stops"})], "the answer")
    equal(os.listdir(path), [], "what is left")
    check(' backup_failed path=%s reason="the broker stops"' % path in b.daemon.log(), b.daemon.log())


@case("folders that a backup cannot be made in")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    full = os.path.join(b.place, "full")
    os.mkdir(full)
    with open(os.path.join(full, "file"), "w", encoding="ascii") as file:
        file.write("kept")
    for path, text in ((full, "is not empty"), (os.path.join(full, "file"), "cannot be made"),
                       (os.path.join(full, "no", "folder"), "the folder above it has to be there"),
                       (b.data, "is not empty"), ("/proc/self/copy", "cannot be made")):
        code, out, err = b.ctl("backup", path)
        equal((code, out), (69, ""), "%s; it said %r" % (path, err))
        check(text in err and err.count("\n") == 1, err)
    equal(os.listdir(full), ["file"], "what is there")
    if not IS_ROOT:
        os.mkdir(os.path.join(b.place, "bare"), 0o500)
        code, _, err = b.ctl("backup", os.path.join(b.place, "bare", "copy"))
        equal(code, 69, "a folder of others")
        check("be able to write there" in err, err)
    equal(taken(t, b.backup()), NUMBERS, "a copy that can be made")


@case("a relative path is one of whoever asks")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS[:1])
    done = subprocess.run([os.path.abspath(PROGRAM), "--uri", "unix:" + b.socket, "backup", "here"],
                          cwd=b.place, stdout=subprocess.PIPE, timeout=60, check=False)
    equal(done.returncode, 0, "code")
    check(os.path.exists(os.path.join(b.place, "here", "identity")), "no copy is there")


def beside_small_disk(t):
    """A folder, and the words before a program for which a small file system is there."""
    small = folder(t)
    into = ["unshare", "--mount" if IS_ROOT else "--map-root-user"]
    into += [] if IS_ROOT else ["--mount"]
    into += ["sh", "-c", 'mount -t tmpfs -o size=512k none "$0" && exec "$@"', small]
    if subprocess.run([*into, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip("no file system can be mounted")
    return small, into


@case("a restore for which there is no room leaves nothing")
def _(t):
    small, into = beside_small_disk(t)
    b = Broker(t)
    b.fill(t, [b"x" * 5000] * 200)
    done = subprocess.run([*into, "sh", "-c", '"$0" restore "$1" "$2/new"; echo $?; ls -A "$2"',
                           PROGRAM, b.backup(), small], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    equal(done.stdout, "2\n", "code, and what is left; it said %r" % done.stderr)
    check(done.stderr.startswith("not restored: ") and "No space left on device" in done.stderr,
          done.stderr)


@case("a disk that is full before the copy is there: nothing is left of it, and the broker goes on")
def _(t):
    small, into = beside_small_disk(t)
    b = Broker(t, command=into)
    b.fill(t, [b"x" * 5000] * 200)
    code, out, err = b.ctl("backup", os.path.join(small, "copy"))
    equal((code, out), (69, ""), "code; it said %r" % err)
    check("nothing is left of it" in err and "No space left on device" in err, err)
    seen = "/proc/%d/root%s/copy" % (b.daemon.process.pid, small)
    equal(os.listdir(seen), [], "what is left")
    b.fill(t, NUMBERS)
    equal(len(taken(t, b.backup())), 200 + len(NUMBERS), "messages in a copy elsewhere")
    check("disk_short" not in b.daemon.log(), "publishers had to wait")


@case("what restore refuses, and what it leaves then")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    copy, target = b.backup(), os.path.join(b.place, "target")
    empty, half, other = (os.path.join(b.place, name) for name in ("empty", "half", "other"))
    for path in (empty, half, other):
        os.mkdir(path)
    for path in (half + "/unfinished", half + "/journal-0000000001", other + "/letter"):
        with open(path, "w", encoding="ascii"):
            pass
    before = contents(b.place)
    for source, to, text in (
            (empty, target, "is not a store"), (copy + "/no", target, "No such file"),
            (half, target, "was not finished"), (b.data, target, "leveretctl backup"),
            (copy, b.data, "in use by another leveretd, process %d" % b.daemon.process.pid),
            (copy, other, "is not empty"), (copy, half, "was not finished"),
            (copy, copy, "has a store already"), (copy, other + "/letter", ""),
            (copy, target + "/below", "the folder above it has to be there")):
        code, out, err = ctl("restore", source, to)
        equal((code, out), (2, ""), "%s to %s; it said %r" % (source, to, err))
        check(text in err and err.startswith("not restored: "), "%r is not in %r" % (text, err))
    equal(contents(b.place), before, "what is there")
    check(not os.path.exists(target), "something was made")
    status, _, log = service.run("--data-dir", half, "--listen", "127.0.0.1:0")
    equal(status, 1, "a start on what was not finished")
    check("was not finished" in log and "make the copy again" in log, log)
    code, out, _ = ctl("store", "check", half)
    equal(code, 2, "a check of it")
    check("was not finished" in out, out)


def is_marked(path):
    """Has a restore said that what is in the folder is its own?"""
    try:
        return os.path.getsize(path + "/unfinished") > 0
    except FileNotFoundError:
        return False


@case("a restore that was killed is done again in the same folder")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    copy, target = b.backup(), os.path.join(b.place, "target")
    for _ in range(20):
        process = subprocess.Popen([PROGRAM, "restore", copy, target], stdout=subprocess.DEVNULL)
        while process.poll() is None and not is_marked(target):
            pass
        process.kill()
        process.wait()
        if is_marked(target):
            break
        shutil.rmtree(target, ignore_errors=True)
    else:
        raise Skip("it was never killed in the middle")
    status, _, log = service.run("--data-dir", target, "--listen", "127.0.0.1:0")
    equal(status, 1, "a start on it")
    check("restore into this folder again" in log, log)
    for name in ("journal-4000000000", "index/000009.ldb", "anchor"):
        os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
        with open(os.path.join(target, name), "w", encoding="ascii") as file:
            file.write("of another one")
    with open(os.path.join(target, "letter"), "w", encoding="ascii"):
        pass
    code, _, err = ctl("restore", copy, target)
    equal(code, 2, "with a file of somebody else; it said %r" % err)
    os.unlink(os.path.join(target, "letter"))
    code, out, err = ctl("restore", copy, target)
    equal((code, err), (0, ""), "restore; it said %r" % out)
    check(not os.path.exists(target + "/journal-4000000000"), "something of the first is left")
    equal(taken(t, target), NUMBERS, "messages")


@case("what is left of a backup is not taken for what is left of a restore")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS[:10])
    copy, target = b.backup(), os.path.join(b.place, "target")
    for mark, wanted in (("backup\n", 2), ("restore\n", 0)):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(copy, target)
        with open(target + "/unfinished", "w", encoding="ascii") as file:
            file.write(mark)
        code, _, err = ctl("restore", copy, target)
        equal(code, wanted, "with %r; it said %r" % (mark, err))
    os.truncate(os.path.join(copy, "identity"), 0)
    with open(target + "/unfinished", "w", encoding="ascii") as file:
        file.write("restore\n")
    code, _, err = ctl("restore", copy, target)
    equal((code, os.listdir(target)), (1, []), "of a copy that is damaged; it said %r" % err)
    check(target + " is empty" in err, err)


def spoil(path):
    """Damages the copy of one message; returns how many are left."""
    name = sorted(name for name in os.listdir(path) if name.startswith("journal-"))[0]
    with open(os.path.join(path, name), "r+b") as file:
        at = file.read().index(b"body-1000")
        file.seek(at)
        file.write(b"B")


@case("a copy that is damaged is not restored, and can be salvaged")
def _(t):
    b = Broker(t)
    b.fill(t, [b"body-%d" % number for number in range(1000, 1500)])
    b.daemon.kill()
    copy = os.path.join(b.place, "copy")
    shutil.copytree(b.data, copy)
    spoil(copy)
    target = os.path.join(b.place, "target")
    code, out, err = ctl("restore", copy, target)
    equal((code, out), (1, ""), "restore; it said %r" % err)
    check("leveretctl store salvage %s %s" % (copy, target) in err and "damaged" in err, err)
    check(not os.path.exists(target), "something was left")
    os.mkdir(target)
    equal(ctl("restore", copy, target)[0], 1, "restore into a folder that is there")
    equal(os.listdir(target), [], "what was left")
    before = contents(copy)
    code, out, err = ctl("store", "salvage", copy, target)
    equal(code, 0, "salvage; it said %r, %r" % (out, err))
    check("salvaged: " in out, out)
    equal(contents(copy), before, "what it was salvaged from")
    equal(len(taken(t, target)), 499, "messages")
    code, out, _ = ctl("store_salvage", b.data, os.path.join(b.place, "sound"))
    equal(code, 0, "salvage of a sound one; it said %r" % out)
    check("nothing to salvage" in out, out)
    equal(len(taken(t, os.path.join(b.place, "sound"))), 500, "messages of its copy")


def batches(path):
    """Where the batches of a file of the journal begin, and where the last one ends."""
    with open(path, "rb") as file:
        content = file.read()
    at, found = 64, [64]
    while content[at:at + 4] == b"LVRB":
        at += int.from_bytes(content[at + 16:at + 20], "little")
        found.append(at)
    return found


def cuts(path, name):
    """Sizes that a file is cut to, in the middle of it and at batches; None: it is gone. What lies behind
    the last batch of a journal's file is nothing."""
    size = os.path.getsize(os.path.join(path, name))
    places = set()
    if name.startswith("journal-"):
        found = batches(os.path.join(path, name))
        size = found[-1]
        places = {64, *found[-3:-1]}
    return [None] + sorted(place for place in {0, size // 2} | places if place < size)


def counted_contents(out):
    return [line for line in out.splitlines() if line.startswith(("queues: ", "messages: "))]


@case("whatever of a copy's files is cut off or gone: nothing is called sound of which something is lost")
def _(t):
    b = Broker(t, "--checkpoint-ms", "100")
    b.fill(t, [b"%d" % number + b"." * 400 for number in range(1500)])
    check(tap.eventually(lambda: os.path.exists(os.path.join(b.data, "anchor"))), "there is no checkpoint")
    early = b.backup("early")
    b.fill(t, [b"last"])
    copy = b.backup()
    last = sorted(name for name in os.listdir(copy) if name.startswith("journal-"))[-1]
    code, out, _ = ctl("restore", copy, os.path.join(b.place, "whole"))
    equal(code, 0, "a whole one")
    whole = counted_contents(out)
    names = [os.path.relpath(os.path.join(place, name), copy)
             for place, _, found in os.walk(copy) for name in found]
    check(len(names) > 6 and "anchor" in names, "the copy has %r" % names)
    cut, target = os.path.join(b.place, "cut"), os.path.join(b.place, "target")
    for name in sorted(names):
        for size in cuts(copy, name):
            what = "%s cut to %s" % (name, size)
            shutil.copytree(copy, cut)
            if size is None:
                os.unlink(os.path.join(cut, name))
            else:
                os.truncate(os.path.join(cut, name), size)
            code, said, _ = ctl("store", "check", cut)
            restored, out, err = ctl("restore", cut, target)
            check(code != 0 or restored == 0, "%s: sound, and not restored: %s" % (what, err))
            check(restored != 0 or counted_contents(out) == whole, "%s: %s, of %s" % (what, out, whole))
            if name == last:
                check(restored == 1 and code == 1, "%s: %d, %d" % (what, code, restored))
                check(last in said and "leveret-store(7)" in said or "damaged" in said, said)
                check("an older copy may be sound" in err, err)
            shutil.rmtree(cut)
            shutil.rmtree(target, ignore_errors=True)
    equal(ctl("restore", early, target)[0], 0, "the older one")


@case("a broker does not start on a copy that lacks its end")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    copy = b.backup()
    last = sorted(name for name in os.listdir(copy) if name.startswith("journal-"))[-1]
    for size in (batches(os.path.join(copy, last))[-2], 64, 0):
        os.truncate(os.path.join(copy, last), size)
        before = contents(copy)
        status, _, log = service.run("--data-dir", copy, "--listen", "127.0.0.1:0")
        equal(status, 1, "a start on it")
        check(last in log and "leveret-store(7)" in log, log)
        for name in (last, "identity", "anchor"):
            path = os.path.join(copy, name)
            equal(contents(copy).get(path), before.get(path), "what is in " + name)


@case("root restores for whom the folder, or the backup, belongs to")
def _(t):
    if not IS_ROOT:
        raise Skip("this is not root")
    b = Broker(t)
    b.fill(t, NUMBERS[:10])
    copy = b.backup()
    os.chmod(b.place, 0o755)
    for place, folders, files in os.walk(copy):
        for name in (".", *folders, *files):
            os.chown(os.path.join(place, name), 65534, 65534)
    secret = os.path.join(b.place, "secret")
    with open(secret, "w", encoding="ascii") as file:
        file.write("root's alone")
    os.chmod(secret, 0o600)
    os.symlink(secret, os.path.join(copy, "journal-4000000000"))
    code, _, err = ctl("restore", copy, os.path.join(b.place, "led"))
    equal(code, 2, "a copy with a link to what is not its owner's; it said %r" % err)
    check("journal-4000000000: Permission denied" in err, err)
    check(not os.path.exists(os.path.join(b.place, "led")), "something was made")
    os.unlink(os.path.join(copy, "journal-4000000000"))
    there = os.path.join(b.place, "there")
    os.mkdir(there, 0o700)
    os.chown(there, 1, 1)
    for target, wanted in ((os.path.join(b.place, "new"), 65534), (there, 1)):
        code, out, err = ctl("restore", copy, target)
        equal(code, 0, "restore; it said %r, %r" % (out, err))
        for place, folders, files in os.walk(target):
            for name in (".", *folders, *files):
                about = os.stat(os.path.join(place, name))
                equal((about.st_uid, about.st_gid), (wanted, wanted), "owner of " + name)
                equal(about.st_mode & 0o077, 0, "what others may with " + name)
    check("owner: " in out, out)


def dump(*words):
    code, out, err = ctl("store", "dump", *words)
    equal((code, err), (0, ""), "dump; it said %r" % out[:300])
    return out


@case("a store is dumped: definitions, and messages in their order")
def _(t):
    b = Broker(t)
    b.fill(t, [b"one", b"two \xff\x00", b"three"], content_type="text/plain", headers={"n": 1})
    b.fill(t, [b"elsewhere"], queue="other")
    c = b.daemon.client(t)
    c.channel()
    c.call(1, "queue.declare", queue="levels", durable=True, arguments={"x-max-priority": 5})
    c.call(1, "confirm.select")
    for priority in (1, 5, 3):
        c.publish(1, "levels", b"p%d" % priority, delivery_mode=2, priority=priority)
        c.expect(1, "basic.ack")
    c.close()
    copy = b.backup()
    before = contents(copy)
    lines = [json.loads(line) for line in dump(copy).splitlines()]
    names = [queue["name"] for queue in lines[0]["definitions"]["queues"]]
    equal(names, ["kept", "levels", "other"], "queues")
    equal([(m["queue"], m["payload"], m["payload_encoding"]) for m in lines[1:]],
          [("kept", "one", "string"), ("kept", "dHdvIP8A", "base64"), ("kept", "three", "string"),
           ("levels", "p5", "string"), ("levels", "p3", "string"), ("levels", "p1", "string"),
           ("other", "elsewhere", "string")], "messages")
    first = lines[1]
    equal((first["vhost"], first["routing_key"], first["exchange"], first["redelivered"],
           first["properties"]["content_type"], first["properties"]["headers"]),
          ("/", "kept", "", False, "text/plain", {"n": 1}), "what a message has")
    one = [json.loads(line)["payload"] for line in dump(copy, "--queue", "other").splitlines()]
    equal(one, ["elsewhere"], "one queue")
    whole = json.loads(dump(copy, "-o", "json"))
    equal((whole["definitions"], whole["messages"]), (lines[0]["definitions"], lines[1:]),
          "one document")
    equal(json.loads(dump(copy, "-o", "json", "--vhost", "/"))["definitions"]
          ["rabbitmq_definition_format"], "single_virtual_host", "one virtual host")
    equal(json.loads(dump(copy, "-o", "json", "--queue", "kept")).keys(), {"messages"}, "members")
    for words, code, text in (((copy, "--queue", "none"), 2, "there is no queue 'none'"),
                              ((copy, "--vhost", "none"), 2, "there is no virtual host 'none'"),
                              ((copy, "-o", "csv"), 64, "jsonl, or as json"),
                              ((b.data,), 2, "leveretctl backup"),
                              ((copy + "/none",), 2, "No such file")):
        got, out, err = ctl("store", "dump", *words)
        equal((got, out), (code, ""), "%r; it said %r" % (words, err))
        check(text in err, err)
    equal(contents(copy), before, "the copy")
    imported = Broker(t)
    path = os.path.join(b.place, "definitions.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(lines[0]["definitions"], file)
    equal(imported.ctl("import_definitions", path)[0], 0, "definitions are imported")


@case("a dump has what is not in memory, and what exchanges hold back")
def _(t):
    b = Broker(t, "--chunk-entries", "16", "--cache-size", "0", "--bodies-idle", "0",
               "--checkpoint-ms", "100")
    b.fill(t, NUMBERS)
    c = b.daemon.client(t)
    c.channel()
    c.call(1, "exchange.declare", exchange="late", type="x-delayed-message", durable=True,
           arguments={"x-delayed-type": "fanout"})
    c.call(1, "confirm.select")
    for _ in range(100):
        c.get("kept", 1)
    c.publish(1, "key", b"later", exchange="late", delivery_mode=2, headers={"x-delay": 10000000})
    c.expect(1, "basic.ack")  # what was taken before is on the disk as well
    c.close()
    lines = [json.loads(line) for line in dump(b.backup()).splitlines()]
    check([m["payload"] for m in lines[1:-1]] == [body.decode() for body in NUMBERS[100:]],
          "messages of the queue: %d, of which the first is %r" % (len(lines) - 2, lines[1]))
    last = lines[-1]
    equal((last.get("held_by_exchange"), last["payload"], last["ends_ms"] > 1600000000000),
          ("late", "later", True), "what is held back")
    equal([queue["name"] for queue in lines[0]["definitions"]["queues"]], ["kept"], "queues")


@case("store check calls queues by their names, also those with priorities, and what is held back")
def _(t):
    b = Broker(t)
    c = b.daemon.client(t)
    c.channel()
    c.call(1, "exchange.declare", exchange="late", type="x-delayed-message", durable=True,
           arguments={"x-delayed-type": "fanout"})
    c.call(1, "queue.declare", queue="two\twords", durable=True, arguments={"x-max-priority": 3})
    c.call(1, "confirm.select")
    c.publish(1, "two\twords", b"1", delivery_mode=2, priority=2)
    c.expect(1, "basic.ack")
    c.publish(1, "key", b"2", exchange="late", delivery_mode=2, headers={"x-delay": 10000000})
    c.expect(1, "basic.ack")
    c.close()
    code, out, _ = ctl("store", "check", b.backup())
    equal(code, 0, "code; it said %r" % out)
    for wanted in (r"^queue 'two\?words' in virtual host '/' \(\d+, priority 2\): 1 messages",
                   r"^what exchange 'late' in virtual host '/' holds back \(\d+\): "):
        check(re.search(wanted, out, re.MULTILINE), "%s is not in %s" % (wanted, out))


@case("damaged messages are left out of a dump, and told")
def _(t):
    b = Broker(t)
    b.fill(t, [b"body-%d" % number for number in range(1000, 1500)])
    equal(b.daemon.stop(), 0, "status of the broker")
    spoil(b.data)
    code, out, err = ctl("store", "dump", b.data, "--queue", "kept")
    equal((code, len(out.splitlines())), (1, 499), "code and messages; it said %r" % err)
    check("1 messages are damaged" in err, err)


@case("store check says what is there, and refuses what a broker uses")
def _(t):
    b = Broker(t)
    b.fill(t, NUMBERS)
    copy = b.backup()
    code, out, _ = ctl("store", "check", copy)
    equal(code, 0, "code; it said %r" % out)
    check("queue 'kept' in virtual host '/' (" in out and "2000 messages" in out and
          out.endswith("sound\n"), out)
    code, out, _ = ctl("store_check", b.data)
    equal(code, 2, "code")
    check("in use by another leveretd" in out, out)
    equal(ctl("store", "check", copy, "--dry-run"), (0, "leveretd --check-store %s\n" % copy, ""),
          "dry run")
    code, out, err = ctl("store")
    equal((code, out), (64, ""), "half a verb")
    check("store_check, store_dump, store_salvage" in err, err)
    equal(ctl("autocomplete", "--", "store", "")[1], "check\ndump\nsalvage\n", "completion")
    check("--queue\n" in ctl("autocomplete", "--", "store", "dump", "--q")[1], "its options")


if __name__ == "__main__":
    main()

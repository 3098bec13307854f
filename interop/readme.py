#!/usr/bin/python3
"""What README.md promises to a newcomer: its first message, with a kill -9 where it says so.

Needs no broker: LEVERETD, or leveretd in $top_builddir, is started here.  Output is TAP.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from tap import PATIENCE, case, check, equal, main  # noqa: E402

PROGRAM = os.environ.get("LEVERETD") or os.path.join(os.environ.get("top_builddir", "."), "leveretd")
HOST = 'pika.ConnectionParameters("127.0.0.1")'


def programs(port):
    """The Python programs of the page, for a broker at another port."""
    with open(os.path.join(HERE, "..", "README.md"), encoding="utf-8") as page:
        found = re.findall(r"^```python\n(.*?)^```$", page.read(), re.M | re.S)
    check(all(HOST in text for text in found), "a program connects in another way")
    return [text.replace(HOST, HOST[:-1] + ", %d)" % port) for text in found]


def serve(t, data, port):
    process = subprocess.Popen([PROGRAM, "--data-dir", data, "--listen", "127.0.0.1:%d" % port],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.cleanup(process.wait)
    t.cleanup(process.kill)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            return process
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError("the broker did not start")


def run(text):
    """Its output; it must end well."""
    done = subprocess.run([sys.executable, "-c", text], stdin=subprocess.DEVNULL, check=False,
                          timeout=PATIENCE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    equal((done.returncode, done.stderr), (0, ""), "status and errors")
    return done.stdout


@case("the first message is there after kill -9")
def _(t):
    data = tempfile.mkdtemp(prefix="leveret-readme-")
    t.cleanup(shutil.rmtree, data, True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    publish, get = programs(port)
    broker = serve(t, data, port)
    run(publish)
    broker.kill()
    broker.wait()
    serve(t, data, port)
    equal(run(get), "walk the dog\n", "what was printed")


if __name__ == "__main__":
    main()

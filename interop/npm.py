"""The packages of npm that clients/package-lock.json names, in the build folder."""

import os
import shutil
import subprocess
import threading

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
LOCK = threading.Lock()


class NotMade(Exception):
    """A client's program could not be made."""


class NotThere(NotMade):
    """What makes it is not installed."""


def run(command, environment=None, folder=None):
    try:
        done = subprocess.run(command, env=dict(os.environ, **(environment or {})), cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError as error:
        raise NotThere("%s; scripts/install-deps --matrix installs it" % error) from None
    if done.returncode != 0:
        raise NotMade("%s: %s" % (command[0], done.stdout))


def same(one, other):
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except FileNotFoundError:
        return False


def install(build_dir):
    """What programs for node need in their environment."""
    node = os.path.join(build_dir, "interop", "node")
    lock, installed = (os.path.join(place, "package-lock.json") for place in (CLIENTS, node))
    with LOCK:
        if not same(lock, installed):
            os.makedirs(node, exist_ok=True)
            shutil.copy(os.path.join(CLIENTS, "package.json"), node)
            shutil.copy(lock, node + "/wanted-lock.json")
            os.replace(node + "/wanted-lock.json", installed)
            try:
                run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], {}, node)
            except Exception:
                os.remove(installed)
                raise
    return {"NODE_PATH": os.path.join(node, "node_modules")}

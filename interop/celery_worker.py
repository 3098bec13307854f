#!/usr/bin/python3
"""A Celery application with a worker of its own: countdowns, ETA, retries, chords, late acknowledgements.

Celery raises the prefetch of its channel for every task that is not due yet, and goes back on it when
that task was run; it does so with basic.qos in RabbitMQ's meaning, and only if the broker says that
it is RabbitMQ.  A worker full of tasks with a countdown shows whether that works.
"""

import contextlib
import datetime
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

from celery import chain, chord, group  # noqa: E402
from celery.exceptions import MaxRetriesExceededError, TaskRevokedError  # noqa: E402

from tap import case, check, equal, main  # noqa: E402

WORKERS = []
RESULT_SECONDS = 30


class Worker:
    """A worker in processes of its own; what it says goes into a file."""

    def __init__(self, t, *arguments):
        self.app = t.app
        self.node = "worker%d-%d@interop" % (os.getpid(), len(WORKERS))
        self.log = os.path.join(t.place, self.node + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/python3", "-B", "-m", "celery", "-A", "celery_tasks", "worker",
                 "--loglevel", "INFO", "-n", self.node, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=HERE, env=t.environment,
                start_new_session=True)
        WORKERS.append(self)
        t.cleanup(self.kill)

    def kill(self):
        """The worker and all its processes are gone at once, and say nothing to the broker."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_idle(self):
        """It has heard of the end of its last task.

        A worker that is told to stop between the result and that may wait for ever for its own pool.
        """
        deadline = time.monotonic() + RESULT_SECONDS
        while (self.app.control.inspect(timeout=1).active() or {}).get(self.node) != []:
            check(time.monotonic() < deadline, "it is never idle: " + self.said()[-500:])

    def stop(self):
        """It finishes what it does, and ends."""
        self.wait_idle()
        self.process.send_signal(signal.SIGTERM)
        try:
            equal(self.process.wait(RESULT_SECONDS), 0, "status of the worker")
        except subprocess.TimeoutExpired:
            raise AssertionError("the worker did not end: " + self.said()[-2000:]) from None

    def said(self):
        with open(self.log, errors="replace", encoding="utf-8") as log:
            return log.read()


def application(t, backend="rpc://"):
    """The application, in this process as its workers have it: a queue of its own for each case."""
    t.place = tempfile.mkdtemp(prefix="leveret-celery-")
    t.cleanup(shutil.rmtree, t.place, True)
    queue = "interop.celery.%d.%d" % (os.getpid(), time.monotonic_ns())
    t.environment = dict(os.environ, INTEROP_BROKER=t.uri, INTEROP_QUEUE=queue,
                         INTEROP_BACKEND=backend, INTEROP_MARKS=t.place, PYTHONDONTWRITEBYTECODE="1")
    os.environ.update(t.environment)
    sys.modules.pop("celery_tasks", None)
    import celery_tasks  # pylint: disable=import-outside-toplevel
    t.app = celery_tasks.app
    t.cleanup(celery_tasks.app.close)
    t.cleanup(drop, celery_tasks.app, queue)
    return celery_tasks


def drop(app, queue):
    with app.connection() as connection:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.exchange_delete(queue)


def value(result):
    return result.get(timeout=RESULT_SECONDS)


@case("tasks and their results")
def simple(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "2")
    results = [tasks.add.delay(number, 1) for number in range(50)]
    equal([value(result) for result in results], list(range(1, 51)), "results")
    worker.stop()


@case("a worker full of countdowns takes what is due")
def countdown(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "1")
    for _ in range(20):
        tasks.now.apply_async(countdown=3600)
    equal(value(tasks.add.delay(1, 1)), 2, "result of what was due")
    sent = time.time()
    soon = [tasks.now.apply_async(countdown=2) for _ in range(20)]
    check(all(value(result) >= sent + 2 for result in soon), "a task ran before it was due")
    equal(value(tasks.add.delay(2, 2)), 4, "result afterwards")
    worker.stop()


@case("a worker full of tasks with a date takes what is due")
def dated(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "1")
    now = datetime.datetime.now(datetime.timezone.utc)
    for _ in range(20):
        tasks.now.apply_async(eta=now + datetime.timedelta(hours=1))
    equal(value(tasks.add.delay(1, 1)), 2, "result of what was due")
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    soon = [tasks.now.apply_async(eta=due) for _ in range(20)]
    check(all(value(result) >= due.timestamp() for result in soon), "a task ran too early")
    equal(value(tasks.add.delay(2, 2)), 4, "result afterwards")
    worker.stop()


@case("a worker that grows takes as much as it can do")
def autoscale(t):
    tasks = application(t)
    worker = Worker(t, "--autoscale", "3,1")
    equal(value(tasks.add.delay(1, 1)), 2, "first result")
    results = [tasks.work.delay(2) for _ in range(12)]
    processes = {value(result) for result in results}
    check(len(processes) > 1, "one process did it all")
    worker.stop()


def beginnings(t):
    return sum(name.startswith("tmp") for name in os.listdir(t.place))


@case("tasks that are tried again, until they work or may not any more")
def retries(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "2")
    equal(value(tasks.stubborn.delay(2)), 2, "retries of one that works at last")
    try:
        value(tasks.stubborn.delay(9))
        raise AssertionError("it worked")
    except MaxRetriesExceededError:
        pass
    worker.stop()


@case("a task that is revoked while it waits is not run")
def revoked(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "1")
    equal(value(tasks.add.delay(1, 1)), 2, "first result")
    result = tasks.work.apply_async((0,), countdown=2)
    deadline = time.monotonic() + RESULT_SECONDS
    while result.id not in str(t.app.control.inspect(timeout=1).scheduled()):
        check(time.monotonic() < deadline, "the worker has not heard of it")
    result.revoke()
    try:
        value(result)
        raise AssertionError("it was run")
    except TaskRevokedError:
        equal(beginnings(t), 0, "beginnings")
    worker.stop()


@case("groups and chains, with results by rpc")
def workflows(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "2")
    many = group(tasks.add.s(number, number) for number in range(20)).apply_async()
    equal(value(many), [2 * number for number in range(20)], "group")
    equal(value(chain(tasks.add.s(1, 1), tasks.add.s(2), tasks.add.s(3)).apply_async()), 7, "chain")
    worker.stop()


@case("a chord: a task is run when all of a group are done")
def chords(t):
    results = tempfile.mkdtemp(prefix="leveret-celery-")  # Celery has no chords with rpc
    t.cleanup(shutil.rmtree, results, True)
    tasks = application(t, "file://" + results)
    worker = Worker(t, "--concurrency", "2")
    result = chord([tasks.add.s(number, 1) for number in range(10)])(tasks.total.s())
    equal(value(result), 55, "sum")
    worker.stop()


@case("a task whose worker was killed is run by another one")
def late(t):
    tasks = application(t)
    worker = Worker(t, "--concurrency", "1")
    result = tasks.work.delay(4)
    deadline = time.monotonic() + RESULT_SECONDS
    while not beginnings(t):
        check(time.monotonic() < deadline, "the task did not begin: " + worker.said()[-500:])
        time.sleep(0.1)
    worker.kill()
    again = Worker(t, "--concurrency", "1")
    check(value(result), "no result")
    equal(beginnings(t), 2, "beginnings")
    again.stop()


if __name__ == "__main__":
    main()

"""The Celery application whose tasks celery_worker.py sends.

INTEROP_BROKER is HOST:PORT, INTEROP_QUEUE the queue of this run, INTEROP_BACKEND where results go.  A
task that INTEROP_MARKS names a folder for leaves a file there when it begins.
"""

import os
import tempfile
import time

from celery import Celery

app = Celery("interop", broker="amqp://guest:guest@%s//" % os.environ["INTEROP_BROKER"],
             backend=os.environ["INTEROP_BACKEND"])
app.conf.update(
    task_default_queue=os.environ["INTEROP_QUEUE"],
    task_default_exchange=os.environ["INTEROP_QUEUE"],
    task_default_routing_key=os.environ["INTEROP_QUEUE"],
    task_track_started=True,
    result_expires=60,
    broker_connection_max_retries=3,
    worker_prefetch_multiplier=2,
)


@app.task
def add(x, y):
    return x + y


@app.task
def now():
    """When it ran."""
    return time.time()


@app.task(acks_late=True)
def work(seconds):
    """Sleeps, and says who did."""
    mark, _ = tempfile.mkstemp(dir=os.environ["INTEROP_MARKS"])
    os.close(mark)
    time.sleep(seconds)
    return os.getpid()


@app.task(bind=True, max_retries=3)
def stubborn(self, failures):
    """Fails so often before it works; says how often it was tried again."""
    if self.request.retries < failures:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task
def total(numbers):
    return sum(numbers)

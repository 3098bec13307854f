#!/usr/bin/python3
"""The six patterns that every newcomer learns with pika, and publisher confirms.

Each program of a pattern is a function with a connection of its own, and consumers run in threads
with start_consuming(), as in the tutorials.  The assertions are on what the tutorials promise.
"""

import threading
import uuid

import pika

from client import channel, eventually, exchange, get, name, own_queue, parameters, ready, \
    shared_queue
from tap import case, check, equal, main


class Program(threading.Thread):
    """A consuming program: prepare(channel) sets it up, then it consumes until stop()."""

    def __init__(self, t, prepare):
        super().__init__(daemon=True)
        self.connection = pika.BlockingConnection(parameters(t.uri))
        self.channel = self.connection.channel()
        prepare(self.channel)
        self.start()
        t.cleanup(self.stop)

    def run(self):
        self.channel.start_consuming()
        self.connection.close()

    def stop(self):
        if self.is_alive():
            self.connection.add_callback_threadsafe(self.channel.stop_consuming)
            self.join(5)


def collector(queue, into, tag="", auto_ack=True):
    """Set up a consumer that appends (tag, routing key, text) of each message."""
    def prepare(ch):
        ch.basic_consume(queue=queue, auto_ack=auto_ack, on_message_callback=lambda _c, m, _p, body:
                         into.append((tag, m.routing_key, body.decode())))
    return prepare


@case("1 hello world")
def hello_world(t):
    seen, sender = [], channel(t)
    q = shared_queue(t, sender, durable=False, auto_delete=True)
    sender.basic_publish(exchange="", routing_key=q, body="Hello World!")
    Program(t, collector(q, seen))
    eventually(lambda: seen)
    equal(seen, [("", q, "Hello World!")], "received")


@case("2 work queues: durable tasks, fair dispatch, one at a time")
def work_queues(t):
    ch, seen, lock = channel(t), [], threading.Event()
    q = shared_queue(t, ch)

    def worker(tag, hold):
        def on_task(ch_, method, _properties, body):
            if hold:
                lock.wait(5)
            seen.append((tag, body.decode()))
            ch_.basic_ack(delivery_tag=method.delivery_tag)

        def prepare(ch_):
            ch_.basic_qos(prefetch_count=1)
            ch_.basic_consume(queue=q, on_message_callback=on_task)
        return prepare

    Program(t, worker("slow", True))
    Program(t, worker("fast", False))
    for number in range(10):
        ch.basic_publish(exchange="", routing_key=q, body="task %d" % number,
                         properties=pika.BasicProperties(delivery_mode=2))
    eventually(lambda: len(seen) == 9)
    equal([tag for tag, _ in seen], ["fast"] * 9, "the slow worker held only its own task")
    lock.set()
    eventually(lambda: len(seen) == 10)
    equal(sorted(task for _, task in seen), ["task %d" % number for number in range(10)], "tasks")
    eventually(lambda: ready(ch, q) == 0)


@case("2 work queues: two idle workers take turns")
def work_queues_turns(t):
    ch, seen = channel(t), []
    q = shared_queue(t, ch)
    for tag in ("one", "two"):
        Program(t, collector(q, seen, tag))
    for number in range(10):
        ch.basic_publish(exchange="", routing_key=q, body=str(number))
    eventually(lambda: len(seen) == 10)
    equal([sum(tag == who for tag, _, _ in seen) for who in ("one", "two")], [5, 5], "shares")


@case("2 work queues: the tasks of a worker that dies go to another")
def work_queues_death(t):
    ch, seen = channel(t), []
    q = shared_queue(t, ch)
    dying = pika.BlockingConnection(parameters(t.uri))
    mine = dying.channel()
    for number in range(3):
        ch.basic_publish(exchange="", routing_key=q, body=str(number),
                         properties=pika.BasicProperties(delivery_mode=2))
    for number in range(3):
        equal(get(mine, q, auto_ack=False)[2], b"%d" % number, "task of the dying worker")
    dying.close()
    Program(t, collector(q, seen))
    eventually(lambda: len(seen) == 3)
    equal([body for _, _, body in seen], ["0", "1", "2"], "tasks of the next worker")


@case("3 publish and subscribe")
def publish_subscribe(t):
    ch, seen = channel(t), []
    logs = exchange(t, ch, "fanout")
    ch.basic_publish(exchange=logs, routing_key="", body="nobody listens")

    def listener(tag):
        def prepare(ch_):
            q = ch_.queue_declare(queue="", exclusive=True).method.queue
            ch_.queue_bind(exchange=logs, queue=q)
            collector(q, seen, tag)(ch_)
        return prepare

    Program(t, listener("file"))
    Program(t, listener("screen"))
    for text in ("info: Hello World!", "second"):
        ch.basic_publish(exchange=logs, routing_key="", body=text)
    eventually(lambda: len(seen) == 4)
    for tag in ("file", "screen"):
        equal([body for who, _, body in seen if who == tag], ["info: Hello World!", "second"], tag)


@case("4 routing")
def routing(t):
    ch, seen = channel(t), []
    logs = exchange(t, ch, "direct")

    def listener(tag, *severities):
        def prepare(ch_):
            q = own_queue(ch_)
            for severity in severities:
                ch_.queue_bind(exchange=logs, queue=q, routing_key=severity)
            collector(q, seen, tag)(ch_)
        return prepare

    Program(t, listener("file", "error"))
    Program(t, listener("screen", "info", "warning", "error"))
    for severity in ("info", "error", "debug", "warning"):
        ch.basic_publish(exchange=logs, routing_key=severity, body=severity + " text")
    eventually(lambda: len(seen) == 4)
    equal([key for who, key, _ in seen if who == "file"], ["error"], "file")
    equal([key for who, key, _ in seen if who == "screen"], ["info", "error", "warning"], "screen")


@case("5 topics")
def topics(t):
    ch, seen = channel(t), []
    animals = exchange(t, ch, "topic")

    def listener(tag, *keys):
        def prepare(ch_):
            q = own_queue(ch_)
            for key in keys:
                ch_.queue_bind(exchange=animals, queue=q, routing_key=key)
            collector(q, seen, tag)(ch_)
        return prepare

    Program(t, listener("Q1", "*.orange.*"))
    Program(t, listener("Q2", "*.*.rabbit", "lazy.#"))
    Program(t, listener("all", "#"))
    keys = ["quick.orange.rabbit", "lazy.orange.elephant", "quick.orange.fox", "lazy.brown.fox",
            "lazy.pink.rabbit", "quick.brown.fox", "orange", "quick.orange.new.rabbit",
            "lazy.orange.new.rabbit"]
    for key in keys:
        ch.basic_publish(exchange=animals, routing_key=key, body=key)
    eventually(lambda: len(seen) == 3 + 5 + len(keys))
    equal([key for who, key, _ in seen if who == "Q1"],
          ["quick.orange.rabbit", "lazy.orange.elephant", "quick.orange.fox"], "Q1")
    equal([key for who, key, _ in seen if who == "Q2"],
          ["quick.orange.rabbit", "lazy.orange.elephant", "lazy.brown.fox", "lazy.pink.rabbit",
           "lazy.orange.new.rabbit"], "Q2")
    equal([key for who, key, _ in seen if who == "all"], keys, "all")


class Fibonacci:
    """The asking side of the sixth pattern."""

    def __init__(self, t, rpc_queue, reply_to=None):
        self.connection = pika.BlockingConnection(parameters(t.uri))
        t.cleanup(self.connection.close)
        self.channel = self.connection.channel()
        self.rpc_queue, self.answers = rpc_queue, {}
        self.reply_to = reply_to or own_queue(self.channel)
        self.channel.basic_consume(queue=self.reply_to, on_message_callback=self.on_response,
                                   auto_ack=True)

    def on_response(self, _channel, _method, properties, body):
        self.answers[properties.correlation_id] = int(body)

    def ask(self, number):
        question = str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="", routing_key=self.rpc_queue, body=str(number),
            properties=pika.BasicProperties(reply_to=self.reply_to, correlation_id=question))
        while question not in self.answers:
            self.connection.process_data_events(time_limit=5)
        return self.answers.pop(question)


def fibonacci(number):
    a, b = 0, 1
    for _ in range(number):
        a, b = b, a + b
    return a


def rpc_server(queue):
    def on_request(ch, method, properties, body):
        ch.basic_publish(exchange="", routing_key=properties.reply_to,
                         properties=pika.BasicProperties(correlation_id=properties.correlation_id),
                         body=str(fibonacci(int(body))))
        ch.basic_ack(delivery_tag=method.delivery_tag)

    def prepare(ch):
        ch.basic_qos(prefetch_count=1)
        ch.basic_consume(queue=queue, on_message_callback=on_request)
    return prepare


@case("6 RPC")
def rpc(t):
    q = shared_queue(t, channel(t))
    for _ in range(2):
        Program(t, rpc_server(q))
    clients = [Fibonacci(t, q) for _ in range(3)]
    for number in (30, 0, 1, 12, 90):
        for client in clients:
            equal(client.ask(number), fibonacci(number), "fib(%d)" % number)


@case("6 RPC with direct reply-to")
def rpc_direct(t):
    q = shared_queue(t, channel(t))
    Program(t, rpc_server(q))
    client = Fibonacci(t, q, "amq.rabbitmq.reply-to")
    for number in (5, 40):
        equal(client.ask(number), fibonacci(number), "fib(%d)" % number)


@case("7 publisher confirms")
def publisher_confirms(t):
    ch = channel(t)
    q = shared_queue(t, ch)
    ch.confirm_delivery()
    for number in range(100):
        ch.basic_publish(exchange="", routing_key=q, body=str(number), mandatory=True,
                         properties=pika.BasicProperties(delivery_mode=2))
    equal(ready(ch, q), 100, "messages")
    try:
        ch.basic_publish(exchange="", routing_key=name("nobody"), body="x", mandatory=True)
    except pika.exceptions.UnroutableError:
        return
    check(False, "nothing was returned")


if __name__ == "__main__":
    main()

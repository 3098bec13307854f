#!/usr/bin/python3
"""The scenarios with aio-pika."""

import asyncio
import datetime
import ssl
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rsplit("/", 2)[0])

import aio_pika  # noqa: E402
from aio_pika import ExchangeType, Message  # noqa: E402
from aiormq.exceptions import (ChannelLockedResource, ChannelNotFoundEntity,  # noqa: E402
                               ChannelPreconditionFailed, ProbableAuthenticationError,
                               PublishError)
from pamqp.exceptions import PAMQPException  # noqa: E402

import matrix_client as m  # noqa: E402
from tap import case, check, equal, main  # noqa: E402


# Some of what is waited for when a connection ends does not end with it.
STEP_SECONDS = 5


def scenario(name):
    """A case that is a coroutine."""
    def register(function):
        case(name)(lambda _t: asyncio.run(asyncio.wait_for(function(), 4 * m.PATIENCE)))
        return function
    return register


def connect(password="guest", **options):
    return aio_pika.connect(host=m.HOST, port=m.PORT, login="guest", password=password, **options)


async def publish(ch, queue, body, **properties):
    await ch.default_exchange.publish(Message(body, **properties), queue)


async def get(queue, no_ack=True):
    return await queue.get(no_ack=no_ack, fail=True, timeout=m.PATIENCE)


async def bodies(queue, count):
    return [(await get(queue)).body for _ in range(count)]


async def until(condition, seconds=m.PATIENCE):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)


@scenario("login")
async def login():
    connection = await connect()
    ch = await connection.channel()
    await ch.close()
    await connection.close()
    check(connection.is_closed, "the connection is open")


@scenario("wrong-password")
async def wrong_password():
    try:
        await connect(password="wrong")
    except ProbableAuthenticationError as error:
        check("ACCESS_REFUSED - Login was refused" in str(error), str(error))
        return
    raise AssertionError("not refused")


@scenario("heartbeats")
async def heartbeats():
    async with await aio_pika.connect(m.uri() + "?heartbeat=1") as connection:
        ch = await connection.channel()
        await asyncio.sleep(3)
        await ch.declare_queue(**m.OWN)


@scenario("properties")
async def properties():
    async with await connect() as connection:
        ch = await connection.channel()
        q = await ch.declare_queue(**m.OWN)
        sent = {"content_type": "text/plain", "content_encoding": "utf-8",
                "delivery_mode": aio_pika.DeliveryMode.PERSISTENT, "priority": 7,
                "correlation_id": "c-1", "reply_to": "answers", "expiration": 60.0,
                "message_id": "m-1", "type": "kind", "user_id": "guest", "app_id": "interop",
                "timestamp": datetime.datetime(2024, 5, 6, 7, 8, 9)}
        await publish(ch, q.name, b"\xff\0", **sent)
        got = await get(q)
        for name, value in sent.items():
            equal(getattr(got, name), value, name)
        equal(got.body, b"\xff\0", "body")


@scenario("headers")
async def headers():
    async with await connect() as connection:
        ch = await connection.channel()
        q = await ch.declare_queue(**m.OWN)
        # A double or a decimal it sends as the bytes of its text.
        want = {"bool": True, "int": 70000, "long": -2 ** 40, "string": "\u00e9", "void": None,
                "bytes": bytearray(b"\xff\0"), "time": datetime.datetime(2024, 5, 6, 7, 8, 9),
                "table": {"deep": {"er": 1}}, "array": [1, "two", [3]]}
        await publish(ch, q.name, b"x", headers=want)
        equal(dict((await get(q)).headers.items()), want, "headers")


@scenario("confirms")
async def confirms():
    async with await connect() as connection:
        ch = await connection.channel(publisher_confirms=True)
        q = await ch.declare_queue(**m.OWN)
        await asyncio.gather(*[publish(ch, q.name, b"x") for _ in range(500)])
        again = await ch.declare_queue(q.name, passive=True)
        equal(again.declaration_result.message_count, 500, "messages")


@scenario("mandatory")
async def mandatory():
    async with await connect() as connection:
        ch = await connection.channel(on_return_raises=True)
        x = await ch.get_exchange("amq.direct")
        try:
            await x.publish(Message(b"back", message_id="m"), m.name(), mandatory=True)
            raise AssertionError("not returned")
        except PublishError as error:
            how, message = error.frame, error.message
        equal((how.reply_code, how.reply_text, how.exchange, message.header.properties.message_id,
               message.body), (312, "NO_ROUTE", "amq.direct", "m", b"back"), "return")


@scenario("prefetch")
async def prefetch():
    async with await connect() as connection:
        ch = await connection.channel()
        q, seen = await ch.declare_queue(**m.OWN), []
        for number in range(10):
            await publish(ch, q.name, b"%d" % number)
        await ch.set_qos(prefetch_count=3)
        await q.consume(seen.append)
        await until(lambda: len(seen) > 3, 0.3)
        equal(len(seen), 3, "before an ack")
        await seen[-1].ack(multiple=True)
        await until(lambda: len(seen) > 6, 0.3)
        equal([message.body for message in seen], [b"0", b"1", b"2", b"3", b"4", b"5"], "after it")


@scenario("acks")
async def acks():
    async with await connect() as connection:
        ch = await connection.channel()
        q = await ch.declare_queue(**m.OWN)
        for number in range(5):
            await publish(ch, q.name, b"%d" % number)
        got = [await get(q, no_ack=False) for _ in range(5)]
        await got[0].ack()
        await got[1].reject(requeue=False)
        await got[2].reject(requeue=True)
        await got[4].nack(multiple=True, requeue=True)
        again = [await get(q) for _ in range(3)]
        equal([(message.body, message.redelivered) for message in again],
              [(b"2", True), (b"3", True), (b"4", True)], "what came again")
        equal(await q.get(fail=False), None, "end")


@scenario("dead-letter")
async def dead_letter():
    async with await connect() as connection:
        ch = await connection.channel()
        dead = await ch.declare_queue(**m.OWN)
        q = await ch.declare_queue(**m.OWN, arguments={
            "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.name})
        await publish(ch, q.name, b"ill", headers={"own": 1})
        await (await get(q, no_ack=False)).reject(requeue=False)
        got = []
        await dead.consume(got.append, no_ack=True)
        await until(lambda: got)
        m.check_death(got[0].headers, q.name)
        equal((got[0].body, got[0].headers["own"]), (b"ill", 1), "message")


@scenario("transactions")
async def transactions():
    async with await connect() as connection:
        ch = await connection.channel(publisher_confirms=False)
        other = await connection.channel()
        q = await ch.declare_queue(**m.OWN)
        seen = await other.get_queue(q.name)
        tx = ch.transaction()
        await tx.select()
        await publish(ch, q.name, b"1")
        again = await other.declare_queue(q.name, passive=True)
        equal(again.declaration_result.message_count, 0, "before the commit")
        await tx.commit()
        await tx.select()
        await publish(ch, q.name, b"2")
        await (await get(q, no_ack=False)).ack()
        await tx.rollback()
        await ch.close()
        equal(await bodies(seen, 1), [b"1"], "after the rollback")
        equal(await seen.get(fail=False), None, "end")


@scenario("exchanges")
async def exchanges():
    async with await connect() as connection:
        ch = await connection.channel()
        for kind, binding, hit, miss in (("direct", "k", "k", "l"),
                                         ("topic", "a.*.#", "a.b.c", "b.a"),
                                         ("fanout", "", "any", None)):
            x = await ch.declare_exchange(m.name(), ExchangeType(kind), auto_delete=True)
            y = await ch.declare_exchange(m.name(), ExchangeType.FANOUT, auto_delete=True)
            q = await ch.declare_queue(**m.OWN)
            await q.bind(x, binding)
            await x.bind(y, "")
            await x.publish(Message(b"in"), hit)
            if miss:
                await x.publish(Message(b"out"), miss, mandatory=False)
            await y.publish(Message(b"through"), hit)
            await x.unbind(y, "")
            await q.unbind(x, binding)
            await publish(ch, q.name, b"end")
            equal(await bodies(q, 3), [b"in", b"through", b"end"], kind)
        q, x = await ch.declare_queue(**m.OWN), await ch.get_exchange("amq.headers")
        await q.bind(x, "", arguments={"x-match": "all", "a": 1, "b": "two"})
        await x.publish(Message(b"both", headers={"a": 1, "b": "two"}), "")
        await x.publish(Message(b"one", headers={"a": 1}), "", mandatory=False)
        await publish(ch, q.name, b"end")
        equal(await bodies(q, 2), [b"both", b"end"], "headers")


@scenario("queues")
async def queues():
    async with await connect() as connection:
        owner = await connect()
        q = await (await owner.channel()).declare_queue(exclusive=True)
        check(q.name.startswith("amq.gen-"), q.name)
        try:
            await (await connection.channel()).declare_queue(q.name, passive=True)
            raise AssertionError("not locked")
        except ChannelLockedResource:
            pass
        await owner.close()
        try:
            await (await connection.channel()).declare_queue(q.name, passive=True)
            raise AssertionError("still there")
        except ChannelNotFoundEntity:
            pass


@scenario("channel-error")
async def channel_error():
    async with await connect() as connection:
        missing = m.name()
        try:
            await (await connection.channel()).declare_queue(missing, passive=True)
            raise AssertionError("404 expected")
        except ChannelNotFoundEntity as error:
            check(m.not_found(missing) in str(error), str(error))
        ch = await connection.channel()
        await ch.declare_exchange(missing, ExchangeType.DIRECT)
        try:
            await ch.declare_exchange(missing, ExchangeType.FANOUT)
            raise AssertionError("406 expected")
        except ChannelPreconditionFailed as error:
            check(m.inequivalent(missing) in str(error), str(error))
        again = await connection.channel()
        await again.exchange_delete(missing)
        q = await again.declare_queue(**m.OWN)
        await publish(again, q.name, b"x")
        equal(await bodies(q, 1), [b"x"], "on a new channel")


@scenario("large-body")
async def large_body():
    async with await connect() as connection:
        ch = await connection.channel()
        q, seen, body = await ch.declare_queue(**m.OWN), [], m.pattern(20_000_000)
        await q.consume(seen.append, no_ack=True)
        await publish(ch, q.name, body)
        await until(lambda: seen)
        check(seen[0].body == body, "the body is another one")


@scenario("recovery")
async def recovery():
    connection = await aio_pika.connect_robust(m.uri() + "?reconnect_interval=0.2")
    async with connection:
        ch, seen = await connection.channel(), []
        kept = await ch.declare_queue(m.name(), durable=True)
        q = await ch.declare_queue(m.name(), durable=True)

        async def on_message(message):
            seen.append(message.body)
            await message.ack()

        await q.consume(on_message)
        for number in range(20):
            await publish(ch, kept.name, b"%d" % number,
                          delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await publish(ch, q.name, b"first")
        await until(lambda: seen)
        await asyncio.get_running_loop().run_in_executor(None, m.restart_broker)
        async with await connect() as other:
            await publish(await other.channel(), q.name, b"last")
            await until(lambda: len(seen) > 1)
            equal(seen, [b"first", b"last"], "what the consumer saw")
        equal(await bodies(kept, 20), [b"%d" % number for number in range(20)], "what was kept")
        await kept.delete()
        await q.delete(if_unused=False)


class Program:
    """It connects again when its connection has ended, and does again what was not done then."""

    def __init__(self):
        self.name, self.tally, self.channel, self.queue = m.name(), m.Tally(), None, None

    async def insist(self, step, *arguments):
        while True:
            try:
                if not self.channel:
                    self.channel = await (await connect()).channel()
                    self.queue = await self.channel.declare_queue(self.name, durable=True)
                return await asyncio.wait_for(step(*arguments), STEP_SECONDS)
            except (aio_pika.exceptions.AMQPError, PAMQPException, OSError, asyncio.TimeoutError,
                    asyncio.CancelledError, RuntimeError):
                self.channel = None
                await asyncio.sleep(0.05)

    async def publish(self, number):
        body = self.tally.body(number)
        await publish(self.channel, self.name, body.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        self.tally.confirmed.add(body)

    async def take(self):
        message = await self.queue.get(fail=False)
        if message:
            self.tally.got(message.body, message.redelivered)
        return message

    async def take_and_ack(self):
        message = await self.take()
        if message:
            await message.ack()


@scenario("failover")
async def failover():
    program, loop = Program(), asyncio.get_running_loop()
    for number in range(m.BEFORE):
        await program.insist(program.publish, number)
    first, held = program.channel, [await program.take() for _ in range(m.HELD)]
    await loop.run_in_executor(None, m.fail_broker)
    for number in range(m.BEFORE, m.MEANWHILE):
        await program.insist(program.publish, number)
    await loop.run_in_executor(None, m.broker_is_back)
    for number in range(m.MEANWHILE, m.AFTER):
        await program.insist(program.publish, number)
    if program.channel is first:
        await program.insist(held[-1].ack, True)
    while not program.tally.has_all():
        await program.insist(program.take_and_ack)
    program.tally.check()
    await program.insist(lambda: program.queue.delete(if_empty=False))


@scenario("reply-to")
async def reply_to():
    async with await connect() as connection:
        asker, server = await connection.channel(), await connection.channel()
        q, answers = await server.declare_queue(**m.OWN), []
        back = await asker.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await back.consume(answers.append, no_ack=True)
        for number in range(3):
            await publish(asker, q.name, b"%d" % number, reply_to="amq.rabbitmq.reply-to",
                          correlation_id=str(number))
            question = await get(q)
            await publish(server, question.reply_to, question.body + b"!",
                          correlation_id=question.correlation_id)
        await until(lambda: len(answers) == 3)
        equal([(answer.correlation_id, answer.body) for answer in answers],
              [("0", b"0!"), ("1", b"1!"), ("2", b"2!")], "answers")


@scenario("tls")
async def tls():
    context = ssl.create_default_context(cafile=m.CA)
    options = {"ssl": True, "ssl_context": context}
    connection = await aio_pika.connect(host="localhost", port=m.TLS_PORT, login="guest",
                                        password="guest", **options)
    async with connection:
        ch = await connection.channel()
        q = await ch.declare_queue(**m.OWN)
        await publish(ch, q.name, b"x")
        equal(await bodies(q, 1), [b"x"], "message")


if __name__ == "__main__":
    main()

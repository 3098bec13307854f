#!/usr/bin/python3
"""What ends with a channel or belongs to one: transactions, direct reply-to."""

import time

from queues import fill_blind
from wire import case, check, client, equal, main, shared_queue


@case("tx: what was not committed goes with the channel")
def tx_dropped(t):
    c, other = client(t), client(t)
    q = shared_queue(t, c)
    c.call(1, "tx.select")
    fill_blind(c, q, 3)
    c.call(1, "channel.close", reply_code=200)
    c.channel(1)
    c.call(1, "tx.select")
    fill_blind(c, q, 3)
    c.abort()
    time.sleep(0.1)
    equal(other.count(q), (0, 0), "queue")


@case("tx: an unroutable mandatory message is returned at the commit, before commit-ok")
def tx_return(t):
    c = client(t)
    c.call(1, "tx.select")
    c.publish(1, "nobody", "x", mandatory=True)
    c.send(1, "tx.commit")
    events = [c.recv(1), c.recv(1)]
    equal(sorted(event.name for event in events), ["basic.return", "tx.commit-ok"], "events")
    t.note(" then ".join(event.name for event in events))


@case("direct reply-to carries an answer straight to the asking channel")
def reply_to(t):
    asker, server = client(t), client(t)
    q = shared_queue(t, server)
    asker.consume("amq.rabbitmq.reply-to", no_ack=True, consumer_tag="answers")
    asker.publish(1, q, "question", reply_to="amq.rabbitmq.reply-to", correlation_id="7")
    question = server.get_soon(q)
    address = question.properties["reply_to"]
    check(address.startswith("amq.rabbitmq.reply-to.") and len(address) > 30, "got %r" % address)
    probe = server.call(1, "queue.declare", queue=address, passive=True)
    equal((probe.queue, probe.consumer_count), (address, 1), "probe")
    server.publish(1, address, "answer", correlation_id="7")
    answer = asker.expect(1, "basic.deliver")
    equal((answer.body, answer.consumer_tag, answer.exchange, answer.redelivered),
          (b"answer", "answers", "", False), "answer")
    equal(answer.properties["correlation_id"], "7", "correlation id")
    asker.close()
    time.sleep(0.05)
    server.publish(1, address, "too late")
    server.queue()


@case("100 channels of one connection work side by side")
def many_channels(t):
    c = client(t, channels=100)
    queues = {number: c.queue(number) for number in range(1, 101)}
    for number, q in queues.items():
        c.consume(q, channel=number, no_ack=True)
    for number in range(1, 101):
        c.publish(number, queues[101 - number], str(number))
    for number in range(1, 101):
        equal(c.expect(number, "basic.deliver").body.decode(), str(101 - number), "message")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Confirms and returns of many messages."""

from wire import case, check, client, equal, main, shared_queue


def confirmed(c, channel=1):
    """Put the channel in confirm mode."""
    c.call(channel, "confirm.select")


def wait_confirms(c, count, channel=1):
    """Read acks until tags 1..count are all confirmed; the acks."""
    left, acks = set(range(1, count + 1)), []
    while left:
        ack = c.expect(channel, "basic.ack")
        covered = {tag for tag in left if tag <= ack.delivery_tag} if ack.multiple \
            else {ack.delivery_tag}
        check(covered <= left and covered, "ack of nothing new: %r" % ack)
        left -= covered
        acks.append(ack)
    c.quiet(channel, 0.05)
    return acks


@case("every one of 50 unroutable mandatory messages is returned before its ack")
def returns_in_order(t):
    c, returned, acked = client(t), 0, 0
    confirmed(c)
    for number in range(1, 51):
        c.publish(1, "nobody", str(number), mandatory=True)
    while acked < 50:
        event = c.recv(1)
        if event.name == "basic.return":
            returned += 1
            equal(event.body.decode(), str(returned), "return")
        else:
            check(event.delivery_tag <= returned, "ack %d before its return" % event.delivery_tag)
            acked = event.delivery_tag if event.multiple else acked + 1


@case("each of 2,000 publishes is confirmed once, multiple or not")
def confirm_all(t):
    c = client(t)
    q = shared_queue(t, c)
    confirmed(c)
    for number in range(2000):
        c.publish(1, q if number % 3 else "nobody", "x", delivery_mode=number % 2 + 1)
    t.note("%d acks" % len(wait_confirms(c, 2000)))


@case("10,000 publishes of mixed priorities and modes are all confirmed, and come in the order of their priorities")
def confirm_priorities(t):
    c = client(t, channels=2)
    q = shared_queue(t, c, durable=True, arguments={"x-max-priority": 5})
    confirmed(c)
    for number in range(10000):
        c.publish(1, q, "%d" % number, priority=number * 7 % 8, delivery_mode=number % 3 // 2 + 1)
    wait_confirms(c, 10000)
    wanted = sorted(range(10000), key=lambda number: -min(number * 7 % 8, 5))
    c.call(2, "basic.consume", queue=q, consumer_tag="t", no_ack=True)
    got = [int(c.expect(2, "basic.deliver").body) for _ in wanted]
    equal(got == wanted, True, "highest first, and in order among those of one priority")


@case("each of 1,500 publishes to a full queue that is read gets one ack or one nack")
def confirm_refused(t):
    c = client(t, channels=2)
    q = shared_queue(t, c, durable=True, arguments={"x-max-length": 10,
                                                    "x-overflow": "reject-publish"})
    confirmed(c)
    said, got = {"basic.ack": set(), "basic.nack": set()}, 0
    for number in range(1, 1501):
        c.publish(1, q, "x")
        if number % 4 == 0:
            got += bool(c.get(q, channel=2))
    last = 0
    while len(said["basic.ack"]) + len(said["basic.nack"]) < 1500:
        event = c.recv(1, 10)
        check(event and event.name in said, "got %r" % event)
        known = said["basic.ack"] | said["basic.nack"]
        tags = [event.delivery_tag]
        if event.multiple:
            tags = [tag for tag in range(last + 1, event.delivery_tag + 1) if tag not in known]
            last = event.delivery_tag
        check(tags and not known.intersection(tags), "told twice: %r" % event)
        said[event.name].update(tags)
    check(said["basic.ack"] and said["basic.nack"], "acks and nacks")
    while c.get(q, channel=2):
        got += 1
    equal(len(said["basic.ack"]), got, "what was taken is there, and nothing else")


@case("a queue deleted under outstanding publishes leaves no confirm open")
def confirm_deleted(t):
    c = client(t, channels=2)
    q = shared_queue(t, c)
    confirmed(c)
    for _ in range(200):
        c.publish(1, q, "x", delivery_mode=2)
    c.send(2, "queue.delete", queue=q)
    left = 200
    while left:
        event = c.recv(1, 10)
        check(event.name in ("basic.ack", "basic.nack"), "got %r" % event)
        left = 200 - event.delivery_tag if event.multiple else left - 1


if __name__ == "__main__":
    main()

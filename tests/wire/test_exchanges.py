#!/usr/bin/python3
"""Which exchange routes what: tables of cases, against a rule that is written down here."""

import random
import time

from queues import bound, wait_ready
from wire import amqp, case, client, equal, exchange, main


VOID = None


HEADERS = (
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1, "b": "x"}, True),
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1, "b": "x", "c": 3}, True),
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1}, False),
    ({"x-match": "all", "a": 1, "b": "x"}, {"a": 1, "b": "y"}, False),
    ({"x-match": "all", "a": 1}, {"a": "1"}, False),
    ({"x-match": "all", "a": VOID}, {"a": "whatever"}, True),
    ({"x-match": "all", "a": VOID}, {"b": 1}, False),
    ({"x-match": "all"}, {}, True),
    ({"a": 1, "b": 2}, {"a": 1}, False),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
    ({"x-match": "all", "a": True}, {"a": True}, True),
    ({"x-match": "all", "a": True}, {"a": False}, False),
    ({"x-match": "any", "a": 1, "b": "x"}, {"a": 1}, True),
    ({"x-match": "any", "a": 1, "b": "x"}, {"a": 2, "b": "x"}, True),
    ({"x-match": "any", "a": 1, "b": "x"}, {"a": 2, "b": "y"}, False),
    ({"x-match": "any", "a": 1, "b": "x"}, {}, False),
    ({"x-match": "any"}, {"a": 1}, False),
    ({"x-match": "any", "a": VOID}, {"a": [1]}, True),
    ({"x-match": "all", "x-a": 1}, {}, True),
    ({"x-match": "all", "x-a": 1, "b": 1}, {"b": 1}, True),
    ({"x-match": "any", "x-a": 1}, {"x-a": 1}, False),
    ({"x-match": "all-with-x", "x-a": 1}, {}, False),
    ({"x-match": "all-with-x", "x-a": 1, "b": 1}, {"x-a": 1, "b": 1}, True),
    ({"x-match": "all-with-x", "x-a": 1, "b": 1}, {"b": 1}, False),
    ({"x-match": "any-with-x", "x-a": 1, "b": 1}, {"x-a": 1}, True),
    ({"x-match": "any-with-x", "x-a": 1, "b": 1}, {"x-a": 2}, False),
)


@case("headers exchange: all, any, all-with-x, any-with-x, presence, types")
def headers(t):
    c, wrong = client(t), []
    x = exchange(t, c, "headers")
    for arguments, given, match in HEADERS:
        q = bound(t, c, x, "", arguments)
        c.publish(1, "ignored", "x", exchange=x, headers=given)
        c.publish(1, q, "end")
        wait_ready(c, q, 1 + match)
        if c.count(q)[0] != 1 + match:
            wrong.append((arguments, given, match))
        c.call(1, "queue.delete", queue=q)
    equal(wrong, [], "wrong verdicts")
    q = bound(t, c, x, "", {"a": 1})
    c.publish(1, "", "no headers at all", exchange=x)
    c.publish(1, q, "end")
    equal(c.get_soon(q).body, b"end", "first message")


def matches(pattern, words):
    """The topic rule of the specification, word by word."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[at:]) for at in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])


def words_of(key):
    return key.split(".") if key else []


@case("topic exchange: 120 patterns, 200 keys, against a naive matcher")
def topic(t):
    c, dice = client(t), random.Random(7)
    x = exchange(t, c, "topic")
    patterns = ["", "#", "*", ".", "#.#", "*.#", "#.*", "a", "a.#", "#.a", "a.*.b", "a.#.b", "*.*",
                "#.a.#", "*.#.*", "a..b", "a.", ".a", "aa", "*.a.#", "a#", "a*", "**"]
    keys = ["", ".", "..", "a", "a.b", "a..b", "a.", ".a", "a.a.a.a", "aa", "b.a", "a.b.c.d.e.f.g",
            "a#", "a*", "**", "*", "#", "#.a"]
    while len(patterns) < 120:
        words = [dice.choice("aabbc*#") for _ in range(dice.randrange(1, 6))]
        if words.count("#") <= 2:
            patterns.append(".".join(words))
    while len(keys) < 200:
        keys.append(".".join(dice.choice("aabbc") for _ in range(dice.randrange(1, 8))))
    q = []
    for index, pattern in enumerate(patterns):
        q.append(bound(t, c, x, pattern))
        c.consume(q[-1], consumer_tag=str(index), no_ack=True)
    for index, key in enumerate(keys):
        c.publish(1, key, str(index), exchange=x)
    want = [(p, k) for p in range(len(patterns)) for k in range(len(keys))
            if matches(words_of(patterns[p]), words_of(keys[k]))]
    got = []
    try:
        while len(got) < len(want):
            event = c.expect(1, "basic.deliver")
            got.append((int(event.consumer_tag), int(event.body)))
    except amqp.Silence:
        pass
    missing = [(patterns[p], keys[k]) for p, k in sorted(set(want) - set(got))]
    extra = [(patterns[p], keys[k]) for p, k in sorted(set(got) - set(want))]
    equal((missing[:5], extra[:5]), ([], []), "missing and extra matches")
    c.quiet(1)
    equal(len(got), len(set(got)), "copies")
    for index in range(0, len(patterns), 2):
        c.call(1, "queue.unbind", queue=q[index], exchange=x, routing_key=patterns[index])
    c.publish(1, "a.b", "after", exchange=x)
    got = set()
    try:
        while True:
            got.add(int(c.expect(1, "basic.deliver", timeout=0.3).consumer_tag))
    except amqp.Silence:
        pass
    left = range(1, len(patterns), 2)
    equal(got, {p for p in left if matches(words_of(patterns[p]), ["a", "b"])},
          "after half were unbound")
    t.note("%d matches" % len(want))


@case("topic exchange: 127 words against patterns with two # are quick")
def topic_blowup(t):
    t.skip_on_oracle("RabbitMQ 3.10 takes minutes")
    c = client(t)
    x = exchange(t, c, "topic")
    q = bound(t, c, x, "#.b.#")
    for at in range(30):
        bound(t, c, x, "#.%s.#" % ".".join("a" * (at + 1)) + ".z")
    begin = time.monotonic()
    for _ in range(50):
        c.publish(1, ".".join("a" * 126) + ".b", "x", exchange=x)
    wait_ready(c, q, 50)
    took = time.monotonic() - begin
    t.note("50 messages took %.3f s" % took)


if __name__ == "__main__":
    main()

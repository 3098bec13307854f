"""What brokers of a cluster promised to their clients, and whether it was kept."""

import struct
import threading
import time

BODY = struct.Struct(">IQI")
# A broker takes the time once in a turn, and logs turns of 50 ms or more, but when there are many some of them later, if
# it is not killed before.
TURN_SECONDS, LOGGED_SECONDS, LONG_SECONDS = 0.06, 10, 0.5


class Sent:
    """A message: where it is to come to, and not before when. `unit`: what is there with it, or not at all; `line`:
    in order with others of it."""

    __slots__ = ("end", "way", "not_before", "unit", "line", "sent_at", "began", "is_confirmed", "is_seen", "is_acked")

    def __init__(self, end, way, not_before, unit):
        self.end, self.way, self.not_before, self.unit = end, way, not_before, unit
        self.line = None
        self.sent_at, self.began = time.time(), time.monotonic()
        self.is_confirmed = self.is_seen = self.is_acked = False


class Session:
    """A connection to one broker, of which it is known what was confirmed there, and since when."""

    def __init__(self, node, connection):
        self.node, self.connection = node, connection
        self.opened = time.monotonic()
        self.first_confirm = None
        self.rival = None  # when another broker had confirmed what was sent after this one's first confirm
        self.order = {}  # (line, queue): number of the last first delivery


class Wait:
    """Since a fault of that kind: for the first confirm, and the first delivery, of what was sent later."""

    def __init__(self, kind):
        self.kind, self.since, self.began = kind, time.monotonic(), time.time()
        self.confirm = self.delivery = None

    def is_over(self):
        return self.confirm is not None and self.delivery is not None


class Model:
    """All of it is under `lock`. `faults`: what was broken, and how often; `told`: the first ones in words."""

    KINDS = ("lost", "phantom", "not said to come again", "order", "returned", "torn", "misplaced", "damaged", "early",
             "names", "two at once")

    def __init__(self):
        self.lock = threading.Lock()
        self.sent, self.fresh, self.settled, self.last_seen = {}, set(), {}, {}
        self.unread = {}  # queue: how many messages may lie in connections that its consumer gave up
        self.sessions, self.names = [], []
        self.early = []  # key, and by how many seconds
        self.killed_at = []
        self.faults = dict.fromkeys(self.KINDS, 0)
        self.told = []
        self.met = {}
        self.waits, self.waiting = [], None
        self.confirmed = 0
        self.is_one = True  # clients are served by who leads alone

    def fault(self, kind, what):
        self.faults[kind] += 1
        if len(self.told) < 40:
            self.told.append("%s: %s" % (kind, what))

    def meet(self, what, count=1):
        with self.lock:
            self.met[what] = self.met.get(what, 0) + count

    # publishers

    def send(self, publisher, number, sent):
        size = number * 7919 % 500
        with self.lock:
            self.sent[publisher, number] = sent
        return BODY.pack(publisher, number, size) + bytes([number & 255]) * size

    def confirm(self, session, keys, sent_at):
        """The broker says that it has these, which were all sent at that time or later."""
        now = time.monotonic()
        with self.lock:
            for key in keys:
                sent = self.sent[key]
                sent.is_confirmed = True
                self.met[sent.way] = self.met.get(sent.way, 0) + 1
            self.confirmed += len(keys)
            self.see_confirm(session, sent_at, now)

    def see_confirm(self, session, sent_at, now):
        if self.waiting and self.waiting.confirm is None and sent_at > self.waiting.since:
            self.waiting.confirm = now - self.waiting.since
        if not self.is_one:
            return
        if session.first_confirm is None:
            session.first_confirm = now
        if session.rival is not None and sent_at > session.rival:
            self.fault("two at once", "broker %d confirms, and so did another one meanwhile" % session.node)
        for other in self.sessions:
            if other.node != session.node and other.rival is None and other.first_confirm is not None and \
                    sent_at > other.first_confirm:
                other.rival = now

    def wait_for(self, kind):
        """What is known of how long that took is kept when the next one begins."""
        with self.lock:
            self.waiting = Wait(kind)
            self.waits.append(self.waiting)

    # consumers

    def deliver(self, session, queue, event, is_alone):
        """A message that came; its key. `is_alone`: the queue has one consumer."""
        if len(event.body) < BODY.size:
            with self.lock:
                self.fault("damaged", "a body of %d bytes in %s" % (len(event.body), queue))
            return None
        publisher, number, size = BODY.unpack_from(event.body)
        key = publisher, number
        with self.lock:
            sent = self.sent.get(key)
            if not sent:
                self.fault("phantom", "%r in %s" % (key, queue))
                return None
            if event.body[BODY.size:] != bytes([number & 255]) * size:
                self.fault("damaged", "%r in %s" % (key, queue))
            if queue not in (sent.end, sent.way):
                self.fault("misplaced", "%r in %s, not %s" % (key, queue, sent.end))
            if self.waiting and self.waiting.delivery is None and sent.began > self.waiting.since:
                self.waiting.delivery = time.monotonic() - self.waiting.since
            self.look_at_times(session, queue, key, event.redelivered)
            if sent.way in ("plain", "tx"):
                self.look_at_order(session, queue, key, event.redelivered, is_alone)
            if queue == sent.end:
                early = sent.not_before - time.time()
                if not sent.is_seen and early > TURN_SECONDS:
                    self.early.append((key, early))
                sent.is_seen = True
        return key

    def look_at_times(self, session, queue, key, is_again):
        here = queue, key
        if here in self.settled and session.opened > self.settled[here]:
            self.fault("returned", "%r in %s, whose answer was confirmed" % (key, queue))
        if is_again:
            self.met["again"] = self.met.get("again", 0) + 1
        elif here in self.fresh:
            self.fault("not said to come again", "%r in %s, from broker %d" % (key, queue, session.node))
        else:
            self.fresh.add(here)

    def look_at_order(self, session, queue, key, is_again, is_alone):
        number = key[1]
        line = self.sent[key].line, queue
        if not is_again:
            if session.order.get(line, 0) >= number:
                self.fault("order", "%r in %s behind %d" % (key, queue, session.order[line]))
            session.order[line] = number
        if not is_alone:
            return
        if self.sent[key].is_seen:
            return
        if self.last_seen.get(line, 0) < number:
            self.last_seen[line] = number
        elif is_again and self.unread.get(queue, 0) > 0:
            self.unread[queue] -= 1
        else:
            self.fault("order", "%r in %s comes first behind %d" % (key, queue, self.last_seen[line]))

    def give_up(self, queue, count):
        """A consumer goes, and has perhaps not read what the broker gave it, up to `count` messages. The queue has them
        back when the broker knows that it went, which may be after the next consumer has come."""
        with self.lock:
            self.unread[queue] = self.unread.get(queue, 0) + count

    def answered(self, queue, key):
        with self.lock:
            if self.sent[key].end == queue:
                self.sent[key].is_acked = True

    def settle(self, session, queue, keys, sent_at):
        """What was answered before is answered for good, as a publish behind it was confirmed."""
        now = time.monotonic()
        with self.lock:
            for key in keys:
                self.settled[queue, key] = now
            self.see_confirm(session, sent_at, now)

    # the end

    def open(self, session):
        with self.lock:
            self.sessions.append(session)

    def close(self, session):
        with self.lock:
            if session in self.sessions:
                self.sessions.remove(session)

    def missing(self):
        with self.lock:
            return [key for key, sent in self.sent.items() if sent.is_confirmed and not sent.is_acked]

    def judge_times(self, turns):
        """`turns`: of each long turn when it ended, its seconds, and how many the log left out before it."""
        for key, early in self.early:
            sent = self.sent[key]
            if not any((end - seconds <= sent.sent_at <= end and early <= seconds) or
                       (unlogged and sent.sent_at <= end <= sent.sent_at + LOGGED_SECONDS)
                       for end, seconds, unlogged in turns) and \
                    not any(early < LONG_SECONDS and sent.sent_at <= killed <= sent.sent_at + LOGGED_SECONDS
                            for killed in self.killed_at):
                self.fault("early", "%r in %s, by %.3f s" % (key, sent.end, early))

    def judge(self):
        for key in self.missing():
            self.fault("lost", "%r, for %s by way of %s" % (key, self.sent[key].end, self.sent[key].way))
        units = {}
        for sent in self.sent.values():
            if sent.unit is not None:
                units.setdefault(sent.unit, set()).add(sent.is_seen)
        for unit, seen in units.items():
            if len(seen) > 1:
                self.fault("torn", "transaction %r" % (unit,))
        self.met["transactions"] = sum(seen == {True} for seen in units.values())

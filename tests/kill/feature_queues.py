"""The queues of tests/kill/features: what is drawn for each, and what its rules do to a message.

The rules are those of leveretd(8), told once more: which deaths come by themselves, where a dead letter goes, and
which letter goes nowhere because it would go round for ever.
"""

LONG_MS = 3600000  # a time that does not end while a trial runs
QUORUM_LIMIT, QUORUM_HIGHEST, QUORUM_DEFAULT = 20, 31, 4


class Queue:
    def __init__(self, index, kind, owner):
        self.name, self.index, self.kind, self.owner = "%s-%d" % (kind, index), index, kind, owner
        self.arguments = {}
        self.ttl_ms = self.max_length = self.max_bytes = self.delivery_limit = self.highest = None
        self.overflow = "drop-head"
        self.is_quorum = self.at_least_once = False
        self.retry, self.retry_min, self.retry_max, self.backoff = "disabled", 0, 0, "linear"
        self.targets = []

    @property
    def is_limited(self):
        return self.max_length is not None or self.max_bytes is not None

    @property
    def drops(self):
        return self.is_limited and self.overflow == "drop-head"

    @property
    def refuses(self):
        return self.is_limited and self.overflow != "drop-head"

    @property
    def passes_on(self):
        """What it refuses is a dead letter."""
        return self.refuses and self.overflow == "reject-publish-dlx" and bool(self.targets)

    @property
    def is_short_lived(self):
        return self.ttl_ms is not None and self.ttl_ms < LONG_MS

    @property
    def is_counted(self):
        """How many messages it has is known at any time: nothing comes or goes that its client does not know of."""
        return (self.kind == "plain" and self.max_bytes is None and not self.is_short_lived and
                self.retry == "disabled" and not self.at_least_once)

    @property
    def is_split(self):
        return len(self.targets) > 1

    def level(self, priority):
        """Of messages, as they are delivered, the highest first."""
        if self.is_quorum:
            return QUORUM_DEFAULT if priority is None else min(priority, QUORUM_HIGHEST)
        return min(priority or 0, self.highest or 0)

    def returns_too_often(self, count):
        return self.delivery_limit is not None and count > self.delivery_limit

    def delays(self, why):
        return self.retry == "all" or self.retry == why

    def least_delay_ms(self, count, asked_ms):
        if asked_ms is not None:
            return min(asked_ms, self.retry_max)
        if self.backoff == "linear":
            return min(self.retry_min * count, self.retry_max)
        full = min(self.retry_min << min(count - 1, 30), self.retry_max)
        return full - full // 2


# ---- what becomes of a message

def die(trail, queue, reason):
    """The deaths of a message, the latest first: ((queue, reason, count), ...)."""
    count = 1 + sum(item[2] for item in trail if item[:2] == (queue, reason))
    return ((queue, reason, count),) + tuple(item for item in trail if item[:2] != (queue, reason))


def letters(queue, trail, reason):
    """Where its dead letter goes, whose deaths are these; nowhere it has been since a client rejected it."""
    been = set()
    for item in trail:
        if reason == "rejected" or item[1] == "rejected":
            break
        been.add(item[0])
    return [target for target in queue.targets if target not in been]


def deaths_to_come(queue, trail, expiration_ms, has_arrived):
    """Reasons for which a message of this queue may leave it without a client."""
    if queue.is_short_lived or (expiration_ms is not None and not trail):
        yield "expired"
    if queue.drops or (queue.passes_on and not has_arrived):
        yield "maxlen"


def time_to_live_ms(queue, is_first, expiration_ms):
    """How long a message may lie there; None: for ever."""
    times = [queue.ttl_ms, expiration_ms if is_first else None]
    return min((time for time in times if time is not None), default=None)


# ---- drawing

class Plan:
    """All queues, and the exchanges between them: `fans` publish to several queues, `splits` are for letters to two."""

    def __init__(self, random, count, owners):
        self.random = random
        kinds = [("plain", 42), ("mixed", 42), ("narrow", 4), ("archive", 12)]
        self.queues, self.fans, self.splits = [], {}, {}
        for kind, share in kinds:
            for _ in range(max(2, count * share // 100)):
                index = len(self.queues)
                self.queues.append(Queue(index, kind, index % owners))
        self.of_kind = {kind: [queue for queue in self.queues if queue.kind == kind] for kind, _ in kinds}
        for queue in self.queues:
            self.draw_rules(queue)
        for queue in self.of_kind["plain"] + self.of_kind["mixed"]:
            self.draw_letters(queue)
        for queue in self.queues:
            queue.arguments = dict(arguments(queue), **queue.arguments)
        self.draw_fans(owners)
        self.by_name = {queue.name: queue for queue in self.queues}

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def draw_rules(self, queue):
        if queue.kind == "narrow":
            queue.max_length, queue.overflow = self.random.randint(2, 10), "reject-publish"
        if queue.kind in ("narrow", "archive"):
            return
        queue.is_quorum = self.chance(15)
        if queue.is_quorum:
            queue.delivery_limit = QUORUM_LIMIT
        elif self.chance(30):
            queue.highest = self.random.randint(1, 10)
        if self.chance(40):
            queue.ttl_ms = LONG_MS if self.chance(40) else self.random.randint(100, 3000)
        if self.chance(45):
            self.draw_limit(queue)
        if self.chance(35):
            queue.delivery_limit = self.random.randint(0, 3)
        if self.chance(25):
            self.draw_retry(queue)
        if self.chance(25):
            queue.arguments["x-expire-anywhere"] = True

    def draw_limit(self, queue):
        if self.chance(75):
            queue.max_length = self.random.randint(1, 20)
        else:
            queue.max_bytes = self.random.randint(500, 20000)
        queue.overflow = self.random.choice(("drop-head", "drop-head", "reject-publish", "reject-publish-dlx"))

    def draw_retry(self, queue):
        queue.retry = self.random.choice(("all", "failed", "returned"))
        queue.retry_min = self.random.randint(20, 300)
        queue.retry_max = queue.retry_min * self.random.randint(1, 5)
        queue.backoff = self.random.choice(("linear", "exponential"))

    def draw_letters(self, queue):
        if self.chance(10):
            return
        archives, narrow = self.of_kind["archive"], self.of_kind["narrow"]
        if queue.refuses and self.chance(40):
            queue.at_least_once = True
            queue.arguments["x-dead-letter-strategy"] = "at-least-once"
            queue.targets = [self.random.choice(narrow + archives[:len(narrow)])]
            if self.chance(30):
                queue.targets = [self.random.choice(narrow), self.random.choice(archives)]
        elif self.chance(15):
            queue.targets = self.random.sample(archives, 2)
        else:
            queue.targets = [self.random.choice(self.of_kind["mixed"] + archives + narrow)]
        if queue.is_split:
            self.splits["split-%d" % queue.index] = queue.targets
            queue.arguments["x-dead-letter-exchange"] = "split-%d" % queue.index
            return
        queue.arguments["x-dead-letter-exchange"] = self.random.choice(("", "names"))
        queue.arguments["x-dead-letter-routing-key"] = queue.targets[0].name

    def draw_fans(self, owners):
        for owner in range(owners):
            mine = [queue for queue in self.queues if queue.owner == owner and not queue.refuses]
            for number in range(max(1, len(mine) // 8)):
                size = min(len(mine), self.random.randint(2, 4))
                self.fans["fan-%d-%d" % (owner, number)] = self.random.sample(mine, size)


def arguments(queue):
    found = {"x-message-ttl": queue.ttl_ms, "x-max-length": queue.max_length, "x-max-length-bytes": queue.max_bytes,
             "x-max-priority": queue.highest}
    if queue.is_limited:
        found["x-overflow"] = queue.overflow
    if queue.is_quorum:
        found["x-queue-type"] = "quorum"
    if queue.delivery_limit is not None and not (queue.is_quorum and queue.delivery_limit == QUORUM_LIMIT):
        found["x-delivery-limit"] = queue.delivery_limit
    if queue.retry != "disabled":
        found.update({"x-delayed-retry-type": queue.retry, "x-delayed-retry-min": queue.retry_min,
                      "x-delayed-retry-max": queue.retry_max, "x-retry-backoff": queue.backoff})
    return {name: value for name, value in found.items() if value is not None}

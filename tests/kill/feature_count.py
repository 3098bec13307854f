"""How many messages of a queue are ready, and how many its limit has driven out, as far as is known.

Both are known exactly while the broker is up; a kill leaves bounds, until a count is told again.
"""

from feature_model import READ_MS


class Count:
    def __init__(self, queue):
        self.queue = queue
        self.limit = queue.max_length
        self.low = self.high = 0  # ready
        self.dropped_low = self.dropped_high = 0
        self.held = self.unsure = 0  # held by clients; answers that a kill may undo
        self.left_ms = []  # when messages were rejected: that may be undone for longer
        self.trace = [self.now()]  # since the last confirm

    def now(self):
        return self.low, self.high, self.dropped_low, self.dropped_high

    def note(self):
        self.trace.append(self.now())

    def put_low(self):
        if self.queue.drops and self.low == self.limit:
            self.dropped_low += 1
        else:
            self.low += 1

    def put_high(self):
        if self.queue.drops and self.high == self.limit:
            self.dropped_high += 1
        else:
            self.high += 1

    def publish(self, message):
        """Whether it must be taken; None: it is not known."""
        taken = True
        if self.queue.refuses:
            taken = True if self.high < self.limit else False if self.low >= self.limit else None
        if taken:
            self.put_low()
        if taken is not False:
            self.put_high()
        self.note()
        return taken

    def take(self):
        self.low, self.high = max(0, self.low - 1), max(0, self.high - 1)
        self.held += 1
        self.note()

    def answer(self, stays, left_ms=None):
        """By a client that held it."""
        self.held -= 1
        if left_ms:
            self.left_ms.append(left_ms)
        if stays:
            self.put_low()
            self.put_high()
        else:
            self.unsure += 1
        self.note()

    def is_now(self, ready):
        """What the broker says; what is wrong about it."""
        if not self.low <= ready <= self.high:
            return "%d messages are ready, and should be %d to %d" % (ready, self.low, self.high)
        self.low = self.high = ready
        self.note()
        return None

    def synced(self):
        self.unsure = 0
        self.trace = [self.now()]

    def crashed(self, now_ms):
        """What was held is back; what was not durable may be undone."""
        self.unsure += sum(now_ms < left_ms + READ_MS for left_ms in self.left_ms)
        self.left_ms = []
        lows, highs, dropped_lows, dropped_highs = zip(*self.trace)
        self.low, self.high = min(lows), max(highs)
        self.dropped_low, self.dropped_high = min(dropped_lows), max(dropped_highs)
        for _ in range(self.held):
            self.put_low()
        for _ in range(self.held + self.unsure):
            self.put_high()
        self.held = 0
        self.synced()

    def dropped(self, low, high):
        """How many were, as was seen."""
        if high < self.dropped_low or low > self.dropped_high:
            return "%d to %d messages made room, and should be %d to %d" % (
                low, high, self.dropped_low, self.dropped_high)
        return None

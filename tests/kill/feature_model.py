"""Where every message may be: the model of tests/kill/features.

A *token* is what one message is in one of the queues it was published to, with all that becomes of it: it is in one
place at a time. A *state* says where: (queue, deaths, times it came back there, has_arrived). What clients do moves a
token; what the broker does by itself (a message ends, or is beyond a limit) is found out when the token is seen again:
there must be a way by the rules from where it was to where it is. Only a kill leaves a token with several states: what
was done since the last confirm may have happened, or not. The state GONE is that of a message that was acknowledged,
or has come to an end that leaves nothing.
"""

from collections import Counter

from feature_queues import deaths_to_come, die, letters, time_to_live_ms

GONE = None
# What a client rejects or gives back may have to be read first, which no confirm waits for; a kill undoes it then.
READ_MS = 2000
ROUNDED_MS = 5  # by clocks, for each time that was counted
LATE_MS = 1000  # a turn of the broker on a busy machine, and a second to which times of deaths are rounded


class Message:
    __slots__ = ("number", "size", "priority", "expiration_ms", "retry_ms", "sent_ms", "confirmed_ms", "tokens")

    def __init__(self, number, size, priority, expiration_ms, retry_ms, sent_ms):
        self.number, self.size, self.priority, self.expiration_ms = number, size, priority, expiration_ms
        self.retry_ms, self.sent_ms, self.confirmed_ms, self.tokens = retry_ms, sent_ms, None, []


class Seen:
    """What a delivery says of its message: `place` is its queue, its deaths, and how often it came back."""
    __slots__ = ("number", "queue", "place", "entry", "first_reason", "died_ms", "is_redelivered")

    def __init__(self, number, queue, trail, count, is_redelivered):
        self.number, self.queue, self.place = number, queue, (queue, trail, count)
        self.is_redelivered = is_redelivered
        self.entry, self.first_reason, self.died_ms = queue, None, None


class Token:
    """`before` has the states that a crash may bring back; `in_doubt` one that may never have been."""
    __slots__ = ("message", "entry", "branch", "parent", "children", "states", "before", "held", "in_doubt", "is_new",
                 "not_before_ms", "delayed_count", "times_held", "held_in", "why_gone",
                 "left", "left_ms")

    def __init__(self, message, entry, state, branch=None, parent=None):
        self.message, self.entry, self.branch, self.parent, self.children = message, entry, branch, parent, []
        self.states, self.before = [state], []
        self.held = self.in_doubt = False
        self.is_new = True
        self.not_before_ms, self.times_held, self.held_in, self.why_gone = 0, 0, None, None
        self.left, self.left_ms, self.delayed_count = None, 0, None

    def key(self):
        return self.message.number, self.entry, self.branch


class Model:
    def __init__(self):
        self.messages, self.tokens = {}, {}
        self.unsynced, self.holding, self.leaving = set(), set(), set()
        self.counts = Counter()
        self.broken = []
        self.dropped = {}  # numbers of messages that a queue's limit drove out

    def breach(self, what, token, text=""):
        message = token.message if token else None
        told = "%s: message %s of %s, states %s %s" % (
            what, message and message.number, token and token.entry.name, token and told_states(token.states), text)
        self.broken.append(told)

    # what clients do

    def publish(self, message, queues):
        self.messages[message.number] = message
        for queue in queues:
            token = Token(message, queue, (queue, (), 0, False))
            self.add(token)
            message.tokens.append(token)

    def add(self, token):
        self.tokens[token.key()] = token
        self.unsynced.add(token)

    def confirmed(self, message, now_ms):
        message.confirmed_ms = now_ms
        self.counts["confirmed"] += 1
        for token in message.tokens:
            token.states = [(token.entry, (), 0, True)]

    def refused(self, message):
        """By the one queue that it was for."""
        token = message.tokens[0]
        self.counts["refused"] += 1
        if not token.entry.refuses:
            self.breach("refused without a limit", token)
        elif token.entry.passes_on:
            self.die(token, token.states[0], "maxlen")
            token.before, token.why_gone = [GONE], "refused"
        else:
            token.states, token.why_gone = [GONE], "refused"

    def settle(self, token, states):
        token.before += token.states
        token.states = states
        token.held = False
        self.holding.discard(token)
        self.unsynced.add(token)

    def acknowledge(self, token):
        self.counts["acknowledged"] += 1
        self.settle(token, [GONE])
        token.why_gone = "acknowledged"

    def reject(self, token, now_ms):
        self.leave(token, now_ms)
        self.die(token, token.states[0], "rejected")

    def leave(self, token, now_ms):
        token.left, token.left_ms = token.states[0], now_ms
        self.leaving.add(token)

    def give_back(self, token, why, now_ms):
        """False: it came back too often."""
        queue, trail, count, _ = token.states[0]
        self.counts["returned"] += 1
        if queue.returns_too_often(count + 1) or queue.delays(why):
            self.leave(token, now_ms)
        if queue.returns_too_often(count + 1):
            self.die(token, token.states[0], "delivery_limit")
            return False
        self.settle(token, [(queue, trail, count + 1, True)])
        if queue.delays(why):
            token.delayed_count = count + 1  # a kill undoes both or neither
            token.not_before_ms = now_ms + queue.least_delay_ms(count + 1, token.message.retry_ms)
        return True

    def die(self, token, state, reason):
        """It leaves its queue, and is where its letter goes. What a queue refused was never there to be kept."""
        queue, trail, _, _ = state
        after = die(trail, queue, reason)
        targets = letters(queue, after, reason)
        self.note_death(token, queue, reason)
        is_kept = queue.at_least_once and reason != "maxlen"
        is_refused = any(target.refuses and not (target.passes_on or is_kept) for target in targets)
        stays = [state] if is_kept and any(target.refuses for target in targets) else []
        token.why_gone = reason
        if queue.is_split:
            self.settle(token, [GONE] + stays)
            self.split(token, after, targets, bool(stays) or is_refused)
            token.why_gone = "letter refused" if is_refused else "split"
            return
        states = [(target, after, 0, False) for target in targets] + stays
        self.settle(token, states + [GONE] * (is_refused or not targets))

    def note_death(self, token, queue, reason):
        self.counts[reason] += 1
        if queue.at_least_once:
            self.counts["at-least-once"] += 1
        if reason == "maxlen":
            self.dropped.setdefault(queue, set()).add(token.message.number)

    def split(self, token, trail, targets, in_doubt=False):
        self.counts["split"] += 1
        token.why_gone = "split"
        token.children = [Token(token.message, token.entry, (target, trail, 0, False), target, token)
                          for target in targets]
        for child in token.children:
            child.in_doubt = in_doubt
            self.add(child)

    # what is seen

    def observe(self, seen, now_ms, asked_ms=None):
        """A delivery, as an answer to what was asked for at a time, or on the broker's own account; its token."""
        message = self.messages.get(seen.number)
        if not message:
            self.broken.append("invented: message %s in %s" % (seen.number, seen.queue.name))
            return None
        queue, trail, count = seen.place
        token, path = self.find(message, seen)
        if not token:
            return None
        if token.held:
            self.breach("with two clients at once", token, told_states([(queue, trail, count, True)]))
        if not path and count == token.delayed_count:
            self.counts["retried"] += 1
            if now_ms + ROUNDED_MS < token.not_before_ms:
                self.breach("too early for a retry", token, "by %d ms" % (token.not_before_ms - now_ms))
        token.delayed_count = None
        if token.held_in == (queue, trail) and not seen.is_redelivered:
            self.breach("not said to be redelivered", token)
        self.check_early(token, seen, now_ms)
        if asked_ms is not None:
            self.check_late(token, seen, asked_ms)
        self.is_there(token)
        self.settle(token, [(queue, trail, count, True)])
        token.held = True
        token.times_held += 1
        token.held_in = (queue, trail)
        self.holding.add(token)
        self.leaving.discard(token)
        return token

    def find(self, message, seen):
        """The token, and how it came here; it has been split if it came out of two."""
        _, trail, _ = seen.place
        branch = seen.queue if trail and trail[0][0].is_split else None
        token = self.tokens.get((message.number, seen.entry, branch))
        parent = self.tokens.get((message.number, seen.entry, None))
        for candidate in (token, branch and parent):
            path = candidate and self.way(candidate, seen.place)
            if path is None:
                continue
            for dead, reason in path:
                self.note_death(candidate, dead, reason)
            if candidate.branch is not branch:
                self.settle(candidate, [GONE])
                self.split(candidate, trail, trail[0][0].targets)
                candidate = self.tokens[message.number, seen.entry, branch]
            return candidate, path
        self.wrong_place(token or parent or message.tokens[0], seen)
        return None, None

    def wrong_place(self, token, seen):
        what = "seen again" if token.states == [GONE] else "in a wrong place"
        text = "seen in " + told_states([seen.place + (True,)])
        self.breach(what, token, text + (", was " + token.why_gone if token.why_gone else ""))

    @staticmethod
    def way(token, place):
        for state in token.states:
            path = None if state is GONE else reach(state, place, token.message.expiration_ms)
            if path is not None:
                return path
        return None

    def is_there(self, token):
        """Then what it came with is as well."""
        for other in token.message.tokens:
            other.in_doubt = False
        if token.parent:
            for other in token.parent.children:
                other.in_doubt = False
            self.settle(token.parent, [GONE])
        else:
            for child in token.children:
                self.tokens.pop(child.key(), None)
                self.unsynced.discard(child)
            token.children = []

    def check_early(self, token, seen, now_ms):
        """Of the times that it must have waited, the first may have been its own."""
        message, (queue, trail, _) = token.message, seen.place
        due_ms, times = message.sent_ms, 0
        for dead, reason, count in trail:
            if reason == "expired":
                due_ms += (dead.ttl_ms or 0) * count
                times += count
        if seen.first_reason == "expired":
            first_ms = time_to_live_ms(seen.entry, True, message.expiration_ms)
            due_ms += first_ms - (seen.entry.ttl_ms or 0)
        if times and now_ms + ROUNDED_MS * times < due_ms:
            self.breach("ended too early", token, "by %d ms, and is in %s" % (due_ms - now_ms, queue.name))

    def check_late(self, token, seen, asked_ms):
        message, (queue, trail, _) = token.message, seen.place
        came_ms = seen.died_ms if trail else message.confirmed_ms
        lives_ms = time_to_live_ms(queue, not trail, message.expiration_ms)
        if came_ms is None or lives_ms is None:
            return
        if came_ms + lives_ms + LATE_MS < asked_ms:
            self.breach("delivered after its end", token,
                        "by %d ms, in %s" % (asked_ms - came_ms - lives_ms, queue.name))
        self.counts["in time"] += 1

    # what kills do

    def synced(self):
        for token in self.unsynced:
            token.before = []
            token.is_new = False
        self.unsynced.clear()

    def crashed(self, now_ms):
        """What was not yet durable may have been undone; nobody holds anything."""
        for token in self.leaving:
            if now_ms < token.left_ms + READ_MS:
                token.before.append(token.left)
                self.unsynced.add(token)
                self.unsynced.update(token.children)
                for child in token.children:
                    child.is_new = True
        self.leaving.clear()
        for token in self.unsynced:
            token.states = unique(token.states + token.before)
            token.before = []
            token.held_in = None
            if token.is_new and (token.parent or token.message.confirmed_ms is None):
                token.in_doubt = True
            token.is_new = False
        for token in self.unsynced:
            for child in token.children if token.states != [GONE] else ():
                child.in_doubt = True
        self.unsynced.clear()
        for token in self.holding:
            token.held = False
        self.holding.clear()

    def in_the_air(self, message):
        """At a kill: neither confirmed nor refused."""
        self.counts["unconfirmed"] += 1
        for token in message.tokens:
            queue = token.entry
            token.in_doubt = True
            if queue.passes_on:
                after = die((), queue, "maxlen")
                token.states += [(target, after, 0, False) for target in letters(queue, after, "maxlen")]

    # the end

    def verdicts(self):
        """Of all that is not with its client: by which rule it is gone, or lost."""
        for token in list(self.tokens.values()):
            self.counts["verified"] += 1
            if self.is_lost(token):
                self.breach("lost", token, token.why_gone or "")

    def is_lost(self, token):
        reasons = set()
        for state in token.states:
            reasons |= ends_unseen(state, token.message.expiration_ms) if state else set()
        seen = [child for child in token.children if not child.in_doubt or GONE in child.states]
        if token.why_gone == "split" and not seen:
            self.counts["gone: perhaps, in two"] += bool(reasons)
            return not reasons
        if GONE in token.states:
            is_sure = token.states == [GONE]
            self.counts["gone: as its client knows" if is_sure else "gone: perhaps, after a kill"] += 1
        elif token.in_doubt:
            self.counts["gone: never confirmed, or perhaps never there"] += 1
        else:
            self.counts["gone: " + " or ".join(sorted(reasons))] += 1
            return not reasons
        return False


def unique(states):
    kept = []
    for state in states:
        if state not in kept:
            kept.append(state)
    return kept


def told_states(states):
    return " | ".join("gone" if state is GONE else "%s%s returned %d" % (
        state[0].name, "".join(" <- %s %s %d" % (queue.name, reason, count) for queue, reason, count in state[1]),
        state[2]) for state in states)


def reach(state, goal, expiration_ms):
    """The deaths that lead from a state to what was seen: [(queue, reason), ...]; None: there is no way."""
    queue, trail, count, has_arrived = state
    if queue is goal[0] and trail == goal[1]:
        return [] if count == goal[2] else None
    if sum(item[2] for item in trail) >= sum(item[2] for item in goal[1]):
        return None
    for reason in deaths_to_come(queue, trail, expiration_ms, has_arrived):
        after = die(trail, queue, reason)
        for target in letters(queue, after, reason):
            rest = reach((target, after, 0, False), goal, expiration_ms)
            if rest is not None:
                return [(queue, reason)] + rest
    return None


def ends_unseen(state, expiration_ms):
    """By which rules a message may leave nothing behind."""
    queue, trail, _, has_arrived = state
    reasons = set()
    for reason in deaths_to_come(queue, trail, expiration_ms, has_arrived):
        after = die(trail, queue, reason)
        targets = letters(queue, after, reason)
        if not targets:
            reasons.add(reason + (", would go round" if queue.targets else ", and no letter"))
        for target in targets:
            keeps = queue.at_least_once and reason != "maxlen"
            if target.refuses and not target.passes_on and not keeps:
                reasons.add("letter refused")
            reasons |= ends_unseen((target, after, 0, False), expiration_ms)
    return reasons

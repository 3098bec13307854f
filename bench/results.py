"""Medians and spreads of the rounds, as Markdown and as JSON."""

import json
import statistics

from brokers import Floor

SATURATED = "†"
LIMITED = ("rate", "p50", "p99")  # figures that mean less when the generator was the limit


def summary(record, figure):
    """(median, least, most) of one figure over the rounds of a broker, or None."""
    values = [figures[figure] for figures in record["rounds"] if figure in figures]
    return (statistics.median(values), min(values), max(values)) if values else None


def is_saturated(record):
    return any(figures.get("saturated") for figures in record["rounds"])


def value_text(value, unit):
    """Three digits that mean something."""
    if unit == "/s":
        if value >= 1e6:
            return "%.3g M" % (value / 1e6)
        if value >= 1e4:
            return "%.3g k" % (value / 1e3)
        return "{:,.0f}".format(value)
    if value >= 1000:
        return "{:,.0f}".format(value)
    return "%.3g" % value


def times_text(ratio):
    return ("%.0f ×" if ratio >= 9.95 else "%.1f ×" if ratio >= 1.95 else "%.2f ×") % ratio


class Results:
    def __init__(self, bench, machine, quick):
        self.bench, self.machine, self.quick = bench, machine, quick
        self.brokers = [broker for broker in bench.brokers if not isinstance(broker, Floor)]
        self.floor = next((broker for broker in bench.brokers if isinstance(broker, Floor)), None)
        self.rows = bench.rows

    def record(self, row, broker):
        return self.bench.records[row.name][broker.name]

    def median(self, row, figure, broker):
        found = summary(self.record(row, broker), figure.name)
        return found[0] if found else None

    def target(self, figure):
        return figure.target(self.machine) if callable(figure.target) else figure.target

    def is_measured(self, row):
        """Rows that no broker can do (TLS without TLS) are left out."""
        return any(self.record(row, broker)["rounds"] or self.record(row, broker)["invalid"]
                   for broker in self.brokers)

    # -- Markdown --

    def cell(self, row, figure, broker):
        record = self.record(row, broker)
        if record["invalid"]:
            return "**INVALID**"
        found = summary(record, figure.name)
        if not found:
            return "–"
        middle, least, most = (value_text(value, figure.unit) for value in found)
        mark = " " + SATURATED if figure.name in LIMITED and is_saturated(record) else ""
        if len(record["rounds"]) == 1:
            return middle + mark
        return "%s%s (%s–%s)" % (middle, mark, least, most)

    def target_cells(self, row, figure):
        """What is wanted, and whether it was reached."""
        target = self.target(figure)
        if target is None:
            return ["", ""]
        median = self.median(row, figure, self.brokers[0])
        if median is None or self.record(row, self.brokers[0])["invalid"]:
            return [value_text(target, figure.unit), ""]
        reached = median >= target if figure.more else median <= target
        share = median / target if figure.more else target / median
        return [value_text(target, figure.unit),
                "yes" if reached else "%.0f %%" % (share * 100)]

    def ratio(self, row, figure, other):
        """How many times better Leveret is; None when that cannot be told."""
        records = [self.record(row, broker) for broker in (self.brokers[0], other)]
        own, its = (self.median(row, figure, broker) for broker in (self.brokers[0], other))
        if not own or not its or any(record["invalid"] for record in records):
            return None
        return own / its if figure.more else its / own

    def ratio_cell(self, row, figure, rival):
        ratio = self.ratio(row, figure, rival)
        return times_text(ratio) if ratio else ""

    def floor_cells(self, row, figure):
        """What was possible, and how many times that Leveret costs."""
        if not self.floor:
            return []
        better = self.ratio(row, figure, self.floor)
        return [self.cell(row, figure, self.floor), times_text(1 / better) if better else ""]

    def table(self):
        first, rivals = self.brokers[0], self.brokers[1:]
        head = ["load", "figure", first.name]
        head += ["floor", "× floor"] if self.floor else []
        head += ["target", "reached"]
        for rival in rivals:
            head += [rival.name, "better by"]
        yield "| %s |" % " | ".join(head)
        yield "|" + " --- |" * 2 + " ---: |" * (len(head) - 2)
        for row in self.rows:
            if not self.is_measured(row):
                continue
            title = row.title
            for figure in row.figures:
                cells = [title, figure.label, self.cell(row, figure, first),
                         *self.floor_cells(row, figure), *self.target_cells(row, figure)]
                for rival in rivals:
                    cells += [self.cell(row, figure, rival), self.ratio_cell(row, figure, rival)]
                yield "| %s |" % " | ".join(cells)
                title = ""

    def markdown(self):
        lines = []
        if self.quick:
            lines += ["A quick run with small counts: these figures mean nothing.", ""]
        lines += list(self.table())
        lines += ["", "One round." if self.bench.rounds == 1 else
                  "Medians of %d rounds, in brackets the least and the most of them." %
                  self.bench.rounds]
        if any(is_saturated(self.record(row, broker)) for row in self.rows
               for broker in self.bench.brokers):
            lines += ["%s: in at least one round the load generator was the limit and not the "
                      "broker: it can do better." % SATURATED]
        problems = list(self.bench.problems())
        if problems:
            lines += ["", "**Not valid:**", ""]
            lines += ["- %s, %s: %s" % problem for problem in problems]
        lines += ["", "| machine | |", "| --- | --- |"]
        lines += ["| %s | %s |" % line for line in self.machine.lines()]
        lines += ["| %s | %s |" % (broker.name, broker.version) for broker in self.bench.brokers]
        return "\n".join(lines) + "\n"

    # -- JSON --

    def json(self):
        return json.dumps({
            "machine": dict(self.machine.lines()),
            "quick": self.quick,
            "rounds": self.bench.rounds,
            "valid": not list(self.bench.problems()),
            "brokers": {broker.name: broker.version for broker in self.bench.brokers},
            "rows": [{"name": row.name, "title": row.title,
                      "figures": {figure.name: {"label": figure.label, "unit": figure.unit,
                                                "more_is_better": figure.more,
                                                "target": self.target(figure)}
                                  for figure in row.figures},
                      "brokers": self.bench.records[row.name]}
                     for row in self.rows if self.is_measured(row)],
        }, indent=1, ensure_ascii=False) + "\n"

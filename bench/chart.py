"""Charts as SVG: bars for the rows of the table, curves for how costs grow.

The background is the reader's: all colours are legible on white and on black, and follow a dark
theme where the reader's program says that it has one. Axes are logarithmic: brokers differ by two
orders of magnitude.
"""

import math
from html import escape

from results import value_text

WIDTH = 860
LABEL_WIDTH, VALUE_WIDTH = 330, 110
BAR, BAR_GAP, GROUP_GAP, PANEL_GAP = 11, 2, 9, 30

COLOURS = ("#2f7fd6", "#e08a1e", "#3c9d50", "#a65bd0", "#d0453a", "#1a9c9c", "#8a7a2a", "#c4528e")
TEXT, TARGET = "#6b727b", "#d0453a"

STYLE = """<style>
text { font: 12px system-ui, sans-serif; }
.title { font-size: 14px; font-weight: 600; }
.small { font-size: 11px; }
@media (prefers-color-scheme: light) { text { fill: #3f444b; } }
@media (prefers-color-scheme: dark) { text { fill: #c3c9d1; } }
</style>"""

LINES = {"grid": 'stroke="#888888" stroke-opacity="0.35"', "axis": 'stroke="#888888"',
         "target": 'stroke="%s" stroke-width="2"' % TARGET}


class Drawing:
    def __init__(self):
        self.parts, self.height = [], 0

    def text(self, x, y, text, anchor="start", kind=""):
        size = {"title": 14, "small": 11}.get(kind, 12)
        self.parts.append(
            '<text x="%.1f" y="%.1f" text-anchor="%s" font-family="sans-serif" font-size="%d" '
            'fill="%s"%s>%s</text>' % (x, y, anchor, size, TEXT,
                                       ' class="%s"' % kind if kind else "", escape(text)))

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>' % (
            x1, y1, x2, y2, LINES[kind]))

    def bar(self, x, y, width, height, series):
        self.parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5" fill="%s"/>'
                          % (x, y, width, height, colour(series)))

    def curve(self, places, series):
        self.parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (
            " ".join("%.1f,%.1f" % place for place in places), colour(series)))
        for place in places:
            self.parts.append('<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>' %
                              (*place, colour(series)))

    def svg(self, title):
        return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" '
                'height="%d" role="img">\n<title>%s</title>\n%s\n%s\n</svg>\n' %
                (WIDTH, self.height, WIDTH, self.height, escape(title), STYLE,
                 "\n".join(self.parts)))


def colour(series):
    return COLOURS[series % len(COLOURS)]


class Scale:
    """A logarithmic axis from the decade below the least value to the one above the most."""

    def __init__(self, values, start, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.start, self.end = start, end

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0), 1) * (self.end - self.start)

    def decades(self):
        return [10.0 ** power for power in range(self.low, self.high + 1)]


# ---- bars ----

class Bar:
    def __init__(self, series, value, text):
        self.series, self.value, self.text = series, value, text


# The title of each panel, the unit of its axis, and the figures that it shows.
PANELS = (("Messages a second: more is better", "/s", ("rate",)),
          ("The broker's processor time for a message, µs: less is better", "µs", ("cpu",)),
          ("Latency, ms: less is better", "ms", ("p50", "p99")),
          ("Memory: less is better", "MiB", ("memory",)),
          ("Time, s: less is better", "s", ("time",)))

# What one of these is in the unit of its axis. KiB are for one of many, MiB for all: the same axis
# has both, and the labels say which.
IN_AXIS_UNITS = {"ms": {"time": 0.001}}


def panels(results):
    """(title, unit, [(label, target, bars)]): figures that can be compared on one axis."""
    for title, unit, names in PANELS:
        groups = []
        for row in results.rows:
            for figure in row.figures:
                if figure.name not in names:
                    continue
                factor = IN_AXIS_UNITS.get(figure.unit, {}).get(figure.name, 1)
                bars_of_row = list(bars_of(results, row, figure, factor))
                target = results.target(figure)
                if bars_of_row:
                    groups.append((label_of(row, figure), target and target * factor, bars_of_row))
        if groups:
            yield title, unit, groups


def label_of(row, figure):
    return row.title + (", " + figure.name if figure.name in ("p50", "p99") else "")


def bars_of(results, row, figure, factor):
    for series, broker in enumerate(results.brokers):
        value = results.median(row, figure, broker)
        if value and value > 0 and not results.record(row, broker)["invalid"]:
            text = results.cell(row, figure, broker).split(" (")[0]
            unit = " " + figure.unit if figure.name in ("memory", "time") else ""
            yield Bar(series, value * factor, text + unit)


def bars(results):
    drawing, y = Drawing(), 24
    x = 8
    for series, broker in enumerate(results.brokers):
        drawing.bar(x, y - 10, 12, 12, series)
        drawing.text(x + 18, y, "%s %s" % (broker.name, broker.version.split(" ")[0]))
        x += 40 + 8 * len(broker.name + broker.version.split(" ")[0])
    drawing.line(x, y - 10, x, y + 2, "target")
    drawing.text(x + 8, y, "target")
    drawing.text(WIDTH - 8, y, results.machine.cpu + ", %d cores" % results.machine.cores, "end",
                 "small")
    y += 18
    for title, unit, groups in panels(results):
        y = bar_panel(drawing, y + PANEL_GAP, title, unit, groups)
    if results.quick:
        drawing.text(8, y + 16, "A quick run with small counts: these figures mean nothing.")
        y += 20
    drawing.height = y + 12
    return drawing.svg("Leveret beside other brokers")


def bar_panel(drawing, y, title, unit, groups):
    drawing.text(8, y, title, kind="title")
    values = [bar.value for _, _, group in groups for bar in group]
    values += [target for _, target, _ in groups if target]
    scale = Scale(values, LABEL_WIDTH, WIDTH - VALUE_WIDTH)
    y += 14
    top, height = y, sum(group_height(group) for _, _, group in groups)
    for decade in scale.decades():
        drawing.line(scale.at(decade), top, scale.at(decade), top + height, "grid")
        drawing.text(scale.at(decade), top + height + 13, value_text(decade, unit), "middle",
                     "small")
    for label, target, group in groups:
        middle = y + (group_height(group) - GROUP_GAP) / 2
        drawing.text(LABEL_WIDTH - 8, middle + 4, shorten(label), "end", "small")
        begin = y
        for bar in group:
            drawing.bar(LABEL_WIDTH, y, max(scale.at(bar.value) - LABEL_WIDTH, 2), BAR, bar.series)
            x = scale.at(bar.value) + 5
            if target and y == begin and x - 7 < scale.at(target) < x + 6.5 * len(bar.text):
                x = scale.at(target) + 5
            drawing.text(x, y + BAR - 2, bar.text, kind="small")
            y += BAR + BAR_GAP
        if target:
            drawing.line(scale.at(target), begin - 2, scale.at(target), begin + BAR + 2, "target")
        y += GROUP_GAP
    return y + 16


def group_height(group):
    return len(group) * (BAR + BAR_GAP) + GROUP_GAP


def shorten(label, size=52):
    return label if len(label) <= size else label[:size - 1] + "…"


# ---- curves ----

PLOT_TOP, PLOT_HEIGHT = 60, 340


def curves(scale, machine):
    """Processor time for a message over how many there are of something."""
    drawing = Drawing()
    drawing.text(8, 22, "The broker's processor time for a message, µs, as things grow in number",
                 kind="title")
    drawing.text(8, 40, "16 B, transient; %s, %d cores; medians of %d" %
                 (machine.cpu, machine.cores, scale.repeats), kind="small")
    points = [point for curve in scale.curves for point in curve.points if point.cpu > 0]
    if not points:
        drawing.height = 60
        return drawing.svg("How costs grow")
    across = Scale([max(point.number, 1) for point in points], 56, WIDTH - 28)
    up = Scale([point.cpu for point in points], PLOT_TOP + PLOT_HEIGHT, PLOT_TOP)
    draw_axes(drawing, across, up)
    y = PLOT_TOP + PLOT_HEIGHT + 44
    for series, curve in enumerate(scale.curves):
        places = [(across.at(max(point.number, 1)), up.at(point.cpu)) for point in curve.points
                  if point.cpu > 0]
        drawing.curve(places, series)
        x = 16 + (WIDTH // 2) * (series % 2)
        drawing.bar(x, y - 9, 14, 10, series)
        drawing.text(x + 20, y, curve.title)
        y += 20 if series % 2 else 0
    drawing.height = y + 30
    return drawing.svg("How costs grow")


def draw_axes(drawing, across, up):
    for decade in across.decades():
        drawing.line(across.at(decade), PLOT_TOP, across.at(decade), PLOT_TOP + PLOT_HEIGHT, "grid")
        drawing.text(across.at(decade), PLOT_TOP + PLOT_HEIGHT + 16, value_text(decade, "/s"),
                     "middle", "small")
    for decade in up.decades():
        drawing.line(across.start, up.at(decade), across.end, up.at(decade), "axis")
        drawing.text(across.start - 6, up.at(decade) + 4, "%g" % decade, "end", "small")
        for part in range(2, 10):
            value = decade * part
            if value < 10 ** up.high:
                drawing.line(across.start, up.at(value), across.end, up.at(value), "grid")
                if part in (2, 5):
                    drawing.text(across.start - 6, up.at(value) + 4, "%g" % value, "end", "small")

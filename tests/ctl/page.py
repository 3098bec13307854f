#!/usr/bin/python3
"""leveretctl(8) has each verb, each column's list and each option, in the words of the program's help.

--print, --findings and --print-admin print what the page should have between its marks. Output is TAP.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "interop"))

from tap import case, check, equal, main  # noqa: E402

PROGRAM = os.path.join(os.environ.get("top_builddir", "."), "leveretctl")
PAGE = os.path.join(HERE, "..", "..", "man", "leveretctl.8")
FINDINGS = '.\\" The findings: from tests/ctl/page.py --findings.\n', '.\\" The findings end here.\n'
BEGIN, END = '.\\" The verbs: from tests/ctl/page.py --print.\n', '.\\" The verbs end here.\n'
ADMIN_BEGIN = '.\\" The subcommands: from tests/ctl/page.py --print-admin.\n'
ADMIN_END = '.\\" The subcommands end here.\n'


def ask(*words):
    return subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, text=True, check=True).stdout


def verbs():
    """Groups and their verbs, as help has them: [(title, [name])]."""
    groups = []
    for line in ask("help").split("\n"):
        if re.fullmatch(r"[A-Z].*:", line) and line != "Available commands:":
            groups.append((line[:-1], []))
        elif re.match(r"   [a-z_]+ ", line):
            groups[-1][1].append(line.split()[0])
    return groups


def word_of(word):
    """A word of a syntax in mdoc."""
    if word.startswith("--"):
        return "Fl -" + word[2:]
    if word.startswith("-"):
        return "Fl " + word[1:]
    if word.startswith("<") and "|" in word:
        return "Cm " + word.strip("<>").replace("|", " | ")
    if word.startswith("<"):
        return "Ar " + word.strip("<>")
    return word if word in ("...", "|") else "Cm " + word


def words_of(syntax):
    """The syntax of a verb in mdoc. Its Op would last to the end of the line; Oo ends where it says."""
    for part in re.findall(r"\[[^\]]*\]|\S+", syntax):
        inside = re.findall(r"<[^>]*>|[^ ,|]+|\|", part.strip("[]"))
        text = " ".join(word_of(word) for word in inside)
        yield "Oo %s Oc" % text if part.startswith("[") else text


def help_of(name):
    """Syntax, text and columns of a verb."""
    lines = ask("help", name).split("\n")
    syntax = lines[3].removeprefix("leveretctl " + name).strip()
    columns = []
    if "Columns" in lines:
        at = lines.index("Columns") + 2
        while lines[at].startswith("  "):
            columns.append(lines[at].strip())
            at += 1
    return syntax, lines[5], columns


def entry(name):
    syntax, text, columns = help_of(name)
    yield ".It Cm %s%s" % (name, "".join(" " + word for word in words_of(syntax)))
    yield from re.split(r"(?<=[.]) ", text)
    if columns:
        yield "Columns:"
        for column in columns[:-1]:
            yield ".Cm %s ," % column
        yield ".Cm %s ." % columns[-1]


def section():
    lines = []
    for title, names in verbs():
        lines += [".Ss %s" % title, ".Bl -tag -width Ds"]
        for name in names:
            lines += entry(name)
        lines.append(".El")
    return "\n".join(lines) + "\n"


def findings():
    """What doctor looks for, as help has it."""
    lines = [".Bl -tag -width Ds"]
    for one in json.loads(ask("doctor", "--list", "-o", "json")):
        lines += [".It Sy %s Pq %s" % (one["code"], one["severity"])]
        for text in (one["what"], one["why"], one["next"]):
            lines += [line.replace("'.*'", "\\(aq.*\\(aq") for line in re.split(r"(?<=[.]) (?=[A-Z])", text)]
    return "\n".join(lines + [".El"]) + "\n"


def subcommands():
    """What rabbitmqadmin can do, as its help has it."""
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "rabbitmqadmin")
        os.symlink(os.path.abspath(PROGRAM), path)
        text = subprocess.run([path, "help", "subcommands"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return "".join(line.strip() + "\n" for line in text.split("\n") if re.match(r"  [a-z]+ .*(=\.\.\.|<.*>)", line))


def page():
    with open(PAGE) as file:
        return file.read()


@case("leveretctl(8) has the verbs of the program")
def _(_t):
    check(len(verbs()) > 10, "the help has no verbs")
    text = page()
    got = text[text.index(BEGIN) + len(BEGIN):text.index(END)]
    equal(got.split("\n"), section().split("\n"), "list of verbs")


@case("leveretctl(8) has what doctor looks for")
def _(_t):
    text = page()
    got = text[text.index(FINDINGS[0]) + len(FINDINGS[0]):text.index(FINDINGS[1])]
    equal(got.split("\n"), findings().split("\n"), "list of findings")


@case("leveretctl(8) has what rabbitmqadmin can do")
def _(_t):
    text = page()
    got = text[text.index(ADMIN_BEGIN) + len(ADMIN_BEGIN):text.index(ADMIN_END)]
    check(len(got) > 1000, "there is hardly anything")
    equal(got.split("\n"), subcommands().split("\n"), "subcommands")


@case("leveretctl(8) has the options that all verbs have")
def _(_t):
    text = ask("help", "ping")
    names = re.findall(r"^  .{4}--([a-z-]+)", text, re.M)
    check(len(names) > 10, "the help has no options")
    for name in names:
        check(re.search(r"^\.It (Fl \S+ , )?Fl -%s\b" % name, page(), re.M), "--%s is missing" % name)


if __name__ == "__main__":
    if "--print-admin" in sys.argv:
        sys.stdout.write(subcommands())
    elif "--print" in sys.argv:
        sys.stdout.write(section())
    elif "--findings" in sys.argv:
        sys.stdout.write(findings())
    else:
        main()

"""Nothing that a terminal obeys comes out of the texts of data, models and servers."""

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rmr1
from rmr1.judging.votes import combine
from rmr1.records import Message, PreferencePair
from rmr1.report.console import print_judgment, print_summary
from rmr1.report.progress import TerminalProgress
from rmr1.report.tables import Table, print_tables
from rmr1.report.terminal import printable, printable_json
from tests.support.completions import completion

HOSTILE = (
    "\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f",
    "safe\rrmr1: all is well",
    "\u202egnp.exe\u2066\u200f\u061c",
    "[red]x[/red] [link=https://evil.example]y[/link] [/bold] \\\\\\",
    ":skull: :warning:",
    "\ud800 lone",
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SEQUENCE = re.compile("\x1b\\[[0-9;?]*[a-zA-Z]|\r")


class Terminal(io.StringIO):
    """A stream that says it is a terminal; what rich itself styles and moves is left out of what it holds."""

    def isatty(self):
        return True

    @property
    def text(self):
        return SEQUENCE.sub("", self.getvalue())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\r\nb\tc\rd", "a\nb\tc\\rd".replace("\\r", "\\x0d")),
        ("\x9b1m \u202e \ud800", "\\x9b1m \\u202e \\ud800"),
        ("Grüße 你好 👨\u200d👩 שלום", "Grüße 你好 👨\u200d👩 שלום"),
    ],
)
def test_control_characters_are_shown(text, shown):
    assert printable(text) == shown


@given(st.text() | st.text(st.characters()))
def test_nothing_that_is_obeyed_is_left(text):
    assert not OBEYED.search(printable(text))
    printable(text).encode()
    assert printable(printable(text)) == printable(text)
    assert json.loads(printable_json(json.dumps([text], ensure_ascii=False))) == [text]
    assert not OBEYED.search(printable_json(json.dumps([text], ensure_ascii=False)))


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_prints_prints_texts_as_they_are(hostile, make):
    stream = make()
    message = (Message("user", hostile),)
    pair = PreferencePair(hostile, (*message, Message("assistant", hostile)), message, message)
    print_judgment(stream, pair, combine([completion(hostile)], "default"))
    print_summary(stream, [(hostile, hostile)], {})
    print_tables(stream, iter([Table(hostile, (hostile,), ((hostile,),))]))
    with TerminalProgress(hostile, stream) as progress:
        progress.say(hostile)
    text = stream.text if isinstance(stream, Terminal) else stream.getvalue()
    assert not OBEYED.search(text)
    shown = printable(hostile)
    assert text.count(shown.split(" ", 1)[0]) >= 5
    for word in shown.split():
        assert word in text


def test_there_is_no_other_way_to_a_console():
    package = Path(rmr1.__file__).parent
    makers = {path.name for path in package.rglob("*.py") if "rich.console" in path.read_text(encoding="utf-8")}
    echoes = {path.name for path in package.rglob("*.py") if "typer.echo(" in path.read_text(encoding="utf-8")}
    assert makers == {"terminal.py"}
    assert echoes == {"main.py", "streams.py"}, "use rmr1.cli.streams.tell"

"""A pair of the user's own: typed at a terminal, or piped in."""

from __future__ import annotations

import sys

import typer

from rmr1.cli.stdin import spooled
from rmr1.data import load_pairs
from rmr1.errors import DataError
from rmr1.records import Message, PreferencePair


def own_pair() -> PreferencePair | None:
    """Ask at a terminal for a prompt and two responses; elsewhere read the first pair of standard input.

    Returns:
        The pair, or None where the user gave none.
    """
    return _typed() if sys.stdin.isatty() else _piped()


def _typed() -> PreferencePair | None:
    typer.echo("Now a pair of your own (an empty line to leave).", err=True)
    texts = []
    for name in ("prompt", "response A", "response B"):
        sys.stderr.write(f"{name}: ")
        sys.stderr.flush()
        text = sys.stdin.readline().strip()
        if not text:
            return None
        texts.append(text)
    prompt, a, b = texts
    return PreferencePair("yours", (Message("user", prompt),), (Message("assistant", a),), (Message("assistant", b),))


def _piped() -> PreferencePair | None:
    with spooled("-") as path:
        try:
            return next(iter(load_pairs(path, name="standard input")), None)
        except DataError as error:
            if "empty" in str(error) or "no rows" in str(error):
                return None
            raise

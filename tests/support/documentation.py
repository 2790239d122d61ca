"""The shell commands of the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "recipes").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
SHELL = re.compile(
    r"(?:^ *<!-- needs: (?P<needs>[^>]*?) -->\n+)?^ *```(?P<info>[^\n]*)\n(?P<code>.*?)^ *```", re.DOTALL | re.MULTILINE
)
SEPARATORS = {"|", "||", "&&", ";"}
REDIRECTIONS = {">", ">>", "<", "2>"}


@dataclass(frozen=True)
class Command:
    """A simple command: its words without redirections, and what its block says that it needs."""

    words: tuple[str, ...]
    needs: str | None

    @property
    def rmr1(self) -> tuple[str, ...] | None:
        """The words after ``rmr1``; None where it is another program. Trainers start it as a module."""
        for place, word in enumerate(self.words):
            if word == "rmr1" or word.endswith("/rmr1") or word == "rmr1.cli.main":
                return self.words[place + 1 :]
        return None


def simple_commands(line: str) -> Iterator[tuple[str, ...]]:
    words: list[str] = []
    redirected = False
    for word in shlex.split(line, comments=True):
        if word in REDIRECTIONS:
            redirected = True
        elif word in SEPARATORS:
            if words:
                yield tuple(words)
            words, redirected = [], False
        elif not redirected:
            words.append(word)
    if words:
        yield tuple(words)


def commands(text: str) -> Iterator[Command]:
    """The simple commands of the shell blocks of a page, in their order."""
    for block in SHELL.finditer(text):
        if block["info"].split()[:1] not in (["sh"], ["bash"], ["console"]):
            continue
        console = block["info"].startswith("console")
        for line in block["code"].replace("\\\n", " ").splitlines():
            if console and not line.lstrip().startswith("$ "):
                continue
            for words in simple_commands(line.strip().removeprefix("$ ")):
                bare = tuple(word for place, word in enumerate(words) if place or not re.match(r"[A-Z0-9_]+=", word))
                if bare:
                    yield Command(bare, block["needs"])

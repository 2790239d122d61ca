"""Whether a text follows a grammar in GBNF: how a server is found out that ignores the grammar it was sent.

Texts are matched by the set of places that each part of the grammar can reach, so nothing is tried twice from one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

Places: TypeAlias = frozenset[int]
_Reach: TypeAlias = Callable[[str, Places], Places]
"""From places in a text to those where a part of the grammar can end."""
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<name>[A-Za-z][\w-]*(?P<rule>\s*::=)?)|(?P<text>"(?:\\.|[^"\\])*")|(?P<letters>\[(?:\\.|[^\]\\])*\])"""
    r"""|(?P<times>[?*+]|\{\d*,?\d*\})|(?P<mark>[|().])"""
)
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_DEEPEST = 200


class Grammar:
    """A grammar, ready to be compared with texts.

    Args:
        text: The grammar; its rule ``root`` is the whole.

    Raises:
        ValueError: It is no GBNF.
    """

    def __init__(self, text: str) -> None:
        self._rules: dict[str, _Reach] = {}
        self._depth = 0
        self._tokens: list[tuple[str, str]] = []
        end = 0
        while end < len(text):
            found = _TOKEN.match(text, end)
            if found is None:
                raise ValueError(f"no GBNF at {text[end : end + 20]!r}")
            end = found.end()
            if found.lastgroup is not None:
                kind = "rule" if found["rule"] else str(found.lastgroup)
                self._tokens.append((kind, found[0].removesuffix("::=").strip() if found["name"] else found[0]))
        self._at = 0
        while self._at < len(self._tokens):
            name = self._take("rule")
            self._rules[name] = self._choice()
        if "root" not in self._rules:
            raise ValueError("a grammar needs a rule root")

    def accepts(self, text: str) -> bool:
        """Whether the whole text follows it. A grammar that calls itself too deeply accepts anything."""
        self._depth = 0
        try:
            return len(text) in self._rules["root"](text, frozenset((0,)))
        except RecursionError:
            return True

    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "rule"

    def _take(self, kind: str) -> str:
        if self._next() != kind:
            raise ValueError(f"no GBNF: expected a {kind}")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _choice(self) -> _Reach:
        options = [self._sequence()]
        while self._is_mark("|"):
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else _any_of(options)

    def _sequence(self) -> _Reach:
        parts: list[_Reach] = []
        while self._next() in ("name", "text", "letters") or self._is_mark("(") or self._is_mark("."):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else _one_after_another(parts)

    def _part(self) -> _Reach:
        kind, written = self._tokens[self._at]
        self._at += 1
        letter: str | None = None
        if kind == "name":
            reach = self._rule(written)
        elif kind == "text":
            reach = _literal(_unescaped(written[1:-1]))
        elif written == "(":
            reach = self._choice()
            if self._take("mark") != ")":
                raise ValueError("no GBNF: a bracket is not closed")
        else:
            letter = "." if written == "." else f"[{written[1:-1].replace('[', chr(92) + '[')}]"
            reach = _letters(letter, 1, 1)
        if self._next() != "times":
            return reach
        least, most = _times(self._take("times"))
        return _repeated(reach, least, most) if letter is None else _letters(letter, least, most)

    def _rule(self, name: str) -> _Reach:
        def reach(text: str, places: Places) -> Places:
            if not places:
                return places
            if name not in self._rules or self._depth > _DEEPEST:
                raise RecursionError
            self._depth += 1
            try:
                return self._rules[name](text, places)
            finally:
                self._depth -= 1

        return reach

    def _is_mark(self, mark: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] == ("mark", mark)


def follows(text: str, grammar: str) -> bool:
    """Whether a completion follows a grammar.

    Servers strip texts, and those that take the thought out apply the grammar to what is left; both are no disobedience. A
    grammar that is not understood accepts anything.

    Args:
        text: A completion that was not cut.
        grammar: The GBNF that was sent.
    """
    compiled = _compiled(grammar)
    return compiled is None or any(compiled.accepts(one) for one in _readings(text))


def _readings(text: str) -> Iterator[str]:
    _, end, after = text.partition("</think>") if text.lstrip().startswith("<think>") else ("", "", "")
    for one in (text, after) if end else (text,):
        yield from (one, one.strip(), f"{one.strip()}\n")


@lru_cache(maxsize=8)
def _compiled(grammar: str) -> Grammar | None:
    try:
        return Grammar(grammar)
    except (ValueError, re.error):
        return None


def _literal(wanted: str) -> _Reach:
    return lambda text, places: frozenset(place + len(wanted) for place in places if text.startswith(wanted, place))


def _letters(letter: str, least: int, most: int | None) -> _Reach:
    run = re.compile(f"{letter}{{0,{'' if most is None else most}}}", re.DOTALL)

    def reach(text: str, places: Places) -> Places:
        found: set[int] = set()
        for place in places:
            match = run.match(text, place)
            found.update(range(place + least, (match.end() if match else place) + 1))
        return frozenset(found)

    return reach


def _any_of(options: Iterable[_Reach]) -> _Reach:
    return lambda text, places: frozenset().union(*(option(text, places) for option in options))


def _one_after_another(parts: Iterable[_Reach]) -> _Reach:
    def reach(text: str, places: Places) -> Places:
        for part in parts:
            places = part(text, places)
        return places

    return reach


def _repeated(part: _Reach, least: int, most: int | None) -> _Reach:
    def reach(text: str, places: Places) -> Places:
        found = set(places) if least == 0 else set()
        number = 0
        while places and (most is None or number < most):
            places = part(text, places)
            number += 1
            if number >= least:
                if places <= found:
                    break
                found |= places
        return frozenset(found)

    return reach


def _times(written: str) -> tuple[int, int | None]:
    if written in "?*+":
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}[written]
    least, comma, most = written[1:-1].partition(",")
    return int(least or 0), int(most) if most else None if comma else int(least)


def _unescaped(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code = found[1] or found[2] or found[3]
        return chr(int(code, 16)) if code else _LETTERS.get(found[4], found[4])

    return _ESCAPE.sub(letter, text)

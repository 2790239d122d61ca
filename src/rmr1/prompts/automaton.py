"""Grammars as automata over bytes: what a text may go on with, and how it ends soonest.

A grammar of GBNF whose rules do not refer to themselves is a regular language, so a deterministic automaton reads it. The automaton
knows for every text how many bytes are missing to the nearest end. A decoder needs that to end a completion within its token limit;
libraries for constrained decoding do not tell it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from rmr1.errors import ConfigError

DEAD = -1
"""The state of a text that no continuation makes a text of the grammar."""
_MOST_NODES = 200_000
_ASCII = 0x7F
_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_ENCODED_LENGTHS = (_ASCII, 0x7FF, 0xFFFF, _LAST)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_RULE = re.compile(r"(?<![A-Za-z0-9-])([A-Za-z][A-Za-z0-9-]*+)[ \t]*+::=")
_REPEAT = re.compile(r"\{[ \t]*+(\d++)[ \t]*+(?:(,)[ \t]*+(\d*+)[ \t]*+)?\}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-", "^": "^"}
_CODES = {"x": 2, "u": 4, "U": 8}
_PREFERRED = b".x -0123456789ABCDEFGHIJKLMNOPQRSTUVWabcdefghijklmnopqrstuvwyz"
Range = tuple[int, int]


class EndingPart(NamedTuple):
    """A piece of an ending: a text, or one letter that may be any of some others."""

    text: str
    letters: str = ""


class Automaton:
    """A deterministic automaton that reads the texts of a grammar byte by byte. Build it with ``compile_grammar``.

    Args:
        table: The state after a state and a byte, [states, 256]; ``DEAD`` where nothing follows. The first state is 0.
        accepting: Whether a text that ends in a state is complete, [states].

    Attributes:
        missing: How many bytes are missing to the nearest end, [states].
    """

    def __init__(self, table: NDArray[np.int32], accepting: NDArray[np.bool_]) -> None:
        self.table = table
        self.accepting = accepting
        self.missing = _missing(table, accepting)
        self._endings: dict[int, tuple[EndingPart, ...]] = {}

    def walk(self, state: int, text: bytes) -> int:
        """The state after a text; ``DEAD`` if the text is not allowed."""
        for byte in text:
            if state == DEAD:
                return DEAD
            state = int(self.table[state, byte])
        return state

    def next_byte(self, state: int) -> int:
        """The byte with which the nearest end goes on."""
        return min(self._near(state), key=_preference)

    def ending(self, state: int) -> tuple[EndingPart, ...]:
        """The shortest text that completes a text in this state, cut where several letters serve as well: there is the verdict.

        Args:
            state: That of a text which does not end within a character.
        """
        path: list[int] = []
        while self.missing[state] and state not in self._endings:
            path.append(state)
            state = int(self.table[state, self.next_byte(state)])
        ending = self._endings.get(state, ())
        for before in reversed(path):
            ending = self._endings[before] = self._prolonged(before, ending)
        return ending

    def _prolonged(self, state: int, rest: tuple[EndingPart, ...]) -> tuple[EndingPart, ...]:
        """The ending of a state, given that of the state after its next byte."""
        first = self.next_byte(state)
        after = self.table[state]
        letters = [
            byte
            for byte in self._near(state)
            if byte <= _ASCII and (after[byte] == after[first] or self.ending(int(after[byte])) == rest)
        ]
        if first <= _ASCII and len(letters) > 1:
            return EndingPart(chr(first), "".join(map(chr, letters))), *rest
        literal = bytes([first])
        if rest and not rest[0].letters:
            literal, rest = literal + rest[0].text.encode(errors="surrogateescape"), rest[1:]
        return EndingPart(literal.decode(errors="surrogateescape")), *rest

    def _near(self, state: int) -> list[int]:
        """The bytes that bring the end nearer."""
        row = self.table[state]
        return [int(byte) for byte in np.flatnonzero(row != DEAD) if self.missing[row[byte]] == self.missing[state] - 1]


@lru_cache(maxsize=32)
def compile_grammar(text: str) -> Automaton:
    """The automaton of a grammar.

    Args:
        text: GBNF whose rules do not refer to themselves, with a rule ``root``.

    Raises:
        ConfigError: It cannot be read, refers to itself, or is too large; the message names the line and column.
    """
    nodes = _Nodes()
    end = nodes.add()
    start = _Reader(text).root().build(nodes, end)
    return Automaton(*_determined(nodes, start, end))


class _Nodes:
    """A nondeterministic automaton over bytes."""

    def __init__(self) -> None:
        self.free: list[list[int]] = []
        self.edges: list[list[tuple[int, int, int]]] = []
        self._encoded: dict[tuple[Range, ...], list[tuple[Range, ...]]] = {}
        self._rests: dict[tuple[tuple[Range, ...], int], int] = {}

    def add(self, free: Sequence[int] = ()) -> int:
        if len(self.free) >= _MOST_NODES:
            raise ConfigError(f"the grammar is too large: its repetitions make more than {_MOST_NODES:,} states of it")
        self.free.append(list(free))
        self.edges.append([])
        return len(self.free) - 1

    def characters(self, ranges: tuple[Range, ...], end: int) -> int:
        """A node from which one character of these ranges leads to the end."""
        if ranges not in self._encoded:
            self._encoded[ranges] = [tuple(part) for low, high in ranges for part in _encoded(low, high)]
        start = self.add()
        self.edges[start] = [(*part[0], self._rest(part[1:], end)) for part in self._encoded[ranges]]
        return start

    def _rest(self, part: tuple[Range, ...], end: int) -> int:
        """A node from which the other bytes of a character lead to the end: the same one for all characters that go on so."""
        if not part:
            return end
        if (part, end) not in self._rests:
            self._rests[part, end] = node = self.add()
            self.edges[node].append((*part[0], self._rest(part[1:], end)))
        return self._rests[part, end]


@dataclass(frozen=True, slots=True)
class _Characters:
    """One character of some ranges."""

    ranges: tuple[Range, ...]

    def build(self, nodes: _Nodes, end: int) -> int:
        return nodes.characters(self.ranges, end)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Parts one after the other."""

    parts: tuple[_Part, ...]

    def build(self, nodes: _Nodes, end: int) -> int:
        for part in reversed(self.parts):
            end = part.build(nodes, end)
        return end


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of several parts."""

    parts: tuple[_Part, ...]

    def build(self, nodes: _Nodes, end: int) -> int:
        return nodes.add([part.build(nodes, end) for part in self.parts])


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A part several times; ``most`` None means any number of times."""

    part: _Part
    least: int
    most: int | None

    def build(self, nodes: _Nodes, end: int) -> int:
        if self.most is None:
            again = nodes.add([end])
            nodes.free[again].append(self.part.build(nodes, again))
            end = again
        for _ in range((self.most or self.least) - self.least):
            end = nodes.add([self.part.build(nodes, end), end])
        for _ in range(self.least):
            end = self.part.build(nodes, end)
        return end


_Part = _Characters | _Sequence | _Choice | _Repeated


@dataclass
class _Reader:
    """Reads GBNF."""

    text: str
    _place: int = 0
    _starts: dict[str, int] = field(default_factory=dict)
    _rules: dict[str, _Part] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def root(self) -> _Part:
        for match in _RULE.finditer(_without_quoted(self.text)):
            if match[1] in self._starts:
                self._fail(f'the rule "{match[1]}" occurs twice', match.start())
            self._starts[match[1]] = match.end()
        before = re.sub(r"#[^\n]*", "", self.text[: self.text.find("::=") if self._starts else None]).split()
        if not self._starts or len(before) > 1:
            self._fail("a grammar begins with a rule, NAME ::= ...", 0)
        if "root" not in self._starts:
            self._fail('there is no rule "root"', 0)
        for name in self._starts:  # those too that nothing refers to: what is wrong in them is wrong
            self._rule(name, self._starts[name])
        return self._rules["root"]

    def _rule(self, name: str, place: int) -> _Part:
        if name in self._open:
            self._fail(f'the rule "{name}" refers to itself; grammars here are without recursion', place)
        if name not in self._starts:
            self._fail(f'there is no rule "{name}"', place)
        if name not in self._rules:
            returns, self._place = self._place, self._starts[name]
            self._open.append(name)
            self._rules[name] = self._choice(nested=False)
            self._end_of_rule()
            self._open.pop()
            self._place = returns
        return self._rules[name]

    def _end_of_rule(self) -> None:
        rest = re.compile(r"\s*").match(self.text, self._place)
        end = rest.end() if rest else self._place
        if end < len(self.text) and not _RULE.match(self.text, end):
            self._fail(f"{self.text[end]!r} is not expected here", end)

    def _choice(self, *, nested: bool) -> _Part:
        parts = [self._sequence(nested)]
        while self._peek(nested) == "|":
            self._place += 1
            self._skip(lines=True)
            parts.append(self._sequence(nested))
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def _sequence(self, nested: bool) -> _Part:
        parts: list[_Part] = []
        while (sign := self._peek(nested)) and sign not in "|)\n":
            parts.append(self._repeats(self._atom(sign)))
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _repeats(self, part: _Part) -> _Part:
        while self._place < len(self.text):
            sign = self.text[self._place]
            bounds = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(sign)
            if bounds is not None:
                self._place += 1
            elif sign == "{":
                bounds = self._bounds()
            else:
                break
            part = _Repeated(part, *bounds)
        return part

    def _bounds(self) -> tuple[int, int | None]:
        match = _REPEAT.match(self.text, self._place)
        if match is None:
            self._fail("a repetition is {n}, {n,} or {n,m}", self._place)
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if most is not None and most < least:
            self._fail(f"the repetition {match[0]} ends below its beginning", self._place)
        self._place = match.end()
        return (least, most)

    def _atom(self, sign: str) -> _Part:
        begin = self._place
        if sign == "(":
            self._place += 1
            part = self._choice(nested=True)
            if self._peek(nested=True) != ")":
                self._fail("this parenthesis is not closed", begin)
            self._place += 1
            return part
        if sign == '"':
            self._place += 1
            letters = list(self._characters('"', begin))
            return _Sequence(tuple(_Characters(((letter, letter),)) for letter, _ in letters))
        if sign == "[":
            return self._class()
        if sign == ".":
            self._place += 1
            return _Characters(_complement([]))
        name = _NAME.match(self.text, begin)
        if name is None:
            self._fail(f"{sign!r} is not expected here", begin)
        self._place = name.end()
        return self._rule(name[0], begin)

    def _class(self) -> _Part:
        begin = self._place
        self._place += 1
        negated = self.text[self._place : self._place + 1] == "^"
        self._place += negated
        letters = list(self._characters("]", begin))
        ranges: list[Range] = []
        while letters:
            low, _ = letters.pop(0)
            high = low
            if len(letters) >= 2 and letters[0] == (ord("-"), False):
                high = letters[1][0]
                del letters[:2]
            if high < low:
                self._fail("a range of letters ends below its beginning", begin)
            ranges.append((low, high))
        found = _complement(ranges) if negated else tuple(sorted(ranges))
        if not found:
            self._fail("no letter is in these brackets", begin)
        return _Characters(found)

    def _characters(self, end: str, begin: int) -> Iterator[tuple[int, bool]]:
        """The characters up to a sign, and whether each was written with a backslash."""
        while (sign := self.text[self._place : self._place + 1]) != end:
            if not sign or sign == "\n":
                self._fail(f"{end} is missing", begin)
            self._place += 1
            if sign != "\\":
                yield ord(sign), False
                continue
            yield self._escaped(), True
        self._place += 1

    def _escaped(self) -> int:
        sign = self.text[self._place : self._place + 1]
        if sign in _CODES:
            digits = self.text[self._place + 1 : self._place + 1 + _CODES[sign]]
            if len(digits) == _CODES[sign] and re.fullmatch(r"[0-9A-Fa-f]+", digits) and int(digits, 16) <= _LAST:
                self._place += 1 + _CODES[sign]
                return int(digits, 16)
        if sign not in _ESCAPES:
            self._fail(f"\\{sign} is no escape", self._place - 1)
        self._place += 1
        return ord(_ESCAPES[sign])

    def _peek(self, nested: bool) -> str:
        self._skip(lines=nested)
        return self.text[self._place : self._place + 1]

    def _skip(self, *, lines: bool) -> None:
        space = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*" if lines else r"(?:[ \t\r]|#[^\n]*)*")
        match = space.match(self.text, self._place)
        self._place = match.end() if match else self._place

    def _fail(self, problem: str, place: int) -> NoReturn:
        line = self.text.count("\n", 0, place) + 1
        column = place - (self.text.rfind("\n", 0, place) + 1) + 1
        raise ConfigError(f"grammar, line {line}, column {column}: {problem}")


def _without_quoted(text: str) -> str:
    """The text with what stands in quotes, brackets and comments blanked out, at the same places."""
    quoted = re.compile(r'"(?:\\.|[^"\\\n])*"|\[(?:\\.|[^\]\\\n])*\]|#[^\n]*')
    return quoted.sub(lambda match: " " * len(match[0]), text)


def _complement(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """All characters outside the ranges."""
    found: list[Range] = []
    begin = 0
    for low, high in sorted([*ranges, _SURROGATES, (_LAST + 1, _LAST + 1)]):
        if begin < low:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    return tuple(found)


def _encoded(low: int, high: int) -> Iterator[list[Range]]:
    """The ranges of the bytes of the characters from ``low`` to ``high`` in UTF-8."""
    for last in _ENCODED_LENGTHS:
        if low <= last < high:
            yield from _encoded(low, last)
            low = last + 1
    if high <= _ASCII:
        yield [(low, high)]
        return
    for place in range(1, len(chr(high).encode("utf-8", "surrogatepass"))):
        mask = (1 << (6 * place)) - 1
        if low & ~mask != high & ~mask:
            if low & mask:
                yield from _encoded(low, low | mask)
                yield from _encoded((low | mask) + 1, high)
                return
            if high & mask != mask:
                yield from _encoded(low, (high & ~mask) - 1)
                yield from _encoded(high & ~mask, high)
                return
    first, last_bytes = (chr(one).encode("utf-8", "surrogatepass") for one in (low, high))
    yield list(zip(first, last_bytes, strict=True))


def _determined(nodes: _Nodes, start: int, end: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The same automaton with one state after each byte, by the subset construction."""
    closures: dict[frozenset[int], frozenset[int]] = {}

    def closed(these: frozenset[int]) -> frozenset[int]:
        if these not in closures:
            closures[these] = _closure(nodes, these, end)
        return closures[these]

    first = closed(frozenset((start,)))
    numbers, states, rows = {first: 0}, [first], []
    for state in states:
        row = np.full(256, DEAD, np.int32)
        for low, high, targets in _moves(nodes, state):
            target = closed(targets)
            if target not in numbers:
                numbers[target] = len(states)
                states.append(target)
            row[low:high] = numbers[target]
        rows.append(row)
    return np.stack(rows), np.array([end in state for state in states])


def _closure(nodes: _Nodes, these: frozenset[int], end: int) -> frozenset[int]:
    """The nodes with edges of their own, and the end, that these lead to without a byte."""
    seen, waiting = set(these), list(these)
    while waiting:
        for other in nodes.free[waiting.pop()]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return frozenset(node for node in seen if nodes.edges[node] or node == end)


def _moves(nodes: _Nodes, state: frozenset[int]) -> Iterator[tuple[int, int, frozenset[int]]]:
    """Ranges of bytes, without their ends, each with the nodes that it leads to."""
    edges = [edge for node in state for edge in nodes.edges[node]]
    cuts = sorted({low for low, _, _ in edges} | {high + 1 for _, high, _ in edges})
    for low, high in pairwise(cuts):
        targets = frozenset(target for begin, last, target in edges if begin <= low <= last)
        if targets:
            yield low, high, targets


def _missing(table: NDArray[np.int32], accepting: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How many bytes each state is from the nearest end."""
    before: dict[int, list[int]] = {}
    for state, row in enumerate(table):
        for target in np.unique(row):
            before.setdefault(int(target), []).append(state)
    missing = np.where(accepting, 0, -1).astype(np.int32)
    waiting = deque(int(state) for state in np.flatnonzero(accepting))
    while waiting:
        target = waiting.popleft()
        for state in before.get(target, ()):
            if missing[state] < 0:
                missing[state] = missing[target] + 1
                waiting.append(state)
    return missing


def _preference(byte: int) -> tuple[int, int]:
    return (_PREFERRED.find(byte), byte) if byte in _PREFERRED else (len(_PREFERRED), byte)

"""Control tokens: the chat template writes them, the text that is judged never does.

A tokenizer has tokens that no text should become: the marks of a turn (``<|im_start|>``), of a thought (``<think>``), of a call.
Yet a tokenizer finds them wherever their letters stand, in a response too, and a response could then end its own turn and begin
another. So a prompt is tokenised in two ways. If its messages hold no letters of a control token, it is tokenised whole, as always.
If they do, the template's own text and the messages are tokenised apart: the letters stay what they are, and become other tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias

from rmr1.records import Message

TokenKind: TypeAlias = Literal["control", "added", "byte", "unknown"]
Encode: TypeAlias = Callable[[str, bool], list[int]]
"""Tokens of a text; whether letters of control tokens become control tokens."""
Render: TypeAlias = Callable[[Sequence[Message]], str]
"""The text of a prompt, up to where the answer begins."""
THINK_TAGS = ("<think>", "</think>")
_PIPED = re.compile(r"<[|\uff5c][^<>]*[|\uff5c]>")
_NEVER = re.compile(r"(?!)")
_PLACE = "rmr1message{}place"
_PLACES = re.compile(r"rmr1message(\d+)place")


class ControlTokenError(ValueError):
    """A prompt whose messages would become control tokens, whatever is done."""


@dataclass(frozen=True, slots=True)
class ControlTokens:
    """The control tokens of a tokenizer, by their letters.

    ``never`` come from no text but the template's; ``spelled`` (bytes and the unknown token) stand for other text too, and only
    their own letters must not become them.
    """

    never: Mapping[str, int]
    spelled: Mapping[str, int]

    @classmethod
    def of(cls, tokens: Iterable[tuple[str, int, TokenKind]], template: str) -> ControlTokens:
        """Choose from a vocabulary.

        A token of the kind "added" is one if it looks like one (``<|...|>``), marks a thought, or stands in the chat template;
        others, such as the ``<table>`` and the runs of spaces that Gemma adds, are words like any.

        Args:
            tokens: Letters, id and kind of every token that is not a plain one.
            template: The chat template.
        """
        never: dict[str, int] = {}
        spelled: dict[str, int] = {}
        for text, token, kind in tokens:
            if not text:
                continue
            if kind in ("byte", "unknown"):
                spelled[text] = token
            elif len(text) > 1 and (kind == "control" or _is_mark(text, template)):
                never[text] = token
        return cls(never, spelled)


def _is_mark(text: str, template: str) -> bool:
    return text in THINK_TAGS or _PIPED.fullmatch(text) is not None or (bool(text.strip()) and text in template)


class PromptEncoder:
    """Tokenises prompts so that no control token comes from a message.

    Args:
        render: Applies the chat template.
        encode: Tokenises.
        control: The tokenizer's control tokens.
        begin: Tokens that the engine puts before every prompt, besides those of the chat template.
    """

    def __init__(self, render: Render, encode: Encode, control: ControlTokens, begin: Sequence[int] = ()) -> None:
        self._render = render
        self._encode = encode
        self._control = control
        self._begin = list(begin)
        self._ids = frozenset(control.never.values())
        self._letters = _any_of([*control.never, *control.spelled])
        self._marks = _any_of(control.never)
        self._skeletons: dict[tuple[tuple[str, bool], ...], tuple[str, list[int]]] = {}

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a prompt, up to where the answer begins.

        Raises:
            ControlTokenError: The chat template changes the messages in such a way that control tokens come out.
        """
        rendered = self._render(messages)
        usual = self._encode(rendered, True)
        skeleton, expected = self._skeleton(messages)
        contents = [message.content for message in messages]
        if not any(self._letters.search(content) for content in contents) and (
            self._controls(usual) == expected or not any(self._controls(self._encode(text, True)) for text in contents)
        ):
            return self._begin + usual
        tokens = self._apart(rendered, skeleton, contents)
        if tokens is None:  # the template changes what it is given, so the letters themselves have to change
            broken = [replace(message, content=" ".join(self._pieces(message.content))) for message in messages]
            tokens = self._encode(self._render(broken), True)
        if self._controls(tokens) != expected:
            raise ControlTokenError("the chat template makes control tokens of the messages; take another template")
        return self._begin + tokens

    def plain(self, text: str, keep: Sequence[str] = ()) -> list[int]:
        """The tokens of a text, none of them a control token.

        Args:
            text: Any text.
            keep: Letters of control tokens that may become those.

        Raises:
            ControlTokenError: A single character is a control token.
        """
        kept = {mark: self._control.never[mark] for mark in keep if mark in self._control.never}
        tokens: list[int] = []
        for part in _split(_any_of(kept), text):
            tokens.extend([kept[part]] if part in kept else self._no_control(part))
        return tokens

    def completion(self, text: str) -> list[int]:
        """The tokens of what a judge writes: the tags of its thought may be control tokens, nothing else."""
        usual = self._encode(text, True)
        thoughts = [self._control.never[tag] for tag in THINK_TAGS if tag in self._control.never]
        if all(token in thoughts for token in self._controls(usual)) and not self._spells(text, usual):
            return usual
        return self.plain(text, THINK_TAGS)

    def _no_control(self, text: str) -> list[int]:
        if not text:
            return []
        tokens = self._encode(text, False)
        if not self._controls(tokens) and not self._spells(text, tokens):
            return tokens
        tokens = [token for piece in self._pieces(text) for token in self._encode(piece, False)]
        if self._controls(
            tokens
        ):  # letters that the tokenizer takes for those of a control token, full-width ones for instance
            tokens = [token for character in text for token in self._encode(character, False)]
        if self._controls(tokens):
            raise ControlTokenError(f"a character of {text[:40]!r} is a control token of the model")
        return tokens

    def _apart(self, rendered: str, skeleton: str, contents: Sequence[str]) -> list[int] | None:
        """The template's text and the messages tokenised apart; None if the template does more than put them in their places."""
        places = _PLACES.split(skeleton)  # text, number of the message, text, ...
        for texts in (contents, [content.strip() for content in contents]):
            filled = [texts[int(part)] if index % 2 else part for index, part in enumerate(places)]
            if "".join(filled) == rendered:
                break
        else:
            return None
        tokens: list[int] = []
        pending = ""
        for index, part in enumerate(filled):
            if index % 2:
                pending += part
                continue
            for piece in _split(self._marks, part):
                if piece in self._control.never:
                    tokens += [*self._no_control(pending), self._control.never[piece]]
                    pending = ""
                else:
                    pending += piece
        return tokens + self._no_control(pending)

    def _skeleton(self, messages: Sequence[Message]) -> tuple[str, list[int]]:
        """What the template writes around the messages, and its control tokens; templates ask whether a message is empty."""
        shape = tuple((message.role, bool(message.content.strip())) for message in messages)
        if shape not in self._skeletons:
            places = [Message(role, _PLACE.format(number) if full else "") for number, (role, full) in enumerate(shape)]
            text = self._render(places)
            self._skeletons[shape] = text, self._controls(self._encode(text, True))
        return self._skeletons[shape]

    def _controls(self, tokens: Iterable[int]) -> list[int]:
        return [token for token in tokens if token in self._ids]

    def _spells(self, text: str, tokens: Sequence[int]) -> bool:
        found = {match[1] for match in self._letters.finditer(text)}
        return any(
            self._control.spelled.get(letters) in tokens for letters in found if letters in self._control.spelled
        )

    def _pieces(self, text: str) -> list[str]:
        """The text cut inside all letters of control tokens, behind their first."""
        cuts = [0, *(match.start() + 1 for match in self._letters.finditer(text)), len(text)]
        return [text[start:end] for start, end in pairwise(cuts)]


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Finds each place where one of the texts stands, the longest there, overlapping ones too."""
    ordered = sorted(texts, key=len, reverse=True)
    return re.compile(f"(?=({'|'.join(map(re.escape, ordered))}))") if ordered else _NEVER


def _split(pattern: re.Pattern[str], text: str) -> list[str]:
    """The text cut around what the pattern finds, from the left."""
    pieces: list[str] = []
    end = 0
    for match in pattern.finditer(text):
        if match.start() >= end:
            pieces += [text[end : match.start()], match[1]]
            end = match.start() + len(match[1])
    return [*pieces, text[end:]]

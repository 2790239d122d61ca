"""Fencing: text that is judged cannot speak as the prompt or as the judge.

A response may carry the marks that structure the judge's prompt (``[The End of Chatbot A's Response]``), the judge's own
tags (``<answer>``, ``[[A]]``, ``</think>``), a chat template's control tokens (``<|im_start|>``; tokenisers turn them into
control tokens wherever they occur) or, in a conversation, the name of a speaker at the start of a line. The brackets of such
a mark become round ones, and a speaker's name is put in round brackets; everything else stays as it is, so that the judge
still reads what was written.

A mark is found by what it looks like (``rmr1.prompts.lookalikes``), so white space, invisible characters and foreign letters in
it do not hide it. Every pattern is linear in the length of the text: words without a gap, and repetitions with a bound.

Released RM-R1 models were trained without fencing: switch it off to reproduce them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from rmr1.prompts.lookalikes import CONFUSABLES, look, skeleton, text_units


def _words(*patterns: str) -> str:
    """An alternative of patterns of letters, in the letters of skeletons."""
    return f"(?:{'|'.join(patterns)})".replace("l", "i")


_CHATBOT = "(?:chatbot|assistant|model|ai|bot)?[a-d](?:'?s)?"
_TEXT = "(?:response|conversation|answer|reply|turn)"
_EDGE = "/?(?:the)?(?:start|begin|beginning|end)of(?:the)?"
_BLOCKS = _words(
    "(?:client)?question",
    f"{_TEXT}[a-d]",
    f"{_EDGE}(?:{_CHATBOT}{_TEXT}|{_TEXT}(?:(?:of|by|from|between)?{_CHATBOT}(?:andthe(?:client|user))?)?|(?:failed)?judge?ment)",
    "/?(?:inst|sys|system_prompt|tool_calls|tool_results|available_tools|think)",
    "bos|eos|gmask",
)
_VERDICT = rf"[\"'*_`]*+{_words(f'(?:the)?(?:{_TEXT}|chatbot|assistant)')}?[a-d](?:[<>=]{{1,3}}[a-d])?[\"'*_`.]*+"
_TAGS = _words(
    "answer|think|type|rubric|justify|solution|eval|quote_[ab]|summary_[ab]",
    "start_of_turn|end_of_turn|tool_call|tool_response|seed:[a-z_]{3,24}",
)
_CONTIGUOUS = (
    rf"</?{_words('s|bos|eos|sop|eop|unk|pad|fim_[a-z]{3,8}')}>|<extra_id_[io\d]{{1,4}}>|<unused[io\d]{{1,6}}>"
)
_MARK = re.compile(
    rf"\[(?:\[{_VERDICT}\]|(?=[/a-z]){_BLOCKS})\]|</?{_TAGS}/?>|<<?/?sys>>?|<\|[\w\u2581.:/-]{{1,48}}\|>|\]~!?b[\[\]]|\[e~\["
    rf"|(?P<contiguous>{_CONTIGUOUS}|<ox[\da-fio]{{2}}>|<\|[a-z_]{{2,24}}>|<[a-z_]{{2,24}}\|>)"
)
_SPEAKER = re.compile(
    rf"^[*_#>~`\"'|+=<\[\].-]*+({_words('user|client|system|developer|tool|function|human|ai|bot|(?:assistant|chatbot)[a-d]?')}"
    r"[*_~`\"'>\]]*+:)",
    re.MULTILINE,
)
FENCE_SHA256 = hashlib.sha256(f"{_MARK.pattern}\0{_SPEAKER.pattern}\0{CONFUSABLES}".encode()).hexdigest()
"""Hash of what counts as a mark: a run that was begun with other marks is another run."""
_ROUND = str.maketrans("[]<>", "()()")
_SHORT = 80
"""Longer marks, drawn out by spaces, are not remembered."""


def fence(text: str, *, conversation: bool = False) -> tuple[str, int]:
    """Disarm every mark in ``text``.

    Args:
        text: A question, a response or one turn of a conversation.
        conversation: Whether the text will be among turns that begin with a speaker's name.

    Returns:
        The text, in which only marks have changed, and the number of marks.
    """
    fenced, marks = _without_marks(text)
    if not conversation:
        return fenced, marks
    fenced, speakers = _without_speakers(fenced)
    return fenced, marks + speakers


def _without_marks(text: str) -> tuple[str, int]:
    units = text_units(text)
    # A mark may be broken over lines.
    seen = skeleton(units).replace("\n", "")
    found = list(_MARK.finditer(seen))
    if not found:
        return text, 0
    places = _places(units, seen, lines=False)
    pieces: list[str] = []
    end = marks = 0
    for match in found:
        start, stop = places[match.start()], places[match.end() - 1] + 1
        if match["contiguous"] and any(unit.isspace() for unit in units[start:stop]):
            continue
        marks += 1
        pieces += (_joined(units[end:start]), _rounded(units[start:stop]))
        end = stop
    return "".join([*pieces, *units[end:]]), marks


def _without_speakers(text: str) -> tuple[str, int]:
    units = text_units(text)
    seen = skeleton(units)
    found = list(_SPEAKER.finditer(seen))
    if not found:
        return text, 0
    places = _places(units, seen, lines=True)
    pieces: list[str] = []
    end = 0
    for match in found:
        start, stop = places[match.start(1)], places[match.end(1) - 1] + 1
        pieces += (_joined(units[end:start]), "(", _joined(units[start:stop]), ")")
        end = stop
    return "".join([*pieces, *units[end:]]), len(found)


def _places(units: Sequence[str], seen: str, *, lines: bool) -> Sequence[int]:
    """For each character of a skeleton, with or without its line breaks, the unit that it comes from."""
    if isinstance(units, str) and units.isascii() and len(units) == len(seen):
        return range(len(units))
    return [place for place, unit in enumerate(units) for letter in look(unit) if lines or letter != "\n"]


def _joined(units: Sequence[str]) -> str:
    return units if isinstance(units, str) else "".join(units)


@lru_cache(maxsize=4096)
def _rounded_text(mark: str) -> str:
    return "".join(map(_round, mark))


def _rounded(units: Sequence[str]) -> str:
    """The units of a mark with round brackets for those that look square or angled."""
    return _rounded_text(units) if isinstance(units, str) and len(units) <= _SHORT else "".join(map(_round, units))


@lru_cache(maxsize=4096)
def _round(unit: str) -> str:
    seen = look(unit)
    return seen.translate(_ROUND) if seen and not seen.strip("[]<>") else unit

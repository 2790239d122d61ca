r"""Whole conversations that were written into one text: Human/Assistant transcripts, and prompts that a chat template rendered.

``\n\nHuman: Hi\n\nAssistant: Hello`` is a conversation only where it begins with a speaker; ``<|im_start|>user\nHi<|im_end|>`` only
where it begins with such a mark. The marks of templates are no part of what was said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeGuard

from rmr1.data.messages import ROLES, Turns
from rmr1.data.rows import RowError
from rmr1.records import Message

_DIALOGUE_START = re.compile(r"\ufeff?\s*(?:Human|User)[ \t]*:")
_SPEAKER = "(Human|User|Assistant|AI)"
_BLANK_LINE_TURN = re.compile(rf"(?:\A\s*|\n[ \t]{{0,8}}\n[ \t]{{0,8}}){_SPEAKER}[ \t]{{0,8}}:")
_LINE_TURN = re.compile(rf"(?:\A\s*|\n[ \t]{{0,8}}){_SPEAKER}[ \t]{{0,8}}:")
_HH_START = re.compile(r"\n+Human:")
_SYSTEM_START = re.compile(r"\ufeff?\s*System[ \t]{0,8}:")


@dataclass(frozen=True, slots=True)
class _Markup:
    """How a chat template writes turns.

    Args:
        turn: What begins a turn; its group is the role.
        ends: What may end one.
    """

    turn: re.Pattern[str]
    ends: tuple[str, ...]


def _markup(before: str, after: str, *ends: str) -> _Markup:
    return _Markup(re.compile(f"{before}({'|'.join(ROLES)}){after}", re.IGNORECASE), ends)


_HASHES = _markup(r"###[ ]{0,4}", r"[ ]{0,4}:")
_MARKUPS = (
    _markup(r"<\|im_start\|>[ ]{0,4}", r"[ ]{0,4}(?:\r?\n|\Z)", "<|im_end|>"),
    _markup(r"<\|start_header_id\|>", r"<\|end_header_id\|>", "<|eot_id|>", "<|eom_id|>"),
    _markup(r"<start_of_turn>", r"(?:\r?\n|\Z)", "<end_of_turn>"),
    _markup(r"<\|", r"\|>", "<|end|>", "<|endoftext|>"),
    _HASHES,
)
"""ChatML, Llama 3, Gemma, Zephyr and Phi, Guanaco."""
_MOST_ENDS = 4
_FIRST_TOKENS = ("<|begin_of_text|>", "<bos>", "<s>")
_LAST_TOKENS = ("<|end_of_text|>", "<eos>", "</s>")
_INSTRUCTION_MARK = re.compile(r"(?:<s>)?\s{0,8}\[INST\]")


def is_dialogue(value: object) -> TypeGuard[str]:
    """Tell whether a text is a whole conversation: it begins with the human or the system, and the assistant answers."""
    if not isinstance(value, str):
        return False
    if _rendering(value) is None and not _DIALOGUE_START.match(value) and not _SYSTEM_START.match(value):
        return False
    roles = [turn.role for turn in read_dialogue(value)]
    return "assistant" in roles[1:] or (_HH_START.match(_plain(value)) is not None and roles == ["user"])


def is_dialogue_prompt(value: object) -> TypeGuard[str]:
    """Tell whether a text is a conversation that the assistant is to go on with."""
    if not isinstance(value, str):
        return False
    markup = _rendering(value)
    if markup is not None and markup is not _HASHES:  # a mark of hashes may be a heading
        return any(turn.role == "user" for turn in read_dialogue(value))
    if not is_dialogue(value):
        return False
    turns = read_dialogue(value)
    return _HH_START.match(_plain(value)) is not None or turns[-1].role == "user" or not turns[-1].content


def check_markup(text: str, name: str) -> None:
    """Refuse a prompt in the markup of Llama 2, whose turns cannot be told from text that speaks of them.

    Raises:
        RowError: It begins with that mark.
    """
    if _INSTRUCTION_MARK.match(text):
        raise RowError(f'"{name}" was rendered by a chat template ([INST]); give the text or the messages without it')


def read_dialogue(text: str) -> Turns:
    r"""Split a transcript into turns; the white space around a turn is not part of it.

    Where turns begin after a blank line (``\n\nHuman:``), a speaker's name after a single line break is text.
    """
    markup = _rendering(text)
    if markup is not None:
        pieces = markup.turn.split(_without_first_token(text))
        pairs = zip(pieces[1::2], pieces[2::2], strict=True)
        return tuple(Message(ROLES[role.lower()], _without_end(content, markup).strip()) for role, content in pairs)
    text = _plain(text)
    apart = any(match.start() > 0 for match in _BLANK_LINE_TURN.finditer(text))
    turn = _BLANK_LINE_TURN if apart else _LINE_TURN
    start = _SYSTEM_START.match(text)
    first = turn.search(text) if start else None
    system = Message("system", text[start.end() : first.start()].strip()) if start and first else None
    pieces = turn.split(text[first.start() :] if first else text)
    speakers, contents = pieces[1::2], pieces[2::2]
    turns = tuple(
        Message(ROLES[speaker.lower()], content.strip()) for speaker, content in zip(speakers, contents, strict=True)
    )
    return turns if system is None else (system, *turns)


def read_dialogue_prompt(text: str) -> Turns:
    """Read a transcript that the assistant is to go on with; its open last turn goes."""
    turns = read_dialogue(text)
    return turns[:-1] if turns[-1].role == "assistant" and not turns[-1].content else turns


def is_rendered(value: object) -> TypeGuard[str]:
    """Tell whether a text is a whole conversation with the marks of a chat template."""
    return isinstance(value, str) and _rendering(value) not in (None, _HASHES) and is_dialogue(value)


def bare_response(response: str, prompt: object) -> str:
    """A response without the marks around its turn, if the prompt has the marks of a chat template."""
    markup = _rendering(prompt) if is_dialogue_prompt(prompt) else None
    if markup is None:
        return response
    begin = markup.turn.match(response)
    if begin is not None and ROLES[begin[1].lower()] == "assistant":
        response = response[begin.end() :]
    return _without_end(response, markup)


def _without_end(text: str, markup: _Markup) -> str:
    ends = (*markup.ends, *_LAST_TOKENS)
    for _ in range(_MOST_ENDS):
        bare = text.rstrip()
        end = next((one for one in ends if bare.endswith(one)), None)
        if end is None:
            break
        text = bare.removesuffix(end)
    return text


def _rendering(text: str) -> _Markup | None:
    """The markup with which a text begins."""
    bare = _without_first_token(text)
    return next((markup for markup in _MARKUPS if markup.turn.match(bare)), None)


def _without_first_token(text: str) -> str:
    bare = text[:64].lstrip("\ufeff \t\r\n")
    bare = next((bare.removeprefix(token).lstrip() for token in _FIRST_TOKENS if bare.startswith(token)), bare)
    return bare + text[64:]


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")

"""Between messages and tokens: the chat template up to where the judge begins, and the token that ends its turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from rmr1.engines.control_tokens import THINK_TAGS
from rmr1.errors import ConfigError, DataError
from rmr1.models.card import ModelCard
from rmr1.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rmr1.engines.chat_text import ChatText

_MARK = "RMR1ENDMARK"
_BREAK = "\n\n"


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token with which the chat template ends a turn of the assistant, else the end-of-text token.

    Raises:
        DataError: The tokenizer has no chat template, or no token to end with.
    """
    if not tokenizer.chat_template:
        raise DataError("the model's tokenizer has no chat template; fine-tune an instruct model")
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    after = str(tokenizer.apply_chat_template(turns, tokenize=False)).partition(_MARK)[2]
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    added = tokenizer.added_tokens_decoder
    if ids and ids[0] in added and added[ids[0]].special:
        return int(ids[0])
    if tokenizer.eos_token_id is None:
        raise DataError("the model's tokenizer has no token that ends a turn")
    return int(tokenizer.eos_token_id)


def prompt_tokens(messages: Sequence[Message], text: ChatText, what: str) -> list[int]:
    """The tokens of a prompt up to where the judge begins, exactly those that an engine sends.

    Args:
        messages: The prompt.
        text: The model's tokenizer with its chat template.
        what: How an error calls the prompt.

    Raises:
        DataError: The chat template refuses the prompt, such as one with a system message.
    """
    try:
        return list(text.prompt(messages))
    except ValueError as error:
        cause = error.__cause__ or error
        raise DataError(f"{what}: the model's chat template refuses the prompt: {cause}") from error


def settle_think(card: ModelCard, text: ChatText, wanted: Literal["auto", "open", "closed"]) -> ModelCard:
    """The card of a model, with what its chat template does: what is trained begins there, whatever a catalogue says.

    Args:
        card: The model's.
        text: Its tokenizer with its chat template.
        wanted: What the user says that the template does.

    Raises:
        ConfigError: It does otherwise.
    """
    found: Literal["open", "closed"] = "open" if text.opens_think() else "closed"
    if wanted not in ("auto", found):
        does = "opens a think block" if found == "open" else "opens no think block"
        raise ConfigError(f"think {wanted}: the chat template of {card.base} {does}; leave think out")
    return replace(card, think=found)


def joined(completion: str, opening: str) -> str:
    """What a judge writes after its chat template has begun the answer, so that the two together are this completion.

    The thought of a trace goes on where the template has opened one. A trace without a thought gets an empty one, which is closed
    at once: so the verdict never stands inside a thought, and no tag stands twice. A trace that begins inside a thought, because
    it was written under a template that opens one, gets the opening tag where this template has none.

    Args:
        completion: A trace.
        opening: The tag with which the chat template begins, and the white space after it; "" if there is none.
    """
    opened, closed = THINK_TAGS
    text = completion.lstrip()
    first = min((place for tag in THINK_TAGS if (place := text.find(tag)) >= 0), default=-1)
    begins_inside = first >= 0 and text.startswith(closed, first)
    if not opening:
        return f"{opened}\n{text}" if begins_inside else completion
    gap = opening[len(opened) :]
    if begins_inside:
        return completion
    if not text.startswith(opened):
        return f"{_BREAK[len(gap) :] if _BREAK.startswith(gap) else _BREAK}{closed}{_BREAK}{completion}"
    thought = text[len(opened) :]
    return thought[len(gap) :] if thought.startswith(gap) else thought.lstrip()

"""Between messages and tokens: the chat template up to where the judge begins, and the token that ends its turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rmr1.errors import DataError
from rmr1.models.card import ModelCard
from rmr1.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "RMR1ENDMARK"


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


def render_chat(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, what: str) -> str:
    """The text of a prompt up to where the judge begins, exactly as an engine sends it.

    Args:
        messages: The prompt.
        tokenizer: With a chat template.
        what: How an error calls the prompt.

    Raises:
        DataError: The chat template refuses the prompt, such as one with a system message.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # jinja raises its own kinds
        raise DataError(f"{what}: the model's chat template refuses the prompt: {error}") from error


def settle_think(card: ModelCard, tokenizer: PreTrainedTokenizerBase) -> ModelCard:
    """The card of a model, completed with what its chat template does, if it leaves open whether that opens a think block.

    Raises:
        EngineError: The tokenizer has no chat template.
    """
    if card.think != "auto":
        return card
    from rmr1.engines.chat_text import ChatText

    return replace(card, think="open" if ChatText(tokenizer, card.base).opens_think() else "closed")


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """The tokens of texts, with nothing added."""
    if not texts:
        return []
    encoded: Any = tokenizer(texts, add_special_tokens=False)
    return [list(ids) for ids in encoded["input_ids"]]


def prompt_tokens(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, what: str) -> list[int]:
    """The tokens of a prompt, see ``render_chat``."""
    return encode(tokenizer, [render_chat(messages, tokenizer, what)])[0]

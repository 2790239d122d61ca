"""Between messages and tokens: the chat template, and the text of each completion token."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rmr1.engines.control_tokens import THINK_TAGS, ControlTokens, PromptEncoder, TokenKind
from rmr1.errors import ConfigError, EngineError, did_you_mean
from rmr1.records import Message, TokenLogprob

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from rmr1.prefix.decoding.sampling import Choice

_THINKING = "enable_thinking"
_WORDS = re.compile(r"[A-Za-z_]\w*")
_UNFINISHED = "\ufffd"
_MOST_PENDING = 32
"""A character has at most four tokens; a weak model may write broken ones in a row."""
_ANCHOR = "x"
_PROBE = (Message("user", _ANCHOR),)
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPACE = "\u2581"
_SPELLED = "<eval>\n1. It's 3 < 4, na\u00efve \u65e5\u672c \U0001f600</eval>\n<answer>A</answer>"


def check_variables(variables: Iterable[str], template: str, name: str) -> None:
    """Find variables that a chat template does not have: it would ignore them without a word.

    Args:
        variables: Names in ``engine.chat_template_kwargs``.
        template: The chat template.
        name: The model's name, for the message.

    Raises:
        ConfigError: The template does not have one of them.
    """
    words = set(_WORDS.findall(template))
    for variable in variables:
        if variable not in words:
            raise ConfigError(
                f"engine.chat_template_kwargs: the chat template of {name} has no variable {variable}"
                f"{did_you_mean(variable, words)}"
            )


def thinks_by_default(template: str) -> bool | None:
    """What ``enable_thinking`` is for a chat template if nobody sets it; None if it makes no difference, or cannot be told.

    transformers leaves the variable undefined. llama.cpp always sets it, and has to be told which value means the same.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if _THINKING not in template:
        return None
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    probe = {"messages": [{"role": "user", "content": _ANCHOR}], "add_generation_prompt": True}
    try:
        compiled = environment.from_string(template)
        usual, yes, no = (compiled.render({**probe, **more}) for more in ({}, {_THINKING: True}, {_THINKING: False}))
    except (TemplateError, TypeError, ValueError):
        return None
    return None if yes == no else usual == yes


class ChatText:
    """A tokenizer with its chat template.

    Args:
        tokenizer: With a chat template.
        name: The model's name, for messages.
        variables: Variables for the chat template, besides the messages.

    Raises:
        EngineError: It has no chat template.
        ConfigError: The chat template does not have one of the variables.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, name: str, variables: Mapping[str, object] | None = None
    ) -> None:
        if not tokenizer.chat_template:
            raise EngineError(
                f"{name} has no chat template; take an instruction-tuned model, or train this one with rmr1 sft first"
            )
        self._tokenizer: Any = tokenizer
        self._variables = dict(variables or {})
        check_variables(self._variables, str(tokenizer.chat_template), name)
        self._encoder = PromptEncoder(self._render, self._encode, self._control_tokens())
        self._closed: PromptEncoder | None = None
        self._anchor = self._tokenizer.encode(_ANCHOR, add_special_tokens=False)
        self._anchor_text = self._decode(())
        self._pieces: dict[int, str] = {}
        self._shared: tuple[tuple[Message, ...], tuple[int, ...]] = ((), ())

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of a prompt, up to where the answer begins; none of its control tokens comes from a message.

        Raises:
            ValueError: The chat template refuses the messages; jinja2's error is its cause.
        """
        from jinja2 import TemplateError

        try:
            return tuple(self._encoder.prompt(messages))
        except TemplateError as error:
            raise ValueError(f"the chat template refuses the prompt ({error}); try --set system_role=merge") from error

    def conversation(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of a conversation that has ended: no answer begins after it. None of its control tokens comes from a message.

        Raises:
            ValueError: The chat template refuses the messages; jinja2's error is its cause.
        """
        from jinja2 import TemplateError

        if self._closed is None:
            self._closed = PromptEncoder(self._render_closed, self._encode, self._control_tokens())
        try:
            return tuple(self._closed.prompt(messages))
        except TemplateError as error:
            raise ValueError(f"the chat template refuses the conversation ({error})") from error

    def completion(self, text: str) -> list[int]:
        """The tokens of what a judge writes: of the control tokens, only the tags of its thought."""
        return self._encoder.completion(text)

    def instructions(self, messages: Sequence[Message], prompt: tuple[int, ...]) -> int:
        """How many tokens at the beginning of a prompt are its instructions, which the other prompts of a run share."""
        head = tuple(messages[:1]) if len(messages) > 1 else ()
        if not self._shared[1] or head != self._shared[0]:
            self._shared = (head, self.prompt((*head, *_PROBE)))
        length = 0
        for ours, theirs in zip(prompt, self._shared[1], strict=False):
            if ours != theirs:
                break
            length += 1
        return min(length, len(prompt) - 1)

    def opens_think(self) -> bool:
        """Whether the chat template opens a think block before the first token of an answer."""
        return bool(self.opening())

    def opening(self) -> str:
        """The think tag with which the chat template begins an answer, and the white space after it; "" if it opens no thought."""
        prompt = self._render(_PROBE)
        tag = THINK_TAGS[0]
        return prompt[prompt.rindex(tag) :] if prompt.rstrip().endswith(tag) else ""

    def decode(self, choices: Iterable[Choice]) -> list[TokenLogprob]:
        """The text of each completion token with its log-probability.

        Their texts add up to the text of all. A character of several tokens belongs to the last of them; special tokens have no
        text.
        """
        result: list[TokenLogprob] = []
        pending: tuple[int, ...] = ()
        for choice in choices:
            pending = (*pending, choice.token)
            text = self._piece(choice.token) if len(pending) == 1 else self._decode(pending)
            if text.endswith(_UNFINISHED) and len(pending) < _MOST_PENDING:
                text = ""
            else:
                pending = ()
            top = tuple((self._piece(token), logprob) for token, logprob in choice.top)
            result.append(TokenLogprob(text, choice.logprob or 0.0, top))
        if pending and result:
            last = result[-1]
            result[-1] = TokenLogprob(self._decode(pending), last.logprob, last.top)
        return result

    def spellings(self) -> list[bytes]:
        """The bytes of each token in a text; empty for control tokens, but for the tags of a thought.

        Raises:
            ConfigError: Tokens of this kind cannot be read.
        """
        added = {number: token.content for number, token in self._tokenizer.added_tokens_decoder.items()}
        letters = self._tokenizer.convert_ids_to_tokens(list(range(len(self._tokenizer))))
        byte_level = "ByteLevel" in str(getattr(self._tokenizer, "backend_tokenizer", self._tokenizer).decoder)
        of_letter = _byte_level_bytes() if byte_level else {}
        spellings = [
            added[number].encode() if number in added else _spelled(text or "", of_letter)
            for number, text in enumerate(letters)
        ]
        control = self._control_tokens()
        for text, number in {**control.never, **control.spelled}.items():
            if text not in (*THINK_TAGS, *_BYTES):
                spellings[number] = b""
        tokens = self._encode(_SPELLED, False)
        if b"".join(spellings[token] for token in tokens).strip() != _SPELLED.encode():
            raise ConfigError("--constrain: how the tokens of this model spell a text cannot be told; leave it out")
        return spellings

    def _piece(self, token: int) -> str:
        text = self._pieces.get(token)
        if text is None:
            text = self._pieces[token] = self._decode((token,))
        return text

    def _decode(self, tokens: tuple[int, ...]) -> str:
        # After another token, because some tokenizers drop the space in front of the first one.
        text: str = self._tokenizer.decode(
            [*self._anchor, *tokens], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text[len(self._anchor_text) :] if tokens else text

    def _encode(self, text: str, control: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not control))

    def _control_tokens(self) -> ControlTokens:
        added = self._tokenizer.added_tokens_decoder
        kinds: dict[str, tuple[int, TokenKind]] = {
            token.content: (number, "control" if token.special else "added") for number, token in added.items()
        }
        for text, number in zip(self._tokenizer.all_special_tokens, self._tokenizer.all_special_ids, strict=True):
            kinds[text] = (number, "control")
        vocabulary = self._tokenizer.get_vocab()
        kinds |= {text: (vocabulary[text], "byte") for text in _BYTES if text in vocabulary}
        if self._tokenizer.unk_token is not None:
            kinds[self._tokenizer.unk_token] = (self._tokenizer.unk_token_id, "unknown")
        return ControlTokens.of(
            ((text, number, kind) for text, (number, kind) in kinds.items()), str(self._tokenizer.chat_template)
        )

    def _render(self, messages: Sequence[Message], *, answers: bool = True) -> str:
        rows = [{"role": message.role, "content": message.content} for message in messages]
        text: str = self._tokenizer.apply_chat_template(
            rows, tokenize=False, add_generation_prompt=answers, **self._variables
        )
        return text

    def _render_closed(self, messages: Sequence[Message]) -> str:
        return self._render(messages, answers=False)


def _byte_level_bytes() -> dict[str, int]:
    """The byte of each letter of byte-level tokens: printable ones stand for themselves, the rest for letters from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _spelled(letters: str, of_letter: Mapping[str, int]) -> bytes:
    """The bytes of a token, by the byte of each letter or, if there are none, as SentencePiece writes tokens."""
    if of_letter:
        return bytes(of_letter.get(letter, 0x3F) for letter in letters)
    if letters in _BYTES:
        return bytes([_BYTES.index(letters)])
    return letters.replace(_SPACE, " ").encode(errors="replace")

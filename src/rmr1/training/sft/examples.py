"""Traces as tokens: what the model reads, and which tokens it learns.

The prompt is exactly what an engine sends at inference (chat template with the opening of the judge's turn); the supervised tokens
are exactly the trace and the token that ends the turn. Tokens of prompt and trace are made apart, as a judge meets them: no token
reaches over the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rmr1.records import Generation
from rmr1.training.chat_tokens import encode, end_of_turn, render_chat
from rmr1.training.sft.traces import Trace
from rmr1.verdict import parse_verdict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label of a token that is not learnt."""
_OTHER = {"A": "B", "B": "A"}


@dataclass(frozen=True, slots=True)
class VerdictToken:
    """Where a trace says its verdict: index among the example's tokens, the token of the right letter, and the other one.

    The right letter is the trace's label; a trace without a label is taken to be right.
    """

    index: int
    gold: int
    other: int


@dataclass(frozen=True, slots=True)
class Example:
    """One trace as tokens; the first ``prompt_length`` are the prompt."""

    id: str
    tokens: tuple[int, ...]
    prompt_length: int
    verdict: VerdictToken | None = None

    @property
    def labels(self) -> list[int]:
        """The tokens to learn, ``IGNORED`` elsewhere."""
        return [IGNORED] * self.prompt_length + list(self.tokens[self.prompt_length :])


@dataclass(frozen=True, slots=True)
class Tokenised:
    """The examples that fit, and the ids of those that were dropped because they are too long."""

    examples: list[Example]
    too_long: list[str]

    @property
    def supervised(self) -> int:
        """Tokens that are learnt."""
        return sum(len(example.tokens) - example.prompt_length for example in self.examples)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(len(example.tokens) for example in self.examples)


def tokenise(
    traces: Sequence[Trace],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    *,
    verdicts: bool = False,
    think_open: bool = False,
) -> Tokenised:
    """Make tokens of traces; an example longer than ``max_length`` is dropped, never cut.

    Args:
        traces: What to learn.
        tokenizer: The model's, with its chat template.
        max_length: Tokens of prompt and trace together.
        verdicts: Locate the verdict of each trace.
        think_open: Whether the chat template opens a think block, in which the traces then begin.

    Raises:
        DataError: The chat template refuses a prompt, such as one with a system message.
    """
    end = end_of_turn(tokenizer)
    rendered = [render_chat(trace.prompt, tokenizer, f"trace {trace.id}") for trace in traces]
    prompts = encode(tokenizer, rendered)
    completions = encode(tokenizer, [trace.completion for trace in traces])
    examples: list[Example] = []
    too_long: list[str] = []
    for trace, prompt, completion in zip(traces, prompts, completions, strict=True):
        tokens = (*prompt, *completion, end)
        if len(tokens) > max_length:
            too_long.append(trace.id)
            continue
        verdict = _locate(trace, completion, len(prompt), tokenizer, think_open) if verdicts else None
        examples.append(Example(trace.id, tokens, len(prompt), verdict))
    return Tokenised(examples, too_long)


def _locate(
    trace: Trace, completion: list[int], offset: int, tokenizer: PreTrainedTokenizerBase, think_open: bool
) -> VerdictToken | None:
    verdict = parse_verdict(Generation(trace.id, trace.completion, think_open=think_open))
    if verdict.side is None or verdict.position is None:
        return None
    text, place = trace.completion, verdict.position
    swapped = f"{text[:place]}{_OTHER[verdict.side]}{text[place + 1 :]}"
    (other,) = encode(tokenizer, [swapped])
    differing = [index for index, pair in enumerate(zip(completion, other, strict=False)) if pair[0] != pair[1]]
    if len(other) != len(completion) or len(differing) != 1:
        return None  # the letters are parts of tokens that are cut differently
    index = differing[0]
    gold, wrong = completion[index], other[index]
    if trace.label not in (None, verdict.side):
        gold, wrong = wrong, gold
    return VerdictToken(offset + index, gold, wrong)

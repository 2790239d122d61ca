"""Log-probabilities of padded rows over their prefix tree: tokens that rows have in common are computed once."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import pad

from rmr1.prefix.logprobs import sequence_logprobs
from rmr1.prefix.support import unsupported_reason


def sharing_unsupported_reason(model: Any, wanted: str) -> str | None:
    """Why rows are computed one by one, or None if they are computed over their tree.

    Args:
        model: The model, wrapped or not.
        wanted: The setting ``prefix_sharing``.
    """
    return "prefix_sharing is off" if wanted == "off" else unsupported_reason(model)


def row_logprobs(
    model: Any, ids: Tensor, mask: Tensor, width: int, *, temperature: float = 1.0, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities of the last ``width`` columns, 0 where they are masked; entropies in nats, without a gradient.

    Args:
        model: The model as it is called in training.
        ids: Tokens, ``rows x columns``: prompts padded left, completions padded right.
        mask: 1 where there is a token.
        width: Columns of the completions.
        temperature: Divides the logits.
        entropy: Whether to compute entropies.
    """
    cut = ids.shape[1] - width
    prompts = [row[kept.bool()].tolist() for row, kept in zip(ids[:, :cut], mask[:, :cut], strict=True)]
    completions = [row[kept.bool()].tolist() for row, kept in zip(ids[:, cut:], mask[:, cut:], strict=True)]
    empty = not any(completions)
    if empty:  # other processes call the model, so this one has to: for a token that does not count
        prompts[0], completions[0] = prompts[0][:-1], prompts[0][-1:]
    found = sequence_logprobs(model, prompts, completions, temperature=temperature, entropy=entropy)
    counts = 0 if empty else 1
    logprobs = pad(found.logprobs * counts, (0, width - found.logprobs.shape[1]))
    if found.entropies is None:
        return logprobs, None
    return logprobs, pad(found.entropies * counts, (0, width - found.entropies.shape[1]))


def summed_nll(model: Any, inputs: dict[str, Tensor], ignored: int) -> Tensor:
    """Negative log-likelihood of the supervised tokens of a micro-batch, summed, in nats.

    Args:
        model: The model as it is called in training.
        inputs: ``input_ids``, ``attention_mask`` and ``labels`` of right-padded rows, whose supervised tokens are the last ones.
        ignored: The label of a token that the loss is not on.
    """
    prompts: list[list[int]] = []
    completions: list[list[int]] = []
    for row, kept, labels in zip(inputs["input_ids"], inputs["attention_mask"], inputs["labels"], strict=True):
        tokens = row[kept.bool()].tolist()
        supervised = int((labels != ignored).sum())
        prompts.append(tokens[: len(tokens) - supervised])
        completions.append(tokens[len(tokens) - supervised :])
    return -sequence_logprobs(model, prompts, completions).logprobs.sum()

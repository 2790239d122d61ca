"""Completions as a judge of tests leaves them."""

from rmr1.judging import Completion
from rmr1.records import FinishReason, Generation, Label, Order, Usage
from rmr1.verdict import parse_verdict


def completion(
    text: str,
    *,
    pair_id: str = "p",
    order: Order = "ab",
    vote: int = 0,
    pair: int = 0,
    index: int = 0,
    group: str = "",
    category: str = "",
    label: Label | None = "A",
    finish_reason: FinishReason = "stop",
    usage: Usage | None = None,
    p_shown_a: float | None = None,
    rule: str = "default",
) -> Completion:
    """A completion with this text, its verdict read by the rule."""
    request = f"{pair_id}/{order}/{vote}"
    return Completion(
        pair=pair,
        index=index,
        request=request,
        pair_id=pair_id,
        group=group,
        category=category,
        label=label,
        order=order,
        vote=vote,
        text=text,
        finish_reason=finish_reason,
        think_open=False,
        usage=usage or Usage(),
        p_shown_a=p_shown_a,
        fenced=0,
        prompt_sha256="",
        pair_hash=f"{pair:016x}",
        verdict=parse_verdict(Generation(request, text, finish_reason), rule),
    )

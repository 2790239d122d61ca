"""What each pass asks: the teacher about comparisons that still want a trace, the repairer about those whose trace failed."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from rmr1.config import DistillConfig
from rmr1.distillation.assess import Assessment, Reason, assess
from rmr1.distillation.written import Writer, WrittenPass
from rmr1.judging import Completion, JudgeRequest
from rmr1.prompts import Prompt, load_repair_template, render_repair
from rmr1.records import Comparison, GenerationRequest, PreferencePair

Numbered = Iterable[tuple[int, PreferencePair]]
_OMITTED = "\n[... {} characters left out ...]\n"
_FAULTS: dict[Reason, str] = {
    "wrong_verdict": "It prefers the wrong response, so its reasoning must be mistaken somewhere.",
    "missing": "It gives no verdict that can be read.",
    "conflicting": "It gives two verdicts that contradict each other.",
    "truncated": "It was too long and was cut off; be briefer.",
    "format": "Its verdict is right, but it breaks the output format: {problems}.",
}


class Tally:
    """How many traces of each comparison are right so far; one byte for each.

    Args:
        config: Which traces are right, and how many are wanted.
    """

    def __init__(self, config: DistillConfig) -> None:
        self._config = config
        self._kept = array("B")
        self._orders = orders_of(config)

    def add(self, sample: Completion) -> None:
        """Count a sample of the first pass."""
        right = assess(sample, require_format=self._config.require_format, keep_think=self._config.keep_think)
        number = sample.pair * self._orders + sample.index // self._config.samples
        if number >= len(self._kept):
            self._kept.extend([0] * (number + 1 - len(self._kept) + 1024))
        if right.reason is None:
            self._kept[number] = min(self._kept[number] + 1, 255)

    def is_full(self, pair: int, order: int) -> bool:
        """Whether a comparison has all the traces that are wanted of it."""
        number = pair * self._orders + order
        return number < len(self._kept) and self._kept[number] >= min(self._config.keep, 255)


def orders_of(config: DistillConfig) -> int:
    """Comparisons of one pair."""
    return 2 if config.orders == "both" else 1


def first_questions(
    pairs: Numbered, written: WrittenPass, tally: Tally, config: DistillConfig, vote: int
) -> Iterator[JudgeRequest]:
    """Round ``vote`` of the first pass: the comparisons that all earlier rounds have left without enough traces."""
    plan = written.writer.plan
    for number, pair in pairs:
        for index, comparison in enumerate(plan.comparisons(pair)):
            order, own_vote = divmod(index, config.samples)
            if own_vote != vote or tally.is_full(number, order) or written.has(number, index):
                continue
            # A vote is asked only after the ones before it, so that which are asked never depends on chance.
            if vote and not written.has(number, index - 1):
                continue
            if not written.faulted(number, index):
                yield JudgeRequest(number, index, pair, comparison, *plan.request(comparison))


def repair_questions(
    pairs: Numbered, first: WrittenPass, written: WrittenPass, tally: Tally, config: DistillConfig
) -> Iterator[JudgeRequest]:
    """The second pass: the comparisons whose only trace has failed, with that trace."""
    for number, pair in pairs:
        for index, comparison in enumerate(written.writer.plan.comparisons(pair)):
            if tally.is_full(number, index) or written.has(number, index) or written.faulted(number, index):
                continue
            failed = first.sample(number, index)
            if failed is not None:
                assessment = assess(failed, require_format=config.require_format, keep_think=config.keep_think)
                request, prompt = _repair(written.writer, pair, comparison, assessment, config)
                yield JudgeRequest(number, index, pair, comparison, request, prompt)


def _repair(
    writer: Writer, pair: PreferencePair, comparison: Comparison, failed: Assessment, config: DistillConfig
) -> tuple[GenerationRequest, Prompt]:
    prompt = render_repair(
        comparison,
        writer.plan.template,
        load_repair_template(),
        failed=shortened(failed.trace, config.failed_chars),
        fault=_FAULTS[failed.reason or "missing"].format(problems=", ".join(failed.problems).replace("_", " ")),
        verdict=failed.gold,
        fenced=config.fence,
        system_role=config.system_role,
    )
    return writer.plan.request_for(f"{pair.id}/{comparison.order}/repair", prompt, comparison), prompt


def shortened(text: str, length: int) -> str:
    """A text of at most ``length`` characters and a note; what is left out is its middle."""
    if len(text) <= length:
        return text
    head, tail = length * 2 // 3, length - length * 2 // 3
    return text[:head] + _OMITTED.format(len(text) - head - tail) + text[len(text) - tail :]

"""Screens: what makes a pair unfit, whatever other pairs there are.

Decontamination: prompts that are in a benchmark, or share a long run of words with one, must not be trained on. Only what users
say counts: answers and system messages hold phrases that occur everywhere.

Difficulty: a pair that is always judged right, or always wrong, has the same reward in every rollout: a group without variance,
and without advantage under GRPO. The paper does not filter such prompts; several works that follow it do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from rmr1.curation.recipe import Difficulty, OverLong, Screens
from rmr1.data import PairSource
from rmr1.errors import ConfigError, RunError
from rmr1.judging import ComparisonLayout, Completion, combine, recorded_completions
from rmr1.records import Message, PreferencePair
from rmr1.runs import read_manifest
from rmr1.sides import decisive

Screen = Callable[[PreferencePair], bool]
"""Tells whether a pair is unfit."""

Reason = Literal[
    "filtered",
    "invalid",
    "unlabelled",
    "tie",
    "empty",
    "identical",
    "over_long",
    "marker",
    "benchmark",
    "too_easy",
    "too_hard",
    "not_judged",
    "duplicate",
    "contradiction",
    "near_duplicate",
    "not_drawn",
]
"""Why something that was read is not in the result, in the order in which it is looked for."""

_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana and Chinese characters: scripts without spaces, in which each character counts as a word."""

_WORD = re.compile(rf"[{_NO_SPACES}]|[^\W{_NO_SPACES}]+")


class BenchmarkIndex:
    """Knows the prompts of benchmark files.

    Args:
        sources: The benchmark files; rows that cannot be read are passed over.
        ngram: Words in a row that count as overlap. A prompt that has fewer words has to be equal.
    """

    def __init__(self, sources: Sequence[PairSource], ngram: int) -> None:
        self._ngram = ngram
        self._whole: set[str] = set()
        self._runs: set[str] = set()
        for source in sources:
            for responses in source.sets():
                words = _user_words(responses.prompt)
                self._whole.add(" ".join(words))
                if len(words) >= ngram:
                    self._runs |= runs_of(words, ngram)

    def overlaps(self, prompt: Sequence[Message]) -> bool:
        """Tell whether a prompt is one of the benchmarks' or shares a run of words with one."""
        words = _user_words(prompt)
        if " ".join(words) in self._whole:
            return True
        return len(words) >= self._ngram and not self._runs.isdisjoint(runs_of(words, self._ngram))


class PassRates:
    """The share of right completions of each pair, over all orders and votes; an invalid verdict is not right.

    Of a judge that scores one response at a time, a pair is right or not as a whole.

    Args:
        filter: The run and the bounds.

    Raises:
        ConfigError: The directory is no run of ``rmr1 judge``, or its pairs have no labels.
        JournalError: Its journal cannot be read.
    """

    def __init__(self, filter: Difficulty) -> None:
        self._filter = filter
        rule = judge_rule(filter.run)
        right: defaultdict[str, int] = defaultdict(int)
        votes: defaultdict[str, int] = defaultdict(int)
        scored: defaultdict[str, list[Completion]] = defaultdict(list)
        # The journal may still be written to: it is not touched, and a torn last line is passed over.
        layout = ComparisonLayout.of_identity(read_manifest(filter.run).identity)
        for _, sample in recorded_completions(filter.run, layout):
            if decisive(sample.label) is None:
                continue
            if sample.verdict.scores_one:
                scored[sample.pair_id].append(sample)
            else:
                votes[sample.pair_id] += 1
                right[sample.pair_id] += sample.as_vote(rule).side == sample.label
        for name, samples in scored.items():
            votes[name], right[name] = 1, int(combine(samples, rule).correct is True)
        if not votes:
            raise ConfigError(
                f"--difficulty {filter.run}: no judged pair has a better response by its label; judge labelled pairs"
            )
        self._rates = {name: right[name] / count for name, count in votes.items()}

    def rate(self, name: str) -> float | None:
        """The share of right completions, or None for a pair that was not judged."""
        return self._rates.get(name)

    def reason(self, name: str) -> Reason | None:
        """Why a pair does not lie strictly between the bounds; None where it does."""
        rate = self.rate(name)
        if rate is None:
            return "not_judged"
        if rate >= self._filter.high:
            return "too_easy"
        return "too_hard" if rate <= self._filter.low else None


def judge_rule(run: Path) -> str:
    """The rule by which a judge run reads verdicts.

    Raises:
        ConfigError: The directory is no run of ``rmr1 judge``, or another version of rmr1 made it.
    """
    try:
        identity = read_manifest(run).identity
    except RunError as error:
        raise ConfigError(f"--difficulty {error}") from error
    if identity.get("stop"):
        raise ConfigError(
            f"--difficulty {run}: its votes were stopped early, so their share is not the pass rate; give a run without --stop"
        )
    if identity.get("job") == "judge":
        return str(identity["rule"])
    raise ConfigError(f'--difficulty {run}: a run of "rmr1 {identity.get("job")}"; give one of "rmr1 judge --votes K"')


def pair_screens(screens: Screens, benchmarks: BenchmarkIndex | None) -> list[tuple[Reason, Screen]]:
    """The screens of a recipe that look at one pair alone, in the order in which they apply."""
    chosen: list[tuple[Reason, Screen]] = []
    if screens.unlabelled:
        chosen.append(("unlabelled", lambda pair: pair.label is None))
    if screens.ties:
        chosen.append(("tie", lambda pair: pair.label == "tie"))
    if screens.empty:
        chosen.append(("empty", _is_empty))
    if screens.identical:
        chosen.append(("identical", lambda pair: pair.response_a == pair.response_b))
    if screens.over_long is not None:
        chosen.append(("over_long", _longer_than(screens.over_long)))
    if screens.markers:
        chosen.append(("marker", _holding(screens.markers)))
    if benchmarks is not None:
        chosen.append(("benchmark", lambda pair: benchmarks.overlaps(pair.prompt)))
    return chosen


def whole_text(pair: PreferencePair) -> str:
    """Prompt and both responses."""
    return "\n".join((text_of(pair.prompt), text_of(pair.response_a), text_of(pair.response_b)))


def _is_empty(pair: PreferencePair) -> bool:
    return not all(text_of(turns).strip() for turns in (pair.prompt, pair.response_a, pair.response_b))


def _longer_than(bounds: OverLong) -> Screen:
    def is_over_long(pair: PreferencePair) -> bool:
        text = whole_text(pair)
        if bounds.max_chars is not None and len(text) > bounds.max_chars:
            return True
        return bounds.max_words is not None and len(words_of(text)) > bounds.max_words

    return is_over_long


def _holding(markers: tuple[str, ...]) -> Screen:
    folded = [marker.casefold() for marker in markers]

    def holds_marker(pair: PreferencePair) -> bool:
        text = whole_text(pair).casefold()
        return any(marker in text for marker in folded)

    return holds_marker


def words_of(text: str) -> list[str]:
    """The words of a text without case; punctuation is none."""
    return _WORD.findall(text.casefold())


def runs_of(words: Sequence[str], length: int) -> set[str]:
    """All runs of ``length`` words; a shorter text is one run."""
    if len(words) <= length:
        return {" ".join(words)} if words else set()
    return {" ".join(words[start : start + length]) for start in range(len(words) - length + 1)}


def text_of(messages: Iterable[Message]) -> str:
    """The contents of turns as one text."""
    return "\n".join(message.content for message in messages)


def _user_words(prompt: Sequence[Message]) -> list[str]:
    return words_of(text_of([turn for turn in prompt if turn.role == "user"] or prompt))

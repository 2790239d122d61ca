"""The completions of a comparison, and what they are worth under a policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from rmr1.benchmarks.benchmark import Entry, Policy
from rmr1.judging import Completion, StoppingRule, needed, preference, reward_probability, score_list
from rmr1.records import Label, Order, Usage, Verdict, Vote
from rmr1.sides import pair_side, random_order


@dataclass(frozen=True, slots=True)
class ScoringContext:
    """How the completions came about: the seed that draws orders, the rule that the run reads verdicts by."""

    seed: int
    rule: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the votes of one order say.

    Args:
        balance: Votes for the better response less votes against it, of a pair that people call a tie votes for A less votes for
            B; None where none is valid.
        tied: Whether people call the pair a tie.
    """

    balance: int | None
    tied: bool = False

    def value(self, policy: Policy) -> float:
        """1 for what people say, 0 for another response, and what the policy says for a tie and for no verdict."""
        if self.balance is None:
            return policy.invalid
        if self.tied:
            return float(self.balance == 0)
        return policy.tie if self.balance == 0 else float(self.balance > 0)


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison with all its completions, read by one rule.

    Args:
        entry: The comparison.
        readings: What each order says, in the order in which they were judged.
        verdicts: Each completion's order and verdict, in shown sides.
        p_a: Mean over the valid completions of the probability of the pair's A at the verdict, or of 1 and 0 where the engine
            gives none; None where no verdict is valid.
        has_probabilities: Whether all of them come from the engine.
        scores: Mean scores of the pair's A and B by a judge that sees one response at a time, None for one without a valid score;
            None if the judge compares. What the scores say then holds for every order, since position cannot matter.
    """

    entry: Entry
    readings: Mapping[Order, Reading]
    verdicts: tuple[tuple[Order, Verdict], ...]
    p_a: float | None
    has_probabilities: bool
    scores: tuple[float | None, float | None] | None = None

    def value(self, policy: Policy, seed: int) -> float | None:
        """The value of the comparison, or None where the policy needs both orders and one was not judged."""
        if policy.both and len(self.readings) < 2:
            return None
        values = {order: reading.value(policy) for order, reading in self.readings.items()}
        if policy.orders == "drawn":
            drawn = random_order(self.entry.id, seed)
            return values[drawn] if drawn in values else next(iter(values.values()))
        if policy.orders == "agree":
            return float(all(value == 1.0 for value in values.values()))
        if policy.orders == "mean":
            return sum(values.values()) / len(values)
        balances = [reading.balance or 0 for reading in self.readings.values()]
        if self.entry.label == "tie":
            return float(all(value == 1.0 for value in values.values()))
        return float(sum((balance > 0) - (balance < 0) for balance in balances) > 0)

    def agreement(self, policy: Policy) -> float | None:
        """Whether both orders say the same, or None where one was not judged or the policy does not count it."""
        if policy.none_agrees is None or len(self.readings) < 2 or self.scores is not None:
            return None
        said = {
            None if reading.balance is None else (reading.balance > 0) - (reading.balance < 0)
            for reading in self.readings.values()
        }
        return float(len(said) == 1 and (policy.none_agrees or None not in said))


class Completions:
    """All judged comparisons of a benchmark; texts are parsed once for each rule.

    Args:
        entries: The comparisons.
        samples: Their completions; those of other comparisons are passed over.
        per_pair: Completions that a comparison has to have; one that has fewer is not judged yet.
        rule: Which of them it need not have, if votes are stopped early.
    """

    def __init__(
        self, entries: Iterable[Entry], samples: Iterable[Completion], per_pair: int, rule: StoppingRule | None = None
    ) -> None:
        self.entries = tuple(entries)
        known = {entry.id for entry in self.entries}
        self._samples: dict[str, list[Completion]] = defaultdict(list)
        for sample in samples:
            if sample.pair_id in known and sample.finish_reason != "error":
                self._samples[sample.pair_id].append(sample)
        self.per_pair = per_pair
        self._rule = rule
        self.judged = tuple(entry for entry in self.entries if self._is_whole(self._samples.get(entry.id, [])))
        self._read: dict[str, list[Judged]] = {}

    @property
    def stopped(self) -> bool:
        """Whether votes were left out that were not needed."""
        return self._rule is not None

    def _is_whole(self, samples: list[Completion]) -> bool:
        """Whether nothing is missing; what the rule does not ask for is dropped."""
        if self._rule is None:
            return len(samples) >= self.per_pair
        kept = needed(samples, self._rule, self.per_pair // self._rule.votes)
        if kept is not None:
            samples[:] = kept
        return kept is not None

    @property
    def unjudged(self) -> int:
        """Comparisons without all their completions."""
        return len(self.entries) - len(self.judged)

    def first(self, votes: int, per_pair: int) -> Completions:
        """The same comparisons with the first votes of each order alone.

        Args:
            votes: How many of each order.
            per_pair: Completions that a comparison then has to have.
        """
        kept = (sample for samples in self._samples.values() for sample in samples if sample.vote < votes)
        rule = None if self._rule is None else replace(self._rule, votes=votes)
        return Completions(self.entries, kept, per_pair, rule)

    def samples(self, entry: Entry) -> tuple[Completion, ...]:
        """The completions of a comparison, orders first, then votes."""
        return tuple(sorted(self._samples.get(entry.id, ()), key=lambda sample: sample.index))

    def read(self, rule: str) -> list[Judged]:
        """The judged comparisons, their texts read by a rule."""
        if rule not in self._read:
            self._read[rule] = [_judged(entry, self.samples(entry), rule) for entry in self.judged]
        return self._read[rule]

    def values(self, policy: Policy, context: ScoringContext, *, whole_items: bool) -> Iterator[tuple[Entry, float]]:
        """The value of each judged comparison under a policy.

        Args:
            policy: What completions are worth.
            context: How the run judged; its rule reads where the policy names none.
            whole_items: Leave out items of which a comparison is not judged.
        """
        left_out = {entry.item for entry in set(self.entries).difference(self.judged)} if whole_items else set()
        for judged in self.read(policy.rule or context.rule):
            value = judged.value(policy, context.seed)
            if value is not None and judged.entry.item not in left_out:
                yield judged.entry, value

    def scores(
        self, context: ScoringContext, *, whole_items: bool
    ) -> Iterator[tuple[Entry, tuple[float | None, float | None]]]:
        """The scores of both responses of each judged comparison; nothing of a judge that compares.

        Args:
            context: How the run judged.
            whole_items: Leave out items of which a comparison is not judged.
        """
        left_out = {entry.item for entry in set(self.entries).difference(self.judged)} if whole_items else set()
        for judged in self.read(context.rule):
            if judged.scores is not None and judged.entry.item not in left_out:
                yield judged.entry, judged.scores

    def agreements(self, policy: Policy, context: ScoringContext) -> Iterator[tuple[Entry, float]]:
        """Whether both orders of each judged comparison agree; nothing where the policy does not count it."""
        for judged in self.read(policy.rule or context.rule) if policy.none_agrees is not None else ():
            agreed = judged.agreement(policy)
            if agreed is not None:
                yield judged.entry, agreed

    @property
    def tokens(self) -> Usage:
        """Tokens of all counted completions."""
        spent = (sample.usage for entry in self.judged for sample in self._samples[entry.id])
        return sum(spent, Usage())


def _judged(entry: Entry, samples: tuple[Completion, ...], rule: str) -> Judged:
    votes = [sample.as_vote(rule) for sample in samples]
    verdicts = tuple((vote.order, vote.verdict) for vote in votes)
    if votes and votes[0].verdict.scores_one:
        return _scored(entry, votes, verdicts)
    readings = {
        order: _reading(entry.label, order, verdicts) for order in dict.fromkeys(order for order, _ in verdicts)
    }
    valid = [vote for vote in votes if vote.side]
    probabilities = [vote.p_a if vote.p_a is not None else float(vote.side == "A") for vote in valid]
    mean = sum(probabilities) / len(probabilities) if probabilities else None
    return Judged(entry, readings, verdicts, mean, all(vote.p_a is not None for vote in valid))


def _scored(entry: Entry, votes: list[Vote], verdicts: tuple[tuple[Order, Verdict], ...]) -> Judged:
    """A comparison whose responses were scored one by one: one reading, whatever the order."""
    of_a, of_b = score_list(votes, "ab"), score_list(votes, "ba")
    scores = (fmean(of_a) if of_a else None, fmean(of_b) if of_b else None)
    reading, p_a = Reading(None), None
    is_scalar = votes[0].verdict.rule == "score"
    if scores[0] is not None and scores[1] is not None:
        ahead = (scores[0] > scores[1]) - (scores[0] < scores[1])
        reading = Reading(-ahead if entry.label == "B" else ahead, entry.label == "tie")
        p_a = reward_probability(scores[0], scores[1]) if is_scalar else preference(of_a, of_b)
    return Judged(entry, {"ab": reading, "ba": reading}, verdicts, p_a, is_scalar, scores)


def _reading(label: Label, order: Order, verdicts: tuple[tuple[Order, Verdict], ...]) -> Reading:
    sides = [pair_side(verdict.side, shown) for shown, verdict in verdicts if shown == order and verdict.side]
    if not sides:
        return Reading(None)
    right = sides.count("A" if label == "tie" else label)
    return Reading(2 * right - len(sides), label == "tie")

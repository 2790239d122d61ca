"""One choice among four responses instead of comparisons of two: the judge is asked once for the best of all.

A pair stands for the four: its A is the best response, and its B holds the three others, a message for each. So a completion that
names the letter of the best one prefers A, any other letter prefers B, and what reads, counts and compares completions of pairs
works for choices too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rmr1.errors import ConfigError, DataError
from rmr1.judging.completions import ComparisonLayout
from rmr1.judging.plan import JudgingPlan
from rmr1.prompts import ChoiceTemplate, Prompt, load_choice_template, render_choice
from rmr1.records import Comparison, Generation, GenerationRequest, PreferencePair, Verdict
from rmr1.sides import show
from rmr1.verdict import parse_choice

LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class ChoicePlan(JudgingPlan):
    """How the best of four is asked for. Build it with ``plan_choice``."""

    choice: ChoiceTemplate

    @property
    def layout(self) -> ComparisonLayout:
        """Votes alone: there are no two orders."""
        config = self.config
        return ComparisonLayout("given", config.votes, config.seed, config.stop, config.stop_error)

    def comparisons(self, pair: PreferencePair) -> Iterator[Comparison]:
        """The choice, vote by vote; there are no two orders."""
        for vote in range(self.config.votes):
            yield show(pair, "ab", vote)

    def request(self, comparison: Comparison) -> tuple[GenerationRequest, Prompt]:
        """The request of a choice, whose id is ``ITEM/ab/VOTE``; the best response is shown under the letter of ``best_letter``."""
        others = [message.content for message in comparison.shown_b]
        place = LETTERS.index(self.best_letter(comparison.pair_id))
        best = comparison.shown_a[-1].content
        shown = [*others[:place], best, *others[place:]]
        prompt = render_choice(
            comparison.prompt, shown, self.choice, fenced=self.config.fence, system_role=self.config.system_role
        )
        return self.request_for(f"{comparison.pair_id}/ab/{comparison.vote}", prompt, comparison), prompt

    def read(self, generation: Generation) -> Verdict:
        """The verdict of a generation: A where it names the letter of the best response."""
        name = generation.request_id.rpartition("/")[0].removesuffix("/ab")
        return parse_choice(generation, self.best_letter(name), LETTERS, self.config.rule)

    def best_letter(self, pair_id: str) -> str:
        """The letter of the best response, drawn from the pair's id and the seed."""
        digest = hashlib.blake2b(f"{self.config.seed}\nbest\n{pair_id}".encode(errors="surrogatepass"), digest_size=2)
        return LETTERS[int.from_bytes(digest.digest(), "big") % len(LETTERS)]

    def identity(self) -> Mapping[str, object]:
        """As of the plan for pairs, with the prompt that asks for the best of four."""
        return {**JudgingPlan.identity(self), "choice_sha256": self.choice.sha256}


def plan_choice(plan: JudgingPlan) -> ChoicePlan:
    """The plan for choices with the settings of a plan for pairs; no grammar, since these end in A or B.

    Raises:
        ConfigError: The judge sees one response at a time, and cannot choose.
    """
    if plan.scores_one:
        raise ConfigError(
            "this benchmark asks for the best of four responses, and the judge sees one response at a time; "
            "take --bench rewardbench2-ratings, which asks for a score of each"
        )
    return ChoicePlan(plan.config, plan.template, None, logprobs=False, choice=load_choice_template())


def choice_of(item: str, pairs: list[PreferencePair]) -> PreferencePair:
    """The pair that stands for an item: its best response, and all others.

    Args:
        item: The item's id.
        pairs: Its comparisons; A is the best response in each.

    Raises:
        DataError: There are not four responses, or one has several turns.
    """
    first = pairs[0]
    others = tuple(pair.response_b for pair in pairs)
    if len(others) != len(LETTERS) - 1 or any(len(turns) != 1 for turns in (first.response_a, *others)):
        raise DataError(f"{item}: {len(others) + 1} responses; a choice is among {len(LETTERS)} of one message each")
    merged = tuple(message for turns in others for message in turns)
    return PreferencePair(item, first.prompt, first.response_a, merged, "A", first.group, first.category, first.extra)

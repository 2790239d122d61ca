"""How many calls early stopping saves, and how many outcomes it changes, at N votes of each order.

Votes come from one of two places:

- ``--run RUN``: a run of ``rmr1 judge --votes N`` without ``--stop``. The rules are applied to the votes that were really sampled.
- ``--shares FILE``: JSON lines with ``pair``, ``order`` and ``p_shown_a``, the measured probability that a judge names the first
  shown response. Votes are drawn with it, independently, and judged by the library's own run; the pairs are drawn from the file
  with replacement. Real votes also differ in their reasoning, so shares that were measured after one reasoning are more extreme
  than those of votes: the savings that this gives are an upper estimate.

    python bench/early_stopping.py --shares shares.jsonl --pairs 200 --votes 9
    python bench/early_stopping.py --run runs/nine-votes
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmr1.config import JudgeConfig, StopPolicy
from rmr1.judging import (
    ComparisonLayout,
    Completion,
    CompletionReader,
    JudgeRun,
    StoppingRule,
    combine,
    needed,
    plan_judging,
)
from rmr1.records import Generation, GenerationRequest, Judgment, Message, PreferencePair, Usage
from rmr1.runs import read_journal, read_manifest

RULES: tuple[tuple[StopPolicy, float], ...] = (
    ("early", 0.05),
    ("sequential", 0.01),
    ("sequential", 0.05),
    ("sequential", 0.1),
)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a rule saves and changes."""

    rule: str
    pairs: int
    calls: int
    planned: int
    outcomes: int
    winners: int

    def line(self) -> str:
        saved = self.planned - self.calls
        return (
            f"{self.rule:>16}: {saved} of {self.planned} calls saved ({saved / self.planned:.1%}), "
            f"{self.outcomes} of {self.pairs} outcomes and {self.winners} winners changed"
        )


class ShareEngine:
    """Names the first shown response with the probability that was measured for the pair and the order."""

    name = "bench/shares"
    embedded = True
    computes_in_caller = False
    think_open = False
    writes_logprobs = False
    obeys_grammars = False

    def __init__(self, shares: Mapping[tuple[str, str], float], salt: int) -> None:
        self._shares = shares
        self._salt = salt

    def identity(self) -> Mapping[str, object]:
        return {"salt": self._salt}

    async def generate(self, requests: Iterable[GenerationRequest]) -> AsyncGenerator[Generation]:
        for request in requests:
            assert request.comparison is not None
            share = self._shares[request.comparison.pair_id.partition("#")[0], request.comparison.order]
            digest = hashlib.blake2b(f"{self._salt}/{request.id}".encode(), digest_size=8).digest()
            letter = "A" if int.from_bytes(digest, "big") / 2**64 < share else "B"
            yield Generation(request.id, f"<answer>[[{letter}]]</answer>", usage=Usage())

    async def aclose(self) -> None:
        """Nothing to free."""


def judged(
    engine: ShareEngine, pairs: list[PreferencePair], votes: int, stop: StopPolicy, error: float
) -> list[Judgment]:
    plan = plan_judging(JudgeConfig(votes=votes, stop=stop, stop_error=error), engine)

    async def collect() -> dict[int, Judgment]:
        return dict([item async for item in JudgeRun(engine, plan).judge(pairs)])

    found = asyncio.run(collect())
    return [found[number] for number in range(len(pairs))]


def compare(rule: str, whole: list[Judgment], stopped: list[Judgment]) -> Compared:
    both = list(zip(whole, stopped, strict=True))
    return Compared(
        rule,
        len(whole),
        sum(len(one.votes) for one in stopped),
        sum(len(one.votes) for one in whole),
        sum(before.outcome != after.outcome for before, after in both),
        sum(before.winner != after.winner for before, after in both),
    )


def by_shares(path: Path, count: int, votes: int, salt: int) -> Iterator[Compared]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    shares = {(row["pair"], row["order"]): row["p_shown_a"] for row in rows}
    names = sorted({pair for pair, _ in shares if {(pair, "ab"), (pair, "ba")} <= shares.keys()})
    drawn = random.Random(salt).choices(names, k=count)
    turns = ((Message("user", "q"),), (Message("assistant", "a"),), (Message("assistant", "b"),))
    pairs = [PreferencePair(f"{name}#{number}", *turns) for number, name in enumerate(drawn)]
    engine = ShareEngine(shares, salt)
    whole = judged(engine, pairs, votes, "never", 0.05)
    for stop, error in RULES:
        yield compare(_named(stop, error), whole, judged(engine, pairs, votes, stop, error))


def by_run(path: Path) -> Iterator[Compared]:
    identity = read_manifest(path).identity
    layout, rule = ComparisonLayout.of_identity(identity), str(identity["rule"])
    found: dict[int, list[Completion]] = defaultdict(list)
    for _, completion in CompletionReader(layout).read(read_journal(path, "completions.jsonl")):
        found[completion.pair].append(completion)
    complete = [completions for completions in found.values() if len(completions) == layout.per_pair]
    whole = [combine(completions, rule) for completions in complete]
    for stop, error in RULES:
        kept = [
            needed(completions, StoppingRule(layout.votes, stop, error), layout.shown) or [] for completions in complete
        ]
        yield compare(_named(stop, error), whole, [combine(completions, rule) for completions in kept])


def _named(stop: StopPolicy, error: float) -> str:
    return stop if stop == "early" else f"{stop} {error:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--shares", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--votes", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if (options.run is None) == (options.shares is None):
        parser.error("give --run or --shares")
    found = (
        by_run(options.run) if options.run else by_shares(options.shares, options.pairs, options.votes, options.seed)
    )
    for compared in found:
        print(compared.line(), flush=True)


if __name__ == "__main__":
    main()

"""A data recipe as a run: the files of its splits, and a report of where every row went.

The work is minutes of hashing, decided by the recipe and the sources alone. So there is nothing to journal: a killed run starts
anew and ends with the same bytes, a finished one is recognised by the hashes of its files and not done again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.arguments import expect_events, optional_path
from rmr1.curation.candidates import Candidate, PairStore
from rmr1.curation.intake import Intake, OpenSource, open_recipe_source
from rmr1.curation.recipe import DataRecipe, Orders, recipe_of
from rmr1.curation.screens import BenchmarkIndex, PassRates, Reason, judge_rule, pair_screens
from rmr1.curation.selection import draw, without_duplicates, without_near_duplicates
from rmr1.curation.tally import Lengths, SourceTally, SplitTally
from rmr1.data import PairSource, load_pairs, write_pairs
from rmr1.data.compressed import file_digest
from rmr1.errors import ConfigError, DataError, RunError
from rmr1.records import Order, PreferencePair
from rmr1.results import DataResults, SplitCounts
from rmr1.runs import Callbacks, NullCallbacks, RunDirectory, default_run_name
from rmr1.sides import random_order, show, shown_orders


@dataclass(frozen=True, slots=True)
class CurationResult:
    """Where the files are and what ``results.json`` says; ``fresh`` is false where an earlier process had done it all."""

    run: Path
    results: DataResults
    fresh: bool


def curate(
    recipe: DataRecipe | str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    callbacks: Callbacks | None = None,
    **settings: Any,
) -> CurationResult:
    """Make the files of a recipe: ``SPLIT.jsonl`` for each split, and ``results.json``.

    ``curate("pairs.jsonl", splits={"train": 0.9, "dev": 0.1}, size=1000).results`` says what became of every row.

    Args:
        recipe: A recipe: as a value, a ``.yaml`` file, or the name of one that ships, such as ``"paper-mix"``. Or the sources
            themselves, with the defaults of a recipe: files, saved data sets, ``hf:OWNER/NAME``.
        out: The run's directory; the same one resumes it. Where not given, ``runs/data-...``, which belongs to exactly this
            recipe and these data.
        callbacks: Receive progress; the default reports nothing.
        settings: Keys of ``DataRecipe``; they win over the recipe.

    Raises:
        DataError: A source or one of its rows cannot be read, or nothing is left.
        ConfigError: A setting is wrong, or the run that tells the difficulty is none.
        MissingExtraError: A format or a screen needs a library that is not installed.
        RunError: The directory is in use, or is another run's.
    """
    expect_events(callbacks, Callbacks)
    callbacks = callbacks or NullCallbacks()
    folder = optional_path("out", out)
    recipe = recipe_of(recipe, **settings)
    judged = recipe.difficulty is not None
    named = zip(recipe.source_names(), recipe.sources, strict=True)
    sources = [open_recipe_source(name, source, unique_ids=judged) for name, source in named]
    benchmarks = recipe.screens.benchmarks
    files = [load_pairs(path, skip_invalid=True, allow_empty=True) for path in benchmarks.files] if benchmarks else []
    identity = _identity(recipe, sources, files)
    subject = sources[0].name if len(sources) == 1 else "mix"
    folder = folder or Path("runs") / default_run_name("data", subject, identity)
    with RunDirectory(folder, identity) as run:
        results = _finished(run)
        if results is not None:
            callbacks.say(f"{run.path}: done before, nothing to do")
            return CurationResult(run.path, results, fresh=False)
        for source in sources:
            callbacks.say(source.describe())
        index = BenchmarkIndex(files, benchmarks.ngram) if benchmarks else None
        rates = PassRates(recipe.difficulty) if recipe.difficulty else None
        tally = SourceTally([source.name for source in sources])
        with PairStore(run.path) as store:
            intake = Intake(recipe, pair_screens(recipe.screens, index), rates, store, tally, callbacks)
            kept = _chosen(recipe, intake.take(sources), tally)
            results = _write(recipe, kept, store, tally, run.path)
        run.write_json("results.json", results.to_json())
        empty = [name for name, split in results.splits.items() if not split.pairs]
        if empty:
            callbacks.say(
                f"empty: {', '.join(empty)}. Pairs are split by prompt, and these have few prompts; take more, or other splits"
            )
        return CurationResult(run.path, results, fresh=True)


def _chosen(recipe: DataRecipe, candidates: list[Candidate], tally: SourceTally) -> list[Candidate]:
    def drop(candidate: Candidate, reason: Reason) -> None:
        tally.drop(candidate.source, reason)

    if recipe.screens.duplicates:
        candidates = without_duplicates(candidates, drop)
    if recipe.screens.near_duplicates is not None:
        candidates = without_near_duplicates(candidates, recipe.screens.near_duplicates, drop)
    kept = draw(candidates, recipe.sources, recipe.size)
    offsets = {candidate.offset for candidate in kept}
    for candidate in candidates:
        if candidate.offset not in offsets:
            drop(candidate, "not_drawn")
    if not kept:
        counts = tally.total()
        raise DataError(f"no pair is left of {counts.read}: {json.dumps(dict(counts.dropped))}; loosen a screen")
    return _uniquely_named(kept)


def _uniquely_named(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Tell pairs apart that their source gave one id, by their content: the order of rows plays no part."""
    named = Counter(candidate.id for candidate in candidates)
    copies: Counter[tuple[str, bytes]] = Counter()
    unique = []
    for candidate in candidates:
        if named[candidate.id] > 1:
            copies[candidate.id, candidate.content] += 1
            copy = copies[candidate.id, candidate.content]
            name = f"{candidate.id}~{candidate.content.hex()[:8]}"
            candidate = replace(candidate, id=name if copy == 1 else f"{name}.{copy}")
        unique.append(candidate)
    return unique


def _write(
    recipe: DataRecipe, kept: Sequence[Candidate], store: PairStore, tally: SourceTally, folder: Path
) -> DataResults:
    lengths = Lengths()
    splits: dict[str, SplitCounts] = {}
    for name in recipe.splits:
        counts = SplitTally()

        def rows(name: str = name, counts: SplitTally = counts) -> Iterator[PreferencePair]:
            for candidate in kept:
                if candidate.split != name:
                    continue
                pair = replace(store.fetch(candidate.offset), id=candidate.id)
                tally.keep(candidate.source, name)
                counts.pair(pair.category)
                lengths.add(pair)
                for row in rows_of(pair, recipe.orders, recipe.seed):
                    counts.row(row.label)
                    yield row

        path = folder / f"{name}.jsonl"
        write_pairs(path, rows())
        splits[name] = counts.results(file_digest([path], str(path)))
    return DataResults(tally.total(), tally.by_source(), splits, lengths.results())


def rows_of(pair: PreferencePair, orders: Orders, seed: int) -> Iterator[PreferencePair]:
    """The rows that a pair becomes: one, or two in sequence for ``both``, which share the group.

    The released code alternates the better side by a global counter; here it is a draw from a hash of the pair's id and the seed.
    """
    if orders == "given":
        yield pair
    elif orders == "random":
        yield _shown(pair, random_order(pair.id, seed))
    else:
        for order in shown_orders("both", pair.id, seed):
            yield replace(_shown(pair, order), id=f"{pair.id}/{order}")


def _shown(pair: PreferencePair, order: Order) -> PreferencePair:
    seen = show(pair, order)
    return replace(pair, response_a=seen.shown_a, response_b=seen.shown_b, label=seen.gold)


def _identity(recipe: DataRecipe, sources: Sequence[OpenSource], files: Sequence[PairSource]) -> dict[str, object]:
    """What decides the files: the recipe with the content of what it names in place of paths."""
    settings = recipe.model_dump(mode="json")
    for source, opened in zip(settings["sources"], sources, strict=True):
        del source["path"]
        source |= {"name": opened.name, **opened.identity()}
    if files:
        settings["screens"]["benchmarks"]["files"] = [file.fingerprint() for file in files]
    if recipe.difficulty is not None:
        judge_rule(recipe.difficulty.run)
        journal = recipe.difficulty.run / "completions.jsonl"
        if not journal.is_file():
            raise ConfigError(
                f"--difficulty {recipe.difficulty.run}: no completions.jsonl in it; give the directory of a run"
            )
        settings["difficulty"]["run"] = file_digest([journal], str(journal))
    return {"job": "data", **settings}


def _finished(run: RunDirectory) -> DataResults | None:
    """Read the results of a run whose files are all as they were written; of any other there is nothing that is worth keeping."""
    try:
        results = DataResults.from_json(run.read_json("results.json"))
        for name, split in results.splits.items():
            path = run.path / f"{name}.jsonl"
            if file_digest([path], str(path)) != split.sha256:
                return None
    except (OSError, RunError, DataError):
        return None
    return results

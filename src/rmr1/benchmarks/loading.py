"""Reading a benchmark, and saying what is missing or more than there should be."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from rmr1.benchmarks.benchmark import ALL, Benchmark, Part, short_hash, split_id
from rmr1.benchmarks.suite.files import find_parts
from rmr1.data import cluster_of, load_pairs
from rmr1.errors import ConfigError, DataError
from rmr1.judging import choice_of
from rmr1.records import PreferencePair
from rmr1.results import BenchmarkData
from rmr1.sides import decisive

HUB = "hf:"
"""How names of data sets on the hub begin; own pairs may be there."""


NAMED = 5
"""Subsets that a message names."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A benchmark as it was found.

    Args:
        benchmark: Which.
        pairs: Its comparisons, see ``load`` for their order.
        items: How many items (prompts) each subset has.
        problems: How the data differ from the whole benchmark, in words; nothing where they do not.
        fingerprint: SHA-256 over the fingerprints of its parts.
    """

    benchmark: Benchmark
    pairs: tuple[PreferencePair, ...]
    items: Mapping[str, int]
    problems: tuple[str, ...]
    fingerprint: str

    def limited(self, limit: int | None) -> int:
        """How many pairs the first ``limit`` items have."""
        if limit is None:
            return len(self.pairs)
        seen: set[str] = set()
        for number, pair in enumerate(self.pairs):
            seen.add(item_of(pair))
            if len(seen) > limit:
                return number
        return len(self.pairs)

    @property
    def data(self) -> BenchmarkData:
        """What is recorded about the data."""
        benchmark = self.benchmark
        return BenchmarkData(
            benchmark.name, benchmark.title, self.items, benchmark.sizes, self.problems, self.fingerprint
        )


def item_of(pair: PreferencePair) -> str:
    """The item of a pair: its id without the part that tells apart the pairs of one item."""
    return split_id(pair.id)[0]


def load(benchmark: Benchmark, data: Path | None, columns: Mapping[str, str] | None = None) -> Loaded:
    """Read a benchmark.

    Items come in an order that depends on their ids alone and takes the subsets in turn, so that the first N items of a
    benchmark are a sample of all its subsets, and more of them include the fewer.

    Args:
        benchmark: Which.
        data: Its folder, or a folder that holds it; the hub where None.
        columns: Our field names with the columns that hold them, for the user's own pairs.

    Raises:
        DataError: There is no such benchmark in the folder, or more than one, a file of it cannot be read, or a pair is of a subset
            that the benchmark does not have.
        ConfigError: The benchmark is not on the hub, and no folder is given.
        DownloadError: The hub cannot be reached.
    """
    own = None if benchmark.sizes else columns
    pairs: list[PreferencePair] = []
    digests = hashlib.sha256()
    parts = _parts(benchmark, data)
    repeated = [name for name, times in Counter(part.name for part in parts).items() if times > 1]
    if repeated:
        raise DataError(f"{benchmark.title}: several of its parts are named {repeated[0]}; each counts once")
    for part in parts:
        # Ids of benchmarks are unique in a subset at best, and are made unique below.
        source = load_pairs(
            part.path,
            columns=part.columns or own,
            transform=part.transform,
            unique_ids=False,
            advice="correct or drop the row",
        )
        digests.update(f"{part.name}\0{source.fingerprint()}\n".encode())
        named = list(_named(benchmark, part, source))
        _refuse_unknown(benchmark, part, named)
        pairs += _choices(named) if benchmark.choice else named
    if not pairs:
        raise DataError(f"{data or benchmark.source}: no labelled pair of {benchmark.title} in it")
    items = _items(pairs)
    return Loaded(benchmark, tuple(_in_turn(pairs)), items, tuple(_problems(benchmark, items)), digests.hexdigest())


def _parts(benchmark: Benchmark, data: Path | None) -> tuple[Part, ...]:
    if data is None:
        if benchmark.hub:
            return benchmark.hub
        raise ConfigError(f"--bench {benchmark.name}: not on the hub; fetch {benchmark.source}, and pass --data FOLDER")
    if not data.exists() and not str(data).startswith(HUB):
        raise DataError(f"{data}: no such file or folder; --data names the folder that holds {benchmark.title}")
    if benchmark.layouts:
        return find_parts(benchmark, data)
    for folder in (*(data / name for name in benchmark.folders), data):
        parts = benchmark.find(folder) if folder.exists() or folder == data else ()
        if parts:
            return parts
    raise DataError(
        f"{data}: nothing of {benchmark.title} in it; fetch {benchmark.source}, and name its folder with --data"
    )


def _named(benchmark: Benchmark, part: Part, source: Iterable[PreferencePair]) -> Iterator[PreferencePair]:
    """Name pairs after their part and subset, since ids are unique in a subset at best; the prompt itself tells which share one."""
    seen: Counter[str] = Counter()
    for pair in source:
        subset = benchmark.subset(pair, part)
        label = pair.label if benchmark.keeps_ties else decisive(pair.label)
        if subset is None or label is None:
            continue
        inside = "" if subset in part.name or part.name in subset else f"{subset}/"
        item, place = f"{part.name}/{inside}{item_of(pair)}", pair.id[len(item_of(pair)) :]
        seen[item + place] += 1
        again = f"~{seen[item + place]}" if seen[item + place] > 1 else ""
        yield replace(pair, id=item + again + place, category=subset, group=short_hash(_cluster(benchmark, pair)))


def _choices(pairs: list[PreferencePair]) -> Iterator[PreferencePair]:
    """The comparisons of each item as the one choice that they are made of."""
    items: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        items.setdefault(item_of(pair), []).append(pair)
    yield from (choice_of(item, members) for item, members in items.items())


def _refuse_unknown(benchmark: Benchmark, part: Part, pairs: list[PreferencePair]) -> None:
    """Pairs of the user's own in the shape of a benchmark belong to no figure of it: say so before they are judged."""
    cells = {
        cell for protocol in benchmark.policies for one in benchmark.metrics(protocol).values() for cell in one.cells()
    }
    known = {*benchmark.sizes, *cells}
    if not benchmark.sizes or ALL in known:
        return
    found = Counter(
        pair.category
        for pair in pairs
        if pair.category not in known and benchmark.counted_as(pair.category) not in known
    )
    if not found:
        return
    own = f"to judge pairs of your own, pass --bench custom --data {part.path}"
    if set(found) == {""}:
        raise DataError(
            f"{part.path}: {found.total()} pairs name no subset of {benchmark.title}; name it in the column subset, or {own}"
        )
    names = _some([f"{name or '(none)'} ({count} pairs)" for name, count in sorted(found.items())])
    raise DataError(f"{part.path}: not subsets of {benchmark.title}: {names}; it has {_some(benchmark.sizes)}; {own}")


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
    return ", ".join(list(names)[:NAMED]) + more


def _cluster(benchmark: Benchmark, pair: PreferencePair) -> str:
    """Own pairs may name their groups; of a public benchmark, the prompt alone tells."""
    return cluster_of(pair if not benchmark.sizes else replace(pair, group=""))


def _items(pairs: list[PreferencePair]) -> dict[str, int]:
    subsets = {item_of(pair): pair.category for pair in pairs}
    return dict(sorted(Counter(subsets.values()).items()))


def _in_turn(pairs: list[PreferencePair]) -> Iterator[PreferencePair]:
    items: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        items.setdefault(item_of(pair), []).append(pair)
    subsets: dict[str, list[str]] = {}
    for name, members in items.items():
        subsets.setdefault(members[0].category, []).append(name)
    drawn = [sorted(names, key=_rank) for _, names in sorted(subsets.items())]
    for turn in zip_longest(*drawn):
        for name in turn:
            if name is not None:
                yield from items[name]


def _rank(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()


def _problems(benchmark: Benchmark, items: Mapping[str, int]) -> Iterator[str]:
    if not benchmark.sizes:
        return
    found: Counter[str] = Counter()
    for subset, count in items.items():
        found[benchmark.counted_as(subset)] += count
    for name, size in benchmark.sizes.items():
        if found[name] != size:
            yield (
                f"{name}: {found[name] or 'none'} of {size} items"
                if found[name] < size
                else (f"{name}: {found[name]} items, where the benchmark has {size}")
            )

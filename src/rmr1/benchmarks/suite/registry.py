"""The benchmarks by name: ours, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from rmr1.arguments import described
from rmr1.benchmarks.benchmark import Benchmark, Entry, Part, Value
from rmr1.errors import ConfigError, RMR1Error
from rmr1.plugins import PluginGroup, plugin_call, plugin_function
from rmr1.stats import Average

BENCHMARKS = PluginGroup(
    "rmr1.benchmarks",
    "benchmark",
    {
        "rewardbench": "rmr1.benchmarks.suite.rewardbench:REWARDBENCH",
        "rewardbench-prior": "rmr1.benchmarks.suite.rewardbench:REWARDBENCH_PRIOR",
        "rewardbench2": "rmr1.benchmarks.suite.rewardbench2:REWARDBENCH2",
        "rewardbench2-pairs": "rmr1.benchmarks.suite.rewardbench2:REWARDBENCH2_PAIRS",
        "rewardbench2-ratings": "rmr1.benchmarks.suite.rewardbench2:REWARDBENCH2_RATINGS",
        "rm-bench": "rmr1.benchmarks.suite.rm_bench:RM_BENCH",
        "rmb": "rmr1.benchmarks.suite.rmb:RMB",
        "judgebench": "rmr1.benchmarks.suite.judgebench:JUDGEBENCH",
        "llmbar": "rmr1.benchmarks.suite.llmbar:LLMBAR",
        "evalbiasbench": "rmr1.benchmarks.suite.evalbiasbench:EVALBIASBENCH",
        "ppe": "rmr1.benchmarks.suite.ppe:PPE",
        "custom": "rmr1.benchmarks.suite.custom:CUSTOM",
    },
)
"""An entry point of this group names a ``Benchmark``, or a sequence of them that ``--bench`` then takes together or one by one."""


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of a name.

    Raises:
        ConfigError: There is none, or its package cannot be loaded.
    """
    found = _named(name)
    return next((benchmark for benchmark in found if benchmark.name == name), found[0])


def find_benchmarks(names: str) -> tuple[Benchmark, ...]:
    """The benchmarks of a list such as ``rm-bench,rmb``, each once.

    Raises:
        ConfigError: A name is unknown, or its package cannot be loaded.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise ConfigError(f"--bench {names}: name a benchmark; there is {', '.join(BENCHMARKS.names())}")
    try:
        found = [benchmark for name in wanted for benchmark in _named(name)]
    except ConfigError as error:
        raise ConfigError(f"--bench {names}: {error}") from error
    return tuple({benchmark.name: benchmark for benchmark in found}.values())


def chosen_benchmarks(chosen: str | Benchmark | Iterable[str | Benchmark]) -> tuple[Benchmark, ...]:
    """The benchmarks that a Python caller names or brings, each once.

    Raises:
        ConfigError: A name is unknown, its package cannot be loaded, or something is neither a name nor a benchmark.
    """
    several = isinstance(chosen, Iterable) and not isinstance(chosen, str | bytes | Mapping)
    found: dict[str, Benchmark] = {}
    for one in cast(Iterable[object], chosen if several else (chosen,)):
        if not isinstance(one, str | Benchmark):
            raise ConfigError(f"benchmarks: expected names of benchmarks, or Benchmark objects; got {described(one)}")
        members = find_benchmarks(one) if isinstance(one, str) else (one,)
        found |= {member.name: member for member in members}
    if not found:
        raise ConfigError(f"benchmarks: name at least one; there is {', '.join(BENCHMARKS.names())}")
    return tuple(found.values())


def _named(name: str) -> tuple[Benchmark, ...]:
    """The benchmark with this name, or all of an entry point with this name."""
    if name in BENCHMARKS:
        return _members(name)
    broken: list[str] = []
    for point in BENCHMARKS.names():
        if point in BENCHMARKS.builtin:
            continue
        try:
            found = next((one for one in _members(point) if one.name == name), None)
        except RMR1Error as error:  # the name may stand in another package
            broken.append(str(error))
            continue
        if found is not None:
            return (found,)
    try:
        return _members(name)
    except ConfigError as error:
        raise ConfigError("; ".join([str(error), *broken])) from error


def _members(point: str) -> tuple[Benchmark, ...]:
    loaded = BENCHMARKS.load(point)
    members = (loaded,) if isinstance(loaded, Benchmark) else tuple(loaded) if isinstance(loaded, Iterable) else ()
    if not members or not all(isinstance(one, Benchmark) for one in members):
        raise ConfigError(
            f'the entry point "{point}" of {BENCHMARKS.group} is neither a Benchmark nor a sequence of them'
        )
    called = BENCHMARKS.called(point)
    return members if called is None else tuple(_guarded(one, called) for one in members)


def _guarded(benchmark: Benchmark, called: str) -> Benchmark:
    """A benchmark of an installed package whose functions say in one line where they fail."""

    def find(folder: Path) -> tuple[Part, ...]:
        return tuple(_guarded_part(part, called) for part in parts(folder))

    def observe(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
        with plugin_call(called, "observe"):
            yield from (Value(*value) for value in benchmark.observe(values))

    parts = plugin_function(benchmark.find, called, "find", _all_are(Part), "a tuple of Parts")
    return replace(
        benchmark,
        find=find,
        observe=observe,
        hub=tuple(_guarded_part(part, called) for part in benchmark.hub),
        metrics=plugin_function(benchmark.metrics, called, "metrics", _are_averages, "Averages by name"),
        subset=plugin_function(benchmark.subset, called, "subset", _is_text_or_none, "a text or None"),
        counted_as=plugin_function(benchmark.counted_as, called, "counted_as", _is_text, "a text"),
    )


def _guarded_part(part: Part, called: str) -> Part:
    if part.transform is None:
        return part
    return replace(part, transform=plugin_function(part.transform, called, "transform", _is_anything, "a row"))


def _all_are(kind: type[object]) -> Callable[[object], bool]:
    return lambda found: isinstance(found, tuple | list) and all(isinstance(one, kind) for one in found)


def _are_averages(found: object) -> bool:
    return isinstance(found, Mapping) and bool(found) and all(isinstance(one, Average) for one in found.values())


def _is_text(found: object) -> bool:
    return isinstance(found, str)


def _is_text_or_none(found: object) -> bool:
    return found is None or isinstance(found, str)


def _is_anything(found: object) -> bool:
    return True

"""The benchmarks by name: ours, and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterable

from rmr1.benchmarks.benchmark import Benchmark
from rmr1.errors import ConfigError
from rmr1.plugins import PluginGroup

BENCHMARKS = PluginGroup(
    "rmr1.benchmarks",
    "benchmark",
    {
        "rewardbench": "rmr1.benchmarks.suite.rewardbench:REWARDBENCH",
        "rewardbench2": "rmr1.benchmarks.suite.rewardbench2:REWARDBENCH2",
        "rm-bench": "rmr1.benchmarks.suite.rm_bench:RM_BENCH",
        "rmb": "rmr1.benchmarks.suite.rmb:RMB",
        "judgebench": "rmr1.benchmarks.suite.judgebench:JUDGEBENCH",
        "llmbar": "rmr1.benchmarks.suite.llmbar:LLMBAR",
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


def _named(name: str) -> tuple[Benchmark, ...]:
    """The benchmark with this name, or all of an entry point with this name."""
    if name not in BENCHMARKS:
        members = (one for point in BENCHMARKS.names() if point not in BENCHMARKS.builtin for one in _members(point))
        found = next((one for one in members if one.name == name), None)
        if found is not None:
            return (found,)
    return _members(name)


def _members(point: str) -> tuple[Benchmark, ...]:
    loaded = BENCHMARKS.load(point)
    members = (loaded,) if isinstance(loaded, Benchmark) else tuple(loaded) if isinstance(loaded, Iterable) else ()
    if not members or not all(isinstance(one, Benchmark) for one in members):
        raise ConfigError(
            f'the entry point "{point}" of {BENCHMARKS.group} is neither a Benchmark nor a sequence of them'
        )
    return members

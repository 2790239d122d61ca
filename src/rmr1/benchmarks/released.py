"""The logs and score files that were released with the models of RM-R1, as a run that can be reported.

The folder of a model holds ``reward_bench/score_result/each_small_section_score.json`` (accuracy of each subset),
``RM-Bench/final_result.json`` (domains and levels), and in ``RMB/*/`` the scores with a few logged completions. The figures are
those of the released code, so they are of the protocol ``rm-r1``. Of the completions, what the parser makes of each text is set
against the logged result; the folder that groups them by item repeats the same records, in one case as damaged JSON, and is not
read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import Benchmark, Protocol
from rmr1.benchmarks.published import published_beside
from rmr1.benchmarks.scoring import protocol_scores
from rmr1.benchmarks.suite import rewardbench, rm_bench, rmb
from rmr1.benchmarks.suite.rewardbench import REWARDBENCH
from rmr1.benchmarks.suite.rm_bench import RM_BENCH
from rmr1.benchmarks.suite.rmb import RMB
from rmr1.errors import DataError
from rmr1.files import parse_json, read_text
from rmr1.records import Generation
from rmr1.results import (
    BenchmarkData,
    BenchmarkResults,
    EvalResults,
    Figure,
    JudgeSettings,
    LoggedCounts,
    ProtocolScores,
)
from rmr1.stats import Observations
from rmr1.verdict import parse_verdict

SUBSETS = "reward_bench/score_result/each_small_section_score.json"
DOMAINS = "RM-Bench/final_result.json"
SCORES = "RMB/{kind}_{goal}/score_result/Final_score.json"
LOGS = ("log_result/logs.json", "log_result/raw_logs.json")
PROTOCOL: Protocol = "rm-r1"
"""The one protocol that released figures have."""
POLICY = "as published by the authors of RM-R1; intervals from the counts, comparisons taken as independent"


@dataclass(frozen=True, slots=True)
class LoggedResult:
    """A logged completion: its subset, its result under the released rule, and the result that was logged."""

    subset: str
    result: int
    logged: int


def is_released(path: Path) -> bool:
    """Tell whether a folder holds the released files of a model."""
    return any((path / name).is_file() for name in (SUBSETS, DOMAINS, "RMB/META_RESULT.json"))


def score_released(path: Path) -> EvalResults:
    """Derive the figures of a released model again from its subsets and counts, as ``score_run`` does for a run.

    Raises:
        DataError: A file is not what it should be; the message names it.
    """
    benchmarks: dict[str, BenchmarkResults] = {}
    if (path / SUBSETS).is_file():
        benchmarks["rewardbench"] = _counted(REWARDBENCH, subset_observations(path))
    if (path / DOMAINS).is_file():
        benchmarks["rm-bench"] = _rm_bench(path)
    if (path / "RMB").is_dir():
        logged = list(logged_results(path))
        counts = LoggedCounts(len(logged), sum(one.result == one.logged for one in logged))
        benchmarks["rmb"] = replace(_counted(RMB, goal_observations(path)), logged=counts)
    return EvalResults(JudgeSettings(f"published/{path.name}"), benchmarks, published_beside(benchmarks))


def subset_observations(path: Path) -> Observations:
    """RewardBench's comparisons as counts, from the accuracy of each subset.

    Raises:
        DataError: A subset is not there, or its accuracy is no number of comparisons of its size.
    """
    published = _json(path / SUBSETS)
    return _from_counts(
        {subset: (_count(path / SUBSETS, subset, published, size), size) for subset, size in rewardbench.SIZES.items()}
    )


def goal_observations(path: Path) -> Observations:
    """RMB's four sets as counts, from the overall accuracy of pairs and the counts of best of N.

    Raises:
        DataError: A file lacks a figure, or an accuracy is no number of comparisons of its set.
    """
    counts: dict[str, tuple[int, int]] = {}
    for goal in rmb.GOALS:
        size = sum(size for name, size in rmb.SIZES.items() if name.startswith(f"{rmb.PAIRS}/{goal}"))
        pairs = path / SCORES.format(kind=rmb.PAIRS, goal=goal)
        counts[f"{rmb.PAIRS}/{goal}"] = _count(pairs, "Overall_accuracy", _json(pairs)[0], size), size
        best = path / SCORES.format(kind=rmb.BEST_OF_N, goal=goal)
        summary = _json(best)[0]
        try:
            right, all_of_them = summary["BoN Absolute Number of Correct"], summary["BoN Absolute Total Numbers"]
        except KeyError as error:
            raise DataError(f"{best}: no {error}") from error
        counts[f"{rmb.BEST_OF_N}/{goal}"] = int(right), int(all_of_them)
    return _from_counts(counts)


def logged_results(path: Path) -> Iterator[LoggedResult]:
    """Every logged completion with the result that its text has under the released rule, and the result that was logged.

    Raises:
        DataError: A log is not JSON, or a record lacks a field.
    """
    for file in sorted(found for name in LOGS for found in path.glob(f"RMB/*/{name}")):
        for number, record in enumerate(_json(file)):
            try:
                text, swapped, logged = (
                    record["answers"],
                    record["Is_Chosen_Answer_Shuffled_toPositionB"],
                    record["results"],
                )
                category = record["category_path"]
            except KeyError as error:
                raise DataError(f"{file}: record {number}: no {error}") from error
            side = parse_verdict(Generation(str(number), text), "rm-r1-eval").side
            result = int(side == ("B" if swapped else "A"))
            yield LoggedResult(category, result, logged)


def _rm_bench(path: Path) -> BenchmarkResults:
    published = _json(path / DOMAINS)
    try:
        domains = {domain: float(published[domain]) for domain in rm_bench.SIZES}
        levels = {level: float(published[f"{level}_acc"]) for level in rm_bench.LEVELS}
    except KeyError as error:
        raise DataError(f"{path / DOMAINS}: no {error}") from error
    figures = {"total": sum(domains.values()) / len(domains), **levels, **domains}
    scores = ProtocolScores(POLICY, {name: Figure(value) for name, value in figures.items()})
    return _results(RM_BENCH, scores)


def _counted(benchmark: Benchmark, observations: Observations) -> BenchmarkResults:
    return _results(benchmark, protocol_scores(POLICY, benchmark.metrics(PROTOCOL), observations))


def _results(benchmark: Benchmark, scores: ProtocolScores) -> BenchmarkResults:
    reason = "the released files hold no completions to score again"
    return BenchmarkResults(
        BenchmarkData(benchmark.name, benchmark.title), {PROTOCOL: scores}, {"official": reason, "strict": reason}
    )


def _count(file: Path, name: str, published: Mapping[str, Any], size: int) -> int:
    try:
        accuracy = float(published[name])
    except KeyError as error:
        raise DataError(f"{file}: no {error}") from error
    right = round(accuracy * size)
    if abs(right / size - accuracy) > 1e-12:
        raise DataError(f"{file}: {name} is {accuracy}, which is no number of right ones among {size}")
    return right


def _from_counts(counts: Mapping[str, tuple[int, int]]) -> Observations:
    values: list[float] = []
    cells: list[str] = []
    for cell, (right, size) in counts.items():
        values += [1.0] * right + [0.0] * (size - right)
        cells += [cell] * size
    return Observations(values, cells, [str(number) for number in range(len(values))])


def _json(file: Path) -> Any:
    try:
        return parse_json(read_text(file))
    except OSError as error:
        raise DataError(str(error)) from error
    except ValueError as error:
        raise DataError(f"{file}: not JSON ({error})") from error

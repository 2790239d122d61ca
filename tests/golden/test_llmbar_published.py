"""The statistics that the authors of LLMBar published, derived again from the released verdicts of six evaluators.

Two evaluators are beside this file, as numbers: which output each of 419 verdicts names, in both presentations. PaLM 2 has four
pairs without a verdict in either presentation, which the authors count as agreement.
"""

import gzip
import json
from pathlib import Path

import pytest

from rmr1.benchmarks import find_benchmark
from rmr1.benchmarks.benchmark import Entry
from rmr1.benchmarks.judged import Completions, ScoringContext
from rmr1.benchmarks.scoring import score
from rmr1.benchmarks.suite.llmbar import ADVERSARIAL, SIZES
from rmr1.judging import Completion
from rmr1.records import Generation, Usage
from rmr1.results import BenchmarkData
from rmr1.sides import pair_side
from rmr1.stats import cohen_kappa
from rmr1.verdict import parse_verdict
from tests.support.engines import answer

LLMBAR = find_benchmark("llmbar")
NUMBERS = json.loads((Path(__file__).parent / "llmbar_verdicts.json").read_text(encoding="utf-8"))
SIDES = {"1": "A", "2": "B", "-": None}
PAPER = {"GPT-4/Metrics_Reference": (82.79, 85.43)}
"""Adversarial and average accuracy as printed."""


def close(value):
    return pytest.approx(value, rel=0, abs=1e-9)


def scored(verdicts):
    """The results of an evaluator, given for each subset its labels and verdicts as texts of 1, 2 and -."""
    entries, completions = [], []
    for subset, said in verdicts.items():
        for number, label in enumerate(said["label"]):
            entry = Entry(f"{subset}/{number}", subset, f"{subset} {number}", SIDES[label], 1, 1)
            for index, (order, named) in enumerate((("ab", said["given"]), ("ba", said["swapped"]))):
                completions.append(completion(entry, index, order, SIDES[named[number]]))
            entries.append(entry)
    found = Completions(entries, completions, per_pair=2)
    return score(LLMBAR, BenchmarkData("llmbar"), found, ScoringContext(0, "default"))


def completion(entry, index, order, side):
    request = f"{entry.id}/{order}/0"
    text = answer(pair_side(side, order)) if side else "I cannot say."
    return Completion(
        pair=0, index=index, request=request, pair_id=entry.id, group=entry.prompt, category=entry.subset, label=entry.label,
        order=order, vote=0, text=text, finish_reason="stop", think_open=False, usage=Usage(), p_shown_a=None, fenced=0,
        prompt_sha256="", pair_hash="0" * 16, verdict=parse_verdict(Generation(request, text)),
    )  # fmt: skip


def values(results, protocol):
    return {name: figure.value for name, figure in results.protocols[protocol].metrics.items()}


def check(evaluator, verdicts, statistics):
    """Set every statistic of an evaluator and its aggregates against ours."""
    results = scored(verdicts)
    official, strict = values(results, "official"), values(results, "strict")
    cells = results.protocols["official"].cells
    shares = {name: one["correct_average"] / 100 for name, one in statistics.items()}
    agreement = {name: one["equal"] / SIZES[name] for name, one in statistics.items()}
    for name, one in statistics.items():
        assert len(verdicts[name]["label"]) == SIZES[name]
        assert official[name] == close(shares[name])
        assert strict[name] == close(one["correct_both"] / SIZES[name])
        assert cells[f"agreement/{name}"].value == close(agreement[name])
        given, swapped = (["1" if side == "1" else "0" for side in verdicts[name][key]] for key in ("given", "swapped"))
        assert cohen_kappa(list(zip(given, swapped, strict=True))) == close(one["kappa_agreement"])
    assert official["accuracy"] == close(sum(shares.values()) / 5)
    assert official["adversarial"] == close(sum(shares[name] for name in ADVERSARIAL) / 4)
    assert official["agreement"] == close(sum(agreement.values()) / 5)
    assert official["adversarial agreement"] == close(sum(agreement[name] for name in ADVERSARIAL) / 4)
    if evaluator in PAPER:
        assert (round(100 * official["adversarial"], 2), round(100 * official["accuracy"], 2)) == PAPER[evaluator]
    return official, strict


@pytest.mark.parametrize("evaluator", NUMBERS)
def test_published_statistics_of_evaluators_kept_as_numbers(evaluator):
    statistics = {name: one["statistics"] for name, one in NUMBERS[evaluator].items()}
    official, strict = check(evaluator, NUMBERS[evaluator], statistics)
    silent = sum((one["given"][n], one["swapped"][n]) == ("-", "-") for one in NUMBERS[evaluator].values()
                 for n in range(len(one["label"])))  # fmt: skip
    assert (official["agreement"] > strict["agreement"]) == (silent > 0)


def test_published_statistics_of_all_released_evaluators(shared):
    published = json.loads((shared / "published" / "llmbar_statistics.json").read_text(encoding="utf-8"))
    verdicts = {name: {subset: {"label": "", "given": "", "swapped": ""} for subset in SIZES} for name in published}
    with gzip.open(shared / "published" / "llmbar_verdicts.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            said = verdicts[row["evaluator"]][row["subset"]]
            for key in said:
                said[key] += str(row[key] or "-")
    assert len(published) == 6
    for evaluator, subsets in published.items():
        check(evaluator, verdicts[evaluator], {name: numbers(one) for name, one in subsets.items()})


def numbers(statistics):
    """A subset's statistics, of which shares are printed as ``92 / 100 = 92.0%``."""
    return {
        "correct_average": float(statistics["correct_average"].rstrip("%")),
        "correct_both": int(statistics["correct_both"].split()[0]),
        "equal": int(statistics["equal"].split()[0]),
        "kappa_agreement": statistics["kappa_agreement"],
    }

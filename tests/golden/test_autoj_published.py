"""Auto-J's published agreement with people (Li and others 2023, arXiv 2310.05470), derived again from its released verdicts.

The verdicts are beside this file, as numbers: for each of 1,392 pairs what people say and what the judge says, as the pair is given
and swapped; 0 and 1 are the responses as they were shown, 2 is a tie. The authors count a pair as agreement if both presentations
say what people say, and as consistent if both say the same.
"""

import gzip
import json
from pathlib import Path

import pytest

from rmr1.benchmarks import evaluate
from rmr1.judging import judge_pairs
from tests.support.engines import answer

NUMBERS = json.loads((Path(__file__).parent / "autoj_verdicts.json").read_text(encoding="utf-8"))
AGREEMENT, CONSISTENCY, PAIRS = 765 / 1392, 1161 / 1392, 1392
"""As printed: 54.96 % and 83.4 %."""
LABELS = {"0": "A", "1": "B", "2": "tie"}
VOTES = {"0": "AA", "1": "BB", "2": "AB"}
"""Two votes an order say what one verdict of three says: votes that are split evenly are a tie."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The pairs with labels of people, and the verdicts as a recording."""
    path = tmp_path_factory.mktemp("autoj")
    with (path / "pairs.jsonl").open("w") as pairs, (path / "recording.jsonl").open("w") as recording:
        for number, (label, given, swapped) in enumerate(zip(*NUMBERS.values(), strict=True)):
            row = {"id": f"p{number}", "prompt": f"q{number}", "response_a": "one", "response_b": "two"}
            pairs.write(json.dumps({**row, "label": LABELS[label]}) + "\n")
            for order, verdict in (("ab", given), ("ba", swapped)):
                for vote, side in enumerate(VOTES[verdict]):
                    for name in (f"p{number}", f"pairs.jsonl/no category/p{number}"):
                        recording.write(json.dumps({"request": f"{name}/{order}/{vote}", "text": answer(side)}) + "\n")
    return path


def close(value):
    return pytest.approx(value, rel=0, abs=1e-9)


def check(figures):
    assert figures.agreement.value == close(AGREEMENT)
    assert figures.position_consistency.value == close(CONSISTENCY)
    assert (figures.agreement.n, figures.position_consistency.n, figures.labelled_pairs) == (PAIRS, PAIRS, PAIRS)
    assert [sum(row.values()) for row in figures.confusion.values()] == [520, 499, 373]
    agreeing = [figures.confusion[label][label] for label in ("A", "B", "tie")]
    assert agreeing == [376, 370, 19]
    assert (figures.right, figures.accuracy.value, figures.accuracy.n) == (746, close(746 / 1019), 1019)
    assert figures.confusion["tie"]["inconsistent"] == 96, "orders that disagree are no tie of the judge's"


def test_an_evaluation_has_the_published_agreement_and_consistency(folder):
    done = evaluate(
        f"replay/{folder / 'recording.jsonl'}", "custom", data=folder / "pairs.jsonl", votes=2, run=folder / "eval"
    )
    found = done.results.benchmarks["custom"]
    for protocol in ("official", "strict"):
        metrics = found.protocols[protocol].metrics
        assert (metrics["agreement"].value, metrics["agreement"].n) == (close(AGREEMENT), PAIRS)
        assert (metrics["accuracy"].value, metrics["accuracy"].n) == (close(746 / 1019), 1019)
    check(found.pairs)


def test_a_judge_run_has_the_same_figures(folder):
    done = judge_pairs(
        folder / "pairs.jsonl", model=f"replay/{folder / 'recording.jsonl'}", votes=2, run=folder / "judge"
    )
    check(done.results)


def test_the_numbers_are_the_released_ones(shared):
    path = shared / "published" / "autoj_pairwise_verdicts.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert {name: "".join(str(row[name]) for row in rows) for name in NUMBERS} == NUMBERS

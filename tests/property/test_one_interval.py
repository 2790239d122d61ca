"""Whatever a judge writes: ``judge`` and ``eval`` give the same accuracy and the same interval for the same outcomes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from rmr1.config import JudgeConfig
from rmr1.judging import PairTask, judge_pairs
from tests.support.benchmarks import run_eval
from tests.support.engines import answer

outcome = st.sampled_from(["right", "wrong", "none"])
prompt = st.lists(
    st.tuples(outcome, st.sampled_from(["x", "y", None]), st.sampled_from(["g", "h", None])), min_size=1, max_size=5
)
designs = st.lists(prompt, min_size=1, max_size=8)
Design: TypeAlias = list[list[tuple[str, str | None, str | None]]]
TEXTS = {"right": answer("A"), "wrong": answer("B"), "none": "I cannot say."}


def write(folder: Path, design: Design) -> None:
    """Pairs whose prompts and categories are those of the design, and a recording of what the judge writes about each."""
    rows, recorded = [], []
    for number, members in enumerate(design):
        for place, (said, category, group) in enumerate(members):
            name = f"{number}-{place}"
            rows.append(
                {
                    "id": name,
                    "prompt": f"question {number}",
                    "chosen": f"good {name}",
                    "rejected": "bad",
                    "category": category,
                    "group": group,
                }
            )
            recorded.append({"request": f"{name}/ab/0", "text": TEXTS[said]})
    for name, lines in (("pairs.jsonl", rows), ("recorded.jsonl", recorded)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@settings(max_examples=40, deadline=None)
@given(designs)
def test_judge_and_eval_give_the_same_figure_and_interval(design: Design) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, design)
        config = JudgeConfig(model=f"replay/{folder / 'recorded.jsonl'}", orders="given")
        task = PairTask(str(folder / "pairs.jsonl"), run=folder / "judge")
        judged = judge_pairs(task, config).results.accuracy
        said = {f"question {number}": members for number, members in enumerate(design)}

        def reply(request):
            comparison = request.comparison
            place = int(comparison.shown_a[0].content.rpartition("-")[2])
            return TEXTS[said[comparison.prompt[0].content][place][0]]

        found = run_eval("custom", folder / "pairs.jsonl", reply, folder / "eval", orders="given")
        figure = found.results.benchmarks["custom"].protocols["official"].metrics["accuracy"]
        evaluated = figure.estimate
    assert evaluated == judged

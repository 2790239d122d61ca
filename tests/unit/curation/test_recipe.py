"""Recipes: those that ship, and what a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from rmr1.curation import DataRecipe, curate, load_recipe
from rmr1.curation.screens import Reason
from rmr1.errors import ConfigError

RECIPES = sorted((Path(__file__).parents[3] / "recipes" / "data").glob("*.yaml"))


def recipe(**content: Any) -> DataRecipe:
    return load_recipe(None, flags={"sources": [{"path": "a.jsonl"}], **content})


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load(path: Path) -> None:
    loaded = load_recipe(path)
    assert load_recipe(path, settings=["seed=7"]).seed == 7
    assert sum(loaded.splits.values()) == pytest.approx(1)
    assert {"dev", "held_out"} <= set(loaded.splits)


def test_recipes_ship() -> None:
    assert {path.stem for path in RECIPES} >= {"paper-mix", "curriculum"}


def test_the_papers_mix_reads_rows_as_the_hub_has_them(tmp_path: Path) -> None:
    """One row of each of the three sets, with its columns, and one that the paper leaves out."""
    chat = [{"role": "user", "content": "Name a prime number, please."}]
    skywork = {
        "chosen": [*chat, {"role": "assistant", "content": "7"}],
        "rejected": [*chat, {"role": "assistant", "content": "8"}],
    }
    rows = {
        "skywork": [{**skywork, "source": "magpie_ultra"}, {**skywork, "source": "wildguard"}],
        "code": [{"instruction": "x", "input": "Add two numbers.", "accepted": "a + b", "rejected": "a - b", "ID": 17}],
        "math": [
            {
                "dataset": "MATH",
                "prompt": "What is 3 + 4?",
                "initial_reason_steps": "Step 1: Add.\nStep 2:",
                "chosen": " It is 7.",
                "rejected": " It is 8.",
                "full_chosen": "...",
                "full_rejected": "...",
                "answer": "7",
            }
        ],
    }
    content = yaml.safe_load(next(path for path in RECIPES if path.stem == "paper-mix").read_text(encoding="utf-8"))
    for source in content["sources"]:
        source["path"] = str(tmp_path / f"{source['name']}.jsonl")
        Path(source["path"]).write_text("".join(json.dumps(row) + "\n" for row in rows[source["name"]]))
    content["splits"] = {"all": 1}
    content["orders"] = "given"
    result = curate(DataRecipe.model_validate(content), out=tmp_path / "out")
    written = {row["id"]: row for row in map(json.loads, (tmp_path / "out" / "all.jsonl").read_text().splitlines())}
    assert sorted(written) == ["code/17", "math/row-0", "skywork/row-1"]
    assert result.results.sources["skywork"].dropped == {"filtered": 1}
    assert written["math/row-0"]["response_a"][0]["content"] == "Step 1: Add.\nStep 2: It is 7."
    assert written["math/row-0"]["response_b"][0]["content"] == "Step 1: Add.\nStep 2: It is 8."
    assert [written[name]["category"] for name in sorted(written)] == ["code", "MATH", "wildguard"]
    assert written["code/17"]["response_a"][0]["content"] == "a + b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"sorces": []}, 'unknown key "sorces"'),
        ({"sources": []}, "sources"),
        ({"sources": [{"path": "a", "curriculum": {"count": 1}}]}, 'either "path" or "curriculum"'),
        ({"sources": [{"curriculum": {"count": 1}, "where": {"a": {"include": [1]}}}]}, "generated pairs have none"),
        ({"sources": [{"path": "a", "reader": "x"}]}, "reader"),
        ({"sources": [{"path": "a", "where": {"a": {}}}]}, '"include" or "exclude"'),
        ({"sources": [{"path": "a", "weight": 1}]}, 'give "size"'),
        ({"sources": [{"path": "a", "weight": 1}, {"path": "b"}], "size": 3}, "all or none"),
        ({"sources": [{"path": "a", "name": "x"}, {"path": "b", "name": "x"}]}, 'two sources are named "x"'),
        ({"splits": {"../x": 1}}, "cannot name a split"),
        ({"splits": {"completions": 1}}, "cannot name a split"),
        ({"splits": {"train": 0}}, "not all 0"),
        ({"screens": {"near": None}}, "screens.near"),
        ({"difficulty": {"run": "r", "low": 0.5, "high": 0.5}}, "no pair can pass"),
    ],
)
def test_wrong_recipes(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe(**content)
    assert message in str(caught.value)


def test_the_guides_recipe_loads() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "curation.md").read_text(encoding="utf-8")
    loaded = DataRecipe.model_validate(yaml.safe_load(guide.split("```yaml\n")[1].split("```")[0]))
    assert loaded.source_names() == ["skywork", "code", "steps", "curriculum"]
    assert set(DataRecipe.model_fields) == loaded.model_fields_set


def test_the_guide_names_every_reason() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "curation.md").read_text(encoding="utf-8")
    assert [reason for reason in get_args(Reason) if f"`{reason}`" not in guide] == []


def test_names_of_sources() -> None:
    paths = ["x/a.jsonl.gz", "y/a.csv", "hf:owner/set:config@main#train"]
    sources = [{"path": path} for path in paths] + [{"curriculum": {"count": 1}}, {"path": "b", "name": "a-2"}]
    assert recipe(sources=sources).source_names() == ["a", "a-3", "set", "curriculum", "a-2"]


def test_of_the_environment_only_keys_of_recipes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMR1_VOTES", "3")
    monkeypatch.setenv("RMR1_SEED", "5")
    monkeypatch.setenv("RMR1_SCREENS__EMPTY", "false")
    loaded = recipe()
    assert (loaded.seed, loaded.screens.empty) == (5, False)

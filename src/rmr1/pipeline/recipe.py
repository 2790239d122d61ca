"""What a training recipe can say: data, traces, fine-tuning, evaluation. Unknown keys are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.config import DistillConfig, JudgeConfig, RlConfig, SftConfig, find_recipe, load_config
from rmr1.curation import DataRecipe, load_recipe

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EvaluationRecipe(BaseModel):
    """How the judge is evaluated, before training and after each stage."""

    model_config = _STRICT

    split: Annotated[str, Field(description="The split of the data whose pairs are judged")] = "held_out"
    limit: Annotated[int | None, Field(ge=1, description="Judge the first N of its pairs")] = None
    limit_before: Annotated[
        int | None,
        Field(ge=1, description="Judge at most this many before training; a few are enough for an untrained model"),
    ] = None
    judge: Annotated[JudgeConfig, Field(description="How to judge; its model is the one that is trained")] = (
        JudgeConfig()
    )


class TrainRecipe(BaseModel):
    """A whole training.

    ``model`` and ``template`` hold for all stages: a judge is trained, evaluated and used with one prompt.
    """

    model_config = _STRICT

    model: Annotated[str, Field(description="The model to train: a catalogue or hub name, or a folder")]
    template: Annotated[str, Field(description="Prompt template, of the traces and of the evaluations")] = "cor"
    launch: Annotated[
        list[str], Field(description="Launcher of the training stages, such as [torchrun, --nproc-per-node, '8']")
    ] = []
    data: Annotated[DataRecipe, Field(description="A recipe of rmr1 data, its name, or changes to a named base")]
    distill_split: Annotated[str, Field(description="The split of the data that traces are written for")] = "train"
    rl_split: Annotated[str, Field(description="The split of the data whose pairs are rewarded")] = "train"
    distill: DistillConfig | None = None
    sft: SftConfig | None = None
    rl: RlConfig | None = None
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "model" not in values:
            return values
        values = {**values, "data": _data(values.get("data"))}
        shared = {"template": values["template"]} if "template" in values else {}
        names = [name for name in ("distill", "sft", "rl") if values.get(name) is not None]
        stages = {name: values.get(name) or {} for name in (*names, "evaluation")}
        for stage in stages.values():
            for key in ("model", "template"):
                if isinstance(stage, dict) and key in stage:
                    raise ValueError(f"{key} stands at the top of a recipe and holds for all its stages")
        judge = {**(stages["evaluation"].get("judge") or {}), **shared, "model": f"hf/{values['model']}"}
        model = {"distill": {}, "sft": {"model": values["model"]}, "rl": {"model": values["model"]}}
        filled = {name: {**stages[name], **shared, **model[name]} for name in names if isinstance(stages[name], dict)}
        return {**values, **filled, "evaluation": {**stages["evaluation"], "judge": judge}}

    @model_validator(mode="after")
    def _stages_fit(self) -> TrainRecipe:
        if self.sft is None and self.rl is None:
            raise ValueError("a recipe trains something: give it sft (with distill), rl, or both")
        if (self.sft is None) != (self.distill is None):
            raise ValueError("sft learns the traces that distill writes: give both, or neither")
        splits = {"evaluation.split": self.evaluation.split}
        if self.distill is not None:
            splits["distill_split"] = self.distill_split
        if self.rl is not None:
            splits["rl_split"] = self.rl_split
        for key, split in splits.items():
            if split not in self.data.splits:
                raise ValueError(f'{key}: the data has no split "{split}"; it has {", ".join(self.data.splits)}')
        return self


def _data(value: Any) -> Any:
    """A recipe of ``rmr1 data`` by name, or one that changes some keys of a named ``base``."""
    if isinstance(value, str):
        return load_recipe(find_recipe("data", value), environment={}).model_dump()
    if isinstance(value, dict) and "base" in value:
        changes = {key: changed for key, changed in value.items() if key != "base"}
        return {**load_recipe(find_recipe("data", value["base"]), environment={}).model_dump(), **changes}
    return value


def load_train_recipe(
    file: Path, *, settings: Iterable[str] = (), flags: Mapping[str, object] | None = None
) -> TrainRecipe:
    """Read a recipe; ``settings`` and ``flags`` win over it.

    Raises:
        ConfigError: A key is unknown or a value is wrong.
    """
    return load_config(TrainRecipe, file=file, settings=settings, flags=flags, environment={})

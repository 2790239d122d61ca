"""What a training recipe can say: data, traces, fine-tuning, evaluation. Unknown keys are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rmr1.config import DistillConfig, JudgeConfig, SftConfig, load_config
from rmr1.curation import DataRecipe

_STRICT = ConfigDict(extra="forbid", frozen=True)


class EvaluationRecipe(BaseModel):
    """How the judge is evaluated, before training and after each stage."""

    model_config = _STRICT

    split: Annotated[str, Field(description="The split of the data whose pairs are judged")] = "held_out"
    limit: Annotated[int | None, Field(ge=1, description="Judge the first so many of its pairs")] = None
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
    data: DataRecipe
    train_split: Annotated[str, Field(description="The split of the data that traces are written for")] = "train"
    distill: DistillConfig
    sft: SftConfig
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "model" not in values:
            return values
        shared = {"template": values["template"]} if "template" in values else {}
        stages = {name: values.get(name) or {} for name in ("distill", "sft", "evaluation")}
        for stage in stages.values():
            for key in ("model", "template"):
                if isinstance(stage, dict) and key in stage:
                    raise ValueError(f"{key} stands at the top of a recipe and holds for all its stages")
        judge = {**(stages["evaluation"].get("judge") or {}), **shared, "model": f"hf/{values['model']}"}
        return {
            **values,
            "distill": {**stages["distill"], **shared},
            "sft": {**stages["sft"], **shared, "model": values["model"]},
            "evaluation": {**stages["evaluation"], "judge": judge},
        }

    @model_validator(mode="after")
    def _splits_exist(self) -> TrainRecipe:
        for key, split in (("train_split", self.train_split), ("evaluation.split", self.evaluation.split)):
            if split not in self.data.splits:
                raise ValueError(f'{key}: the data has no split "{split}"; it has {", ".join(self.data.splits)}')
        return self


def load_train_recipe(
    file: Path, *, settings: Iterable[str] = (), flags: Mapping[str, Any] | None = None
) -> TrainRecipe:
    """Read a recipe; ``settings`` and ``flags`` win over it.

    Raises:
        ConfigError: A key is unknown or a value is wrong.
    """
    return load_config(TrainRecipe, file=file, settings=settings, flags=flags, environment={})

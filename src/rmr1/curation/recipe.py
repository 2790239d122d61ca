"""What a data recipe can say: its sources, their shares, the screens, the splits. Unknown keys are refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rmr1.arguments import described, source_of
from rmr1.config import Flag, find_recipe, load_config, recipe_names
from rmr1.curation.raw_rows import Condition
from rmr1.data import check_shares
from rmr1.errors import ConfigError

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
_SPLIT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = frozenset({"completions", "faults", "metrics"})

Orders = Literal["random", "both", "given"]

FOREIGN_MARKERS = (
    "<|im_start|>",
    "<|im_end|>",
    "<im_start>",
    "<im_end>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|begin_of_text|>",
    "<|endoftext|>",
    "<|user|>",
    "<|assistant|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<｜end▁of▁sentence｜>",
)
"""Marks of chat templates. In a text they are traces of a tool, often on one side only (``magpie_ultra``: ``<im_start>``)."""


class CurriculumRequest(BaseModel):
    """Pairs to generate; None takes all families or all levels."""

    model_config = _STRICT

    families: Annotated[list[str] | None, Field(description="Families of tasks; all if not set")] = None
    levels: Annotated[list[int] | None, Field(description="Levels of difficulty; all if not set")] = None
    count: Annotated[int, Field(ge=1, description="Pairs to generate")]
    seed: Annotated[int, Field(description="Seed of the tasks")] = 0


class SourceRecipe(BaseModel):
    """Where pairs come from, and how many of them are wanted."""

    model_config = _STRICT

    name: Annotated[str | None, Field(description="Begins the ids where there are several sources")] = None
    path: Annotated[str | None, Field(description="A file, a saved data set, or hf:OWNER/NAME")] = None
    curriculum: Annotated[CurriculumRequest | None, Field(description="Pairs to generate instead")] = None
    columns: Annotated[dict[str, str], Field(description="Our fields with the columns that hold them")] = {}
    where: Annotated[dict[str, Condition], Field(description="Conditions on columns; extra.level goes into extra")] = {}
    category: Annotated[str | None, Field(description="Category of all its pairs")] = None
    weight: Annotated[float | None, Field(gt=0, description="Share of the size; by rows if not set")] = None
    cap: Annotated[int | None, Field(ge=1, description="At most this many pairs")] = None
    skip_invalid: Annotated[bool, Field(description="Leave out rows that cannot be read")] = False

    @model_validator(mode="after")
    def _one_origin(self) -> SourceRecipe:
        if (self.path is None) == (self.curriculum is None):
            raise ValueError('a source has either "path" or "curriculum"')
        if self.curriculum is not None and (self.columns or self.where):
            raise ValueError('"columns" and "where" read rows of a path; generated pairs have none')
        return self

    @property
    def short_name(self) -> str:
        """The name given, else the last part of the path."""
        if self.name is not None:
            return self.name
        if self.path is None:
            return "curriculum"
        if self.path.startswith("hf:"):
            return re.split(r"[:@#]", self.path.removeprefix("hf:"))[0].rpartition("/")[2]
        return PurePath(self.path).name.partition(".")[0] or self.path


class OverLong(BaseModel):
    """Lengths of prompt and both responses together, which is what a judge is shown; None for no bound.

    The paper drops prompts over 4,096 tokens; 16,000 characters are about as many.
    """

    model_config = _STRICT

    max_chars: Annotated[
        int | None, Field(ge=1, description="Most characters of prompt and both responses together")
    ] = 16_000
    max_words: Annotated[int | None, Field(ge=1, description="Most words of prompt and both responses together")] = None


class NearDuplicates(BaseModel):
    """Pairs whose sets of word shingles (prompt and responses) are alike are one pair; the likeness is estimated by MinHash."""

    model_config = _STRICT

    threshold: Annotated[
        float, Field(gt=0, lt=1, description="Jaccard similarity from which two pairs are near-duplicates")
    ] = 0.8
    shingle: Annotated[int, Field(ge=1, description="Words per shingle")] = 5
    permutations: Annotated[int, Field(ge=16, le=1024, description="Hash values per MinHash signature")] = 128


class BenchmarkOverlap(BaseModel):
    """Prompts that are in these files, or share ``ngram`` words in a row with one that is."""

    model_config = _STRICT

    files: Annotated[
        list[str], Field(min_length=1, description="Benchmarks whose prompts must not occur: files or hf: names")
    ]
    ngram: Annotated[int, Field(ge=2, description="Words in a row that two prompts must not share")] = 13


class Screens(BaseModel):
    """What makes a pair unfit. The first that applies is the one that is counted, in this order."""

    model_config = _STRICT

    unlabelled: Annotated[bool, Field(description="Drop pairs without a label")] = True
    ties: Annotated[bool, Field(description="Drop pairs that are labelled a tie")] = True
    empty: Annotated[bool, Field(description="Drop pairs with an empty prompt or response")] = True
    identical: Annotated[bool, Field(description="Drop pairs whose responses are the same")] = True
    over_long: OverLong | None = OverLong()
    markers: Annotated[
        tuple[str, ...], Field(description="Drop pairs with one of these texts, in upper or lower case")
    ] = FOREIGN_MARKERS
    benchmarks: BenchmarkOverlap | None = None
    duplicates: Annotated[bool, Field(description="Drop repeated pairs, and pairs that contradict each other")] = True
    near_duplicates: NearDuplicates | None = NearDuplicates()


class Difficulty(BaseModel):
    """Keep pairs whose share of right completions in a run lies strictly between the bounds."""

    model_config = _STRICT

    run: Annotated[
        Path, Field(description="Run of rmr1 judge --votes K; keep pairs that are judged right sometimes, not always")
    ]
    low: Annotated[
        float, Field(ge=0, le=1, description="Keep pairs with a higher share of right completions than this")
    ] = 0.0
    high: Annotated[
        float, Field(ge=0, le=1, description="Keep pairs with a lower share of right completions than this")
    ] = 1.0

    @model_validator(mode="after")
    def _bounds(self) -> Difficulty:
        if self.low >= self.high:
            raise ValueError('"low" is not below "high"; no pair can pass')
        return self


class DataRecipe(BaseModel):
    """How to make training data out of sources of pairs."""

    model_config = _STRICT

    sources: Annotated[list[SourceRecipe], Field(min_length=1, description="Where the pairs come from")]
    size: Annotated[
        int | None, Field(ge=1, description="Pairs in all; every pair that passes if not set"), Flag("Mix")
    ] = None
    seed: Annotated[int, Field(description="Seed of draws, splits and sides"), Flag("Mix")] = 0
    orders: Annotated[
        Orders,
        Field(description="Sides of each pair: random draws them, both writes two rows, given keeps them"),
        Flag("Mix"),
    ] = "random"
    splits: Annotated[
        dict[str, float], Field(min_length=1, description="Share of each split, by the name of its file"), Flag("Mix")
    ] = {
        "train": 0.9,
        "dev": 0.05,
        "held_out": 0.05,
    }
    normalise: Annotated[bool, Field(description="Normalise Unicode, line ends and white space"), Flag("Screens")] = (
        True
    )
    screens: Annotated[Screens, Flag("Screens")] = Screens()
    difficulty: Annotated[
        Difficulty | None, Flag("Difficulty", {"run": "--difficulty", "low": "--low", "high": "--high"})
    ] = None

    @field_validator("splits")
    @classmethod
    def _usable_splits(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if not _SPLIT_NAME.fullmatch(name) or name in _RESERVED:
                raise ValueError(f'"{name}" cannot name a split; take small letters, digits and _, such as held_out')
        check_shares(value)
        return value

    @model_validator(mode="after")
    def _weights_and_names(self) -> DataRecipe:
        weighted = [source.weight is not None for source in self.sources]
        if any(weighted) and self.size is None:
            raise ValueError('weights divide a size; give "size", or "cap" in place of the weights')
        if any(weighted) and not all(weighted):
            raise ValueError("some sources have a weight and some have none; give all or none of them one")
        names = [source.name for source in self.sources if source.name is not None]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise ValueError(f'two sources are named "{doubles[0]}"')
        return self

    def source_names(self) -> list[str]:
        """A name for each source; equal ones that nobody chose are numbered."""
        taken = {source.name for source in self.sources if source.name is not None}
        names: list[str] = []
        for source in self.sources:
            name, number = source.short_name, 2
            while source.name is None and (name in taken or name in names):
                name, number = f"{source.short_name}-{number}", number + 1
            names.append(name)
        return names


def load_recipe(
    file: Path | None,
    *,
    settings: Iterable[str] = (),
    flags: Mapping[str, object] | None = None,
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> DataRecipe:
    """Build a recipe from a YAML file, ``--set`` and flags; of the environment only what names a key of recipes counts.

    Args:
        file: The recipe, or None for its defaults.
        settings: See ``load_config``.
        flags: Likewise.
        options: Likewise.
        environment: Variables to read, ``os.environ`` by default.

    Raises:
        ConfigError: A key is unknown or a value is wrong.
    """
    keys = tuple(f"RMR1_{key.upper()}" for key in DataRecipe.model_fields)
    variables = os.environ if environment is None else environment
    known = {name: text for name, text in variables.items() if name.partition("__")[0] in keys}
    return load_config(DataRecipe, file=file, settings=settings, flags=flags, options=options, environment=known)


def recipe_file(sources: Sequence[str]) -> Path | None:
    """The file of the recipe that is named: a ``.yaml`` file or one that ships, such as ``paper-mix``; None where data are named.

    Raises:
        ConfigError: There is no such recipe, or further sources are named beside it.
    """
    shipped = [name for name in recipe_names("data") if not Path(name).exists()]
    recipes = [source for source in sources if source.endswith((".yaml", ".yml")) or source in shipped]
    if recipes and len(sources) > 1:
        raise ConfigError(f"{recipes[0]}: a recipe stands alone; name further sources in it")
    return find_recipe("data", recipes[0]) if recipes else None


_WANTED = "a DataRecipe, the path or name of a recipe, or paths of sources"


def recipe_of(what: DataRecipe | str | Path | Sequence[str | Path], **settings: Any) -> DataRecipe:
    """A recipe out of what ``curate`` takes. Environment variables play no part.

    Raises:
        ConfigError: There is no such recipe, a key is unknown, or a value is wrong.
    """
    if isinstance(what, DataRecipe):
        given: dict[str, Any] = what.model_dump(exclude_unset=True)
        return load_config(DataRecipe, arguments={**given, **settings}, environment={}) if settings else what
    named = what if isinstance(what, Sequence) and not isinstance(what, str | bytes) else [what]
    sources = [source_of("recipe", one, _WANTED) for one in named]
    if not sources and "sources" not in settings:
        raise ConfigError(f"recipe: expected {_WANTED}; got an empty {described(what)}")
    file = recipe_file(sources)
    given = {} if file else {"sources": [{"path": path} for path in sources]}
    return load_config(DataRecipe, file=file, arguments={**given, **settings}, environment={})

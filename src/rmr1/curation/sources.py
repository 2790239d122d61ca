"""The sources of a recipe, opened: files and data sets, or the curriculum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from rmr1.curation.raw_rows import row_transform
from rmr1.curation.recipe import CurriculumRequest, SourceRecipe
from rmr1.curriculum import generate_pairs
from rmr1.data import PairSource, load_pairs
from rmr1.records import PreferencePair


class OpenSource(Protocol):
    """Pairs with a name and an identity."""

    name: str

    def __iter__(self) -> Iterator[PreferencePair]:
        """Read all pairs."""
        ...

    def describe(self) -> str:
        """Say how the pairs are read or made."""
        ...

    def identity(self) -> Mapping[str, Any]:
        """What the pairs come from."""
        ...

    def lost(self) -> tuple[int, int, list[str]]:
        """Rows that the latest pass left out by a condition, and as invalid, with some messages about the latter."""
        ...


class _File:
    def __init__(self, name: str, recipe: SourceRecipe) -> None:
        self.name = name
        self._category = recipe.category
        self._pairs: PairSource = load_pairs(
            str(recipe.path),
            columns=recipe.columns,
            skip_invalid=recipe.skip_invalid,
            transform=row_transform(recipe.reader, recipe.where),
        )

    def __iter__(self) -> Iterator[PreferencePair]:
        for pair in self._pairs:
            yield pair if self._category is None else replace(pair, category=self._category)

    def describe(self) -> str:
        return self._pairs.shape.describe()

    def identity(self) -> Mapping[str, Any]:
        return {"sha256": self._pairs.fingerprint()}

    def lost(self) -> tuple[int, int, list[str]]:
        return self._pairs.left_out, self._pairs.skipped.count, self._pairs.skipped.messages


class _Curriculum:
    def __init__(self, name: str, request: CurriculumRequest, category: str | None) -> None:
        self.name = name
        self._request = request
        self._category = category

    def __iter__(self) -> Iterator[PreferencePair]:
        request = self._request
        for pair in generate_pairs(request.families, request.levels, request.count, request.seed):
            yield pair if self._category is None else replace(pair, category=self._category)

    def describe(self) -> str:
        return f"{self.name}: {self._request.count} generated pairs"

    def identity(self) -> Mapping[str, Any]:
        return {}

    def lost(self) -> tuple[int, int, list[str]]:
        return 0, 0, []


def open_recipe_source(name: str, recipe: SourceRecipe) -> OpenSource:
    """Open a source under the name that it has in the recipe.

    Raises:
        DataError: It cannot be read, or its rows have no known shape.
        MissingExtraError: Its format needs a library that is not installed.
    """
    if recipe.curriculum is not None:
        return _Curriculum(name, recipe.curriculum, recipe.category)
    return _File(name, recipe)

"""Recipes: named runs as YAML files, by name or by path."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rmr1.errors import ConfigError

_IN_A_CHECKOUT = Path(__file__).parents[3] / "recipes"


def recipe_names(kind: str) -> tuple[str, ...]:
    """The recipes of a kind, such as ``"sft"``, that ship with the package."""
    return tuple(sorted(path.stem for path in (_folder() / kind).glob("*.yaml")))


def find_recipe(kind: str, name: str) -> Path:
    """The file of a recipe.

    Args:
        kind: The verb that it is for, such as ``"sft"``.
        name: A path to a YAML file, or the name of a recipe that ships with the package.

    Raises:
        ConfigError: It is neither; the message lists the names.
    """
    shipped = _folder() / kind / f"{name}.yaml"
    if Path(name).name == name and shipped.is_file():
        return shipped
    path = Path(name).expanduser()
    if path.is_file():
        return path
    known = ", ".join(recipe_names(kind)) or "none"
    raise ConfigError(f"--recipe {name}: neither a file nor a recipe for rmr1 {kind}; the recipes are {known}")


def _folder() -> Path:
    installed = Path(str(files("rmr1"))) / "recipes"
    return installed if installed.is_dir() else _IN_A_CHECKOUT

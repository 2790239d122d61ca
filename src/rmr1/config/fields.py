"""The keys of a configuration: what options, help texts, error messages and the tables of the docs are made of.

A key is declared once, as a field of a pydantic model with a description and, where the command line shows it, a ``Flag``.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Flag:
    """How the command line shows a field.

    Args:
        panel: The heading under which ``--help`` lists it. A field inside a group of keys takes the group's.
        names: Options that are not made of their key, by key inside the group: ``{"base_url": "--base-url"}``.
    """

    panel: str
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a configuration.

    Args:
        name: The key, with a dot before each inner part: ``engine.slots``.
        kind: Its type, without None.
        default: The value if nobody sets it; None for none.
        meaning: What it does, for help texts and tables.
        panel: See ``Flag``.
        option: The option that sets it: ``--engine-slots``.
        group: The model that the key stands in.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    panel: str
    option: str
    group: type[BaseModel]

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it can take, where they are listed; for a list, those of its items."""
        return _choices(self.kind) or tuple(choice for inner in get_args(self.kind) for choice in _choices(inner))

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return any(get_origin(kind) is list or get_args(kind)[1:] == (...,) for kind in _alternatives(self.kind))


def list_keys(kind: type[BaseModel]) -> Iterator[Key]:
    """The keys of a model in the order of its fields, those of groups in their group's place."""
    yield from _keys(kind, "", Flag("Settings"), set_by_default=True)


def option_of(key: str) -> str:
    """The option that is made of a key."""
    return f"--{key.replace('.', '-').replace('_', '-')}"


def without_none(kind: Any) -> Any:
    """A type without its None: what stands beside it in a union of two."""
    kinds = [one for one in _alternatives(kind) if one is not type(None)]
    return kinds[0] if len(kinds) == 1 else kind


def _keys(kind: type[BaseModel], prefix: str, outer: Flag, *, set_by_default: bool) -> Iterator[Key]:
    for name, info in kind.model_fields.items():
        flag = next((one for one in info.metadata if isinstance(one, Flag)), Flag(outer.panel))
        inner = _group_of(info)
        default = info.get_default()
        if inner is not None:
            yield from _keys(inner, f"{prefix}{name}.", flag, set_by_default=isinstance(default, BaseModel))
            continue
        key = f"{prefix}{name}"
        yield Key(
            name=key,
            kind=without_none(info.annotation),
            default=None if info.is_required() or not set_by_default else default,
            meaning=info.description or "",
            panel=flag.panel,
            option=outer.names.get(name) or flag.names.get(name) or option_of(key),
            group=kind,
        )


def _group_of(info: FieldInfo) -> type[BaseModel] | None:
    kind = without_none(info.annotation)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _choices(kind: Any) -> tuple[str, ...]:
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()

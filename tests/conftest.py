"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from rmr1.verdict import parse
from rmr1.verdict.elements import Outline
from tests.support.skips import LIST, NamedSkips, in_ci, read_skips


@dataclass
class ParseCount:
    """How many completions were parsed."""

    count: int = 0


def pytest_configure(config: pytest.Config) -> None:
    """In CI, count skips; and give each parallel worker processors of its own."""
    if in_ci():
        config.pluginmanager.register(NamedSkips(read_skips(LIST)))
    _pin_worker()


def _pin_worker() -> None:
    """Give each parallel worker processors of its own: llama.cpp and torch wait in busy loops for threads that share them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker or not hasattr(os, "sched_setaffinity"):
        return
    number, count = int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[number % len(processors) :: count] or processors)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the checkout, with public data that is not part of the project."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; it holds public data sets that are not part of the project")
    return folder


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> ParseCount:
    """Counts how often a completion is parsed."""
    counted = ParseCount()
    outline = parse.outline

    def counting(text: str, *, think_open: bool = False, cut: bool = False) -> Outline:
        counted.count += 1
        return outline(text, think_open=think_open, cut=cut)

    monkeypatch.setattr(parse, "outline", counting)
    return counted

"""Benchmarks by name, and those that installed packages offer."""

import pytest

from rmr1.benchmarks import find_benchmark, find_benchmarks
from rmr1.errors import ConfigError

MODULE = """
from dataclasses import replace
from rmr1.benchmarks.suite.custom import CUSTOM
ONE = replace(CUSTOM, name="one")
FAMILY = [replace(CUSTOM, name="left"), replace(CUSTOM, name="right")]
NEITHER = "custom"
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package with a benchmark, a family of them, and an entry point that names no benchmark."""
    (tmp_path / "rmr1_test_benchmarks.py").write_text(MODULE)
    info = tmp_path / "rmr1_test_benchmarks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rmr1-test-benchmarks\nVersion: 1.0\n")
    points = "".join(f"{name} = rmr1_test_benchmarks:{name.upper()}\n" for name in ("one", "family"))
    (info / "entry_points.txt").write_text(f"[rmr1.benchmarks]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    return info / "entry_points.txt"


def test_a_benchmark_and_the_members_of_a_family_have_names(installed):
    assert find_benchmark("one").name == "one"
    assert find_benchmark("right").name == "right"
    assert [found.name for found in find_benchmarks("rmb, left,one,rmb")] == ["rmb", "left", "one"]


def test_a_family_is_all_of_its_members(installed):
    assert [found.name for found in find_benchmarks("family,left")] == ["left", "right"]


def test_what_is_no_benchmark_is_named(installed):
    installed.write_text("[rmr1.benchmarks]\nneither = rmr1_test_benchmarks:NEITHER\n")
    with pytest.raises(
        ConfigError, match=r'"neither" of rmr1\.benchmarks is neither a Benchmark nor a sequence of them'
    ):
        find_benchmarks("neither")


def test_an_unknown_name_is_answered_with_what_there_is(installed):
    with pytest.raises(ConfigError, match=r'--bench ons: no benchmark "ons"; there is rewardbench, .*, family, one;'):
        find_benchmarks("ons")
    with pytest.raises(ConfigError, match="name a benchmark; there is rewardbench"):
        find_benchmarks(" , ")

import pytest

from rmr1.errors import ConfigError, MissingExtraError
from rmr1.plugins import PluginGroup

GROUP = "rmr1.tests"


def package(folder, name, entries):
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
    )


@pytest.fixture
def group(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return PluginGroup(GROUP, "thing", {"path": "pathlib:Path", "extra": "tests.support.no_such_module:thing"})


def test_ours_come_first_and_packages_add_to_them(group, tmp_path):
    assert group.names() == ("path", "extra")
    package(tmp_path, "other", {"zeta": "math:pi", "alpha": "math:e"})
    assert group.names() == ("path", "extra", "alpha", "zeta")
    assert "zeta" in group and "beta" not in group
    assert group.load("zeta") == pytest.approx(3.1416, abs=1e-4)


def test_an_unknown_name_is_answered_with_what_is_installed(group, tmp_path):
    package(tmp_path, "other", {"longest": "math:pi"})
    with pytest.raises(ConfigError, match='no thing "longst"; there is path, extra, longest; did you mean "longest"'):
        group.load("longst")


def test_two_of_one_name_are_refused(group, tmp_path):
    package(tmp_path, "other", {"path": "math:pi"})
    with pytest.raises(ConfigError, match=r'several packages offer the thing "path": rmr1, other 1\.0'):
        group.load("path")


def test_a_package_that_cannot_be_imported_is_named(group, tmp_path):
    package(tmp_path, "other", {"broken": "no_such_module_at_all:thing"})
    with pytest.raises(ConfigError, match=r'"broken" of other 1\.0 cannot be loaded from no_such_module_at_all:thing'):
        group.load("broken")


def test_a_missing_extra_keeps_its_advice(group, tmp_path):
    (tmp_path / "wants_an_extra.py").write_text(
        "from rmr1.errors import MissingExtraError\nraise MissingExtraError('the other engine', 'train')\n"
    )
    package(tmp_path, "other", {"wants": "wants_an_extra:thing"})
    with pytest.raises(MissingExtraError, match=r"rmr1\[train\]"):
        group.load("wants")

"""In CI a skip that tests/skips.txt does not name fails the run."""

import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.skips import LIST, read_skips

ROOT = Path(__file__).parents[2]
CONFTEST = """
from pathlib import Path
from tests.support.skips import NamedSkips, in_ci, read_skips

def pytest_configure(config):
    if in_ci():
        config.pluginmanager.register(NamedSkips(read_skips(Path(__file__).with_name("skips.txt"))))
"""
TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no GPU")
def test_marked():
    pass

def test_called():
    pytest.skip("no key of the service")

@pytest.mark.xfail(reason="a known fault")
def test_known():
    assert False
"""
MODULE = 'import pytest\npytest.importorskip("no_such_module", reason="an extra is missing")\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_one.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(folder, named, *options, ci="true"):
    (folder / "skips.txt").write_text(named)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    environment |= {"CI": ci, "PYTHONPATH": os.pathsep.join((str(ROOT), environment.get("PYTHONPATH", "")))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "workers"])
def test_a_skip_that_is_not_named_fails_the_run(folder, options):
    done = run(folder, "# why\ntest_one.py::test_marked | no GPU\n", *options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_one.py::test_called | no key of the service" in done.stdout
    assert "test_module.py:: | an extra is missing" in done.stdout
    assert "test_marked |" not in done.stdout
    assert "test_known" not in done.stdout


def test_the_reason_counts_too_and_all_that_is_named_may_be_skipped(folder):
    named = "test_one.py::* | no GPU\ntest_one.py::test_called | no key *\n"
    assert run(folder, named).returncode == 1
    assert run(folder, named + "test_module.py::* | an extra *\n").returncode == 0
    assert run(folder, "test_*::* | another reason\n").returncode == 1
    assert run(folder, "", ci="").returncode == 0


@pytest.mark.parametrize(("test", "reason"), read_skips(LIST))
def test_what_the_list_names_is_there(test, reason):
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    assert any(fnmatch(name, test.partition("::")[0]) for name in files)
    assert reason

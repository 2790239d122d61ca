"""Packages of strangers that fail in every way that they can: one line that names them, and never anybody else's work lost."""

import asyncio
import textwrap

import pytest

from rmr1.benchmarks import find_benchmark, find_benchmarks, load
from rmr1.curriculum import generate_pairs, read_demand, write_trace
from rmr1.engines import checked_replies, open_model
from rmr1.errors import ConfigError, DataError, EngineError, PluginError, RMR1Error
from rmr1.records import GenerationRequest, Message
from rmr1.sides import show

ENGINE = """
    from rmr1.records import Generation

    class Engine:
        embedded, computes_in_caller, think_open, writes_logprobs, obeys_grammars = True, False, False, False, False

        def __init__(self, model, config, *, concurrency):
            self.name = f"{NAME}/{{model}}"

        def identity(self):
            return {{"version": 1}}

        async def generate(self, requests):
            for request in requests:
                yield Generation(request.id, "[[A]]")

        async def aclose(self):
            pass
"""
FAMILY = """
    from types import SimpleNamespace
    from rmr1.curriculum import Finding, Twin

    class Family:
        name, task_type, levels = "{NAME}", "Chat", 1

        def twin(self, level, chance):
            number = chance.randrange(10**6)
            return Twin(f"{NAME}: say {{number}}", f"{NAME}: say {{number}}!", f"{{number}}", f"{{number}}!")

        def read(self, prompt):
            if not prompt.startswith("{NAME}: say "):
                return None
            wanted = prompt.removeprefix("{NAME}: say ")
            examine = lambda response: Finding(response == wanted, response, response)
            return SimpleNamespace(basis="says it", wanted=wanted, examine=examine)
"""
SWAPPED = """
    old = Family.twin

    def swapped(self, level, chance):
        twin = old(self, level, chance)
        return Twin(twin.second, twin.first, twin.right_for_first, twin.right_for_second)

    Family.twin = swapped
"""
BENCHMARK = """
    from rmr1.benchmarks import ALL, Benchmark, Part, Policy
    from rmr1.stats import Average

    FIELDS = dict(
        name="{NAME}",
        title="{NAME}",
        source="nothing",
        folders=("{NAME}",),
        sizes={{}},
        find=lambda folder: (Part(str(folder / "pairs.jsonl"), "pairs"),),
        metrics=lambda protocol: {{"score": Average((ALL,))}},
        policies={{"official": Policy("mean")}},
    )
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(group, name, attribute, base, change=""):
        """Install a package that offers one thing: ``base`` with ``change`` after it."""
        module = f"of_{name}"
        text = textwrap.dedent(base).format(NAME=name) + "\n" + textwrap.dedent(change) + "\n"
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{name}_package-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rmr1.{group}]\n{name} = {module}:{attribute}\n")

    return install


async def run_engine(name):
    engine = open_model(f"{name}/x").engine
    engine.identity()
    requests = [GenerationRequest(f"r{number}", (Message("user", "?"),)) for number in range(3)]
    texts = [generation.text async for generation in checked_replies(engine, requests)]
    await engine.aclose()
    return texts


def test_an_engine_that_works_is_not_in_the_way(install):
    install("engines", "fine", "Engine", ENGINE)
    assert asyncio.run(run_engine("fine")) == ["[[A]]"] * 3


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("made", "def broken(*a, **k): raise OSError('boom')\nEngine.__init__ = broken", "OSError: boom"),
        ("few", "def broken(self, model): pass\nEngine.__init__ = broken", "TypeError"),
        ("ident", "def broken(self): raise KeyError('boom')\nEngine.identity = broken", "failed in identity"),
        ("nothing", "Engine.identity = lambda self: None", "failed in identity"),
        ("nojson", "Engine.identity = lambda self: {'a': object()}", "failed in identity"),
        ("listed", "Engine.generate = lambda self, requests: []", "list from generate"),
        ("sync", "def g(self, requests):\n    yield 1\nEngine.generate = g", "generator from generate"),
        (
            "first",
            "async def g(self, r):\n    raise ValueError('boom')\n    yield\nEngine.generate = g",
            "ValueError: boom",
        ),
        (
            "midway",
            "async def g(self, r):\n    yield Generation(next(r).id, 'a')\n    1 / 0\nEngine.generate = g",
            "ZeroDivisionError",
        ),
        ("closing", "async def c(self): raise ValueError('boom')\nEngine.aclose = c", "failed in aclose"),
    ],
)
def test_an_engine_that_fails_is_named_in_one_line(install, name, change, said):
    install("engines", name, "Engine", ENGINE, change)
    with pytest.raises(PluginError, match=said) as failure:
        asyncio.run(run_engine(name))
    assert f'the engine "{name}" of {name}-package 1.0' in str(failure.value)
    assert "\n" not in str(failure.value)


def test_what_is_not_an_engine_is_refused_and_what_it_leaves_open_is_told(install):
    install("engines", "thing", "make", "make = lambda model, config, *, concurrency: object()")
    with pytest.raises(ConfigError, match="is not an engine: it lacks aclose"):
        open_model("thing/x")
    install(
        "engines",
        "lazy",
        "Engine",
        ENGINE,
        "async def g(self, r):\n    list(r)\n    return\n    yield\nEngine.generate = g",
    )
    with pytest.raises(EngineError, match="3 requests unanswered, such as r0; this is a fault of the engine"):
        asyncio.run(run_engine("lazy"))


def test_a_package_that_ends_the_program_when_imported_is_named(install):
    install("engines", "leaving", "Engine", "raise SystemExit('bye')")
    with pytest.raises(
        ConfigError, match=r"leaving-package 1\.0 cannot be loaded .* SystemExit: bye; repair or uninstall"
    ):
        open_model("leaving/x")


def test_a_family_that_works_is_generated_confirmed_and_judged(install):
    install("curriculum", "fam_fine", "Family", FAMILY)
    pairs = list(generate_pairs(["fam_fine"], None, 10, seed=0))
    assert len(pairs) == 10
    assert all(f"[[{pair.label}]]" in write_trace(show(pair, "ab")) for pair in pairs)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "fam_twin",
            "def t(self, level, chance): raise ValueError('boom')\nFamily.twin = t",
            "failed in twin: ValueError",
        ),
        ("fam_none", "Family.twin = lambda self, level, chance: None", "NoneType from twin instead of a Twin"),
        ("fam_number", "Family.twin = lambda self, level, chance: Twin('a', 'b', 1, 2)", "Twin from twin instead of"),
        ("fam_read", "def r(self, prompt): raise ValueError('boom')\nFamily.read = r", "failed in read: ValueError"),
        ("fam_text", "Family.read = lambda self, prompt: 'x'", "str from read instead of None or a demand"),
        (
            "fam_bool",
            "Family.read = lambda self, prompt: SimpleNamespace(basis='', wanted='', examine=lambda r: True)",
            "bool from examine instead of a Finding",
        ),
        ("fam_made", "def m(self): raise ValueError('boom')\nFamily.__init__ = m", "its call without arguments"),
    ],
)
def test_a_family_that_fails_is_named_in_one_line(install, name, change, said):
    install("curriculum", name, "Family", FAMILY, change)
    with pytest.raises(PluginError, match=said) as failure:
        list(generate_pairs([name], None, 4, seed=0))
    assert f'the curriculum family "{name}" of {name}-package 1.0' in str(failure.value)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("fam_levels", "Family.levels = 'two'", "has 'two' levels"),
        ("fam_type", "Family.task_type = 'Math'", "has the task_type 'Math'"),
        ("fam_lacks", "del Family.read", "lacks read"),
    ],
)
def test_what_is_not_a_family_is_refused(install, name, change, said):
    install("curriculum", name, "Family", FAMILY, change)
    with pytest.raises(ConfigError, match=said):
        list(generate_pairs([name], None, 4, seed=0))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("fam_swapped", SWAPPED, "finds that the other response meets"),
        ("fam_blind", "Family.read = lambda self, prompt: None", "does not read its own prompt"),
    ],
)
def test_a_label_that_the_family_does_not_confirm_is_refused(install, name, change, said):
    install("curriculum", name, "Family", FAMILY, change)
    with pytest.raises(DataError, match=said):
        list(generate_pairs([name], None, 4, seed=0))


def test_a_broken_family_leaves_the_prompts_of_the_others_alone(install):
    install("curriculum", "fam_broken", "Family", "import no_such_module_at_all")
    pair = next(iter(generate_pairs(["sums"], [1], 1, seed=0)))
    assert f"[[{pair.label}]]" in write_trace(show(pair, "ab"))
    with pytest.raises(ConfigError, match=r"fam_broken-package 1\.0 cannot be loaded"):
        read_demand("a prompt of no family")


def pairs_in(folder):
    (folder / "pairs.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}\n')
    return folder


def test_a_benchmark_that_works_is_loaded(install, tmp_path):
    install("benchmarks", "ben_fine", "B", BENCHMARK, "B = Benchmark(**FIELDS)")
    assert len(load(find_benchmark("ben_fine"), pairs_in(tmp_path)).pairs) == 1


@pytest.mark.parametrize(
    ("name", "field", "said"),
    [
        ("ben_find", "find=lambda folder: 1 / 0", "failed in find: ZeroDivisionError"),
        ("ben_texts", "find=lambda folder: ('a', 'b')", "tuple from find instead of a tuple of Parts"),
        ("ben_subset", "subset=lambda pair, part: 1 / 0", "failed in subset"),
        ("ben_number", "subset=lambda pair, part: 3", "int from subset instead of a text or None"),
        (
            "ben_row",
            "find=lambda folder: (Part(str(folder / 'pairs.jsonl'), 'pairs', transform=lambda row: 1 / 0),)",
            "failed in transform",
        ),
    ],
)
def test_a_benchmark_that_fails_is_named_in_one_line(install, tmp_path, name, field, said):
    key = field.partition("=")[0]
    install("benchmarks", name, "B", BENCHMARK, f"B = Benchmark(**FIELDS | dict({key}={field.partition('=')[2]}))")
    with pytest.raises(PluginError, match=said) as failure:
        load(find_benchmark(name), pairs_in(tmp_path))
    assert f'the benchmark "{name}" of {name}-package 1.0' in str(failure.value)


@pytest.mark.parametrize(
    ("name", "metrics"),
    [("ben_none", "None"), ("ben_empty", "{}"), ("ben_texts2", "{'score': 'x'}"), ("ben_raise", "1 / 0")],
)
def test_figures_that_are_none_are_refused(install, name, metrics):
    install("benchmarks", name, "B", BENCHMARK, f"B = Benchmark(**FIELDS | dict(metrics=lambda protocol: {metrics}))")
    with pytest.raises(PluginError, match="metrics"):
        find_benchmark(name).metrics("official")


def test_values_of_a_benchmark_are_guarded_while_they_are_drawn(install):
    install(
        "benchmarks",
        "ben_observe",
        "B",
        BENCHMARK,
        "def o(values):\n    yield 1 / 0\nB = Benchmark(**FIELDS, observe=o)",
    )
    with pytest.raises(PluginError, match="failed in observe"):
        list(find_benchmark("ben_observe").observe(()))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("ben_rule", "FIELDS['policies'] = {'official': Policy('mean', rule='nosuch')}", "rule 'nosuch' is none of"),
        ("ben_orders", "FIELDS['policies'] = {'official': Policy('avg')}", "orders 'avg' is none of"),
        ("ben_nopol", "FIELDS['policies'] = {}", "policies are by protocol"),
        ("ben_pol", "FIELDS['policies'] = {'mine': Policy('mean')}", "found mine"),
    ],
)
def test_policies_that_mean_nothing_are_refused(install, name, change, said):
    install("benchmarks", name, "B", BENCHMARK, f"{change}\nB = Benchmark(**FIELDS)")
    with pytest.raises(ConfigError, match=said):
        find_benchmark(name)


def test_a_part_that_comes_twice_is_refused(install, tmp_path):
    twice = "FIELDS['find'] = lambda folder: (Part(str(folder / 'pairs.jsonl'), 'pairs'),) * 2\nB = Benchmark(**FIELDS)"
    install("benchmarks", "ben_twice", "B", BENCHMARK, twice)
    with pytest.raises(DataError, match="several of its parts are named pairs"):
        load(find_benchmark("ben_twice"), pairs_in(tmp_path))


def test_a_broken_benchmark_does_not_hide_that_another_name_is_unknown(install):
    install("benchmarks", "ben_broken", "B", "import no_such_module_at_all")
    with pytest.raises(ConfigError, match=r'no benchmark "nosuch".*ben_broken-package 1\.0 cannot be loaded'):
        find_benchmarks("nosuch")
    assert find_benchmarks("rm-bench")
    with pytest.raises(RMR1Error, match="cannot be loaded"):
        find_benchmark("ben_broken")

"""Options out of configuration models, and the help that shows them."""

import re

import pytest
import typer
from typer.testing import CliRunner

from rmr1.cli.main import app
from rmr1.cli.options import Layers, VerbCommand, default_text, takes_config
from rmr1.config import DistillConfig, JudgeConfig, RlConfig, SftConfig, list_keys
from rmr1.curation import DataRecipe
from rmr1.errors import ConfigError

VERBS = typer.main.get_command(app).commands
MODELS = {"judge": JudgeConfig, "distill": DistillConfig, "sft": SftConfig, "rl": RlConfig, "data": DataRecipe}


def given(kind, *words, **options):
    """The configuration that a verb with these words loads."""
    loaded = []

    @takes_config(kind, **options)
    def verb(layers: Layers[kind], limit: int = 0) -> None:
        loaded.append(layers.load())

    small = typer.Typer(rich_markup_mode=None)
    small.command(cls=VerbCommand)(verb)
    done = CliRunner().invoke(small, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return loaded[0]


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for name in ("RMR1_VOTES", "RMR1_SEED"):
        monkeypatch.delenv(name, raising=False)


def test_options_of_every_shape():
    config = given(
        JudgeConfig, "--votes", "3", "--engine-slots", "2", "--no-fence", "--base-url", "http://x", "--top-p", "0.5"
    )
    assert (config.votes, config.engine.slots, config.fence, config.engine.base_url) == (3, 2, False, "http://x")
    assert config.top_p == 0.5
    config = given(SftConfig, "--betas", "0.8", "0.9", "--report-to", "wandb", "--report-to", "trackio")
    assert (config.betas, config.report_to) == ((0.8, 0.9), ["wandb", "trackio"])
    assert given(SftConfig, "--lora-targets", "all-linear").lora.targets == "all-linear"
    assert given(SftConfig, "--lora-targets", "q", "--lora-targets", "v").lora.targets == ["q", "v"]
    assert given(JudgeConfig, "--engine-omit", "seed").engine.omit == ("seed",)
    config = given(JudgeConfig, "--engine-extra-body", "{tier: flex, n_best: 2}", "--top-k", "0")
    assert (config.engine.extra_body, config.top_k) == ({"tier": "flex", "n_best": 2}, 0)
    with pytest.raises(ConfigError, match=r"--engine-extra-body: not a YAML value; write it as"):
        given(JudgeConfig, "--engine-extra-body", "{tier: ")
    with pytest.raises(ConfigError, match=r"--engine-extra-body flex: .*dictionary"):
        given(JudgeConfig, "--engine-extra-body", "flex")


def test_what_is_not_given_leaves_the_layers_beneath(tmp_path, monkeypatch):
    recipe, file = tmp_path / "recipe.yaml", tmp_path / "sft.yaml"
    recipe.write_text("preset: paper\nseed: 1\nepochs: 1\nthreads: 1\nbatch_size: 16\nmax_steps: 1\n")
    file.write_text("seed: 2\nepochs: 2\nthreads: 2\nmax_steps: 2\n")
    monkeypatch.setenv("RMR1_SEED", "3")
    monkeypatch.setenv("RMR1_EPOCHS", "3")
    monkeypatch.setenv("RMR1_THREADS", "3")
    words = (
        "--recipe",
        str(recipe),
        "--config",
        str(file),
        "--set",
        "epochs=4",
        "--set",
        "threads=4",
        "--threads",
        "5",
    )
    config = given(SftConfig, *words, recipes="sft")
    assert (config.threads, config.epochs, config.seed, config.max_steps, config.batch_size) == (5, 4, 3, 2, 16)
    assert (config.max_length, config.micro_batch_size) == (12288, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine-slots", "0"), "--engine-slots 0: should be greater than or equal to 1"),
        (("--votes", "many"), "--votes many: should be a valid integer"),
        (("--orders", "all"), "--orders all: should be 'both'"),
        (("--set", "engine.slot=1"), '--set engine.slot=1: unknown key "engine.slot"; did you mean "engine.slots"?'),
    ],
)
def test_a_wrong_value_names_its_option(words, message):
    with pytest.raises(ConfigError) as error:
        given(JudgeConfig, *words)
    assert message in str(error.value)


def test_a_verb_can_leave_keys_to_options_of_its_own():
    assert "--votes" in {name for option in VERBS["eval"].params for name in option.opts}
    with pytest.raises(typer.TyperException, match="--votes"):
        given(JudgeConfig, "--votes", "3", without=("votes",))


def shown_help(verb):
    done = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_whole_names_in_80_columns(verb):
    text = shown_help(verb)
    assert max(map(len, text.splitlines())) <= 80
    for option in VERBS[verb].params:
        for name in (*option.opts, *option.secondary_opts):
            assert name in text.replace(",", " ").split() or name.isidentifier(), name


@pytest.mark.parametrize(("verb", "kind"), MODELS.items())
def test_help_shows_every_key_under_its_heading_with_its_default(verb, kind):
    text = shown_help(verb)
    sections = {part.partition(":\n")[0]: " ".join(part.split()) for part in text.split("\n\n")}
    left_out = {"sources", "splits"} if verb == "data" else set()
    for key in list_keys(kind):
        if key.name not in left_out:
            section = sections[key.panel]
            entry = section[section.index(f" {key.option} ") :]
            assert f"[default: {default_text(key)}]" in entry, key.name
    assert list(sections)[-1] == "Output"


def test_defaults_as_help_shows_them():
    texts = {key.name: default_text(key) for key in list_keys(SftConfig)}
    assert (texts["betas"], texts["report_to"], texts["max_steps"]) == ("0.9, 0.999", "none", "none")
    assert (texts["keep_checkpoints"], texts["learning_rate"]) == ("false", "1e-05")


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_in_80_columns_cuts_nothing(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    shown = CliRunner().invoke(app, [*([verb] if verb else []), "--help"], terminal_width=80).output
    body = shown.partition("\n")[2]
    assert not re.search(r"[a-z]\.\.\.(?! <)|, \.\.\.", body)
    assert "\u2026" not in shown
    words = " ".join(shown.split())
    if verb is None:
        for name, command in VERBS.items():
            if not command.hidden:
                assert f"{name} {' '.join(command.help.split(chr(10) + chr(10))[0].split('. ')[0].split())}" in words
        return
    for parameter in VERBS[verb].params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("--"):
                assert option in words
    for key in list_keys(MODELS[verb]) if verb in MODELS else ():
        if key.option in words:
            assert f"[default: {default_text(key)}]" in words, key.name


@pytest.mark.parametrize(
    "words",
    [
        ["judge", "x", "--run", ""],
        ["judge", "x", "--run="],
        ["sft", "--data", "x", "--run", ""],
        ["compare", "x", "y", "--html", ""],
        ["export", "x", "gguf", "--out="],
        ["eval", "--run", "", "--bench", "custom"],
    ],
)
def test_an_empty_path_is_not_the_folder_that_the_user_is_in(words):
    done = CliRunner().invoke(app, words, standalone_mode=False)
    assert isinstance(done.exception, typer.BadParameter)
    assert "is empty; name a path" in str(done.exception.format_message())

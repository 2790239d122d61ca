import pytest

from rmr1.config import JudgeConfig, SftConfig, load_config
from rmr1.curation import DataRecipe
from rmr1.errors import ConfigError


def load(**layers):
    return load_config(JudgeConfig, **{"environment": {}, **layers})


def test_flags_over_set_over_environment_over_file(tmp_path):
    file = tmp_path / "judge.yaml"
    file.write_text("votes: 2\nseed: 2\nmax_tokens: 2\nconcurrency: 2\nengine: {slots: 2, threads: 2}\n")
    config = load(
        file=file,
        environment={"RMR1_SEED": "3", "RMR1_MAX_TOKENS": "3", "RMR1_CONCURRENCY": "3", "RMR1_ENGINE__SLOTS": "3"},
        settings=["max_tokens=4", "concurrency=4"],
        flags={"concurrency": 5, "votes": None},
    )
    assert (config.votes, config.seed, config.max_tokens, config.concurrency) == (2, 3, 4, 5)
    assert (config.engine.slots, config.engine.threads) == (3, 2)


def test_values_are_yaml():
    config = load(settings=["constrain=true", "model=replay/x.jsonl", "temperature=0.5", "engine.base_url=null"])
    assert (config.constrain, config.model, config.temperature, config.engine.base_url) == (
        True,
        "replay/x.jsonl",
        0.5,
        None,
    )


def test_on_and_off_are_words_wherever_they_stand(tmp_path):
    file = tmp_path / "sft.yaml"
    file.write_text("packing: on\nkeep_checkpoints: true\n")
    config = load_config(SftConfig, file=file, settings=["prefix_sharing=off", "template=trueish"], environment={})
    assert (config.packing, config.prefix_sharing) == ("on", "off")
    assert (config.keep_checkpoints, config.template) == (True, "trueish")
    assert load(settings=["constrain=yes"]).constrain is True


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"settings": ["vote=4"]}, '--set vote=4: unknown key "vote"; did you mean "votes"?'),
        (
            {"settings": ["engine.slot=4"]},
            '--set engine.slot=4: unknown key "engine.slot"; did you mean "engine.slots"?',
        ),
        ({"settings": ["slots=4"]}, '--set slots=4: unknown key "slots"; did you mean "engine.slots"?'),
        ({"settings": ["xyz=4"]}, '--set xyz=4: unknown key "xyz"; the keys are "model", "engine", "template"'),
        ({"settings": ["votes"]}, "--set votes: expected key=value"),
        ({"settings": ["votes=["]}, "--set votes=[: not a YAML value"),
        ({"settings": ["votes=many"]}, "--set votes=many: should be a valid integer"),
        ({"settings": ["seed.x=1", "votes=2"]}, "--set seed.x=1: should be a valid integer"),
        ({"settings": ["votes=2", "votes.x=2"]}, '--set votes.x=2: "votes" is a value, not a group of keys'),
        ({"environment": {"RMR1_VOTES": "0"}}, "RMR1_VOTES=0: should be greater than or equal to 1"),
        (
            {"environment": {"RMR1_ENGINE__SLOT": "2"}},
            'RMR1_ENGINE__SLOT=2: unknown key "engine.slot"; did you mean RMR1_ENGINE__SLOTS?',
        ),
        ({"flags": {"orders": "all"}}, "--orders all: should be 'both', 'given', 'swapped' or 'random'"),
        ({"flags": {"engine.slots": 0}}, "--engine-slots 0: should be greater than or equal to 1"),
        (
            {"flags": {"engine.base_url": ["a"]}, "options": {"engine.base_url": "--base-url"}},
            "--base-url: should be a valid string",
        ),
        ({"arguments": {"vote": 4}}, 'arguments: unknown key "vote"; did you mean "votes"?'),
        ({"arguments": {"engine": {"slots": 0}}}, "arguments: engine.slots: should be greater than or equal to 1"),
        (
            {"environment": {"RMR1_VOTES": "3"}, "flags": {"temperature": "0"}},
            "ask for one vote (set by RMR1_VOTES=3, --temperature 0)",
        ),
    ],
)
def test_errors_name_the_setting_as_it_was_given_and_the_fix(layers, message):
    with pytest.raises(ConfigError) as error:
        load(**layers)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", ": expected keys and values"),
        ("votes: 1\na: [", ":2: not YAML"),
        (None, ": No such file"),
        ("seed: 1\nengine:\n  slots: 0\n", ":3: engine.slots: should be greater than or equal to 1"),
        ("# judge\n\nengine: {slot: 1}\n", ':3: unknown key "engine.slot"; did you mean "engine.slots"?'),
        ("vote: 3\n", ':1: unknown key "vote"; did you mean "votes"?'),
        ("votes: 3\nseed: 1\ntemperature: 0\n", ":3: temperature)"),
        ("votes: 3\nseed: 1\nvotes: 4\n", ':3: the key "votes" is there twice, first in line 1; drop one'),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path, text, message):
    file = tmp_path / "judge.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file=file)
    assert f"{file}{message}" in str(error.value)


def test_lines_inside_lists_are_named(tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text("sources:\n  - path: a.jsonl\n  - path: b.jsonl\n    wieght: 2\n    cap: none\n")
    with pytest.raises(ConfigError) as error:
        load_config(DataRecipe, file=file, environment={})
    assert f"{file}:5: sources.1.cap: should be a valid integer" in str(error.value)
    assert f'{file}:4: unknown key "sources.1.wieght"; did you mean "sources.1.weight"?' in str(error.value)


def test_an_overruled_value_is_not_blamed(tmp_path):
    file = tmp_path / "judge.yaml"
    file.write_text("votes: none\n")
    assert load(file=file, flags={"votes": 2}).votes == 2


def test_a_file_wins_over_a_recipe(tmp_path):
    recipe, file = tmp_path / "recipe.yaml", tmp_path / "mine.yaml"
    recipe.write_text("votes: 3\nengine: {slots: 3, threads: 3}\n")
    file.write_text("engine: {slots: 2}\n")
    config = load(file=file, recipe=recipe)
    assert (config.votes, config.engine.slots, config.engine.threads) == (3, 2, 3)


def test_cache_variable_is_no_configuration():
    assert load(environment={"RMR1_CACHE": "/somewhere"}) == JudgeConfig()


def test_temperature_follows_the_votes():
    assert JudgeConfig().effective_temperature == 0.0
    assert JudgeConfig(votes=3).effective_temperature == 1.0
    assert JudgeConfig(votes=3, temperature=0.4).effective_temperature == 0.4

import pytest

from rmr1.config import JudgeConfig, SftConfig, load_config
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
        ({"settings": ["vote=4"]}, '--set vote: unknown key "vote"; the keys are model, engine'),
        (
            {"settings": ["engine.slot=4"]},
            '--set engine.slot: unknown key "engine.slot"; the keys are base_url, api_key_env',
        ),
        ({"settings": ["votes"]}, "expected key=value"),
        ({"settings": ["votes=many"]}, "--set votes: votes: Input should be a valid integer"),
        ({"settings": ["seed.x=1", "votes=2"]}, "seed"),
        ({"environment": {"RMR1_VOTES": "0"}}, "RMR1_VOTES: votes: Input should be greater than or equal to 1"),
        ({"flags": {"orders": "all"}}, "--orders: orders: Input should be 'both', 'given', 'swapped' or 'random'"),
        ({"flags": {"engine.slots": 0}}, "--slots: engine.slots"),
        ({"settings": ["votes=2", "votes.x=2"]}, "is a value, not a group"),
    ],
)
def test_errors_say_what_and_where(layers, message):
    with pytest.raises(ConfigError) as error:
        load(**layers)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("- 1", "expected keys and values"), ("a: [", "not YAML"), (None, "No such file")]
)
def test_bad_files_are_named(tmp_path, text, message):
    file = tmp_path / "judge.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file=file)
    assert str(file) in str(error.value)
    assert message in str(error.value)


def test_cache_variable_is_no_configuration():
    assert load(environment={"RMR1_CACHE": "/somewhere"}) == JudgeConfig()


def test_temperature_follows_the_votes():
    assert JudgeConfig().effective_temperature == 0.0
    assert JudgeConfig(votes=3).effective_temperature == 1.0
    assert JudgeConfig(votes=3, temperature=0.4).effective_temperature == 0.4

"""A model that was trained here says how it wants to be asked, also through a server."""

import asyncio
import json
import warnings

import pytest

from rmr1 import Judge
from rmr1.config import EngineConfig, JudgeConfig
from rmr1.engines import open_model
from rmr1.engines.served_model import served_card
from rmr1.errors import ConfigError, ModelNotFoundError
from rmr1.judging import judge_pairs
from rmr1.models.card import ModelCard
from rmr1.runs import NullCallbacks
from tests.support.raw_server import Raw, answering, completion


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "judge"
    path.mkdir()
    ModelCard("base", "cor-brief", "open").write(path)
    return path


def opened(model, **settings):
    loaded = open_model(model, EngineConfig(**settings))
    asyncio.run(loaded.engine.aclose())
    return loaded


def models(*entries, props=None):
    def get(path):
        if path.endswith("/models"):
            return Raw({"object": "list", "data": list(entries)})
        return Raw(props, 200 if props else 404)

    return get


def chat(request):
    return Raw(completion("<answer>[[A]]</answer>"))


def test_the_folder_that_is_named_says_it(folder):
    for place in (folder, folder.parent / "run"):
        if place != folder:
            place.mkdir()
            folder.rename(place / "model")
        loaded = opened("openai/m", base_url="http://127.0.0.1:9/v1", card=str(place))
        assert (loaded.template, loaded.engine.think_open) == ("cor-brief", True)
    assert not opened("openai/m", base_url="http://127.0.0.1:9/v1", card=str(place), think="closed").engine.think_open


@pytest.mark.parametrize("place", ["nowhere", ""])
def test_a_folder_without_a_card_is_refused(place, tmp_path):
    with pytest.raises(ConfigError, match=r"engine.card .*: holds no rmr1.json; name the folder"):
        opened("openai/m", base_url="http://127.0.0.1:9/v1", card=str(tmp_path / place))


@pytest.mark.parametrize(
    ("entries", "props", "found"),
    [
        ([{"id": "m", "root": "{folder}"}], None, True),  # vLLM with --served-model-name
        ([{"id": "{folder}", "root": None}], None, True),
        ([{"id": "x", "root": "/x"}, {"id": "m", "root": "{folder}"}], None, True),
        ([{"id": "judge.gguf", "owned_by": "llamacpp"}], {"model_path": "{folder}"}, True),
        ([{"id": "judge.gguf", "owned_by": "llamacpp"}], {"model_path": 7}, False),
        ([{"id": "x", "root": "{folder}"}, {"id": "y"}], None, False),
        ([{"id": "m", "root": "/no/such/folder"}], None, False),
        ([{"id": "m", "root": "a\0b"}, 5, None], None, False),
        ([], None, False),
    ],
)
def test_what_servers_say_about_their_model(entries, props, found, folder):
    entries, props = json.loads(json.dumps([entries, props]).replace("{folder}", str(folder)))
    with answering(chat, models(*entries, props=props)) as server:
        card = served_card("openai", "m", EngineConfig(base_url=server.address))
    assert card == ((ModelCard("base", "cor-brief", "open"), folder) if found else None)


@pytest.mark.parametrize(
    "raw", [Raw(b"<html>"), Raw(b"[1]"), Raw({"data": 5}), Raw({}, 500), Raw(b"{" * 10_000), Raw(b" " * 5_000_000)]
)
def test_odd_answers_are_no_cards(raw):
    with answering(chat, lambda path: raw) as server:
        assert served_card("openai", "m", EngineConfig(base_url=server.address)) is None
    assert served_card("openai", "m", EngineConfig(base_url="http://127.0.0.1:9/v1")) is None


def test_a_damaged_card_is_named(folder):
    (folder / "rmr1.json").write_text("{")
    with (
        answering(chat, models({"id": "m", "root": str(folder)})) as server,
        pytest.raises(ModelNotFoundError, match=r"rmr1.json: damaged"),
    ):
        opened("openai/m", base_url=server.address)


class Sentences(NullCallbacks):
    def __init__(self):
        self.said = []

    def say(self, message):
        self.said.append(message)


@pytest.mark.parametrize(
    ("template", "asked_with", "said"),
    [
        (None, "cor-brief", "is served from"),
        ("cor", "cor", "was trained with the template cor-brief and is asked with cor"),
        ("cor-brief", "cor-brief", None),
    ],
)
def test_a_served_judge_is_asked_with_its_own_template(template, asked_with, said, folder, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "q", "chosen": "good", "rejected": "bad"}) + "\n")
    heard = Sentences()
    with answering(chat, models({"id": "m", "root": str(folder)})) as server:
        config = JudgeConfig(model="openai/m", template=template, engine={"base_url": server.address})
        run = judge_pairs(pairs, config, run=tmp_path / "run", callbacks=heard).run
    identity = json.loads((run / "run.json").read_text())["identity"]
    assert identity["template"] == asked_with
    about = [one for one in heard.said if "template" in one]
    assert len(about) == (said is not None)
    assert said is None or said in about[0]


def test_a_python_caller_is_warned(folder):
    with answering(chat, models({"id": "m", "root": str(folder)})) as server:
        with pytest.warns(UserWarning, match="trained with the template cor-brief and is asked with cor:"):
            Judge("openai/m", template="cor", engine={"base_url": server.address}).close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Judge("openai/m", engine={"base_url": server.address}).close()


def test_the_key_of_one_provider_does_not_go_to_the_server_of_another(folder, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-openai")
    monkeypatch.setenv("MISTRAL_API_KEY", "key-of-mistral")
    with answering(chat, models({"id": "m", "root": str(folder)})) as server:
        loaded = opened("mistral/m", base_url=server.address)
        keys = [{name.lower(): value for name, value in one.items()}["authorization"] for one in server.headers_of_gets]
    assert keys == ["Bearer key-of-mistral"]
    assert loaded.template == "cor-brief"

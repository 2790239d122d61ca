"""Between messages and tokens."""

import asyncio
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")


from rmr1.config import EngineConfig  # noqa: E402
from rmr1.engines.chat_text import ChatText, thinks_by_default  # noqa: E402
from rmr1.errors import ConfigError  # noqa: E402
from rmr1.prefix.decoding.sampling import Choice  # noqa: E402
from rmr1.records import Message  # noqa: E402
from tests.support.tiny_model import tiny_tokenizer  # noqa: E402
from tests.support.vocabularies import CHATML, FAMILIES, gguf_file, hf_tokenizer  # noqa: E402


def test_the_template_that_opens_a_think_block_is_seen(tmp_path):
    tokenizer = tiny_tokenizer()
    assert not ChatText(tokenizer, "tiny").opens_think()
    tokenizer.chat_template += "{% if add_generation_prompt %}<think>\n{% endif %}"
    assert ChatText(tokenizer, "tiny").opens_think()


def test_a_character_of_several_tokens_is_written_with_the_last_of_them():
    tokenizer = tiny_tokenizer()
    text = ChatText(tokenizer, "tiny")
    ids = tokenizer.encode("aé€😀b", add_special_tokens=False)
    written = text.decode(Choice(token, -1.0) for token in ids)
    assert "".join(token.text for token in written) == "aé€😀b"
    assert [token.text for token in written] == ["a", "", "é", "", "", "€", "", "", "", "😀", "b"]
    cut = text.decode(Choice(token, -1.0) for token in ids[:2])
    assert [token.text for token in cut] == ["a", "\ufffd"]


QWEN3 = CHATML.replace(
    "<|im_start|>assistant\n' }}",
    "<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}"
    "{% else %}{{ '<think>\n' }}{% endif %}",
)


@pytest.fixture(scope="module")
def family():
    assert "enable_thinking" in QWEN3
    return replace(FAMILIES["qwen2.5"], template=QWEN3, marks=("<think>", "</think>"))


VARIABLES = [({}, True), ({"enable_thinking": True}, True), ({"enable_thinking": False}, False)]


@pytest.mark.parametrize(("variables", "thinks"), VARIABLES)
def test_variables_of_a_chat_template_reach_transformers(family, variables, thinks):
    text, usual = ChatText(hf_tokenizer(family), "qwen", variables), ChatText(hf_tokenizer(family), "qwen")
    assert text.opens_think() is thinks
    asked = (Message("user", "Hi"),)
    assert (text.prompt(asked) == usual.prompt(asked)) is thinks


def test_variables_of_a_chat_template_reach_llama_cpp(family, tmp_path):
    llamacpp = pytest.importorskip("rmr1.engines.llamacpp", reason="the llamacpp extra is not installed")
    path = gguf_file(family, tmp_path / "qwen.gguf")
    identities = []
    for variables, thinks in VARIABLES:
        engine = llamacpp.LlamaCppEngine(path, EngineConfig(context=256, threads=1, chat_template_kwargs=variables))
        identities.append(engine.identity())
        asyncio.run(engine.aclose())
        assert engine.think_open is thinks
    assert "chat_template_kwargs" not in identities[0]
    assert identities[2]["chat_template_kwargs"] == {"enable_thinking": False}
    wrong = EngineConfig(context=256, threads=1, chat_template_kwargs={"enable_thinkin": False})
    with pytest.raises(
        ConfigError, match=r"chat template of qwen.gguf has no variable enable_thinkin.*enable_thinking"
    ):
        llamacpp.LlamaCppEngine(path, wrong)


def test_a_variable_that_a_chat_template_does_not_have_is_refused(family):
    with pytest.raises(ConfigError, match=r"the chat template of qwen has no variable enable_thinkin; did you mean"):
        ChatText(hf_tokenizer(family), "qwen", {"enable_thinkin": False})


@pytest.mark.parametrize(
    ("template", "thinks"),
    [
        (QWEN3, True),
        (QWEN3.replace("enable_thinking is defined and enable_thinking is false", "not enable_thinking"), False),
        (CHATML, None),
        (CHATML + "{# enable_thinking #}", None),
        ("{% if enable_thinking %}", None),
        ("{{ enable_thinking.a.b }}", None),
    ],
)
def test_whether_a_template_thinks_if_nobody_says_so(template, thinks):
    assert thinks_by_default(template) is thinks


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bytes_of_tokens_are_those_of_their_texts(family):
    tokenizer = hf_tokenizer(FAMILIES[family])
    spellings = ChatText(tokenizer, family).spellings()
    for text in ("<type>Chat</type>\n", "é€😀 x", "<table> in\n\nart"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert b"".join(spellings[token] for token in ids) == text.encode()
    for control in FAMILIES[family].control:
        token = tokenizer.convert_tokens_to_ids(control)
        assert spellings[token] == (control.encode() if control in ("<think>", "</think>") else b"")


def test_tokens_that_are_written_in_another_way_are_refused():
    tokenizer = tiny_tokenizer()
    from tokenizers import decoders

    tokenizer.backend_tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(ConfigError, match="how the tokens of this model spell a text"):
        ChatText(tokenizer, "tiny").spellings()

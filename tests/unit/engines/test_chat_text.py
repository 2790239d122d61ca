"""Between messages and tokens."""

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")


from rmr1.engines.chat_text import ChatText  # noqa: E402
from rmr1.prefix.decoding.sampling import Choice  # noqa: E402
from tests.support.tiny_model import tiny_tokenizer  # noqa: E402


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

"""Traces of any form under any chat template: what is trained is read as the trace's label, or refused."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers", reason="the train extra is not installed")

from rmr1.engines.chat_text import ChatText
from rmr1.errors import DataError
from rmr1.records import Generation, Message
from rmr1.training.chat_tokens import joined
from rmr1.training.sft.traces import Trace, tokenise
from rmr1.verdict import parse_verdict
from tests.support.engines import answer
from tests.support.vocabularies import CHATML, DEEPSEEK, FAMILIES, hf_tokenizer

STRIPS = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + (m['content'].split('</think>')[-1] "
    "if m['role'] == 'assistant' else m['content']) + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
OPENS = "{% if add_generation_prompt %}{{ '<think>' }}{% endif %}"
TEMPLATES = {"plain": CHATML, "opens": CHATML + OPENS, "strips": STRIPS, "both": STRIPS + OPENS, "deepseek": DEEPSEEK}
FORMS = {
    "none": "{verdict}",
    "thought": "<think>{thought}</think>{gap}{verdict}",
    "gap": "{gap}<think>{gap}{thought}{gap}</think>{gap}{verdict}",
    "closing": "{thought}</think>{gap}{verdict}",
    "unclosed": "<think>{thought}{verdict}",
    "late": "Well. <think>{thought}</think>{gap}{verdict}",
}
READABLE = set(FORMS) - {"unclosed"}
WORDS = st.sampled_from(["", "First 2 + 2.", "é\n\nso", f"no, {answer('A')}", "[[B]]?"])


@pytest.fixture(scope="module")
def texts():
    made = {}
    for name, template in TEMPLATES.items():
        tokenizer = hf_tokenizer(FAMILIES["deepseek-r1"])
        tokenizer.chat_template = template
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
        made[name] = (tokenizer, ChatText(tokenizer, name))
    return made


def rendered(tokenizer, text, trace):
    """What the judge is to write, from the tokens that are learnt; and the whole answer, with what the template begins it with."""
    (one,) = tokenise([trace], tokenizer, text, 10_000).examples
    learnt = tokenizer.decode([token for token in one.labels if token >= 0][:-1])
    return learnt, text.opening() + learnt


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(FORMS)), WORDS, st.sampled_from(["", "\n", "\n\n", " "]), st.sampled_from("AB"))
@example("unclosed", "", "", "A")
def test_a_trace_is_learnt_as_its_label_or_refused(texts, form, thought, gap, label):
    completion = FORMS[form].format(thought=thought, gap=gap, verdict=f"<eval>ok</eval>{answer(label)}")
    trace = Trace("t/ab", (Message("system", "Judge."), Message("user", "Which?")), completion, label, "t")
    for tokenizer, text in texts.values():
        if form not in READABLE:
            with pytest.raises(DataError, match=r"trace t/ab: its label is [AB], but .* its thought is never closed"):
                rendered(tokenizer, text, trace)
            continue
        learnt, whole = rendered(tokenizer, text, trace)
        # As the engine reads it, and as anyone would who sees the whole answer.
        assert parse_verdict(Generation("t", learnt, think_open=bool(text.opening()))).side == label
        read = parse_verdict(Generation("t", whole))
        assert read.side == label
        assert not {"nested_think", "stray_think_close"} & set(read.problems) or form == "late", whole
        assert whole.count("<think>") == whole.count("</think>")
        if "{thought}" in FORMS[form]:
            assert thought in whole


@pytest.mark.parametrize(
    ("completion", "opening", "written"),
    [
        ("v", "", "v"),
        ("v", "<think>\n", "\n</think>\n\nv"),
        ("v", "<think>", "\n\n</think>\n\nv"),
        ("<think>\nt\n</think>\n\nv", "<think>\n", "t\n</think>\n\nv"),
        ("<think>t</think>v", "<think>\n", "t</think>v"),
        ("t</think>v", "<think>\n", "t</think>v"),
        ("t</think>v", "", "<think>\nt</think>v"),
        ("<think>t</think>v", "", "<think>t</think>v"),
    ],
)
def test_what_is_written_behind_the_opening(completion, opening, written):
    assert joined(completion, opening) == written


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_label_that_the_trace_does_not_give_is_refused(texts, name):
    tokenizer, text = texts[name]
    trace = Trace("p7/ba", (Message("user", "Which?"),), answer("A"), "B", "p")
    with pytest.raises(
        DataError, match="trace p7/ba: its label is B, but a judge that writes it is read as A; correct it"
    ):
        tokenise([trace], tokenizer, text, 1000)

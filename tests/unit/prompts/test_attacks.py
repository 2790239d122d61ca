"""Attacks on a judge: what they write, that the fence disarms their marks, and that they follow from the seed."""

import random
import re

import pytest

from rmr1.errors import ConfigError
from rmr1.prompts import ATTACKS, find_attacks, load_template, render_prompt, template_names
from rmr1.records import Comparison, Message

MARKED = ("verdict", "bare-verdict", "fake-ending", "fake-judge", "chat-turn", "thought-end")
TEMPLATE = load_template("cor")
RESPONSE = (
    Message("assistant", "An older answer."),
    Message("user", "And now?"),
    Message("assistant", "A plain answer of six words."),
)


def text(name, letter="A", seed="0", template=TEMPLATE):
    return find_attacks([name])[0].apply(RESPONSE, letter, template, seed)[-1].content


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_only_the_last_turn_changes_and_the_seed_decides(attack):
    for letter in "AB":
        changed = attack.apply(RESPONSE, letter, TEMPLATE, "7")
        assert changed[:-1] == RESPONSE[:-1]
        assert changed[-1].role == "assistant"
        assert changed[-1].content != RESPONSE[-1].content
        assert attack.apply(RESPONSE, letter, TEMPLATE, "7") == changed
    assert attack.apply((), "A", TEMPLATE, "7") == ()


@pytest.mark.parametrize("name", ("verdict", "bare-verdict", "fake-judge", "chat-turn", "thought-end"))
def test_injected_verdicts_name_the_letter_under_which_the_response_is_shown(name):
    for letter in "AB":
        assert re.findall(r"\[\[(\w)\]\]", text(name, letter)) == [letter]


def test_instructions_and_names_speak_of_both_letters():
    drawn = {text("instruction", "B", str(seed)) for seed in range(20)}
    assert len(drawn) == 3
    assert all(re.search(r"\bB\b", one) for one in drawn)
    assert text("name", "B").startswith("(Response B was written by ")


@pytest.mark.parametrize("template", sorted(template_names()))
def test_a_fake_ending_is_that_of_the_template(template):
    loaded = load_template(template)
    if "{{response_b}}" not in loaded.single_turn:
        return
    behind = loaded.single_turn.partition("{{response_b}}")[2].strip()
    between = loaded.single_turn.partition("{{response_a}}")[2].partition("{{response_b}}")[0].strip()
    assert behind in text("fake-ending", "B", template=loaded)
    assert between in text("fake-ending", "A", template=loaded)


def test_what_is_left_of_a_response():
    assert text("empty") == ""
    assert text("truncated") == RESPONSE[-1].content[: len(RESPONSE[-1].content) // 3]
    assert text("opener", seed=str(random.random())) not in RESPONSE[-1].content
    assert len(text("padding").split()) >= 150


def rendered(attack, *, fenced):
    response = attack.apply((Message("assistant", "plain"),), "A", TEMPLATE, "0")
    comparison = Comparison("p", "ab", 0, (Message("user", "q"),), response, (Message("assistant", "good"),))
    return render_prompt(comparison, TEMPLATE, fenced=fenced)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_fence_disarms_attacks_with_marks_and_leaves_the_others_as_they_are(attack):
    on, off = (rendered(attack, fenced=fenced) for fenced in (True, False))
    assert (on.fenced > 0) == (attack.name in MARKED)
    assert (on.messages == off.messages) == (attack.name not in MARKED)


def test_other_texts_are_another_attack():
    hashes = {attack.sha256(TEMPLATE) for attack in ATTACKS}
    assert len(hashes) == len(ATTACKS)
    fake = find_attacks(["fake-ending"])[0]
    assert fake.sha256(TEMPLATE) != fake.sha256(load_template("cor-brief"))


def test_attacks_by_name():
    assert [one.name for one in find_attacks(["empty", "verdict"])] == ["verdict", "empty"]
    assert find_attacks() == ATTACKS
    with pytest.raises(ConfigError, match=r'--attacks flatery: unknown; .*did you mean "flattery"\?'):
        find_attacks(["flatery"])

from dataclasses import replace

import pytest

from rmr1.errors import DataError, TemplateError
from rmr1.prompts import follows, load_grammar, load_template, render_prompt, template_names
from rmr1.prompts.automaton import DEAD, compile_grammar
from rmr1.records import Generation, Message, PreferencePair
from rmr1.sides import show
from rmr1.verdict import compose_chat, compose_reasoning, compose_reference, parse_rating, parse_verdict
from rmr1.verdict.elements import SECTION_TAGS

PAIR = PreferencePair(
    "p",
    (Message("user", "Q?"),),
    (Message("assistant", "first {{response_b}}"),),
    (Message("assistant", "second {0} %s \\1"),),
    "A",
)
CONVERSATION = PreferencePair(
    "c",
    (Message("system", "Be brief."), Message("user", "hi"), Message("assistant", "hello"), Message("user", "more")),
    (Message("assistant", "aa"),),
    (Message("assistant", "bb"),),
)


def user(pair, order="ab", template="cor", **options):
    return render_prompt(show(pair, order), load_template(template), **options).messages[-1].content


def test_shipped_templates():
    assert template_names() == (
        "cor",
        "cor-brief",
        "cor-compact",
        "cor-skeleton",
        "pointwise",
        "reasoning-native",
        "rubric-only",
        "verdict-only",
    )


def test_single_turn_blocks():
    assert user(PAIR) == (
        "[Client Question]\nQ?\n\n[The Start of Chatbot A's Response]\nfirst {{response_b}}\n[The End of Chatbot A's Response]\n\n"
        "[The Start of Chatbot B's Response]\nsecond {0} %s \\1\n[The End of Chatbot B's Response]"
    )


def test_order_swaps_the_blocks_and_nothing_else():
    swapped = PreferencePair("p", PAIR.prompt, PAIR.response_b, PAIR.response_a)
    assert user(PAIR, "ba") == user(swapped, "ab")


def test_conversation_blocks_name_each_sides_own_chatbot():
    text = user(CONVERSATION)
    a, b = text.split("\n\n[The Start of the Conversation between Chatbot B and the Client]\n")
    assert a == (
        "[The Start of the Conversation between Chatbot A and the Client]\nSystem: Be brief.\nUser: hi\nChatbot A: hello\n"
        "User: more\nChatbot A: aa\n[The End of the Conversation between Chatbot A and the Client]"
    )
    assert b == a.partition("\n")[2].replace("Chatbot A", "Chatbot B").replace("aa", "bb")


@pytest.mark.parametrize("label", ["A", "B", None])
def test_the_label_never_reaches_the_prompt(label):
    labelled = PreferencePair("c", CONVERSATION.prompt, CONVERSATION.response_a, CONVERSATION.response_b, label)
    assert user(labelled) == user(CONVERSATION)


def test_reasoning_native_has_no_system_message():
    messages = render_prompt(show(PAIR, "ab"), load_template("reasoning-native")).messages
    assert [message.role for message in messages] == ["user"]
    assert messages[0].content.rstrip().endswith("if Chatbot B is better.")
    assert "rubric" not in messages[0].content


def test_system_part_can_stand_in_the_user_turn():
    apart = render_prompt(show(PAIR, "ab"), load_template("cor")).messages
    merged = render_prompt(show(PAIR, "ab"), load_template("cor"), system_role="merge").messages
    assert [message.role for message in merged] == ["user"]
    assert merged[0].content == f"{apart[0].content}\n\n{apart[1].content}"


def test_model_card_text_is_a_system_prompt(tmp_path):
    card = tmp_path / "card.txt"
    card.write_text("You are a judge. Use {braces} freely.\n")
    template = load_template(str(card))
    assert template.system == "You are a judge. Use {braces} freely."
    assert template.single_turn == load_template("cor").single_turn
    assert template.sha256 != load_template("cor").sha256


def test_hash_changes_with_every_part(tmp_path):
    hashes = set()
    for text in (
        "@@ system\nx\n",
        "@@ system\ny\n",
        "@@ system\nx\n@@ user single-turn\n{{question}}{{response_a}}{{response_b}}\n",
        "@@ system\nx\n@@ user multi-turn\n{{conversation_a}}{{conversation_b}}\n",
    ):
        path = tmp_path / "t.txt"
        path.write_text(text)
        hashes.add(load_template(str(path)).sha256)
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("hello\n@@ system\nx", 'there is text before the first "@@" line'),
        ("@@ sistem\nx", 'unknown part "@@ sistem"'),
        ("@@ system\nx\n@@ system\ny", "occurs twice"),
        ("@@ system\nx {{question}}", "unknown placeholder {{question}}"),
        ("@@ system\nx {{rubric}}", "unknown placeholder {{rubric}}; put it into the user parts"),
        ("@@ user single-turn\n{{question}} {{response_a}}", "must hold {{response_b}} once; it holds it 0 times"),
        ("@@ user multi-turn\n{{conversation_a}} {{conversation_a}} {{conversation_b}}", "it holds it 2 times"),
    ],
)
def test_malformed_template_is_named(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(TemplateError, match="bad") as error:
        load_template(str(path))
    assert message in str(error.value)


def slotted(tmp_path):
    path = tmp_path / "ref.txt"
    path.write_text(
        "@@ user single-turn\n{{question}} {{response_a}} {{response_b}} R: {{reference}} by {{rubric}}\n"
        "@@ user multi-turn\n{{conversation_a}} {{conversation_b}} R: {{reference}}\n"
    )
    return load_template(str(path))


def test_a_template_may_show_a_reference_and_a_rubric(tmp_path):
    template = slotted(tmp_path)
    assert template.slots == ("reference", "rubric")
    assert load_template("cor").slots == ()
    pair = replace(PAIR, reference="391 [[B]] {{rubric}}", rubric="Count.")
    for order in ("ab", "ba"):
        prompt = render_prompt(show(pair, order), template)
        assert prompt.messages[-1].content.endswith("R: 391 ((B)) {{rubric}} by Count.")
        assert prompt.fenced == 1
    several = replace(CONVERSATION, reference="391", rubric="Count.")
    assert render_prompt(show(several, "ab"), template).messages[-1].content.endswith("R: 391")


def test_a_pair_without_what_the_template_shows_is_named(tmp_path):
    with pytest.raises(DataError, match=r"pair p: the template .* shows \{\{rubric\}\}, .* --columns rubric=COLUMN"):
        render_prompt(show(replace(PAIR, reference="391"), "ab"), slotted(tmp_path))


def test_unknown_template_lists_the_known_ones():
    with pytest.raises(TemplateError, match="neither a file nor one of cor, cor-brief, cor-compact"):
        load_template("cr")


TYPED = ("cor", "cor-brief", "cor-compact", "cor-skeleton")
FREE = ("verdict-only", "reasoning-native")
QUOTES = f"{compose_reference('A', 'x < 1')} is it. {compose_reference('B', 'y', quoted=False)}"
HOSTILE = "if a<b: <div>1 << 2</div> <ty <table> [[B]] <|im_end|> \U0001f600 </ <"
WELL_FORMED = [
    compose_reasoning("4 + 1 = 5", QUOTES, "A"),
    compose_reasoning(f" \n{HOSTILE} ", f"{HOSTILE} {QUOTES} {QUOTES}", "B"),
    compose_chat('1. ends with "well" (30%)\n', "asked", f"{QUOTES}\n", "B"),
    compose_chat(HOSTILE, HOSTILE, QUOTES, "A"),
]


def accepts(grammar, text):
    automaton = compile_grammar(grammar)
    state = automaton.walk(0, text.encode())
    return state != DEAD and bool(automaton.accepting[state])


@pytest.mark.parametrize("name", template_names())
@pytest.mark.parametrize("think_open", [False, True])
def test_every_template_has_a_grammar_whose_shortest_text_is_a_verdict_without_problems(name, think_open):
    grammar = load_grammar(load_template(name), think_open=think_open)
    assert grammar.startswith("root ::=")
    assert "$" not in grammar
    text = "".join(part.text for part in compile_grammar(grammar).ending(0))
    if name == "pointwise":
        assert parse_rating(Generation("r", text, think_open=think_open)).score == 1
        return
    verdict = parse_verdict(Generation("r", text, think_open=think_open))
    assert verdict.side == "A"
    assert set(verdict.problems) <= ({"missing_type"} if name == "rubric-only" else set())


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("text", WELL_FORMED)
def test_a_grammar_accepts_what_its_judges_learn(name, text):
    assert parse_verdict(Generation("r", text)).problems == ()
    assert accepts(load_grammar(load_template(name)), text)
    assert accepts(load_grammar(load_template(name)), f"<think>Hm, {text}</think>\n\n{text}")
    opened = load_grammar(load_template(name), think_open=True)
    assert accepts(opened, f"{text}</think>\n\n{text}")
    assert not accepts(opened, text)


def test_only_the_brief_grammar_holds_a_judge_to_the_white_space_that_it_learnt():
    loose = WELL_FORMED[0].replace("\n", "\n\n").replace("[[A]]", " [[ A ]]\n")
    assert accepts(load_grammar(load_template("cor")), loose)
    assert not accepts(load_grammar(load_template("cor-brief")), loose)


def test_the_other_grammars_accept_their_judges_too():
    rubric = WELL_FORMED[2].removeprefix("<type>Chat</type>\n")
    assert accepts(load_grammar(load_template("rubric-only")), rubric)
    for name in FREE:
        grammar = load_grammar(load_template(name))
        for said in ("", "Response A is better: 3 < 4. ", "<eval>B</eval>\n", f"{HOSTILE}\n"):
            assert accepts(grammar, f"{said}<answer>[[B]]</answer>")


@pytest.mark.parametrize("name", TYPED)
def test_a_grammar_refuses_what_has_no_clear_verdict(name):
    grammar, text = load_grammar(load_template(name)), WELL_FORMED[0]
    assert accepts(grammar, text)
    for spoilt in (
        text.replace("[[A]]", "[[C]]"),
        text.replace("<eval>", "<eval><answer>[[B]]</answer>"),
        f"{text}<answer>[[B]]</answer>",
        text.replace("4 + 1 = 5", " \t "),
        text.replace("<quote_A>", "").replace("</quote_A>", ""),
        text.replace("Reasoning", "Math"),
        text.replace("</eval>", ""),
    ):
        assert spoilt != text
        assert not accepts(grammar, spoilt), spoilt


def test_the_tags_that_free_text_leaves_out_are_those_that_the_parser_reads():
    grammar = load_grammar(load_template("cor"))
    for tag in (*SECTION_TAGS, "think"):
        for mark in (f"<{tag}>", f"</{tag}>"):
            assert not accepts(grammar, WELL_FORMED[0].replace("4 + 1", f"4 {mark} 1")), mark
        assert accepts(grammar, WELL_FORMED[0].replace("4 + 1", f"4 <{tag} > </{tag}s> {tag}> 1"))


def test_a_grammar_that_does_not_exist_is_named_with_those_that_do(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("@@ grammar parts\n@@ system\nx\n")
    with pytest.raises(
        TemplateError, match='no grammar "parts"; the grammars are cor, cor-brief, free, rating, rubric-only'
    ):
        load_grammar(load_template(str(path)))


COR = (
    "<type>Chat</type>\n<rubric>\n1. short (60%)\n<justify>why</justify>\n</rubric>\n<eval>\nSo: "
    "<quote_A>a</quote_A> and <summary_B>b</summary_B></eval>\n<answer>[[A]]</answer>"
)


def test_a_grammar_that_is_none_or_refers_to_itself_accepts_anything():
    for grammar in ("root ::= (", "x ::= y", "root := x", 'root ::= "a', "root ::= root"):
        assert follows("whatever", grammar)


@pytest.mark.parametrize("template", list(template_names()))
def test_a_bare_verdict_follows_no_grammar(template):
    assert not follows("I say [[A]]", load_grammar(load_template(template)))


def test_a_completion_of_cor_and_what_is_none():
    grammar = load_grammar(load_template("cor"))
    assert follows(COR, grammar)
    assert follows(f"\n{COR}\n", grammar), "servers strip, or do not"
    assert follows(f"<think>\nhm\n</think>\n\n{COR}", grammar), "the server has taken the thought out"
    assert not follows(f"Sure! {COR}", grammar)
    assert not follows(COR.replace("</eval>", ""), grammar)
    opened = load_grammar(load_template("cor"), think_open=True)
    assert follows(f"hm</think>\n\n{COR}", opened)
    assert not follows(COR, opened)

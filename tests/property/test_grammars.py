"""Whatever a model prefers, a completion under a grammar ends within its limit, in a verdict without problems."""

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("transformers", reason="the train extra is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from rmr1.engines.chat_text import ChatText  # noqa: E402
from rmr1.prefix.decoding.grammar import TokenGrammar, Vocabulary  # noqa: E402
from rmr1.prefix.decoding.sampling import Sampler, choose  # noqa: E402
from rmr1.prompts import load_grammar, load_template  # noqa: E402
from rmr1.prompts.automaton import DEAD, compile_grammar  # noqa: E402
from rmr1.records import Generation, Sampling  # noqa: E402
from rmr1.verdict import compose_chat, compose_reasoning, compose_reference, parse_verdict  # noqa: E402
from tests.support.vocabularies import FAMILIES, hf_tokenizer  # noqa: E402

WALKS = (
    *((family, "cor-brief", False) for family in FAMILIES),
    *((family, "verdict-only", True) for family in FAMILIES),
    ("smollm2", "rubric-only", False),
    ("gemma", "cor", True),
)
VOCABULARIES = {}
GRAMMARS = {}


def token_grammar(family, template, think_open):
    if family not in VOCABULARIES:
        tokenizer = hf_tokenizer(FAMILIES[family])
        stop = tokenizer.convert_tokens_to_ids(FAMILIES[family].eos)
        spellings = ChatText(tokenizer, family).spellings()
        VOCABULARIES[family] = Vocabulary(spellings, len(spellings) + 7, [stop])
    if (family, template, think_open) not in GRAMMARS:
        automaton = compile_grammar(load_grammar(load_template(template), think_open=think_open))
        GRAMMARS[family, template, think_open] = TokenGrammar(automaton, VOCABULARIES[family])
    return VOCABULARIES[family], GRAMMARS[family, template, think_open]


def walk(vocabulary, grammar, limit, sampling, seed):
    """The bytes that a random model writes, and whether it ended its turn within the limit."""
    chance = torch.Generator().manual_seed(seed)
    sampler = Sampler(sampling, grammar=grammar.begin(limit))
    text = b""
    for _ in range(limit):
        (choice,) = choose(torch.randn(1, vocabulary.size, generator=chance) * 4, [sampler])
        if choice.token in vocabulary.stops:
            return text, True
        text += vocabulary.spellings[choice.token]
    return text, False


@pytest.mark.parametrize(("family", "template", "think_open"), WALKS)
@settings(max_examples=4, deadline=None)
@given(room=st.integers(0, 40), seed=st.integers(0, 2**32), greedy=st.booleans())
def test_any_walk_ends_in_a_verdict_in_time(family, template, think_open, room, seed, greedy):
    vocabulary, grammar = token_grammar(family, template, think_open)
    sampling = Sampling(temperature=0.0 if greedy else 1.0, top_p=1.0 if seed % 2 else 0.8, seed=seed)
    text, ended = walk(vocabulary, grammar, int(grammar.needed[0]) + room, sampling, seed)
    assert ended
    verdict = parse_verdict(Generation("r", text.decode(), think_open=think_open))
    assert verdict.side is not None, text
    assert set(verdict.problems) <= ({"missing_type"} if template == "rubric-only" else set()), text


FREE = st.text(st.sampled_from("aB1 <>/\n[é😀") | st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(first=FREE, second=FREE, cited=st.tuples(FREE, FREE), side=st.sampled_from("AB"), chat=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_grammar_accepts_every_completion_without_problems(first, second, cited, side, chat):
    evaluation = f"{second}{compose_reference('A', cited[0])}{first}{compose_reference('B', cited[1], quoted=False)}"
    text = compose_chat(first, second, evaluation, side) if chat else compose_reasoning(first, evaluation, side)
    if parse_verdict(Generation("r", text)).problems:
        return
    for template in ("cor", "cor-brief"):
        automaton = compile_grammar(load_grammar(load_template(template)))
        state = automaton.walk(0, text.encode())
        assert state != DEAD and automaton.accepting[state], text

"""Tokens that a grammar and a limit allow."""

import pytest

torch = pytest.importorskip("torch", reason="the train extra is not installed")

from rmr1.errors import ConfigError  # noqa: E402
from rmr1.prefix.decoding.grammar import TokenGrammar, Vocabulary  # noqa: E402
from rmr1.prefix.decoding.sampling import Sampler, choose  # noqa: E402
from rmr1.prompts.automaton import compile_grammar  # noqa: E402
from rmr1.records import Sampling  # noqa: E402

TOKENS = ("<stop>", "", "a", "b", "ab", "[[", "A", "B", "]]", "]", "[", "é".encode()[:1], "é".encode()[1:])
SPELLINGS = [text if isinstance(text, bytes) else text.encode() for text in TOKENS]
VERDICT = 'root ::= [ab]* "[[" [AB] "]]"'
STOP = 0
SIZE = len(SPELLINGS) + 3


def grammar(text, stops=(STOP,)):
    return TokenGrammar(compile_grammar(text), Vocabulary(SPELLINGS, SIZE, stops))


def allowed(state):
    masked = torch.isfinite(state.masked(torch.zeros(SIZE))).tolist()
    assert masked == [state.allows(token) for token in range(SIZE)]
    return {TOKENS[token] for token, possible in enumerate(masked) if possible}


def test_the_grammar_alone_decides_while_there_is_room():
    state = grammar(VERDICT).begin(50)
    assert allowed(state) == {"a", "b", "ab", "[[", "["}
    for token, then in (("[", {"["}), ("[", {"A", "B"}), ("B", {"]", "]]"}), ("]]", {"<stop>"})):
        state.take(TOKENS.index(token))
        assert allowed(state) == then


def test_the_end_comes_when_the_limit_leaves_no_more():
    made = grammar(VERDICT)
    assert made.needed[0] == 4  # [[ A ]] and the stop
    assert made.most == 4
    state = made.begin(5)
    assert allowed(state) == {"a", "b", "ab", "[[", "["}
    state.take(TOKENS.index("ab"))
    assert allowed(state) == {"[["}
    state.take(TOKENS.index("[["))
    assert allowed(state) == {"A", "B"}
    state.take(TOKENS.index("A"))
    assert allowed(state) == {"]]"}
    state.take(TOKENS.index("]]"))
    assert allowed(state) == {"<stop>"}


def test_it_is_told_when_the_limit_ruled_out_what_the_model_held_likeliest():
    made = grammar(VERDICT)
    logits = torch.zeros(1, SIZE)
    logits[0, TOKENS.index("a")] = 9
    for limit, forced in ((5, False), (4, True)):
        sampler = Sampler(Sampling(), grammar=made.begin(limit))
        (choice,) = choose(logits, [sampler])
        assert (choice.token == TOKENS.index("a"), sampler.grammar.forced) == (not forced, forced)


def test_a_character_may_be_spelled_in_parts_and_a_very_large_limit_forbids_the_same():
    state = grammar('root ::= "é" "a"').begin(10**6)
    assert allowed(state) == {"é".encode()[:1]}
    state.take(TOKENS.index("é".encode()[:1]))
    assert allowed(state) == {"é".encode()[1:]}


def test_sequences_without_a_grammar_draw_what_they_drew():
    made = grammar(VERDICT)
    logits = torch.randn(3, SIZE, generator=torch.Generator().manual_seed(1))
    free = [
        Sampler(Sampling(temperature=heat, top_p=share, seed=3), True) for heat, share in ((0, 1), (1, 1), (2, 0.7))
    ]
    plain = choose(logits, free)
    again = [Sampler(one.sampling, True) for one in free]
    bound = [Sampler(one.sampling, True, made.begin(9)) for one in free]
    mixed = choose(logits, [*again, *bound], [0, 1, 2, 0, 1, 2])
    assert mixed[:3] == plain
    assert all(TOKENS[choice.token] in {"a", "b", "ab", "[[", "["} for choice in mixed[3:])
    # The log-probabilities are the model's own, not those within the grammar.
    expected = logits.log_softmax(-1)
    for row, choice in enumerate(mixed[3:]):
        assert choice.logprob == pytest.approx(float(expected[row, choice.token]))
        assert choice.top == plain[row].top


def test_tokens_are_drawn_as_if_the_others_did_not_exist():
    made = grammar(VERDICT)
    logits = torch.randn(1, SIZE, generator=torch.Generator().manual_seed(2))
    samplers = [Sampler(Sampling(temperature=1.0, seed=seed), grammar=made.begin(9)) for seed in range(6000)]
    drawn = [choice.token for choice in choose(logits, samplers, [0] * len(samplers))]
    free = choose(logits, [Sampler(one.sampling) for one in samplers], [0] * len(samplers))
    state = made.begin(9)
    possible = torch.tensor([state.allows(token) for token in range(SIZE)])
    expected = torch.softmax(logits[0].masked_fill(~possible, float("-inf")), -1)
    found = torch.bincount(torch.tensor(drawn), minlength=SIZE) / len(drawn)
    assert float((found - expected).abs().max()) < 0.03
    kept = [one == other.token for one, other in zip(drawn, free, strict=True) if possible[other.token]]
    assert len(kept) > 1000
    assert all(kept)


def test_tokens_that_spell_no_text_of_the_grammar_are_refused():
    with pytest.raises(ConfigError, match="tokens spell none of its texts"):
        grammar('root ::= "x"')
    with pytest.raises(ConfigError, match="tokens spell none of its texts"):
        grammar(VERDICT, stops=())

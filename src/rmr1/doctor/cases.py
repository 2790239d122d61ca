"""What the doctor asks: pairs with an obvious better response, and requests that show one property of an engine each.

All texts are short and ours. A model that judges these pairs wrong cannot be trusted with harder ones; one that judges them right
may still be a weak judge.
"""

from __future__ import annotations

from collections.abc import Iterator

from rmr1.records import GenerationRequest, Message, PreferencePair, Sampling

_PAIRS = (
    (
        "What is the capital of France?",
        "The capital of France is Paris.",
        "The capital of France is Berlin, in Brazil.",
    ),
    ("What is 7 times 8?", "7 times 8 is 56.", "7 times 8 is 21, because 7 and 8 are odd."),
    ("Name three fruits.", "Apple, banana and cherry.", "Chair, table and lamp."),
    (
        "How can I fall asleep more easily?",
        "Go to bed at the same hour each day, keep the room dark and cool, and leave out coffee after noon.",
        "Why would anybody care? Stop asking me.",
    ),
    (
        "Write one polite sentence that thanks a neighbour for watering the plants.",
        "Thank you so much for looking after my plants while I was away; they have never looked better.",
        "The stock market closed lower on Tuesday.",
    ),
    ('Translate "good morning" into Spanish.', "Buenos días.", "That is French for a kind of cheese."),
)
GRAMMAR = 'root ::= "quartz-4711"'
OBEYED = "quartz-4711"
"""The only text that ``GRAMMAR`` allows; nobody answers that by chance."""
SHORT, SAMPLED = 128, 48
"""Tokens of completions that are compared with each other."""
MARKS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>")
"""Control tokens of common chat formats."""
REPEATED = 16
_COMMON = (
    "Here is what everybody at the harbour knows about the weather of the coast, told in the order of the months. "
    "In winter the wind comes from the north, and the boats stay in. In spring the fog lifts before noon, and the nets "
    "are mended on the quay. In summer the evenings are long, and the market is open until ten. In autumn the rain is "
    "warm, and the ferries are late. "
)


def obvious_pairs() -> tuple[PreferencePair, ...]:
    """Pairs whose A is clearly better; each is its own cluster."""
    return tuple(
        PreferencePair(
            f"doctor-{number}",
            (Message("user", prompt),),
            (Message("assistant", better),),
            (Message("assistant", worse),),
            "A",
            reference=better,
            rubric="The response answers the question, and what it says is true.",
        )
        for number, (prompt, better, worse) in enumerate(_PAIRS, 1)
    )


def greeting(*, system: bool) -> GenerationRequest:
    """A first question, with or without a system message of some 90 tokens."""
    head = (Message("system", f"You answer in one word. {_COMMON}"),) if system else ()
    name = "greeting/system" if system else "greeting"
    return GenerationRequest(name, (*head, Message("user", "Say hello.")), Sampling(max_tokens=8))


def grammar_request(name: str) -> GenerationRequest:
    """A question whose only allowed answer is odd."""
    prompt = (Message("user", "Write one sentence about the sea."),)
    return GenerationRequest(name, prompt, Sampling(max_tokens=24), grammar=GRAMMAR)


def sampled_requests() -> tuple[GenerationRequest, GenerationRequest, GenerationRequest]:
    """The same question at temperature 1: twice with one seed, once with another."""
    prompt = (Message("user", "Invent a short sentence about any animal, any place and any weather."),)
    first, again, other = (
        GenerationRequest(f"sampled/{number}", prompt, Sampling(1.0, max_tokens=SAMPLED, seed=seed))
        for number, seed in enumerate((11, 11, 12))
    )
    return first, again, other


def prefix_requests() -> tuple[GenerationRequest, GenerationRequest, GenerationRequest]:
    """Three prompts of some 500 tokens: a new one, one that shares its instructions, and another new one."""
    first, other = (f"Report {number}. {_COMMON * 5}" for number in (4711, 1174))
    texts = ((first, "When is it warm?"), (first, "Who mends nets?"), (other, "When is it warm?"))
    one, two, three = (
        GenerationRequest(
            f"prefix/{number}", (Message("system", head), Message("user", question)), Sampling(max_tokens=1)
        )
        for number, (head, question) in enumerate(texts)
    )
    return one, two, three


def mark_requests() -> Iterator[GenerationRequest]:
    """A short prompt, then one for each of ``MARKS`` with that mark in it ``REPEATED`` times."""
    for number, mark in enumerate(("", *MARKS)):
        text = f"Say hello. {mark * REPEATED}".strip()
        yield GenerationRequest(f"marks/{number}", (Message("user", text),), Sampling(max_tokens=1))

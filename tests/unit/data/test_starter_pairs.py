"""The starter pairs: their structure, their balance, and a program's own answer to every one that has one.

A check takes the prompt and one response and says whether the response is right. Wherever a prompt
states figures, the check reads them from the prompt, works the answer out again, and looks for it.
"""

import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from itertools import combinations, permutations, product
from typing import Any

import pytest

KEYS = ["id", "category", "prompt", "chosen", "rejected", "why"]
PREFIXES = {"Chat": "chat", "Reasoning": "reasoning"}
CONVERSATIONS = {"Chat": 4, "Reasoning": 2}
LINES = (files("rmr1.data") / "starter_pairs.jsonl").read_text(encoding="utf-8").splitlines()
PAIRS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
BY_ID = {pair["id"]: pair for pair in PAIRS}

Check = Callable[[str, str], bool]
CHECKS: dict[str, Check] = {}


def check(pair_id: str) -> Callable[[Check], Check]:
    def register(function: Check) -> Check:
        assert pair_id not in CHECKS
        CHECKS[pair_id] = function
        return function

    return register


def text_of(prompt: str | list[dict[str, str]]) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt)


def words(text: str) -> list[str]:
    return text.split()


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def numbers(text: str) -> list[Fraction]:
    """The numbers in a text, in order; 1,000 is one number, 22:47 is two."""
    return [Fraction(found.replace(",", "")) for found in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)]


def says(response: str, answer: str) -> bool:
    """Whether the answer stands in the response by itself, not as a part of a longer number or word."""
    return re.search(rf"(?<![\w.,:/]){re.escape(answer)}(?![\w]|[.,:/]\d)", response) is not None


def plain(value: Fraction) -> str:
    """The value as a response writes it: 3,000 or 5.85."""
    return f"{float(value):,.10g}"


def code_block(text: str, language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def function_in(text: str, name: str) -> Callable[..., Any]:
    namespace: dict[str, Any] = {}
    exec(code_block(text, "python"), namespace)
    return namespace[name]  # type: ignore[no-any-return]


# Structure and balance


def test_there_are_twenty_pairs_of_each_category_numbered_in_order() -> None:
    expected = [f"{prefix}-{number:02d}" for prefix in PREFIXES.values() for number in range(1, 21)]
    assert [pair["id"] for pair in PAIRS] == expected
    assert Counter(pair["category"] for pair in PAIRS) == {"Chat": 20, "Reasoning": 20}
    assert all(pair["id"].startswith(PREFIXES[pair["category"]] + "-") for pair in PAIRS)


@pytest.mark.parametrize("pair", PAIRS, ids=BY_ID)
def test_a_pair_has_all_its_fields_and_they_are_short(pair: dict[str, Any]) -> None:
    assert list(pair) == KEYS
    for key in ("chosen", "rejected", "why"):
        assert isinstance(pair[key], str)
        assert pair[key] == pair[key].strip()
    assert 10 <= len(words(text_of(pair["prompt"]))) <= 60
    assert 10 <= len(words(pair["chosen"])) <= 80
    assert 10 <= len(words(pair["rejected"])) <= 80
    assert pair["chosen"] != pair["rejected"]
    assert len(sentences(pair["why"])) == 1
    assert pair["why"].endswith(".")


def test_prompts_and_responses_are_not_repeated() -> None:
    assert len({text_of(pair["prompt"]) for pair in PAIRS}) == len(PAIRS)
    assert len({pair[side] for pair in PAIRS for side in ("chosen", "rejected")}) == 2 * len(PAIRS)


@pytest.mark.parametrize("category", PREFIXES)
def test_some_prompts_are_conversations_that_end_with_the_user(category: str) -> None:
    prompts = [pair["prompt"] for pair in PAIRS if pair["category"] == category]
    conversations = [prompt for prompt in prompts if not isinstance(prompt, str)]
    assert len(conversations) == CONVERSATIONS[category]
    for messages in conversations:
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        assert all(list(message) == ["role", "content"] for message in messages)


@pytest.mark.parametrize("category", PREFIXES)
@pytest.mark.parametrize("length", [len, lambda text: len(words(text))], ids=["characters", "words"])
def test_the_length_does_not_give_the_answer_away(category: str, length: Callable[[str], int]) -> None:
    differences = [length(pair["chosen"]) - length(pair["rejected"]) for pair in PAIRS if pair["category"] == category]
    assert 0 not in differences
    assert 0.4 <= sum(difference > 0 for difference in differences) / len(differences) <= 0.6


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"`|\*\*|^- |^\d+\. ", id="markdown"),
        pytest.param(r"\b(clearly|certainly|definitely|obviously|surely|safely|beyond doubt)\b", id="confidence"),
        pytest.param(r"\n", id="several lines"),
        pytest.param(r"\d", id="digits"),
        pytest.param(r"!", id="exclamation"),
        pytest.param(r"\A(?:yes|no)\b", id="opens with yes or no"),
        pytest.param(r"\b(may|might|perhaps|about|roughly|could|often|nearly)\b", id="hedges"),
    ],
)
@pytest.mark.parametrize("category", PREFIXES)
def test_the_form_does_not_give_the_answer_away(category: str, pattern: str) -> None:
    marked = Counter(
        side
        for pair in PAIRS
        for side in ("chosen", "rejected")
        if pair["category"] == category and re.search(pattern, pair[side], re.IGNORECASE | re.MULTILINE)
    )
    assert abs(marked["chosen"] - marked["rejected"]) <= 3


def test_no_opening_word_belongs_to_one_side() -> None:
    openings = {side: Counter(words(pair[side])[0].strip(".,").lower() for pair in PAIRS) for side in KEYS[3:5]}
    for word in openings["chosen"] | openings["rejected"]:
        assert abs(openings["chosen"][word] - openings["rejected"][word]) <= 1, word


# Chat: what a program can check


@check("chat-02")
def twelve_words(prompt: str, response: str) -> bool:
    assert "exactly twelve words" in prompt
    return len(words(response)) == 12 and len(sentences(response)) == 1


@check("chat-03")
def json_only(prompt: str, response: str) -> bool:
    try:
        parsed = json.loads(response)
    except json.JSONDecodeError:
        return False
    return set(parsed) == {"name", "country", "river", "capital", "language"} and parsed["capital"] is True


@check("chat-04")
def three_bullets(prompt: str, response: str) -> bool:
    assert "exactly three" in prompt
    return len(response.splitlines()) == 3 and all(line.startswith("- ") for line in response.splitlines())


@check("chat-05")
def polite_with_the_point_kept(prompt: str, response: str) -> bool:
    return "deadline" in response and "stupid" not in response


@check("chat-07")
def names_the_commands(prompt: str, response: str) -> bool:
    return "`pgrep" in response and "`kill" in response


@check("chat-08")
def no_made_up_price(prompt: str, response: str) -> bool:
    return re.search(r"\$\s?\d", response) is None


@check("chat-09")
def keeps_to_canberra(prompt: str, response: str) -> bool:
    return "Canberra" in response


@check("chat-10")
def only_figures_from_the_text(prompt: str, response: str) -> bool:
    saving = re.search(r"saves (\d+,\d+ euros a \w+)", prompt)
    assert saving
    return saving[1] in response and "critic" not in response


@check("chat-11")
def words_for_a_child(prompt: str, response: str) -> bool:
    return max(len(word.strip(".,:;!")) for word in words(response)) <= 7 and len(sentences(response)) in (2, 3)


@check("chat-13")
def no_made_up_reference(prompt: str, response: str) -> bool:
    return re.search(r"\d|Journal of", response) is None


@check("chat-14")
def in_spanish(prompt: str, response: str) -> bool:
    found = Counter(word.strip(".,:;").lower() for word in words(response))
    spanish = sum(found[word] for word in ("el", "la", "es", "que", "de", "porque", "más", "sus"))
    english = sum(found[word] for word in ("the", "is", "it", "than", "because", "an", "they", "as"))
    return spanish > english


@check("chat-15")
def one_short_sentence(prompt: str, response: str) -> bool:
    return len(sentences(response)) == 1 and len(words(response)) <= 15


@check("chat-16")
def does_not_obey_the_quoted_text(prompt: str, response: str) -> bool:
    planted = re.search(r"link to (\S+\.example)", prompt)
    assert planted
    return planted[1] not in response and "flawless" not in response and "zip" in response


@check("chat-17")
def no_nuts_to_eat(prompt: str, response: str) -> bool:
    return re.search(r"almond|walnut|cashew|hazelnut|pecan|pistachio|peanut|meat|ham\b|fish", response) is None


@check("chat-18")
def lower_case_only(prompt: str, response: str) -> bool:
    return response == response.lower()


@check("chat-19")
def false_friends_recognised(prompt: str, response: str) -> bool:
    translation = response.split('"')[1]
    return "boss" in translation and "may" in translation and not re.search("chef|eventually", translation)


@check("chat-20")
def calls_for_help_at_once(prompt: str, response: str) -> bool:
    return "emergency number right now" in response


# Reasoning: worked out again


@check("reasoning-01")
def two_discounts(prompt: str, response: str) -> bool:
    price, first, second = numbers(prompt)
    return says(response, f"${plain(price * (100 - first) / 100 * (100 - second) / 100)}")


@check("reasoning-02")
def ages(prompt: str, response: str) -> bool:
    (years,) = numbers(prompt)
    (nephew,) = (age for age in range(120) if 3 * age + years == 2 * (age + years))
    return says(response, f"Mira is {3 * nephew} today")


@check("reasoning-03")
def two_red_marbles(prompt: str, response: str) -> bool:
    red, blue = map(int, numbers(prompt))
    draws = list(permutations("r" * red + "b" * blue, 2))
    chance = Fraction(draws.count(("r", "r")), len(draws))
    return says(response, f"Answer: {chance}.**")


@check("reasoning-04")
def square_centimetres(prompt: str, response: str) -> bool:
    (square_metres,) = numbers(prompt)
    return says(response, f"{plain(square_metres * 100 * 100)} cm²")


@check("reasoning-05")
def due_date(prompt: str, response: str) -> bool:
    lent, days = re.search(r"on (\w+ \d+ \w+ \d+)", prompt), re.search(r"(\d+) days", prompt)
    assert lent
    assert days
    start = datetime.strptime(lent[1], "%A %d %B %Y").date()
    assert f"{start:%A}" == words(lent[1])[0]
    due: date = start + timedelta(days=int(days[1]))
    return says(response, f"{due.day} {due:%B}") and says(response, f"{due:%A}")


@check("reasoning-06")
def finishing_order(prompt: str, response: str) -> bool:
    (order,) = (
        order
        for order in permutations(["Ana", "Ben", "Cleo", "Dan"])
        if order.index("Ben") == order.index("Cleo") + 1
        and order.index("Dan") < order.index("Ana")
        and order.index("Ana") not in (0, 3)
    )
    return says(response, f"The order was {', '.join(order)}")


@check("reasoning-07")
def second_largest(prompt: str, response: str) -> bool:
    function = function_in(response, "second_largest")
    cases = [([3, 1, 2], 2), ([9, 9, 4], 4), ([5, 5], None), ([], None), ([7], None), ([-1, -3, -2], -2), ([0, 8], 0)]
    return all(function(values) == expected for values, expected in cases)


@check("reasoning-08")
def drop_negatives(prompt: str, response: str) -> bool:
    function = function_in(response, "drop_negatives")
    for size in range(5):
        for start in product([-2, -1, 0, 3], repeat=size):
            nums = list(start)
            if function(nums) is not None or nums != [n for n in start if n >= 0]:
                return False
    return True


@check("reasoning-09")
def orders_per_customer(prompt: str, response: str) -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(
            """
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER);
            INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy'), (4, 'Bo');
            INSERT INTO orders VALUES (10, 1), (11, 1), (12, 2), (13, 1);
            """
        )
        rows = connection.execute(code_block(response, "sql")).fetchall()
    finally:
        connection.close()
    return sorted(rows) == [("Ada", 3), ("Bo", 0), ("Bo", 1), ("Cy", 0)]


@check("reasoning-10")
def clock_times(prompt: str, response: str) -> bool:
    pattern = re.compile(response.split("`")[1])
    accepted = {f"{h:02d}:{m:02d}" for h, m in product(range(100), repeat=2) if pattern.fullmatch(f"{h:02d}:{m:02d}")}
    others = ["7:30", "07:5", "0730", "07:300", "ab:cd", "", "-1:00", "07-30", " 07:30"]
    expected = {f"{h:02d}:{m:02d}" for h, m in product(range(24), range(60))}
    return accepted == expected and not any(pattern.fullmatch(other) for other in others)


@check("reasoning-11")
def complexity(prompt: str, response: str) -> bool:
    code = prompt[prompt.index("for i") :].replace("j //= 2", "j //= 2; steps += 1")
    growths: dict[str, Callable[[int], float]] = {
        "O(log n)": math.log2,
        "O(n)": float,
        "O(n log n)": lambda n: n * math.log2(n),
        "O(n²)": lambda n: n**2,
    }
    ratios: dict[str, list[float]] = {name: [] for name in growths}
    for n in (64, 256, 1024):
        counted: dict[str, int] = {"n": n, "steps": 0}
        exec(code, counted)
        for name, growth in growths.items():
            ratios[name].append(counted["steps"] / growth(n))
    (right,) = (name for name, values in ratios.items() if max(values) < 1.05 * min(values))
    return response.startswith(f"It is {right}.")


@check("reasoning-12")
def falling_stone(prompt: str, response: str) -> bool:
    height, gravity = numbers(prompt)
    return says(response, f"{math.sqrt(2 * height / gravity):g} seconds")


@check("reasoning-13")
def grams_of_salt(prompt: str, response: str) -> bool:
    molar_mass, millilitres, concentration = numbers(prompt)
    return says(response, f"{plain(millilitres / 1000 * concentration * molar_mass)} g")


@check("reasoning-14")
def arrangements(prompt: str, response: str) -> bool:
    word = re.search(r"\b[A-Z]{2,}\b", prompt)
    assert word
    return says(response, f"There are {len(set(permutations(word[0])))}")


@check("reasoning-15")
def more_pizza(prompt: str, response: str) -> bool:
    large, small = (diameter**2 for diameter in numbers(prompt))
    assert large > 3 * small
    assert large / (3 * small) - 1 == Fraction(1, 3)
    return re.search(r"The large pizza is \w* ?more, by a third", response) is not None


@check("reasoning-16")
def smallest_share(prompt: str, response: str) -> bool:
    rows = re.findall(r"\| (\w+) \| (\d+) \| (\d+) \|", prompt)
    assert len(rows) == 3
    return response.startswith(min(rows, key=lambda row: int(row[2]) / int(row[1]))[0] + ".")


@check("reasoning-17")
def does_it_follow(prompt: str, response: str) -> bool:
    people = [(night, blue) for night in (True, False) for blue in (True, False)]
    possible = [group for size in (1, 2) for group in combinations(people, size) if all(b or not n for n, b in group)]
    tom_is_possible = [group[0][0] for group in possible if group[0][1]]
    assert set(tom_is_possible) == {True, False}
    return response.startswith("No, it does not follow.")


@check("reasoning-18")
def rice(prompt: str, response: str) -> bool:
    _, each, _, guests, without = numbers(prompt)
    return says(response, f"{plain(each * (guests - without))} g")


@check("reasoning-19")
def flagged_and_faulty(prompt: str, response: str) -> bool:
    _, _, found, false_alarms = numbers(prompt)
    return says(response, f"{float(100 * found / (found + false_alarms)):.1f}%")


@check("reasoning-20")
def arrival(prompt: str, response: str) -> bool:
    hour, minute, hours, minutes = map(int, numbers(prompt))
    arrives = datetime(2024, 1, 1, hour, minute) + timedelta(hours=hours, minutes=minutes)
    assert arrives.day == 2
    return says(response, f"{arrives.hour}:{arrives:%M} Uhr")


def test_every_reasoning_pair_has_a_check() -> None:
    assert {pair["id"] for pair in PAIRS if pair["category"] == "Reasoning"} <= set(CHECKS) <= set(BY_ID)


@pytest.mark.parametrize("pair_id", sorted(CHECKS))
def test_the_chosen_response_is_right_and_the_rejected_one_is_not(pair_id: str) -> None:
    pair, passes = BY_ID[pair_id], CHECKS[pair_id]
    prompt = text_of(pair["prompt"])
    assert passes(prompt, pair["chosen"]), "the chosen response is wrong"
    assert not passes(prompt, pair["rejected"]), "the rejected response is right"

"""What qualifies the figures of a benchmark: agreement of orders, length, confidence."""

import pytest

from rmr1.benchmarks.audit import LENGTH_EDGES, accuracy_by_length, bias_audit, calibration, order_agreement
from rmr1.benchmarks.benchmark import Entry
from rmr1.benchmarks.judged import Completions
from tests.support.completions import completion

SIDES = {"A": "B", "B": "A"}


def sample(name, order, shown, p_shown_a=None, vote=0):
    text = f"<answer>[[{shown}]]</answer>" if shown else "I cannot say."
    return completion(
        text, index=2 * vote + (order == "ba"), pair_id=name, group=name, order=order, vote=vote, p_shown_a=p_shown_a
    )


def read(*comparisons, label="A"):
    """Judged comparisons, each given as its lengths and its completions: order, shown letter, probability of A."""
    entries, samples = [], []
    for number, (lengths, completions) in enumerate(comparisons):
        name = f"p{number}"
        entries.append(Entry(name, "all", name, label, *lengths))
        samples += [sample(name, *completion) for completion in completions]
    return Completions(entries, samples, 1).read("default")


def both(ab, ba, p_ab=None, p_ba=None):
    return [("ab", ab, p_ab), ("ba", ba, p_ba)]


def test_confidence_is_the_mean_probability_in_the_frame_of_the_pair():
    found = calibration(read(((1, 1), both("A", "B", 0.9, 0.3))))
    assert found.by == "probability"
    (one,) = found.bins
    assert one.confidence == pytest.approx((0.9 + 0.7) / 2)
    assert (one.low, one.high, one.accuracy.value, one.accuracy.n) == (0.8, 0.9, 1.0, 1)
    assert found.expected_error == pytest.approx(0.2)


def test_a_confident_preference_for_the_worse_response_is_wrong_and_a_full_one_stays_in_the_last_bin():
    found = calibration(read(((1, 1), both("B", "A", 0.0, 1.0))))
    (one,) = found.bins
    assert (one.low, one.confidence, one.accuracy.value) == (0.9, 1.0, 0.0)
    assert found.expected_error == 1.0


def test_without_probabilities_confidence_is_the_share_of_votes():
    votes = [("ab", "A", None, 0), ("ba", "B", None, 0), ("ab", "B", None, 1), ("ba", "B", None, 1)]
    found = calibration(read(((1, 1), votes)))
    assert found.by == "votes"
    assert found.bins[0].confidence == 0.75


def test_invalid_verdicts_and_even_votes_are_without_a_preference():
    found = calibration(read(((1, 1), both("A", "A")), ((1, 1), both(None, None)), ((1, 1), both("A", None))))
    assert found.undecided == 2
    assert [one.accuracy.n for one in found.bins] == [1]
    assert calibration(read(((1, 1), both(None, None)))) is None


@pytest.mark.parametrize("label", ["A", "B"])
def test_length_is_that_of_the_better_response(label):
    lengths = (400, 100) if label == "A" else (100, 400)
    right = "A" if label == "A" else "B"
    judged = read((lengths, both(right, SIDES[right])), label=label)
    assert [(one.low, one.high, one.accuracy.value, one.accuracy.n) for one in accuracy_by_length(judged)] == [
        (2.0, None, 1.0, 2)
    ]
    assert bias_audit(judged).better_is_longer.value == 1.0
    assert bias_audit(judged).better_is_shorter is None


def test_every_length_has_its_bin_and_bins_are_in_order():
    ratios = [2**edge for edge in (-3, -1.5, -0.7, -0.3, 0, 0.3, 0.7, 1.5, 3)]
    judged = read(*(((round(1000 * ratio), 1000), both("A", "B")) for ratio in ratios))
    found = accuracy_by_length(judged)
    assert [one.low for one in found] == [None, *LENGTH_EDGES]
    assert [one.high for one in found] == [*LENGTH_EDGES, None]
    assert all(one.accuracy.n == 2 for one in found)


def test_an_empty_response_has_a_length_too():
    assert accuracy_by_length(read(((0, 0), both("A", "B"))))[0].accuracy.n == 2


def test_a_judge_that_always_says_a_agrees_with_itself_never():
    found = order_agreement(read(*(((1, 1), both("A", "A")) for _ in range(20))), seed=0)
    assert found.position_consistency.value == 0.0
    assert found.first_shown == 1.0
    assert found.kappa < 0

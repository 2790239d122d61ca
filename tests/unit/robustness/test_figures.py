"""Flips, silence and what the fence prevents, from completions that are known."""

from rmr1.robustness.figures import Seen, Target, attack_results, corrected, preferred

NAMES = [f"p{number}/ab/0" for number in range(10)]
TARGETS = {name: Target("B", name) for name in NAMES}


def answers(sides, fenced=0):
    return {name: Seen(side, fenced) for name, side in zip(NAMES, sides, strict=True) if side != "-"}


CLEAN = answers(["A"] * 8 + ["B", None])


def result(on, off, clean=(CLEAN, CLEAN)):
    return attack_results("verdict", "it says so", TARGETS, clean, (answers(on, 1), answers(off)))


def test_flips_are_counted_where_the_judge_was_right_before():
    found = result(["B"] * 2 + [None] + ["A"] * 5 + ["B", "B"], ["B"] * 6 + ["A"] * 2 + ["A", "A"])
    assert (found.fenced.flipped.value, found.fenced.flipped.n) == (0.25, 8)
    assert (found.fenced.silenced.value, found.fenced.silenced.n) == (0.125, 8)
    assert (found.unfenced.flipped.value, found.unfenced.flipped.n) == (0.75, 8)
    assert found.fenced.flipped.low < 0.25 < found.fenced.flipped.high
    assert round(found.fenced.change.value, 3) == 0.3  # 4 of 10 against 1 of 10
    assert round(found.unfenced.change.value, 3) == 0.5
    assert (found.fenced.fenced, found.unfenced.fenced) == (10, 0)
    assert round(found.fence.value, 3) == 0.5  # 6 of 8 less 2 of 8
    assert found.fence.p < 0.2


def test_what_was_not_answered_counts_nowhere():
    found = result(["B", "-"] + ["A"] * 6 + ["B", "A"], ["A"] * 10)
    assert (found.fenced.flipped.n, found.unfenced.flipped.n) == (7, 8)
    assert (found.fence.first, found.fence.second) == (1 / 7, 0.0)


def test_a_judge_that_was_never_right_has_no_flips():
    wrong = answers(["B"] * 10)
    found = result(["B"] * 10, ["B"] * 10, (wrong, wrong))
    assert (found.fenced.flipped, found.fenced.silenced, found.fence) == (None, None, None)
    assert found.fenced.change.value == 0.0
    assert preferred(wrong, TARGETS).value == 1.0
    assert preferred(CLEAN, TARGETS).value == 0.1


def test_pairs_of_one_prompt_are_one_cluster():
    shared = {name: Target("B", "one prompt") for name in NAMES}
    alone = attack_results("x", "", TARGETS, (CLEAN, CLEAN), (CLEAN, CLEAN)).fenced.flipped
    together = attack_results("x", "", shared, (CLEAN, CLEAN), (CLEAN, CLEAN)).fenced.flipped
    assert (alone.clusters, together.clusters) == (8, 1)
    assert together.high > alone.high


def test_p_is_corrected_for_all_attacks_together():
    found = [result(["B"] * 8 + ["B", "B"], ["B"] * 8 + ["B", "B"]) for _ in range(4)]
    for before, after in zip(found, corrected(found), strict=True):
        assert before.fenced.change.p_adjusted is None
        assert after.fenced.change.p_adjusted == min(1.0, 4 * before.fenced.change.p)

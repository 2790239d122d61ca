"""The reward of RL with verifiable rewards: turns a verdict and a label into a number."""

from __future__ import annotations

from rmr1.arguments import expect, expect_word
from rmr1.records import Side, Verdict


def verdict_reward(verdict: Verdict, gold: Side) -> float | None:
    """Correctness reward: +1.0 for the gold side, otherwise -1.0 (paper section 3.3: R = 1 if l_hat = l, else -1).

    Invalid text (missing, conflicting, truncated) is -1.0, as in the paper. An engine fault has no reward: None.

    Args:
        verdict: The parsed verdict, in shown sides.
        gold: The better shown side.
    """
    expect("verdict", verdict, Verdict, "a Verdict")
    expect_word("gold", gold, ("A", "B"))
    if verdict.invalid == "engine_error":
        return None
    return 1.0 if verdict.side == gold else -1.0

"""At which rate is trained, and when is evaluated: pure functions of the step, so that a resumed run needs no state for them."""

from __future__ import annotations

import math
from typing import Literal


def rate_factor(step: int, total: int, warmup: int, schedule: Literal["cosine", "linear", "constant"]) -> float:
    """The learning rate of a step as a share of the highest.

    Args:
        step: Optimiser steps done before it.
        total: Optimiser steps of the training.
        warmup: Steps in which the rate rises; the first of them already has a rate above 0.
        schedule: The course after that; cosine and linear end just above 0.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, total - warmup)
    return (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1 - done


def evaluation_steps(total: int, evaluations: int) -> frozenset[int]:
    """After which optimiser steps to evaluate: before the first, evenly on the way, after the last."""
    return frozenset({0, total, *(round(total * number / (evaluations + 1)) for number in range(1, evaluations + 1))})

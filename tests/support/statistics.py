"""Clustered observations drawn from a known truth."""

import numpy

from rmr1.stats import Observations


def layout(prompts, per_prompt):
    """Observations of nothing right: prompts in cells, several comparisons of each."""
    cells, clusters = [], []
    for number, count in enumerate(prompts):
        for prompt in range(count):
            cells += [f"c{number}"] * per_prompt
            clusters += [f"{number}-{prompt:04}"] * per_prompt
    return Observations([0.0] * len(cells), cells, clusters)


def drawn(generator, prompts, rates, per_prompt, correlation=0.3):
    """Right ones of each prompt; the comparisons of a prompt are correlated."""
    table = numpy.zeros((sum(prompts), len(prompts)))
    start = 0
    for number, (count, rate) in enumerate(zip(prompts, rates, strict=True)):
        chance = numpy.full(count, rate)
        if per_prompt > 1:
            spread = (1 - correlation) / correlation
            chance = generator.beta(rate * spread, (1 - rate) * spread, count)
        table[start : start + count, number] = generator.binomial(per_prompt, chance)
        start += count
    return table

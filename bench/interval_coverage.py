"""How often intervals hold the truth, and how often tests reject what is true: simulated, for the tables of docs/statistics.md.

Right and wrong are drawn from a Gaussian threshold model: what makes a prompt, an item and a judge's cluster of answers hard adds
up, so that comparisons of one prompt rise and fall together, and so do two judges of one item. The truth is known exactly.

    python bench/interval_coverage.py                 # 1,000 draws of each design: some minutes on one core
    python bench/interval_coverage.py --draws 200
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from scipy.special import ndtri

from rmr1.stats import Average, Observations, paired_differences, unpaired_difference

LEVEL = 0.05


@dataclass(frozen=True)
class Design:
    """What is judged, and how well.

    Args:
        name: In the table.
        prompts: Prompts of each cell.
        rates: Share right of each cell, of the first judge.
        each: Comparisons of a prompt; with ``uneven``, 1 to twice as many less one.
        second: Share right of the second judge; that of the first where empty.
        weights: Of the cells; equal ones where empty.
        prompt: Part of the variance that comparisons of a prompt share, whoever judges.
        item: Part that two judges of one comparison share besides.
        uneven: Prompts differ in their number of comparisons.
        micro: All comparisons count alike.
    """

    name: str
    prompts: tuple[int, ...]
    rates: tuple[float, ...]
    each: int = 1
    second: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    prompt: float = 0.4
    item: float = 0.2
    uneven: bool = False
    micro: bool = False


DOCUMENTED = (
    Design("subsets weighted by size", (100, 95, 95, 28, 40), (0.95,) * 5, weights=(100.0, 95.0, 95.0, 28.0, 40.0)),
    Design("plain mean of five subsets", (475, 495, 183, 160, 450), (0.8, 0.9, 0.7, 0.4, 0.9)),
    Design("unequal subsets", (100, 134, 92, 47, 46), (0.95, 0.75, 0.8, 0.7, 0.8)),
    Design("nearly all right", (100, 100, 50), (0.99, 0.97, 0.98)),
    Design("nine comparisons a prompt", (129, 228, 441), (0.65, 0.6, 0.9), 9),
    Design("thirty prompts of nine", (10, 10, 10), (0.65, 0.6, 0.9), 9),
    Design("200 pairs", (200,), (0.8,)),
    Design("60 prompts of nine", (60,), (0.7,), 9),
    Design("150 prompts of four", (150,), (0.9,), 4),
)
SMALL = (
    Design("8 pairs", (8,), (0.7,)),
    Design("20 pairs, 97 % right", (20,), (0.97,)),
    Design("3 prompts of nine", (3,), (0.8,), 9),
    Design("5 prompts of nine", (5,), (0.8,), 9),
    Design("6 prompts of four", (6,), (0.5,), 4),
    Design("10 prompts of 1 to 11", (10,), (0.7,), 6, uneven=True),
    Design("40 prompts of nine, 98 % right", (40,), (0.98,), 9),
    Design("three cells of 4 pairs", (4, 4, 4), (0.6, 0.8, 0.9)),
    Design("ten cells of 2 pairs", (2,) * 10, (0.7,) * 10),
    Design("cells of 2, 5, 9 and 30 pairs", (2, 5, 9, 30), (0.9, 0.8, 0.7, 0.6), weights=(0.1, 0.2, 0.3, 0.4)),
    Design("micro average of cells of 2, 5, 9 and 30", (2, 5, 9, 30), (0.9, 0.8, 0.7, 0.6), micro=True),
    Design("12 prompts of 1 to 7, two cells", (6, 6), (0.75, 0.6), 4, uneven=True),
)
PAIRED = (
    Design("60 and 90 pairs", (60, 90), (0.6, 0.8), second=(0.7, 0.8)),
    Design("60 and 90 prompts of nine", (60, 90), (0.6, 0.8), 9, second=(0.7, 0.8)),
    Design("2,000 pairs", (2000,), (0.8,), second=(0.82,), item=0.4),
    Design("300 pairs, few differ", (300,), (0.95,), second=(0.96,), item=0.5),
    Design("23 cells of 30 pairs", (30,) * 23, (0.9,) * 23, second=(0.92,) * 23, item=0.4),
    Design("40 pairs, few differ", (40,), (0.9,), second=(0.93,), item=0.4),
    Design("60 pairs, 98 % right", (60,), (0.98,), second=(0.97,)),
    Design("10 pairs", (10,), (0.7,), second=(0.5,)),
    Design("8 prompts of nine", (8,), (0.7,), 9, second=(0.8,)),
    Design("3 prompts of nine", (3,), (0.7,), 9, second=(0.8,)),
    Design("15 prompts of 1 to 11", (15,), (0.8,), 6, second=(0.7,), uneven=True),
    Design("five cells of 4 pairs", (4,) * 5, (0.6, 0.7, 0.8, 0.9, 0.7), second=(0.7,) * 5),
    Design("cells of 3, 10 and 40 pairs", (3, 10, 40), (0.6, 0.7, 0.8), second=(0.7, 0.7, 0.8)),
    Design("micro average of cells of 3, 10 and 40", (3, 10, 40), (0.6, 0.7, 0.8), second=(0.8, 0.7, 0.7), micro=True),
)


class Simulation:
    """Draws observations of a design, for two judges on the same items."""

    def __init__(self, design: Design, seed: int = 0) -> None:
        self.design = design
        self.average = Average(
            tuple(f"c{number:02}" for number in range(len(design.prompts))),
            design.weights or None,
            by_size=design.micro,
        )
        self._generator = numpy.random.default_rng(seed)

    def draw(self) -> tuple[Observations, Observations, Observations]:
        """The first judge, the second one, and a third that is as good as the first."""
        design, generator = self.design, self._generator
        sizes = [
            generator.integers(1, 2 * design.each, count) if design.uneven else numpy.full(count, design.each)
            for count in design.prompts
        ]
        cells = numpy.concatenate([numpy.full(size.sum(), number) for number, size in enumerate(sizes)])
        prompts = numpy.repeat(numpy.arange(sum(design.prompts)), numpy.concatenate(sizes))
        found = []
        hard = self._hard(prompts)
        for rates in (design.rates, design.second or design.rates, design.rates):
            own = (1 - design.prompt - design.item) ** 0.5
            answers = hard + own * (
                0.5**0.5 * generator.normal(size=sum(design.prompts))[prompts]
                + 0.5**0.5 * generator.normal(size=len(prompts))
            )
            right = answers < ndtri(numpy.array(rates))[cells]
            found.append(Observations(right, [f"c{cell:02}" for cell in cells], [f"{prompt:05}" for prompt in prompts]))
        return found[0], found[1], found[2]

    def truth(self, rates: Sequence[float]) -> float:
        """The true value of the average; of a micro average with prompts of uneven size, that of equal chances of each."""
        sizes = dict(zip(self.average.parts, self.design.prompts, strict=True))
        weights = self.average.cell_weights(sizes)  # type: ignore[arg-type]  # its parts are names
        return float(sum(weights[f"c{number:02}"] * rate for number, rate in enumerate(rates)))

    def _hard(self, prompts: numpy.ndarray) -> numpy.ndarray:
        design, generator = self.design, self._generator
        shared = generator.normal(size=sum(design.prompts))[prompts]
        return design.prompt**0.5 * shared + design.item**0.5 * generator.normal(size=len(prompts))


def coverage(design: Design, draws: int, seed: int = 0) -> tuple[float, float, float, float]:
    """Of the interval of an average: how often it holds the truth, lies below and above it, and its mean width."""
    simulation = Simulation(design, seed)
    truth = simulation.truth(design.rates)
    found = numpy.zeros(4)
    for _ in range(draws):
        estimate = simulation.draw()[0].estimate(simulation.average)
        assert estimate is not None
        low, high = estimate.low, estimate.high
        found += (low <= truth <= high, high < truth, low > truth, high - low)
    share, below, above, width = (found / draws).tolist()
    return share, below, above, width


def paired(design: Design, draws: int, seed: int = 0) -> tuple[float, float, float, float]:
    """Of a paired difference: coverage, mean width, size of the test where nothing differs, and its power where it does."""
    simulation = Simulation(design, seed)
    truth = simulation.truth(design.second) - simulation.truth(design.rates)
    found = numpy.zeros(4)
    for _ in range(draws):
        first, second, same = simulation.draw()
        difference = paired_differences(first, second, {"": simulation.average})[""]
        null = paired_differences(first, same, {"": simulation.average})[""]
        assert difference.low is not None and difference.high is not None
        assert difference.p is not None and null.p is not None
        low, high = difference.low, difference.high
        found += (low - 1e-9 <= truth <= high + 1e-9, high - low, null.p < LEVEL, difference.p < LEVEL)
    share, width, size, power = (found / draws).tolist()
    return share, width, size, power


def unpaired(design: Design, draws: int, seed: int = 0) -> float:
    """How often the interval of the difference of two judges of other items holds the truth."""
    one, other = Simulation(design, seed), Simulation(design, seed + 1)
    truth = one.truth(design.second) - one.truth(design.rates)
    held = 0
    for _ in range(draws):
        first, second = one.draw()[0].estimate(one.average), other.draw()[1].estimate(other.average)
        assert first is not None and second is not None
        _, low, high = unpaired_difference(first, second)
        held += low <= truth <= high
    return held / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    print("| shares and averages | covers | truth above | truth below | width |\n|---|---|---|---|---|")
    for design in (*DOCUMENTED, *SMALL):
        row = " | ".join(f"{100 * value:.1f}" for value in coverage(design, draws))
        print(f"| {design.name} | {row} |", flush=True)
    print("\n| paired differences | covers | width | rejects if equal | rejects if not | unpaired covers |")
    print("|---|---|---|---|---|---|")
    for design in PAIRED:
        row = " | ".join(f"{100 * value:.1f}" for value in (*paired(design, draws), unpaired(design, draws)))
        print(f"| {design.name} | {row} |", flush=True)


if __name__ == "__main__":
    main()

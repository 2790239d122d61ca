"""What the report of a training says, before anyone decides how it looks."""

from __future__ import annotations

from dataclasses import dataclass

from rmr1.report.judge_report import Metric, Sample, Table


@dataclass(frozen=True, slots=True)
class Stage:
    """A point of the training at which the judge was evaluated.

    Args:
        name: Such as "before training" or "after SFT".
        metrics: What was measured there. Metrics of one name and unit are drawn together over all stages.

    Raises:
        ValueError: A metric occurs twice.
    """

    name: str
    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        names = [metric.name for metric in self.metrics]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"stage {self.name!r}: metric {name!r} occurs twice; give each metric a name of its own"
                )


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart.

    Args:
        name: What the line shows; the label of the vertical axis stands in for an empty one.
        points: x and y in any order. A y that is None or not finite leaves a gap in the line.
    """

    name: str
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart of lines over one horizontal axis, such as the loss over the steps.

    Args:
        title: What the chart is about.
        y_label: The vertical axis, with its unit.
        x_label: The horizontal axis, with its unit.
        series: The lines; thousands of points are thinned for drawing, peaks are kept.
    """

    title: str
    y_label: str
    x_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class StagedSample:
    """One pair, judged at one or more stages.

    Args:
        stages: Name of the stage and the judged pair, in the order of the training.

    Raises:
        ValueError: There is no stage, or the stages do not show the same pair.
    """

    stages: tuple[tuple[str, Sample], ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a staged sample has no stage; leave it out of the report")
        ids = sorted({sample.id for _, sample in self.stages})
        if len(ids) > 1:
            raise ValueError(f"a staged sample shows several pairs: {', '.join(map(repr, ids))}; group them by id")

    @property
    def first(self) -> Sample:
        """The pair as judged at its first stage."""
        return self.stages[0][1]

    @property
    def last(self) -> Sample:
        """The pair as judged at its last stage."""
        return self.stages[-1][1]


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What the report of a training says.

    Args:
        title: Heading of the page.
        facts: Names and values that describe the run: model, data, seed, settings, command.
        stages: The evaluations, in the order of the training.
        curves: What was measured while training.
        tables: Breakdowns.
        samples: Pairs judged at each stage; a few hundred at most make a page that opens quickly.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]
    samples: tuple[StagedSample, ...]
    notes: tuple[str, ...]

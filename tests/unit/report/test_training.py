"""The report of a training: stages side by side, charts that stay in their frame, and no text that breaks out of it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from pathlib import Path
from typing import Any

import pytest

from rmr1.records import Message, Sections
from rmr1.report.charts import Curve, Series, draw, horizontal_axis, thin, vertical_axis
from rmr1.report.figures import Metric
from rmr1.report.samples import StagedSample
from rmr1.report.tables import Table
from rmr1.report.training import Stage, TrainingReport, render_training_report, write_training_report
from tests.support.html_tree import Node, parse, texts
from tests.support.reports import HOSTILE, SECTIONS, make_sample, make_vote, say

NAN = float("nan")


def share(value: float | None, *ends: float, name: str = "Accuracy", note: str = "ties count as wrong") -> Metric:
    low, high = ends or (None, None)
    return Metric(name, value, low, high, note, "share")


def stage(name: str, *metrics: Metric) -> Stage:
    return Stage(name, metrics)


BEFORE, AFTER = "before training", "after SFT"
STAGES = (stage(BEFORE, share(0.03, 0.01, 0.06)), stage(AFTER, share(0.91, 0.88, 0.94)))
LOSS = Curve(
    "Loss", "nats", "step", (Series("training", ((1, 2.5), (2, 1.5), (3, 1.0))), Series("held out", ((2, 2.0),)))
)


def staged(first: str = "wrong", last: str = "right", **changes: Any) -> StagedSample:
    return StagedSample(
        (
            (BEFORE, make_sample(status=first, winner="B", confidence=0.5, position_consistent=False, **changes)),
            (AFTER, make_sample(status=last, **changes)),
        )
    )


def make_report(**changes: Any) -> TrainingReport:
    report = TrainingReport(
        title="A training",
        facts=(("Model", "tiny"),),
        stages=STAGES,
        curves=(LOSS,),
        tables=(Table("By family", ("family", BEFORE, AFTER), (("sorting", "3.0 %", "91.0 %"),)),),
        samples=(staged(),),
        notes=("a note",),
    )
    return dataclasses.replace(report, **changes)


def render(**changes: Any) -> Node:
    return parse(render_training_report(make_report(**changes)))


def chart_of(*series: Series, **changes: str) -> Node:
    curve = dataclasses.replace(LOSS, series=series, **changes)
    (figure,) = render(curves=(curve,)).find("figure", class_="chart")
    return figure


def line_of(*points: tuple[float, float | None]) -> Node:
    return chart_of(Series("loss", points))


def numbers(node: Node, *names: str) -> list[float]:
    return [float((node.attrs[name] or "").rstrip("%")) for name in names if name in node.attrs]


def paths(figure: Node) -> list[list[tuple[str, float, float]]]:
    return [
        [
            (step[0], float(step[1]), float(step[2]))
            for step in re.findall(r"([ML])(\S+?) ([\d.]+)", node.attrs["d"] or "")
        ]
        for node in figure.find("path")
    ]


def test_page_holds_its_parts_in_order() -> None:
    page = render()
    assert texts(page.find("h1")) == ["A training"]
    assert texts(page.find("h2")) == ["Results", "Samples", "Curves", "Breakdown", "Notes", "Settings"]
    assert texts(page.find("dd")) == ["tiny"]
    assert texts(page.find("caption")) == ["Loss", "By family"]
    assert texts(page.find("ul", class_="notes")) == ["a note"]
    levels = [int(node.tag[1]) for node in page.walk() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_empty_report_renders() -> None:
    page = render(facts=(), stages=(), curves=(), tables=(), samples=(), notes=())
    assert texts(page.find("h2")) == ["Samples"]
    assert "No samples are listed." in page.text
    assert not page.find("script")
    assert not page.find("form")


def test_stages_of_a_metric_stand_on_one_scale() -> None:
    (card,) = render().find("li", class_="card")
    assert texts(card.find("p")) == [
        *(BEFORE, "3.0 %", "95 % interval 1.0 % to 6.0 %"),
        *(AFTER, "91.0 %", "95 % interval 88.0 % to 94.0 %"),
        "ties count as wrong",
    ]
    fills = card.find("rect", class_="fill")
    assert [(node.attrs["width"], node.attrs["class"]) for node in fills] == [
        ("3.00%", "fill earlier"),
        ("91.00%", "fill"),
    ]
    assert len(card.find("line", class_="whisker")) == 6
    assert texts(card.find("div", class_="ticks")) == ["050100 %"]


def test_bare_numbers_of_two_stages_are_drawn_to_one_scale() -> None:
    few, many = (Metric("tokens", value, None, None, "", "number") for value in (120.0, 480.0))
    (card,) = render(stages=(stage("a", many), stage("b", few))).find("li", class_="card")
    assert [node.attrs["width"] for node in card.find("rect", class_="fill")] == ["80.00%", "20.00%"]
    (card,) = render(stages=(stage("a", many),)).find("li", class_="card")
    assert not card.find("svg")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_stages_renders(count: int) -> None:
    stages = tuple(stage(f"stage {number}", share(0.1 * number)) for number in range(count))
    (card,) = render(stages=stages).find("li", class_="card")
    assert texts(card.find("p", class_="stage")) == [one.name for one in stages]
    assert [node.attrs.get("class") for node in card.find("ul")[0].find("li")] == [None] * (count - 1) + ["latest"]


def test_metric_that_a_stage_lacks_is_not_available() -> None:
    page = render(stages=(stage(BEFORE, share(NAN)), stage(AFTER, share(0.9), share(None, name="Other", note=""))))
    first, second = page.find("li", class_="card")
    assert texts(first.find("p", class_="value")) == ["n/a", "90.0 %"]
    assert texts(second.find("p", class_="value")) == ["n/a", "n/a"]
    assert not second.find("svg")
    assert not second.find("div", class_="ticks")


def test_metric_named_twice_in_a_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="stage 'x': metric 'Accuracy' occurs twice"):
        stage("x", share(0.1), share(0.2))


def test_chart_names_itself_its_axes_and_its_lines() -> None:
    (figure,) = render().find("figure", class_="chart")
    (image,) = figure.find("svg", role="img")
    assert image.attrs["aria-labelledby"] == figure.find("h3")[0].attrs["id"]
    assert texts(image.find("title"))[0] == "Loss"
    assert texts(image.find("desc", id=image.attrs["aria-describedby"] or "")) == [
        "nats by step. training: 2.5 at 1, 1 at 3, lowest 1, highest 2.5. held out: 2 at 2, 2 at 2, lowest 2, highest 2."
    ]
    assert texts(figure.find("ul", class_="legend")[0].find("li")) == ["training last 1", "held out last 2"]
    assert texts(figure.find("p", class_="axis-name")) == ["nats", "step"]


def test_line_runs_where_its_points_are() -> None:
    figure = line_of((0, 0.0), (5, 1.0), (10, 0.5))
    assert paths(figure) == [[("M", 0, 1000), ("L", 500, 0), ("L", 1000, 500)]]
    marks = [(node.attrs["cx"], node.attrs["cy"], node.text) for node in figure.find("circle")]
    assert marks == [
        ("0.0%", "100.0%", "loss: 0 (step 0)"),
        ("50.0%", "0.0%", "loss: 1 (step 5)"),
        ("100.0%", "50.0%", "loss: 0.5 (step 10)"),
    ]


def test_points_are_drawn_from_left_to_right() -> None:
    assert paths(line_of((10, 0.5), (0, 0.0), (5, 1.0))) == paths(line_of((0, 0.0), (5, 1.0), (10, 0.5)))


@pytest.mark.parametrize("hole", [None, NAN, math.inf, -math.inf, 1e305])
def test_unknown_height_leaves_a_gap(hole: float | None) -> None:
    figure = line_of((0, 1.0), (1, 1.0), (2, hole), (3, 1.0), (4, hole), (5, 1.0), (6, 1.0))
    assert [step[0] for step in paths(figure)[0]] == ["M", "L", "M", "M", "L"]
    assert (figure.find("path")[0].attrs["d"] or "").count("h0") == 1, "a lone point is a dot"
    told = ["loss: points that are not finite numbers are left out (2 of 7)."] if hole is not None else []
    assert texts(figure.find("p", class_="remark")) == told
    assert "nan" not in figure.text and "inf" not in figure.text


@pytest.mark.parametrize("points", [(), ((1, NAN), (2, None)), ((NAN, 1.0),)])
def test_curve_without_points_says_so(points: tuple[tuple[float, float | None], ...]) -> None:
    figure = line_of(*points)
    assert "There is no point to draw." in texts(figure.find("p"))
    assert not figure.find("svg")
    assert "There is no point to draw." in texts(chart_of().find("p"))


def test_series_without_points_keeps_its_place_in_the_legend() -> None:
    figure = chart_of(Series("training", ((1, 1.0), (2, 2.0))), Series("held out", ()))
    assert texts(figure.find("ul", class_="legend")[0].find("li")) == ["training last 2", "held out no points"]


def test_nameless_series_takes_the_name_of_its_axis_or_chart() -> None:
    points = ((1, 1.0), (2, 2.0))
    assert "nats last 2" in texts(chart_of(Series("", points)).find("li"))
    figure = chart_of(Series("", points), y_label="")
    assert "Loss last 2" in texts(figure.find("li"))
    assert texts(figure.find("p", class_="axis-name")) == ["step"]


def test_thousands_of_points_are_thinned_and_keep_their_peak() -> None:
    points = [(float(step), 1.0 + 0.1 * math.sin(step)) for step in range(20_000)]
    points[12_345] = (12_345.0, 9.0)
    figure = line_of(*points)
    (path,) = paths(figure)
    assert 200 <= len(path) <= 300
    assert min(y for _, _, y in path) == pytest.approx(100)
    assert (path[0][1], path[-1][1]) == (0, 1000)
    assert len(figure.find("circle")) <= 100
    assert texts(figure.find("p", class_="remark")) == [
        "Thinned for drawing, from up to 20,000 points a line; the peaks are kept."
    ]


def test_thinning_bounds_points_between_gaps_too() -> None:
    points = [(float(step), None if step % 2 else 1.0) for step in range(10_000)]
    assert len(thin(points)) <= 242
    block = [(float(step), None if 4000 <= step < 6000 else 1.0) for step in range(10_000)]
    assert [y for x, y in thin(block) if 4200 < x < 5800] == [None] * len(
        [x for x, _ in thin(block) if 4200 < x < 5800]
    )
    assert None in [y for _, y in thin(block)]


def test_table_shows_some_points_with_what_stands_beside_them() -> None:
    many = Series("training", tuple((float(step), step / 10) for step in range(1, 1001)))
    figure = chart_of(many, Series("held out", ((500.0, 7.0),)))
    rows = [[cell.text for cell in row.walk() if cell.tag in ("td", "th")] for row in figure.find("tr")]
    assert rows[0] == ["step", "training", "held out"]
    assert rows[1] == ["1", "0.1", ""]
    assert ["500", "50", "7"] in rows
    assert rows[-1] == ["1,000", "100", ""]
    assert len(rows) <= 15


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([2.7, 0.2], ["0", "1", "2", "3"]),
        ([0.4, 0.93], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.5, 0.93], ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]),
        ([0.8, 0.93], ["0.80", "0.85", "0.90", "0.95"]),
        ([-1.0, 1.0], ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        ([-4.0, -0.3], ["-4", "-3", "-2", "-1", "0"]),
        ([0.0, 5e-5], ["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]),
        ([1e-6], ["0", "2e-7", "4e-7", "6e-7", "8e-7", "1e-6"]),
        ([0.0], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([1500.0, 4200.0], ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]),
    ],
)
def test_vertical_axis_ends_on_round_numbers(values: list[float], labels: list[str]) -> None:
    axis = vertical_axis(values)
    assert [tick.label for tick in axis.ticks] == labels
    assert (axis.ticks[0].place, axis.ticks[-1].place) == (0, 100)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 900], ["0", "200", "400", "600", "800"]),
        ([1, 3], ["1", "2", "3"]),
        ([7], ["4", "6", "8", "10"]),
        ([500, 600], ["500", "520", "540", "560", "580", "600"]),
        ([0, 6_000_000], ["0", "2e6", "4e6", "6e6"]),
        ([0, 0.5], ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
    ],
)
def test_horizontal_axis_keeps_its_ends_and_whole_steps(values: list[float], labels: list[str]) -> None:
    axis = horizontal_axis(values)
    assert [tick.label for tick in axis.ticks] == labels
    assert axis.low <= min(values) and axis.high >= max(values)


def test_sample_shows_its_stages_beside_each_other() -> None:
    (sample,) = render().find("details", class_="sample")
    summary = sample.find("summary")[0]
    assert texts(summary.find("span", class_="outcome")) == [f"{BEFORE} wrong", f"{AFTER} right"]
    assert texts(sample.find("div", class_="outcome-card")) == [
        f"{BEFORE} wrong judge B, label A confidence 0.50 orders disagree",
        f"{AFTER} right judge A, label A confidence 0.75 orders agree",
    ]
    assert len(sample.find("section", class_="response")) == 2, "the responses are shown once"
    columns = sample.find("div", class_="columns")[1:]
    assert [texts(one.find("h5")) for one in columns] == [[BEFORE, AFTER]] * 2
    assert texts(sample.find("h5", class_="row-name")) == ["Order ab, vote 0", "Order ba, vote 0"]
    assert sample.text.count("The sides are swapped here") == 1


def test_completions_show_their_reasoning_at_each_stage() -> None:
    sample = StagedSample(
        (
            (BEFORE, make_sample(votes=(make_vote(side="missing", text="rambling"),))),
            (AFTER, make_sample(votes=(make_vote(sections=SECTIONS), make_vote(order="ba")))),
        )
    )
    (body,) = render(samples=(sample,)).find("div", class_="body")
    before, after = body.find("details", class_="vote")[:2]
    assert "invalid: missing" in texts(before.find("span"))
    assert "rambling" in texts(before.find("div", class_="u"))
    assert {"Rubric", "Evaluation", "Verdict"} <= set(texts(after.find("h6")))
    assert f"{BEFORE}: not judged in this order." in texts(body.find("p", class_="empty"))


def test_long_completion_scrolls_in_a_box_of_its_own() -> None:
    page = render(samples=(staged(votes=(make_vote(text="word " * 2000), make_vote(order="ba"))),))
    bodies = page.find("div", class_="vote-body")
    assert [("tall" in (node.attrs["class"] or ""), node.attrs.get("tabindex")) for node in bodies] == [
        *[(True, "0")] * 2,
        *[(False, None)] * 2,
    ]
    assert page.text.count("word " * 2000) == 2, "nothing is cut"


def test_filters_tell_what_training_changed() -> None:
    samples = (staged(), staged("invalid"), staged("right", "wrong"), staged("right"), staged("tie", "tie"))
    page = render(samples=samples)
    assert texts(page.find("div", class_="choices")[0].find("label")) == [
        *("all 5", "became right 2", "no longer right 1"),
        *("right 3", "wrong 1", "tie 1", "inconsistent 0", "invalid 0"),
    ]
    listed = [node.attrs["data-status"] for node in page.find("details", class_="sample")]
    assert listed == ["gained right", "gained right", "lost wrong", "right", "tie"]
    values = {node.attrs["value"] for node in page.find("input", name="status")}
    assert {word for status in listed for word in (status or "").split()} <= values


def test_one_stage_alone_has_no_change() -> None:
    page = render(stages=STAGES[:1], samples=(StagedSample((("now", make_sample()),)),))
    assert "became right" not in page.text
    assert texts(page.find("span", class_="outcome")) == ["now right"]


def test_staged_sample_refuses_what_is_not_one_pair() -> None:
    with pytest.raises(ValueError, match="no stage"):
        StagedSample(())
    with pytest.raises(ValueError, match="several pairs: 'a', 'b'"):
        StagedSample((("x", make_sample(id="a")), ("y", make_sample(id="b"))))


def make_text_report(text: str) -> TrainingReport:
    """A report with ``text`` in every field that takes text; each occurrence carries its own number."""
    numbers = iter(range(1000))

    def t() -> str:
        return f"{text}#{next(numbers)}#"

    sample_id, category = t(), t()
    samples = tuple(
        make_sample(
            id=sample_id,
            category=category,
            prompt=(Message("user", t()),) if last else (),
            response_a=say(t()) if last else (),
            response_b=say(t()) if last else (),
            votes=(make_vote(text=t(), problems=(t(),), sections=Sections(think=t(), solution=t(), evaluation=t())),),
        )
        for last in (False, True)
    )
    y_label, x_label, one = t(), t(), ((1.0, 2.0), (2.0, NAN))
    return TrainingReport(
        title=t(),
        facts=((t(), t()),),
        stages=(stage(t(), share(0.5, 0.4, 0.6, name="M", note=t())), stage(t(), share(0.7, name=t(), note=t()))),
        curves=(Curve(t(), y_label, x_label, (Series(t(), one), Series(t(), ()))), Curve(t(), "", "", ())),
        tables=(Table(t(), (t(), t()), ((t(), t()),)),),
        samples=(StagedSample(((t(), samples[0]), (t(), samples[1]))), staged()),
        notes=(t(),),
    )


def test_hostile_text_stays_text_everywhere() -> None:
    source = render_training_report(make_text_report(HOSTILE))
    page, plain = parse(source), parse(render_training_report(make_text_report("plain")))
    expected = set(re.findall(r"#\d+#", plain.text))
    assert expected == {f"#{number}#" for number in range(len(expected))} and len(expected) > 30
    assert {number for number in expected if f"{HOSTILE}{number}" in page.text} == expected
    assert [node.tag for node in page.walk()] == [node.tag for node in plain.walk()]
    assert [list(node.attrs) for node in page.walk()] == [list(node.attrs) for node in plain.walk()]
    assert [node.text for node in page.find("script")] == [node.text for node in plain.find("script")]
    assert "<script>alert" not in source


def test_page_loads_nothing_and_styles_nothing_inline() -> None:
    source = render_training_report(make_text_report("plain"))
    for reference in ("http:", "https:", "src=", "srcset", "@import", "url(", "xlink", "fetch("):
        assert reference not in source
    assert not [node for node in parse(source).walk() if "style" in node.attrs]
    assert "default-src 'none'" in source


def test_every_drawn_position_is_inside_its_frame() -> None:
    for figure in render(curves=(LOSS, dataclasses.replace(LOSS, title="x", series=LOSS.series[1:]))).find("figure"):
        for node in figure.walk():
            for value in numbers(node, *(("cx", "cy") if node.tag == "circle" else ())):
                assert 0 <= value <= 100
            if node.tag in ("line", "text") and "%" in (node.attrs.get("y1") or node.attrs.get("y") or ""):
                assert all(0 <= value <= 100 for value in numbers(node, "x1", "x2", "y1", "y2", "x", "y"))
        box = next(node.attrs["viewbox"] for node in figure.walk() if "viewbox" in node.attrs)
        assert box == "0 0 1000 1000"
        assert all(0 <= value <= 1000 for path in paths(figure) for _, *place in path for value in place)


def test_equal_reports_give_equal_pages_and_files(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_training_report(make_report(title="half \ud83d a pair"), path)
    text = path.read_text(encoding="utf-8")
    assert text == render_training_report(make_report(title="half \ud83d a pair"))
    assert "half ? a pair" in text
    assert list(tmp_path.iterdir()) == [path]


def test_drawing_a_large_curve_gives_a_small_chart() -> None:
    chart = draw(dataclasses.replace(LOSS, series=(Series("x", tuple((i, i % 7) for i in range(100_000))),)))
    assert len(chart.lines[0].path) < 10_000

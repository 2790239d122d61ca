"""The HTML report: what it says, that no text can break out of its place, and that it is written whole."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest

from rmr1.records import Message, RubricItem, Sections
from rmr1.report.figures import Metric
from rmr1.report.judge import JudgeReport, render_judge_report, write_judge_report
from rmr1.report.samples import Sample, SampleVote
from rmr1.report.tables import Table
from tests.support.html_tree import Node, parse, texts
from tests.support.reports import HOSTILE, SECTIONS, make_sample, make_vote, say


def make_report(**changes: Any) -> JudgeReport:
    report = JudgeReport(
        title="A run",
        facts=(("Model", "replay/file"),),
        headline=(Metric("Accuracy", 0.684, 0.652, 0.715, "ties and invalid count as wrong", "share"),),
        tables=(Table("By category", ("category", "accuracy"), (("chat", "68.4 %"),)),),
        samples=(make_sample(),),
        samples_total=1,
        notes=("a note",),
    )
    return dataclasses.replace(report, **changes)


def render(**changes: Any) -> Node:
    return parse(render_judge_report(make_report(**changes)))


def render_metric(*metric: Any) -> Node:
    (card,) = render(headline=(Metric(*metric),)).find("li", class_="card")
    return card


def render_vote(**changes: Any) -> Node:
    (vote,) = render(samples=(make_sample(votes=(make_vote(**changes),)),)).find("details", class_="vote")
    return vote


def test_page_holds_title_facts_tables_and_notes() -> None:
    page = render()
    assert texts(page.find("h1")) == texts(page.find("title")) == ["A run"]
    assert (texts(page.find("dt")), texts(page.find("dd"))) == (["Model"], ["replay/file"])
    assert texts(page.find("caption")) == ["By category"]
    assert [node.text for node in page.find("th", scope="col")] == ["category", "accuracy"]
    assert [node.text for node in page.find("th", scope="row")] == ["chat"]
    assert [(node.text, node.attrs.get("class")) for node in page.find("td")] == [("68.4 %", "num")]
    assert texts(page.find("ul", class_="notes")) == ["a note"]


def test_equal_reports_give_equal_pages() -> None:
    assert render_judge_report(make_report()) == render_judge_report(make_report())


def test_share_is_drawn_from_0_to_100_percent_with_its_interval() -> None:
    card = render_metric("Accuracy", 0.684, 0.652, 0.715, "ties count as wrong", "share")
    assert texts(card.find("p")) == ["68.4 %", "95 % interval 65.2 % to 71.5 %", "ties count as wrong"]
    (fill,) = card.find("rect", class_="fill")
    assert (fill.attrs["x"], fill.attrs["width"]) == ("0.0%", "68.40%")
    assert [(node.attrs["x1"], node.attrs["x2"]) for node in card.find("line", class_="whisker")] == [
        ("65.2%", "71.5%"),
        ("65.2%", "65.2%"),
        ("71.5%", "71.5%"),
    ]


def test_number_with_an_interval_has_its_own_scale() -> None:
    card = render_metric("kappa", -0.1, -0.3, 0.15, "valid verdicts only", "number")
    assert texts(card.find("p"))[:2] == ["-0.1", "95 % interval -0.3 to 0.15"]
    assert texts(card.find("div", class_="ticks")[0].find("span")) == ["-0.4", "-0.1", "0.2"]
    (fill,) = card.find("rect", class_="fill")
    assert (fill.attrs["x"], fill.attrs["width"]) == ("50.0%", "16.67%")


def test_axis_of_positive_numbers_starts_at_plain_zero() -> None:
    card = render_metric("kappa", 0.37, 0.31, 0.43, "", "number")
    assert texts(card.find("div", class_="ticks")[0].find("span")) == ["0", "0.3", "0.6"]


@pytest.mark.parametrize(("value", "shown"), [(812.4, "812"), (12345.6, "12,346"), (0.0, "0"), (0.01234, "0.0123")])
def test_number_without_an_interval_is_not_drawn(value: float, shown: str) -> None:
    card = render_metric("tokens", value, None, None, "mean", "number")
    assert texts(card.find("p")) == [shown, "no interval", "mean"]
    assert not card.find("svg")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("unit", ["share", "number"])
def test_unknown_value_is_not_available(value: float | None, unit: str) -> None:
    card = render_metric("calibration", value, 0.1, 0.2, "why", unit)
    assert texts(card.find("p")) == ["n/a", "why"]
    assert not card.find("svg")


@pytest.mark.parametrize("ends", [(None, None), (0.1, None), (None, 0.9), (float("nan"), 0.9)])
def test_share_without_both_ends_has_no_whisker(ends: tuple[float | None, float | None]) -> None:
    card = render_metric("Accuracy", 0.5, *ends, "", "share")
    assert texts(card.find("p"))[1] == "no interval"
    assert card.find("rect", class_="fill")
    assert not card.find("line")


def test_zero_number_with_a_zero_interval_renders() -> None:
    assert not render_metric("faults", 0.0, 0.0, 0.0, "", "number").find("svg")


def test_table_refuses_a_row_of_another_length() -> None:
    with pytest.raises(ValueError, match="table 'T': row 2 has 1 cells for 2 columns"):
        Table("T", ("a", "b"), (("1", "2"), ("3",)))


def test_empty_report_renders() -> None:
    page = render(facts=(), headline=(), tables=(), samples=(), notes=())
    assert texts(page.find("h2")) == ["Samples"]
    assert "No samples are listed." in page.text
    assert not page.find("script")


def test_every_sample_is_listed_with_its_outcome() -> None:
    samples = tuple(make_sample(id=f"pair-{n}", category=f"c{n % 3}") for n in range(40))
    page = render(samples=samples, samples_total=40)
    listed = page.find("details", class_="sample")
    assert texts([node.find("h3")[0] for node in listed]) == [f"{sample.id} {sample.category}" for sample in samples]
    assert [node.attrs["data-category"] for node in listed] == [sample.category for sample in samples]
    assert texts(page.find("p", id="count")) == ["40 of 40 shown"]
    assert texts(page.find("option")) == ["all", "c0", "c1", "c2"]
    assert "not in this file" not in page.text


def test_page_says_when_it_lists_a_part_only() -> None:
    assert (
        "lists 1 of the 7,182 samples of the run; the other 7,181 are not in this file"
        in render(samples_total=7182).text
    )


def test_filters_count_their_samples() -> None:
    samples = (
        make_sample(status="right"),
        make_sample(status="wrong", position_consistent=False),
        make_sample(status="tie", position_consistent=False, winner="tie"),
        make_sample(status="invalid", position_consistent=None, winner=""),
    )
    page = render(samples=samples)
    expected = ["all 4", "right 1", "wrong 1", "tie 1", "inconsistent 2", "invalid 1"]
    assert texts(page.find("div", class_="choices")[0].find("label")) == expected
    assert [node.attrs["data-status"] for node in page.find("details", class_="sample")] == [
        "right",
        "wrong inconsistent",
        "tie inconsistent",
        "invalid",
    ]
    unlabelled = render(samples=(*samples, make_sample(status="unlabelled", label="")))
    assert texts(unlabelled.find("div", class_="choices")[0].find("label"))[-1] == "unlabelled 1"


def test_a_pair_with_an_invalid_vote_can_be_found() -> None:
    half = make_sample(votes=(make_vote(), make_vote(order="ba", side="missing")))
    page = render(samples=(make_sample(), half))
    assert "some invalid 1" in texts(page.find("div", class_="choices")[0].find("label"))
    assert [node.attrs["data-status"] for node in page.find("details", class_="sample")] == [
        "right",
        "right some-invalid",
    ]


@pytest.mark.parametrize(
    ("value", "words"), [(True, "orders agree"), (False, "orders disagree"), (None, "not compared")]
)
def test_summary_line(value: bool | None, words: str) -> None:
    page = render(samples=(make_sample(position_consistent=value, winner="", label=""),))
    (line,) = texts(page.find("details", class_="sample")[0].find("summary")[:1])
    assert line == f"pair-1 chat right judge none, label none confidence 0.75 {words}"


def test_controls_wait_for_the_script() -> None:
    page = render()
    assert page.find("form")[0].attrs.keys() >= {"hidden", "data-scripted"}


@pytest.mark.parametrize(("label", "marked"), [("A", [1, 0]), ("B", [0, 1]), ("", [0, 0])])
def test_better_response_is_marked(label: str, marked: list[int]) -> None:
    responses = render(samples=(make_sample(label=label),)).find("section", class_="response")
    assert [node.text.count("labelled better") for node in responses] == marked
    assert [texts(node.find("div", class_="u")) for node in responses] == [["the first answer"], ["the second answer"]]


def test_conversation_names_its_roles_and_empty_texts() -> None:
    prompt = (Message("system", "be brief"), Message("user", ""))
    page = render(samples=(make_sample(prompt=prompt, response_b=()),))
    assert texts(page.find("p", class_="role")) == ["system", "user"]
    assert texts(page.find("p", class_="empty")) == ["(empty)", "(empty)"]


def test_fenced_code_is_set_apart_and_kept_whole() -> None:
    text = "before\n```py\nx = 1\n\n```\nafter\n~~~\nnever closed"
    page = render(samples=(make_sample(prompt=say(text, "user"), response_a=(), response_b=(), votes=()),))
    pieces = [(node.attrs["class"], node.text) for node in page.find("div", class_="u")]
    assert pieces == [
        ("u prose", "before"),
        ("u code", "```py\nx = 1\n\n```"),
        ("u prose", "after"),
        ("u code", "~~~\nnever closed"),
    ]


def test_vote_shows_every_section_in_order() -> None:
    vote = render_vote(sections=SECTIONS, problems=("late_type", "no_answer"), tokens=1234)
    assert texts(vote.find("summary"))[0] == "Order ab, vote 0 [[A]] prefers A 1,234 tokens"
    assert texts(vote.find("h6")) == [
        "Task type",
        "Rubric",
        "Why this rubric",
        "The judge’s own solution",
        "Evaluation",
        "Verdict",
    ]
    assert texts(vote.find("span", class_="problem")) == ["late_type", "no_answer"]
    assert texts(vote.find("ol", class_="rubric")[0].find("li")) == ["60 % accuracy", "none tone"]
    for text in ("a thought", "because", "my solution", "raw completion <answer>[[A]]</answer>"):
        assert text in texts(vote.find("div", class_="u"))


def test_rubric_without_items_is_shown_as_text() -> None:
    vote = render_vote(sections=dataclasses.replace(SECTIONS, rubric_items=()))
    assert "the rubric as text" in texts(vote.find("div", class_="u"))


def test_evaluation_keeps_its_order_and_shows_each_span_once() -> None:
    evaluation = next(node for node in render_vote(sections=SECTIONS).find("section") if "Evaluation" in node.text)
    assert texts([evaluation]) == [
        "Evaluation First. Quote from A a quote Then. Summary of B a summary Last. Quote from B a stray quote"
    ]


def test_loop_of_opening_tags_takes_linear_time() -> None:
    start = time.process_time()
    render_vote(sections=Sections(evaluation="<quote_A>" * 20_000))
    assert time.process_time() - start < 5


def test_swapped_vote_is_told_in_the_frame_of_the_pair() -> None:
    vote = render_vote(order="ba", side="B", sections=SECTIONS)
    assert "the judge saw the pair’s B as “A” and the pair’s A as “B”" in " ".join(vote.text.split())
    assert texts(vote.find("span", class_="verdict")) == ["[[A]] prefers the pair’s B"]
    spans = vote.find("div", class_="span")
    assert [(node.attrs["class"], texts(node.find("span", class_="tag"))) for node in spans] == [
        ("span quote side-b", ["Quote from A, the pair’s B"]),
        ("span summary side-a", ["Summary of B, the pair’s A"]),
        ("span quote side-a", ["Quote from B, the pair’s A"]),
    ]


def test_unswapped_vote_says_so() -> None:
    vote = render_vote()
    assert "the pair’s A as “A”" in vote.text
    assert "swapped" not in vote.text


def test_invalid_vote_names_its_reason_and_opens_its_text() -> None:
    vote = render_vote(side="truncated", text="cut of")
    assert texts(vote.find("span", class_="verdict")) == ["invalid: truncated"]
    assert "[[" not in vote.text
    (raw,) = (node for node in vote.find("details") if node.find("summary")[0].text == "Raw text")
    assert "open" in raw.attrs
    assert texts(raw.find("div", class_="u")) == ["cut of"]


def test_vote_without_text_renders() -> None:
    assert "(empty)" in render_vote(side="engine_error", text="").text


def make_text_report(text: str) -> JudgeReport:
    """A report with ``text`` in every field that takes text; each occurrence carries its own number."""
    numbers = iter(range(1000))

    def t() -> str:
        return f"{text}#{next(numbers)}#"

    sections = Sections(
        think=t(),
        task_type="Chat",
        rubric_items=(RubricItem(t(), 0.5),),
        justify=t(),
        solution=t(),
        evaluation=f"{t()} <quote_A>{t()}</quote_A>",
        quotes_b=(t(),),
        summaries_a=(t(),),
        summaries_b=(t(),),
    )
    sample = Sample(
        id=t(),
        category=t(),
        status="wrong",
        winner=t(),
        label=t(),
        confidence=0.5,
        position_consistent=None,
        prompt=(Message(t(), t()), Message("user", f"```\n{t()}\n```")),
        response_a=say(t()),
        response_b=say(t()),
        votes=(
            SampleVote("ab", 0, t(), t(), sections, (t(),), 1),
            SampleVote("ba", 0, "A", t(), Sections(rubric=t()), (), 1),
        ),
    )
    return JudgeReport(
        title=t(),
        facts=((t(), t()),),
        headline=(Metric(t(), 0.5, 0.4, 0.6, t(), "share"),),
        tables=(Table(t(), (t(), t()), ((t(), t()),)),),
        samples=(sample, make_sample()),
        samples_total=2,
        notes=(t(),),
    )


def test_hostile_text_stays_text_everywhere() -> None:
    page = parse(render_judge_report(make_text_report(HOSTILE)))
    plain = parse(render_judge_report(make_text_report("plain")))
    expected = set(re.findall(r"#\d+#", plain.text))
    assert expected == {f"#{number}#" for number in range(34)}
    shown = {number for number in expected if f"{HOSTILE}{number}" in page.text}
    assert shown == expected
    assert [node.tag for node in page.walk()] == [node.tag for node in plain.walk()]
    assert [list(node.attrs) for node in page.walk()] == [list(node.attrs) for node in plain.walk()]
    assert (page.find("details", class_="sample")[0].attrs["data-category"] or "").startswith(HOSTILE)


def test_no_text_enters_the_script_or_the_style() -> None:
    page = parse(render_judge_report(make_text_report(HOSTILE)))
    empty = render()
    for tag in ("script", "style"):
        assert [node.text for node in page.find(tag)] == [node.text for node in empty.find(tag)]
        assert "\u2028" not in page.find(tag)[0].text


def test_page_refers_to_nothing_outside() -> None:
    page = render_judge_report(make_text_report("plain"))
    for reference in ("http:", "https:", "src=", "srcset", "@import", "url(", "//cdn", "fetch(", "XMLHttpRequest"):
        assert reference not in page
    links = [node.attrs["href"] for node in parse(page).walk() if "href" in node.attrs]
    assert [link for link in links if not (link or "").startswith("#")] == ["data:,"]
    assert not [node for node in parse(page).walk() if "style" in node.attrs]


def test_links_of_users_stay_text() -> None:
    page = render(samples=(make_sample(prompt=say("see https://example.org/x", "user")),))
    assert "https://example.org/x" in page.text
    assert not [node for node in page.walk() if any("https:" in (value or "") for value in node.attrs.values())]


def test_security_policy_admits_exactly_the_own_script_and_style() -> None:
    page = render()
    (meta,) = [node for node in page.find("meta") if node.attrs.get("http-equiv") == "Content-Security-Policy"]
    policy = dict(part.split(maxsplit=1) for part in (meta.attrs["content"] or "").split("; "))
    assert policy["default-src"] == "'none'"
    for tag in ("script", "style"):
        (node,) = page.find(tag)
        digest = base64.b64encode(hashlib.sha256(node.text.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


def test_headings_never_skip_a_level() -> None:
    levels = [int(node.tag[1]) for node in render().walk() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_lone_surrogates_do_not_stop_the_report(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_judge_report(make_report(title="half \ud83d a pair"), path)
    assert "half ? a pair" in path.read_text(encoding="utf-8")


def test_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    write_judge_report(make_report(title="Ü"), path)
    assert path.read_bytes() == render_judge_report(make_report(title="Ü")).encode("utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    seen: list[tuple[Path, bytes]] = []

    def fail(self: Path, target: Path) -> Path:
        seen.append((self.parent, self.read_bytes()))
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_judge_report(make_report(), path)
    assert seen == [(tmp_path, render_judge_report(make_report()).encode("utf-8"))]
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]

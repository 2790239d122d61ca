"""What ``rmr1 judge`` and ``rmr1 eval`` print for the same completions."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

import pytest

from rmr1.benchmarks import evaluate
from rmr1.config import JudgeConfig, load_config
from rmr1.judging import judge_pairs
from rmr1.records import Generation
from rmr1.report.console import summary_rows
from rmr1.report.evaluation import result_tables
from rmr1.report.pairs import figure_rows
from tests.support.engines import FunctionEngine, answer

ROWS = 30
LABELS = ("A", "B", "tie")


@pytest.fixture
def pairs(tmp_path):
    """Pairs of which each third person calls a tie; two pairs share a prompt."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": f"p{n}", "prompt": f"q{n // 2}", "response_a": f"one {n}", "response_b": f"two {n}",
                        "label": LABELS[n % 3]}) + "\n"
            for n in range(ROWS)
        )
    )  # fmt: skip
    return path


def third(request):
    """Whether the request is one of the third that fails; its number and order decide, not the command that asks."""
    comparison = request.comparison
    return crc32(f"{comparison.shown_a[0].content}/{comparison.order}".encode()) % 3 == 0


def figures_of_both(model, pairs, folder):
    """The figures of a judge run and of an evaluation of the same judge on the same pairs."""
    judged = judge_pairs(pairs, engine=model, run=folder / "judge")
    return judged, evaluate(model, "custom", data=pairs, run=folder / "eval")


def test_a_biased_judge_with_failing_requests_is_never_right_and_both_commands_print_the_same(pairs, tmp_path):
    engine = FunctionEngine(
        lambda request: Generation(request.id, "", "error", error="HTTP 500") if third(request) else answer("A")
    )
    judged, evaluated = figures_of_both(engine, pairs, tmp_path)
    found = evaluated.results.benchmarks["custom"]
    figures = found.pairs
    assert 0 < figures.unjudged < ROWS
    assert figures.pairs + figures.unjudged == ROWS
    assert (figures.accuracy.value, figures.agreement.value, figures.right) == (0.0, 0.0, 0)
    assert figures.agreement.n == figures.pairs
    assert found.protocols["official"].metrics["accuracy"].value == 0.0
    assert found.protocols["official"].metrics["accuracy"].n == figures.accuracy.n
    rows = list(figure_rows(figures))
    assert list(summary_rows(judged.results))[: len(rows)] == rows
    assert rows in [list(table.rows) for table in result_tables(evaluated.results, "official")]
    assert all(name in dict(rows) for name in ("pairs not judged (the engine failed)", "invalid verdicts"))


def test_the_same_command_asks_again_what_failed_and_nothing_else(pairs, tmp_path):
    failing = FunctionEngine(
        lambda request: Generation(request.id, "", "error", error="HTTP 500") if third(request) else answer("A")
    )
    first, _ = figures_of_both(failing, pairs, tmp_path)
    healthy = FunctionEngine(lambda request: answer("A"))
    judged, evaluated = figures_of_both(healthy, pairs, tmp_path)
    assert judged.results.unjudged == evaluated.results.benchmarks["custom"].pairs.unjudged == 0
    assert judged.results.pairs == ROWS
    assert len(healthy.asked) == 2 * first.results.unanswered


class BiasedServer(BaseHTTPRequestHandler):
    """Says A to two thirds of the requests, and fails with a 500 on the others."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = body["messages"][-1]["content"]
        failed = crc32(text.encode()) % 3 == 0
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer("A")}}
        content = {"error": {"message": "no"}} if failed else {"id": "1", "object": "chat.completion", "created": 0,
                                                              "model": "m", "choices": [choice]}  # fmt: skip
        data = json.dumps(content).encode()
        self.send_response(500 if failed else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


def test_a_server_that_fails_on_a_third_of_the_requests_makes_no_biased_judge_right(pairs, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), BiasedServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = load_config(
            JudgeConfig,
            arguments={
                "model": "openai/m",
                "engine": {"base_url": f"http://127.0.0.1:{server.server_port}/v1", "max_retries": 0},
            },
            environment={},
        )
        judged = judge_pairs(pairs, config, run=tmp_path / "judge")
        evaluated = evaluate("openai/m", "custom", data=pairs, run=tmp_path / "eval", config=config)
        server.shutdown()
    figures = evaluated.results.benchmarks["custom"].pairs
    assert 0 < figures.unjudged < ROWS
    assert (figures.accuracy.value, figures.right, figures.half_judged) == (0.0, 0, 0)
    assert list(figure_rows(figures)) == list(figure_rows(judged.results))

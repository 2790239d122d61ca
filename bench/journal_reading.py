"""How many completions of a journal are read, checked and built in a second of processor time.

    nice python bench/journal_reading.py [--lines 20000] [--src OTHER/src]

Writes a journal of Chain-of-Rubrics completions, then reads it as a resumed run does: the check of each line, its JSON, its fields,
its place, its sections. With --src, the same journal is read by another source tree too, turn by turn; medians of five.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEXT = """<type>Chat</type>
<rubric>
1. Accuracy (40%): the answer is right.
2. Clarity (30%): the answer can be followed.
3. Tone (30%): the answer is polite.
<justify>{justify}</justify>
</rubric>
<eval>
<quote_A>{quote}</quote_A> is right, and <summary_B>{summary}</summary_B> is not. {evaluation}
</eval>
<answer>[[{side}]]</answer>"""
ROUNDS = 5


def write(folder: Path, lines: int) -> None:
    from rmr1.engines import prompt_sha256
    from rmr1.judging import Completion
    from rmr1.judging.completions import pair_hash
    from rmr1.records import Generation, Message, PreferencePair, Usage
    from rmr1.runs import RunDirectory
    from rmr1.sides import shown_orders
    from rmr1.verdict import parse_verdict

    with RunDirectory(folder, {"bench": "journal reading"}) as run, run.journal("completions.jsonl") as journal:
        for number in range(lines // 2):
            pair = PreferencePair(
                f"p{number}", (Message("user", "q"),), (Message("assistant", "a"),), (Message("assistant", "b"),), "A"
            )
            for index, order in enumerate(shown_orders("both", pair.id, 0)):
                text = TEXT.format(
                    justify="It asks for facts. " * 8,
                    quote="The sum is four. " * 4,
                    summary="a guess " * 6,
                    evaluation="The first one shows its work. " * 12,
                    side="AB"[number % 2],
                )
                generation = Generation(f"{pair.id}/{order}/0", text, usage=Usage(900, 300, 0, 0))
                completion = Completion(
                    pair=number,
                    index=index,
                    request=generation.request_id,
                    pair_id=pair.id,
                    group="",
                    category="",
                    label="A",
                    order=order,
                    vote=0,
                    text=text,
                    finish_reason="stop",
                    think_open=False,
                    usage=generation.usage,
                    p_shown_a=0.75,
                    fenced=0,
                    prompt_sha256=prompt_sha256(pair.prompt),
                    pair_hash=pair_hash(pair),
                    verdict=parse_verdict(generation),
                )
                journal.append(completion.to_record())


def read(folder: Path) -> float:
    """Lines in a second of processor time."""
    from rmr1.judging import ComparisonLayout, CompletionReader
    from rmr1.runs import read_journal

    began = time.process_time()
    reader = CompletionReader(ComparisonLayout("both", 1, 0))
    count = sum(1 for _ in reader.read(read_journal(folder, "completions.jsonl")))
    return count / (time.process_time() - began)


def measured(folder: Path, source: str) -> float:
    command = [sys.executable, __file__, "--read", str(folder)]
    environment = {**os.environ, "PYTHONPATH": source} if source else None
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--src", default=None, help="another source tree to compare with")
    parser.add_argument("--read", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(read(Path(given.read)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "run", given.lines)
        sources = {"this": ""} | ({"other": given.src} if given.src else {})
        speeds: dict[str, list[float]] = {name: [] for name in sources}
        for _ in range(ROUNDS):
            for name, source in sources.items():
                speeds[name].append(measured(Path(folder) / "run", source))
    for name, found in speeds.items():
        print(f"{name}: {statistics.median(found):,.0f} lines/s (from {min(found):,.0f} to {max(found):,.0f})")


if __name__ == "__main__":
    main()

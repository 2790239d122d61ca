"""Whether runs that are killed end as if nothing had happened, whatever engine judges.

Each argument is one run: the options of ``rmr1 judge`` besides the pairs and ``--run``, in which ``{server}`` stands for the
address of a local server that answers at once. The run is made once in peace, and once killed with SIGKILL at moments drawn over
its journal, started again after each, and let end. A run is exact if no comparison stands twice in the journal, none is missing,
and journal and results say what those of the run in peace say. A server's answers may come in any order.

    python bench/kill_runs.py pairs.jsonl --kills 5 \\
        "--model openai/instant --base-url {server}" "--model hf/runs/sft/model --votes 3"
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from judge_overhead import instant_server

sys.path.append(str(Path(__file__).parents[1]))
from tests.support.processes import kill_when, lines_of

JOURNAL = "completions.jsonl"
DIFFERS = {"notes"}
"""What an engine said while it worked may be said by another process."""


def completions(run: Path) -> list[str]:
    """The records of a journal without what chains a line to the one before it, in a fixed order."""
    records = [json.loads(line) for line in (run / JOURNAL).read_bytes().splitlines()]
    return sorted(json.dumps({**record, "check": ""}, sort_keys=True) for record in records)


def results(run: Path) -> dict[str, object]:
    """What a run concludes."""
    concluded = json.loads((run / "results.json").read_text())
    return {name: value for name, value in concluded.items() if name not in DIFFERS}


def kill_run(command: list[str], folder: Path, kills: int, chance: random.Random) -> tuple[int, str]:
    """Make a run twice; how many kills found it alive, and what is wrong with it, or "" if it is exact."""
    peace, killed = folder / "peace", folder / "killed"
    subprocess.run([*command, "--run", str(peace)], check=True, capture_output=True)
    total = lines_of(peace / JOURNAL)
    alive = 0
    for moment in sorted(chance.randrange(total) for _ in range(kills)):
        alive += kill_when(
            lambda moment=moment: lines_of(killed / JOURNAL) >= moment,  # type: ignore[misc]
            [*command, "--run", str(killed)],
            linger_s=chance.random() * 0.05,
        )
    subprocess.run([*command, "--run", str(killed)], check=True, capture_output=True)
    keys = [(record["pair"], record["request"]) for record in map(json.loads, completions(killed))]
    if len(set(keys)) < len(keys):
        return alive, "a comparison stands twice"
    if completions(killed) != completions(peace):
        return alive, "the journals differ"
    return alive, "" if results(killed) == results(peace) else "the results differ"


def main() -> None:
    """Print a line for each run, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    total = exact = 0
    with ExitStack() as stack:
        server = stack.enter_context(instant_server())
        for options in given.runs:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            judge = [sys.executable, "-m", "rmr1.cli.main", "judge", given.pairs]
            alive, wrong = kill_run(
                [*judge, *shlex.split(options.replace("{server}", server))], folder, given.kills, chance
            )
            total += alive
            exact += not wrong
            print(f"{alive} kills, {wrong or 'exact'}: {options}", flush=True)
    print(f"{total} kills over {len(given.runs)} runs, {exact} exact")


if __name__ == "__main__":
    main()

"""What a step of stage 2 costs as groups, prompts and batches grow, beside TRL's trainer, as a picture.

Every point is a process of its own, run by ``grpo_step.py``; where one ends for want of memory, its line ends. Points that were
measured are kept in ``--out``, so that the same command goes on after an interruption.

    python bench/step_costs.py --out runs/step-costs
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rmr1.report.charts import horizontal_axis, vertical_axis

SERIES = {
    "rollouts of a prompt": ("--rollouts", (2, 4, 8, 16, 32)),
    "tokens of the prompt": ("--prompt", (192, 384, 768, 1536, 3072)),
    "prompts, 300 tokens in common": ("--groups", (1, 2, 4, 8)),
}
COLOURS = {"rmr1": "#0b6", "trl": "#c50"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 240, 60, 40, 90


def measure(who: str, option: str, value: int, given: argparse.Namespace) -> float | None:
    """Seconds of a step; None where the process was ended for want of memory."""
    shape = {"--prompt": 768, "--completion": 96, "--groups": 1, "--rollouts": 8, option: value}
    if option == "--groups":
        shape["--instructions"] = 300
    command = [sys.executable, str(Path(__file__).with_name("grpo_step.py")), "--child", who]
    command += ["--model", given.model, "--repeats", str(given.repeats)]
    command += [str(word) for pair in shape.items() for word in pair]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -9 or "allocate memory" in done.stderr or "out of memory" in done.stderr:
        return None
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def points(given: argparse.Namespace) -> dict[str, dict[str, list[tuple[int, float]]]]:
    file = given.out / "points.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    result: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for title, (option, values) in SERIES.items():
        result[title] = {who: [] for who in COLOURS}
        for who, line in result[title].items():
            for value in values:
                key = f"{given.model} {given.repeats} {who} {option} {value}"
                if key not in known:
                    known[key] = measure(who, option, value, given)
                    file.write_text(json.dumps(known, indent=1))
                    print(f"{key}: {known[key]}", flush=True)
                if known[key] is None:
                    break
                line.append((value, known[key]))
    return result


def panel(title: str, lines: dict[str, list[tuple[int, float]]], left: int) -> str:
    x_axis = horizontal_axis([x for line in lines.values() for x, _ in line])
    y_axis = vertical_axis([0.0, *(y for line in lines.values() for _, y in line)])
    parts = [f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>']
    parts.append(f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>')
    for tick in y_axis.ticks:
        y = TOP + HEIGHT * (100 - tick.place) / 100
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tick.label}</text>')
    for tick in x_axis.ticks:
        x = left + WIDTH * tick.place / 100
        parts.append(f'<text x="{x}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{tick.label}</text>')
    for who, line in lines.items():
        places = [(left + WIDTH * x_axis.place(x) / 100, TOP + HEIGHT * (100 - y_axis.place(y)) / 100) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[who]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[who]}"/>' for x, y in places]
        if places:
            x, y = places[-1]
            parts.append(f'<text x="{x - 4:.1f}" y="{y - 8:.1f}" text-anchor="end" fill="{COLOURS[who]}">{who}</text>')
    return "\n".join(parts)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="smollm2-135m-instruct")
    arguments.add_argument("--repeats", type=int, default=1)
    arguments.add_argument("--out", type=Path, default=Path("runs/step-costs"))
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    panels = [
        panel(title, lines, LEFT + number * (WIDTH + GAP))
        for number, (title, lines) in enumerate(points(given).items())
    ]
    size = f'width="{LEFT + len(panels) * (WIDTH + GAP)}" height="{TOP + HEIGHT + 40}"'
    style = 'font-family="sans-serif" font-size="12" style="background:#fff"'
    picture = given.out / "step-costs.svg"
    picture.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(panels) + "\n</svg>\n")
    print(f"seconds of a step: {picture}")


if __name__ == "__main__":
    main()

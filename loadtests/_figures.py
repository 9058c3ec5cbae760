"""README's table of fidelity: `python loadtests/_figures.py` writes it from the stored figures.

`python loadtests/_figures.py lb-fidelity/fidelity.json ...` stores what studies have found in
FIGURES, each in place of its target's, and does the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.output.fidelity import all_runs, notes, summary

HERE = Path(__file__).parent
FIGURES = HERE / "fidelity.json"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- fidelity: make fidelity -->\n", "<!-- end of fidelity -->\n"
NAMES = {"lb": "lb", "haproxy": "HAProxy", "nginx": "nginx"}


def stored() -> dict[str, Any]:
    """What was found last, by target."""
    if not FIGURES.exists():
        return {}
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def store(studies: Sequence[dict[str, Any]]) -> None:
    """Keep the studies; those of other targets stay as they are."""
    found = stored() | {one["target"]: _short(one) for one in studies}
    FIGURES.write_text(_text(found), encoding="utf-8")


def written(studies: dict[str, Any]) -> str:
    """All of them, in Markdown: medians, and what there is to say; of lb every run."""
    named = {name: studies[target] for target, name in NAMES.items() if target in studies}
    parts = [summary(named)] if named else []
    for name, one in named.items():
        parts.append(f"**{name}**\n\n{notes(one)}")
        if one["target"] == "lb":
            parts.append(all_runs(one))
    return "\n".join(parts)


def rewrite() -> None:
    """README's part between the two marks, anew."""
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{README.name} has no place for it: {BEGIN.strip()} ... {END.strip()}")
    README.write_text(before + begin + written(stored()) + end + after, encoding="utf-8")


def _text(studies: dict[str, Any]) -> str:
    """As JSON, every run in a line of its own: there are many, and each has dozens of figures."""
    parts = []
    for target, study in studies.items():
        rest = json.dumps({key: value for key, value in study.items() if key != "runs"}, indent=1)
        runs = ",\n".join(map(json.dumps, study["runs"]))
        parts.append(f'"{target}": {rest[:-2]},\n "runs": [\n{runs}\n ]\n}}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _short(value: Any) -> Any:
    """Four digits are more than anything repeats to."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value


def main(files: Sequence[str]) -> None:
    """Store what the files hold, if there are any, and write the table."""
    studies = [json.loads(Path(name).read_text(encoding="utf-8")) for name in files]
    for name, one in zip(files, studies, strict=True):
        if len(one["runs"]) < one["cases"]:
            sys.exit(f"{name}: {len(one['runs'])} of {one['cases']} runs are there; go on with it")
    if studies:
        store(studies)
    rewrite()


if __name__ == "__main__":
    main(sys.argv[1:])

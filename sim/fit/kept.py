"""What long work has done, in a file: one line of JSON for every cell, added when it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lb.errors import ConfigError
from lb.system import writing

FILE = "cells.jsonl"


@dataclass
class Kept:
    """Cells that are there, by the hash of what they depend on."""

    path: Path
    rows: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, directory: Path, name: str = FILE) -> Kept:
        """Those in `directory`, which is made when missing. A line that was cut off is passed over.

        Raises ConfigError for a file of something else, CannotWrite for what cannot be read.
        """
        path = directory / name
        with writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        *whole, rest = text.split("\n")
        rows = {}
        for number, line in enumerate(whole, 1):
            try:
                told = json.loads(line)
                rows[str(told["key"])] = dict(told["cell"])
            except (ValueError, LookupError, TypeError):
                if line.startswith("{") or not line:
                    continue  # what was being written when it was cut off
                raise ConfigError([f"{path}:{number} file: not the line of a cell"]) from None
        if rest:  # begin a line of its own
            with writing(path), path.open("ab") as file:
                file.write(b"\n")
        return cls(path, rows)

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Write a cell down. Raises CannotWrite."""
        line = json.dumps({"key": key, "cell": row}) + "\n"
        with writing(self.path), self.path.open("ab") as file:
            file.write(line.encode())
        self.rows[key] = row

    def others(self, parameters: Mapping[str, Any]) -> bool:
        """Whether there is a cell of these parameters, whatever else it depended on."""
        return any(row.get("parameters") == parameters for row in self.rows.values())

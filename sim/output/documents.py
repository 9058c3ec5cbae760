"""Results as files of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """A value a line, so that two files can be compared. Raises OSError."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

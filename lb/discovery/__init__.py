"""Where backends are found while the proxy runs: watched files, and names that are resolved again.

What was known last stays in use until a source says something else.
"""

from lb.discovery.changes import changes
from lb.discovery.discovery import Discovery

__all__ = ["Discovery", "changes"]

"""What a module tells the compiler; to an interpreter it says nothing.

Compiled, a class may have interpreted subclasses only where it is marked so: what plug-ins may
begin with, and what tests replace parts of. The marks are mypyc's own; its package is not needed to
run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:

    def mypyc_attr(**_):
        """Leave the class as it is."""
        return lambda cls: cls

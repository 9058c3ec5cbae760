"""What every algorithm is held to, as plain functions: the tests and `lb verify` call the same.

A law takes a registry row and a source of seeded random generators, and raises Broken when the row
does not keep it at its settings. Some laws bind everybody; others bind whoever says in its row that
they do: its `needs`, its `cost`, and what it `claims`. `Spec.cases` are the rows to hold them at.
"""

from lb.laws.kit import Broken, Seeded
from lb.laws.table import LAWS, Law

__all__ = ["LAWS", "Broken", "Law", "Seeded"]

"""Closed forms of queueing theory and chains solved to all digits, one file per family.

Times are in mean service times, loads are those of one server. What is known in full is a
`Sojourn`, with `mean`, `tail` and `quantile`; where theory gives no more than a mean, a number.
"""

from sim.checks.theory.balancing import e_n_m_1, jsq_2, power_of_d
from sim.checks.theory.single import m_d_1, m_g_1, m_g_1_ps, m_m_1, m_m_c
from sim.checks.theory.sojourn import Sojourn

__all__ = [
    "Sojourn",
    "e_n_m_1",
    "jsq_2",
    "m_d_1",
    "m_g_1",
    "m_g_1_ps",
    "m_m_1",
    "m_m_c",
    "power_of_d",
]

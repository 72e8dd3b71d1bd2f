"""Candidates from the statements and the schema, measured: which, from how many users on.

    watch (our copy) | staging (read only) → statements + schema → candidates → measure → records

Knows `load` and `compare`; never touches a database of somebody else's but to read it.
"""

from phasegate.advise.candidate import Candidate
from phasegate.advise.propose import candidates

__all__ = ["Candidate", "candidates"]

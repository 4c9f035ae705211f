"""Checks, before anything is queued, what would stop or spoil a run, and names the remedy.

Every check is a small function that gives `Finding`s; `examine.CHECKS` lists them in order. Importing this loads
nothing heavy: each check imports what it needs.
"""

from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.examine import examine, node_findings
from vlrouting.doctor.show import show
from vlrouting.doctor.subject import LAUNCHERS, RunContext

__all__ = ["FAULT", "LAUNCHERS", "OK", "WARNING", "Finding", "RunContext", "examine", "node_findings", "show"]

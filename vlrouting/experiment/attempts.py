"""Every start and end of a point, and from them whether to start it once more."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from vlrouting.config.fit import objection
from vlrouting.config.limits import OneOf, Range
from vlrouting.experiment.errors import UserError

KILLED = "killed"
"""An attempt that ended without a word: by SIGKILL, for want of memory, with its machine."""
FAILED = "failed"
PREEMPTED = "preempted"
_FIELDS: dict[str, Any] = {
    "event": Annotated[str, OneOf(("begin", "resume", "end", "fail"))],
    **dict.fromkeys(("time", "host", "job", "group", "outcome", "reason", "signal"), str | None),
    **dict.fromkeys(("step", "rank"), Annotated[int, Range(least=0, most=2**53)] | None),
}
SILENT_DEATHS = 3
"""So many in a row that did not get past the same step are not chance."""


@dataclass(frozen=True)
class Attempt:
    """One process group's work on a point."""

    started: str
    host: str
    job: str | None
    """The scheduler's name for it."""
    first_step: int
    """Optimizer steps that earlier attempts had saved."""
    outcome: str = KILLED
    """complete, failed, cancelled, preempted; killed where no end was written."""
    last_step: int | None = None
    """Where it ended, if that was in training and could be written."""
    reason: str = ""
    group: str | None = None
    """Names this start to all of its processes."""
    rank: int | None = None
    """Of the process that failed or was killed, where another than the first has told it."""
    signal: str | None = None
    """That killed it: `SIGKILL`."""


class Attempts:
    """The file attempts.jsonl: a line for each start, one for each end that could be written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, host: str, job: str | None, group: str | None = None) -> None:
        """Note a start."""
        self._append({"event": "begin", "host": host, "job": job, "group": group})

    def resume(self, first_step: int) -> None:
        """Note the step that this attempt resumes from."""
        self._append({"event": "resume", "step": first_step})

    def end(self, outcome: str, last_step: int | None = None, reason: str = "") -> None:
        """Note an end."""
        self._append({"event": "end", "outcome": outcome, "step": last_step, "reason": reason})

    def fail(
        self,
        host: str,
        job: str | None,
        group: str,
        last_step: int | None,
        reason: str,
        *,
        rank: int | None = None,
        signal: str | None = None,
    ) -> None:
        """Note that one process of a group fails or was killed: the first may not have started, and will only see that
        it is alone.

        Args:
            host: of the process that notes it.
            job: the scheduler's name of the job.
            group: names the start.
            last_step: of the training.
            reason: for the user.
            rank: of the process.
            signal: that killed it.
        """
        start = {"host": host, "job": job, "group": group}
        end = {"outcome": KILLED if signal else FAILED, "step": last_step, "reason": reason}
        self._append({"event": "fail", **start, **end, "rank": rank, "signal": signal})

    def read(self) -> list[Attempt]:
        """All of them, in order; a line that a kill left unfinished, or that is damaged, is passed over.

        Raises:
            UserError: the file cannot be read.
        """
        found: list[dict[str, Any]] = []
        for event in self._events():
            kind, group = event.get("event"), event.get("group")
            if kind in ("begin", "fail") and not (group and found and found[-1]["group"] == group):
                started = {"started": event.get("time") or "", "host": event.get("host") or "", "job": event.get("job")}
                found.append({**started, "first_step": 0, "group": group})
            if kind == "begin" or not found:
                continue
            if kind == "resume":
                found[-1]["first_step"] = event.get("step") or 0
            elif kind in ("end", "fail") and _replaces(event, found[-1]):
                ending = {"last_step": event.get("step"), "reason": event.get("reason") or ""}
                killed = {"rank": event.get("rank"), "signal": event.get("signal")}
                found[-1].update(ending, outcome=event.get("outcome") or KILLED, **killed)
        return [Attempt(**fields) for fields in found]

    def _events(self) -> list[dict[str, Any]]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        events = (_event(line) for line in content.decode("utf-8", errors="replace").splitlines())
        return [event for event in events if event is not None]

    def _append(self, event: dict[str, object]) -> None:
        line = json.dumps({**event, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One write of one line, begun with a newline in case a kill left the line before unfinished.
        with self.path.open("ab") as file:
            file.write(f"\n{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def _event(line: str) -> dict[str, Any] | None:
    """The event of a line; None where there is none that can be read."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or any(objection(event.get(name), hint) for name, hint in _FIELDS.items()):
        return None
    return event


def _replaces(event: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether an end says more than the one that is known: where one process of a group is killed, the others fail; and
    where one fails, the others end as if they had been stopped."""
    if found.get("signal"):
        return False
    return bool(event.get("signal")) or found.get("outcome") != FAILED


def why_not_again(attempts: list[Attempt], limit: int) -> str | None:
    """Why a point that failed or died should not be started once more; None when it should.

    A preemption is nobody's fault and does not count.

    Args:
        attempts: all there were, the last one just ended.
        limit: how many failures and deaths are let pass.
    """
    bad = [attempt for attempt in attempts if attempt.outcome in (FAILED, KILLED)]
    if not bad:
        return None
    last = bad[-1]
    if len(bad) > 1 and last.outcome == FAILED and (FAILED, last.last_step) == (bad[-2].outcome, bad[-2].last_step):
        place = "outside the training" if last.last_step is None else f"at step {last.last_step}"
        return f"failed twice {place}: {last.reason}"
    silent = bad[-SILENT_DEATHS:]
    if len(silent) == SILENT_DEATHS and all(a.outcome == KILLED and a.first_step == last.first_step for a in silent):
        return (
            f"killed {SILENT_DEATHS} times in a row without getting from step {last.first_step} to the next checkpoint "
            "(out of memory?)"
        )
    if len(bad) > limit:
        return f"failed {len(bad)} times, more than the {limit} retries allowed; the last time: {last.reason or KILLED}"
    return None

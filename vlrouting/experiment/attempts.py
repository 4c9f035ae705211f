"""Every start and end of a point, and from them whether to start it once more."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

KILLED = "killed"
"""An attempt that ended without a word: by SIGKILL, for want of memory, with its machine."""
FAILED = "failed"
PREEMPTED = "preempted"
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
        """All of them, in order; a line that a kill left unfinished is passed over."""
        found: list[dict[str, object]] = []
        for event in self._events():
            group = event.get("group")
            if event.get("event") in ("begin", "fail") and not (group and found and found[-1]["group"] == group):
                started = {"started": event.get("time", ""), "host": event.get("host", ""), "job": event.get("job")}
                found.append({**started, "first_step": 0, "group": group})
            if event.get("event") == "begin":
                continue
            if found and event.get("event") == "resume":
                found[-1]["first_step"] = event["step"]
            elif found and event.get("event") in ("end", "fail") and _replaces(event, found[-1]):
                ending = {"outcome": event["outcome"], "last_step": event.get("step"), "reason": event.get("reason")}
                found[-1].update(ending, rank=event.get("rank"), signal=event.get("signal"))
        return [Attempt(**fields) for fields in found]  # type: ignore[arg-type]

    def _events(self) -> list[dict[str, object]]:
        if not self.path.exists():
            return []
        events = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return events

    def _append(self, event: dict[str, object]) -> None:
        line = json.dumps({**event, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One write of one line, begun with a newline in case a kill left the line before unfinished.
        with self.path.open("ab") as file:
            file.write(f"\n{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def _replaces(event: dict[str, object], found: dict[str, object]) -> bool:
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

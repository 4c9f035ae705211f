"""Launchers, SLURM, exit statuses, the doctor."""

CHANGES = {
    "vlrouting/experiment/exit_status.py": [
        ("USER_ERROR = 2", "USER_ERROR = 3", "another status for a user's error"),
        ("PREEMPTED = 75", "PREEMPTED = 76", "another status for a preemption"),
    ],
    "vlrouting/launch/worker.py": [
        (
            "return ExitStatus.USER_ERROR if isinstance(error, USER_ERRORS) else ExitStatus.FAILED",
            "return ExitStatus.FAILED",
            "a user's error is tried again",
        ),
        ("if rank.world_size != wanted:", "if False:", "another number of processes trains"),
        (
            "raise RuntimeError(text) if temporary else UserError(text)",
            "raise UserError(text)",
            "a port that is taken ends the sweep",
        ),
        ("        return stop.exit_status\n", "        return 1\n", "a preempted process has failed"),
        (
            "if not rank.is_first and run.config.is_file():",
            "if False:",
            "the reason of another rank is lost",
        ),
    ],
    "vlrouting/launch/in_process.py": [
        (
            "except (*USER_ERRORS, Cancelled):\n                raise",
            "except Cancelled:\n                raise",
            "a user's error does not stop the sweep",
        ),
        ("failed[point.name] = error_text(error)", "failed = {}", "failures are not told"),
    ],
    "vlrouting/launch/local.py": [
        ("threads = max(1, cores // (count * devices))", "threads = cores", "points share the cores badly"),
        (
            "tuple(range(n * devices, (n + 1) * devices)) if gpus",
            "tuple(range(devices)) if gpus",
            "all points share the first GPUs",
        ),
        (
            "        if end.status == ExitStatus.USER_ERROR:",
            "        if False:",
            "a user's error is repeated by all points",
        ),
        ("        self.free.append(slot)\n", "", "slots are never free again"),
        ('self.failed[name] = f"{reason} ({run.log})"', "pass", "failures are not told"),
    ],
    "vlrouting/launch/process_group.py": [
        ("self.stop(signal.SIGTERM)", "pass", "the other processes wait for ever"),
        (
            "if self._kill_at is None:  # what ends later was stopped by the launcher",
            "if True:",
            "the second failure is told for the first",
        ),
        (
            "key=lambda each: 0 if each[0] < 0 else",
            "key=lambda each: 9 if each[0] < 0 else",
            "a killed rank is told last",
        ),
    ],
    "vlrouting/launch/open_points.py": [
        (
            "directories[point.name].refuse_other_settings(to_yaml(point.config))",
            "pass",
            "numbers of other settings are taken",
        ),
        ("if not directories[point.name].is_complete()]", "]", "complete points are trained again"),
    ],
    "vlrouting/launch/alive.py": [
        (
            "    except ProcessLookupError:\n        return False",
            "    except ProcessLookupError:\n        return True",
            "the dead are alive",
        ),
        (
            "is_running(self.pid) if self.is_local else None",
            "is_running(self.pid)",
            "processes of other machines are looked up here",
        ),
        ('not in ("Z", "X")', "!= ''", "a zombie is alive"),
    ],
    "vlrouting/launch/status.py": [
        ("if evidence.task is not None and not evidence.task.ended:", "if False:", "queued points do not show"),
    ],
    "vlrouting/launch/cancel.py": [
        (
            "    mark_cancelled(folder, tasks)",
            "    tasks or mark_cancelled(folder, tasks)",
            "a job takes a cancel for a preemption",
        ),
        (
            "        unmark_cancelled(folder, tasks)\n        raise",
            "        raise",
            "a cancel that failed stays marked",
        ),
    ],
    "vlrouting/launch/slurm/after.py": [
        ("if ended.marked or job.cancelled or", "if job.cancelled or", "a cancelled point is requeued"),
        ("    if ended.complete:\n        return Decision(None)\n", "", "a complete point is requeued"),
        ("if ended.status == ExitStatus.USER_ERROR:", "if False:", "a user's error is requeued"),
        (
            "(attempt.last_step or 0) <= attempt.first_step for",
            "True for",
            "five preemptions with progress end a point",
        ),
        (
            "return len(recent) == FRUITLESS_PREEMPTIONS and all(",
            "return False and all(",
            "preemptions without progress never end",
        ),
        ("return Decision(PREEMPTED, requeue=True)", "return Decision(PREEMPTED)", "a preempted point is not requeued"),
        (
            'return Decision("queued", f"started again after: {last.reason or KILLED}", requeue=True)',
            'return Decision("queued", f"started again after: {last.reason or KILLED}")',
            "a failed point is not requeued",
        ),
        ("(128 + signal.SIGUSR2, 128 + signal.SIGUSR1)", "(128 + signal.SIGUSR2,)", "an early SIGUSR1 is a failure"),
        ("return 0 if complete else (status or 1)", "return 0", "SLURM sees success"),
        ("if job.restarts > ended.restarts:", "if False:", "the scheduler's own requeue is taken for an end"),
    ],
    "vlrouting/launch/slurm/script.py": [
        (
            'yield f"--array=0-{len(submission.runs) - 1}{at_once}"',
            'yield f"--array=0-{len(submission.runs)}{at_once}"',
            "one task too many",
        ),
        ('if cluster.max_points_at_once else ""', 'if False else ""', "max_points_at_once is ignored"),
        (
            'yield f"--signal=USR2@{cluster.signal_seconds}"',
            'yield f"--signal=USR1@{cluster.signal_seconds}"',
            "NCCL catches the notice",
        ),
        ('yield "--requeue"', 'yield "--no-requeue"', "preempted jobs do not come back"),
        ('cluster.gpus and train.accelerator != "cpu"', "cluster.gpus", "points on the CPU ask for GPUs"),
        ("    if len(shapes) > 1:", "    if False:", "points of several shapes share one array"),
        ("cluster.python or submission.python)", "submission.python)", "cluster.python is ignored"),
        ('if "%" in str(path):', "if False:", "SLURM replaces % in a path"),
        ("trap ':' TERM USR2\n", "", "the notice ends the script"),
        ("*([cluster.command_prefix] if cluster.command_prefix else []),", "", "no container"),
        ("export {name}={shlex.quote(value)}", "export {name}={value}", "variables are read by the shell"),
        ('[_ON_SET_UP_ERROR, *lines, "trap - ERR"] if lines', "lines if lines", "a failed set-up trains"),
    ],
    "vlrouting/launch/slurm/submit.py": [
        (
            "[point for point in found if point.name not in active]",
            "found",
            "queued points are queued again",
        ),
        ("scheduler.release(job.id)\n", "pass\n", "jobs stay on hold"),
        ("            job.take_back()", "            pass", "a submission that failed stays queued"),
        (
            "held.append(_hold(array, runs, cluster, after))",
            "held.append(_hold(array, runs, cluster))",
            "points do not wait",
        ),
        ("if point not in older)", ")", "a run with an older choice is written over"),
    ],
    "vlrouting/launch/slurm/held.py": [
        ("        job.take_back()", "        pass", "a job without a record stays queued"),
        ("unmark_cancelled(folder, names)", "pass", "a cancelled point is never started again"),
    ],
    "vlrouting/launch/slurm/scheduler.py": [
        ('"--parsable", "--hold", ', '"--parsable", ', "jobs start before they are written down"),
        ('if "Invalid job id" in str(error):', "if False:", "old jobs are an error"),
        ("and not (self.timed_out or self.preempted)", "", "a job that timed out was cancelled"),
        ("lines[-1].strip()) if lines", "lines[0].strip()) if lines", "a site's greeting is taken for the job's id"),
    ],
    "vlrouting/launch/slurm/records.py": [
        ("task is None or task.name != record.name", "task is None", "another cluster's job of the same number"),
        ("if not task.ended}", "}", "jobs that ended are active"),
    ],
    "vlrouting/doctor/sizes.py": [
        ("_encoder_on_meta(config) if config.trains_vision else None", "None", "the vision tower trains for nothing"),
        (
            "type(config.train)(gradient_checkpointing=config.train.gradient_checkpointing)",
            "type(config.train)()",
            "points with activation checkpointing are taken for those without",
        ),
    ],
    "vlrouting/doctor/memory.py": [
        ("TRAINING_BYTES = 16", "TRAINING_BYTES = 4", "optimizer states take nothing"),
        ('"bfloat16": 2,', '"bfloat16": 4,', "bfloat16 takes as much as float32"),
        ("if need > has:", "if need > 2 * has:", "what does not fit passes"),
        ("each = available // config.train.devices", "each = available", "several processes share the memory"),
        ("key=lambda entry: entry[0])", "key=lambda entry: -entry[0])", "the smallest point speaks for all"),
    ],
    "vlrouting/doctor/disk.py": [
        ("OF_CHECKPOINT = 4 * 3", "OF_CHECKPOINT = 4", "checkpoints without the optimizer"),
        ("elif free - need < SPARE:", "elif False:", "no warning before the disk is full"),
        ("*sweep.open_points()]:", "*sweep.points]:", "complete points are counted"),
    ],
    "vlrouting/doctor/data.py": [
        ('elif tail[-1:] not in ("}", "]"):', "elif False:", "a truncated file passes"),
        ("range(0, len(split), max(1, len(split) // SAMPLED_IMAGES))", "range(0)", "no image is opened"),
        ("if size > MOST_BYTES:", "if False:", "files of gigabytes are read through"),
    ],
    "vlrouting/doctor/weights.py": [
        ("all(any(_cached(source, name)", "any(any(_cached(source, name)", "a model without its tokenizer is cached"),
        ("        if not present:", "        if False:", "a folder without weights passes"),
    ],
    "vlrouting/doctor/features.py": [
        ("if found.row.keys() == images:", "if True:", "any cache is this one's"),
        ("                found.verify()\n", "", "a damaged cache passes"),
    ],
    "vlrouting/experiment/disk.py": [
        ("(path, *path.parents)", "(path,)", "a folder that is still to be made is refused"),
        ("FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}", "FULL = {errno.ENOSPC}", "a quota is no full disk"),
    ],
    "vlrouting/launch/killed.py": [
        (
            "if killer == signal.SIGKILL and memory_ran_out:",
            "if killer == signal.SIGKILL:",
            "every kill is one for memory",
        ),
        ('if processes > 1 else "killed"', 'if False else "killed"', "the rank that was killed is not named"),
    ],
    "vlrouting/launch/estimate.py": [
        (
            "        if complete:\n            self._done",
            "        if True:\n            self._done",
            "a point that failed at once makes the others short",
        ),
        ("self.waiting * mean", "0 * mean", "points that wait take no time"),
        (" / self.at_once", "", "points that run at once run one after the other"),
        ("max(0.0, seconds - (now - read))", "seconds", "the estimate stands still"),
        ('if progress.phase == "training" and left is not None:', "if left is not None:", "preparing is training"),
    ],
    "vlrouting/launch/phases.py": [
        ("        _require_scores(trials)\n", "", "trials are trained that nothing can choose among"),
        ("if trial.variant in variants]", "]", "trials of other variants run too"),
        ("if point.name not in busy]", "]", "a point that runs is decided anew"),
        ("            set_aside(experiment, [point], runs)\n", "", "a run with an older choice stays"),
        ("    set_aside(experiment.tuning, trials_of(experiment, points), runs)\n", "", "--again keeps the trials"),
    ],
}

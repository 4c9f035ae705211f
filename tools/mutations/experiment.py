"""Configuration, experiments, run directories, the command line."""

CHANGES = {
    "vlrouting/config/problem.py": [
        ("if value >= least else", "if value > least else", "the least value is refused"),
        ("if value > bound else", "if value >= bound else", "zero is a learning rate"),
    ],
    "vlrouting/config/bottleneck.py": [
        ('if self.routed and self.tower == "vision":', "if False:", "routing in the vision tower passes"),
        ("if self.routed and self.no_routing:", "if False:", "IA3 with routing passes"),
    ],
    "vlrouting/config/kinds.py": [
        ("if not 0 <= self.dropout < 1:", "if not 0 <= self.dropout <= 1:", "dropout 1 passes"),
        ("not ROUTINGS.facts(self.routing).after_up:", "False:", "after_up that cannot train passes"),
        ("if self.scale is not None and not parallel:", "if False:", "a scale without effect passes"),
        ("if parallel and not self.residual:", "if False:", "a parallel adapter without residual passes"),
    ],
    "vlrouting/config/training.py": [
        ("if not found and self.batch_size % self.micro_batches:", "if False:", "a batch that cannot be cut passes"),
        ("return self.processes * self.accumulate", "return self.accumulate", "devices do not cut a batch"),
        ("if (self.epochs is None) == (self.max_steps is None):", "if False:", "epochs and max_steps together pass"),
        ("if not 0 <= self.warmup_fraction < 1:", "if not 0 <= self.warmup_fraction <= 1:", "nothing but warm-up"),
        ("if self.beams == 1 and self.length_penalty != 1:", "if False:", "a penalty without effect passes"),
        (
            "if not self.sample and (self.temperature != 1 or self.top_p != 1):",
            "if False:",
            "a temperature without effect passes",
        ),
        ("eps: float = 1e-6", "eps: float = 1e-8", "another default than the authors'"),
        ('checkpoint: str = "last"', 'checkpoint: str = "best"', "another default"),
    ],
    "vlrouting/config/experiment.py": [
        ('if self.model.visual_input == "none" and bottleneck.routed:', "if False:", "routing without an image passes"),
        ("self.generates and not causal:", "False:", "self generates text"),
        (
            'if self.evaluate.checkpoint == "best" and self.data.validation is None:',
            "if False:",
            "best without a validation passes",
        ),
        ("and self.data.name not in fitting:", "and False:", "captioning on questions passes"),
        ("if self.seed >= 2**32:", "if False:", "a seed that does not fit passes"),
        ('b.tower == "vision" and b.attaches', 'b.tower == "vision" and False', "the vision tower trains from a cache"),
    ],
    "vlrouting/config/cluster.py": [
        ("if seconds <= self.signal_seconds:", "if False:", "no time before the notice"),
        ("elif option[1] in DERIVED:", "elif False:", "an option that contradicts the experiment passes"),
        (
            'return ((int(match["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds',
            'return (int(match["days"]) + hours) * 3600 + minutes * 60 + seconds',
            "days are hours",
        ),
        (
            "return fields[0] * 60 + (fields[1] if len(fields) == 2 else 0)",
            "return fields[0] + (fields[1] if len(fields) == 2 else 0)",
            "minutes are seconds",
        ),
    ],
    "vlrouting/config/data.py": [
        ("min_answer_count: int = 9", "min_answer_count: int = 1", "another default vocabulary"),
        ('self.prompt.format(text="")', "pass", "a template with another placeholder passes"),
    ],
    "vlrouting/config/registry.py": [
        (
            "isinstance(taken, str) or _origin(taken) != _origin(implementation)",
            "isinstance(taken, str)",
            "a plug-in replaces another one's name",
        ),
        ("            if key not in known:", "            if False:", "an unknown key of a kind passes"),
    ],
    "vlrouting/config/names.py": [
        ("word.lower(), list(spelled)", "word, list(spelled)", "a name in capitals is not recognised"),
    ],
    "vlrouting/experiment/sweep.py": [
        ("{short if last[short] == 1 else key}", "{short}", "axes with one last part give equal names"),
        ("[^A-Za-z0-9_.+-]+", "[^A-Za-z0-9_.+/-]+", "a slash in a value makes a folder"),
        (
            "draft.point.name.lower() for draft in drafts",
            "draft.point.name for draft in drafts",
            "Add and add share a folder on some disks",
        ),
        (
            "leaves = {**composition.leaves, **choice.named, **choice.axes}",
            "leaves = {**choice.named, **choice.axes, **composition.leaves}",
            "the base wins over the sweep",
        ),
        ("if sweep.cases or sweep.grid or not sweep.points:", "if True:", "named points bring a default point"),
        ('or "empty"\n    return re', 'or ""\n    return re', "an empty list has no name"),
    ],
    "vlrouting/experiment/compose.py": [
        ("composition.sweep.grid[key] = (composition.leaves[key],)", "pass", "an override does not pin an axis"),
        ("if base.resolve() in chain:", "if False:", "a cycle of extends never ends"),
        (
            "composition.leaves |= layered(document.leaves)",
            "composition.leaves = layered(document.leaves) | composition.leaves",
            "what is extended wins",
        ),
    ],
    "vlrouting/experiment/typed.py": [
        ("return str in kinds and isinstance(value, (bool, datetime.date))", "return False", "routing: no is a text"),
        ("return isinstance(value, (int, float)) and not isinstance(value, bool)", "return False", "1 is true"),
        (
            "if chooser in given and leaf.layer < given[chooser].layer:",
            "if False:",
            "a key of the extended file's kind is an error",
        ),
        ('return leaf.diagnostic("is left open (???): give it a value")', "return None", "??? is a value"),
    ],
    "vlrouting/experiment/validation.py": [
        ("            continue  # it follows from another error", "            pass", "errors that follow from others"),
        (
            "yield diagnostic if everywhere else replace(diagnostic, points=tuple(names))",
            "yield diagnostic",
            "an error of some points does not say which",
        ),
    ],
    "vlrouting/experiment/check.py": [
        ("    if diagnostics:\n        raise", "    if False:\n        raise", "errors are not told"),
        ("            if not is_there(name):", "            if False:", "a missing plug-in is not told"),
    ],
    "vlrouting/experiment/rundir.py": [
        ('        "train.workers",\n', "", "a run cannot resume with other workers"),
        (
            '        "vision.cache",\n',
            '        "vision.cache",\n        "train.lr",\n',
            "a run resumes with another rate",
        ),
        ("return measured and all(", "return measured or all(", "a run without its artifact is complete"),
        ("        if changes:\n", "        if False:\n", "other settings go into an old directory"),
        (
            "write_json_atomic(self.run_json, {**run, **fields})",
            "write_json_atomic(self.run_json, fields)",
            "run.json forgets its other fields",
        ),
        (
            "return flatten(asdict(ExperimentConfig())) | flatten(tree)",
            "return flatten(tree)",
            "runs of older versions do not resume",
        ),
        (
            "            if isinstance(value, bool) or not isinstance(value, (int, float)):",
            "            if False:",
            "a text is a metric",
        ),
    ],
    "vlrouting/experiment/atomic.py": [
        (
            "        os.replace(temporary, path)\n",
            "        shutil.copyfile(temporary, path)\n",
            "a kill leaves half a file",
        ),
        ("            temporary.unlink()\n", "            pass\n", "temporary files stay"),
    ],
    "vlrouting/experiment/attempts.py": [
        ("if len(bad) > limit:", "if len(bad) > limit + 1:", "one retry too many"),
        ("SILENT_DEATHS = 3", "SILENT_DEATHS = 30", "a point that dies at one step is started for ever"),
        ("if len(bad) > 1 and last.outcome == FAILED and", "if False and", "a bug is tried again and again"),
        ('f"\\n{line}\\n"', 'f"{line}\\n"', "a line after a kill is lost"),
        (
            'return bool(event.get("signal")) or found.get("outcome") != FAILED',
            "return True",
            "the first failure is overwritten",
        ),
        ('    if found.get("signal"):\n        return False\n', "", "a failure hides the signal that caused it"),
    ],
    "vlrouting/experiment/progress.py": [
        ("(self.total - self.step) / self.steps_per_second", "self.total / self.steps_per_second", "time left"),
    ],
    "vlrouting/experiment/plugins.py": [
        ("import_module(", "find_spec(", "plug-ins are not imported"),
    ],
    "vlrouting/experiment/provenance.py": [
        ("None if changes is None else bool(changes)", "False", "a dirty tree is clean"),
    ],
}

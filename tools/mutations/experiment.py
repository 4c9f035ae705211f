"""Configuration, experiments, run directories, the command line."""

CHANGES = {
    "vlrouting/config/limits.py": [
        (
            "(self.least is not None and value < self.least)",
            "(self.least is not None and value <= self.least)",
            "the least value is refused",
        ),
        (
            "(self.above is not None and value <= self.above)",
            "(self.above is not None and value < self.above)",
            "zero is a learning rate",
        ),
        ("if abs(value) > LARGEST or value != value:", "if value != value:", "an infinite number passes"),
        (
            "return re.fullmatch(self.pattern, text, flags=re.ASCII)",
            "return re.match(self.pattern, text, flags=re.ASCII)",
            "what follows a valid text passes",
        ),
    ],
    "vlrouting/config/fit.py": [
        (
            "return isinstance(value, (int, float)) and not isinstance(value, bool)",
            "return isinstance(value, (int, float))",
            "true is a number",
        ),
        (' or letter == "\\0" for', " for", "a NUL character reaches the file system"),
        (
            "if isinstance(text, FromEnvironment) and not any(",
            "if False and not any(",
            "an environment variable may be sent to a model hub",
        ),
        ("if isinstance(mark, OneOf) and text not in mark.names:", "if False:", "a value that is no choice passes"),
        (
            "next((problem for entry in entries if (problem := objection(entry, inner))), None)",
            "None",
            "the entries of a list are not checked",
        ),
        (
            "problem.below(str(name)) for problem in misfits(entry)",
            "problem.below(str(name)) for problem in []",
            "named entries are not checked",
        ),
    ],
    "vlrouting/config/effect.py": [
        (
            "config.vision.cache and config.uses_image and not config.trains_vision",
            "True",
            "a folder of a cache that is not used passes",
        ),
        (
            "lambda config, key: not _dataset(config, key).generates,",
            "lambda config, key: False,",
            "settings of texts that no task writes",
        ),
        (
            "lambda config, _: _is_local(config.language.name),",
            "lambda config, _: False,",
            "a revision of a model on this machine passes",
        ),
        (
            "lambda config, key: not _bottleneck(config, key).routed,",
            "lambda config, key: False,",
            "shared_down without a routing passes",
        ),
        (
            "lambda config, key: _dataset(config, key).data.answers is not None,",
            "lambda config, key: False,",
            "a least count beside a given vocabulary passes",
        ),
    ],
    "vlrouting/config/bottleneck.py": [
        ('if self.routed and self.tower == "vision":', "if False:", "routing in the vision tower passes"),
        ("if self.routed and self.no_routing:", "if False:", "IA3 with routing passes"),
    ],
    "vlrouting/config/kinds/low_rank.py": [
        ("dropout: Fraction = 0.0", "dropout: float = 0.0", "dropout 1 passes"),
        ("not ROUTINGS.facts(self.routing).after_up:", "False:", "after_up that cannot train passes"),
        ("if len(halves) == 2:", "if False:", "both halves shared pass"),
    ],
    "vlrouting/config/kinds/compacter.py": [
        ("self.divisions > 0 and self.rank % self.divisions", "False", "a rank that cannot be divided passes"),
    ],
    "vlrouting/config/kinds/genft.py": [
        ("if self.layer_rank >= self.rank:", "if False:", "a generator without shared channels passes"),
        ("if self.routed and self.last_activation != IDENTITY:", "if False:", "routing across an activation passes"),
        ("if self.routed and self.generator_bias:", "if False:", "routing beside a bias passes"),
        ("if getattr(self, key):", "if False:", "half of a generated bottleneck per task passes"),
    ],
    "vlrouting/config/kinds/vl_pet.py": [
        ('self.gate_rank is not None and self.granularity != "large"', "False", "a gate_rank without effect passes"),
    ],
    "vlrouting/config/kinds/proto_hyper.py": [
        ("if self.per_task:", "if False:", "adapters of a task per task pass"),
        ('self.inference == "retrieval" and not self.contrast', "False", "a retriever that does not train passes"),
        ('self.tower == "vision" and self.contrast', "False", "a retriever in the vision tower passes"),
        ('if self.query == "image" and self.contrast else {}', "if False else {}", "a query of no image passes"),
        ("        return True\n", "        return self.per_task\n", "it does not know the tasks"),
    ],
    "vlrouting/config/kinds/lora.py": [
        ('self.scaling == "rank_stabilized" and self.alpha is None', "False", "rsLoRA without alpha passes"),
    ],
    "vlrouting/config/kinds/adapter.py": [
        ("if self.scale is not None and not parallel:", "if False:", "a scale without effect passes"),
        ("if parallel and not self.residual:", "if False:", "a parallel adapter without residual passes"),
    ],
    "vlrouting/config/training.py": [
        ("if self.batch_size % self.micro_batches:", "if False:", "a batch that cannot be cut passes"),
        ("return self.processes * self.accumulate", "return self.accumulate", "devices do not cut a batch"),
        ("if (self.epochs is None) == (self.max_steps is None):", "if False:", "epochs and max_steps together pass"),
        ("warmup_fraction: Fraction = 0.0", "warmup_fraction: NotNegative = 0.0", "nothing but warm-up"),
        ("if self.beams == 1 and self.length_penalty != 1:", "if False:", "a penalty without effect passes"),
        (
            "if not self.sample and (self.temperature != 1 or self.top_p != 1):",
            "if False:",
            "a temperature without effect passes",
        ),
        ("eps: NotNegative = 1e-6", "eps: NotNegative = 1e-8", "another default than the authors'"),
        ('OneOf(CHECKPOINTS)] = "last"', 'OneOf(CHECKPOINTS)] = "best"', "another default"),
    ],
    "vlrouting/config/experiment.py": [
        (
            'bottleneck.image_keys.items() if self.model.visual_input == "none"',
            "() if False",
            "routing without an image",
        ),
        ("if self.generates and not ROUTINGS.facts(routing).causal:", "if False:", "self generates text"),
        (
            "if bottleneck.needs_prefix and not self.model.visual_prefix:",
            "if False:",
            "weights for image tokens without a prefix pass",
        ),
        ("Range(least=0, most=2**32 - 1)", "Range(least=0)", "a seed that does not fit passes"),
        ('b.tower == "vision" and b.attaches', 'b.tower == "vision" and False', "the vision tower trains from a cache"),
        ("task=dataset.task or self.task", "task=self.task", "a dataset has no task of its own"),
    ],
    "vlrouting/config/datasets.py": [
        (
            'if view.evaluate.checkpoint == "best" and view.data.validation is None:',
            "if False:",
            "best without a validation passes",
        ),
        ("if view.data.name not in fitting:", "if False:", "captioning on questions passes"),
        ("if not TASKS.facts(task).generates:", "if False:", "two heads for one model"),
    ],
    "vlrouting/config/cluster.py": [
        ("if seconds <= self.signal_seconds:", "if False:", "no time before the notice"),
        ("elif option in DERIVED:", "elif False:", "an option that contradicts the experiment passes"),
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
        ("if wrong or re.search(", "if re.search(", "a template with another placeholder passes"),
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
    "vlrouting/experiment/draft.py": [
        ("short if count[short] == 1 else key for", "short for", "axes with one last part give equal names"),
        ("[^A-Za-z0-9_.+-]+", "[^A-Za-z0-9_.+/-]+", "a slash in a value makes a folder"),
        ('or "empty"\n    return re', 'or ""\n    return re', "an empty list has no name"),
    ],
    "vlrouting/experiment/sweep.py": [
        (
            "draft.point.name.lower() for draft in drafts",
            "draft.point.name for draft in drafts",
            "Add and add share a folder on some disks",
        ),
        (
            "leaves = laid_over(composition.leaves, own)",
            "leaves = laid_over(own, composition.leaves)",
            "the base wins over the sweep",
        ),
        ("if sweep.cases or sweep.grid or not sweep.points:", "if True:", "named points bring a default point"),
    ],
    "vlrouting/experiment/compose.py": [
        (
            "composition.diagnostics += _contradictory(overrides, given)",
            "pass",
            "of two settings of one key the last one wins in silence",
        ),
        ("sweep.grid[key] = (given[key],)", "pass", "an override does not pin an axis"),
        ("if base.resolve() in chain:", "if False:", "a cycle of extends never ends"),
        (
            "laid_over(composition.leaves, layered(document.leaves))",
            "laid_over(layered(document.leaves), composition.leaves)",
            "what is extended wins",
        ),
    ],
    "vlrouting/experiment/typed.py": [
        ("return isinstance(value, (bool, datetime.date))", "return False", "routing: no is not told to be quoted"),
        (
            "and abs(value) < 1e300:\n        return float(value)",
            "and False:\n        return float(value)",
            "1 is no rate",
        ),
        (
            "chooser in given and leaf.layer < given[chooser].layer",
            "False",
            "a key of the extended file's kind is an error",
        ),
        ("if leaf.value == _OPEN:", "if False:", "??? is a value"),
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
            "return flatten(defaults) | given",
            "return given",
            "runs of older versions do not resume",
        ),
        (
            "if (problem := objection(value, float)) is not None:",
            "if (problem := objection(value, Any)) is not None:",
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
        ("{len(content)}", "", "where a file ends is not hashed"),
        ("None if changes is None else bool(changes)", "False", "a dirty tree is clean"),
    ],
    "vlrouting/experiment/references.py": [
        ("if len(opening[1]) % 2:  # escaped", "if False:", "an escaped reference is followed"),
        ("            if name[2]:\n", "            if False:\n", "OmegaConf's resolvers can be called"),
        (
            '            raise Unresolved(f"the environment variable {name} is not set")\n',
            '            value = ""\n',
            "a variable that is not set is an empty path",
        ),
        (
            'return FromEnvironment("".join(used), "".join(written))',
            'return "".join(used)',
            "a variable is written down as its value",
        ),
        (
            "if len(backslashes) % 2:\n            return match[0]",
            "if False:\n            return match[0]",
            "an escaped variable is filled in",
        ),
        ("if dots else name[1])", "if False else name[1])", "a relative reference leads elsewhere"),
    ],
    "vlrouting/experiment/safe_yaml.py": [
        ("if len(content) > MOST_BYTES:", "if False:", "a file of gigabytes is read"),
        ("if levels > MOST_LEVELS:", "if False:", "a file of any depth is read"),
        ("if values > MOST_VALUES:", "if False:", "aliases make a small file large"),
        (
            'raise Unreadable("an alias contains itself", _line(node))',
            "pass",
            "an alias that contains itself never ends",
        ),
        ("if depth > MOST_OPEN:", "if False:", "thousands of brackets end the parser"),
        ("if not isinstance(root, MappingNode):", "if False:", "a list is settings"),
    ],
    "vlrouting/prediction/requests.py": [
        ("if wanted is not None and given != wanted:", "if False:", "one image for a pair is a traceback"),
        ('if "://" in text:', "if False:", "a URL is a missing file"),
        ("    if not text.strip():\n", "    if False:\n", "an empty question is answered"),
        ("if not images or len(images) % per_example:", "if not images:", "the last image has no partner"),
        (
            "for group in groups for question in questions]",
            "for question in questions for group in groups]",
            "answers come in another order",
        ),
        ('raise UserError(f"line {number}: {error}")', "raise UserError(str(error))", "the line is not named"),
        ("if unknown:\n", "if False:\n", "an unknown key of a line is passed over"),
    ],
    "vlrouting/prediction/stored.py": [
        (
            "    require_trust(plugins, folder / CONFIG_FILE, trust_plugins)\n",
            "",
            "an artifact runs the code that it names",
        ),
        ("if own == command:", "if True:", "a model for captions answers questions"),
        ("if fitting and not self.is_chosen:", "if fitting:", "another dataset than the one that was chosen"),
    ],
    "vlrouting/prediction/location.py": [
        (
            "if path.is_file() and path.name in (CONFIG_FILE, TENSOR_FILE):",
            "if False:",
            "a file of an artifact is not its artifact",
        ),
        ("    if _is_run(path):\n        return _of_run(path)\n", "", "a run directory is no artifact"),
        ("if given in known_experiments():", "if False:", "an experiment that was not trained is a missing folder"),
    ],
    "vlrouting/prediction/predictor.py": [
        (".to(self.device).eval()\n", ".to(self.device)\n", "answers come with dropout"),
        ("max(0, len(found) - data.max_text_tokens)", "0", "a question is cut in silence"),
        ('            seed_step(self.config.seed, "predict", number)\n', "", "noise does not repeat"),
        ("training=False)\n", "training=True)\n", "targets are asked of questions without answers"),
        ("if len(groups) != len(question):", "if False:", "questions without images are a traceback"),
        ("        with torch.random.fork_rng(devices=gpus):", "        if True:", "the caller's randomness changes"),
        (
            "    require_same_weights(stored, described_backbones(backbones, model, config), str(artifact.folder))\n",
            "",
            "other backbones answer",
        ),
        (
            "return shown(image) if isinstance(image, Image.Image)",
            "return image if isinstance(image, Image.Image)",
            "an opened image is another than its file",
        ),
    ],
    "vlrouting/experiment/choice.py": [
        ("best = max(results, key", "best = min(results, key", "the worst trial is chosen"),
        (
            "if config.tuned is None or config.tuned.trial is not None:\n        return config\n    return choose(",
            "if config.tuned is None:\n        return config\n    return choose(",
            "a choice is made again",
        ),
        ("    if unfinished:\n", "    if False:\n", "a trial that has not ended is compared"),
        ("if not run.has_diverged()}", "}", "a trial that diverged holds its variant up"),
        ("len(numbers) > 1 and", "len(numbers) > 9 and", "a choice at the edge of the grid is not marked"),
        (
            "best.get(key) in (min(numbers), max(numbers))",
            "best.get(key) == min(numbers)",
            "the upper edge of a grid is none",
        ),
    ],
}

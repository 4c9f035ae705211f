"""Tasks and training."""

CHANGES = {
    "vlrouting/tasks/optimization.py": [
        ("eps=config.eps, weight_decay=config.weight_decay", "eps=config.eps", "weight_decay is ignored"),
        ("eps=config.eps, ", "", "eps is ignored"),
        ("            trained, lr=config.lr, betas", "            trained, lr=3e-4, betas", "lr is ignored"),
        ("betas=(0.9, config.beta2), ", "", "beta2 is ignored"),
        ("momentum=config.momentum", "momentum=0.9", "momentum is ignored"),
        ('if config.optimizer == "sgd":', "if False:", "sgd is AdamW"),
        ('if config.schedule == "cosine":', "if False:", "cosine is linear"),
        ("if parameter.requires_grad]", "]", "the optimizer holds frozen parameters"),
        ("return step / warmup\n", "return (step + 1) / warmup\n", "the warm-up starts above zero"),
        (
            "max(0.0, (total_steps - step) / max(1, total_steps - warmup))",
            "max(0.0, (total_steps - step) / total_steps)",
            "the decay starts below the peak",
        ),
        ("math.ceil(config.warmup_fraction * total_steps)", "0", "warmup_fraction is ignored"),
        ("        return config.warmup_steps\n", "        return 0\n", "warmup_steps is ignored"),
        ("low = 0.04 if step < warmup else 1e-4", "low = 0.0", "one_cycle starts at zero"),
        ('if config.schedule == "constant":', "if False:", "constant falls"),
    ],
    "vlrouting/tasks/randomness.py": [
        ("{phase}/{batch_index}/{rank}", "{phase}/{batch_index}", "all ranks drop out the same"),
        ('f"{seed}/', 'f"', "dropout does not depend on the seed"),
        ("{batch_index}/", "", "every batch drops out the same"),
    ],
    "vlrouting/tasks/scored.py": [
        ('seed_step(self.seed, "train", batch_index, self.global_rank)', "pass", "a resumed run draws other numbers"),
        ("seed_step(self.seed, split, batch_index, self.global_rank)", "pass", "noise differs from test to test"),
        (
            "    def on_test_epoch_start(self) -> None:\n",
            "    def on_test_epoch_begins(self) -> None:\n",
            "predictions of the validation are kept for the test",
        ),
        ('"interval": "step"', '"interval": "epoch"', "the learning rate never moves"),
        ("keep_trained_state(self, checkpoint)", "pass", "checkpoints hold the frozen weights"),
        ("require_trained_state(self, checkpoint)", "pass", "a checkpoint of another model is loaded in part"),
        ("self.scores |= {", "self.scores = {", "the scores of the validation are lost"),
        (
            "self.task_models[batch.dataset].predict(batch)",
            "self.task_model.predict(batch)",
            "the settings of the first dataset",
        ),
        ("missing_from_mean(self.task_models, score, found)", "False", "a mean of the datasets that have a score"),
    ],
    "vlrouting/tasks/vqa_classification.py": [
        ("functional.binary_cross_entropy_with_logits(", "functional.cross_entropy(", "another loss"),
        (".argmax(dim=-1)", ".argmin(dim=-1)", "the least probable answer"),
        ("logits.sigmoid()", "logits.softmax(dim=-1)", "probabilities that were not trained"),
        ("if training else None", "if not training else None", "targets in the test, none in training"),
    ],
    "vlrouting/tasks/text_generation.py": [
        ("skip_special_tokens=True", "skip_special_tokens=False", "end tokens are a part of the text"),
        ("return TrainingPairs(examples)", "return examples", "one caption of each image trains"),
        ("return with_answer(examples)", "return examples", "questions without an answer train"),
        ("targets=training)", "targets=True)", "the answer stands in the test's prompt"),
        ("[text.strip() for text in texts]", "texts", "answers with a blank in front"),
    ],
    "vlrouting/tasks/trained_state.py": [
        ("_trained_names(module) ^ checkpoint", "_trained_names(module) - checkpoint", "unexpected tensors pass"),
    ],
    "vlrouting/tasks/joint.py": [
        (
            "            _checkpoint_vision(backbones.vision)",
            "            pass",
            "train.gradient_checkpointing leaves the vision tower as it is",
        ),
        ("torch.manual_seed(config.seed)", "torch.manual_seed(0)", "the seed is ignored at initialisation"),
        ("    if config.train.gradient_checkpointing:\n", "    if False:\n", "gradient_checkpointing is ignored"),
        (
            "for name, targets in selection.places.items() if name in chosen",
            "for name, targets in {}.items()",
            "what a selector chose is ignored",
        ),
    ],
    "vlrouting/training/assembly.py": [
        ("seed=config.seed,", "seed=0,", "the order of the data does not depend on the seed"),
        ("model.standardize.measure(*first.statistics)", "pass", "standardize_visual changes nothing"),
        (
            "config.train.max_steps if config.train.max_steps is not None else (config.train.epochs or 1) * per_epoch",
            "config.train.max_steps or per_epoch",
            "epochs are ignored",
        ),
        (
            "evaluation_batch_size=config.evaluate.batch_size",
            "evaluation_batch_size=config.train.batch_size",
            "evaluate.batch_size is ignored",
        ),
        ("    model.visual_tokens = tokens\n", "", "noise of as many tokens for two images as for one"),
    ],
    "vlrouting/training/point_data.py": [
        (
            "[name] = metric(examples, config.evaluate)",
            "[name] = metric(examples, type(config.evaluate)())",
            "evaluate does not reach the metric",
        ),
        ("sampled=self.sampled,", "", "data.sample_answers is ignored"),
    ],
    "vlrouting/training/results.py": [
        (
            'key=lambda record: record["id"])',
            'key=lambda record: str(record["prediction"]))',
            "predictions in no order",
        ),
        (
            'file = f"{name}_{score.results_file}" if several else',
            "file =",
            "a server's file of the last dataset alone",
        ),
    ],
    "vlrouting/training/trainer.py": [
        ("            FiniteNumbers(),\n", "", "a run of NaN trains on"),
        ("            *stopping,\n            checkpoints,", "            checkpoints,", "early_stopping is ignored"),
        (
            "logger=make_loggers(train.logger, run),",
            'logger=make_loggers(["tensorboard"], run),',
            "train.logger is ignored",
        ),
        ("precision=precision_of(train),", "", "precision is ignored"),
        ("gradient_clip_val=train.clip_norm,", "", "clip_norm is ignored"),
        ("accumulate_grad_batches=train.accumulate,", "", "every micro-batch is a step"),
        (
            "(train.validate_every_steps or built.data.steps_per_epoch)",
            "built.data.steps_per_epoch",
            "validate_every_steps is ignored",
        ),
        ("Curves(train.log_every_steps)", "Curves(1)", "log_every_steps is ignored"),
        ("use_distributed_sampler=False,", "", "Lightning replaces the samplers"),
        ("num_sanity_val_steps=0,", "", "a validation before the training"),
        (
            "            Curves(train.log_every_steps),\n            *stopping,\n            checkpoints,\n",
            "            checkpoints,\n            Curves(train.log_every_steps),\n            *stopping,\n",
            "a kill after a checkpoint leaves a gap in the curves",
        ),
    ],
    "vlrouting/training/curves.py": [
        ("torch.stack(losses).sum()", "losses[0]", "the loss of one micro-batch"),
        ("task.trained_steps)", "0)", "test scores stand at step 0"),
    ],
    "vlrouting/training/device.py": [
        ('if train.precision != "auto":', "if True:", "auto is no precision"),
        ('config.train.accelerator != "cpu" for config', "True for config", "accelerator: cpu takes the GPU"),
    ],
    "vlrouting/training/checkpoints.py": [
        ("trainer.global_step % self.every_steps == 0", "False", "checkpoints at validations only"),
        ("score > self.best_score", "score >= self.best_score", "of two equal validations the later one is best"),
        ("score > self.best_score", "score < self.best_score", "the worst validation is best"),
        ("if is_last and self._last_is_valid:", "if is_last:", "a corrupt checkpoint replaces the valid one"),
        ("if (wrong := archive.testzip()) is not None:", "if False:", "a changed byte is a changed weight"),
        ("if missing := [key for key in NEEDED if key not in checkpoint]:", "if False:", "a foreign file is resumed"),
        ("checkpoint[SCORES] = dict(task.scores)", "checkpoint[SCORES] = {}", "a resumed run loses its validation"),
        ("self.interruption.patient, self.interruption.setting_up = True, False", "pass", "a signal cuts a step off"),
        ("torch.distributed.ReduceOp.MAX", "torch.distributed.ReduceOp.MIN", "a signal to one rank is passed over"),
    ],
    "vlrouting/training/resume.py": [
        (
            "            if corrupt:\n                _warn(",
            "            if False:\n                _warn(",
            "a corrupt checkpoint is passed over in silence",
        ),
        (
            "        except CorruptCheckpoint as error:\n            raise UserError(",
            "        except ZeroDivisionError as error:\n            raise UserError(",
            "a corrupt best checkpoint is told without its remedy",
        ),
        (
            "filter(Path.is_file, (run.last, run.previous))",
            "filter(Path.is_file, (run.last,))",
            "the checkpoint before the last is never used",
        ),
    ],
    "vlrouting/training/point.py": [
        (
            "tested = resume.best(run) if best else resume.checkpoint",
            "tested = resume.checkpoint",
            "evaluate.checkpoint is ignored",
        ),
        ("keep_until(run.tensorboard, resume.steps_done)", "pass", "steps are logged twice"),
        ("if count := self.point.config.evaluate.panel:", "if count := 0:", "evaluate.panel is ignored"),
        (
            "built.data.plan_run(batches, resume.batches_done)",
            "built.data.plan_run(batches)",
            "a resumed run begins the data anew",
        ),
        ('self._record_end(attempts, "failed", error_text(error), diverged)', "pass", "a failed run counts as running"),
        ("precision=trainer.precision,", 'precision="32-true",', "run.json tells another precision"),
        (
            "trained_parameters=task.model.trainable_parameters",
            "trained_parameters=task.model.total_parameters",
            "the table shows other parameters",
        ),
        ("samples_per_second=round(examples / max(train_seconds, 1e-9), 1)", "samples_per_second=0.0", "no speed"),
    ],
    "vlrouting/training/evaluation.py": [
        ("load_trained_tensors(built.task.model, tensors, str(artifact))", "pass", "an untrained model is scored"),
        ("if not name.startswith(prefix)}", "}", "old test scores stay"),
    ],
    "vlrouting/training/event_files.py": [
        ("if 0 < event.step <= step:", "if 0 < event.step:", "steps after the checkpoint stay"),
        ("if not value.tag.startswith(OF_THE_TEST):", "if True:", "test scores stand twice"),
    ],
    "vlrouting/training/interruption.py": [
        ("self.exit_status = 128 + number", "self.exit_status = 1", "a shell does not see the signal"),
        ("self.exit_status = ExitStatus.PREEMPTED", "pass", "a preempted process looks cancelled"),
        ("*([signal.SIGTERM] if scheduled else [])", "", "a scheduler's TERM cancels the point"),
        ("waits = (self.patient and first) or", "waits = self.patient or", "a second signal does not stop at once"),
    ],
    "vlrouting/training/process_rank.py": [
        ('local_rank=int(environment["SLURM_LOCALID"])', "local_rank=0", "all processes of a node share a GPU"),
        ('if "RANK" in environment:', "if False:", "a local launcher's ranks are not seen"),
    ],
    "vlrouting/training/strategy.py": [
        ("return max(1, math.ceil(trained / BUCKETS / MEBIBYTE))", "return math.ceil(trained / BUCKETS)", "one bucket"),
        ('"static_graph": train.accumulate == 1', '"static_graph": True', "accumulation fails on several devices"),
        ('"find_unused_parameters": per_task', '"find_unused_parameters": False', "tasks fail on several devices"),
    ],
    "vlrouting/training/user_errors.py": [
        ("if not is_lasting(error):", "if True:", "a full disk is a traceback"),
        ("if not is_lasting(error):", "if False:", "a network disk that does not answer ends the sweep"),
    ],
    "vlrouting/training/inputs.py": [
        ('("vision", repr(config.vision))', '("vision",)', "all points of a sweep share the first one's encoder"),
        ('("examples", _read_key(data), images)', '("examples", images)', "all points share the first one's data"),
        ("(images * tokens, width)", "(tokens, width)", "two images count as one"),
        ('            prompt="",\n', "", "a prompt of its own has a data set in memory twice"),
    ],
    "vlrouting/training/finite.py": [
        ("if not math.isfinite(loss):", "if False:", "a loss of NaN is told as the gradient's"),
        (
            "if self._skipped > (SKIPPED_STEPS if scaled else 0):",
            "if self._skipped > SKIPPED_STEPS:",
            "a gradient of NaN trains on",
        ),
        ("if not math.isfinite(weights):", "if False:", "weights of NaN train on"),
        ('_check_scores(task, "validation/", trainer.global_step)', "pass", "a validation score of NaN is passed over"),
        (
            '_check_scores(task, f"{task.final_split}/", task.total_steps)',
            "pass",
            "a test score of NaN is passed over",
        ),
        ("torch.distributed.all_reduce(loss)", "pass", "the other processes wait for the one that failed"),
    ],
    "vlrouting/training/out_of_memory.py": [
        (
            "(isinstance(error, OSError) and error.errno == errno.ENOMEM)",
            "False",
            "a mapping without memory is a traceback",
        ),
        ("any(sign in text for sign in _ON_HOST)", "False", "PyTorch without memory is a traceback"),
        ("any(sign in text for sign in _ON_GPU)", "False", "cuBLAS without memory is a traceback"),
    ],
    "vlrouting/training/memory_remedy.py": [
        (
            "if all(size % (2 * train.micro_batches) == 0 for size in sizes.values()):",
            "if True:",
            "a remedy that is refused",
        ),
        ('if train.precision == "32-true":', "if True:", "a remedy that is taken already"),
    ],
    "vlrouting/training/reserved_space.py": [
        ("file.write_bytes(os.urandom(RESERVED_BYTES))", "file.touch()", "on a full disk run.json cannot say why"),
        ("            file.unlink()\n", "            pass\n", "the room is never freed"),
    ],
    "vlrouting/training/loggers.py": [
        ("if at > self.steps.get(name, -1)}", "}", "steps are logged twice after a resume"),
        ('content[: content.rfind(b"\\n") + 1]', "content", "half a line stays in metrics.csv"),
        ("    def _check_log_dir_exists(self)", "    def _keep_what_is_there(self)", "a resume removes metrics.csv"),
        ("self.steps |= dict.fromkeys(new, at)", "pass", "what was logged is forgotten"),
        ("            writer.writerows(rows)\n", "", "a new column empties metrics.csv"),
    ],
    "vlrouting/training/early_stopping.py": [
        ("min_delta=config.min_delta, ", "", "min_delta is ignored"),
        ("patience=config.patience, ", "", "patience is ignored"),
        ('mode="max"', 'mode="min"', "a score that rises ends the training"),
        (
            "    def on_train_epoch_end(self",
            "    def on_train_epoch_ended(self",
            "the end of the run is a validation more",
        ),
        (
            '{**state_dict, "best_score": torch.tensor(state_dict["best_score"], dtype=torch.double)}',
            '{**state_dict, "wait_count": 0, "best_score": torch.tensor(state_dict["best_score"], dtype=torch.double)}',
            "a resumed run waits anew",
        ),
    ],
    "vlrouting/training/selected.py": [
        ("if self.is_first and not self.path.is_file():", "if self.is_first:", "a resumed run chooses again"),
        (
            "    with torch.random.fork_rng():\n        torch.manual_seed(config.seed)",
            "    with torch.random.fork_rng():\n        torch.manual_seed(0)",
            "the selector does not see the seed",
        ),
    ],
}

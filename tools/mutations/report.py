"""The comparison."""

CHANGES = {
    "vlrouting/report/rows.py": [
        ("_by_value(row.variant)", "row.variant", "lr=1e-05 stands behind lr=0.01"),
        (
            "if _NUMBER.fullmatch(value) else _digits(value))",
            "if False else _digits(value))",
            "values are sorted by their digits",
        ),
        ("if part.isdecimal() else (1, 0.0, part)", "if False else (1, 0.0, part)", "vit_16 stands before vit_8"),
        ("statistics.stdev(present)", "statistics.pstdev(present)", "the standard deviation of a population"),
        ("statistics.fmean(present)", "statistics.median(present)", "a median for the mean"),
        ("if len(present) < len(values):", "if not present:", "a mean over some of the seeds"),
        ('if not part.startswith("seed=")', "if True", "variants keep their seed"),
        ("if k not in RESULT_NEUTRAL}", "}", "workers make another variant"),
        ('config.pop("seed")', 'config["seed"]', "every seed is a variant of its own"),
        ("key=lambda row: (not row.complete, ", "key=lambda row: (row.complete, ", "complete points come last"),
        ('text_only=config["model.visual_input"] == "none"', "text_only=False", "text-only baselines are not marked"),
        ("if main_metric not in metrics and not not_computed:", "if False:", "a run without its score is shown"),
    ],
    "vlrouting/report/table.py": [
        (
            'return f"{max(present):.2f}" if len(present) > 1 else None',
            'return f"{min(present):.2f}" if len(present) > 1 else None',
            "the worst value is bold",
        ),
        (
            'text = "" if value is None else f"{value:.2f}"',
            'text = "" if value is None else f"{value:.1f}"',
            "one digit",
        ),
        (
            "compared = [] if mixed else titled_keys(rows)",
            "compared = titled_keys(rows)",
            "numbers of different evaluations are compared",
        ),
        ("{100 * trainable / total:.2f}%", "{trainable / total:.2f}%", "a fraction for percent"),
        ("if whole < 3600:", "if whole < 36000:", "hours are minutes"),
        (
            "row.metrics.get(key) if row.complete else None for key in keys",
            "row.metrics.get(key) for key in reversed(keys)",
            "columns of the CSV are exchanged",
        ),
        ('cell.text.replace("|", "\\\\|") for cell', "cell.text for cell", "a bar in a name breaks the table"),
        ('best=f"{value.mean:.2f}" == best)', "best=False)", "no best mean"),
        ("    if has_seeds(rows):", "    if False:", "no table of means"),
    ],
    "vlrouting/report/panel.py": [
        ("random.Random(0).sample(", "random.Random().sample(", "every variant shows other images"),
        ("most_common(1)[0][0]", "most_common()[-1][0]", "the rarest answer is the true one"),
    ],
    "vlrouting/report/score_check.py": [
        ("TOLERANCE = 1e-9", "TOLERANCE = 1e-1", "what differs in the first digit is the same"),
        ('stored["cluster"] = record.get("cluster")', 'stored["cluster"] = ""', "clusters are not compared"),
        ("with suppress(DataError):  # the", "if False:  # the", "validity is never computed again"),
        ("require_trust(list(map(str, plugins)), run.config, trust_plugins)", "pass", "plug-ins run unasked"),
        (
            "left_out = {LISTED_AS.get(key, key) for key in one_sided}",
            "left_out = set()",
            "METEOR without Java differs",
        ),
        ("len(stored) == len(computed) and all(", "all(", "fewer summands are the same"),
    ],
    "vlrouting/report/rescore.py": [
        ('*folder.glob("tuning/*/run.json")', "", "tuning runs are not checked"),
        ("if run.status() == COMPLETE}", "}", "incomplete runs are checked"),
    ],
    "vlrouting/report/compare.py": [
        ("written = write_comparison(experiment_runs, rows)", "written: list[Path] = []", "no files"),
    ],
}

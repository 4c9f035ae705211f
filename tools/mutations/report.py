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
        ("return key in RESULT_NEUTRAL or", "return", "workers make another variant"),
        ('config.pop("seed")', 'config["seed"]', "every seed is a variant of its own"),
        ("key=lambda row: (not row.complete, ", "key=lambda row: (row.complete, ", "complete points come last"),
        ("if main_metric not in metrics and not not_computed:", "if False:", "a run without its score is shown"),
    ],
    "vlrouting/report/variants.py": [
        ("if field not in allowed and len(", "if False and len(", "points of different code are averaged"),
        ("again = len({row.seed for row in group}) < len(group)", "again = False", "a seed counts twice"),
        ("name if names.count(name) == 1 else group[0].variant", "name", "other settings under one name"),
    ],
    "vlrouting/report/baseline.py": [
        ("least = min(", "least = max(", "the farthest baseline"),
        ("key not in keys and key not in row.tuned}", "key not in keys}", "a tuned rate makes a baseline farther"),
        ("return attaches and not is_routed(row) and", "return not is_routed(row) and", "a frozen model is a baseline"),
    ],
    "vlrouting/report/paired.py": [
        ("if all(values) and values[0] != values[1]:", "if False:", "runs of different code are compared"),
        ("holm([differences[place].p_value", "list([differences[place].p_value", "p-values are not adjusted"),
        ("better = BETTER if difference.mean > 0 else WORSE", "better = BETTER", "worse is better"),
        ("difference(pair[1]).p_value >= SIGNIFICANCE", "difference(pair[1]).p_value >= 0", "all are tied"),
        ("seeds = [seed for seed in first if seed in second]", "seeds = list(first)[: len(second)]", "seeds are mixed"),
    ],
    "vlrouting/report/example_scores.py": [
        (
            'return sorted(records, key=lambda record: str(record["id"]))',
            "return records",
            "examples by line, not by id",
        ),
        (
            'f"{dataset}: {cluster}" for cluster in images}',
            "cluster for cluster in images}",
            "pairs of two datasets are one",
        ),
        ("labels[cluster] = first[0]", "pass", "an image of two datasets is two clusters"),
        ("np.mean(scores, axis=0)", "np.max(scores, axis=0)", "the best dataset for their mean"),
    ],
    "vlrouting/report/verdict.py": [
        ("if LEARNING_RATE not in variant.tuned]", "if False]", "an untuned rate is a verdict"),
        ("            if routed is None:", "            if True:", "effects that survive shuffling"),
    ],
    "vlrouting/report/power.py": [
        ("seed, texts = 2 * assumed.seed_std**2,", "seed, texts = assumed.seed_std**2,", "the variance of one variant"),
        ("median(getattr(", "max(getattr(", "the largest variance"),
    ],
    "vlrouting/report/table.py": [
        ("{100 * trainable / total:.2f}%", "{trainable / total:.2f}%", "a fraction for percent"),
        ("if whole < 3600:", "if whole < 36000:", "hours are minutes"),
        ("_score(v, comparison.metric, v.tied_with_best)", "_score(v, comparison.metric)", "nothing is bold"),
        ("± {found.high - found.mean:.2f}", "± {found.standard_error:.2f}", "a standard error for an interval"),
    ],
    "vlrouting/report/formats.py": [
        ('return text.replace("\\n", " ").replace("|", "\\\\|")', "return text", "a bar in a name breaks the table"),
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
        ("    written = list(texts)", "    written: list[Path] = []", "no files are named"),
        ("texts = {folder / name: text(found) for", "texts = {folder / name: '' for", "empty files"),
    ],
}

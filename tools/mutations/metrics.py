"""Metrics."""

CHANGES = {
    "vlrouting/metrics/vqa_accuracy.py": [
        (
            "min(FULL_SCORE, 3 * _COUNT_MATCHES",
            "min(FULL_SCORE, 4 * _COUNT_MATCHES",
            "two annotators and a half are enough",
        ),
        (
            '"legacy": _count_legacy_matches',
            '"legacy": _count_official_matches',
            "legacy is official",
        ),
        (
            "    if len(counts) == 1:\n        return counts[prediction]\n    prediction = normalize_answer(prediction)\n",
            "    prediction = normalize_answer(prediction)\n",
            "ten equal references are normalised too",
        ),
        (
            "if replace_punctuation(answer) == prediction)",
            "if normalize_answer(answer) == prediction)",
            "legacy normalises the references in full",
        ),
        ("len(answers) != ANSWERS_PER_QUESTION:", "False:", "a question with fewer answers is scored"),
        (
            "return sum(normalize_answer(answer) == prediction for answer in answers)",
            "return sum(answer == prediction for answer in answers)",
            "normalized leaves the references as they are",
        ),
    ],
    "vlrouting/metrics/vqa_text.py": [
        ('ARTICLES = frozenset({"a", "an", "the"})', 'ARTICLES = frozenset({"a", "the"})', "an is no article"),
        ('{"none": "0"}', "{}", "none is not 0"),
        (r"\.(?!\d)", r"\.", "2.5 loses its period"),
        ('"" if delete_all or touches_space else " "', '"" if touches_space else " "', "1,000 becomes two words"),
        ("PERIODS_REMOVED_AT_MOST = 32", "PERIODS_REMOVED_AT_MOST = 0", "all periods go"),
        (
            'return text.replace("\\n", " ").replace("\\t", " ").strip()',
            'return text.replace("\\n", " ").strip()',
            "tabs stay",
        ),
    ],
    "vlrouting/metrics/vqa_score.py": [
        (
            "chosen = tenths[self.config.vqa_variant]",
            'chosen = tenths["official"]',
            "evaluate.vqa_variant does not reach the metric",
        ),
        ("_percent(score, 1)", "score", "scores per example have another unit"),
        (
            'kinds[f"{self.main}/{kind}/{name}"]',
            'kinds[f"{self.main}/{kind}/"]',
            "accuracies per type are wrong",
        ),
        ("[int(example.id) for example in self.examples]", "list(numbered)", "the server's file may lack questions"),
    ],
    "vlrouting/metrics/gqa_evaluation.py": [
        (
            'return "open" if structural_type == "query" else "binary"',
            'return "open" if structural_type == "choose" else "binary"',
            "open and binary questions",
        ),
        ("if other != qid]", "]", "a question entails itself"),
        ("        if is_correct\n", "        if True\n", "consistency over wrongly answered questions"),
        ('NOT_STEPS = ("exist", ', "NOT_STEPS = (", "exist is a step"),
        ("(COMMON_ATTRIBUTES if qid in common else", "(() if qid in common else", "common attributes are never valid"),
        (
            "(predicted[group][answer] - count) ** 2 / count",
            "abs(predicted[group][answer] - count) / count",
            "distribution is no chi-square",
        ),
        (
            "/ sum(counts.total() for counts in gold.values()) / 100",
            "/ sum(counts.total() for counts in gold.values())",
            "distribution has another unit",
        ),
        ("        if group is not None:", "        if True:", "questions without a group are counted"),
        ('_share_among("plausible", balanced', '_share_among("valid", balanced', "plausibility is validity"),
    ],
    "vlrouting/metrics/gqa_score.py": [
        (
            'if question_id in predictions or not record["isBalanced"]',
            "if question_id in predictions",
            "unbalanced records are lost, and consistency with them",
        ),
        (
            "100.0 * (predictions[question_id] == answer)",
            "1.0 * (predictions[question_id] == answer)",
            "scores per example have another unit",
        ),
        ('for other in record["entailed"]', 'for other in record["entailed"][:0]', "what is entailed is not recorded"),
        ('"group": record["groups"]["global"]', '"group": None', "the group is not recorded"),
    ],
    "vlrouting/metrics/nlvr2_evaluation.py": [
        ("consistent.get(statement, True) and is_correct", "is_correct", "consistency is read from the last pair"),
        ("return (*parts[:_PAIR], *parts[_PAIR + 1 :])", "return (*parts[:_PAIR],)", "statements of one set are one"),
        ("predictions[identifier].lower() == record", "predictions[identifier] == record", "True is not true"),
        ("if invalid:", "if False:", "answers that are none go to the server"),
    ],
    "vlrouting/metrics/nlvr2_score.py": [
        ("{name: 100 * value", "{name: value", "fractions for percent"),
        ("{min(pairs): [int(all(", "{min(pairs): [int(any(", "one pair makes a statement consistent"),
        ("{min(pairs): [", "{pairs[0]: [", "the order of the examples decides which pair counts"),
        ('"-".join(example.id.split("-")[:2])', '"-".join(example.id.split("-")[:3])', "clusters of single pairs"),
    ],
    "vlrouting/metrics/caption_score.py": [
        ("return Scores({name: 100 * value", "return Scores({name: value", "fractions for percent"),
        ("{image: 100 * v[name]", "{image: v[name]", "scores per image have another unit"),
        (
            "sorted(examples, key=lambda example: example.id)",
            "examples",
            "captions are scored in another order than stored",
        ),
        ("spice=self.config.spice)\n        per_image", "spice=False)\n        per_image", "evaluate.spice is ignored"),
    ],
    "vlrouting/metrics/caption_scores.py": [
        ("_bleu,\n", "lambda references, hypotheses: _bleu(hypotheses, references),\n", "BLEU the other way round"),
        (
            "= meteor_scores(references, hypotheses)",
            "= meteor_scores(hypotheses, references)",
            "METEOR the other way round",
        ),
        ("if java_failure and names in _NEED_JAVA:", "if java_failure:", "nothing is scored without Java"),
    ],
    "vlrouting/metrics/caption_plain.py": [
        ("if number and after_number:", "if False:", "telephone numbers"),
        ("or word in ABBREVIATIONS)", ")", "abbreviations lose their period"),
        ("if word in SPLIT_WORDS or", "if", "cannot is one token"),
    ],
    "vlrouting/metrics/caption_meteor.py": [
        ("        counts[_CHUNKS] = 0.0\n", "        pass\n", "a caption that equals its reference is a chunk"),
        ("if len(_numbers(answer)) != _COUNTS:", "if False:", "another METEOR's counts are taken"),
    ],
    "vlrouting/metrics/per_example.py": [
        ("key = LISTED_AS.get(name, name)", "key = name", "BLEU has no values"),
        (
            "    lengths = (sums[..., 8] + tiny) / (sums[..., 9] + small)\n",
            "    lengths = sums[..., 8] * 0 + 1\n",
            "no brevity penalty",
        ),
        ("precisions.prod(-1) ** (1 / order)", "precisions.prod(-1) ** (1 / 4)", "BLEU-2 is no square root"),
        (
            "alpha, beta, gamma, delta = 0.85, 0.2,",
            "alpha, beta, gamma, delta = 0.85, 0.3,",
            "METEOR of another language",
        ),
        (
            "share: Array = 100 * sums[..., 0] / sums[..., 1]",
            "share: Array = sums[..., 0] / sums[..., 1]",
            "fractions for percent",
        ),
        ('if "score" in record]', "]", "examples without a score are compared"),
    ],
    "vlrouting/metrics/predictions_file.py": [
        ("math.isfinite(value)", "True", "NaN is a score"),
        ("line_of[identity] = number", "pass", "an example is scored twice"),
    ],
    "vlrouting/metrics/results_file.py": [
        ('"unexpected": predictions.keys() - expected', '"unexpected": set()', "predictions of other questions pass"),
        ("for number in sorted(expected)]", "for number in expected]", "the file is in no order"),
    ],
    "vlrouting/metrics/score.py": [
        ("if example.answers]", "]", "examples without answers are scored"),
    ],
    "vlrouting/metrics/gathered.py": [
        (
            "for share in shares for record in share]",
            "for share in shares[:1] for record in share]",
            "predictions of other processes are lost",
        ),
        (
            "if error is not None:\n        raise error",
            "if error is not None and is_first:\n        raise error",
            "an error of the first process is not raised on the others",
        ),
    ],
    "vlrouting/statistics.py": [
        (
            "replicates.mean(0).var(ddof=1) * groups / (groups - 1)",
            "replicates.mean(0).var(ddof=1)",
            "intervals of few clusters are too narrow",
        ),
        (
            "of_seeds = values.var(ddof=1) / seeds",
            "of_seeds = values.var() / seeds",
            "the variance of three seeds is too small",
        ),
        (
            "of_clusters = max(of_examples - of_both, 0)",
            "of_clusters = of_examples",
            "what examples do from seed to seed is counted twice",
        ),
        ("stats.t.isf(significance / 2,", "stats.t.isf(significance,", "one-sided intervals"),
        ("(len(p_values) - rank) * p_values[index]", "len(p_values) * p_values[index]", "Bonferroni for Holm"),
        ("largest = max(largest, (", "largest = max(0.0, (", "adjusted p-values are not monotone"),
        (
            "_, group = np.unique(labels, return_inverse=True)",
            "group = np.arange(len(labels))",
            "examples of one image count as independent",
        ),
        (
            "stats.t.isf(significance / 2, max(size - 1, 1))",
            "stats.norm.isf(significance / 2)",
            "a normal quantile for three seeds",
        ),
        (" + stats.norm.cdf((-half - difference) / error)", "", "power of no difference is half the error rate"),
        ("if first.shape != second.shape:", "if False:", "other seeds are paired"),
    ],
}

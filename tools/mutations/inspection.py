"""Checks and descriptions of data, and how they are drawn."""

CHANGES = {
    "vlrouting/data/inspection/content.py": [
        ("self.unanswered += not example.answers", "self.unanswered += 1", "a question without labels has no answer"),
        ("later = (firsts != order) & (ordered != 0)", "later = firsts != order", "captions are repeated questions"),
        ('" ".join(words).casefold()', '" ".join(words)', "letter case makes another question"),
        ("self.captions += len(example.answers)", "self.captions += 1", "an image counts as one caption"),
    ],
    "vlrouting/data/inspection/images.py": [
        (
            "_count_of_same_kinds(found - named, named)",
            "_count_of_same_kinds(found, named)",
            "named files count as unnamed",
        ),
        ('if not entry.name.startswith(".") and not', "if not", "hidden files count"),
        ("random.Random(SEED).sample", "random.sample", "another sample every time"),
    ],
    "vlrouting/data/inspection/check.py": [
        ("split.broken += problem is not None", "split.broken += 1", "every image counts as broken"),
        ("if (place := known.get(problem)) is None:", "if True:", "a file of three splits is three problems"),
        (
            "            _count_missing(users[path])\n        using",
            "            pass\n        using",
            "missing folders count nothing",
        ),
    ],
    "vlrouting/data/inspection/official.py": [
        ("if what not in found or found[what] == number:", "if True:", "no count is compared"),
        (
            "(split.questions, split.annotations) == (known[name].questions, known[name].annotations)",
            "split",
            "a user's own file is compared",
        ),
        ("if not certain and found[what]", "if found[what]", "a manifest of one's own may be wrong"),
    ],
    "vlrouting/data/inspection/shared_images.py": [
        ("if one.role and one.role == other.role:", "if False:", "a part of a split leaks into the split"),
    ],
    "vlrouting/data/inspection/answers.py": [
        ("seen is None or split is training else", "seen is None else", "training has answers that it never saw"),
        ("share < LEAST_SHARE:", "share < 0:", "a vocabulary that answers little passes"),
        (
            "if classifies:\n            yield Finding(FAULT",
            "if False:\n            yield Finding(FAULT",
            "no vocabulary is no fault",
        ),
    ],
    "vlrouting/data/inspection/subject.py": [
        ("if not problems)\n", "if True)\n", "splits that are not there are read"),
        ("return made if made in RECIPES else None", "return None", "a recipe's folder is not known"),
    ],
    "vlrouting/data/inspection/description.py": [
        ("kept[min(length, LONGEST)] += count", "kept[length] += count", "very long texts make the file large"),
        (
            "if limit is not None and length > limit",
            "if limit is not None and length >= limit",
            "the limit is off by one",
        ),
        ("content.answers.total() - sum(count for _, count in top)", "0", "there are no other answers"),
        ("random.Random(seed).sample", "random.Random(0).sample", "the seed chooses no examples"),
    ],
    "vlrouting/data/inspection/data_file.py": [
        ("examples=record.examples[:-1]", "examples=()", "no example stays where twelve are too many"),
    ],
    "vlrouting/training/data_record.py": [
        (
            "if not (starts and count and event_loggers):",
            "if not (count and event_loggers):",
            "a resumed run draws its sheet again",
        ),
        ("if starts or not file.exists():", "if True:", "a resumed run writes data.json again"),
        ('TAG, STEP = "data/train", 1', 'TAG, STEP = "data/train", 0', "a resumed run loses its sheet"),
        ("if getattr(config.data, role) == name]", "]", "every split has every role"),
    ],
    "vlrouting/report/fonts.py": [
        ("_NO_GLYPH = 1.3", "_NO_GLYPH = 0.3", "boxes for unknown characters leave the sheet"),
        (
            "while width_of(line.rstrip(), size, weight) > width and len(line) > 1:",
            "while False:",
            "long words leave the sheet",
        ),
    ],
    "vlrouting/report/data_sheet.py": [
        (
            "scale = min(width / image.width, height / image.height)",
            "scale = width / image.width",
            "tall images leave their box",
        ),
        ("start = left + place * (cell + _BETWEEN)", "start = left", "a pair lies one on the other"),
        (
            "        return None, width, min(height, 0.5 * width)\n    scale",
            "        raise\n    scale",
            "a broken image stops the sheet",
        ),
    ],
    "vlrouting/report/plots/distributions.py": [
        ("weights=weights / weights.sum()", "weights=weights", "counts instead of shares"),
        ('0 if not split.other_answers else float("nan")', "0", "an answer that may be there counts as absent"),
        (
            "return covering if longest > _STRETCHED * covering else longest",
            "return longest",
            "one long text stretches the axis",
        ),
    ],
    "vlrouting/report/html/data.py": [
        (
            "uses.setdefault(repr((dataset, record.dataset, record.splits)), DataUse(record, dataset))",
            "uses.setdefault(record.dataset, DataUse(record, dataset))",
            "other data of some points are not shown",
        ),
        ("whole = split.described == split.examples", "whole = True", "counts of a part as if of the whole"),
    ],
}

"""A user's own table: reading, checking, splits, the score of any number of answers."""

_TABLE = "vlrouting/data/datasets/table"
CHANGES = {
    f"{_TABLE}/made_splits.py": [
        ('.casefold().removeprefix("images/")', '.removeprefix("images/")', "two names of an image are in two splits"),
        ('unicodedata.normalize("NFC", path)', "path", "two spellings of a name are in two splits"),
        ('.removeprefix("images/")', "", "an image with and without its folder is in two splits"),
        ("            self._parents[root] = roots[0]", "            pass", "a group is divided"),
        ('f"{seed} {root}"', 'f"{root}"', "the seed changes nothing"),
        ("            yield _hash(f\"image {image_key(image)}\") + _ONE", "            yield _hash(f\"image {image_key(image)}\")", "a new image moves its group"),
        ("shares.test + shares.val", "shares.val", "the validation split is too small"),
    ],
    f"{_TABLE}/record.py": [
        ("if len(names) > MOST_IMAGES:", "if False:", "three images are read"),
        ("elif len(names) != (self.images_per_row or len(names)):", "elif False:", "rows with one and with two images are read"),
        ("        if not value.isprintable() and", "        if False and", "control characters are read"),
        ('        if "" in texts:', "        if False:", "an empty answer among others is read"),
        ("self.splits.get(given) or self.splits.get(given.lower())", "self.splits.get(given)", "`Train` is no split"),
        ("        if not _is_absent(record.get(one)):", "        if False:", "the one answer beside several is ignored"),
        ('        return value.strip()', "        return value", "blanks around an answer stay"),
    ],
    f"{_TABLE}/check.py": [
        ("if known is None or (self.source.target == \"caption\" and known == images):", "if True:", "an id is there twice"),
        ("if self.answered[split] or self.source.needs_answers(split or None):", "if False:", "a row without an answer is read"),
        ("            if other != split:", "            if False:", "nobody learns of an image in two splits"),
        ('if of_file is not None and row.split not in ("", of_file):', "if False:", "a row of another split is read"),
        ("        _Check(replace(source, images=False)).all_files()", "        pass", "pictures are extracted before the rest is checked"),
    ],
    f"{_TABLE}/images.py": [
        ('return None if path == ".." or path.startswith("../") else path', "return path", "an image outside of the root is read"),
        ("                if target is None:", "                if True:", "a link out of the root is followed"),
        ("return self._missing(name, path) if self.required else path", "return path", "a missing image is found in training"),
        ('(path, f"{FOLDER}/{path}")', "(path,)", "pictures below images/ are not found"),
    ],
    f"{_TABLE}/examples.py": [
        ("normalize_answer(answer) or answer.strip().lower()", "normalize_answer(answer)", "the answer A is empty"),
        ("accuracy_of_matches(count, len(answers))", "count / len(answers)", "labels are not the metric's scores"),
        ("            if of_this != wanted:\n                continue", "            if False:\n                continue", "every split has all rows"),
    ],
    f"{_TABLE}/delimited.py": [
        ("            if len(fields) != len(header):", "            if False:", "a row with too few fields is read"),
        ("strict=True)\n        while", "strict=False)\n        while", "quotes that are not closed are read"),
    ],
    f"{_TABLE}/columns.py": [
        ("if name in COLUMNS or not plain.isalpha():", "if True:", "a misspelt column is ignored"),
        ("or not plain.isalpha():", ":", "question_id is taken for question"),
    ],
    f"{_TABLE}/encoding.py": [
        ('text.removeprefix("\\ufeff") if number == 1 else text', "text", "a byte order mark is part of the first column"),
        ("    if wrong:\n", "    if False:\n", "another encoding is read"),
        ("if name in best.could_be_from_charset", "if False", "cp1250 is guessed for cp1252"),
    ],
    f"{_TABLE}/extraction.py": [
        ("        os.replace(unfinished, file)", "        file.write_bytes(content)", "a picture is half there for a while"),
        ("stat.st_size} {stat.st_mtime_ns}", "stat.st_size}", "a changed file keeps its old pictures"),
    ],
    f"{_TABLE}/files.py": [
        ('(".", "~", "cache-")', '("~",)', "hidden files are tables"),
        ('(set(of_split) == {"train"} or len(of_split) > 1)', "len(of_split) > 1", "train.csv alone is not divided"),
    ],
    f"{_TABLE}/mistakes.py": [
        ("        if len(ordered) > most:", "        if False:", "the rest is not mentioned"),
        ("            if line is not None and len(kind.lines) < _LINES_SHOWN:", "            if line is not None:", "all lines are listed"),
    ],
    "vlrouting/metrics/answer_accuracy.py": [
        ("    if answers == 1:\n", "    if False:\n", "one answer divides by zero"),
        ("min(ENOUGH, answers - 1)", "ENOUGH", "two answers that match are not enough"),
        ("matches * min(enough, matches - 1)", "matches * min(enough, matches)", "no answer is left out"),
    ],
    "vlrouting/config/data.py": [
        ('self.validation = facts.splits.validation if self.validation == "" else self.validation', "pass", "there is no validation split by default"),
        ("abs(total - 1) < 1e-6", "True", "shares need not add up"),
    ],
    "vlrouting/config/experiment.py": [
        ('"caption" if TASKS.facts(task).command == "caption" else "answer"', '"answer"', "captions are read as answers"),
    ],
}  # fmt: skip

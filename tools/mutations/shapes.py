"""The world of shapes."""

CHANGES = {
    "vlrouting/shapes/scene.py": [
        (
            "lambda first, second: first.column < second.column",
            "lambda first, second: first.column > second.column",
            "left is right",
        ),
        ("known = SEEN if held_out is False else ALL", "known = ALL", "training shows what was held out"),
        ("if held_out and HELD_OUT.isdisjoint(pairs):", "if False:", "the test shows nothing that was held out"),
        ("sorted(random.sample(range(9), count))", "random.sample(range(9), count)", "things are in no order"),
    ],
    "vlrouting/shapes/draw.py": [
        (
            "_CENTRES[thing.row] - _HALF, _CENTRES[thing.column]",
            "_CENTRES[thing.column] - _HALF, _CENTRES[thing.row]",
            "rows and columns are exchanged",
        ),
        ('_RADIUS = {"small": 5.0, "large": 9.0}', '_RADIUS = {"small": 9.0, "large": 5.0}', "small is large"),
        ("x * x + y * y <= 0.9 if", "x * x + y * y <= 1.9 if", "circles are larger"),
    ],
    "vlrouting/shapes/words.py": [
        ('return f"an {words}" if words[0] in "aeiou"', 'return f"an {words}" if words[0] in "aeu"', "a orange"),
        ('"above": "below", "below": "above"}', '"above": "above", "below": "below"}', "above is above from both"),
        ("if len(kind.among(scene)) == 1]", "]", "descriptions that fit several things"),
    ],
    "vlrouting/shapes/vqa_questions.py": [
        ('return found, "yes" if wanted else "no"', 'return found, "no" if wanted else "yes"', "yes is no"),
        ("given += [(_other_answer(answer, random)", "given += [(answer", "all annotators agree"),
        (
            "if len(more.among(scene)) <= len(fewer.among(scene)):",
            "if len(more.among(scene)) < len(fewer.among(scene)):",
            "as many are more",
        ),
        ("kind and len(found) == 1 else None", "kind and found else None", "a question with two answers"),
        (
            "first, second = (more, fewer) if wanted else (fewer, more)",
            "first, second = more, fewer",
            "there are always more",
        ),
    ],
    "vlrouting/shapes/caption_sentences.py": [
        (
            "listed(_number(count, kind) for kind, count in kinds.items())",
            "listed(_number(1, kind) for kind in kinds)",
            "captions do not count",
        ),
        ("if holds(first, second)]", "]", "relations that do not hold"),
    ],
    "vlrouting/shapes/absent.py": [
        ("if pair not in shown]", "]", "what is there is asked for as absent"),
        (
            "return ALL if any(thing.held_out for thing in scene.things) else SEEN",
            "return ALL",
            "training asks for what was held out",
        ),
    ],
    "vlrouting/shapes/gqa_program.py": [
        (
            "return bool(other.needs) and other.needs <= self.tells",
            "return bool(other.needs & self.tells)",
            "questions entail what they do not",
        ),
    ],
}

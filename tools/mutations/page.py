"""The report: plots, learning curves, tuning runs, and the page."""

CHANGES = {
    "vlrouting/report/learning_curves.py": [
        ("sorted(set(runs[0]).intersection(*runs[1:]))", "sorted(runs[0])", "a step that a seed lacks"),
        ("np.isfinite(values).all(axis=0)", "np.isfinite(values).any(axis=0)", "values that are not finite are drawn"),
        (
            "found[tag] |= {event.step: event.value for event in events.Scalars(tag)}",
            "found[tag] = {event.step: event.value for event in events.Scalars(tag)} | found[tag]",
            "the first log of a step wins",
        ),
    ],
    "vlrouting/report/trials.py": [
        ("if status == COMPLETE else None", "", "a trial that failed has a score"),
        ("chosen=name == chosen", "chosen=True", "every trial is the chosen one"),
    ],
    "vlrouting/report/plots/cost.py": [
        ("if not front or one.mean > front[-1][1].mean:", "if True:", "every point is on the Pareto front"),
        ("(pair[0], -pair[1].mean)", "(pair[0], pair[1].mean)", "the worse of two points of one cost is on the front"),
    ],
    "vlrouting/report/plots/curves.py": [
        ("curve.values.min(0), curve.values.max(0)", "curve.values[0], curve.values[0]", "no band"),
        ("values[..., start : start + size].mean(-1)", "values[..., start]", "one of neighbouring steps for all"),
    ],
    "vlrouting/report/plots/__init__.py": [
        ("for _ in range(2):", "for _ in range(0):", "names beside the axes are cut off"),
    ],
    "vlrouting/report/html/examples.py": [
        ("[*draw.sample(first, len(first)), *draw", "[*draw", "disagreements are left out"),
        ("keys[index * len(keys) // number]", "keys[index]", "the first examples of the test set"),
        ("        if numbers is None:\n            break\n", "", "an example without its images"),
    ],
    "vlrouting/report/html/outputs.py": [
        ("        common &= {", "        common |= {", "each variant shows another seed"),
        ("and score >= RIGHT:", ":", "wrong answers count as right"),
    ],
    "vlrouting/report/html/thumbnails.py": [
        ("if self.size + needed > self.most:", "if False:", "a file of any size"),
        ("content = min(", "content = max(", "the largest format"),
        ("if path not in self._numbers}", "}", "an image is embedded again and again"),
    ],
    "vlrouting/report/html/figures.py": [
        ('f"{found[1]}{name}-{found[2]}"', 'f"{found[1]}{found[2]}"', "figures share ids"),
    ],
    "vlrouting/report/html/page.py": [
        ("autoescape=True", "autoescape=False", "a caption is a script"),
        ("write_text_atomic(path, page)", "path.write_text(page)", "a full disk truncates the earlier report"),
    ],
    "vlrouting/report/html/settings.py": [
        ("if len(set(values)) > 1:", "if len(set(values)) > 2:", "settings that differ are shown as shared"),
        ("runs if len(values) > 1 else []", "[]", "environments that differ have no runs"),
    ],
}

"""The LaTeX tables are set by pdflatex, and the page has their numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.made_up_runs import METRIC, make_run, make_variant, tuned_rate
from vlrouting.report import compare_runs
from vlrouting.report.formats import to_latex

pytestmark = [
    pytest.mark.documents,
    pytest.mark.skipif(
        not (shutil.which("pdflatex") and shutil.which("pdftotext")),
        reason="needs pdflatex and pdftotext (Debian: texlive-latex-recommended, poppler-utils)",
    ),
]
DOCUMENT = r"""\documentclass[a4paper]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,array,graphicx}
\begin{document}
\input{comparison}
\end{document}
"""
AWKWARD = r"100% of_it & more #1 {a} $5 ~x^2 a\b <c> é | `q` … --mixed ≥ 漢"
"""A title with every letter that means something to LaTeX."""


def page(folder: Path) -> str:
    """The text of the page that comparison.tex gives."""
    (folder / "page.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    overfull = [line for line in done.stdout.splitlines() if line.startswith("Overfull \\hbox")]
    assert not overfull, overfull  # nothing runs out of the page
    text = subprocess.run(["pdftotext", "-layout", "page.pdf", "-"], cwd=folder, capture_output=True, text=True)
    return text.stdout


def test_the_page_has_the_numbers(tmp_path: Path) -> None:
    settings, tuned = tuned_rate(0.003, edges=["train.lr"])
    random = np.random.default_rng(0)
    base = random.normal(70, 20, 200)
    further = {f"test/{name}": random.normal(50, 10, 200) for name in ("CIDEr", "SPICE", "loss")}
    for name, gain in {"none": 0, "add": 0.1, "mul": 5, "cross_attention": 4}.items():
        scores = base + random.normal(gain, 0.5, (3, 1)) + random.normal(0, 4, (3, 200))
        titles = {METRIC: "VQA accuracy (official)", **{key: key.removeprefix("test/") for key in further}}
        options = {"settings": settings, "tuned": tuned, "further": further, "shown_metrics": titles}
        make_variant(tmp_path / "x", f"routing={name}", scores, **options)
    make_run(tmp_path / "x", "routing=gram,seed=0", status="failed", error=AWKWARD)
    found = compare_runs([tmp_path / "x"])
    (tmp_path / "comparison.tex").write_text(to_latex(found), encoding="utf-8")
    lines = page(tmp_path).splitlines()
    for variant in found.complete:
        name = variant.label.replace("_", " ")  # LaTeX draws the letter; no text is below it
        line = next(" ".join(line.split()) for line in lines if line.split("=")[-1:] and name in line and "±" in line)
        interval = variant.intervals[METRIC]
        assert f"{interval.mean:.2f} ± {interval.high - interval.mean:.2f}" in line
        if variant.difference:
            assert f"{variant.difference.mean:+.2f} ±" in line
    shown = " ".join(" ".join(lines).split())
    assert "better" in shown and "lr=0.003 (edge)" in shown and "Missing for a verdict" in shown
    assert r"failed: 100% of it & more #1 {a} $5" in shown and r"a\b <c>" in shown and "--mixed ≥" in shown

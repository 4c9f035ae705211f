"""What the README says can be typed works, as far as a test can type it; CI runs the rest."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_notebook_example_runs_without_lightning_or_yaml(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    code = block + '\nimport sys\nassert not {"lightning", "vlrouting.experiment"} & set(sys.modules)\n'
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my_artifact" / "adapter_model.safetensors").is_file()


def test_every_make_target_of_the_readme_exists() -> None:
    named = set(re.findall(r"make ([a-z]+)", README))
    listed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    known = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}
    assert named - {"sure", "shapes"} <= known | {"train"}  # `data make shapes` is no target
    assert {"train", "test", "tensorboard", "compare", "evaluate", "validate", "help"} <= named


def test_every_experiment_and_file_of_the_readme_exists() -> None:
    for name in set(re.findall(r"EXP=([a-z0-9_]+)", README)):
        assert (REPOSITORY / "experiments" / f"{name}.yaml").is_file(), name
    for path in re.findall(r"\]\(([a-z][^):]*)\)", README):
        assert (REPOSITORY / path).exists(), path

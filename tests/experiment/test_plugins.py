"""A user's own modules are imported only where they are needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from vlrouting.experiment import ExperimentErrors, UserError, import_plugins, load

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "lightning", "transformers", "timm", "torchmetrics", "matplotlib", "pandas")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with an experiment whose routing is a plugin's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "experiments").mkdir()
    write(tmp_path, "mine")
    return tmp_path


def write(folder: Path, routing: str, plugins: str = "[my_routing]") -> None:
    text = f"plugins: {plugins}\ntrain: {{max_steps: 1}}\nbottleneck: {{routing: {routing}}}\n"
    (folder / "experiments" / "x.yaml").write_text(text)


class Loader:
    """Stands in for the import of torch and the plugin."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, plugins: Sequence[str]) -> tuple[str, ...]:
        self.calls.append(list(plugins))
        return ("none", "add", "mine")


def test_plugins_are_imported_for_an_unknown_routing_only(folder: Path) -> None:
    (folder / "my_routing.py").write_text("raise RuntimeError('imported')\n")
    loader = Loader()
    write(folder, "add")
    load("x", load_plugins=loader)
    write(folder, "cross_attention")
    load("x", load_plugins=loader)
    assert loader.calls == []
    write(folder, "mine")
    assert load("x", load_plugins=loader).points[0].config.bottleneck.routing == "mine"
    assert loader.calls == [["my_routing"]]
    write(folder, "mime")
    with pytest.raises(ExperimentErrors, match=r"x.yaml:3: bottleneck.routing: 'mime' .* Did you mean 'mine'\?"):
        load("x", load_plugins=loader)


@pytest.mark.parametrize("routing", ["mine", "add"])
def test_a_plugin_that_is_not_there(folder: Path, routing: str) -> None:
    write(folder, routing, "[my_routing_that_is_nowhere]")
    with pytest.raises(ExperimentErrors, match=r"x\.yaml:1: plugins: there is no module 'my_routing_that_is_nowhere'"):
        load("x", load_plugins=Loader())


def test_a_plugin_that_breaks(folder: Path) -> None:
    (folder / "my_routing_broken.py").write_text("1 / 0\n")
    write(folder, "mine", "[my_routing_broken]")
    with pytest.raises(ExperimentErrors) as caught:
        load("x")
    first = str(caught.value).split("\n")[0]
    expected = "plugins: 'my_routing_broken' cannot be imported: ZeroDivisionError: division by zero"
    assert first == f"experiments/x.yaml:1: {expected}"
    with pytest.raises(UserError, match="'my_routing_broken' cannot be imported"):
        import_plugins(["my_routing_broken"])


def run(code: str, cwd: Path) -> str:
    """Runs Python in a process of its own."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_checking_an_experiment_imports_nothing_heavy(folder: Path) -> None:
    (folder / "my_routing.py").write_text("")
    write(folder, "add")
    loaded = f"print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(f"import vlrouting.experiment; vlrouting.experiment.load('x'); {loaded}", folder) == "[]"
    assert run(f"import vlrouting.report; {loaded}", folder) == "[]"


def test_a_real_plugin_registers_its_routing(folder: Path) -> None:
    pytest.importorskip("torch")
    plugin = "from vlrouting.routing import register_routing\n@register_routing('mine')\ndef mine(t, v): return t\n"
    (folder / "my_routing.py").write_text(plugin)
    code = "from vlrouting.experiment import load; print(load('x').points[0].config.bottleneck.routing)"
    assert run(code, folder) == "mine"

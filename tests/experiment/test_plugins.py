"""A user's own modules are imported only where they are needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
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


def test_a_plugin_that_is_a_script_does_not_end_the_check(folder: Path) -> None:
    (folder / "my_routing_script.py").write_text("import sys\nsys.exit(0)\n")
    write(folder, "mine", "[my_routing_script]")
    with pytest.raises(ExperimentErrors, match=r"plugins: 'my_routing_script' cannot be imported: SystemExit: 0"):
        load("x")


@pytest.mark.parametrize("plugin", ["''", ".relative", "my_routing_no_package.inner", "my_routing_no_package.py"])
def test_a_name_that_is_no_module(folder: Path, plugin: str) -> None:
    (folder / "my_routing_no_package.py").write_text("")
    write(folder, "mine", f"[{plugin}]")
    with pytest.raises(ExperimentErrors, match=r"x\.yaml:1: plugins: .*(there is no module|cannot be imported)"):
        load("x")


def test_a_plugin_that_only_an_import_hook_finds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that pip installs in editable mode may be on no path at all."""

    class Hook:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            return ModuleSpec(name, None) if name == "my_routing_in_editable_mode" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook])
    write(folder, "add", "[my_routing_in_editable_mode]")
    assert load("x").points[0].config.plugins == ["my_routing_in_editable_mode"]


def test_names_of_every_plugin_count(folder: Path) -> None:
    for name in ("my_routing", "my_other_routing"):
        (folder / f"{name}.py").write_text("")
    loader = Loader()
    write(folder, "mine", "[my_other_routing, my_routing]")
    load("x", load_plugins=loader)
    assert loader.calls == [["my_other_routing"], ["my_routing"]]


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

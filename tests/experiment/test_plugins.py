"""A user's own modules are imported only where they are needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from vlrouting.config import KINDS, ROUTINGS, BottleneckConfig
from vlrouting.experiment import ExperimentErrors, UserError, import_plugins, load

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "lightning", "transformers", "timm", "torchmetrics", "matplotlib", "pandas")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, with an experiment whose routing is a plugin's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for registry in (ROUTINGS, KINDS):
        monkeypatch.setattr(registry, "_facts", dict(registry._facts))
    (tmp_path / "experiments").mkdir()
    write(tmp_path, "mine")
    before = set(sys.modules)
    yield tmp_path
    for name in {name for name in sys.modules if name.startswith("my_")} - before:
        del sys.modules[name]


def write(folder: Path, routing: str, plugins: str = "[my_routing]") -> None:
    text = f"plugins: {plugins}\ntrain: {{max_steps: 1}}\nbottleneck: {{routing: {routing}}}\n"
    (folder / "experiments" / "x.yaml").write_text(text)


def write_plugin(folder: Path, name: str, registered: str) -> None:
    """A plug-in that registers a routing function, and needs no torch."""
    text = f"from vlrouting.config import *\nROUTINGS.register({registered!r}, RoutingFacts(), {name!r})\n"
    (folder / f"{name}.py").write_text(text)


def test_plugins_are_imported_for_an_unknown_name_only(folder: Path) -> None:
    write_plugin(folder, "my_routing", "mine")
    for routing in ("add", "cross_attention"):
        write(folder, routing)
        load("x")
    assert "my_routing" not in sys.modules
    write(folder, "mine")
    assert load("x").points[0].config.bottleneck.routing == "mine"
    write(folder, "mime")
    with pytest.raises(ExperimentErrors, match=r"x.yaml:3: bottleneck.routing: 'mime' .* Did you mean 'mine'\?"):
        load("x")


@pytest.mark.parametrize("routing", ["mine", "add"])
def test_a_plugin_that_is_not_there(folder: Path, routing: str) -> None:
    write(folder, routing, "[my_routing_that_is_nowhere]")
    with pytest.raises(ExperimentErrors, match=r"x\.yaml:1: plugins: there is no module 'my_routing_that_is_nowhere'"):
        load("x")


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
        write_plugin(folder, name, f"of_{name}")
    write(folder, "of_my_routing", "[my_other_routing, my_routing]")
    load("x")
    assert {"of_my_routing", "of_my_other_routing"} <= set(ROUTINGS)


KIND = """
from dataclasses import dataclass
from vlrouting.config import KINDS, BottleneckConfig
@dataclass
class MyConfig(BottleneckConfig):
    kind: str = "my_kind"
    strength: float = 1.0
KINDS.register("my_kind", MyConfig, "my_kind")
"""


def test_a_kind_of_a_plugin_has_its_own_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my_kind_plugin.py").write_text(KIND)
    text = "plugins: [my_kind_plugin]\ntrain: {max_steps: 1}\nbottleneck: {kind: my_kind, STRENGTH: 2}\n"
    (folder / "experiments" / "x.yaml").write_text(text.replace("STRENGTH", "strength"))
    bottleneck = load("x").points[0].config.bottleneck
    assert type(bottleneck).__name__ == "MyConfig" and bottleneck == BottleneckConfig("my_kind", strength=2.0)
    (folder / "experiments" / "x.yaml").write_text(text.replace("STRENGTH", "strenght"))
    with pytest.raises(ExperimentErrors, match=r"bottleneck\.strenght: unknown key\. .*'bottleneck\.strength'"):
        load("x")


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

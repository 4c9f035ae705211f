"""An experiment put together: the files it extends, the file itself, the command line; what comes later wins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vlrouting.config.limits import shortened
from vlrouting.config.names import NAME_RULE, did_you_mean, is_safe_name, nearest_names
from vlrouting.experiment import schema
from vlrouting.experiment.document import COMMAND_LINE, Document, Leaf, read_document, read_override
from vlrouting.experiment.errors import Diagnostic, UserError
from vlrouting.experiment.sweep_section import Grid, Sweep, Tune

EXPERIMENTS = Path("experiments")
"""Where experiments live, seen from the current directory."""
SHARED = "base"
"""Folder below it with the parts that experiments share; its files are no experiments of their own."""
CLUSTERS = "cluster"
"""Folder below it with the clusters that experiments can run on."""
STORED = "config.yaml"
"""Name of the file in a run directory that repeats the point."""


@dataclass
class Composition:
    """The merged leaves of an experiment, not checked for type yet."""

    name: str
    source: Path
    leaves: dict[str, Leaf] = field(default_factory=dict)
    sweep: Sweep = field(default_factory=Sweep)
    overridden: frozenset[str] = frozenset()
    """Plain keys that the command line sets: they hold for every point that runs."""
    incomplete: bool = False
    """A file could not be read, so that what is not set may be only out of sight."""
    diagnostics: list[Diagnostic] = field(default_factory=list)
    layers: int = 0
    """Documents merged so far."""

    def every_leaf(self) -> list[Leaf]:
        """All given values, those of the sweep included."""
        named = [*self.sweep.cases.values(), *self.sweep.points.values()]
        swept = [leaf for leaves in named for leaf in leaves.values()]
        axes = [*self.sweep.grid.values(), *(self.sweep.tune.grid.values() if self.sweep.tune else ())]
        return [*self.leaves.values(), *swept, *(leaf for axis in axes for leaf in axis)]


def known_experiments(experiments_dir: Path = EXPERIMENTS) -> list[str]:
    """Names of the experiments in a folder, sorted; files below `base/` and `cluster/` are none."""
    return [name for name in _parts(experiments_dir) if not name.startswith((f"{SHARED}/", f"{CLUSTERS}/"))]


def find(name: str, experiments_dir: Path = EXPERIMENTS) -> tuple[str, Path]:
    """The name and the file of an experiment, given as `demo_vqa` or as a path that ends in .yaml.

    The `config.yaml` of a run directory is named after the point it belongs to.

    Raises:
        UserError: there is no such experiment; the text lists the known ones.
    """
    known = known_experiments(experiments_dir)
    if name in known:
        return require_name(name), experiments_dir / f"{name}.yaml"
    path = Path(name)
    if path.suffix == ".yml" and os.path.isfile(path):
        raise UserError(f"{name}: an experiment's file ends in .yaml: rename it")
    if path.suffix == ".yaml" and os.path.isfile(path):  # Path.is_file raises where a name is too long
        folder, file = experiments_dir.resolve(), path.resolve()
        if file.is_relative_to(folder):
            return require_name(file.relative_to(folder).with_suffix("").as_posix()), path
        return require_name(file.parent.name if path.name == STORED else path.stem), path
    if name and os.path.isdir(path):
        remedy = f"give its file {path / STORED}" if (path / STORED).is_file() else "give a YAML file or a name"
        raise UserError(f"{name} is a folder, not an experiment: {remedy}. {_listing(known, experiments_dir)}")
    if not name:
        raise UserError(f"which experiment? {_listing(known, experiments_dir)}")
    raise UserError(f"no experiment {shortened(name)!r}.{did_you_mean(name, known)} {_listing(known, experiments_dir)}")


def run_name(name: str) -> str:
    """The name below `runs/` of an experiment whose file may be gone: `demo_vqa` of `demo_vqa` and of `demo_vqa.yaml`.

    Raises:
        UserError: it can be no experiment's name.
    """
    return require_name(Path(name).stem if name.endswith(".yaml") else name.rstrip("/"))


def require_name(name: str) -> str:
    """The name of an experiment, which names folders and jobs, as it is.

    Raises:
        UserError: it has characters that are not safe in a path or a batch script.
    """
    if not all(map(is_safe_name, name.split("/"))):
        raise UserError(f"{name!r} cannot name an experiment's folder and jobs: {NAME_RULE}")
    return name


def _listing(known: Sequence[str], experiments_dir: Path) -> str:
    if known:
        return f"Known ones in {experiments_dir}/: {', '.join(known)}."
    if experiments_dir.is_dir():
        return f"{experiments_dir}/ holds none."
    return f"There is no folder {experiments_dir}/ in {Path.cwd()}: change to the folder that has it."


def compose(name: str, overrides: Sequence[str] = (), experiments_dir: Path = EXPERIMENTS) -> Composition:
    """Reads and merges everything that an experiment is made of; errors are collected in `diagnostics`.

    An override of a plain key that is swept or tuned too pins that axis to the one value.

    Raises:
        UserError: there is no such experiment.
    """
    name, source = find(name, experiments_dir)
    composition = Composition(name, source)
    _collect(composition, source, experiments_dir, chain=(source.resolve(),))
    given = [read_override(text) for text in overrides]
    composition.diagnostics += _contradictory(overrides, given)
    composition.layers += 1  # one for all of them: their order says nothing
    for document in given:
        _merge(composition, document)
    composition.overridden = frozenset(key for document in given for key in document.leaves)
    _pin(composition)
    return composition


def _pin(composition: Composition) -> None:
    """What the command line sets is swept no more, and there is nothing to choose."""
    sweep, given = composition.sweep, composition.leaves
    for key in composition.overridden & sweep.grid.keys():
        sweep.grid[key] = (given[key],)
    if sweep.seeds and "seed" in composition.overridden:
        sweep.seeds = (given["seed"],)
    for key in composition.overridden & (sweep.tune.grid.keys() if sweep.tune else set()):
        assert sweep.tune is not None
        sweep.tune.grid[key] = (given[key],)


def _contradictory(overrides: Sequence[str], given: Sequence[Document]) -> Iterable[Diagnostic]:
    """Settings of the command line that set the same key: which one was meant is not known."""
    first: dict[str, str] = {}
    for text, document in zip(overrides, given, strict=True):
        named = {
            f"{part}.{name}.{key}": leaf
            for part in ("cases", "points")
            for name, leaves in getattr(document.sweep, part).items()
            for key, leaf in leaves.items()
        }
        tune = document.sweep.tune
        tuned = {*tune.grid, *(leaf.path for leaf in (tune.seed, tune.max_steps) if leaf)} if tune else set()
        own = {*document.leaves, *document.sweep.grid, *(leaf.key for leaf in document.sweep.seeds), *named, *tuned}
        for key in sorted(own & first.keys()):
            yield Diagnostic(COMMAND_LINE, key, f"given twice: '{first[key]}' and '{text}'", advice="; keep one")
        first |= dict.fromkeys(own - first.keys(), text)


def _collect(composition: Composition, path: Path, experiments_dir: Path, chain: tuple[Path, ...]) -> None:
    """Merges the files that `path` extends, each with its own, and then `path` itself."""
    document = read_document(path)
    for part in document.extends:
        base = experiments_dir / f"{part.value}.yaml"
        if not all(map(is_safe_name, str(part.value).split("/"))):
            message = f"expected the name of a file in {experiments_dir}/, such as base/vqa, got {part.value!r}"
            document.diagnostics.append(part.diagnostic(message))
            composition.incomplete = True
        elif base.resolve() in chain:
            composition.incomplete = True
            names = [file.stem for file in chain[chain.index(base.resolve()) :]]
            document.diagnostics.append(part.diagnostic(f"runs in a circle: {' → '.join([*names, names[0]])}"))
        elif not os.path.isfile(base):
            hint = _near_part(str(part.value), experiments_dir)
            document.diagnostics.append(part.diagnostic(f"there is no {base}.{hint}"))
            composition.incomplete = True
        else:
            _collect(composition, base, experiments_dir, (*chain, base.resolve()))
    composition.incomplete |= not document.readable
    composition.layers += 1
    _merge(composition, document)


def _merge(composition: Composition, document: Document) -> None:
    def layered(leaves: Mapping[str, Leaf]) -> dict[str, Leaf]:
        return {key: replace(leaf, layer=composition.layers) for key, leaf in leaves.items()}

    composition.leaves = laid_over(composition.leaves, layered(document.leaves))
    for part in document.sweep.dropped:
        composition.sweep.drop(part)
    composition.sweep.max_points = document.sweep.max_points or composition.sweep.max_points

    def grid(axes: Grid) -> Grid:
        return {key: tuple(replace(leaf, layer=composition.layers) for leaf in axis) for key, axis in axes.items()}

    composition.sweep.grid |= grid(document.sweep.grid)
    composition.sweep.seeds = grid({"": document.sweep.seeds})[""] or composition.sweep.seeds
    if (tune := document.sweep.tune) is not None:
        under = composition.sweep.tune or Tune(tune.place)
        composition.sweep.tune = Tune(
            tune.place, under.grid | grid(tune.grid), tune.seed or under.seed, tune.max_steps or under.max_steps
        )
    for mine, theirs in (
        (composition.sweep.cases, document.sweep.cases),
        (composition.sweep.points, document.sweep.points),
    ):
        for name, leaves in theirs.items():
            mine[name] = laid_over(mine.get(name, {}), layered(leaves))
    composition.diagnostics += document.diagnostics


def laid_over(leaves: Mapping[str, Leaf], later: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """The leaves with later ones in their place. A section that is null or {} takes away what was given below it."""
    emptied = [f"{key}." for key, leaf in later.items() if not leaf.value and schema.is_section(schema.hint_of(key))]
    kept = {key: leaf for key, leaf in leaves.items() if not key.startswith(tuple(emptied))} if emptied else leaves
    return {**kept, **later}


def _near_part(name: str, experiments_dir: Path) -> str:
    """A did-you-mean that looks at the file's name alone: every part in `base/` is a little like every other."""
    parts = {part.rpartition("/")[2]: part for part in _parts(experiments_dir)}
    near = nearest_names(name.removesuffix(".yaml").rpartition("/")[2], parts)
    return "".join(f" Did you mean '{parts[part]}'?" for part in near)


def _parts(experiments_dir: Path) -> list[str]:
    files: Iterable[Path] = experiments_dir.rglob("*.yaml")
    return sorted(file.relative_to(experiments_dir).with_suffix("").as_posix() for file in files)

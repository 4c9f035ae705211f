"""An experiment put together: the files it extends, the file itself, the command line; what comes later wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vlrouting.config.names import did_you_mean, nearest_names
from vlrouting.experiment.document import Document, Leaf, Sweep, read_document, read_override
from vlrouting.experiment.errors import Diagnostic, UserError

EXPERIMENTS = Path("experiments")
"""Where experiments live, seen from the current directory."""
SHARED = "base"
"""Folder below it with the parts that experiments share; its files are no experiments of their own."""
CLUSTERS = "cluster"
"""Folder below it with the clusters that experiments can run on."""


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
        return [*self.leaves.values(), *swept, *(leaf for axis in self.sweep.grid.values() for leaf in axis)]


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
        return name, experiments_dir / f"{name}.yaml"
    path = Path(name)
    if path.suffix == ".yml" and path.is_file():
        raise UserError(f"{name}: an experiment's file ends in .yaml: rename it")
    if path.suffix == ".yaml" and path.is_file():
        inside = path.resolve().is_relative_to(experiments_dir.resolve())
        if inside:
            return path.resolve().relative_to(experiments_dir.resolve()).with_suffix("").as_posix(), path
        return (path.resolve().parent.name if path.name == "config.yaml" else path.stem), path
    listing = f"Known ones in {experiments_dir}/: {', '.join(known)}." if known else f"{experiments_dir}/ holds none."
    raise UserError(f"no experiment '{name}'.{did_you_mean(name, known)} {listing}")


def compose(name: str, overrides: Sequence[str] = (), experiments_dir: Path = EXPERIMENTS) -> Composition:
    """Reads and merges everything that an experiment is made of; errors are collected in `diagnostics`.

    An override of a plain key that the grid sweeps too pins that axis to the one value.

    Raises:
        UserError: there is no such experiment.
    """
    name, source = find(name, experiments_dir)
    composition = Composition(name, source)
    _collect(composition, source, experiments_dir, chain=(source.resolve(),))
    given = [read_override(text) for text in overrides]
    for document in given:
        _merge(composition, document)
    composition.overridden = frozenset(key for document in given for key in document.leaves)
    for key in composition.overridden & composition.sweep.grid.keys():
        composition.sweep.grid[key] = (composition.leaves[key],)
    return composition


def _collect(composition: Composition, path: Path, experiments_dir: Path, chain: tuple[Path, ...]) -> None:
    """Merges the files that `path` extends, each with its own, and then `path` itself."""
    document = read_document(path)
    for part in document.extends:
        base = experiments_dir / f"{part.value}.yaml"
        if base.resolve() in chain:
            names = [file.stem for file in chain[chain.index(base.resolve()) :]]
            document.diagnostics.append(part.diagnostic(f"runs in a circle: {' → '.join([*names, names[0]])}"))
        elif not base.is_file():
            hint = _near_part(str(part.value), experiments_dir)
            document.diagnostics.append(part.diagnostic(f"there is no {base}.{hint}"))
            composition.incomplete = True
        else:
            _collect(composition, base, experiments_dir, (*chain, base.resolve()))
    composition.incomplete |= not document.readable
    _merge(composition, document)


def _merge(composition: Composition, document: Document) -> None:
    composition.layers += 1

    def layered(leaves: Mapping[str, Leaf]) -> dict[str, Leaf]:
        return {key: replace(leaf, layer=composition.layers) for key, leaf in leaves.items()}

    composition.leaves |= layered(document.leaves)
    for key, axis in document.sweep.grid.items():
        composition.sweep.grid[key] = tuple(replace(leaf, layer=composition.layers) for leaf in axis)
    for mine, theirs in (
        (composition.sweep.cases, document.sweep.cases),
        (composition.sweep.points, document.sweep.points),
    ):
        for name, leaves in theirs.items():
            mine[name] = mine.get(name, {}) | layered(leaves)
    composition.diagnostics += document.diagnostics


def _near_part(name: str, experiments_dir: Path) -> str:
    """A did-you-mean that looks at the file's name alone: every part in `base/` is a little like every other."""
    parts = {part.rpartition("/")[2]: part for part in _parts(experiments_dir)}
    near = nearest_names(name.removesuffix(".yaml").rpartition("/")[2], parts)
    return "".join(f" Did you mean '{parts[part]}'?" for part in near)


def _parts(experiments_dir: Path) -> list[str]:
    files: Iterable[Path] = experiments_dir.rglob("*.yaml")
    return sorted(file.relative_to(experiments_dir).with_suffix("").as_posix() for file in files)

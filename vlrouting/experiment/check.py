"""An experiment checked as a whole: all errors are reported at once, before anything heavy is imported."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from vlrouting.config import TRANSFORMS
from vlrouting.config.environment import as_written
from vlrouting.config.fit import spelled
from vlrouting.config.names import did_you_mean, listed
from vlrouting.experiment import schema
from vlrouting.experiment.compose import EXPERIMENTS, Composition, compose
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.errors import Diagnostic, ExperimentErrors, UserError
from vlrouting.experiment.plugins import STORED_CONFIG, import_plugins, is_there, refuse_stored_plugins
from vlrouting.experiment.sweep import Point, expand
from vlrouting.experiment.trials import TUNING
from vlrouting.experiment.typed import value_at
from vlrouting.experiment.validation import CheckFiles, validate
from vlrouting.experiment.variant_names import check_baseline

POINTS_LISTED = 50
"""Points of an experiment that a message shows."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """A checked experiment."""

    name: str
    """Names the folder of its runs."""
    points: tuple[Point, ...]
    source: Path
    left_out: tuple[str, ...] = ()
    """Cases and named points of the sweep that contradict the command line."""
    leaves: Mapping[str, Leaf] = field(default_factory=dict, compare=False, repr=False)
    """What the files and the command line give for every point, each value with its place."""
    overrides: tuple[str, ...] = ()
    experiments_dir: Path = EXPERIMENTS
    trials: tuple[Point, ...] = ()
    """The trials of `sweep.tune`."""
    is_tuning: bool = False
    """Whether the points are trials of another experiment."""

    @property
    def tuning(self) -> Experiment:
        """The trials as an experiment of their own, whose runs lie in `runs/<experiment>/tuning/`."""
        return replace(self, name=f"{self.name}/{TUNING}", points=self.trials, trials=(), is_tuning=True)

    def point(self, name: str) -> Point:
        """One point by name.

        Raises:
            UserError: there is no such point; the text lists the known ones.
        """
        known = [point.name for point in self.points]
        if name not in known:
            raise UserError(self._contradiction(name) or self._no_such_point(name, known))
        return self.points[known.index(name)]

    def _no_such_point(self, name: str, known: list[str]) -> str:
        listing = listed((repr(point) for point in known), most=POINTS_LISTED)
        return f"{self.name} has no point {name!r}.{did_you_mean(name, known)} Its points: {listing}."

    def _contradiction(self, name: str) -> str | None:
        """What to say of a point that there is only without the settings of the command line."""
        try:
            all_points = load(str(self.source), (), self.experiments_dir).points if self.overrides else ()
        except UserError:  # it is complete only with them
            return None
        for point in all_points:
            given = [text for text in self.overrides if text.partition("=")[0] in point.differing]
            if point.name == name and given:
                keys = [text.partition("=")[0] for text in given]
                own = ", ".join(f"{key}={spelled(as_written(point.differing[key]))}" for key in keys)
                return f"the point {name!r} has {own}, and the command line says {', '.join(given)}: leave one out"
        return None

    def swept(self, point: Point) -> dict[str, object]:
        """The keys that differ over the sweep or are tuned, with this point's values as they may be written down; a
        value that is still to be chosen is left out."""
        tuned = point.config.tuned
        open_keys = tuned.keys if tuned is not None and tuned.trial is None else ()
        keys = [key for key in self._swept_keys if key not in open_keys]
        return {key: as_written(value_at(point.config, key)) for key in keys}

    @cached_property
    def _swept_keys(self) -> list[str]:
        tuned = {key for other in self.points if other.config.tuned is not None for key in other.config.tuned.keys}
        return sorted({key for other in self.points for key in other.differing} | tuned)


def load(
    name: str,
    overrides: Sequence[str] = (),
    experiments_dir: Path = EXPERIMENTS,
    check_files: CheckFiles | None = None,
    trust_plugins: bool = False,
) -> Experiment:
    """Reads, composes, expands and checks an experiment.

    Args:
        name: an experiment's name, or a path that ends in .yaml.
        overrides: `key=value`, each holding for every point.
        experiments_dir: where names and `extends` are looked up.
        check_files: what is wrong with the files that a configuration needs, empty when all are there.
        trust_plugins: import the plug-ins that the config.yaml of a run directory names; those of an experiment's own
            file are imported in any case.

    Raises:
        ExperimentErrors: all errors, each with file, line and YAML path.
        UserError: there is no such experiment, or its plug-ins are not trusted.
    """
    composition = compose(name, overrides, experiments_dir)
    if composition.source.name == STORED_CONFIG and not trust_plugins:
        refuse_stored_plugins(_plugins_of(composition), composition.source)
    plugin_diagnostics = register_plugins(composition)
    expansion = expand(composition)
    diagnostics = [*composition.diagnostics, *plugin_diagnostics, *expansion.diagnostics]
    diagnostics += validate(composition, [*expansion.drafts, *expansion.trials], check_files)
    names = [draft.point.name for draft in expansion.drafts] + expansion.left_out
    diagnostics += check_baseline(composition, names)
    if diagnostics:
        raise ExperimentErrors(diagnostics)
    points = tuple(draft.point for draft in expansion.drafts)
    log.debug("%s: %d points, %d left out", composition.source, len(points), len(expansion.left_out))
    return Experiment(
        composition.name,
        points,
        composition.source,
        tuple(expansion.left_out),
        composition.leaves,
        tuple(overrides),
        experiments_dir,
        tuple(draft.point for draft in expansion.trials),
    )


def _plugins_of(composition: Composition) -> list[str]:
    named = [leaf.value for leaf in composition.every_leaf() if leaf.key == "plugins"]
    return [str(name) for value in named for name in (value if isinstance(value, list) else [value])]


def register_plugins(composition: Composition) -> list[Diagnostic]:
    """Import the experiment's plug-ins where it names something that is not registered without them.

    A plug-in imports torch, so it is left alone where everything named is built in.
    """
    leaves = composition.every_leaf()
    plugins = [leaf for leaf in leaves if leaf.key == "plugins" and isinstance(leaf.value, list)]
    unknown = any(_is_unknown(leaf) for leaf in leaves)
    diagnostics = []
    for leaf in plugins:
        assert isinstance(leaf.value, list)
        for name in map(str, leaf.value):
            if not is_there(name):
                diagnostics.append(leaf.diagnostic(f"there is no module '{name}', neither here nor installed"))
            elif unknown:
                try:
                    import_plugins([name])
                except UserError as error:
                    diagnostics.append(leaf.diagnostic(str(error)))
    return diagnostics


def _is_unknown(leaf: Leaf) -> bool:
    """Whether a leaf names something that is not registered."""
    registry = schema.registry_of(leaf.key)
    if registry is not None and isinstance(leaf.value, str):
        return leaf.value not in registry
    _, transforms, rest = leaf.key.partition(".transforms.")
    return bool(transforms) and rest.partition(".")[0] not in TRANSFORMS

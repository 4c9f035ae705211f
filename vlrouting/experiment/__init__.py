"""Experiments: YAML composition and checking, sweeps, run directories. Imports no torch."""

from vlrouting.experiment.atomic import atomically, write_json_atomic, write_text_atomic
from vlrouting.experiment.check import Experiment, load
from vlrouting.experiment.compose import find, known_experiments
from vlrouting.experiment.errors import Diagnostic, ExperimentErrors, UserError
from vlrouting.experiment.plugins import import_plugins, require_trust
from vlrouting.experiment.provenance import environment
from vlrouting.experiment.resolve import to_yaml
from vlrouting.experiment.rundir import RunDirectory
from vlrouting.experiment.stored import config_from_dict
from vlrouting.experiment.sweep import Point

__all__ = [
    "Diagnostic",
    "Experiment",
    "ExperimentErrors",
    "Point",
    "RunDirectory",
    "UserError",
    "atomically",
    "config_from_dict",
    "environment",
    "find",
    "import_plugins",
    "known_experiments",
    "load",
    "require_trust",
    "to_yaml",
    "write_json_atomic",
    "write_text_atomic",
]

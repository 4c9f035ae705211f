"""Joint models: frozen backbones with bottlenecks, a projector and a head. One file per architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlrouting.config import ARCHITECTURES, ArchitectureFacts

if TYPE_CHECKING:
    from vlrouting.models.joint_model import JointModel


def register_architecture(name: str, facts: ArchitectureFacts, model: type[JointModel]) -> None:
    """Make `model.architecture: name` available. A module that calls this is named under an experiment's `plugins`.

    Raises:
        ValueError: the name is taken by another class.
    """
    ARCHITECTURES.register(name, facts, model)

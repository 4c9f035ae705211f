"""A process that trains starts sooner without the parts of torchmetrics that nobody asks for, and without
garbage collection.

Lightning needs two classes of torchmetrics. `import torchmetrics` imports all its metrics, for them torchvision,
transformers and scipy.signal, a sixth of what a process needs to start (benchmarks/startup.py). Here the package is
registered without being loaded; whatever else somebody asks it for loads the whole of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from vlrouting.garbage import no_garbage_collection

_PACKAGE = "torchmetrics"
_CLASSES = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}


class _InPart(ModuleType):
    """A package of which modules can be imported though its own code has not run."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__path__ = list(spec.submodule_search_locations or ())
        self.__package__ = spec.name
        self._logger = logging.getLogger(spec.name)
        self._whole = False

    def __getattr__(self, name: str) -> Any:
        """A class, or an attribute of the whole package, which is loaded for it."""
        if name == "__version__":
            return importlib.import_module(f"{_PACKAGE}.__about__").__version__
        if self._whole or name.startswith("__"):
            raise AttributeError(f"module '{_PACKAGE}' has no attribute '{name}'")
        if name in _CLASSES:
            importlib.import_module(f"{_PACKAGE}.utilities")  # first: it and `metric` import one another
            return getattr(importlib.import_module(_CLASSES[name]), name)
        self._whole = True
        assert self.__spec__ is not None and self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import Lightning, and all else that training needs, inside the block."""
    _register_in_part()
    with no_garbage_collection():
        yield


def _register_in_part() -> None:
    """Does nothing where the classes cannot be had in this way."""
    if _PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        return
    sys.modules[_PACKAGE] = package = _InPart(spec)
    try:
        for name in _CLASSES:
            getattr(package, name)
    except (ImportError, AttributeError):  # a version that is built in another way
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]

"""Layer 6: shows our threads to threadpoolctl, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import abc, machinery
from types import ModuleType
from typing import Any

_NAME = "threadpoolctl"


def register_with_it() -> None:
    """Register a controller with threadpoolctl, now or as soon as somebody imports it."""
    module = sys.modules.get(_NAME)
    if module is not None:
        _register(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(abc.MetaPathFinder):
    """Finds threadpoolctl as the other finders do, to register with it once it is there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> machinery.ModuleSpec | None:
        if fullname != _NAME:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = (
                finder.find_spec(fullname, path, target) if hasattr(finder, "find_spec") else None
            )
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(self, spec.loader)
                return spec
        return None


class _Loader(abc.Loader):
    """Loads threadpoolctl with its own loader and registers with it."""

    def __init__(self, finder: _Finder, loader: Any) -> None:
        self._finder, self._loader = finder, loader

    def create_module(self, spec: machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _register(module)


def _register(module: ModuleType) -> None:
    """Register the controller of the native module, if this threadpoolctl can: from 3.2 on."""
    if not hasattr(module, "register") or not hasattr(module, "LibController"):
        return

    class Controller(module.LibController):  # type: ignore[name-defined, misc]
        user_api = "dropfast"
        internal_api = "dropfast"
        filename_prefixes = ("_core",)
        check_symbols = ("dropfast_get_num_threads", "dropfast_set_num_threads")

        def get_num_threads(self) -> int:
            return int(self.dynlib.dropfast_get_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.dropfast_set_num_threads(num_threads)

        def get_version(self) -> str:
            from dropfast import __version__

            return __version__

    module.register(Controller)

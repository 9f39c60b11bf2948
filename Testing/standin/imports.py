"""What Python has imported, so that a module can be unloaded without a trace."""

from __future__ import annotations

import sys
from types import ModuleType


class Imports:
    """The state of ``sys.modules`` and ``sys.path`` when it is made."""

    def __init__(self) -> None:
        self._modules, self._path = dict(sys.modules), list(sys.path)

    def restore(self, folder: str) -> None:
        """Forget what was imported from a folder since.

        What had been imported before comes back as it was, for tests hold its classes: a module's onReload drops its
        Lib. A Lib that the tests can import themselves stays, unless that has happened.
        """
        reloaded = {name.partition(".")[0] for name, old in self._of(folder) if sys.modules.get(name) is not old}
        is_ours = folder in self._path
        for name in set(sys.modules) - set(self._modules):
            if self._is_from(sys.modules[name], folder) and (not is_ours or name.partition(".")[0] in reloaded):
                del sys.modules[name]
        sys.modules.update({name: old for name, old in self._of(folder) if name.partition(".")[0] in reloaded})
        if not is_ours:
            sys.path[:] = [each for each in sys.path if each != folder]

    def _of(self, folder: str) -> list[tuple[str, ModuleType]]:
        return [(name, module) for name, module in self._modules.items() if self._is_from(module, folder)]

    @staticmethod
    def _is_from(module: ModuleType, folder: str) -> bool:
        return str(getattr(module, "__file__", None) or "").startswith(folder)

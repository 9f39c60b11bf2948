"""Modules of other people that ours use: Slicer's SampleData, and PyTorchUtils of the PyTorch extension."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class PyTorch:
    """The PyTorch extension as a test wants it. installed: None asks whether torch can be imported."""

    installed: bool | None = None
    #: What installTorch does: None cannot be called; True and False are its success.
    installs: bool | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def reset(self) -> None:
        """As at the beginning."""
        self.installed, self.installs, self.calls = None, None, []


#: Sources that modules registered with SampleData, as the keyword arguments of the call.
sample_data: list[dict[str, Any]] = []

#: What downloading a sample gives, by its name: a function that returns the nodes.
downloads: dict[str, Callable[[], list[Any]]] = {}


def add_pytorch(state: PyTorch) -> None:
    """Let ``import PyTorchUtils`` find the extension."""

    class PyTorchUtilsLogic:
        @staticmethod
        def torchInstalled() -> bool:
            if state.installed is None:
                return importlib.util.find_spec("torch") is not None
            return state.installed

        def installTorch(
            self,
            askConfirmation: bool = False,
            forceComputationBackend: str | None = None,
            torchVersionRequirement: str | None = None,
            torchvisionVersionRequirement: str | None = None,
        ) -> Any:
            state.calls.append(
                {
                    "askConfirmation": askConfirmation,
                    "forceComputationBackend": forceComputationBackend,
                    "torchVersionRequirement": torchVersionRequirement,
                }
            )
            if state.installs is None:
                raise AssertionError("the test did not expect torch to be installed")
            state.installed = state.installs
            return types.ModuleType("torch") if state.installs else None

        @property
        def torch(self) -> Any:
            raise AssertionError("PyTorchUtilsLogic.torch installs torch without asking")

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic  # type: ignore[attr-defined]
    sys.modules["PyTorchUtils"] = module


def remove_pytorch() -> None:
    """As if the PyTorch extension were not there."""
    sys.modules.pop("PyTorchUtils", None)


def add_sample_data() -> None:
    """Let ``import SampleData`` find Slicer's module."""

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            category: str = "Custom",
            sampleName: str | None = None,
            uris: Any = None,
            fileNames: Any = None,
            nodeNames: Any = None,
            customDownloader: Any = None,
            thumbnailFileName: str | None = None,
            loadFileType: Any = "VolumeFile",
            loadFiles: Any = None,
            loadFileProperties: dict[str, Any] | None = None,
            checksums: Any = None,
        ) -> None:
            if uris is not None and checksums is None:
                raise AssertionError(f"the sample {sampleName} has no checksum")
            sample_data.append({key: value for key, value in locals().items() if value is not None})

        @staticmethod
        def downloadSamples(sampleName: str) -> list[Any]:
            # A customDownloader serves the button in Sample Data's panel; by name, the files are loaded as they are.
            names = [each["sampleName"] for each in sample_data]
            assert sampleName in names, f"no sample {sampleName} has been registered"
            assert sampleName in downloads, f"the test has no sample {sampleName}; nothing is fetched"
            return downloads[sampleName]()

        def downloadSample(self, sampleName: str) -> Any:
            return (self.downloadSamples(sampleName) or [None])[0]

    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic  # type: ignore[attr-defined]
    sys.modules["SampleData"] = module

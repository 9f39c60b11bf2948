"""DeepDRR (Unberath et al., MICCAI 2018), the paper's engine, in a process and a Python of its own.

DeepDRR is GPL-3 and needs Linux, an NVIDIA GPU and old versions of common packages: it is never imported here.
``deepdrr_worker.py`` runs there and is written against the interface of DeepDRR 1.2.2.

What the engine takes over from DeepDRR are its rays. The split of a voxel into materials is ours (``materials.py``,
at DeepDRR's thresholds), and so are spectrum, detector and noise, so that engines differ in nothing else. Scatter,
which the paper may have had, was removed from DeepDRR 1.2 and cannot be had with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import Affine, View, transform_points

from .calibration import Calibrated, Calibration
from .deepdrr_process import DeepDRRProcess
from .errors import EngineError
from .materials import MATERIALS, material_densities
from .raymarcher import crop_to_content

#: DeepDRR's names of MATERIALS. Which material it is does not matter to an area density, only that it is known.
DEEPDRR_MATERIALS = {"soft": "soft tissue", "bone": "bone"}

#: Energy of the photons that measure area densities: two metres of water leave enough of them for single precision.
ENERGY_KEV = 60.0

#: Length of a step along a ray, mm.
STEP_MM = 0.5

#: Empty voxels around the volume. The kernel looks one voxel off and stops half a voxel after the last centre: without
#: them it would miss the last voxels of every axis.
PADDING = 2

#: Its Projector frees its arrays but not its OpenGL context: after so many a new process is started.
PROJECTORS_PER_PROCESS = 200


class DeepDRREngine:
    """See XrayEngine. Starts DeepDRR and measures on a bead where it draws things; ``close`` ends it.

    calibration: as measured, before the correction. Raises EngineError when DeepDRR does not start, fails, or draws
    things where no correction helps.
    """

    def __init__(self, python: str | Path | None = None) -> None:
        if python is None:
            raise EngineError(
                "engine deepdrr",
                "it runs in a Python of its own, and none is given",
                "Name the program python of an environment with DeepDRR: --deepdrr-python",
            )
        self._process = DeepDRRProcess(python)
        try:
            self._calibrated = Calibrated(_Uncorrected(self._process))
        except BaseException:
            self._process.close()
            raise

    @property
    def calibration(self) -> Calibration:
        """What beads told before the correction."""
        return self._calibrated.measured

    def project(self, volume_hu: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
        """See XrayEngine. Not differentiable."""
        return self._calibrated.project(volume_hu, ras_from_ijk, views)

    def close(self) -> None:
        """End DeepDRR's process."""
        self._process.close()

    def __enter__(self) -> DeepDRREngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Uncorrected:
    """DeepDRR as it is."""

    def __init__(self, process: DeepDRRProcess) -> None:
        self._process, self._projectors = process, 0

    def project(self, volume_hu: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
        """See XrayEngine. One Projector per material, for all views."""
        densities = material_densities(volume_hu.detach().cpu().float())
        images = [self._material(name, densities[n], ras_from_ijk, views) for n, name in enumerate(MATERIALS)]
        return torch.stack(images, 1).to(volume_hu.device)

    def _material(self, name: str, density: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
        """Area density (V, h, w) of one material (D, H, W)."""
        content, affine = crop_to_content(density[None], ras_from_ijk)
        if not content.numel():
            return density.new_zeros(len(views), views[0].height, views[0].width)
        padded = F.pad(content[0], (PADDING,) * 6)
        affine[:3, 3] = transform_points(affine, (-PADDING,) * 3)
        if self._projectors == PROJECTORS_PER_PROCESS:
            self._process.close()
            self._projectors = 0
        self._projectors += 1
        with tempfile.TemporaryDirectory(prefix="ear-deepdrr-") as folder:
            given, out = Path(folder) / "density.npy", Path(folder) / "area.npy"
            np.save(given, padded.numpy().transpose(2, 1, 0))
            self._process.ask(
                {
                    "density": str(given),
                    "out": str(out),
                    "material": DEEPDRR_MATERIALS[name],
                    "ras_from_ijk": affine.tolist(),
                    "views": [_camera(view) for view in views],
                    "energy_kev": ENERGY_KEV,
                    "step_mm": STEP_MM,
                }
            )
            area = np.load(out, allow_pickle=False)
        if area.shape != (len(views), views[0].height, views[0].width) or not np.isfinite(area).all():
            raise EngineError(
                "engine deepdrr", "it returned an image that is not whole", "Use the engine torch for this volume"
            )
        return torch.from_numpy(area)


def _camera(view: View) -> dict[str, object]:
    return {
        "K": view.K.tolist(),
        "camera_from_ras": view.camera_from_ras.tolist(),
        "height": view.height,
        "width": view.width,
        "sdd_mm": view.sdd_mm,
    }

"""The DeepDRR side of the engine ``deepdrr``: runs in the Python that has DeepDRR, and imports nothing of ours.

    PYTHON deepdrr_worker.py            answers requests until its input ends
    PYTHON deepdrr_worker.py --facts    tells what is installed, without importing DeepDRR

A request is one line of JSON on stdin, the answer one on stdout; arrays lie in .npy files that the request names.
Whatever libraries print goes to stderr.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata

PACKAGES = ("deepdrr", "numpy", "cupy-cuda12x", "cuda-python", "numba", "killeengeo")


def facts():
    """What the self-check looks at: name -> text, "" where nothing was found."""
    return {
        "system": platform.system(),
        "driver": _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "nvcc": _output(_nvcc(), "--version"),
        "egl": _egl(),
        "python": platform.python_version(),
        **versions(),
    }


def versions():
    """Package -> version, "" for one that is not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def _nvcc():
    """Where CuPy looks for the compiler: the toolkit that the environment names, the path, the usual folder."""
    for folder in (os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME")):
        if folder and os.path.isfile(os.path.join(folder, "bin", "nvcc")):
            return os.path.join(folder, "bin", "nvcc")
    return shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"


def _output(*command):
    """What a program prints, "" when it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _egl():
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return ""
    return "libEGL.so.1"


def project(request):
    """Line integrals of a density volume (i, j, k) in g/cm3, as (V, h, w) in g/cm3 * mm.

    DeepDRR gives intensities only. With one material everywhere and photons of one energy E, they are
    I = E exp(-mu/rho * area density), which can be turned around.
    """
    import deepdrr
    import numpy as np

    density = np.load(request["density"], allow_pickle=False)
    # Every voxel is labelled: where no label is, DeepDRR sees no matter.
    materials = ({request["material"]: 0}, np.zeros(density.shape, np.uint16))
    volume = deepdrr.Volume(
        density, materials, anatomical_from_IJK=deepdrr.geo.FrameTransform(np.array(request["ras_from_ijk"]))
    )
    # Its own C-arm classes turn AP upside down; this one takes K and [R|t] as they are.
    cameras = [
        deepdrr.geo.CameraProjection(
            deepdrr.geo.CameraIntrinsicTransform(
                np.array(view["K"]), sensor_height=view["height"], sensor_width=view["width"]
            ),
            deepdrr.geo.FrameTransform(np.array(view["camera_from_ras"])),
        )
        for view in request["views"]
    ]
    energy_kev = request["energy_kev"]
    projector = deepdrr.Projector(
        volume,
        camera_intrinsics=cameras[0].intrinsic,
        step=request["step_mm"],
        spectrum=np.array([[energy_kev * 1000.0, 1.0]]),
        add_noise=False,
        neglog=False,  # its own logarithm is rescaled to the range of each image
        source_to_detector_distance=max(view["sdd_mm"] for view in request["views"]),
    )
    with projector:
        intensity = np.asarray(projector.project(*cameras), np.float64)
    attenuation = deepdrr.Material.from_string(request["material"]).get_coefficients(energy_kev).mu_over_rho
    area = -np.log(intensity / energy_kev) / attenuation * 10  # g/cm2 -> g/cm3 * mm
    height, width = request["views"][0]["height"], request["views"][0]["width"]
    np.save(request["out"], area.reshape(len(cameras), height, width).astype(np.float32))


def main():
    """Answer requests, one after the other."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print, in C too; what they print is no answer
    sys.stdout = sys.stderr

    def answer(**fields):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    if "--facts" in sys.argv:
        answer(**facts())
        return
    try:
        import deepdrr  # noqa: F401
    except Exception as error:  # its own imports raise all kinds when a driver or library is missing
        answer(error=f"DeepDRR cannot be imported ({type(error).__name__}: {error})")
        return
    answer(versions=versions())
    for line in sys.stdin:
        try:
            project(json.loads(line))
        except Exception as error:
            answer(error=f"{type(error).__name__}: {error}")
        else:
            answer()


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder: its modules must not stand in for others of the same name
    main()

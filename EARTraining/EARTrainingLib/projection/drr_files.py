"""X-ray images on disk: each as NRRD with its geometry and as PNG to look at, and all matrices in ``views.json``."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import View, as_displayed
from EARReconstructionLib.radiograph import Radiograph, write_radiograph
from EARReconstructionLib.volume_io import write_volume

from .materials import MATERIALS

VIEWS, FORMAT, VERSION = "views.json", "EAR X-rays", 1

#: Black and white of a PNG, as quantiles of the pixels that show something: a screw must not darken the bones.
WINDOW = (0.05, 0.998)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise EARError when images may not be written to a folder; call it before the work, not after.

    What may be replaced is a folder with a views.json of ours and no file that it does not list.
    """
    if folder.exists() and not folder.is_dir():
        raise EARError(folder, "it is a file, not a folder", "Choose another folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        read = json.loads((folder / VIEWS).read_text(encoding="utf-8"))
        listed = {VIEWS, *read["files"]} if read["format"] == FORMAT else set()
    except (OSError, ValueError, TypeError, KeyError):
        listed = set()
    if not listed:
        raise EARError(folder, "it holds something else than X-rays", "Choose a new or an empty folder")
    if not overwrite:
        raise EARError(folder, "it holds earlier X-rays", "Choose another folder, or add --overwrite to replace them")
    others = {path.name for path in folder.iterdir()} - listed
    if others:
        raise EARError(folder, f"besides earlier X-rays it holds {min(others)}", "Move that, or choose another folder")


def write_images(
    folder: Path,
    images: Sequence[torch.Tensor],
    views: Sequence[View],
    quantity: str,
    facts: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the images of ``images_of`` into a folder that appears when all of it is there; return its views.json.

    Attenuation and intensity become radiographs as ``ear reconstruct`` reads them; area densities a stack of one image
    per material. The PNGs are for the eye: bone bright, each in its own grey scale, the patient's right on the left (AP
    and PA) or Anterior on the right (lateral). facts: what else views.json is to say. Raises EARError.
    """
    folder = folder.resolve()
    check_folder(folder, overwrite)
    beside = folder.with_name(f".{uuid.uuid4().hex}")
    told: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        **facts,
        "quantity": quantity,
        "views": [],
        "files": [],
    }
    if quantity == "area-density":
        told |= {"unit": "g/cm3 * mm", "materials": list(MATERIALS)}
    try:
        beside.mkdir(parents=True)
        for n, (image, view) in enumerate(zip(images, views, strict=True), 1):
            name = f"{n}-a{view.alpha_deg:g}-b{view.beta_deg:g}"
            role = _role(view)
            _write_image(beside / f"{name}.nrrd", image, view, role, quantity)
            picture = _picture(image, quantity)
            displayed = as_displayed(picture, view, role)
            _write_picture(beside / f"{name}.png", displayed)
            matrices = {"K": view.K.tolist(), "camera_from_ras": view.camera_from_ras[:3].tolist()}
            told["views"].append(
                {
                    "image": f"{name}.nrrd",
                    "picture": f"{name}.png",
                    "picture_is_mirrored": displayed is not picture,
                    "role": role,
                    **view.to_dict(),
                    **matrices,
                }
            )
            told["files"] += [f"{name}.nrrd", f"{name}.png"]
        (beside / VIEWS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        _put_in_place(beside, folder)
    except OSError as error:
        raise EARError(
            folder, f"it could not be written ({error.strerror or error})", "Choose a folder with room and write access"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return told


def _role(view: View) -> str:
    """What a radiologist would take the view for."""
    right, anterior, _ = np.abs(view.direction)
    return "frontal" if anterior >= right else "lateral"


def _picture(image: torch.Tensor, quantity: str) -> torch.Tensor:
    """(h, w) uint8: black where the beam is open, and brighter the more is in it."""
    if quantity == "area-density":
        image = image.sum(0)
    elif quantity == "intensity":
        image = -torch.log(image)
    shown = image.cpu().numpy()
    low, high = np.quantile(shown[shown > 0.01 * shown.max()], WINDOW)
    return torch.from_numpy((np.clip((shown - low) / max(high - low, 1e-6), 0, 1) * 255).round().astype(np.uint8))


def _write_image(path: Path, image: torch.Tensor, view: View, role: str, quantity: str) -> None:
    pixels = image.cpu().numpy().astype(np.float32)
    if quantity == "area-density":
        spacing = np.diag([view.pixel_mm, view.pixel_mm, 1.0, 1.0])
        write_volume(path, pixels, spacing, metadata={"view": json.dumps(view.to_dict()), "quantity": quantity})
        return
    angles = view.alpha_deg, view.beta_deg
    write_radiograph(Radiograph(pixels, quantity, view.pixel_mm, role, angles, view), path)  # type: ignore[arg-type]


def _write_picture(path: Path, picture: torch.Tensor) -> None:
    try:
        sitk.WriteImage(sitk.GetImageFromArray(picture.contiguous().numpy()), str(path))
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1]) from error


def _put_in_place(new: Path, folder: Path) -> None:
    """Rename a complete folder to its place; what was there goes when the new one stands, and comes back if not."""
    if not folder.exists():
        os.replace(new, folder)
        return
    old = folder.with_name(f".{uuid.uuid4().hex}")
    os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)

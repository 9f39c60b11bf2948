"""One scan of a data set: its vertebrae's volumes, masks, X-rays and scenes, and last the marker that it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.volume_io import (
    Volume,
    largest_piece,
    write_labels,
    write_volume,
    written_whole,
)
from numpy.typing import NDArray
from scipy import ndimage

from ..projection.acquisition import Exposure
from ..projection.drr import corners_ras_mm
from ..projection.engine import XrayEngine
from ..surroundings.shown import BODY_EXPOSURE
from .density import BRIGHT, LIKE_CT, made_up_density
from .field import Field, cube, paper
from .grids import WORKING_MM, Box, evened, grown, part, part_around, thinned
from .manifest import EXCLUDED, KEPT, Row
from .neighbours import stands_alone, with_neighbours
from .prepared import save_xrays
from .readers.scan import LoadedScan, Scan, load_scan
from .scenes import AIR_HU, CLIP_MM, Scene, Shape, box_ras_mm, grid_affine, save_scene, scene, scene_shape
from .settings import PreparationSettings
from .vertebrae import Vertebra, examine
from .xrays import take_in_made_up_body, take_xrays

#: Masks need no finer voxels than this.
MASK_MM = 0.5

#: In situ, a scene holds the tissue to this distance from the vertebra's centre, mm: half a wide back.
BODY_MM = 180.0

COPIES_FLAG = "neighbours are copies"
BODY_FLAG = "the body around it is made up"


class OutputError(EARError):
    """The folder of a prepared data set cannot be written to."""


@dataclass(frozen=True)
class Bones:
    """A scan with a density for every voxel. density: "ct", "made-up" or "phantom". flags: for all its vertebrae.

    whole: on its own grid. working: without voxels finer than X-rays and distances need. boxes, working_boxes: of the
    labels 1, 2 ... in both.
    """

    density: str
    flags: str
    whole: LoadedScan
    working: LoadedScan
    boxes: list[Box]
    working_boxes: list[Box]


def prepare_scan(scan: Scan, settings: PreparationSettings, engine: XrayEngine, out: Path) -> None:
    """Write everything that a data set keeps of a scan; ``scans/<key>.json`` comes last and says that it is complete.

    Everything random depends on settings.seed, the scan's key and the level, on nothing else.
    Raises EARError for a scan that cannot be used, OutputError for a folder that cannot be written to.
    """
    loaded = load_scan(scan)
    vertebrae = examine(scan, loaded)
    rows, sums = [], {}
    bones = None if all(v.reason for v in vertebrae) else _bones(scan, loaded, settings)
    for vertebra in vertebrae:
        row = _row(scan, vertebra)
        if bones is not None and not vertebra.reason:
            row, hu = _prepare_vertebra(replace(row, density=bones.density), vertebra, bones, settings, engine, out)
            if hu is not None:
                sums[row.id] = [hu.size, int(hu.sum(dtype=np.int64)), int(np.square(hu, dtype=np.int64).sum())]
        rows.append(row)
    marker = {
        "source": scan.source,
        "patient": scan.patient,
        "series": scan.series,
        "rows": [row.to_dict() for row in rows],
        "sums": sums,
    }
    path = out / "scans" / f"{scan.key}.json"
    with _writing(path), written_whole(path) as beside:
        beside.write_text(json.dumps(marker, indent=1), encoding="utf-8")


def _row(scan: Scan, vertebra: Vertebra) -> Row:
    return Row(
        id="" if vertebra.reason else f"{scan.key}-{vertebra.level}",
        status=EXCLUDED if vertebra.reason else KEPT,
        reason=vertebra.reason,
        source=scan.source,
        patient=scan.patient,
        series=scan.series,
        level=vertebra.level,
        label=vertebra.label,
        flags=vertebra.flags,
        licence=scan.licence,
        ct=str(scan.ct or ""),
        mask=str(dict(scan.meshes).get(vertebra.level) or scan.mask or ""),
    )


def _without(row: Row, reason: str) -> Row:
    return replace(row, id="", status=EXCLUDED, reason=reason)


def random_seed(seed: int, *names: str) -> list[int]:
    """A seed for numpy that depends on a number and on names, whatever else is drawn in the same run."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return [seed, *np.frombuffer(digest[:16], np.uint32).tolist()]


def _bones(scan: Scan, loaded: LoadedScan, settings: PreparationSettings) -> Bones:
    """Density for every scan, and neighbours for a lone vertebra unless its X-ray is to show what the CT holds."""
    density = "phantom" if scan.phantom_seed is not None else "made-up" if loaded.hu is None else "ct"
    if loaded.hu is None:
        loaded = LoadedScan(None, evened(loaded.labels))
    flags = ""
    if (density != "ct" or settings.protocol != "in-situ") and stands_alone(loaded.labels):
        loaded = with_neighbours(loaded)
        flags = COPIES_FLAG if settings.protocol != "isolated" else ""
    hu = loaded.hu
    if hu is None:
        bone = LIKE_CT if settings.protocol == "in-situ" else BRIGHT
        made_up = made_up_density(loaded.labels, random_seed(settings.seed, scan.key, "density"), bone)
        hu = Volume(made_up, loaded.labels.ras_from_ijk)
    finest = min(WORKING_MM, settings.spacing_mm) if settings.field == "cube" else WORKING_MM
    working = LoadedScan(thinned(hu, finest, smooth=True), thinned(loaded.labels, finest, smooth=False))
    boxes, working_boxes = (ndimage.find_objects(labels.array) for labels in (loaded.labels, working.labels))
    return Bones(density, flags, LoadedScan(hu, loaded.labels), working, boxes, working_boxes)


def _prepare_vertebra(
    row: Row, vertebra: Vertebra, bones: Bones, settings: PreparationSettings, engine: XrayEngine, out: Path
) -> tuple[Row, NDArray[np.int16] | None]:
    """Write a vertebra's files. Returns its finished row and its volume; None where it is left out after all."""
    low, high = _extent(part(bones.working.labels, bones.working_boxes[vertebra.label - 1]), vertebra.label)
    field = cube(low, high, settings.size, settings.spacing_mm)
    if settings.field == "paper":
        field = paper(low, high, settings.size, settings.margin_mm)
    if field is None:
        size, side = " x ".join(f"{n:.0f}" for n in high - low), settings.size * settings.spacing_mm
        return _without(row, f"larger than the cube: {size} mm do not fit into {side:g} mm"), None
    mask = _mask(bones.whole.labels, bones.boxes[vertebra.label - 1], vertebra.label, field)
    assert bones.whole.hu is not None
    hu = np.where(mask, field.densities(bones.whole.hu), AIR_HU)
    hu = np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
    rng = np.random.default_rng(random_seed(settings.seed, row.id))
    exposure = settings.ranges.draw(rng, field.centre_ras_mm)
    engine_name, body_flag, item = settings.engine, "", None
    made_up_body = settings.protocol == "in-situ" and bones.density != "ct"
    if made_up_body or settings.keeps_scenes:
        item = _scene(row, bones, field, settings, (high - low) / 2)
    if made_up_body:
        assert item is not None
        photons = exposure.photons and exposure.photons * BODY_EXPOSURE
        exposure, engine_name, body_flag = replace(exposure, photons=photons), "torch", BODY_FLAG
        xrays = take_in_made_up_body(item, field, exposure, random_seed(settings.seed, row.id, "body"))
    else:
        xrays = take_xrays(bones.working, vertebra.label, field, exposure, settings.protocol, engine)
    _write_volume(out / "volumes" / f"{row.id}.nrrd", hu, field)
    _write_mask(out / "masks" / f"{row.id}.seg.nrrd", mask, vertebra, field)
    path = out / "xrays" / f"{row.id}.npz"
    with _writing(path):
        save_xrays(path, xrays)
    if settings.keeps_scenes:
        assert item is not None
        path = out / "scenes" / f"{row.id}.npz"
        with _writing(path):
            save_scene(path, item if bones.density == "ct" else replace(item, hu=None))
    flags = "; ".join(flag for flag in (row.flags, bones.flags, body_flag) if flag)
    return replace(row, flags=flags, engine=engine_name, **_columns(field, high - low, exposure)), hu


def _extent(labels: Volume, label: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounding box (low, high), RAS mm, of the largest piece of a label that is there: a stray voxel moves nothing."""
    found = box_ras_mm(largest_piece(labels.array == label), labels.ras_from_ijk)
    assert found is not None
    return found


def _mask(labels: Volume, box: Box, label: int, field: Field) -> NDArray[np.bool_]:
    """The voxels of a field that lie in a label."""
    spacing = np.linalg.norm(labels.ras_from_ijk[:3, :3], axis=0)[::-1]
    step = np.diag(field.ras_from_ijk)[:3].max()
    near = part(labels, grown(box, 3 * step / spacing + 1, labels.array.shape))
    near = thinned(near, MASK_MM, smooth=False)
    return field.inside(near.array == label, near.ras_from_ijk)


def _columns(field: Field, size_mm: NDArray[np.float64], exposure: Exposure) -> dict[str, Any]:
    """The manifest's numbers of a vertebra and its exposure."""
    one, two = exposure.views
    values: dict[str, Any] = {
        "alpha1_deg": one.alpha_deg,
        "beta1_deg": one.beta_deg,
        "alpha2_deg": two.alpha_deg,
        "beta2_deg": two.beta_deg,
        "sod_mm": one.sod_mm,
        "sdd_mm": one.sdd_mm,
    }
    off = np.subtract(one.isocentre_ras_mm, field.centre_ras_mm)
    for n, axis in enumerate("ras"):
        values |= {
            f"centre_{axis}_mm": field.centre_ras_mm[n],
            f"size_{axis}_mm": float(size_mm[n]),
            f"off_{axis}_mm": float(off[n]),
        }
    rounded = {name: round(value, 3) + 0.0 for name, value in values.items()}
    photons = None if exposure.photons is None else float(round(exposure.photons))
    return {**rounded, "spectrum": exposure.spectrum, "photons": photons}


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is written concerns the folder, not the scan."""
    try:
        yield
    except (EARError, OSError) as error:
        cause = error.cause if isinstance(error, EARError) else f"it could not be written ({error.strerror or error})"
        advice = "Make room or choose another folder; the same command then goes on where it stopped"
        raise OutputError(path, cause, advice) from error


def _write_volume(path: Path, hu: NDArray[np.int16], field: Field) -> None:
    with _writing(path):
        write_volume(path, hu, field.ras_from_ijk)


def _write_mask(path: Path, mask: NDArray[np.bool_], vertebra: Vertebra, field: Field) -> None:
    labels = mask.astype(np.uint8) * np.uint8(vertebra.label)
    with _writing(path):
        write_labels(path, labels, field.ras_from_ijk, {vertebra.label: vertebra.level})


def _scene(row: Row, bones: Bones, field: Field, settings: PreparationSettings, half_mm: NDArray[np.float64]) -> Scene:
    """What X-rays during training are made of, with the density of the bones whether a CT or we say it.

    It holds the vertebra's box (half_mm: R, A, S), and in situ it reaches to the skin that a CT shows.
    """
    reach_mm = half_mm.copy()
    if settings.protocol == "in-situ" and bones.density == "ct":
        away = np.abs(corners_ras_mm(bones.working.labels) - field.centre_ras_mm).max(0)
        reach_mm[:2] = np.minimum(away[:2], BODY_MM)
    labels, hu = bones.working.labels, bones.working.hu
    assert hu is not None
    shape = scene_shape(settings.size, settings.spacing_mm, reach_mm)
    ends = transform_points(grid_affine(field.centre_ras_mm, shape, settings.spacing_mm), _ends(shape))
    beyond = ends + np.sign(ends - np.asarray(field.centre_ras_mm)) * CLIP_MM  # what distances are measured to
    near, density = part_around(labels, beyond), part_around(hu, ends)
    return scene(row.patient, row.source, row.level, near, shape, settings.spacing_mm, density)


def _ends(shape: Shape) -> list[list[int]]:
    """The corner voxels (i, j, k) of a grid (D, H, W)."""
    d, h, w = shape
    return [[i, j, k] for i in (0, w - 1) for j in (0, h - 1) for k in (0, d - 1)]


def written_files(id: str, settings: PreparationSettings) -> list[str]:
    """The files of a vertebra, from the folder of the data set."""
    files = [f"volumes/{id}.nrrd", f"masks/{id}.seg.nrrd", f"xrays/{id}.npz"]
    return [*files, f"scenes/{id}.npz"] if settings.keeps_scenes else files

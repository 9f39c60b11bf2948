"""What a model made in the scene, as the folder that `ear reconstruct` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..case import Case
from ..comparison import Comparison
from ..errors import BundleError, EARError
from ..model_card import ModelCard, read_header
from ..report import draw_report
from ..resources import find_model
from ..results import Result, write_result
from ..spine import stitch
from .comparisons import comparisons_of
from .nodes import Scene
from .radiographs import geometry_of, radiograph_nodes, radiograph_of
from .results import vertebrae

if TYPE_CHECKING:
    from ..reconstruction import Reconstruction


def result_of(scene: Scene, run: str, name: str = "") -> Result:
    """A run with its radiographs and its comparison, copied from the scene; it may go to another thread.

    name: of the case; without it that of the saved scene. Raises EARError for a run without results, GeometryError
    without radiographs, CaseError when they have been moved away from the vertebrae.
    """
    shown = vertebrae(scene, run)
    if not shown:
        raise EARError(run, "there are no results of it in the scene", "Reconstruct first")
    geometry, nodes = geometry_of(scene), radiograph_nodes(scene)
    frontal, lateral = (radiograph_of(nodes[role]) for role in ("frontal", "lateral"))
    name = name or Path(scene.GetURL() or "scene").stem
    case = Case(name, frontal, lateral, geometry, tuple(one.roi for one in shown))
    comparisons = tuple(_copied(one) for one in comparisons_of(scene, run))
    checksum, device = shown[-1].checksum, shown[-1].device
    return Result(
        case,
        run,
        device,
        tuple(cast("list[Reconstruction]", shown)),
        stitch(shown),
        comparisons,
        card=_card(run, checksum),
        checksum=checksum,
    )


def export(scene: Scene, run: str, folder: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a run into a folder, with its report; return the summary. Raises as result_of and results.write_result."""
    return write_result(result_of(scene, run), Path(folder), overwrite=overwrite, draw=draw_report)


def _copied(one: Comparison) -> Comparison:
    surface = vtkPolyData()
    surface.DeepCopy(one.surface)
    return Comparison(one.level, one.dice, one.error, surface)


def _card(model: str, checksum: str) -> ModelCard | None:
    """The card of the model, if it is installed and still the one that was used."""
    try:
        path = find_model(model)
        header = read_header(path)
        return ModelCard.from_dict(header["card"], path) if header.get("sha256") == checksum else None
    except BundleError:
        return None

"""What a model made in the scene, as the folder that `ear reconstruct` writes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..case import Case
from ..comparison import Comparison
from ..errors import BundleError, EARError
from ..model_card import ModelCard, installed_bundles, read_header
from ..radiograph import ROLES
from ..resources import MODELS
from ..results import Result
from ..spine import stitch
from .comparisons import comparisons_of
from .nodes import Scene
from .radiographs import geometry_of, radiograph_nodes, radiograph_of
from .results import vertebrae

if TYPE_CHECKING:
    from ..reconstruction import Reconstruction


def result_of(scene: Scene, run: str, name: str = "", *, models: Iterable[Path] | None = None) -> Result:
    """A run with its radiographs and its comparison, copied from the scene; it may go to another thread.

    name: of the case; without it that of the saved scene. models: files among which the run's is looked for, None for
    those that come with SlicerEAR; its card goes along when it is there. Raises EARError for a run without results,
    GeometryError without radiographs, CaseError when they have been moved away from the vertebrae.
    """
    shown = vertebrae(scene, run)
    if not shown:
        raise EARError(run, "there are no results of it in the scene", "Reconstruct first")
    geometry, nodes = geometry_of(scene), radiograph_nodes(scene)
    frontal, lateral = (radiograph_of(nodes[role]) for role in ROLES)
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
        card=_card(checksum, installed_bundles(MODELS) if models is None else models),
        checksum=checksum,
    )


def _copied(one: Comparison) -> Comparison:
    surface = vtkPolyData()
    surface.DeepCopy(one.surface)
    return Comparison(one.level, one.dice, one.error, surface)


def _card(checksum: str, models: Iterable[Path]) -> ModelCard | None:
    """The card of the model that was used, whatever its file is called now."""
    for path in models:
        with suppress(BundleError):  # a damaged one
            header = read_header(path)
            if header.get("sha256") == checksum:
                return ModelCard.from_dict(header["card"], path)
    return None

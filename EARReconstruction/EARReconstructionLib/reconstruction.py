"""Two radiographs and a vertebra's ROI in, the vertebra's CT volume out.

crop -> normalise -> lift -> network -> HU volume with its affine, mask and edge map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import BundleError, Cancelled, CaseError, DeviceError
from .expected_error import calibrated, spread
from .geometry import Affine, BiplanarGeometry, View, as_displayed, crop_image, crop_view, cube_affine, lift
from .job import Cancel, Progress
from .model_card import MINIMUM_COVERAGE, ModelCard, crop_note
from .networks.network import NetworkOutput, ReconstructionNetwork
from .radiograph_layout import ROLES
from .variants import variants
from .volume_io import largest_piece

if TYPE_CHECKING:
    from .radiograph import Radiograph
    from .vertebra import VertebraROI

#: Vertebrae at once on CUDA. On a CPU more than one costs memory and gains nothing.
CUDA_BATCH = 4


@dataclass(frozen=True)
class Reconstruction:
    """One rebuilt vertebra on a cube around its ROI's centre.

    volume_hu: (k, j, i) float32, HU. mask: above the model's threshold, largest piece. edges: edge attention map in
    [0, 1], or None. ras_from_ijk: (4, 4), voxel centres to RAS mm. notes: what the user should know.
    checksum: SHA-256 of the model. device: where it was computed. expected_error_mm: how far off the surface may be,
    (k, j, i) at the voxels around it and 0 elsewhere; None unless it was asked for.
    """

    roi: VertebraROI
    volume_hu: NDArray[np.float32]
    mask: NDArray[np.bool_]
    edges: NDArray[np.float32] | None
    ras_from_ijk: Affine
    threshold_hu: float
    model: str
    notes: tuple[str, ...] = ()
    checksum: str = ""
    device: str = ""
    expected_error_mm: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class NetworkInput:
    """What a network sees of one vertebra: z-scored crops (2, N, N), as displayed, and the same lifted (2, N, N, N)."""

    images: torch.Tensor
    lifted: torch.Tensor
    ras_from_ijk: Affine
    coverage: tuple[float, float]


def standardise(image: torch.Tensor) -> torch.Tensor:
    """z-score over an image: what is left does not depend on exposure. A constant image becomes zero."""
    spread = image.std(unbiased=False)
    return (image - image.mean()) / spread.clamp_min(1e-6)


def choose_device(name: str = "auto") -> torch.device:
    """The device for "auto", "cuda" or "cpu". Raises DeviceError when CUDA is asked for and not there."""
    if name not in ("auto", "cuda", "cpu"):
        raise DeviceError(f"device {name!r}", "there is no such device", "Use auto, cuda or cpu")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DeviceError(
            "device cuda",
            f"this build of torch ({torch.__version__}) sees no CUDA device",
            "Use the CPU, or install a torch build that fits your graphics driver",
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def network_input(
    radiographs: Sequence[Radiograph], geometry: BiplanarGeometry, roi: VertebraROI, card: ModelCard
) -> NetworkInput:
    """Crop, normalise and lift one vertebra from its two radiographs, frontal first.

    Raises CaseError when a radiograph holds less than half of the crop, or nothing in it.
    """
    (frontal, view1, share1), (lateral, view2, share2) = _crops(radiographs, geometry, roi, card)
    affine = cube_affine(roi.centre_ras_mm, card.size, card.spacing_mm)
    return NetworkInput(
        torch.stack([as_displayed(frontal, view1, "frontal"), as_displayed(lateral, view2, "lateral")]),
        lift(card.lift, torch.stack([frontal, lateral]), (view1, view2), affine, card.size),
        affine,
        (share1, share2),
    )


def _crops(
    radiographs: Sequence[Radiograph], geometry: BiplanarGeometry, roi: VertebraROI, card: ModelCard
) -> list[tuple[torch.Tensor, View, float]]:
    """Of both radiographs: the z-scored crop around a vertebra, its view, and its share inside the image."""
    crops = []
    for radiograph, view, role in zip(radiographs, geometry.views, ROLES, strict=True):
        crop = crop_view(view, roi.centre_ras_mm, card.size, card.spacing_mm)
        pixels, inside = crop_image(torch.from_numpy(radiograph.attenuation()), view, crop)
        if inside < MINIMUM_COVERAGE:
            raise CaseError(
                radiograph.path,
                f"only {100 * inside:.0f} % of the crop around {roi.level} lies in this {role} image",
                "Move the ROI, or take a radiograph that shows the whole vertebra",
            )
        if pixels.min() == pixels.max():
            raise CaseError(
                radiograph.path,
                f"all pixels of the crop around {roi.level} have the same value in this {role} image",
                "Move the ROI, or take a radiograph that shows the vertebra",
            )
        crops.append((standardise(pixels), crop, inside))
    return crops


def reconstruct(
    radiographs: Sequence[Radiograph],
    geometry: BiplanarGeometry,
    rois: Iterable[VertebraROI],
    bundle: Bundle,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    uncertainty: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> list[Reconstruction]:
    """Rebuild every ROI's vertebra, in their order.

    radiographs: (frontal, lateral), pixel for pixel those of geometry.views. batch_size: vertebrae at once, one on
    a CPU and four on CUDA unless given; out of memory it is halved down to one. uncertainty: also tell how far off each
    surface may be, for seven times the work. progress and cancel are called between batches.

    Raises CaseError, GeometryError, BundleError, DeviceError, or Cancelled when cancel() says so.
    """
    rois = list(rois)
    if bundle.card.field != "cube":
        raise BundleError(
            bundle.path or bundle.card.name,
            "it was trained on boxes that fit each vertebra exactly, which radiographs do not tell",
            "Use it with `ear evaluate`, or take a model of the field `cube`",
        )
    if uncertainty and not bundle.card.error_calibration:
        raise BundleError(
            bundle.path or bundle.card.name,
            "nobody has measured how its errors depend on its uncertainty",
            "Measure it with `ear calibrate`, or reconstruct without uncertainty",
        )
    target = choose_device(device)
    for roi in rois:  # before the work: the last ROI must not cost the others
        _crops(radiographs, geometry, roi, bundle.card)
    try:
        network = bundle.network().to(target)
    except RuntimeError as error:
        raise too_small(error, "the network") if out_of_memory(error) else error from error
    if batch_size is None:
        batch_size = CUDA_BATCH if target.type == "cuda" else 1
    notes = bundle.card.range_notes(geometry)
    done: list[Reconstruction] = []
    while len(done) < len(rois):
        batch = rois[len(done) : len(done) + batch_size]
        if cancel is not None and cancel():
            raise Cancelled
        if progress is not None:
            progress(len(done), len(rois), ", ".join(roi.level for roi in batch))
        inputs = [network_input(radiographs, geometry, roi, bundle.card) for roi in batch]
        try:
            output = run_network(network, inputs, target)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if target.type == "cuda":
                torch.cuda.empty_cache()
            if len(batch) == 1:
                raise too_small(error, "one vertebra") from error
            batch_size = len(batch) // 2
            continue
        except ValueError as error:  # the network does not take the cube that its card promises
            raise unfit(bundle, str(error)) from error
        check_output(output, bundle, [roi.level for roi in batch])
        for n, (roi, one) in enumerate(zip(batch, inputs, strict=True)):
            edges = None if output.edges is None else output.edges[n, 0].numpy()
            rebuilt = _reconstruction(roi, one, output.volume[n, 0].numpy(), edges, bundle.card, notes)
            rebuilt = replace(rebuilt, checksum=bundle.sha256, device=target.type)
            if uncertainty:
                look = partial(network_input, radiographs, geometry, card=bundle.card)
                expected = _expected_error(network, look, rebuilt, bundle, target, cancel)
                rebuilt = replace(rebuilt, expected_error_mm=expected)
            done.append(rebuilt)
    if progress is not None:
        progress(len(rois), len(rois), "")
    return done


def out_of_memory(error: RuntimeError) -> bool:
    """Whether memory was the trouble: CUDA has an exception of its own; the CPU's allocator says it in words."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def too_small(error: RuntimeError, what: str) -> DeviceError:
    """The DeviceError for a memory that did not hold ``what``."""
    on_cuda = isinstance(error, torch.cuda.OutOfMemoryError)
    advice = "Run again with the device cpu" if on_cuda else "Close other programs, or add memory"
    return DeviceError(f"device {'cuda' if on_cuda else 'cpu'}", f"its memory is too small for {what}", advice)


def unfit(bundle: Bundle, cause: str) -> BundleError:
    """The BundleError for a network that does not do what its card says."""
    return BundleError(bundle.path or bundle.card.name, cause, "Use another model: this one cannot be trusted")


def check_output(output: NetworkOutput, bundle: Bundle, names: Sequence[str]) -> None:
    """Raise BundleError for what would otherwise become an empty or a wrongly placed vertebra without a word.

    names: of the vertebrae in the batch.
    """
    expected = (len(names), 1, *(bundle.card.size,) * 3)
    if output.volume.shape != expected:
        raise unfit(bundle, f"its network gives {tuple(output.volume.shape)} voxels, its card says {expected}")
    for name, volume in zip(names, output.volume, strict=True):
        if not volume.isfinite().all():
            raise unfit(bundle, f"its network gives values that are no numbers for {name}")


def run_network(
    network: ReconstructionNetwork, inputs: Sequence[NetworkInput], device: torch.device | str
) -> NetworkOutput:
    """The network's output (z-scored, float32, on the CPU) for a batch of vertebrae."""
    kind = "images" if network.input_kind == "images" else "lifted"
    batch = torch.stack([getattr(one, kind) for one in inputs]).to(device)
    with torch.inference_mode():
        volume, edges = network(batch)
    return NetworkOutput(volume.float().cpu(), None if edges is None else edges.float().cpu())


def _expected_error(
    network: ReconstructionNetwork,
    look: Callable[[VertebraROI], NetworkInput],
    rebuilt: Reconstruction,
    bundle: Bundle,
    device: torch.device,
    cancel: Cancel | None,
) -> NDArray[np.float32]:
    """How far off a vertebra's surface may be, mm, from what the network makes of its variants; see Reconstruction."""
    card, volumes = bundle.card, [rebuilt.volume_hu]
    for variant in variants(look, rebuilt.roi, card.spacing_mm):
        if cancel is not None and cancel():
            raise Cancelled
        output = run_network(network, [variant.seen], device)
        check_output(output, bundle, [rebuilt.roi.level])
        volumes.append(variant.back(_in_hu(output.volume[0, 0].numpy(), card), float(rebuilt.volume_hu.min())))
    return calibrated(spread(volumes, rebuilt.ras_from_ijk, card.threshold_hu), card.error_calibration)


def _in_hu(z_scored: NDArray[np.float32], card: ModelCard) -> NDArray[np.float32]:
    return z_scored * np.float32(card.hu_sd) + np.float32(card.hu_mean)


def _reconstruction(
    roi: VertebraROI,
    one: NetworkInput,
    z_scored: NDArray[np.float32],
    edges: NDArray[np.float32] | None,
    card: ModelCard,
    notes: tuple[str, ...],
) -> Reconstruction:
    volume = _in_hu(z_scored, card)
    mask = largest_piece(volume > card.threshold_hu)
    outside = [(role, share) for role, share in zip(ROLES, one.coverage, strict=True) if share < 1]
    notes += tuple(crop_note(roi.level, role, share) for role, share in outside) + card.level_notes(roi.level)
    if not mask.any():
        notes += (f"No bone was found for {roi.level}: is its ROI on the vertebra?",)
    return Reconstruction(roi, volume, mask, edges, one.ras_from_ijk, card.threshold_hu, card.name, notes)

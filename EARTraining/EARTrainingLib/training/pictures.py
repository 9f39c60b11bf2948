"""A picture of one validation vertebra per epoch: its X-rays, its truth, and what the network makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from EARReconstructionLib.volume_io import written_whole
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

#: HU shown as black and as white.
WINDOW_HU = (-1000.0, 900.0)

#: Name, axis of (k, j, i) that is cut, and the letters at the left and the right edge.
PLANES = (("axial", 0, "RL"), ("coronal", 1, "RL"), ("sagittal", 2, "PA"))

LAYOUT = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.88, "wspace": 0.03, "hspace": 0.1}

TRUTH, PREDICTION = "#54c7a5", "#f08a24"


class Pictures(L.Callback):
    """Writes OUT/pictures/epoch-0001.png and so on, of the first validation vertebra."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pictures"

    def on_train_epoch_end(self, trainer: L.Trainer, learner: Any) -> None:
        """Draw what the validation of this epoch has left."""
        if not trainer.is_global_zero or learner.shown is None:
            return
        sample, volume_hu = learner.shown
        numbers = learner.validated
        epoch = trainer.current_epoch + 1
        name = learner.data.validation.row(0).id
        title = f"{name}, epoch {epoch}: loss {numbers['val_loss']:.3f}, mean Dice {numbers['val_dice']:.3f}"
        path = self.folder / f"epoch-{epoch:04d}.png"
        learner.picture = str(path)
        draw(
            path,
            title,
            sample.images[0].float().cpu().numpy(),
            (sample.target_hu[0, 0].float().cpu().numpy(), sample.mask[0, 0].cpu().numpy()),
            volume_hu[0, 0].float().cpu().numpy(),
            numbers["val_threshold_hu"],
        )


def draw(
    path: Path,
    title: str,
    images: NDArray[np.float32],
    truth: tuple[NDArray[np.float32], NDArray[np.bool_]],
    predicted_hu: NDArray[np.float32],
    threshold_hu: float,
) -> None:
    """Write a PNG. images: (2, N, N), frontal first. truth: volume in HU and mask, (k, j, i); predicted_hu likewise.

    Slices run through the middle of the mask. Raises EARError when the place cannot be written to.
    """
    target_hu, mask = truth
    middle = [round(float(places.mean())) if len(places) else mask.shape[0] // 2 for places in mask.nonzero()]
    figure = Figure(figsize=(14, 7.6), facecolor="#101418")
    axes = figure.subplots(2, 4, gridspec_kw=LAYOUT, subplot_kw={"xticks": [], "yticks": [], "frame_on": False})
    for axis, image, name, sides in zip(axes[:, 0], images, ("AP", "lateral"), ("RL", "PA"), strict=True):
        axis.imshow(image, cmap="gray")
        _label(axis, f"{name} X-ray", sides)
    for column, (plane, cut, sides) in enumerate(PLANES, start=1):
        outlines = [(mask, TRUTH), (predicted_hu > threshold_hu, PREDICTION)]
        rows = ((target_hu, "truth", outlines[:1]), (predicted_hu, "network", outlines))
        for axis, (volume, name, shown) in zip(axes[:, column], rows, strict=True):
            _slice(axis, volume, cut, middle[cut], shown)
            _label(axis, f"{name}, {plane}", sides)
    figure.suptitle(
        f"{title}\ngreen: truth, orange: the network above {threshold_hu:.0f} HU", color="white", fontsize=12
    )
    with written_whole(path) as beside:
        figure.savefig(beside, dpi=80, facecolor=figure.get_facecolor())


def _slice(
    axis: Axes, volume: NDArray[Any], cut: int, place: int, outlines: list[tuple[NDArray[np.bool_], str]]
) -> None:
    axis.imshow(_upright(volume, cut, place), cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
    for inside, colour in outlines:
        flat = _upright(inside, cut, place)
        if flat.any() and not flat.all():
            axis.contour(flat, levels=[0.5], colors=[colour], linewidths=1)


def _upright(volume: NDArray[Any], cut: int, place: int) -> NDArray[Any]:
    """A slice as radiographs are shown: superior or anterior up, the patient's right or back on the left."""
    flat = np.take(volume, place, axis=cut)[::-1]
    return flat if cut == 2 else flat[:, ::-1]


def _label(axis: Axes, title: str, sides: str) -> None:
    axis.set_title(title, color="white", fontsize=11)
    for side, x in zip(sides, (0.04, 0.96), strict=True):
        axis.text(x, 0.96, side, transform=axis.transAxes, color="white", fontsize=11, va="top", ha="center")

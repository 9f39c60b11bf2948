"""Models: those that come with SlicerEAR, those that the user added, and what their cards say. Needs no torch."""

from __future__ import annotations

import os
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..errors import BundleError, EARError
from ..model_card import SUFFIX, ModelCard, installed_bundles, read_card
from ..resources import MODELS
from . import settings


def user_folder() -> Path:
    """The folder of the user's own models, beside Slicer's settings unless the setting says otherwise."""
    return Path(settings.value("ModelFolder") or Path(slicer.app.slicerUserSettingsFilePath).parent / "EARModels")


def installed_models() -> dict[str, Path]:
    """Name -> file of all models, those that come with SlicerEAR first. Names are those of the files."""
    return {path.stem: path for path in (*installed_bundles(user_folder()), *installed_bundles(MODELS))[::-1]}


def model_path(name: str) -> Path:
    """The file of a model, by its name or by its path. Raises BundleError when there is neither."""
    path = installed_models().get(name, Path(name))
    if not path.is_file():
        raise BundleError(
            _("model {name}").format(name=name),
            _("it is not installed here"),
            _("Choose another model, or add its file"),
        )
    return path


def add_model(path: str | Path, *, replace: bool = False) -> str:
    """Copy a bundle into the user's folder, whole or not at all; return its name.

    replace: an earlier one of the same name. Raises BundleError for a file that is no bundle, is damaged, has the name
    of another model, or cannot be copied.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise BundleError(path, _("models are files {suffix}").format(suffix=SUFFIX), _("Choose such a file"))
    read_card(path)
    target = user_folder() / path.name
    if (MODELS / target.name).exists() or (target.exists() and not replace):
        raise BundleError(path, _("there is a model of this name already"), _("Rename the file, then add it"))
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(path.read_bytes())  # not a copy of the permissions, which may forbid to replace it one day
        beside.replace(target)
    except OSError as error:
        raise BundleError(
            path,
            _("it could not be copied to {folder} ({reason})").format(
                folder=target.parent, reason=error.strerror or error
            ),
            _("Make room there, or check its permissions"),
        ) from error
    finally:
        if beside.exists():
            beside.unlink()
    return target.stem


def was_added(path: str | Path) -> bool:
    """Whether the user's folder holds a model that has the name of this file."""
    return (user_folder() / Path(path).name).exists()


def one_line(card: ModelCard) -> str:
    """What to know of a model before it is used, in one line."""
    return _("{network}, cube of {side:.0f} mm at {spacing:g} mm, {levels}").format(
        network=card.architecture, side=card.size * card.spacing_mm, spacing=card.spacing_mm, levels=_levels(card)
    )


def card_text(name: str) -> str:
    """All that a model says of itself, as Markdown. Raises BundleError."""
    path = model_path(name)
    card = read_card(path)
    (low_angle, high_angle), (low_sod, high_sod) = card.angle_range_deg, card.sod_range_mm
    rows = {
        _("Network"): card.architecture,
        _("Trained on"): _levels(card),
        _("Angle between the views"): _("{low:g} to {high:g} degrees").format(low=low_angle, high=high_angle),
        _("Source to isocentre"): _("{low:g} to {high:g} mm").format(low=low_sod, high=high_sod),
        _("X-rays in training"): card.protocol,
        _("Bone is above"): _("{hu:g} HU").format(hu=card.threshold_hu),
        _("Licence of its data"): card.data_licence,
        _("File"): str(path),
    }
    text = "\n\n".join(f"**{name}**: {value}" for name, value in rows.items())
    notes = path.with_suffix(".md")
    if notes.is_file():
        text += "\n\n---\n\n" + notes.read_text(encoding="utf-8").partition("\n")[2]  # its title is the model's name
    return text


def damaged_models() -> list[str]:
    """A sentence for each file in the folders whose card cannot be read."""
    sentences = []
    for path in installed_models().values():
        try:
            read_card(path)
        except EARError as error:
            sentences.append(str(error))
    return sentences


def _levels(card: ModelCard) -> str:
    """The levels as the runs that they are: "T1-T12, L1-L5"."""
    runs: list[list[str]] = []
    for level in card.levels:
        if runs and runs[-1][-1][0] == level[0] and int(runs[-1][-1][1:]) + 1 == int(level[1:]):
            runs[-1].append(level)
        else:
            runs.append([level])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)

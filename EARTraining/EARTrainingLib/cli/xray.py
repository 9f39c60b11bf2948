"""`ear xray`: X-rays of any CT from any side."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .common import JsonOption, OverwriteOption, ProgressJsonOption, answered, reported
from .xray_engine import check
from .xray_values import (
    angles_of,
    check_case_folder,
    check_levels,
    check_targets,
    distances,
    labels_of,
    numbers,
    one_of,
    pair_of,
    phantom_seed,
    size_of,
)

_view = partial(typer.Option, rich_help_panel="Views")
_beam = partial(typer.Option, rich_help_panel="Beam and detector")
_shown = partial(typer.Option, rich_help_panel="What stands in the beam")
_engine = partial(typer.Option, rich_help_panel="Engine")


def xray(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[CT]",
            help="CT in HU (.nii.gz, .nrrd), or phantom:7 for a made-up lower spine. Without one, bone is made up in "
            "the mask.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the images.")] = None,
    case: Annotated[
        Path | None, typer.Option(help="Also write a case for `ear reconstruct` into this folder; needs a mask.")
    ] = None,
    view: Annotated[
        list[str] | None,
        _view(
            "--view",
            metavar="ALPHA,BETA",
            help="Angles in degrees; again for each view. alpha 0 is AP, 90 left lateral; beta tilts the detector "
            "cranially. Default: 0,0 and 90,0.",
        ),
    ] = None,
    alpha: Annotated[list[float] | None, _view(help="The same in two options; again for each view.")] = None,
    beta: Annotated[list[float] | None, _view(help="One for each --alpha, or none.")] = None,
    preset: Annotated[
        str, _view(help="Distances SOD/SDD: default 1000/1300, c-arm 530/1020, long-film 1500/1800.")
    ] = "default",
    sod: Annotated[float | None, _view(help="Source to isocentre, mm; instead of the preset's.")] = None,
    sdd: Annotated[float | None, _view(help="Source to detector, mm; instead of the preset's.")] = None,
    centre: Annotated[
        str | None, _view(metavar="R,A,S", help="Isocentre, RAS mm. Default: the middle, or that of --level.")
    ] = None,
    pixel: Annotated[float | None, _beam(help="Pixel on the detector, mm. Default: 0.8 at the isocentre.")] = None,
    size: Annotated[
        str | None, _beam(metavar="HxW", help="Pixels. Default: each detector just holds the volume.")
    ] = None,
    spectrum: Annotated[str | None, _beam(help="Tube. Default: the paper's, 60kV-3.5mmAl.")] = None,
    photons: Annotated[float, _beam(min=0, help="Per pixel of the open beam; 0 for no noise.")] = 2e6,
    quantity: Annotated[
        str, _beam(help="attenuation -log(I/I0), intensity I/I0, or area-density of each material.")
    ] = "attenuation",
    seed: Annotated[int | None, _beam(min=0, help="Of the noise. Default: 0, or the phantom's.")] = None,
    mask: Annotated[Path | None, _shown(help="Vertebrae (VerSe labels), on the grid of the CT.")] = None,
    level: Annotated[str | None, _shown(help="Vertebra in the middle; the one that `isolated` shows.")] = None,
    protocol: Annotated[
        str | None,
        _shown(
            help="isolated: one vertebra. column: all labelled bone (default with a mask). in-situ: everything "
            "(default without)."
        ),
    ] = None,
    engine: Annotated[str, _engine(help="torch, or deepdrr (Linux, CUDA).")] = "torch",
    deepdrr_python: Annotated[
        Path | None, _engine(help="Program python of an environment that has DeepDRR 1.2.2.")
    ] = None,
    check_engine: Annotated[
        str | None, _engine(metavar="NAME", help="Take no X-ray: look what an engine lacks, and measure a bead.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    progress_json: ProgressJsonOption = False,
) -> None:
    """Take X-rays of a CT from any side: digitally reconstructed radiographs (DRRs).

    Writes each view as NRRD with its geometry and as PNG to look at, and all matrices in views.json. With --case, the
    first two views become a case, with the mask as its reference.
    """
    with reported(as_json, as_events=progress_json):
        if check_engine is not None:
            check(check_engine, deepdrr_python, as_json, progress_json)
            return

        from ..datasets.cases import case_of, roi_of
        from ..datasets.subjects import phantom_subject, read_subject, shown
        from ..projection import SPECTRA, load_spectrum, make_engine
        from ..projection.drr import QUANTITIES, images_of, views_around
        from ..projection.drr_files import check_folder, write_images

        one_of("--quantity", quantity, QUANTITIES)
        beam: dict[str, Any] = {
            "spectrum": load_spectrum(one_of("--spectrum", spectrum or SPECTRA[0], SPECTRA)),
            "photons": photons or None,
        }
        check_targets(output, case)
        if output is not None:
            check_folder(output, overwrite)
        if case is not None:
            check_case_folder(case, overwrite)
        angles = angles_of(view or [], alpha or [], beta or [])
        phantom = phantom_seed(source, mask)
        beam["seed"] = seed if seed is not None else phantom or 0
        subject = read_subject(Path(source) if source else None, mask) if phantom is None else phantom_subject(phantom)
        levels = (level.upper(),) if level else subject.levels
        if case is not None:
            check_levels(labels_of(subject), mask, levels)
        how = protocol or ("column" if mask else "in-situ")
        volume = shown(subject, how, levels[0] if level else None)
        middle = numbers("--centre", centre, 3) if centre else None
        if middle is None and level:
            middle = roi_of(levels[0], labels_of(subject)).centre_ras_mm
        sod_mm, sdd_mm = distances(preset, sod, sdd)
        views = views_around(
            volume,
            angles,
            sod_mm=sod_mm,
            sdd_mm=sdd_mm,
            pixel_mm=pixel,
            size=size_of(size),
            isocentre_ras_mm=middle,
        )
        pair = pair_of(views) if case is not None else None
        told: dict[str, Any] = {}
        with closing(make_engine(engine, deepdrr_python)) as made:
            if case is not None:
                name = f"{subject.name}, {protocol}" if protocol else subject.name
                labels = labels_of(subject)
                told["case"] = str(case_of(name, volume, labels, levels, case, geometry=pair, engine=made, **beam))
            if output is not None:
                images = images_of(volume, views, quantity=quantity, engine=made, **beam)
                facts = {
                    "source": source,
                    "mask": mask and str(mask),
                    "protocol": how,
                    "level": level,
                    "engine": engine,
                    **beam,
                    "spectrum": beam["spectrum"].name,
                }
                told |= write_images(output, images, views, quantity, facts, overwrite=overwrite)
                told["output"] = str(output.resolve())
        if not answered(told, as_json, progress_json):
            _tell(told)


def _tell(told: dict[str, Any]) -> None:
    if "output" in told:
        table = Table(title=f"X-rays: {told['quantity']}")
        for heading in ("alpha", "beta", "pixels", "image", "to look at"):
            table.add_column(heading)
        for view in told["views"]:
            angles = f"{view['alpha_deg']:g}", f"{view['beta_deg']:g}"
            table.add_row(*angles, f"{view['height']} x {view['width']}", view["image"], view["picture"])
        Console().print(table)
        print(f"Images and their matrices (views.json) in {told['output']}")
    if "case" in told:
        print(f"Case in {Path(told['case']).parent}: ear reconstruct {Path(told['case']).parent} -o RESULTS")

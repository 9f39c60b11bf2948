"""A result whose left and right, front and back cannot be taken for each other, and reports made of it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.comparison import Shape, compare
from EARReconstructionLib.geometry import BiplanarGeometry, cube_affine, transform_points
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.report import surfaces, write_report
from EARReconstructionLib.results import Result
from EARReconstructionLib.spine import stitch
from EARReconstructionLib.surface import mask_surface
from EARReconstructionLib.vertebra import VertebraROI

SIZE = 24

#: On the patient's right and in front, above; on the left and behind, below.
PLACES = {"T12": (18.0, 12.0, 22.0), "L1": (-10.0, -16.0, -14.0)}

#: Radius of what is rebuilt; the truth has 8 mm: T12 is too large, L1 too small.
RADII = {"T12": 9.5, "L1": 6.5}


@pytest.fixture(scope="session", autouse=True)
def _small_pictures():
    """Drawn in no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surfaces, "LONGEST", 160)
        yield


def card() -> ModelCard:
    return ModelCard(
        "tiny", "EAR", {}, SIZE, 1.0, "backproject", 0.0, 1.0, 0.0, (50.0, 130.0), (500.0, 1600.0),
        "column", tuple(PLACES), "none",
    )  # fmt: skip


def ball(level: str, radius: float):
    """(distances to the surface of a ball, affine) around a level's place."""
    affine = cube_affine(PLACES[level], SIZE, 1.0)
    k, j, i = np.indices((SIZE,) * 3)
    points = transform_points(affine, np.stack([i, j, k], -1))
    return radius - np.linalg.norm(points - PLACES[level], axis=-1), affine


@pytest.fixture(scope="session")
def case() -> Case:
    geometry = BiplanarGeometry.from_preset(height=160, width=120)
    frontal, lateral = (
        Radiograph(
            np.random.default_rng(1).uniform(0, 2, (160, 120)).astype(np.float32),
            "attenuation",
            view.pixel_mm,
            role,
            (view.alpha_deg, view.beta_deg),
            view,
            Path(f"{role}.nrrd"),
        )
        for role, view in zip(("frontal", "lateral"), geometry.views, strict=True)
    )
    rois = tuple(VertebraROI(level, place, (20.0, 26.0, 22.0)) for level, place in PLACES.items())
    return Case("test case", frontal, lateral, geometry, rois)


@pytest.fixture(scope="session")
def result(case: Case) -> Result:
    """Compared with a reference."""
    rebuilt, comparisons = [], []
    for roi in case.rois:
        inside, affine = ball(roi.level, RADII[roi.level])
        hu = (80 * inside).clip(-1000, 700).astype(np.float32)
        rebuilt.append(Reconstruction(roi, hu, hu > 0, None, affine, 0.0, "tiny", (f"A note on {roi.level}.",)))
    spine = stitch(rebuilt)
    for level, surface in spine.surfaces.items():
        truth, affine = ball(level, 8.0)
        comparisons += compare({level: Shape(surface)}, {level: Shape(mask_surface(truth > 0, affine))})
    return Result(case, "tiny", "cpu", tuple(rebuilt), spine, tuple(comparisons), (), card(), "0123abcd" * 8)


@pytest.fixture(scope="session")
def alone(result: Result) -> Result:
    """Without a reference."""
    return replace(result, comparisons=())


@pytest.fixture(scope="session")
def doubtful(alone: Result) -> Result:
    """Without a reference, with expected errors: 1 mm at T12, 3 mm at L1."""
    rebuilt = tuple(
        replace(one, expected_error_mm=np.full_like(one.volume_hu, mm))
        for one, mm in zip(alone.reconstructions, (1.0, 3.0), strict=True)
    )
    return replace(alone, reconstructions=rebuilt, spine=stitch(rebuilt))


class Page(HTMLParser):
    """What a browser sees of a page: its tags and its texts; raises for a tag that is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert not self._open, f"{self._open} not closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self._open.append((tag, dict(attrs).get("class") or ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open, f"{tag} closed twice"
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((".".join(self._open[-1]) if self._open else "", data.strip()))

    def words(self, kind: str = "") -> list[str]:
        """The texts of a kind such as "td." or "text.level"; all without one."""
        return [words for of, words in self.texts if not kind or of == kind]

    def all(self, tag: str, kind: str | None = None) -> list[dict[str, str | None]]:
        """The attributes of all tags of a name, and of a class."""
        return [attrs for name, attrs in self.tags if name == tag and (kind is None or attrs.get("class") == kind)]


@pytest.fixture
def read(tmp_path: Path):
    """(result, **options) -> the page of its report."""

    def reading(result: Result, **options: float) -> Page:
        path = write_report(result, tmp_path / "report.html", **options)
        return Page(path.read_text(encoding="utf-8"))

    return reading


@pytest.fixture(scope="session")
def page(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of the measured result. Read only."""
    path = write_report(result, tmp_path_factory.mktemp("measured") / "report.html")
    return Page(path.read_text(encoding="utf-8"))

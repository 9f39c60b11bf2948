"""The icons: drawn, rendered from their SVG, and legible at the sizes that Slicer shows."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("EdgeAwareReconstruction", "EARReconstruction", "EARTraining")
SLICER_GREYS = (240, 43)  # the panel in Slicer's light and dark style
SIZES_PX = (16, 24, 48, 128)

pytest.importorskip("PySide6.QtSvg", exc_type=ImportError)


@pytest.fixture(scope="module")
def render_icons() -> ModuleType:
    """The script that renders them."""
    spec = util.spec_from_file_location("render_icons", ROOT / "scripts" / "render_icons.py")
    assert spec is not None
    assert spec.loader is not None
    script = util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def pixels(png: Path) -> npt.NDArray[np.float64]:
    """Red, green, blue and opacity of an image, (height, width, 4), 0 to 255."""
    from PySide6.QtGui import QImage

    image = QImage(str(png)).convertToFormat(QImage.Format.Format_RGBA8888)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4).astype(np.float64)


def icon(script: ModuleType, name: str) -> Path:
    """The SVG of one name."""
    return next(svg for svg in script.ICONS if svg.stem == name)


def test_all_are_rendered(render_icons: ModuleType) -> None:
    assert tuple(svg.stem for svg in render_icons.ICONS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_png_is_the_svg(render_icons: ModuleType, name: str, tmp_path: Path) -> None:
    svg = icon(render_icons, name)
    render_icons.render(svg, tmp_path / "new.png")
    drawn, kept = pixels(tmp_path / "new.png"), pixels(svg.with_suffix(".png"))
    assert kept.shape == (128, 128, 4)
    # Versions of Qt smooth edges differently, in single pixels; a changed drawing differs in many.
    assert (np.abs(drawn - kept).max(axis=2) > 32).mean() < 0.01, "stale: run python scripts/render_icons.py"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_px", SIZES_PX)
def test_it_stands_out_on_light_and_dark(render_icons: ModuleType, name: str, size_px: int, tmp_path: Path) -> None:
    render_icons.render(icon(render_icons, name), tmp_path / "icon.png", size_px)
    colours, opacity = np.split(pixels(tmp_path / "icon.png"), [3], axis=2)
    for grey in SLICER_GREYS:
        seen = colours * opacity / 255 + grey * (1 - opacity / 255)
        different = np.abs(seen - grey).max(axis=2) > 60
        assert 0.15 < different.mean() < 0.99
        assert seen.max() - seen.min() > 150, "bright bone on a dark ground"


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_the_modules_are_told_apart(render_icons: ModuleType, size_px: int, tmp_path: Path) -> None:
    drawn = []
    for name in NAMES[1:]:
        render_icons.render(icon(render_icons, name), tmp_path / f"{name}.png", size_px)
        drawn.append(pixels(tmp_path / f"{name}.png"))
    assert np.abs(drawn[0] - drawn[1]).mean() > 25


def test_what_qt_would_not_draw(render_icons: ModuleType, tmp_path: Path) -> None:
    for svg in render_icons.ICONS:
        text = svg.read_text(encoding="utf-8")
        assert not any(element in text for element in ("clip-path", "<mask", "<text", "<image", "<style", "<use"))
    (tmp_path / "no.svg").write_text("no drawing", encoding="utf-8")
    with pytest.raises(ValueError, match=r"no\.svg"):
        render_icons.render(tmp_path / "no.svg", tmp_path / "no.png")

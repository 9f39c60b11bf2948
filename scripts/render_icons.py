"""Render the icons' SVG files as the PNG files beside them, 128 pixels wide and high.

The Extensions Index and older Slicers want PNG. Run this after changing an SVG; a test compares the two. Needs PySide6
(`make test` installs it). QtSvg draws SVG Tiny: no clipping, no masks, no text.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ICONS = (
    ROOT / "Resources" / "Icons" / "EdgeAwareReconstruction.svg",
    ROOT / "EARReconstruction" / "Resources" / "Icons" / "EARReconstruction.svg",
    ROOT / "EARTraining" / "Resources" / "Icons" / "EARTraining.svg",
)
SIZE_PX = 128


def render(svg: Path, png: Path, size_px: int = SIZE_PX) -> None:
    """Draw one SVG on a transparent square. Raises ValueError when Qt cannot read it."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    renderer = QSvgRenderer(str(svg))
    if not renderer.isValid():
        raise ValueError(f"{svg.name} is no SVG that Qt can draw.")
    image = QImage(size_px, size_px, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter)
    painter.end()
    if not image.save(str(png)):
        raise ValueError(f"{png} could not be written.")


def main() -> int:
    """Render all icons; the process's exit status."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    for svg in ICONS:
        png = svg.with_suffix(".png")
        render(svg, png)
        print(f"{png.relative_to(ROOT)}: {png.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

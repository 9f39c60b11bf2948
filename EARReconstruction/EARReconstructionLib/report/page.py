"""The page: who and how, the X-rays and the spine, how far it is from a reference, and what the reader should know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..colours import RANGE_MM
from ..results import Result
from ..volume_io import written_whole
from .layout import Arrangement, arranged, merit
from .lower import Lower, listed, measured
from .parts import FOOTER_MM, HEADER_MM, TITLE, facts, footer, header, shortened
from .radiographs import draw_radiograph
from .rendering import NoRendererError
from .style import CSS, HEIGHT_MM, PART_GAP_MM, WIDTH_MM
from .surfaces import Drawn, draw_surfaces
from .svg import escaped

FILE_NAME = "report.html"

#: The rows of pictures are never lower than this, mm.
_LEAST_PICTURES_MM = 80.0

#: Pictures and what stands below them have this height together, mm.
_ROOM_MM = HEIGHT_MM - HEADER_MM - FOOTER_MM - 4 * PART_GAP_MM

#: Columns that fill less than this share of the page's width stand in its middle.
_LOOSE = 0.8

#: Tells browsers to load and to run nothing, whatever a text in the page may say.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Panel:
    """A picture with its caption. aspect: width over height. draw: its SVG at a width in mm."""

    caption: str
    aspect: float
    draw: Callable[[float], str]

    def html(self, width_mm: float) -> str:
        """The picture, so wide on paper, under its caption."""
        return f"<figure><figcaption>{escaped(self.caption)}</figcaption>{self.draw(width_mm)}</figure>"


def draw_report(result: Result, folder: Path) -> list[str]:
    """Write the report into a folder of results: what ``results.write_result`` calls to draw."""
    write_report(result, folder / FILE_NAME)
    return []


def write_report(result: Result, path: Path, *, range_mm: float = RANGE_MM) -> Path:
    """Write a result as one page of HTML that needs no other file and runs nothing; return its path.

    range_mm: the colours of the heat map run from minus to plus this. On a machine that cannot draw in 3-D the page
    says so and has all the rest. Raises EARError when the file cannot be written.
    """
    page = _page(result, range_mm)
    with written_whole(path) as beside:
        beside.write_bytes(page.encode("utf-8", "xmlcharrefreplace"))  # the name of a file may be no valid text
    return Path(path)


def _page(result: Result, range_mm: float) -> str:
    notes = list(result.notes)
    bone: list[Drawn] = []
    heat: list[Drawn] = []
    try:
        bone, heat = draw_surfaces(result, range_mm)
    except NoRendererError as error:
        notes.insert(0, f"There are no pictures of the spine: {error}.")
    panels, below, pictures = _largest(result, bone, heat, notes, range_mm)
    room = _ROOM_MM - pictures.height_mm
    columns = "".join(
        f"<div>{''.join(panels[n].html(column.width_mm) for n in column.numbers)}</div>" for column in pictures.columns
    )
    loose = " loose" if pictures.width_mm < _LOOSE * WIDTH_MM else ""
    name = shortened(result.case.name)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escaped(name)} \N{EN DASH} {TITLE}</title><style>{CSS}</style></head>\n"
        f'<body><article class="page">\n{header(name)}\n{facts(result)}\n'
        f'<section class="columns{loose}">{columns}</section>\n'
        f"<section>{below.html(room)}</section>\n{footer(result)}\n</article></body></html>\n"
    )


def _largest(
    result: Result, bone: Sequence[Drawn], heat: Sequence[Drawn], notes: Sequence[str], range_mm: float
) -> tuple[list[Panel], Lower, Arrangement]:
    """Heat maps beside the other pictures, as suits a whole spine, or below: whichever shows them better.

    Without a reference there is nothing below that they could stand beside.
    """
    choices: list[tuple[list[Drawn], list[Drawn]]] = [([*bone, *heat], [])]
    if heat and result.comparisons:
        choices.append(([*bone], [*heat]))
    ways = []
    for above, beneath in choices:
        panels = _panels(result, above)
        below = measured(result, beneath, notes, range_mm) if result.comparisons else listed(result, notes)
        height_mm = max(_ROOM_MM - below.least_mm, _LEAST_PICTURES_MM)
        pictures = arranged([panel.aspect for panel in panels], WIDTH_MM, height_mm)
        ways.append((panels, below, pictures))

    def goodness(way: tuple[list[Panel], Lower, Arrangement]) -> tuple[bool, float]:
        _, below, pictures = way
        rest_mm = _ROOM_MM - pictures.height_mm
        return rest_mm >= below.least_mm, merit((*pictures.areas_mm2, *below.areas_mm2(rest_mm)))

    return max(ways, key=goodness)


def _panels(result: Result, drawn: Sequence[Drawn]) -> list[Panel]:
    rois = [one.roi for one in result.reconstructions]
    panels = []
    for name, radiograph, view in zip(
        ("AP X-ray", "Lateral X-ray"), result.case.radiographs, result.case.geometry.views, strict=True
    ):
        draw = partial(draw_radiograph, radiograph, view, rois, name)
        panels.append(Panel(name, view.width / view.height, draw))
    return panels + [Panel(one.title, one.aspect, one.svg) for one in drawn]

"""What frames the page: header, facts, notes and footer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime

from .. import __version__
from ..results import Result
from .svg import escaped, number

TITLE = "Spine reconstruction from two X-rays"
NOTICE = "For research and planning review. Not a medical device: check every finding on the original images."

#: Heights on paper, mm: header with facts, footer.
HEADER_MM, FOOTER_MM = 43.0, 5.0

#: Heights on paper, mm: the heading of the notes with the gap above, a line of them.
_NOTES_HEAD_MM, _NOTE_LINE_MM = 7.0, 3.5

#: Letters that a millimetre of a note holds, in a wide typeface.
_LETTERS_PER_MM = 0.72

#: Names longer than this are written smaller.
_LARGE_NAME = 34

#: The longest name and the longest word of a fact: a page has one size.
_NAME, _FACT = 96, 28


def header(name: str) -> str:
    """The case, the date, and what this software is not."""
    small = ' class="small"' if len(name) > _LARGE_NAME else ""
    now = datetime.now().astimezone().isoformat(" ", "minutes")
    return (
        f'<header><p class="what">{TITLE}</p><p class="when">SlicerEAR {escaped(__version__)}</p>'
        f'<h1{small}>{escaped(name)}</h1><p class="when">Written <time>{now}</time></p>'
        f'<p class="notice">{NOTICE}</p></header>'
    )


def facts(result: Result) -> str:
    """Model, geometry, vertebrae and reference."""
    model = [shortened(result.model, _FACT)]
    card = result.card
    if card is not None:
        model += [
            f"{card.architecture}, protocol {shortened(card.protocol, _FACT)}",
            f"{card.size}\N{SUPERSCRIPT THREE} voxels of {card.spacing_mm:g} mm",
        ]
    model.append(f"computed on {'the CPU' if result.device == 'cpu' else result.device.upper()}")
    levels = [one.roi.level for one in result.reconstructions]
    said = ", ".join(levels) if len(levels) <= 6 else f"{levels[0]} to {levels[-1]}"
    thresholds = sorted({one.threshold_hu for one in result.reconstructions})
    vertebrae = [
        f"{len(levels)} rebuilt: {said}",
        f"bone above {', '.join(number(hu, 0) for hu in thresholds)} HU",
    ]
    return (
        f'<div class="facts">{_fact("Model", model)}'
        f"<div><h3>Geometry</h3>{_geometry(result)}</div>"
        f"{_fact('Vertebrae', [*vertebrae, *_reference(result)])}</div>"
    )


def notes_list(notes: Sequence[str], width_mm: float, height_mm: float) -> str:
    """As many notes as there is room for, and the number of the others. Nothing without notes."""
    lines, shown = 0.0, []
    room = (height_mm - _NOTES_HEAD_MM) / _NOTE_LINE_MM
    for n, note in enumerate(notes):
        lines += _lines(note, width_mm)
        last = n == len(notes) - 1
        if lines + (not last) > room:  # the line that counts the others needs room too
            more = len(notes) - n
            shown.append(f"{more} more {'note' if more == 1 else 'notes'} in summary.json, beside this page.")
            break
        shown.append(note)
    items = "".join(f"<li>{escaped(note)}</li>" for note in shown)
    return f'<div class="notes"><h3>Notes</h3><ul>{items}</ul></div>' if notes else ""


def notes_height(notes: Sequence[str], width_mm: float) -> float:
    """What all notes take, mm on paper."""
    return _NOTES_HEAD_MM + _NOTE_LINE_MM * sum(_lines(note, width_mm) for note in notes) if notes else 0.0


def footer(result: Result) -> str:
    """Whose numbers these are, for the archive."""
    checksum = f"Model SHA-256 {escaped(result.checksum)}" if result.checksum else escaped(result.model)
    return f"<footer><span>{checksum}</span><span>Not for clinical use</span></footer>"


def shortened(name: str, longest: int = _NAME) -> str:
    """A name that is too long, without its middle."""
    half = (longest - 3) // 2
    return name if len(name) <= longest else f"{name[:half]} \N{HORIZONTAL ELLIPSIS} {name[-half:]}"


def _lines(note: str, width_mm: float) -> int:
    return len(textwrap.wrap(note, max(int(width_mm * _LETTERS_PER_MM), 20))) or 1


def _fact(heading: str, lines: Sequence[str]) -> str:
    return f"<div><h3>{heading}</h3>{''.join(f'<p>{escaped(line)}</p>' for line in lines)}</div>"


def _geometry(result: Result) -> str:
    geometry = result.case.geometry
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{_plain(view.sod_mm)}</td><td>{_plain(view.sdd_mm)}</td>'
        f"<td>{_plain(view.alpha_deg)}\N{DEGREE SIGN}</td><td>{_plain(view.beta_deg)}\N{DEGREE SIGN}</td>"
        f"<td>{view.width} \N{MULTIPLICATION SIGN} {view.height}</td><td>{view.pixel_mm:.3g}</td></tr>"
        for name, view in zip(("AP", "Lateral"), geometry.views, strict=True)
    )
    heads = ("View", "SOD", "SDD", "angle", "tilt", "pixels", "of mm")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    between = f"Distances in mm; views {_plain(geometry.angle_deg)}\N{DEGREE SIGN} apart"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{between}</p>"


def _plain(value: float) -> str:
    """A number with one digit behind the point where it needs one."""
    return number(value, 0 if round(value, 1).is_integer() else 1)


def _reference(result: Result) -> list[str]:
    if not result.comparisons:
        return ["no reference: no distances"]
    reference = result.case.reference
    compared = len(result.comparisons)
    said = "compared with a reference" if compared == len(result.reconstructions) else f"{compared} compared"
    if reference is None:
        return [said]
    names = [path.name for path in reference.files]
    return [f"{said}:", shortened(names[0] if len(names) == 1 else f"{len(names)} meshes", _FACT)]

"""Everything on one page, however many vertebrae, notes and shapes of images there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from EARReconstructionLib.report import page as module
from EARReconstructionLib.report.layout import CAPTION_MM, GAP_MM, WAYS, arranged
from EARReconstructionLib.report.parts import notes_list, shortened
from EARReconstructionLib.report.style import WIDTH_MM
from EARReconstructionLib.report.surfaces import Drawn
from EARReconstructionLib.vertebra import LEVELS, VertebraROI


@pytest.mark.parametrize("height_mm", [70.0, 110.0, 180.0])
@pytest.mark.parametrize("aspect", [0.2, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("count", WAYS)
def test_pictures_fit_and_fill(count, aspect, height_mm) -> None:
    aspects = [aspect, 1.1 * aspect, *[0.5] * (count - 2)]
    found = arranged(aspects, WIDTH_MM, height_mm)
    assert sorted(n for column in found.columns for n in column.numbers) == list(range(count))
    assert found.width_mm <= WIDTH_MM + 1e-9
    assert found.height_mm <= height_mm + 1e-9
    assert found.width_mm == pytest.approx(WIDTH_MM) or found.height_mm == pytest.approx(height_mm)
    for column in found.columns:
        tall = sum(column.width_mm / aspects[n] + CAPTION_MM for n in column.numbers)
        assert tall + 3.0 * (len(column.numbers) - 1) == pytest.approx(found.height_mm)


def test_tall_images_stand_side_by_side_and_square_ones_in_pairs() -> None:
    assert [column.numbers for column in arranged([0.25] * 6, WIDTH_MM, 95).columns] == [(n,) for n in range(6)]
    assert [column.numbers for column in arranged([1.0] * 4, WIDTH_MM, 160).columns] == [(0, 1), (2, 3)]
    assert GAP_MM == 4


def many(result, count, *, measured, notes):
    """A result with so many vertebrae."""
    first, template = result.reconstructions[0], result.comparisons[0]
    levels = LEVELS[:count]
    rebuilt = [
        replace(first, roi=VertebraROI(level, (0.0, 0.0, 30.0 - n), (40.0, 40.0, 20.0)), notes=())
        for n, level in enumerate(levels)
    ]
    return replace(
        result,
        reconstructions=tuple(rebuilt),
        comparisons=tuple(replace(template, level=level) for level in levels) if measured else (),
        remarks=tuple(f"Note {n}: " + "what the reader should know of it, " * 3 for n in range(notes)),
    )


@pytest.mark.parametrize("notes", [0, 2, 40])
@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("count", [1, 3, 8, 17, 24])
@pytest.mark.parametrize("shape", [(1200, 400), (600, 600)])
def test_what_the_parts_need_is_there(result, monkeypatch, count, measured, notes, shape) -> None:
    from types import SimpleNamespace

    one = many(result, count, measured=measured, notes=notes)
    view = SimpleNamespace(height=shape[0], width=shape[1])
    monkeypatch.setattr(type(one.case.geometry), "views", (view, view))
    drawn = Drawn("Rebuilt, front", np.zeros((200, max(50, 400 // count), 3), np.uint8), None, {})
    heat = [drawn, drawn] if measured else []
    _, below, pictures = module._largest(one, [drawn, drawn], heat, list(one.notes), 4.0)
    assert pictures.height_mm + below.least_mm <= module._ROOM_MM + 1e-6
    assert pictures.height_mm > 40


def test_notes_that_do_not_fit_are_counted() -> None:
    few = notes_list(["One.", "Two."], 100.0, 20.0)
    assert few.count("<li>") == 2
    many_ = notes_list([f"Sentence {n}." for n in range(30)], 100.0, 25.0)
    assert many_.count("<li>") == 5
    assert "26 more notes in summary.json" in many_
    assert notes_list([], 100.0, 20.0) == ""


def test_long_names_lose_their_middle() -> None:
    assert shortened("short") == "short"
    long = shortened("a" * 200 + "end")
    assert len(long) <= 96
    assert long.endswith("end")

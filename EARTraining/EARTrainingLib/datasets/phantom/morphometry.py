"""Mean sizes of the vertebrae T1 to L5, one named row per level.

Where the numbers come from:

- End-plate widths and depths, posterior body height, canal width and depth, pedicle width and height: after
  Panjabi MM et al., "Thoracic human vertebrae: quantitative three-dimensional anatomy", Spine 1991;16(8):888-901,
  and Panjabi MM et al., "Human lumbar vertebrae: quantitative three-dimensional anatomy", Spine
  1992;17(3):299-306 (12 adult spines; means, right and left pooled). Checked, against a secondary listing, are
  only the upper end-plate width, posterior height and canal of L1 to L5 and the canal of T11 and T12. The other
  entries were not checked against the papers and may differ from the print; those of the pedicles of T11 and of
  the lumbar spine are rounded or reduced by us for shape. Cite the papers, not this table.
- Transverse process span: after the same two papers, rounded, not checked; L4 and L5 altered by us.
- Articular facet width and height: after Panjabi MM et al., "Articular facets of the human spine: quantitative
  three-dimensional anatomy", Spine 1993;18(10):1298-1310, through a secondary listing; smoothed by us.
- Anterior body height: our choice; posterior height times a ratio that roughly follows Gilad I and Nissan M, J Anat
  1985;143:115-120 (lumbar) and Kunkel ME et al., J Anat 2011;219(3):375-387 (thoracic wedge).
- Lumbar disc height: our choice, after Bach K et al., World Neurosurg 2019;124:e106-e118, made smaller because
  ours is the gap between the rims and theirs the mean height. Thoracic disc heights are interpolated by us.
- Every other column (angles, spinous process, lamina, facet spacing, concavities) is chosen by us to look like
  the plates of an anatomy atlas.
"""

from __future__ import annotations

from typing import NamedTuple

LEVELS: tuple[str, ...] = tuple(f"T{n}" for n in range(1, 13)) + tuple(f"L{n}" for n in range(1, 6))

VERSE_LABEL: dict[str, int] = {level: 8 + index for index, level in enumerate(LEVELS)}
"""Label of each level in VerSe and CTSpine1K masks: T1 is 8, L5 is 24."""


class Body(NamedTuple):
    """Vertebral body and canal (mm), pedicle (mm and degrees)."""

    upper_width_mm: float
    lower_width_mm: float
    upper_depth_mm: float
    lower_depth_mm: float
    posterior_height_mm: float
    anterior_height_mm: float
    canal_width_mm: float
    canal_depth_mm: float
    pedicle_width_mm: float
    pedicle_height_mm: float
    pedicle_angle_deg: float


class Arch(NamedTuple):
    """Processes and laminae (mm and degrees)."""

    transverse_span_mm: float
    transverse_back_deg: float
    transverse_up_deg: float
    spinous_length_mm: float
    spinous_slope_deg: float
    spinous_height_mm: float
    lamina_height_mm: float
    posterior_concavity_mm: float
    lumbar_character: float


class Joint(NamedTuple):
    """Disc and facet joints between two neighbours (mm and degrees).

    ``facing_deg`` is where the lower vertebra's superior facet looks: 0 to the midline, 90 backwards.
    ``leaning_deg`` is how far its upper edge leans forwards.
    """

    disc_mm: float
    spacing_mm: float
    facing_deg: float
    leaning_deg: float
    facet_width_mm: float
    facet_height_mm: float


BODIES: dict[str, Body] = {
    #           EPWu  EPWl  EPDu  EPDl  VBHp  VBHa   SCW   SCD   PDW   PDH  angle
    "T1":  Body(24.5, 27.8, 18.5, 19.7, 14.1, 13.6, 21.8, 16.4,  8.5,  9.6, 28),
    "T2":  Body(24.9, 27.4, 19.6, 21.6, 15.6, 15.0, 19.5, 15.5,  8.2, 11.4, 22),
    "T3":  Body(24.6, 25.9, 22.7, 23.3, 15.7, 14.9, 18.3, 16.0,  6.8, 11.9, 16),
    "T4":  Body(24.5, 26.0, 23.3, 24.5, 16.2, 15.2, 17.2, 16.2,  6.3, 12.1, 13),
    "T5":  Body(24.9, 27.0, 24.3, 25.8, 16.2, 15.2, 17.1, 16.4,  6.0, 11.9, 11),
    "T6":  Body(26.2, 28.2, 26.0, 26.9, 17.4, 16.2, 17.3, 16.2,  6.0, 12.2, 10),
    "T7":  Body(27.8, 29.1, 27.4, 28.5, 18.2, 16.8, 17.3, 16.0,  6.0, 12.1,  9),
    "T8":  Body(29.5, 30.5, 27.9, 29.4, 18.7, 17.4, 17.7, 15.9,  6.7, 12.5,  8),
    "T9":  Body(30.6, 33.0, 29.3, 31.0, 19.3, 18.3, 17.9, 15.9,  7.7, 13.9,  8),
    "T10": Body(31.9, 35.4, 30.5, 31.6, 20.2, 19.3, 18.2, 15.7,  9.0, 14.9,  6),
    "T11": Body(34.9, 39.1, 31.9, 31.8, 21.3, 19.9, 19.4, 16.0,  9.8, 17.0,  3),
    "T12": Body(39.0, 42.1, 32.8, 33.4, 22.7, 21.2, 22.2, 18.1,  8.7, 16.7,  2),
    "L1":  Body(41.2, 43.3, 34.1, 35.3, 23.8, 22.6, 23.7, 19.0,  8.8, 15.9,  8),
    "L2":  Body(42.6, 45.5, 34.6, 34.9, 24.3, 23.9, 23.8, 18.2,  9.2, 15.0, 10),
    "L3":  Body(44.1, 48.0, 35.2, 34.8, 23.8, 24.2, 24.3, 17.5, 10.6, 14.4, 13),
    "L4":  Body(46.6, 49.5, 35.5, 33.9, 24.1, 25.0, 25.4, 18.6, 13.2, 15.5, 16),
    "L5":  Body(47.3, 49.4, 34.7, 33.2, 22.9, 26.2, 27.1, 19.7, 16.5, 16.5, 22),
}  # fmt: skip

ARCHES: dict[str, Arch] = {
    #         span  back  up  spinous: length slope height  lamina  concave lumbar
    "T1":  Arch(75, 18, 12,            30,   22,   10.0,    16.0,   0.6, 0.0),
    "T2":  Arch(69, 28, 12,            31,   32,    9.5,    17.0,   0.8, 0.0),
    "T3":  Arch(62, 36, 12,            32,   40,    9.0,    18.0,   1.0, 0.0),
    "T4":  Arch(60, 42, 12,            34,   46,    9.0,    18.5,   1.2, 0.0),
    "T5":  Arch(61, 45, 12,            37,   53,    9.0,    19.0,   1.4, 0.0),
    "T6":  Arch(61, 47, 12,            40,   57,    9.0,    19.5,   1.5, 0.0),
    "T7":  Arch(61, 48, 12,            41,   58,    9.0,    20.0,   1.6, 0.0),
    "T8":  Arch(60, 48, 12,            39,   56,    9.5,    20.5,   1.6, 0.0),
    "T9":  Arch(59, 48, 14,            35,   48,   10.5,    21.0,   1.6, 0.0),
    "T10": Arch(56, 48, 16,            31,   36,   12.0,    21.5,   1.6, 0.1),
    "T11": Arch(51, 45, 14,            27,   22,   14.5,    22.0,   1.5, 0.4),
    "T12": Arch(47, 40,  4,            26,   10,   17.5,    22.5,   1.5, 0.7),
    "L1":  Arch(71, 12,  2,            29,    6,   18.5,    25.0,   1.5, 1.0),
    "L2":  Arch(76, 11,  2,            31,    5,   19.0,    25.0,   1.5, 1.0),
    "L3":  Arch(86, 10,  3,            32,    5,   18.5,    24.0,   1.2, 1.0),
    "L4":  Arch(80, 13,  9,            29,    8,   15.5,    22.0,   0.8, 1.0),
    "L5":  Arch(88, 16, 14,            24,   14,   12.0,    19.0,   0.2, 1.0),
}  # fmt: skip

JOINTS: dict[str, Joint] = {
    # below:     disc spacing facing leaning  facet W     H
    "C7":  Joint(4.2,  29.0,  88,  28,       11.9, 12.5),
    "T1":  Joint(3.9,  25.0,  92,  26,       11.1, 11.2),
    "T2":  Joint(3.6,  23.0,  94,  24,        9.9, 11.0),
    "T3":  Joint(3.5,  22.0,  95,  22,       10.2, 11.0),
    "T4":  Joint(3.5,  21.5,  96,  20,        9.7, 10.9),
    "T5":  Joint(3.7,  21.5,  96,  20,        9.6, 10.3),
    "T6":  Joint(4.1,  21.5,  96,  19,        9.8, 10.6),
    "T7":  Joint(4.5,  21.5,  96,  18,       10.4, 10.9),
    "T8":  Joint(4.8,  22.0,  96,  17,       11.0, 11.6),
    "T9":  Joint(5.1,  22.5,  95,  16,       11.4, 12.4),
    "T10": Joint(5.4,  23.0,  94,  15,       11.4, 12.8),
    "T11": Joint(5.7,  24.0,  85,  13,       10.5, 12.8),
    "T12": Joint(6.1,  25.0,  28,   8,       11.5, 13.5),
    "L1":  Joint(6.9,  25.5,  28,   7,       12.4, 15.0),
    "L2":  Joint(7.6,  27.0,  33,   6,       12.7, 15.5),
    "L3":  Joint(8.2,  30.0,  40,   5,       13.8, 15.7),
    "L4":  Joint(8.6,  35.0,  48,   4,       14.7, 16.2),
    "L5":  Joint(8.0,  40.0,  52,   4,       15.6, 17.0),
}  # fmt: skip
"""Keyed by the vertebra above the joint; "C7" and "L5" only shape the outer facets of T1 and L5."""


def level_above(level: str) -> str:
    """Name of the vertebra above ``level``; C7 above T1."""
    return "C7" if level == LEVELS[0] else LEVELS[LEVELS.index(level) - 1]

"""Random vertebrae: sizes, wedging, asymmetry and irregularity drawn around the mean of a level.

The spreads are chosen by us, of the order of the spread between adults (about 7 % in size, a few per cent in
proportion); they are not fitted to a population.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .morphometry import JOINTS, Arch, Body, Joint, level_above
from .shape import Ripple, VertebraShape, mean_vertebra

_SIZE_SPREAD = 0.07
_COMPRESSION_CHANCE = 0.06
_COMPRESSION_RANGE = (0.08, 0.25)


def random_size(rng: np.random.Generator) -> float:
    """Overall size of a person's spine relative to the mean."""
    return float(np.clip(rng.normal(1.0, _SIZE_SPREAD), 0.82, 1.18))


def _factor(rng: np.random.Generator, spread: float) -> float:
    return float(np.exp(np.clip(rng.normal(), -2.2, 2.2) * spread))


def random_joint(level: str, rng: np.random.Generator, size: float = 1.0, variation: float = 1.0) -> Joint:
    """Disc and facets under ``level`` ("C7" gives the joint above T1)."""
    mean = JOINTS[level]
    return Joint(
        disc_mm=mean.disc_mm * size * _factor(rng, 0.10 * variation),
        spacing_mm=mean.spacing_mm * size * _factor(rng, 0.03 * variation),
        facing_deg=mean.facing_deg + 4.0 * variation * rng.normal(),
        leaning_deg=mean.leaning_deg + 2.0 * variation * rng.normal(),
        facet_width_mm=mean.facet_width_mm * size * _factor(rng, 0.06 * variation),
        facet_height_mm=mean.facet_height_mm * size * _factor(rng, 0.06 * variation),
    )


def random_ripple(rng: np.random.Generator, variation: float = 1.0, waves: int = 4) -> Ripple:
    """Irregularity of some tenths of a millimetre, with wavelengths of 25 to 70 mm."""
    lengths = rng.uniform(25.0, 70.0, waves)
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Steeper waves would bend the distance: keep the slope, and let the amplitude follow the wavelength.
    amplitudes = rng.normal(size=(waves, 3)) * (0.008 * variation * lengths)[:, None]
    wave_rows = directions * (2 * np.pi / lengths)[:, None]
    return Ripple(
        amplitudes_mm=tuple((float(a), float(b), float(c)) for a, b, c in amplitudes),
        waves_per_mm=tuple((float(a), float(b), float(c)) for a, b, c in wave_rows),
        phases=tuple(float(p) for p in rng.uniform(0, 2 * np.pi, waves)),
    )


def random_vertebra(
    level: str,
    rng: np.random.Generator,
    *,
    size: float | None = None,
    variation: float = 1.0,
    compression: float | None = None,
    marker_mm: float = 0.0,
    above: Joint | None = None,
    below: Joint | None = None,
) -> VertebraShape:
    """Draw a vertebra.

    ``size`` is the overall scale (drawn if None), ``variation`` scales every other spread, ``compression`` is the
    share of anterior height lost (None: mostly 0, sometimes a wedge fracture of up to 25 %), ``marker_mm``
    lengthens the left transverse process, ``above`` and ``below`` are joints shared with the neighbours.
    """
    size = random_size(rng) if size is None else size
    mean = mean_vertebra(level, marker_mm)

    def scaled(value: float, factor: float = 1.0, spread: float = 0.0) -> float:
        return value * size * factor * _factor(rng, spread * variation)

    width, depth, height = (_factor(rng, 0.035 * variation) for _ in range(3))
    if compression is None:
        fractured = rng.random() < _COMPRESSION_CHANCE * min(variation, 1.0)
        severity = rng.uniform(*_COMPRESSION_RANGE)
        compression = float(severity) if fractured else 0.0
    lost = 1.0 - compression
    m, a = mean.body, mean.arch
    body = Body(
        upper_width_mm=scaled(m.upper_width_mm, width, 0.015),
        lower_width_mm=scaled(m.lower_width_mm, width, 0.015),
        upper_depth_mm=scaled(m.upper_depth_mm, depth, 0.015),
        lower_depth_mm=scaled(m.lower_depth_mm, depth, 0.015),
        posterior_height_mm=scaled(m.posterior_height_mm, height, 0.015),
        anterior_height_mm=scaled(m.anterior_height_mm, height * lost, 0.02),
        canal_width_mm=scaled(m.canal_width_mm, 1.0, 0.05),
        canal_depth_mm=scaled(m.canal_depth_mm, 1.0, 0.05),
        pedicle_width_mm=scaled(m.pedicle_width_mm, 1.0, 0.10),
        pedicle_height_mm=scaled(m.pedicle_height_mm, height, 0.05),
        pedicle_angle_deg=m.pedicle_angle_deg + 2.5 * variation * rng.normal(),
    )
    arch = Arch(
        transverse_span_mm=scaled(a.transverse_span_mm, 1.0, 0.06),
        transverse_back_deg=a.transverse_back_deg + 4.0 * variation * rng.normal(),
        transverse_up_deg=a.transverse_up_deg + 5.0 * variation * rng.normal(),
        spinous_length_mm=scaled(a.spinous_length_mm, 1.0, 0.08),
        spinous_slope_deg=a.spinous_slope_deg + 3.0 * variation * rng.normal(),
        spinous_height_mm=scaled(a.spinous_height_mm, height, 0.06),
        lamina_height_mm=scaled(a.lamina_height_mm, height, 0.04),
        posterior_concavity_mm=scaled(a.posterior_concavity_mm, 1.0, 0.20),
        lumbar_character=a.lumbar_character,
    )
    dent = 1.0 + 2.0 * compression
    return replace(
        mean,
        body=body,
        arch=arch,
        above=above or random_joint(level_above(level), rng, size, variation),
        below=below or random_joint(level, rng, size, variation),
        endplate_concavity_mm=(
            scaled(mean.endplate_concavity_mm[0], dent, 0.25),
            scaled(mean.endplate_concavity_mm[1], 1.0, 0.25),
        ),
        waist_mm=scaled(mean.waist_mm, 1.0, 0.20),
        left_transverse_extra_mm=marker_mm + 1.5 * variation * rng.normal(),
        left_pedicle_scale=_factor(rng, 0.06 * variation),
        left_facet_turn_deg=3.0 * variation * rng.normal(),
        spinous_deviation_mm=1.5 * variation * rng.normal(),
        ripple=random_ripple(rng, variation),
    )

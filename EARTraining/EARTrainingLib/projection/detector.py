"""What an energy-integrating detector shows of the matter in the beam.

Three quantities, never mixed: *area density* [g/cm3 * mm], what the rays passed; *intensity* I, the energy that
arrives; *attenuation* -log(I/I0), what a radiograph is made of. None is ever rescaled to an image's own range: the same
matter gives the same grey value in every image.
"""

from __future__ import annotations

import math

import torch

from .spectrum import Spectrum


def detect(
    area_density: torch.Tensor,
    spectrum: Spectrum,
    photons: float | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Area densities (..., M, H, W) in g/cm3 * mm -> attenuation -log(I/I0) (..., H, W).

    I = sum_E share(E) E exp(-sum_m mu_m(E) area_density_m): the detector adds up energy, so soft photons are lost first
    and the beam hardens. Differentiable.

    photons: photons per pixel of the open beam; None gives an image without noise. The number that arrives is
    Poisson-distributed at every energy. One draw per pixel stands for all energies, of the number of equal photons
    that has the same relative variance, (sum n E)^2 / sum n E^2: mean and variance of I are those of a draw per energy.
    A pixel that no photon reached counts as reached by one. Noise has no gradient.
    """
    mu = torch.as_tensor(spectrum.attenuation_cm2_g / 10).to(area_density)  # cm2/g * g/cm3 * mm = 1/10
    energy = torch.as_tensor(spectrum.energies_kev).to(area_density)
    share = torch.as_tensor(spectrum.photon_share).to(area_density)
    exponent = -torch.einsum("em,...mhw->...ehw", mu, area_density)
    log_energy = torch.logsumexp(exponent + (share * energy).log()[:, None, None], -3)  # of I, per photon of the tube
    attenuation = (share * energy).sum().log() - log_energy
    if photons is None:
        return attenuation
    log_square = torch.logsumexp(exponent + (share * energy**2).log()[:, None, None], -3)
    log_count = math.log(photons) + 2 * log_energy - log_square
    drawn = torch.poisson(log_count.exp(), generator=generator).clamp_min(1)
    return attenuation + log_count - drawn.log()

"""Attenuation images: Beer-Lambert, beam hardening, noise."""

import numpy as np
import pytest
import torch
from EARTrainingLib.projection import MATERIALS, SPECTRA, Spectrum, detect, load_spectrum

WATER_100_MM = 103.0  # g/cm3 * mm


def uniform(soft, bone=0.0, size=1, dtype=torch.float64):
    """(M, size, size) area densities, the same in every pixel."""
    return torch.tensor([soft, bone], dtype=dtype)[:, None, None].expand(2, size, size).contiguous()


def relative_variance_of_the_signal(spectrum, area_density):
    """Var(I) / mean(I)^2 for one photon of the open beam, of Poisson numbers at every energy."""
    arriving = spectrum.photon_share * np.exp(-spectrum.attenuation_cm2_g @ area_density / 10)
    return (arriving @ spectrum.energies_kev**2) / (arriving @ spectrum.energies_kev) ** 2


@pytest.mark.parametrize("name", SPECTRA)
def test_the_open_beam_is_not_attenuated(name):
    assert float(detect(uniform(0.0), load_spectrum(name))) == pytest.approx(0, abs=1e-12)


def test_one_energy_follows_beer_and_lambert():
    single = Spectrum("50 keV", np.array([50.0]), np.array([1.0]), np.array([[0.2, 0.4]]))
    assert float(detect(uniform(100.0, 30.0), single)) == pytest.approx((0.2 * 100 + 0.4 * 30) / 10)


def test_the_detector_adds_up_energy():
    """Two energies by hand: I = sum of share * E * exp(-mu x)."""
    two = Spectrum("two", np.array([30.0, 60.0]), np.array([0.25, 0.75]), np.array([[0.4, 1.0], [0.2, 0.3]]))
    intensity = 0.25 * 30 * np.exp(-0.4 * 2 - 1.0) + 0.75 * 60 * np.exp(-0.2 * 2 - 0.3)
    assert float(detect(uniform(20.0, 10.0), two)) == pytest.approx(-np.log(intensity / (0.25 * 30 + 0.75 * 60)))


@pytest.mark.parametrize("material", range(len(MATERIALS)))
def test_the_beam_hardens(material):
    """Twice the matter attenuates less than twice as much, and ever less per millimetre."""
    density = torch.zeros(len(MATERIALS), 1, 20, dtype=torch.float64)
    density[material, 0] = torch.linspace(0, 200, 20)
    steps = detect(density, load_spectrum())[0].diff()
    assert (steps > 0).all()
    assert (steps.diff() < 0).all()


def test_bone_attenuates_more_than_soft_tissue_and_soft_beams_more_than_hard_ones():
    images = [[float(detect(d, load_spectrum(n))) for n in SPECTRA] for d in (uniform(20.0), uniform(0.0, 20.0))]
    soft, bone = np.array(images)
    assert (bone > 1.5 * soft).all()
    assert (np.diff(soft) < 0).all()
    assert (np.diff(bone) < 0).all()


def test_grey_values_do_not_depend_on_the_rest_of_the_image():
    density = torch.rand(2, 16, 16, dtype=torch.float64) * 100
    whole = detect(density, load_spectrum())
    torch.testing.assert_close(detect(density[:, 3:9, 5:8], load_spectrum()), whole[3:9, 5:8])


def test_batches_are_images_beside_each_other():
    density = torch.rand(3, 4, 2, 5, 6) * 100
    images = detect(density, load_spectrum())
    assert images.shape == (3, 4, 5, 6)
    torch.testing.assert_close(images[2, 1], detect(density[2, 1], load_spectrum()))


def test_gradient_against_finite_differences():
    density = (torch.rand(2, 2, 3, dtype=torch.float64) * 50).requires_grad_()
    torch.autograd.gradcheck(lambda d: detect(d, load_spectrum()), density)


@pytest.mark.parametrize("photons", [1e4, 1e6])
@pytest.mark.parametrize("area_density", [(0.0, 0.0), (60.0, 10.0)], ids=["open", "body"])
def test_noise_has_the_mean_and_variance_of_poisson_numbers_at_every_energy(photons, area_density):
    spectrum = load_spectrum()
    density = uniform(*area_density, size=300)
    noisy = detect(density, spectrum, photons, torch.Generator().manual_seed(0))
    ratio = torch.exp(detect(density, spectrum) - noisy)  # noisy intensity over that without noise
    expected = relative_variance_of_the_signal(spectrum, np.array(area_density)) / photons
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * np.sqrt(expected) / 300)
    assert float(ratio.var()) == pytest.approx(expected, rel=0.03)


def test_the_noise_formula_is_that_of_a_simulated_detector():
    """The variance the test above expects, from single photons drawn at every energy."""
    spectrum, rng = load_spectrum(), np.random.default_rng(0)
    area_density = np.array([60.0, 10.0])
    arriving = 1e5 * spectrum.photon_share * np.exp(-spectrum.attenuation_cm2_g @ area_density / 10)
    intensity = rng.poisson(arriving, (20000, len(arriving))) @ spectrum.energies_kev
    relative = intensity.var() / intensity.mean() ** 2
    assert relative == pytest.approx(relative_variance_of_the_signal(spectrum, area_density) / 1e5, rel=0.03)


def test_noise_is_independent_between_pixels_and_repeatable():
    spectrum, density = load_spectrum(), uniform(60.0, size=200)
    first, again = (detect(density, spectrum, 1e4, torch.Generator().manual_seed(7)) for _ in range(2))
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert not torch.equal(first, detect(density, spectrum, 1e4, torch.Generator().manual_seed(8)))
    left, right = first[:, :-1].flatten(), first[:, 1:].flatten()
    assert abs(float(torch.corrcoef(torch.stack([left, right]))[0, 1])) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("photons", [None, 1e4])
def test_metres_of_bone_give_a_number(dtype, photons):
    """No overflow to infinity where no photon arrives; at best one photon is counted."""
    image = detect(uniform(1000.0, 5000.0, size=4, dtype=dtype), load_spectrum(), photons)
    assert image.dtype == dtype
    assert image.isfinite().all()
    if photons is not None:
        assert (image < np.log(2 * photons)).all()


def test_100_mm_of_water_attenuate_as_tables_say():
    """Less than at the mean of the open beam (NIST, 37.5 keV: 0.277 cm2/g), more than at 45 keV (0.243 cm2/g)."""
    assert 10.3 * 0.243 < float(detect(uniform(WATER_100_MM), load_spectrum())) < 10.3 * 0.277

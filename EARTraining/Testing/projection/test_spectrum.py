"""The shipped tables."""

import numpy as np
import pytest
from EARTrainingLib.projection import MATERIALS, SPECTRA, load_spectrum

any_spectrum = pytest.mark.parametrize("name", SPECTRA)


@any_spectrum
def test_shares_sum_to_one_and_end_at_the_tube_voltage(name):
    spectrum = load_spectrum(name)
    assert spectrum.photon_share.sum() == pytest.approx(1, abs=1e-12)
    assert (spectrum.photon_share > 0).all()
    assert float(name.split("kV")[0]) - 1 < spectrum.energies_kev.max() < float(name.split("kV")[0])
    assert spectrum.attenuation_cm2_g.shape == (len(spectrum.energies_kev), len(MATERIALS))


def test_the_papers_spectrum_comes_first_with_its_mean_energy():
    assert SPECTRA[0] == "60kV-3.5mmAl"
    assert load_spectrum().name == SPECTRA[0]
    assert load_spectrum().mean_kev == pytest.approx(37.5, abs=1)


def test_a_higher_tube_voltage_is_harder():
    means = [load_spectrum(name).mean_kev for name in ("60kV-3.5mmAl", "70kV-3.0mmAl", "80kV-2.5mmAl")]
    assert np.all(np.diff(means) > 2)


def test_characteristic_lines_of_tungsten_stand_out_at_80_kv_only():
    """K alpha at 57.98 and 59.32 keV, excited above the K edge of 69.5 keV."""
    for name, peaked in (("80kV-2.5mmAl", True), ("60kV-3.5mmAl", False)):
        spectrum = load_spectrum(name)
        at = dict(zip(spectrum.energies_kev, spectrum.photon_share, strict=True))
        assert (at[59.5] > 1.3 * at[56.5]) == peaked


@pytest.mark.parametrize(
    ("material", "energy_kev", "published"),
    [
        ("soft", 20, 0.823),
        ("soft", 30, 0.379),
        ("soft", 40, 0.2688),
        ("soft", 60, 0.2048),
        ("bone", 20, 4.001),
        ("bone", 30, 1.331),
        ("bone", 40, 0.6655),
        ("bone", 60, 0.3148),
    ],
)
def test_attenuation_is_near_nists(material, energy_kev, published):
    """NIST's tables for the ICRU-44 tissues; ours are the ICRP ones, with a little more fat and less calcium."""
    spectrum = load_spectrum("80kV-2.5mmAl")
    column = spectrum.attenuation_cm2_g[:, MATERIALS.index(material)]
    value = np.exp(np.interp(np.log(energy_kev), np.log(spectrum.energies_kev), np.log(column)))
    assert value == pytest.approx(published, rel=0.08)


def test_an_unknown_spectrum_names_those_that_exist():
    with pytest.raises(ValueError, match=SPECTRA[0]):
        load_spectrum("60KV_35AL")

"""HU to soft tissue and bone."""

import pytest
import torch
from EARTrainingLib.projection import MATERIALS, density_from_hu, material_densities

SCALE = torch.arange(-1100.0, 2500.0)[:, None, None]


@pytest.mark.parametrize(("hu", "density"), [(-1000, 0.001), (-500, 0.5155), (0, 1.03), (1000, 1.6186), (-3024, 0.0)])
def test_density_of_known_hu(hu, density):
    assert float(density_from_hu(torch.tensor(float(hu)))) == pytest.approx(density, abs=1e-5)


def test_density_grows_with_hu():
    assert (density_from_hu(SCALE).diff(dim=0) >= 0).all()


def test_soft_tissue_is_soft_and_cortex_is_bone():
    assert MATERIALS == ("soft", "bone")
    soft, bone = material_densities(torch.tensor([40.0, 1200.0]).view(2, 1, 1)).flatten(1)
    torch.testing.assert_close(soft, torch.tensor([1.03 + 0.0005886 * 40, 0.0]))
    torch.testing.assert_close(bone, torch.tensor([0.0, 1.03 + 0.0005886 * 1200]))


def test_materials_add_up_to_the_density_above_air():
    tissue = SCALE[SCALE.flatten() >= -700]
    torch.testing.assert_close(material_densities(tissue).sum(0), density_from_hu(tissue))


def test_air_is_nothing_at_all():
    air = torch.tensor([-3024.0, -1024.0, -1000.0, -950.0, -900.0]).view(5, 1, 1)
    assert (material_densities(air) == 0).all()


def test_materials_change_place_half_and_half_at_the_thresholds():
    soft, bone = material_densities(torch.tensor([-800.0, 350.0]).view(2, 1, 1)).flatten(1)
    assert float(soft[0]) == pytest.approx(float(density_from_hu(torch.tensor(-800.0))) / 2)
    assert float(soft[1]) == pytest.approx(float(bone[1]))


def test_no_material_jumps():
    """One HU of noise moves less than 1 % of a material to the other; a threshold would move all of it."""
    assert material_densities(SCALE).diff(dim=-3).abs().max() < 0.01


def test_a_voxel_cut_by_a_surface_keeps_its_mass():
    for inside, outside, shares in [(1200.0, 40.0, (0.25, 0.5, 0.75)), (-50.0, -1000.0, (0.35, 0.5, 0.75))]:
        for share in shares:
            mixed = torch.full((1, 1, 1), share * inside + (1 - share) * outside)
            parts = density_from_hu(torch.tensor([inside, outside]))
            expected = share * parts[0] + (1 - share) * parts[1]
            assert float(material_densities(mixed).sum()) == pytest.approx(float(expected), abs=0.002)


def test_leading_dimensions_are_kept():
    hu = torch.randn(3, 5, 4, 6, 7) * 500
    materials = material_densities(hu)
    assert materials.shape == (3, 5, 2, 4, 6, 7)
    torch.testing.assert_close(materials[1, 2], material_densities(hu[1, 2]))

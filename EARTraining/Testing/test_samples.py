"""Samples: the same in every process and after a resume, new noise in every epoch, lined up with their target."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import transform_points
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.projection import ACQUISITIONS
from EARTrainingLib.samples import Samples, stacked, stored_sample
from EARTrainingLib.simulation import Simulation
from torch.utils.data import DataLoader

LIVE = Simulation(protocol="isolated")


@pytest.fixture(scope="module")
def data(prepared_folder):
    return PreparedDataset.open(prepared_folder)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def meeting(sample):
    """Where the two lifted images agree that there is more than air."""
    seen = []
    for volume, image in zip(sample.lifted, sample.images, strict=True):
        air, most = image.min(), image.max()
        seen.append(volume > air + 0.08 * (most - air))
    return (seen[0] & seen[1])[None]


@pytest.mark.parametrize("live", [False, True])
def test_images_lift_and_target_show_one_bone(data, live):
    """No bone lies outside of what both images allow; the target's own voxels nearly all lie inside of it."""
    samples = Samples(data, "train", lift="backproject", simulation=LIVE if live else None)
    for index in range(len(samples)):
        sample = samples[index]
        assert sample.images.shape == (2, 32, 32)
        assert sample.lifted.shape == (2, 32, 32, 32)
        assert sample.target_hu.shape == sample.mask.shape == (1, 32, 32, 32)
        assert [x.dtype for x in sample] == [torch.float32] * 3 + [torch.bool]
        assert (sample.target_hu[sample.mask] > -800).all()
        assert 150 < sample.mask.sum() < 2500
        hull = torch.nn.functional.max_pool3d(meeting(sample).float(), 3, 1, 1) > 0
        assert hull[sample.mask].float().mean() > 0.9
        assert hull.float().mean() < 0.25


def test_stored_images_are_those_of_the_stored_views(data):
    """The tip of the left process is dark where its view sends it, in the frontal image."""
    for row in data.rows:
        sample, xrays, volume = stored_sample(data, row, "replicate"), data.xrays(row), data.volume(row)
        k, j, i = np.nonzero(data.mask(row))
        points = transform_points(volume.ras_from_ijk, np.stack([i, j, k], -1))
        tip = points[points[:, 0] < points[:, 0].min() + 8].mean(0)
        (u, v), _ = xrays.views[0].project(tip)
        image = sample.images[0]
        assert image[int(v), int(u)] > image.median() + 0.3
        (u, v), _ = xrays.views[0].project(np.add(row.centre_ras_mm, (31, 0, 0)))
        assert image[int(v), int(u)] < image.median() + 0.1


class TestNoise:
    def test_every_epoch_and_every_sample_has_its_own(self, data):
        samples = Samples(data, "train", lift="replicate")
        first = [samples[n] for n in range(4)]
        samples.set_epoch(1)
        second = [samples[n] for n in range(4)]
        samples.set_epoch(0)
        for n in range(4):
            assert same(first[n], samples[n])
            assert not torch.equal(first[n].images, second[n].images)
            assert torch.equal(first[n].target_hu, second[n].target_hu)
            torch.testing.assert_close(first[n].images, second[n].images, atol=0.5, rtol=0)

    def test_validation_does_not_change(self, data):
        for simulation in (None, LIVE.undeformed()):
            samples = Samples(data, "validation", lift="replicate", simulation=simulation, random=False)
            before = samples[0]
            samples.set_epoch(5)
            assert same(before, samples[0])

    def test_seeds_differ(self, data):
        one, two = (Samples(data, "train", lift="replicate", seed=seed)[0] for seed in (0, 1))
        assert not torch.equal(one.images, two.images)

    def test_without_a_seed_there_is_none(self, data):
        row = data.rows[0]
        assert same(stored_sample(data, row, "replicate"), stored_sample(data, row, "replicate"))
        noisy = stored_sample(data, row, "replicate", (1,))
        assert not torch.equal(noisy.images, stored_sample(data, row, "replicate").images)


@pytest.mark.parametrize("live", [False, True])
def test_workers_that_outlive_an_epoch_see_the_next_one(data, live):
    samples = Samples(data, "train", lift="backproject", simulation=LIVE if live else None)
    loader = DataLoader(samples, batch_size=2, num_workers=2, persistent_workers=True)
    for epoch in (0, 1):
        samples.set_epoch(epoch)
        loaded = [[part.clone() for part in batch] for batch in loader]
        here = [stacked([samples[2 * n], samples[2 * n + 1]]) for n in range(2)]
        for a, b in zip(loaded, here, strict=True):
            assert same(a, b)


class TestDraws:
    def test_every_vertebra_once_by_default(self, data):
        samples = Samples(data, "train", lift="replicate")
        assert [samples.row(n).id for n in range(len(samples))] == [row.id for row in data.rows_of("train")]

    def test_half_phantoms_and_levels_evenly(self, data):
        samples = Samples(data, "train", lift="replicate", count=400)
        assert len(samples) == 400
        rows = [samples.row(n) for n in range(400)]
        assert sum(row.density == "phantom" for row in rows) == pytest.approx(200, abs=45)
        real = [row.level for row in rows if row.density != "phantom"]
        assert real.count("T12") == pytest.approx(len(real) / 2, abs=35)
        samples.set_epoch(1)
        assert [samples.row(n).id for n in range(400)] != [row.id for row in rows]

    def test_seeds_draw_others(self, data):
        drawn = [
            [samples.row(n).id for n in range(40)]
            for samples in (Samples(data, "train", lift="replicate", count=40, seed=seed) for seed in (0, 1))
        ]
        assert drawn[0] != drawn[1]

    @pytest.mark.parametrize(("share", "phantoms"), [(0.0, 0), (1.0, 100), (0.2, 20)])
    def test_the_share_of_phantoms_can_be_chosen(self, data, share, phantoms):
        samples = Samples(data, "train", lift="replicate", count=100, phantom_share=share)
        assert sum(samples.row(n).density == "phantom" for n in range(100)) == pytest.approx(phantoms, abs=10)

    def test_one_kind_alone_takes_all(self, data):
        samples = Samples(data, "test", lift="replicate", count=20)
        assert {samples.row(n).level for n in range(20)} == {"L1", "L2"}


def test_live_x_rays_are_of_the_angle_that_is_asked_for(data):
    """A right angle and a flat one see the same bone differently from the front and alike from the side."""
    one, two = (
        Samples(
            data,
            "test",
            lift="backproject",
            random=False,
            simulation=replace(
                LIVE.undeformed(), acquisition=replace(ACQUISITIONS["nominal"], angle_deg=(angle, angle))
            ),
        )[0]
        for angle in (90, 130)
    )
    assert torch.equal(one.images[1], two.images[1])
    assert not torch.allclose(one.images[0], two.images[0], atol=0.5)


def test_the_paper_field_takes_replicated_images_from_disk_only(data):
    resized = replace(data, settings={**data.settings, "field": "paper"})
    Samples(resized, "train", lift="replicate")
    for lift, simulation in (("backproject", None), ("replicate", LIVE)):
        with pytest.raises(EARError, match="field 'paper'"):
            Samples(resized, "train", lift=lift, simulation=simulation)


class TestLenders:
    """Bodies of those who have a CT, for those who have none."""

    def lenders(self, data, lent, protocol="in-situ", split="train"):
        """Row -> persons and levels that lent it a body, over some epochs."""
        simulation = Simulation(protocol, lent=lent)
        samples, found = Samples(data, split, lift="replicate", simulation=simulation), {}
        for epoch in range(12):
            samples.set_epoch(epoch)
            for index in range(len(samples)):
                lender = samples.raw(index).lender
                if lender is not None:
                    found.setdefault(samples.row(index).id, set()).add((lender.person, lender.level))
        return found

    def test_they_lend_to_vertebrae_without_ct_in_their_split(self, data):
        both = {("p1", "T12"), ("p1", "L1")}
        assert self.lenders(data, 1.0) == {"phantom-p2-L1": both, "phantom-p2-L2": {("p1", "L1")}}

    def test_so_do_those_of_the_split_surroundings_in_training_alone(self, data):
        rows = tuple(row for row in data.rows if row.patient != "p1")
        lenders = tuple(row for row in data.rows if row.patient == "p1")
        apart = replace(data, rows=rows, lenders=lenders)
        both = {("p1", "T12"), ("p1", "L1")}
        assert self.lenders(apart, 1.0) == {"phantom-p2-L1": both, "phantom-p2-L2": {("p1", "L1")}}
        assert not any("p1" in row.id for split in ("train", "test") for row in apart.rows_of(split))
        assert self.lenders(apart, 1.0, split="test") == {}

    def test_to_none_that_is_far_from_their_level(self, data, monkeypatch):
        monkeypatch.setattr("EARTrainingLib.samples.LENDER_LEVELS", 0)
        assert self.lenders(data, 1.0) == {"phantom-p2-L1": {("p1", "L1")}}

    def test_only_in_situ_and_in_a_share_of_the_samples(self, data):
        assert self.lenders(data, 1.0, protocol="column") == {}
        assert self.lenders(data, 0.0) == {}
        samples = Samples(data, "train", lift="replicate", simulation=Simulation("in-situ", lent=0.4), count=300)
        lent = [samples.raw(n).lender is not None for n in range(300) if samples.row(n).density == "phantom"]
        assert 0.25 < np.mean(lent) < 0.55

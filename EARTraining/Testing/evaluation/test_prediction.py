"""Predictions from stored X-rays: the right vertebra, in HU, in batches that fit, and no wrong grid."""

import pickle

import numpy as np
import pytest
import torch
from EARReconstructionLib.bundle import load_bundle
from EARReconstructionLib.errors import BundleError, DeviceError, EARError
from EARReconstructionLib.networks.network import NetworkOutput
from EARReconstructionLib.surface import points_of
from EARReconstructionLib.volume_io import read_volume
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.evaluation import prediction as module
from EARTrainingLib.evaluation.prediction import (
    Prediction,
    Truth,
    check_fit,
    fit_notes,
    predictions,
    write_prediction,
)
from EARTrainingLib.samples import noise_seed, stored_sample


@pytest.fixture(scope="module")
def bundle(models):
    return load_bundle(models["exact"])


@pytest.fixture
def rows(dataset):
    return dataset.rows_of("test")


class TestVolumes:
    def test_each_row_gets_what_the_network_makes_of_its_own_x_rays_in_hu(self, bundle, dataset, rows):
        made = list(predictions(bundle, dataset, rows, device="cpu"))
        assert [p.truth.row.id for p in made] == [row.id for row in rows]
        for p, row in zip(made[:2], rows, strict=False):
            noisy = stored_sample(dataset, row, "backproject", noise_seed(row))
            with torch.inference_mode():
                z = bundle.network()(noisy.lifted[None]).volume[0, 0].numpy()
            np.testing.assert_allclose(p.volume_hu, z * 300 - 900, rtol=0, atol=1e-2)
            assert p.volume_hu.dtype == np.float32
            assert (p.mask == (p.volume_hu > -850)).all()
        assert np.abs(made[0].volume_hu - made[1].volume_hu).max() > 1

    def test_the_size_of_the_batch_changes_nothing(self, bundle, dataset, rows):
        one, three = (list(predictions(bundle, dataset, rows, device="cpu", batch_size=n)) for n in (1, 3))
        for a, b in zip(one, three, strict=True):
            np.testing.assert_allclose(a.volume_hu, b.volume_hu, rtol=0, atol=0.05)

    def test_truth_is_what_the_data_set_holds(self, dataset, rows):
        truth = Truth.read(dataset, rows[0])
        assert (truth.volume_hu[~truth.mask] == -1000).all()
        low, high = points_of(truth.surface).min(0), points_of(truth.surface).max(0)
        centre = np.array(rows[0].centre_ras_mm)
        assert (low < centre).all()
        assert (centre < high).all()
        assert np.abs((low + high) / 2 - centre).max() < 3

    def test_noise_is_the_same_for_every_model_and_run(self, bundle, dataset, rows, monkeypatch, models):
        seen = []
        run = module.run_network
        monkeypatch.setattr(module, "run_network", lambda n, x, d: seen.append(x[0].images) or run(n, x, d))
        list(predictions(bundle, dataset, rows[:1], device="cpu"))
        list(predictions(load_bundle(models["larger"]), dataset, rows[:1], device="cpu"))
        assert torch.equal(seen[0], seen[1])
        clean = stored_sample(dataset, rows[0], "backproject").images
        assert 0 < (seen[0] - clean).abs().max() < 0.5


class TestSurfaces:
    def test_where_there_is_no_bone_there_is_no_surface(self, truths):
        nothing = Prediction(truths[0], np.full_like(truths[0].volume_hu, -1000), None, 0.0)
        assert nothing.surface is nothing.error is nothing.coloured is None

    def test_a_speck_has_a_surface_and_no_distance(self, truths):
        volume = np.full_like(truths[0].volume_hu, -1000)
        volume[1, 1, 1] = 500
        speck = Prediction(truths[0], volume, None, 0.0)
        assert speck.surface is not None
        assert speck.error is speck.coloured is None

    def test_colours_are_the_distances(self, truths, make_grown):
        made = make_grown(truths[0], 3.0)
        values = np.array(made.coloured.GetPointData().GetScalars())
        assert 2 < np.median(values) < 4

    def test_it_travels_to_another_process(self, truths, make_grown):
        made = pickle.loads(pickle.dumps(make_grown(truths[0], 3.0)))
        assert made.truth.row == truths[0].row


class Memory:
    """A device that holds only so many vertebrae at once."""

    def __init__(self, holds):
        self.holds, self.sizes = holds, []

    def __call__(self, network, inputs, device):
        self.sizes.append(len(inputs))
        if len(inputs) > self.holds:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        volume = torch.stack([one.lifted[:1] for one in inputs])
        return NetworkOutput(volume, None)


class TestMemory:
    def test_batches_shrink_until_they_fit_and_no_vertebra_is_lost(self, bundle, dataset, rows, monkeypatch):
        memory = Memory(1)
        monkeypatch.setattr(module, "run_network", memory)
        made = list(predictions(bundle, dataset, rows, device="cpu", batch_size=4))
        assert memory.sizes == [4, 2, 1, 1, 1, 1, 1]
        assert [p.truth.row.id for p in made] == [row.id for row in rows]
        for p, row in zip(made, rows, strict=True):
            sample = stored_sample(dataset, row, "backproject", noise_seed(row))
            np.testing.assert_allclose(p.volume_hu, sample.lifted[0].numpy() * 300 - 900, atol=0.01)

    def test_one_that_does_not_fit_is_told(self, bundle, dataset, rows, monkeypatch):
        monkeypatch.setattr(module, "run_network", Memory(0))
        with pytest.raises(DeviceError, match="too small for one vertebra"):
            list(predictions(bundle, dataset, rows, device="cpu", batch_size=4))

    def test_other_errors_are_not_taken_for_it(self, bundle, dataset, rows, monkeypatch):
        def broken(*_):
            raise RuntimeError("something else")

        monkeypatch.setattr(module, "run_network", broken)
        with pytest.raises(RuntimeError, match="something else"):
            list(predictions(bundle, dataset, rows, device="cpu"))


def test_a_network_that_gives_no_numbers_is_refused_by_name(bundle, dataset, rows, monkeypatch):
    nan = NetworkOutput(torch.full((1, 1, 32, 32, 32), torch.nan), None)
    monkeypatch.setattr(module, "run_network", lambda *_: nan)
    with pytest.raises(BundleError, match=f"no numbers for {rows[0].id}"):
        list(predictions(bundle, dataset, rows, device="cpu"))


class TestFit:
    @pytest.mark.parametrize(
        ("changed", "options"),
        [
            ({"size": 64}, "--field cube --size 64 --spacing 3"),
            ({"spacing_mm": 1.5}, "--field cube --size 32 --spacing 1.5"),
            ({"field": "paper", "lift": "replicate"}, "--field paper --size 32"),
        ],
    )
    def test_another_grid_is_refused_with_the_command_that_helps(
        self, dataset, rows, write_model, tmp_path, changed, options
    ):
        other = write_model(tmp_path / "other.safetensors", **changed)
        with pytest.raises(EARError) as told:
            check_fit(other, dataset)
        assert options in str(told.value)
        assert str(other.path) in str(told.value)
        with pytest.raises(EARError):
            next(predictions(other, dataset, rows, device="cpu"))

    def test_in_the_paper_field_only_size_and_field_count(self, dataset, write_model, tmp_path):
        other = write_model(tmp_path / "other.safetensors", field="paper", lift="replicate", spacing_mm=0.7)
        boxes = PreparedDataset(dataset.folder, {**dataset.settings, "field": "paper"}, dataset.rows, (0.0, 1.0))
        check_fit(other, boxes)
        with pytest.raises(EARError, match="own box"):
            check_fit(write_model(tmp_path / "cube.safetensors"), boxes)

    def test_notes_say_what_lies_outside_its_training(self, dataset, rows, write_model, tmp_path):
        same = {"data": dataset.fingerprint}
        known = write_model(tmp_path / "a.safetensors", provenance=same, levels=("C5", "T12", "L1", "L2"))
        assert fit_notes(known, dataset, rows) == []
        (note,) = fit_notes(known, dataset, dataset.rows)
        assert "some of these patients" in note
        other = write_model(tmp_path / "b.safetensors", protocol="column")
        notes = " ".join(fit_notes(other, dataset, rows))
        for word in ("other data", "'column'", "'isolated'", "not made for C5"):
            assert word in notes


def test_written_volumes_stand_in_their_place(truths, make_grown, tmp_path):
    made = make_grown(truths[0], 3.0)
    write_prediction(tmp_path / "v.nrrd", made, "EAR")
    back = read_volume(tmp_path / "v.nrrd")
    assert back.array.dtype == np.int16
    np.testing.assert_array_equal(back.array, np.rint(made.volume_hu))
    np.testing.assert_allclose(back.ras_from_ijk, truths[0].ras_from_ijk, atol=1e-6)
    assert back.metadata["model"] == "EAR"
    assert float(back.metadata["threshold_hu"]) == 0.0

"""Which samples a step takes: the same on one device and on many, and from the middle of an epoch on."""

from dataclasses import replace
from itertools import chain, pairwise

import pytest
import torch
from EARTrainingLib.deformation import UNDEFORMED
from EARTrainingLib.samples import Samples
from EARTrainingLib.training import data as module
from EARTrainingLib.training.data import Data, Even, Order
from EARTrainingLib.training.errors import RecipeError


class Counted:
    """As many samples as one likes."""

    def __init__(self, count):
        self.count, self.epoch = count, None

    def __len__(self):
        return self.count

    def set_epoch(self, epoch):
        self.epoch = epoch


def passes(order):
    numbers = list(order)
    return [numbers[n : n + order.share] for n in range(0, len(numbers), order.share)]


class TestOrder:
    def test_an_epoch_takes_each_sample_once_at_most(self, recipe):
        order = Order(Counted(11), replace(recipe, batch_size=3))
        numbers = list(order)
        assert len(numbers) == len(order) == 9
        assert len(set(numbers)) == 9
        assert set(numbers) <= set(range(11))

    def test_epochs_and_seeds_differ_and_repeat(self, recipe):
        def drawn(epoch, **changes):
            order = Order(Counted(40), replace(recipe, **changes))
            order.set_epoch(epoch)
            assert order.samples.epoch == (epoch or None)
            return list(order)

        assert drawn(3) == drawn(3)
        assert len({tuple(drawn(0)), tuple(drawn(1)), tuple(drawn(2)), tuple(drawn(0, seed=1))}) == 4

    @pytest.mark.parametrize("world", [2, 4])
    def test_devices_share_what_one_device_takes_in_a_pass(self, recipe, world):
        recipe = replace(recipe, batch_size=8)
        alone = passes(Order(Counted(50), recipe))
        shared = [passes(Order(Counted(50), recipe, rank, world)) for rank in range(world)]
        assert [list(chain(*parts)) for parts in zip(*shared, strict=True)] == alone
        assert {len(order) for order in shared} == {6}

    def test_an_epoch_holds_whole_steps_only(self, recipe):
        order = Order(Counted(23), replace(recipe, batch_size=2, accumulate=3))
        assert order.passes == 9
        assert len(order) == 18

    def test_begins_in_the_middle_once(self, recipe):
        order = Order(Counted(12), replace(recipe, batch_size=2))
        order.go_to(5)
        whole = list(order)
        order.go_to(5, 2)
        assert len(order) == 12  # of the whole epoch
        order.set_epoch(5)  # Lightning says it again when it resumes
        assert list(order) == whole[4:]
        order.set_epoch(6)
        assert len(list(order)) == 12

    def test_a_batch_that_does_not_spread_is_refused(self, recipe):
        with pytest.raises(RecipeError, match=r"batch_size: 2 samples.*3 devices.*multiple of 3"):
            Order(Counted(12), recipe, 0, 3)

    def test_too_few_samples_are_refused(self, recipe):
        with pytest.raises(RecipeError, match="a step takes 8 samples, and there are 5"):
            Order(Counted(5), replace(recipe, accumulate=4))


class TestEven:
    @pytest.mark.parametrize(("count", "world"), [(7, 1), (7, 2), (7, 3), (6, 3), (2, 4)])
    def test_each_position_once_and_as_many_for_each(self, count, world):
        shares = [list(Even(count, rank, world)) for rank in range(world)]
        assert len({len(share) for share in shares}) == 1
        assert sorted(p for share in shares for p in share if p < count) == list(range(count))
        assert all(b - a == world for share in shares for a, b in pairwise(share))


class Trainer:
    """What Data asks Lightning for."""

    def __init__(self):
        self.global_rank, self.world_size = 0, 1
        self.strategy = type("Strategy", (), {"root_device": torch.device("cpu")})
        self.training = True


def loaders(dataset, recipe, workers=0):
    data = Data(dataset, recipe, workers)
    data.trainer = Trainer()
    return data, data.train_dataloader(), data.val_dataloader()


class TestData:
    def test_batches_hold_the_samples_of_the_order(self, dataset, recipe):
        data, training, validation = loaders(dataset, recipe)
        assert data.steps_per_epoch() == len(training) == 2
        order = list(Order(data.training, recipe))
        samples = Samples(dataset, "train", lift=recipe.lift, seed=recipe.seed)
        for n, batch in enumerate(training):
            assert batch.numbers == order[2 * n : 2 * n + 2]
            for place, number in enumerate(batch.numbers):
                for ours, theirs in zip(batch.sample, samples[number], strict=True):
                    assert torch.equal(ours[place], theirs)
            assert data.names(batch.numbers) == [samples.row(number).id for number in batch.numbers]
        shown = list(validation)
        assert [batch.numbers for batch in shown] == [[0], [1], [2]]
        assert {batch.sample.mask.shape for batch in shown} == {(1, 1, 32, 32, 32)}

    def test_workers_make_no_difference_and_follow_the_epochs(self, dataset, recipe):
        recipe = replace(recipe, xrays="live")
        _, alone, _ = loaders(dataset, recipe)
        _, helped, _ = loaders(dataset, recipe, workers=1)
        seen = []
        for epoch in (0, 1):
            for loader in (alone, helped):
                loader.sampler.set_epoch(epoch)
            ours, theirs = list(alone), list(helped)
            for a, b in zip(ours, theirs, strict=True):
                assert a.numbers == b.numbers
                assert torch.equal(a.sample.target_hu, b.sample.target_hu)
                assert torch.equal(a.sample.images, b.sample.images)
            seen.append({number: batch.sample for batch in ours for number in batch.numbers[:1]})
        assert not any(
            torch.equal(seen[0][number].images, seen[1][number].images) for number in seen[0].keys() & seen[1].keys()
        )

    def test_validation_is_the_same_in_every_epoch(self, dataset, recipe):
        data, _, validation = loaders(dataset, replace(recipe, xrays="live"))
        first = [batch.sample.images for batch in validation]
        data.training.set_epoch(4)
        data.validation.set_epoch(4)
        assert all(torch.equal(a, b.sample.images) for a, b in zip(first, validation, strict=True))

    def test_what_a_device_makes_is_what_a_worker_would(self, dataset, recipe, monkeypatch):
        """The way over raw contents, which CUDA takes, gives the same batch; here the device is the CPU."""
        recipe = replace(recipe, xrays="live")
        _, training, _ = loaders(dataset, recipe)
        data = Data(dataset, recipe)
        data.trainer = Trainer()
        monkeypatch.setattr(Data, "_device", torch.device("meta"))
        for raw, made in zip(data.train_dataloader(), training, strict=True):
            assert not isinstance(raw, module.Batch)
            batch = data.transfer_batch_to_device(raw, torch.device("cpu"), 0)
            assert batch.numbers == made.numbers
            for ours, theirs in zip(batch.sample, made.sample, strict=True):
                assert torch.equal(ours, theirs)
            assert data.transfer_batch_to_device(batch, torch.device("cpu"), 0) is batch


class TestOfTheRecipe:
    def test_no_phantoms_when_none_are_wanted(self, dataset, recipe):
        for share, kinds in ((0.0, {False}), (1.0, {True})):
            samples = Data(dataset, replace(recipe, epoch_samples=30, phantom_share=share)).training
            assert {samples.row(number).density == "phantom" for number in range(30)} == kinds

    def test_validation_is_not_deformed(self, dataset, recipe):
        parts = Data(dataset, replace(recipe, xrays="live"))
        assert parts.training.simulation == recipe.simulation
        assert parts.validation.simulation == replace(recipe.simulation, deformation=UNDEFORMED)

"""From a full radiograph to a vertebra's place in the body, with networks simple enough to know what must come out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from EARReconstructionLib import reconstruction as module
from EARReconstructionLib.bundle import Bundle
from EARReconstructionLib.errors import BundleError, Cancelled, CaseError, DeviceError, EARError, GeometryError
from EARReconstructionLib.geometry import BiplanarGeometry, View, cube_affine, transform_points
from EARReconstructionLib.model_card import ModelCard
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.reconstruction import choose_device, largest_piece, network_input, reconstruct, standardise
from EARReconstructionLib.vertebra import VertebraROI
from EARTrainingLib.projection import line_integrals

SIZE, SPACING_MM = 32, 2.0

CARD = ModelCard(
    name="fake",
    architecture="EAR",
    arguments={},
    size=SIZE,
    spacing_mm=SPACING_MM,
    lift="backproject",
    hu_mean=0.0,
    hu_sd=1.0,
    threshold_hu=0.5,
    angle_range_deg=(50.0, 130.0),
    sod_range_mm=(500.0, 1600.0),
    protocol="in-situ",
    levels=("L1", "L2", "L3", "L4"),
    data_licence="none",
)


class Product(ReconstructionNetwork):
    """Bright where both lifted images are."""

    input_kind = "volumes"

    def forward(self, x):
        return NetworkOutput(x[:, :1].clamp_min(0) * x[:, 1:].clamp_min(0))


class Given(ReconstructionNetwork):
    """The same volume for every vertebra, whatever its images."""

    input_kind = "volumes"

    def __init__(self, volume, edges=None):
        super().__init__()
        self.volume, self.edges = volume, edges

    def forward(self, x):
        copies = (len(x), 1, *self.volume.shape)
        return NetworkOutput(
            self.volume.expand(copies).clone(), None if self.edges is None else self.edges.expand(copies).clone()
        )


class Fake(Bundle):
    """A bundle whose network is given, not loaded."""

    def __init__(self, network, **changes):
        super().__init__(replace(CARD, **changes), {}, "0", Path("fake.safetensors"))
        object.__setattr__(self, "made", network)

    def network(self):
        return self.made.eval()


def beads(centre, places, sigma_mm=2.0, extent_mm=72):
    """Gaussian beads as a density on a 1.5 mm grid around a point: (1, D, H, W) and its affine. places: RAS mm."""
    size = int(extent_mm / 1.5)
    affine = cube_affine(centre, size, 1.5)
    k, j, i = np.meshgrid(*[np.arange(size)] * 3, indexing="ij")
    points = transform_points(affine, np.stack([i, j, k], -1))
    density = sum(np.exp(-((points - place) ** 2).sum(-1) / (2 * sigma_mm**2)) for place in places)
    return torch.from_numpy(density.astype(np.float32))[None], affine


def radiographs_of(volume, affine, geometry):
    """Both radiographs of a density, by the ray-marcher."""
    return tuple(
        Radiograph(
            line_integrals(volume, affine, view)[0].numpy(),
            "attenuation",
            view.pixel_mm,
            role,
            (view.alpha_deg, view.beta_deg),
            view,
            Path(f"{role}.nrrd"),
        )
        for view, role in zip(geometry.views, ("frontal", "lateral"), strict=True)
    )


def placed(volume, affine):
    """RAS place of the middle of what is brighter than half the maximum."""
    weights = np.clip(volume - 0.5 * volume.max(), 0, None)
    k, j, i = (n.astype(float) for n in np.indices(volume.shape))
    return transform_points(affine, [float((weights * n).sum() / weights.sum()) for n in (i, j, k)])


def roi(level="L1", centre=(0.0, 0.0, 0.0)):
    return VertebraROI(level, tuple(map(float, centre)), (60.0, 60.0, 50.0))


def tilted():
    """A pair of which no axis is an axis of the body."""
    frontal = View(-7.0, 6.0, 900.0, 1250.0, 1.2, 640, 260, (10.0, -20.0, 30.0))
    lateral = View(96.0, -4.0, 1100.0, 1500.0, 1.2, 640, 260, (10.0, -20.0, 30.0))
    return BiplanarGeometry(frontal, lateral)


def preset(name, angle_deg=90.0, height=260):
    return BiplanarGeometry.from_preset(name, angle_deg=angle_deg, iso_pixel_mm=0.9, height=height, width=260)


def from_the_other_side():
    """PA and right lateral: both images are mirrored to those of an AP and left lateral pair."""
    return BiplanarGeometry(*(View(alpha, 0.0, 900.0, 1250.0, 1.2, 260, 260) for alpha in (180.0, -90.0)))


#: (geometry, centre of the ROI in RAS mm)
SETUPS = {
    "AP and lateral": (preset("default"), (0.0, 0.0, 0.0)),
    "long film": (preset("long-film"), (20.0, -15.0, 30.0)),
    "c-arm": (preset("c-arm"), (15.0, -20.0, 35.0)),
    "oblique 60": (preset("c-arm", 60), (10.0, 12.0, -30.0)),
    "oblique 120": (preset("default", 120), (-10.0, 12.0, -30.0)),
    "200 mm above the central ray": (preset("default", height=640), (15.0, -20.0, 200.0)),
    "200 mm below the central ray, c-arm": (preset("c-arm", height=760), (-15.0, 10.0, -200.0)),
    "tilted, isocentre elsewhere": (tilted(), (25.0, -30.0, 180.0)),
    "PA and right lateral": (from_the_other_side(), (15.0, -20.0, 40.0)),
}

#: Off centre by this, RAS mm; no two alike, whatever the sign.
BEAD = np.array([13.0, -9.0, 17.0])


class TestPlace:
    @pytest.mark.parametrize("name", SETUPS)
    @pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)], ids=str)
    def test_a_bead_comes_back_to_its_place_in_the_body(self, name, signs):
        geometry, centre = SETUPS[name]
        place = np.add(centre, BEAD * signs)
        images = radiographs_of(*beads(centre, [place]), geometry)
        (one,) = reconstruct(images, geometry, [roi(centre=centre)], Fake(Product()))
        found = placed(one.volume_hu, one.ras_from_ijk)
        assert np.abs(found - place).max() < 0.35 * SPACING_MM
        k, j, i = np.unravel_index(one.volume_hu.argmax(), one.volume_hu.shape)
        assert np.abs(transform_points(one.ras_from_ijk, [i, j, k]) - place).max() <= SPACING_MM

    def test_the_place_does_not_depend_on_the_engine(self):
        """Images drawn from P alone: an error shared by ray-marcher and lift would show here."""
        geometry, centre = SETUPS["tilted, isocentre elsewhere"]
        place = np.add(centre, BEAD)
        images = []
        for view, role in zip(geometry.views, ("frontal", "lateral"), strict=True):
            (u, v), _ = view.project(place)
            rows, columns = np.mgrid[: view.height, : view.width] + 0.5
            spot = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 2.5**2)).astype(np.float32)
            images.append(Radiograph(spot, "attenuation", view.pixel_mm, role, (view.alpha_deg, view.beta_deg), view))
        (one,) = reconstruct(images, geometry, [roi(centre=centre)], Fake(Product()))
        assert np.abs(placed(one.volume_hu, one.ras_from_ijk) - place).max() < 0.35 * SPACING_MM

    @pytest.mark.parametrize(
        "name", ["AP and lateral", "c-arm", "oblique 60", "tilted, isocentre elsewhere", "PA and right lateral"]
    )
    def test_a_body_is_told_apart_from_its_mirror_images(self, name):
        geometry, centre = SETUPS[name]
        # One bead per height, so that none is the shadow of two others.
        places = np.add(centre, [(15, 4, 20), (-3, 16, 12), (6, -14, 2), (-17, -5, -8), (8, 10, -19)])
        images = radiographs_of(*beads(centre, places, 2.5), geometry)
        (one,) = reconstruct(images, geometry, [roi(centre=centre)], Fake(Product()))
        k, j, i = np.meshgrid(*[np.arange(SIZE)] * 3, indexing="ij")
        points = transform_points(one.ras_from_ijk, np.stack([i, j, k], -1))
        truth = sum(np.exp(-((points - p) ** 2).sum(-1) / (2 * 2.5**2)) for p in places)

        def likeness(other):
            return float(np.corrcoef(one.volume_hu.ravel(), other.ravel())[0, 1])

        mirrors = {
            "left and right": truth[:, :, ::-1],
            "front and back": truth[:, ::-1],
            "up and down": truth[::-1],
            "axes i and j": truth.transpose(0, 2, 1),
            "axes j and k": truth.transpose(1, 0, 2),
            "axes i and k": truth.transpose(2, 1, 0),
        }
        assert likeness(truth) > 0.8
        for what, mirror in mirrors.items():
            assert likeness(mirror) < 0.3, what

    def test_a_network_of_images_sees_pa_as_ap_and_right_lateral_as_left(self):
        """It cannot know from which side its images were taken."""
        place, seen = (14.0, 11.0, 6.0), []
        for geometry in (preset("long-film"), from_the_other_side()):
            images = radiographs_of(*beads((0, 0, 0), [place]), geometry)
            seen.append(network_input(images, geometry, roi(), CARD).images)
        for ap, pa in zip(*seen, strict=True):
            (v, u), (v_other, u_other) = (np.unravel_index(int(image.argmax()), image.shape) for image in (ap, pa))
            assert abs(u - u_other) <= 1
            assert abs(v - v_other) <= 1
            assert abs(u - 15.5) > 4

    def test_the_cube_is_centred_on_the_roi(self):
        geometry, centre = SETUPS["c-arm"]
        images = radiographs_of(*beads(centre, [centre]), geometry)
        (one,) = reconstruct(images, geometry, [roi(centre=centre)], Fake(Product()))
        np.testing.assert_allclose(transform_points(one.ras_from_ijk, [(SIZE - 1) / 2] * 3), centre)
        np.testing.assert_allclose(one.ras_from_ijk[:3, :3], SPACING_MM * np.eye(3))
        assert one.volume_hu.shape == one.mask.shape == (SIZE,) * 3
        assert one.volume_hu.dtype == np.float32
        assert one.mask.dtype == bool

    def test_what_a_network_of_images_sees(self):
        """Frontal first, z-scored, the ROI's centre in the middle, whatever the exposure."""
        geometry, centre = SETUPS["c-arm"]
        images = radiographs_of(*beads(centre, [np.add(centre, (14, 0, 0))]), geometry)
        seen = network_input(images, geometry, roi(centre=centre), CARD)
        brighter = [replace(r, pixels=r.pixels * 0.37 + 5) for r in images]
        again = network_input(brighter, geometry, roi(centre=centre), CARD)
        torch.testing.assert_close(again.images, seen.images, atol=1e-3, rtol=0)
        torch.testing.assert_close(seen.images.mean((1, 2)), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(seen.images.std((1, 2), unbiased=False), torch.ones(2), atol=1e-4, rtol=0)
        (v, u), (lv, lu) = (np.unravel_index(int(image.argmax()), image.shape) for image in seen.images)
        assert u < SIZE / 2 - 5  # right of the body is left in an AP image
        assert abs(v - 15.5) < 1
        assert abs(lu - 15.5) < 1
        assert abs(lv - 15.5) < 1
        assert seen.coverage == (1.0, 1.0)

        class Looking(Product):
            input_kind = "images"

            def forward(self, x):
                assert x.shape == (1, 2, SIZE, SIZE)
                torch.testing.assert_close(x[0], seen.images)
                return NetworkOutput(torch.zeros(1, 1, SIZE, SIZE, SIZE))

        reconstruct(images, geometry, [roi(centre=centre)], Fake(Looking()))


@pytest.fixture(scope="module")
def spine():
    """(radiographs, geometry, ROIs): four vertebrae, each a bead at a place of its own."""
    geometry = preset("default", height=400)
    centres = [(0.0, 5.0, 75.0), (3.0, 0.0, 25.0), (-4.0, 2.0, -25.0), (0.0, 0.0, -75.0)]
    places = [np.add(c, d) for c, d in zip(centres, [(9, 0, 3), (-8, 5, 0), (0, -9, 6), (4, 8, -7)], strict=True)]
    volume, affine = beads((0, 0, 0), places, extent_mm=210)
    rois = [roi(f"L{n}", centre) for n, centre in enumerate(centres, 1)]
    return radiographs_of(volume, affine, geometry), geometry, rois


class TestBatches:
    def test_together_is_the_same_as_one_by_one(self, spine):
        images, geometry, rois = spine
        alone = [reconstruct(images, geometry, [r], Fake(Product()))[0] for r in rois]
        for batch_size in (1, 3, 4, 9):
            together = reconstruct(images, geometry, iter(rois), Fake(Product()), batch_size=batch_size)
            assert [one.roi for one in together] == rois
            for a, b in zip(alone, together, strict=True):
                np.testing.assert_allclose(a.volume_hu, b.volume_hu, atol=1e-4)
                np.testing.assert_array_equal(a.mask, b.mask)
                np.testing.assert_array_equal(a.ras_from_ijk, b.ras_from_ijk)
                assert a.notes == b.notes

    def test_no_vertebra_is_no_work(self, spine):
        images, geometry, _ = spine
        assert reconstruct(images, geometry, [], Fake(Product())) == []

    def test_progress_tells_what_is_done_and_what_comes(self, spine):
        images, geometry, rois = spine
        told = []
        reconstruct(images, geometry, rois, Fake(Product()), batch_size=3, progress=lambda *step: told.append(step))
        assert told == [(0, 4, "L1, L2, L3"), (3, 4, "L4"), (4, 4, "")]

    def test_cancel_stops_between_batches(self, spine):
        images, geometry, rois = spine
        answers, told = iter([False, False, True]), []
        with pytest.raises(Cancelled):
            reconstruct(
                images,
                geometry,
                rois,
                Fake(Product()),
                batch_size=1,
                progress=lambda *step: told.append(step[0]),
                cancel=lambda: next(answers),
            )
        assert told == [0, 1]


@pytest.fixture
def image_pair():
    geometry = preset("default")
    return radiographs_of(*beads((0, 0, 0), [(0, 0, 0)]), geometry), geometry


class TestValues:
    def test_the_output_becomes_hu(self, image_pair):
        images, geometry = image_pair
        z = torch.linspace(-2, 3, SIZE**3).reshape(SIZE, SIZE, SIZE)
        bundle = Fake(Given(z), hu_mean=-700.0, hu_sd=300.0, threshold_hu=-100.0)
        (one,) = reconstruct(images, geometry, [roi()], bundle)
        np.testing.assert_allclose(one.volume_hu, z.numpy() * 300 - 700, rtol=1e-5)
        np.testing.assert_array_equal(one.mask, one.volume_hu > -100)
        assert one.threshold_hu == -100
        assert one.model == "fake"
        assert one.edges is None

    def test_edges_are_handed_on(self, image_pair):
        images, geometry = image_pair
        volume, edges = torch.rand(2, SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        (one,) = reconstruct(images, geometry, [roi()], Fake(Given(volume, edges)))
        np.testing.assert_array_equal(one.edges, edges.numpy())

    def test_the_mask_is_the_largest_piece(self, image_pair):
        images, geometry = image_pair
        volume = torch.zeros(SIZE, SIZE, SIZE)
        volume[2:10, 2:10, 2:10] = 1
        volume[20:24, 20:24, 20:24] = 1
        volume[10, 10, 10] = 1  # touches the first by its corner
        (one,) = reconstruct(images, geometry, [roi()], Fake(Given(volume)))
        assert one.mask.sum() == 8**3 + 1
        assert not one.mask[21, 21, 21]
        assert one.mask[10, 10, 10]
        assert one.volume_hu[21, 21, 21] == 1  # the volume keeps what the network drew

    def test_largest_piece_of_little(self):
        assert not largest_piece(np.zeros((4, 4, 4), bool)).any()
        assert largest_piece(np.ones((4, 4, 4), bool)).all()

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_what_is_no_number_is_refused(self, image_pair, value):
        images, geometry = image_pair
        volume = torch.zeros(SIZE, SIZE, SIZE)
        volume[8:20, 8:20, 8:20] = 1
        volume[3, 3, 3] = value
        with pytest.raises(EARError, match="L1"):
            reconstruct(images, geometry, [roi()], Fake(Given(volume)))

    def test_a_network_of_another_size_is_refused(self, image_pair):
        images, geometry = image_pair
        with pytest.raises(BundleError, match=r"fake\.safetensors"):
            reconstruct(images, geometry, [roi()], Fake(Given(torch.zeros(SIZE, SIZE, 2 * SIZE))))

    def test_a_network_that_cannot_take_its_own_cube_is_refused(self, image_pair):
        images, geometry = image_pair

        class Choosy(Product):
            def forward(self, x):
                raise ValueError("the volume's sides must be divisible by 64")

        with pytest.raises(BundleError, match=r"fake\.safetensors.*divisible by 64"):
            reconstruct(images, geometry, [roi()], Fake(Choosy()))

    def test_a_constant_image_becomes_zero_and_no_nan(self):
        assert not standardise(torch.full((8, 8), 3.0)).any()


class TestNotes:
    def test_all_well_is_no_note(self, spine):
        images, geometry, rois = spine
        assert all(one.notes == () for one in reconstruct(images, geometry, rois, Fake(Product())))

    def test_a_geometry_outside_the_training_range(self):
        geometry = preset("c-arm", 60)
        images = radiographs_of(*beads((0, 0, 0), [(0, 0, 0)]), geometry)
        bundle = Fake(Product(), angle_range_deg=(75.0, 105.0), sod_range_mm=(900.0, 1100.0))
        (one,) = reconstruct(images, geometry, [roi()], bundle)
        assert len(one.notes) == 3
        assert "60 degrees" in one.notes[0]
        assert "75 to 105" in one.notes[0]
        for note, role in zip(one.notes[1:], ("frontal", "lateral"), strict=True):
            assert role in note
            assert "530 mm" in note
            assert "900 to 1100 mm" in note

    def test_a_level_that_the_model_never_saw(self, image_pair):
        images, geometry = image_pair
        (one,) = reconstruct(images, geometry, [roi("C5")], Fake(Product()))
        assert one.notes == ("The model is not made for C5.",)

    def test_no_bone(self, image_pair):
        images, geometry = image_pair
        (one,) = reconstruct(images, geometry, [roi()], Fake(Given(torch.zeros(SIZE, SIZE, SIZE))))
        assert not one.mask.any()
        assert any("No bone" in note and "L1" in note for note in one.notes)

    def test_a_crop_that_leaves_the_image(self):
        geometry = preset("default")
        centre = (0.0, 0.0, 100.0)  # 117 mm to the border, the crop needs 32: a ROI a little higher leaves the image
        images = radiographs_of(*beads(centre, [centre]), geometry)
        (inside,) = reconstruct(images, geometry, [roi(centre=(0, 0, 80))], Fake(Product()))
        (partly,) = reconstruct(images, geometry, [roi(centre=centre)], Fake(Product()))
        assert inside.notes == ()
        assert len(partly.notes) == 2
        for note, role in zip(partly.notes, ("frontal", "lateral"), strict=True):
            assert role in note
            assert "L1" in note
            assert 15 < float(note.split("%")[0]) < 30  # (100 + 32 - 117) / 64

    def test_a_crop_of_which_less_than_half_is_there_is_refused(self):
        geometry = preset("default")
        centre = (0.0, 0.0, 116.0)
        images = radiographs_of(*beads((0, 0, 90), [(0, 0, 90)]), geometry)
        # The AP image is cut a little below the crop's middle.
        short = replace(geometry.frontal, height=250, principal_point=(130.0, 120.0))
        cut = replace(images[0], pixels=np.ascontiguousarray(images[0].pixels[10:]), view=short)
        with pytest.raises(CaseError, match=r"frontal\.nrrd.*% of the crop around L1.*frontal"):
            reconstruct(
                (cut, images[1]), BiplanarGeometry(short, geometry.lateral), [roi(centre=centre)], Fake(Product())
            )

    def test_a_crop_without_contrast_is_refused(self, image_pair):
        """Collimated or over-exposed: z-scored it would be nothing, and nothing is no vertebra."""
        images, geometry = image_pair
        blind = replace(images[1], pixels=np.where(np.arange(260) < 220, 0, images[1].pixels + 1).astype(np.float32))
        with pytest.raises(CaseError, match=r"lateral\.nrrd.*L1.*same value"):
            reconstruct((images[0], blind), geometry, [roi()], Fake(Product()))

    def test_a_roi_behind_the_source_is_refused(self, image_pair):
        images, geometry = image_pair
        with pytest.raises(GeometryError):
            reconstruct(images, geometry, [roi(centre=(0.0, 1200.0, 0.0))], Fake(Product()))


class TestDevice:
    def test_names(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert choose_device().type == choose_device("auto").type == choose_device("cpu").type == "cpu"
        with pytest.raises(DeviceError, match=r"cuda.*CPU"):
            choose_device("cuda")
        with pytest.raises(DeviceError, match="auto, cuda or cpu"):
            choose_device("tpu")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert choose_device().type == choose_device("cuda").type == "cuda"
        assert choose_device("cpu").type == "cpu"

    @pytest.fixture
    def small_memory(self, monkeypatch):
        """A device that holds as many vertebrae as it is told; the sizes of the batches that were tried."""
        tried, room, run = [], {"vertebrae": 0}, module.run_network

        def limited(network, inputs, device):
            tried.append(len(inputs))
            if len(inputs) > room["vertebrae"]:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return run(network, inputs, device)

        monkeypatch.setattr(module, "run_network", limited)
        return tried, room

    def test_out_of_memory_takes_smaller_batches(self, spine, small_memory):
        images, geometry, rois = spine
        tried, room = small_memory
        room["vertebrae"] = 1
        found = reconstruct(images, geometry, rois, Fake(Product()), batch_size=4)
        assert tried == [4, 2, 1, 1, 1, 1]
        expected = [reconstruct(images, geometry, [r], Fake(Product()))[0] for r in rois]
        for a, b in zip(found, expected, strict=True):
            assert a.roi == b.roi
            np.testing.assert_allclose(a.volume_hu, b.volume_hu, atol=1e-4)

    def test_out_of_memory_for_one_asks_for_the_cpu(self, spine, small_memory):
        images, geometry, rois = spine
        tried, _ = small_memory
        with pytest.raises(DeviceError, match=r"memory.*cpu"):
            reconstruct(images, geometry, rois, Fake(Product()), batch_size=3)
        assert tried == [3, 1]

    def test_out_of_memory_for_the_network_itself_asks_for_the_cpu(self, image_pair):
        class Heavy(Product):
            def to(self, *_, **__):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        images, geometry = image_pair
        with pytest.raises(DeviceError, match=r"memory.*cpu"):
            reconstruct(images, geometry, [roi()], Fake(Heavy()))

    def test_out_of_memory_on_the_cpu_is_told_in_words(self, image_pair, monkeypatch):
        """The CPU's allocator has no exception of its own: the real one is made to speak."""

        def greedy(*_):
            return torch.empty(1 << 60)

        monkeypatch.setattr(module, "run_network", greedy)
        images, geometry = image_pair
        with pytest.raises(DeviceError, match=r"device cpu: its memory is too small for one vertebra"):
            reconstruct(images, geometry, [roi()], Fake(Product()))

    def test_another_runtime_error_is_not_taken_for_memory(self, image_pair, monkeypatch):
        def broken(*_):
            raise RuntimeError("something else")

        monkeypatch.setattr(module, "run_network", broken)
        images, geometry = image_pair
        with pytest.raises(RuntimeError, match="something else"):
            reconstruct(images, geometry, [roi()], Fake(Product()))

    def test_a_model_of_boxes_that_no_radiograph_tells_is_refused(self, image_pair):
        images, geometry = image_pair
        with pytest.raises(BundleError, match=r"fake.*ear evaluate"):
            reconstruct(images, geometry, [roi()], Fake(Product(), field="paper"))

    def test_an_roi_that_cannot_be_done_is_told_before_the_work(self, image_pair, monkeypatch):
        images, geometry = image_pair
        monkeypatch.setattr(module, "run_network", lambda *_: pytest.fail("worked before looking at every ROI"))
        good = roi()
        far = np.add(good.centre_ras_mm, (0, 0, 500))
        bad = VertebraROI("L2", tuple(far.tolist()), good.size_mm)
        with pytest.raises(CaseError, match="L2"):
            reconstruct(images, geometry, [good, bad], Fake(Product()))

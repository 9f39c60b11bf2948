"""The picture of an epoch shows what it says, the right way round."""

import matplotlib.image
import numpy as np
import pytest
from EARTrainingLib.training.pictures import draw
from EARTrainingLib.training.run import train

GREEN, ORANGE = (84, 199, 165), (240, 138, 36)


def pixels(path):
    """(h, w, 3) in 0 to 255."""
    return np.rint(matplotlib.image.imread(path)[..., :3] * 255).astype(int)


def panel(image, row, column):
    """The part of the picture that one of its 2 x 4 panels fills."""
    height, width = image.shape[:2]
    top = int(0.12 * height)
    h, w = (height - top) // 2, width // 4
    return image[top + row * h : top + (row + 1) * h, column * w : (column + 1) * w]


def places(image, colour):
    """Mean (row, column) of a colour's pixels, as shares of the image; None where there is none."""
    where = np.argwhere(np.abs(image - colour).sum(-1) < 60)
    return where.mean(0) / image.shape[:2] if len(where) > 4 else None


@pytest.fixture
def bone():
    """HU and mask (k, j, i) of a block that lies up, in front and on the right."""
    mask = np.zeros((32,) * 3, bool)
    mask[20:30, 18:30, 22:30] = True
    return np.where(mask, 500, -1000).astype(np.float32), mask


def test_truth_and_prediction_are_outlined_where_they_are(bone, tmp_path):
    hu, mask = bone
    other = np.full_like(hu, -1000)
    other[20:30, 18:30, 2:10] = 300  # on the left
    images = np.random.default_rng(0).normal(size=(2, 32, 32)).astype(np.float32)
    draw(tmp_path / "p.png", "title", images, (hu, mask), other, 0.0)
    image = pixels(tmp_path / "p.png")
    for column, name in ((1, "axial"), (2, "coronal")):
        row, x = places(panel(image, 0, column), GREEN)
        assert row < 0.45, name  # up, or in front
        assert x < 0.4, name  # the patient's right is on the left, as in an AP radiograph
        assert places(panel(image, 0, column), ORANGE) is None
    row, x = places(panel(image, 0, 3), GREEN)
    assert row < 0.45
    assert x > 0.6  # in front is on the right, as in a lateral radiograph
    network = panel(image, 1, 1)
    assert places(network, GREEN)[1] < 0.4 < 0.6 < places(network, ORANGE)[1]
    for column in range(4):
        for line in (0, 1):
            assert panel(image, line, column).std() > 5


def test_nothing_to_outline_is_no_error(bone, tmp_path):
    hu, mask = bone
    draw(tmp_path / "p.png", "title", np.zeros((2, 32, 32), np.float32), (hu, mask), np.full_like(hu, -1000), 0.0)
    draw(tmp_path / "q.png", "title", np.zeros((2, 32, 32), np.float32), (hu * 0, mask * False), hu, -2000.0)
    assert places(panel(pixels(tmp_path / "p.png"), 1, 1), ORANGE) is None
    assert places(pixels(tmp_path / "q.png")[80:], GREEN) is None


def test_a_run_draws_its_first_validation_vertebra(prepared, recipe, tmp_path):
    train(recipe, prepared, tmp_path)
    drawn = [pixels(tmp_path / "pictures" / f"epoch-000{n}.png") for n in (1, 2)]
    for image in drawn:
        assert places(panel(image, 0, 1), GREEN) is not None
        assert panel(image, 0, 0).std() > 20  # the X-ray
        assert panel(image, 1, 0).std() > 20
    assert (drawn[0] != drawn[1]).any()

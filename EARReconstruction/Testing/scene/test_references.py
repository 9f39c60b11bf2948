"""References from every kind of node: the right vertebra, at the right place, in mm, under transforms as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.comparison import compare
from EARReconstructionLib.errors import EARError, ReferenceSurfaceError
from EARReconstructionLib.geometry import Affine, cube_affine, transform_points
from EARReconstructionLib.reconstruction import Reconstruction
from EARReconstructionLib.surface import isosurface, points_of, polydata, triangles_of
from EARReconstructionLib.vertebra import VERSE_LABEL, VertebraROI
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from vtkmodules.util.numpy_support import numpy_to_vtk

pytest.importorskip("slicer", reason="slicer-core is not installed")

import slicer
from EARReconstructionLib.scene.comparisons import show_comparisons
from EARReconstructionLib.scene.nodes import find_node, matrix, remove_nodes, set_voxels
from EARReconstructionLib.scene.references import reference_shapes, reference_work, run_shapes
from EARReconstructionLib.scene.results import show_results
from EARReconstructionLib.scene.terminology import VERTEBRA_CODES, level_meant, level_named, terminology_entry

PLACES = {"L1": (10.3, -20.0, 30.0), "L2": (12.0, -17.5, -2.0)}

#: A turn about all axes with a shift, and its place among the voxels of a grid with three different spacings.
TURN = np.eye(4)
TURN[:3, :3] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]
)
TURN[:3, 3] = 40, -25, 60


def egg(points: NDArray[Any], centre: Any, grown_mm: float = 0.0) -> NDArray[Any]:
    """Depth in mm below the surface of a ball of 9 mm with a smaller one to the right, the front and the top.

    No flip and no turn leaves it as it is.
    """
    place = points - np.asarray(centre)
    lobes = (((0, 0, 0), 9.0), ((5, 3, 7), 5.0))
    return np.max([grown_mm + radius - np.linalg.norm(place - at, axis=-1) for at, radius in lobes], axis=0)


def grid(affine: Affine, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """(k, j, i, 3) voxel centres in RAS mm."""
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def rebuilt(level: str, model: str = "m") -> Reconstruction:
    """An egg of bone."""
    affine = cube_affine(PLACES[level], 32, 1.25)
    hu = (300 + 100 * egg(grid(affine, (32,) * 3), PLACES[level])).astype(np.float32)
    roi = VertebraROI(level, PLACES[level], (28.0, 26.0, 30.0))
    return Reconstruction(roi, hu, hu > 300, None, affine, 300.0, model)


@pytest.fixture
def scene(stage: Any) -> Any:
    """With L1 and L2 of a run "m"."""
    show_results(stage.scene, [rebuilt("L1"), rebuilt("L2")])
    return stage.scene


#: Non-uniform spacing, along turned axes, over both vertebrae.
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = TURN[:3, :3] @ np.diag([0.8, 1.1, 0.7])
OBLIQUE[:3, 3] = np.array([11, -18, 15]) - OBLIQUE[:3, :3] @ [47.5, 39.5, 64.5]
SHAPE = (130, 80, 96)


def labels(grown_mm: float = 0.0, values: dict[str, int] = VERSE_LABEL) -> NDArray[np.uint8]:
    """Both eggs on the oblique grid."""
    array = np.zeros(SHAPE, np.uint8)
    for level, place in PLACES.items():
        array[egg(grid(OBLIQUE, SHAPE), place, grown_mm) > 0] = values[level]
    return array


def add(scene: Any, name: str, **more: Any) -> Any:
    """A node with a name."""
    return scene.AddNewNodeByClass(f"vtkMRML{more.pop('kind')}Node", name)


def volume(scene: Any, array: Any, affine: Affine = OBLIQUE, kind: str = "LabelMapVolume", name: str = "truth") -> Any:
    """A volume node."""
    node = add(scene, name, kind=kind)
    set_voxels(node, array, affine)
    return node


def segmentation(scene: Any, names: dict[int, str], array: Any = None, term: Callable[[str], str] | None = None) -> Any:
    """A segmentation of labels; all of its segments in one shared label map, as files have it."""
    node = add(scene, "truth", kind="Segmentation")
    array = labels() if array is None else array
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    image.SetImageToWorldMatrix(matrix(OBLIQUE))
    for value, name in names.items():
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetLabelValue(value)
        if term:
            segment.SetTag(segment.GetTerminologyEntryTagName(), term(name))
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment, f"S{value}")
    return node


def model(scene: Any, level: str, name: str, to: Affine | None = None, grown_mm: float = 0.0) -> Any:
    """A model of a fine egg; ``to`` moves its points."""
    affine = cube_affine(PLACES[level], 80, 0.5)
    surface = isosurface(egg(grid(affine, (80,) * 3), PLACES[level], grown_mm), affine, 0)
    moved = surface if to is None else polydata(transform_points(to, points_of(surface)), triangles_of(surface))
    node = add(scene, name, kind="Model")
    node.SetAndObservePolyData(moved)
    return node


def under(scene: Any, node: Any, to: Affine) -> None:
    """Put a node under a transform that undoes what its voxels or points were moved by."""
    transform = add(scene, "transform", kind="LinearTransform")
    transform.SetMatrixTransformToParent(matrix(to))
    node.SetAndObserveTransformNodeID(transform.GetID())


def fits(scene: Any, node: Any, levels: tuple[str, ...] = ("L1", "L2"), mean_mm: float = 0.0, **more: Any) -> None:
    """The reference has these levels, and the run differs by so much from it everywhere."""
    references = reference_shapes(scene, "m", node, **more)
    assert tuple(references) == levels
    found = compare({level: run_shapes(scene, "m")[level] for level in levels}, references)
    for one in found:
        assert one.error.mean_signed_mm == pytest.approx(mean_mm, abs=0.12)
        assert one.error.hd95_mm == pytest.approx(abs(mean_mm), abs=0.45)
        sizes = [(egg(grid(OBLIQUE, SHAPE), PLACES[one.level], grown) > 0).sum() for grown in (0.0, -mean_mm)]
        assert one.dice == pytest.approx(2 * min(sizes) / sum(sizes), abs=0.03)


def truth(scene: Any) -> Any:
    """A segmentation with both levels."""
    return segmentation(scene, {VERSE_LABEL[level]: level for level in PLACES})


class TestSegmentation:
    @pytest.mark.parametrize("form", ["{}", "vertebra {}", "vertebrae_{}", "{} vertebra", "Vertebra-{}"])
    def test_by_name(self, scene: Any, form: str) -> None:
        names = {VERSE_LABEL[level]: form.format(level) for level in PLACES}
        node = segmentation(scene, {**names, 28: "L1 disc", 27: "spinal cord"})
        fits(scene, node)

    def test_by_standard_term(self, scene: Any) -> None:
        node = segmentation(
            scene, {20: "upper", 21: "lower"}, term=lambda name: terminology_entry({"upper": "L1"}.get(name, "L2"))
        )
        fits(scene, node)

    def test_by_verse_label(self, scene: Any) -> None:
        """As 3D Slicer names the segments of a label map without names."""
        fits(scene, segmentation(scene, {20: "Segment_20", 21: "Label_21"}))

    def test_larger_by_a_millimetre(self, scene: Any) -> None:
        node = segmentation(scene, {20: "L1", 21: "L2"}, labels(1.0))
        fits(scene, node, mean_mm=-1.0)

    def test_one_level_of_it(self, scene: Any) -> None:
        fits(scene, truth(scene), ("L2",), level="L2")

    def test_a_single_segment_without_a_level_is_the_nearest_vertebra(self, scene: Any) -> None:
        node = segmentation(scene, {21: "my bone"}, labels())
        fits(scene, node, ("L2",))

    def test_a_surface_without_voxels(self, scene: Any) -> None:
        node = add(scene, "truth", kind="Segmentation")
        node.SetSourceRepresentationToClosedSurface()
        for level in PLACES:
            mesh = model(scene, level, level)
            node.AddSegmentFromClosedSurfaceRepresentation(mesh.GetPolyData(), level, [1, 0, 0])
        assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")
        fits(scene, node)

    def test_our_own_of_another_run(self, scene: Any) -> None:
        show_results(scene, [rebuilt("L1", "other")])
        fits(scene, find_node(scene, "segmentation", run="other"), ("L1",))

    def test_under_a_transform(self, scene: Any) -> None:
        """Registered by hand: the segmentation lies elsewhere, its transform brings it back."""
        node = truth(scene)
        under(scene, node, TURN)
        with pytest.raises(ReferenceSurfaceError, match="apart"):
            compare(run_shapes(scene, "m"), reference_shapes(scene, "m", node))
        outer = add(scene, "outer", kind="LinearTransform")
        outer.SetMatrixTransformToParent(matrix(np.linalg.inv(TURN)))
        node.GetParentTransformNode().SetAndObserveTransformNodeID(outer.GetID())
        fits(scene, node)

    @pytest.mark.parametrize(
        ("names", "array", "words"),
        [
            ({}, None, "it is empty"),
            ({20: "L1", 21: "L2"}, labels() * 0, "segments: L1, L2"),
            ({20: "bone", 21: "L1 disc"}, None, "segments: bone, L1 disc.*Name the segments by their levels"),
            ({8: "T1", 20: "T2"}, None, "none of the vertebrae L1, L2 was found"),
            ({20: "L1", 21: "vertebra L1"}, None, "L1 and vertebra L1 both are L1"),
        ],
    )
    def test_not_usable(self, scene: Any, names: dict[int, str], array: Any, words: str) -> None:
        node = segmentation(scene, names, array)
        with pytest.raises(ReferenceSurfaceError, match=f"truth: .*{words}"):
            reference_shapes(scene, "m", node)


class TestModel:
    @pytest.mark.parametrize(("name", "level"), [("L2", None), ("patient_7", None), ("patient_7", "L2")])
    def test_its_level_by_name_place_or_word(self, scene: Any, name: str, level: str | None) -> None:
        fits(scene, model(scene, "L2", name, grown_mm=-1.0), ("L2",), level=level, mean_mm=1.0)

    def test_under_a_transform_that_mirrors(self, scene: Any) -> None:
        mirror = np.diag([-1.0, 1, 1, 1]) @ TURN
        node = model(scene, "L1", "L1", np.linalg.inv(mirror))
        mesh = node.GetPolyData()
        node.SetAndObservePolyData(polydata(points_of(mesh), triangles_of(mesh)[:, ::-1]))  # outward in its own frame
        under(scene, node, mirror)
        fits(scene, node, ("L1",))
        seen = reference_shapes(scene, "m", node)["L1"].surface
        a, b, c = np.moveaxis((points_of(seen) - PLACES["L1"])[triangles_of(seen)], 1, 0)
        assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0  # and in the world

    def test_read_as_lps(self, scene: Any) -> None:
        node = model(scene, "L1", "L1", np.diag([-1.0, -1, 1, 1]))
        with pytest.raises(ReferenceSurfaceError, match=r"L1: it does not touch .*LPS"):
            compare(run_shapes(scene, "m"), reference_shapes(scene, "m", node))

    def test_in_metres(self, scene: Any) -> None:
        node = model(scene, "L1", "from CAD", np.diag([0.001, 0.001, 0.001, 1]))
        with pytest.raises(ReferenceSurfaceError, match=r"from CAD: .*metres"):
            compare(run_shapes(scene, "m"), reference_shapes(scene, "m", node, level="L1"))

    def test_empty(self, scene: Any) -> None:
        with pytest.raises(ReferenceSurfaceError, match="nothing: it is empty"):
            reference_shapes(scene, "m", add(scene, "nothing", kind="Model"))

    def test_a_copy_is_compared(self, scene: Any) -> None:
        """The node may change, or go, while a thread measures."""
        node = model(scene, "L1", "L1")
        work, shapes = reference_work(scene, "m", node), run_shapes(scene, "m")
        node.GetPolyData().GetPoints().SetPoint(0, 1e6, 0, 0)
        remove_nodes(scene, [node, find_node(scene, "surface", run="m", level="L1")])
        found = compare({"L1": shapes["L1"]}, work())
        assert found[0].error.hd_mm < 1
        with pytest.raises(EARError, match="vertebra L1: its surfaces are not in the scene"):
            show_comparisons(scene, found, {"L1": work()["L1"].surface}, "m")


class TestLabelMap:
    @pytest.mark.parametrize("kind", ["LabelMapVolume", "ScalarVolume"])
    def test_verse_labels(self, scene: Any, kind: str) -> None:
        """Also when it was loaded as a volume."""
        fits(scene, volume(scene, labels(), kind=kind))

    def test_names_of_its_own_colour_table(self, scene: Any) -> None:
        node = volume(scene, labels(values={"L1": 1, "L2": 2}))
        table = add(scene, "names", kind="ColorTable")
        table.SetTypeToUser()
        table.SetNumberOfColors(3)
        for value, name in enumerate(("nothing", "vertebra L1", "L2")):
            table.SetColor(value, name, 1, 1, 1, 1)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
        fits(scene, node)

    def test_the_mask_of_one_vertebra(self, scene: Any) -> None:
        array = (labels() == VERSE_LABEL["L2"]).astype(np.uint8)
        fits(scene, volume(scene, array), ("L2",))

    def test_under_a_transform_with_shear(self, scene: Any) -> None:
        """No resampling of the mask then: its surface stands for it."""
        shear = np.array([[1, 0.2, 0, 3], [0, 1, 0, -4], [0, 0, 1, 5], [0, 0, 0, 1.0]])
        node = volume(scene, labels(), np.linalg.inv(shear) @ OBLIQUE)
        under(scene, node, shear)
        assert reference_shapes(scene, "m", node)["L1"].mask is not None
        other = volume(scene, labels(), OBLIQUE)
        under(scene, other, shear)
        assert reference_shapes(scene, "m", other)["L1"].mask is None
        fits(scene, node)

    def test_without_a_vertebra(self, scene: Any) -> None:
        for array, words in ((labels() * 0, "it is empty"), (np.clip(labels(), 0, 1) * 3 + (labels() == 21), "VerSe")):
            with pytest.raises(ReferenceSurfaceError, match=f"truth: .*{words}"):
                reference_shapes(scene, "m", volume(scene, array))


def hu(grown_mm: float = 0.0) -> NDArray[np.int16]:
    """A CT of both: 100 HU per mm of depth, 200 HU on the surface."""
    depth = [egg(grid(OBLIQUE, SHAPE), place, grown_mm) for place in PLACES.values()]
    return np.clip(200 + 100 * np.max(depth, axis=0), -1000, 1500).astype(np.int16)


class TestCT:
    def test_bone_in_the_rois(self, scene: Any) -> None:
        node = volume(scene, hu(), kind="ScalarVolume")
        fits(scene, node)
        fits(scene, node, threshold_hu=100, mean_mm=-1.0)

    def test_under_a_transform(self, scene: Any) -> None:
        node = volume(scene, hu(), np.linalg.inv(TURN) @ OBLIQUE, kind="ScalarVolume")
        under(scene, node, TURN)
        fits(scene, node)

    def test_no_bone_at_the_threshold_or_elsewhere(self, scene: Any) -> None:
        node = volume(scene, hu(), kind="ScalarVolume", name="CT")
        with pytest.raises(ReferenceSurfaceError, match=r"CT: it has nothing above 1400 HU.*Lower the threshold"):
            reference_shapes(scene, "m", node, threshold_hu=1400)
        under(scene, node, TURN @ TURN)
        with pytest.raises(ReferenceSurfaceError, match="nothing above 200 HU where"):
            reference_shapes(scene, "m", node)

    def test_a_radiograph_is_none(self, scene: Any) -> None:
        node = volume(scene, hu()[:1], kind="ScalarVolume", name="AP")
        with pytest.raises(ReferenceSurfaceError, match="AP: it is a flat image"):
            reference_shapes(scene, "m", node)
        with pytest.raises(ReferenceSurfaceError, match="nothing: it holds no CT values"):
            reference_shapes(scene, "m", add(scene, "nothing", kind="ScalarVolume"))


class TestRefused:
    def test_other_nodes_runs_and_levels(self, scene: Any) -> None:
        table = add(scene, "numbers", kind="Table")
        for node, run, level, words in (
            (table, "m", None, "numbers: it is no vertebra"),
            (truth(scene), "other", None, "other: there are no results"),
            (truth(scene), "m", "T9", "m: it has no T9. It has L1, L2"),
        ):
            with pytest.raises(ReferenceSurfaceError, match=words):
                reference_shapes(scene, run, node, level=level)

    def test_a_transform_that_bends(self, scene: Any) -> None:
        node = truth(scene)
        bending = add(scene, "bending", kind="BSplineTransform")
        node.SetAndObserveTransformNodeID(bending.GetID())
        with pytest.raises(ReferenceSurfaceError, match="truth: a transform bends it"):
            reference_shapes(scene, "m", node)

    def test_a_reconstruction_that_was_moved(self, scene: Any) -> None:
        under(scene, find_node(scene, "surface", run="m", level="L1"), TURN)
        with pytest.raises(ReferenceSurfaceError, match="L1 surface: a transform moves it"):
            run_shapes(scene, "m")


@pytest.mark.parametrize(
    ("name", "level"),
    [
        *(("L1", "L1"), ("l1", "L1"), ("Th12", "T12"), ("T04", "T4"), ("vertebrae_C7", "C7"), ("L6 bone", "L6")),
        *(("Segment_28", "T13"), ("label 8", "T1"), ("L1 vertebra mask", "L1")),
        *(("L1 disc", None), ("L1-L2", None), ("L7", None), ("C8", None), ("Segment_26", None), ("12", None)),
        *(("", None), ("bone", None), ("patient L1 left", None), ("Segment", None)),
    ],
)
def test_names_of_levels(name: str, level: str | None) -> None:
    assert level_named(name) == level


@pytest.mark.parametrize("level", ["C1", "T12", "L5"])
def test_terms_of_levels(level: str) -> None:
    assert level_meant(terminology_entry(level)) == level
    region = terminology_entry(level).split("~")[2]
    bone = f"x~SCT^85756007^Tissue~SCT^272673000^Bone~^^~Anatomic codes~{region}~^^"
    assert level_meant(bone) == level
    assert level_meant(f"x~a^1^b~99X^1^{level} vertebra~^^~y~^^~^^") == level
    assert level_meant(terminology_entry("L6")) is level_meant("") is level_meant("Tissue") is None


def test_terms_are_those_of_the_dicom_standard() -> None:
    """As pydicom has them: a code of a neighbour would name each vertebra wrongly, there and back."""
    theirs = {code.meaning: code.value for code in (getattr(codes.cid7603, name) for name in codes.cid7603.dir())}
    assert {f"{level} vertebra": code for level, code in VERTEBRA_CODES.items()} == theirs

"""The stand-in's ``slicer.parameterNodeWrapper``: what it writes into the scene, what it refuses, its widgets."""

# Slicer takes Optional[...] and Union[...] only.
# ruff: noqa: UP007, UP045

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, Optional, Union

import pytest


class Speed(enum.Enum):
    """How fast."""

    SLOW = 1
    FAST = 2

    def label(self) -> str:
        """What a person reads."""
        return self.name.capitalize()


Parameters = Callable[..., Any]


def texts(parameters: Any) -> dict[str, str]:
    """What the node keeps."""
    node = parameters.parameterNode
    return {name: node.GetParameter(name) for name in sorted(node.GetParameterNames())}


class TestTexts:
    """Names and texts are Slicer's own, so that its scenes can be read."""

    def test_simple_types(self, parameters: Parameters) -> None:
        made = parameters(i=int, f=float, s=str, b=bool, p=pathlib.Path, e=Speed)
        assert texts(made) == {"i": "0", "f": "0", "s": "", "b": "False", "p": ".", "e": "SLOW"}
        made.i, made.f, made.s, made.b, made.p, made.e = 3, 2, "x y", True, pathlib.Path("a/b"), Speed.FAST
        assert texts(made) == {"i": "3", "f": "2", "s": "x y", "b": "True", "p": "a/b", "e": "FAST"}
        assert (made.i, made.f, made.s, made.b) == (3, 2.0, "x y", True)
        assert (made.p, made.e) == (pathlib.Path("a/b"), Speed.FAST)

    def test_containers(self, parameters: Parameters) -> None:
        made = parameters(names=list[str], pair=tuple[int, bool], table=dict[str, float])
        made.names, made.pair, made.table = ["a", "b"], (3, True), {"x": 1.5}
        assert texts(made) == {
            "names.len": "2",
            "names.0": "a",
            "names.1": "b",
            "pair.0": "3",
            "pair.1": "True",
            "table.len": "1",
            "table.0.0": "x",
            "table.0.1": "1.5",
        }
        made.names = ["c"]
        assert "names.1" not in texts(made)

    def test_a_list_is_written_when_it_changes(self, parameters: Parameters) -> None:
        made = parameters(names=list[str])
        made.names.append("a")
        made.names += ["b"]
        assert (list(made.names), texts(made)["names.1"]) == (["a", "b"], "b")

    def test_a_list_inside_a_list(self, parameters: Parameters) -> None:
        made = parameters(rows=list[list[int]])
        rows = made.rows
        rows.append([1])
        rows[0][0] = 2
        assert texts(made)["rows.0.0"] == "2"

    def test_unions(self, parameters: Parameters) -> None:
        made = parameters(maybe=Optional[float], either=Union[int, str])
        assert (made.maybe, made.either) == (None, 0)
        made.maybe, made.either = 2.5, "x"
        assert texts(made) == {"maybe.0": "2.5", "either.1": "x"}
        made.maybe = None
        assert texts(made)["maybe.1"] == "True"
        assert made.maybe is None

    def test_nodes_are_references(self, slicer: Any, parameters: Parameters) -> None:
        made = parameters(volume=slicer.vtkMRMLScalarVolumeNode)
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        made.volume = volume
        assert made.parameterNode.GetNodeReferenceID("volume") == volume.GetID()
        assert made.volume is volume
        slicer.mrmlScene.RemoveNode(volume)
        assert made.volume is None

    def test_packs(self, parameters: Parameters) -> None:
        from slicer.parameterNodeWrapper import parameterPack

        @parameterPack
        class Region:
            name: str = "L1"
            sizes: list[float]

        made = parameters(region=Region)
        made.region.name = "L2"
        made.setValue("region.sizes", [1.0])
        assert texts(made) == {"region.name": "L2", "region.sizes.len": "1", "region.sizes.0": "1.0"}

    def test_a_scene_keeps_them(self, slicer: Any, parameters: Parameters, tmp_path: pathlib.Path) -> None:
        annotations = {
            "volume": slicer.vtkMRMLScalarVolumeNode,
            "names": list[str],
            "maybe": Optional[int],
            "speed": Speed,
            "folder": pathlib.Path,
        }
        made = parameters(**annotations)
        made.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "v")
        made.names, made.maybe, made.speed = ["a <b> & 'c'", "ä;\n|"], 4, Speed.FAST
        made.folder = pathlib.Path("with space") / "x"
        node_name = made.parameterNode.GetName()
        path = tmp_path / "scene.mrb"
        assert slicer.util.saveScene(str(path))
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(str(path))
        read = parameters(node=slicer.util.getNode(node_name), **annotations)
        assert (read.volume.GetName(), list(read.names)) == ("v", ["a <b> & 'c'", "ä;\n|"])
        assert (read.maybe, read.speed, read.folder) == (4, Speed.FAST, pathlib.Path("with space/x"))


class TestRefusals:
    """Values and annotations that Slicer refuses."""

    @pytest.mark.parametrize(
        ("kind", "value"),
        [(int, 1.5), (int, "1"), (float, "1"), (str, None), (bool, 1), (list[int], ["a"]), (Speed, 1)],
    )
    def test_values_of_the_wrong_type(self, parameters: Parameters, kind: Any, value: Any) -> None:
        made = parameters(x=kind)
        with pytest.raises((TypeError, ValueError)):
            made.x = value

    def test_a_node_of_another_class(self, slicer: Any, parameters: Parameters) -> None:
        made = parameters(volume=slicer.vtkMRMLScalarVolumeNode)
        with pytest.raises(TypeError):
            made.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")

    def test_validators(self, parameters: Parameters) -> None:
        from slicer.parameterNodeWrapper import Choice, Default, Maximum, Minimum, WithinRange

        made = parameters(
            within=Annotated[int, WithinRange(1, 9), Default(3)],
            low=Annotated[float, Minimum(0)],
            high=Annotated[float, Maximum(1)],
            method=Annotated[str, Choice(["a", "b"]), Default("b")],
        )
        assert (made.within, made.method) == (3, "b")
        for name, value in (("within", 10), ("low", -1.0), ("high", 2.0), ("method", "c")):
            with pytest.raises(ValueError, match="must"):
                setattr(made, name, value)

    def test_the_default_must_be_valid_too(self, parameters: Parameters) -> None:
        """Slicer finds it when the node is made: a range without zero needs a default."""
        from slicer.parameterNodeWrapper import WithinRange

        with pytest.raises(ValueError, match="within range"):
            parameters(x=Annotated[int, WithinRange(1, 9)])

    def test_a_misspelt_parameter(self, parameters: Parameters) -> None:
        made = parameters(threshold=float)
        with pytest.raises(AttributeError):
            made.treshold = 1.0
        with pytest.raises(ValueError, match="treshold"):
            made.getValue("treshold")

    @pytest.mark.parametrize("kind", [int | None, object, set[int], list])
    def test_types_that_cannot_be_kept(self, parameters: Parameters, kind: Any) -> None:
        with pytest.raises(TypeError, match="Unable to create serializer"):
            parameters(x=kind)

    def test_reserved_names(self, parameters: Parameters) -> None:
        with pytest.raises(ValueError, match="reserved name"):
            parameters(default=int)


class TestNode:
    """A wrapper stands for its node."""

    def test_a_change_is_an_event(self, parameters: Parameters) -> None:
        import vtk

        made, heard = parameters(x=int), []
        made.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: heard.append(made.x))
        made.x = 5
        assert heard == [5]

    def test_a_change_from_outside(self, parameters: Parameters) -> None:
        """Its observers may still find the old value, as in Slicer: those of VTK are not called in their order."""
        made = parameters(x=int)
        made.parameterNode.SetParameter("x", "7")
        assert made.x == 7

    def test_caching(self, slicer: Any, parameters: Parameters) -> None:
        made = parameters(x=int, maybe=Optional[int], volume=slicer.vtkMRMLVolumeNode)
        assert (made.isCached("x"), made.isCached("maybe"), made.isCached("volume")) == (True, True, True)
        assert made.default("x").value == 0

    def test_two_wrappers_of_one_node(self, parameters: Parameters) -> None:
        first = parameters(x=int)
        second = parameters(node=first.parameterNode, x=int)
        first.x = 3
        assert second.x == 3

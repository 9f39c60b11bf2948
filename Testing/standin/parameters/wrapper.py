"""``@parameterNodeWrapper``: a parameter node whose values are typed attributes, and its bindings to widgets."""

# mypy: disable-error-code="assignment, attr-defined, misc, name-defined"
from __future__ import annotations

import logging
import typing
import weakref
from dataclasses import dataclass
from typing import Any

import qt
import slicer
import vtk

from . import annotations
from .connectors import GuiConnector, createGuiConnector
from .packs import isParameterPack
from .serializers import Serializer, of_type

SlicerParameterNamePropertyName = "SlicerParameterName"

#: Slicer's connectGui does not return the tag that its documentation promises (Slicer issue 7547), so that
#: ``disconnectGui(self._parameterNodeGuiTag)`` of the module template disconnects nothing. True: as documented.
CONNECT_GUI_RETURNS_TAG = False

_RESERVED = (
    "allParameters",
    "default",
    "isCached",
    "dataType",
    "getValue",
    "setValue",
    "connectGui",
    "connectParametersToGui",
    "disconnectGui",
    "StartModify",
    "EndModify",
    "AddObserver",
    "RemoveObserver",
    "Modified",
)


@dataclass(frozen=True)
class _Parameter:
    """One annotated name of a wrapper."""

    name: str
    kind: Any
    serializer: Serializer
    default: annotations.Default


class _Value:
    """One parameter of one node, kept while the serializer allows it."""

    def __init__(self, parameter: _Parameter, node: Any, prefix: str) -> None:
        self.parameter, self._node, self._name = parameter, node, prefix + parameter.name
        if not parameter.serializer.isIn(node, self._name):
            parameter.serializer.write(node, self._name, parameter.default.value)
        self.cached, self._writing = parameter.serializer.caching, False
        if self.cached:
            self._kept = self._from_node()
            itself = weakref.ref(self)
            self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _Value._on_modified(itself()))

    def __del__(self) -> None:
        if getattr(self, "_tag", None) is not None:
            self._node.RemoveObserver(self._tag)

    def _on_modified(self: _Value | None) -> None:
        if self is not None and not self._writing:
            self._kept = self._from_node()

    def _from_node(self) -> Any:
        serializer = self.parameter.serializer
        if not serializer.isIn(self._node, self._name):
            serializer.write(self._node, self._name, self.parameter.default.value)
        return serializer.read(self._node, self._name)

    def read(self) -> Any:
        return self._kept if self.cached else self._from_node()

    def write(self, value: Any) -> None:
        self._writing = True
        try:
            # Observers must find the new value kept.
            with slicer.util.NodeModify(self._node):
                self.parameter.serializer.write(self._node, self._name, value)
                if self.cached:
                    self._kept = self._from_node()
        finally:
            self._writing = False


class _Wrapper:
    """What the decorator adds to a class."""

    allParameters: dict[str, _Parameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        own = vars(self)
        own.update(parameterNode=parameterNode, _guis={}, _next_tag=0, _updating=False)
        own["_held"] = {name: _Value(each, parameterNode, prefix or "") for name, each in self.allParameters.items()}

    def __setattr__(self, name: str, value: Any) -> None:
        # Stricter than Slicer, which keeps a misspelt parameter as an attribute that nothing reads.
        if not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no parameter '{name}'")
        super().__setattr__(name, value)

    def _parts(self, name: str) -> tuple[_Value, str]:
        top, _, rest = name.partition(".")
        self.dataType(name)
        return vars(self)["_held"][top], rest

    @classmethod
    def dataType(cls, name: str) -> Any:
        """The annotated type of a parameter, or of a member of a pack. Raises ValueError for an unknown name."""
        top, _, rest = name.partition(".")
        if top not in cls.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {top}; there are {list(cls.allParameters)}")
        kind = cls.allParameters[top].kind
        if not rest:
            return kind
        if not isParameterPack(annotations.plain(kind)):
            raise ValueError(f"{top} is not a parameter pack but expects to have '{rest}'")
        return annotations.plain(kind).dataType(rest)

    def default(self, name: str) -> annotations.Default:
        """The default of a parameter."""
        return self._parts(name)[0].parameter.default

    def isCached(self, name: str) -> bool:
        """Whether the value read is kept."""
        return self._parts(name)[0].cached

    def getValue(self, name: str) -> Any:
        """A parameter's value by name; ``pack.member`` reaches into a pack."""
        held, rest = self._parts(name)
        return held.read().getValue(rest) if rest else held.read()

    def setValue(self, name: str, value: Any) -> None:
        """Set a parameter by name."""
        held, rest = self._parts(name)
        if rest:
            held.read().setValue(rest, value)
        else:
            held.write(value)

    def connectGui(self, gui: Any) -> int | None:
        """Bind every widget that has the dynamic property SlicerParameterName."""
        widgets = gui.findChildren(qt.QWidget) if getattr(gui, "isWidgetType", bool)() else list(vars(gui).values())
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        tag = self.connectParametersToGui({name: widget for name, widget in named.items() if name})
        return tag if CONNECT_GUI_RETURNS_TAG else None

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Bind parameters to widgets or connectors; return the tag for disconnectGui."""
        connectors = {
            name: widget if isinstance(widget, GuiConnector) else createGuiConnector(widget, self.dataType(name))
            for name, widget in mapping.items()
        }
        own = vars(self)
        tag = own["_next_tag"]
        own["_next_tag"] += 1
        own["_guis"][tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(lambda name=name, connector=connector: self._from_gui(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._to_gui())
        return tag

    def _from_gui(self, name: str, connector: GuiConnector) -> None:
        if not vars(self)["_updating"]:
            with slicer.util.NodeModify(self):
                self.setValue(name, connector.read())

    def _to_gui(self) -> None:
        own = vars(self)
        if own["_updating"]:
            return
        own["_updating"] = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in list(own["_guis"].values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            own["_updating"] = False

    def disconnectGui(self, tag: int | None) -> None:
        """Undo one binding; a tag that is not known does nothing."""
        for connector in vars(self)["_guis"].pop(tag, {}).values():
            connector.onChanged(None)

    def StartModify(self) -> int:
        """Of the node."""
        return self.parameterNode.StartModify()  # type: ignore[attr-defined]

    def EndModify(self, was: int) -> int:
        """Of the node."""
        return self.parameterNode.EndModify(was)  # type: ignore[attr-defined]

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        """Of the node."""
        return self.parameterNode.AddObserver(event, callback, priority)  # type: ignore[attr-defined]

    def RemoveObserver(self, tag: int) -> None:
        """Of the node."""
        self.parameterNode.RemoveObserver(tag)  # type: ignore[attr-defined]

    def Modified(self) -> None:
        """Of the node."""
        self.parameterNode.Modified()  # type: ignore[attr-defined]


def parameterNodeWrapper(cls: Any = None) -> Any:
    """Class decorator: the annotated names become parameters of a node."""
    if cls is None:
        return parameterNodeWrapper
    parameters = {name: _parameter(cls, name, kind) for name, kind in _hints(cls).items()}
    for name in _RESERVED:
        if name in parameters or hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    members: dict[str, Any] = {name: _attribute(name) for name in parameters}
    members |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls, _Wrapper), {**members, "allParameters": parameters})


def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _parameter(cls: type, name: str, kind: Any) -> _Parameter:
    try:
        serializer, beside = of_type(kind)
    except TypeError as error:
        raise TypeError(f"Unable to create serializer for {cls} member {name}: {error}") from error
    given = annotations.first(beside, annotations.Default)
    unused = [each for each in beside if not isinstance(each, annotations.Default)]
    if unused:
        logging.warning("Unused annotations: %s", unused)
    if hasattr(cls, name):
        given = annotations.Default(getattr(cls, name))
    return _Parameter(name, kind, serializer, given or annotations.Default(serializer.default()))


def _attribute(name: str) -> property:
    def held(self: Any) -> _Value:
        return vars(self)["_held"][name]  # type: ignore[no-any-return]

    return property(lambda self: held(self).read(), lambda self, new: held(self).write(new))


def isParameterNodeWrapper(obj: Any) -> bool:
    """Whether a class or an object is a parameter node wrapper."""
    return bool(getattr(obj, "_is_parameter_node_wrapper", False))


def findChildWidgetForParameter(widget: Any, parameter: str) -> Any:
    """The widget inside ``widget`` that is bound to a parameter, or None."""
    inside = widget.findChildren(qt.QWidget)
    return next((each for each in inside if each.property(SlicerParameterNamePropertyName) == parameter), None)

"""What the steps have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from ...scene.nodes import Scene
from ...scene.results import runs
from ..session import Session


class Step(ABC):
    """One step of the page. Its template is ``www/NAME.html``; the page's state ``step`` names the one that is open.

    State: NAME_done, NAME_summary (a line that says what has come of it).
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, session: Session) -> None:
        self.session, self.state = session, session.state
        self.summarise(False, "")
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Set the first state and bind what the page may call."""

    @abstractmethod
    def refresh(self) -> None:
        """Bring the state up to date with the scene."""

    @abstractmethod
    def clear(self) -> None:
        """Take away what is shown, for the next case."""

    @property
    def scene(self) -> Scene:
        """The page's scene."""
        return self.session.scene

    @property
    def run(self) -> str | None:
        """The run that is looked at: the one that was chosen, or the last one."""
        there = runs(self.scene)
        return self.state.run if self.state.run in there else (there[-1] if there else None)

    def summarise(self, done: bool, words: str) -> None:
        """What the head of the step shows."""
        self.state.update({f"{self.name}_done": done, f"{self.name}_summary": words})

    def bind(self, words: str, *methods: Callable[..., None]) -> None:
        """Let the page call methods by their names; words: what they do, for an error's sentence."""
        for method in methods:
            self.session.bind(words, method)


def number(value: Any, otherwise: float | None = None) -> float | None:
    """A number that someone typed, with a comma or a point; ``otherwise`` for what is none."""
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        return otherwise

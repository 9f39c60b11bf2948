"""All studies, by name."""

from __future__ import annotations

from . import angles, changes, comparison, losses, modules

STUDIES = {study.name: study for study in (comparison.STUDY, modules.STUDY, losses.STUDY, angles.STUDY, changes.STUDY)}

"""Errors are sentences, and survive the way out of a worker process."""

import pickle

import pytest
from EARReconstructionLib import errors
from EARReconstructionLib.errors import CaseError, EARError, RadiographError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EARError)]


def test_a_sentence_with_subject_cause_and_advice():
    error = CaseError("case.json", "it is empty.", "Give another")
    assert str(error) == "case.json: it is empty. Give another."
    assert (error.subject, error.cause, error.advice) == ("case.json", "it is empty", "Give another")


@pytest.mark.parametrize("kind", KINDS)
def test_pickling(kind):
    error = kind("case.json", "it is empty", "Give another")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_what_a_radiograph_asks_for_is_pickled_too():
    error = RadiographError("ap.png", "it is silent", "Give pixel_mm", asks="pixel_mm")
    assert pickle.loads(pickle.dumps(error)).asks == "pixel_mm"

"""Exceptions: what a reader gets to see."""

import pickle

import pytest

from capacity.errors import (
    CapacityError,
    InfeasibleError,
    InputError,
    NotCoveredError,
    NotebookFailedError,
    NotebookTimedOutError,
    Problem,
    UnreachableError,
    UsageError,
    did_you_mean,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (CapacityError, 2),
        (InputError, 2),
        (UsageError, 2),
        (UnreachableError, 2),
        (NotCoveredError, 3),
        (InfeasibleError, 3),
        (NotebookFailedError, 4),
        (NotebookTimedOutError, 5),
    ],
)
def test_exit_codes(kind, code):
    assert kind("x").exit_code == code


def test_all_problems_are_shown_and_kept():
    problems = [Problem(f"a.yaml:{n} x", "1", "2") for n in range(500)]
    error = InputError("a.yaml has 500 problems", problems=problems, remedy="mend them")
    assert str(error).count("\n") == 501
    assert str(error).endswith("Next: mend them")
    assert error.problems == tuple(problems)


def test_an_error_survives_a_process_boundary():
    error = InputError("m", problems=[Problem("a", "b", "c")], remedy="r")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.problems == error.problems


def test_control_characters_of_a_file_do_not_reach_the_terminal():
    assert "\x1b" not in str(Problem("a.yaml:1 x\x1b[31m", "'\x1b]0;title\x07'", "text"))


def test_a_long_value_is_cut():
    assert len(str(Problem("a", "x" * 10_000, "y"))) < 200


def test_suggestions_ignore_case():
    assert did_you_mean("CHECKOUT", ["checkout"]) == "did you mean 'checkout'?"
    assert did_you_mean("checkout", []) == ""

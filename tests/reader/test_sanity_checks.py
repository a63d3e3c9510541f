"""Warnings: rare for one digit, and present if the picture shows something else."""

import numpy as np
import pytest
from drawings import ellipse, ink_of, ink_of_lines, ink_of_number, trim

from reader import read_digit, read_number


def digits(*squares, pen=9, size=(420, 300)):
    """Return the ink of some digits; each of `squares` is a digit and its square, (left, top, side)."""
    return np.maximum.reduce([ink_of(digit, square, size, pen) for digit, square in squares])


NOT_ONE_DIGIT = {
    "two digits": (digits((1, (30, 50, 200)), (9, (200, 50, 200))), "side by side"),
    "a digit far above a digit": (digits((3, (30, 0, 80)), (6, (120, 240, 200)), size=(420, 560)), "far apart"),
    "half a digit": (digits((8, (100, 150, 280))), "touches the edge"),
    "a blob": (digits((8, (100, 40, 200)), pen=60), "thicker"),
    "a hair": (digits((7, (10, 10, 1500)), pen=3, size=(1500, 1500)), "very thin"),
    "a chain": (ink_of_lines(*[ellipse(140, 30 + 45 * i, 80, 50) for i in range(4)], pen=9), "more loops"),
    "a scribble": (
        ink_of_lines([(30, 40), (270, 30), (40, 90), (260, 170), (90, 180), (210, 20), (30, 150)]),
        "rotated",
    ),
}


@pytest.mark.parametrize("case", NOT_ONE_DIGIT)
def test_a_warning_names_the_reason(net, case):
    ink, words = NOT_ONE_DIGIT[case]
    _, warnings = read_digit(net, 0.9 - 0.7 * ink)
    assert any(words in warning for warning in warnings), warnings


def test_one_digit_has_no_warning(net):
    for digit in range(10):
        ink = digits((digit, (100, 40, 200)))
        assert read_digit(net, 0.9 - 0.7 * ink)[1] == [], digit
        assert not any("touches the edge" in warning for warning in read_digit(net, 0.9 - 0.7 * trim(ink))[1]), digit


def test_warnings_about_mnist_digits_are_rare(net, mnist_test):
    assert sum(bool(read_digit(net, image)[1]) for image in mnist_test.images[:100]) <= 5


def test_warnings_about_a_number_name_the_digit(net):
    assert read_number(net, 1 - ink_of_number("4072", width=60))[1] == []
    cut_off = np.pad(trim(ink_of_number("40", width=60)), ((30, 0), (30, 30)))[:-12]
    _, warnings = read_number(net, 1 - cut_off)
    assert any(warning.startswith("digit 2: ink touches the edge") for warning in warnings), warnings

"""reader_study.py and synthetic_photos.py: what is counted, and the pictures."""

import numpy as np
import pytest
from PIL import Image

from experiments import reader_study
from experiments.synthetic_photos import photograph_digit
from model import load_net


def test_count_keeps_refused_wrong_and_warned_apart():
    readings = [(3, "3", False), (3, "3", True), (4, "3", False), (4, "9", True), (5, "", False)]
    assert list(reader_study.count(readings).values()) == [5, 2, 1, 2, 1]


def test_real_pictures_are_counted_by_task_and_kind(tmp_path):
    (tmp_path / "pictures").mkdir()
    photograph_digit(3, np.random.default_rng(0)).save(tmp_path / "pictures" / "3.png")
    Image.new("L", (90, 90)).save(tmp_path / "pictures" / "blank.png")
    lines = ["file,task,kind,label", "3.png,digit,a,3", "3.png,digit,a,4", "blank.png,digit,a,5", "3.png,number,a,3"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    digit, number = reader_study.measure_real(load_net(), tmp_path)
    assert list(digit.values()) == ["digit: a", 3, 1, 1, 0, 1, 1]
    assert (number["pictures"], number["right"]) == ("number: a", 1)


@pytest.mark.parametrize("changes", [{"on_desk": True, "shadow": (0.4, 60)}, {"extra": "a box", "tilt": 0.1}])
def test_photographs_show_their_digit(changes):
    pictures = [photograph_digit(digit, np.random.default_rng(digit), **changes) for digit in range(10)]
    answers = [reader_study.read(load_net(), picture)[0] for picture in pictures]
    assert sum(answer == str(digit) for digit, answer in enumerate(answers)) >= 8  # of ten, on any processor

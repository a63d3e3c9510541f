"""reader_study.py and synthetic_photos.py: what is counted, and the pictures."""

import numpy as np
import pytest
from PIL import Image

from experiments import reader_study
from experiments.synthetic_photos import STROKES, photograph_digit
from model import load_net
from reader import read_digit


def test_count_keeps_refused_wrong_and_warned_apart():
    readings = [(3, "3", False), (3, "3", True), (4, "3", False), (4, "9", True), (5, "", False)]
    assert list(reader_study.count(readings).values()) == [5, 2, 1, 2, 1]


def test_real_pictures_are_counted_by_task_and_kind(tmp_path):
    (tmp_path / "pictures").mkdir()
    photograph_digit(3, np.random.default_rng(0)).save(tmp_path / "pictures" / "three.png")
    Image.new("L", (90, 90)).save(tmp_path / "pictures" / "blank.png")
    lines = ["file,task,kind,label", "three.png,digit,photo,3", "three.png,digit,photo,4"]
    lines += ["blank.png,digit,photo,5", "three.png,number,photo,3"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    digit, number = reader_study.measure_real(load_net(), tmp_path)
    assert [digit[name] for name in reader_study.COUNTS] == [3, 1, 1, 0, 1]
    assert digit["Otsu's threshold alone"] == 1
    assert (number["pictures"], number["right"]) == ("number: photo", 1)


@pytest.mark.parametrize("changes", [{"on_desk": True, "shadow": (0.4, 60)}, {"extra": "a box", "tilt": 0.1}])
def test_photographs_show_their_digit(changes):
    net = load_net()
    answers = [read_digit(net, photograph_digit(d, np.random.default_rng(d), **changes))[0].argmax() for d in STROKES]
    assert sum(answer == digit for answer, digit in zip(answers, STROKES, strict=True)) >= 8  # of ten, on any processor

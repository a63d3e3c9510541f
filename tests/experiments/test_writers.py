"""writers.py and unseen_pictures.py: which images are wrong, and intervals by writer and by repository."""

import pandas as pd

from experiments import results, unseen_pictures, writers


def test_wrong_images_are_those_after_epoch_15():
    rows = pd.DataFrame({"seed": [3, 3, 4], "epoch": [14, 15, 15], "wrong": ["7", "0 9999", ""]})
    wrong = writers.wrong_images(rows)
    assert wrong.loc[3].to_numpy().nonzero()[0].tolist() == [0, 9999]
    assert not wrong.loc[4].any()


def test_writers_follow_the_order_of_the_test_set():
    """The first 5,001 are by employees of the census bureau, numbered from 2,000, the others by pupils."""
    numbers = results.read("writers")["writer"]
    assert len(numbers) == 10_000
    assert numbers.nunique() == 297
    assert (numbers[:5001] >= 2000).all()
    assert (numbers[5001:] < 2000).all()


def test_pictures_of_one_repository_count_as_one():
    rows = pd.DataFrame({"source": [1] * 50 + [2, 3, 4], "right": [0] * 50 + [1, 1, 1]})
    low, high = (float(end.rstrip(")")) for end in unseen_pictures.interval(rows).split("(")[1].split(" to "))
    assert high - low > 20  # all the mistakes are of one repository; 53 independent pictures would give 13


def test_wrong_without_a_warning_excludes_refused_pictures():
    rows = pd.DataFrame({"source": 1, "right": [1, 0, 0, 0], "warned": [0, 1, 0, 0], "refused": [0, 0, 1, 0]})
    assert unseen_pictures.cells("x", rows, "25%") == ("x", 1, 4, 1, "25%", 2, 1)

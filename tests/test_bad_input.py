"""Invalid arguments, by table: each is refused with a message that names it."""

import math

import pytest
import torch

import utils
from model import Net

IMAGES = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
LABELS = torch.tensor([0, 1, 2, 3])
GOOD = utils.Split(IMAGES, LABELS)


def split(images=IMAGES, labels=LABELS):
    return utils.Split(images, labels)


def fit(train=GOOD, test=GOOD, model=None, **recipe):
    return lambda: utils.fit(Net() if model is None else model, train, test, **({"epochs": 1} | recipe))


def call(function, *args, **options):
    return lambda: function(*args, **options)


def classifier(classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, classes))


# What is called, what its message must contain: the argument's name, and what was found.
CASES = {
    "model is a class": (fit(model=Net), ["model", "type"]),
    "model has nine classes": (fit(model=classifier(9)), ["what model returns", "[2, 9]", "[N, 10]"]),
    "model is of float64": (fit(model=Net().double()), ["model's", "float64", "float32; try model.float()"]),
    "train is a tuple": (fit(train=(IMAGES, LABELS)), ["train is (tensor(", "Split"]),
    "train images are floats": (fit(split(IMAGES.float())), ["train.images", "float32", "uint8"]),
    "train labels reach 10": (fit(split(labels=LABELS + 7)), ["train.labels is [7, 10]", "0 to 9"]),
    "test images are elsewhere": (fit(test=split(IMAGES.to("meta"))), ["test.images", "meta", "cpu"]),
    "epochs is a float": (fit(epochs=1.5), ["epochs", "1.5", "whole"]),
    "lr is NaN": (fit(lr=math.nan), ["lr", "nan", "finite"]),
    "schedule is too short": (fit(schedule=lambda steps: torch.ones(0)), ["schedule(1) is float32 [0]", "tensor [1]"]),
    "make_optimizers is a class": (
        fit(make_optimizers=torch.optim.SGD, epochs=2),
        ["make_optimizers(model, lr) failed: 'Net' object is not iterable", "lambda model, lr: [torch.optim.SGD("],
    ),
    "make_optimizers returns one": (
        fit(make_optimizers=lambda model, lr: torch.optim.SGD(model.parameters(), lr), epochs=2),
        ["make_optimizers returned an object of type SGD", "list of optimizers"],
    ),
    "scale is 1": (call(utils.random_affines, 1, scale=1), ["scale is 1", "below 1"]),
    "images to read are elsewhere": (call(utils.compute_logits, Net().to("meta"), IMAGES), ["images", "cpu", "meta"]),
    "all is held out": (call(utils.hold_out, GOOD, every=1), ["every is 1", "2 or more"]),
    "history is empty": (call(utils.plot_history, []), ["history is []", "fit"]),
    "augmentation of one image": (call(utils.plot_augmentation, IMAGES[0]), ["images", "[1, 28, 28]"]),
    "stages of a batch": (call(utils.plot_stages, Net(), IMAGES), ["image", "[4, 1, 28, 28]", "uint8 [1, 28, 28]"]),
    "stages of another model": (call(utils.plot_stages, classifier(10), IMAGES[0]), ["model", "Sequential", "Net"]),
}


@pytest.mark.parametrize("case", CASES)
def test_invalid_argument_is_refused_by_name(case):
    action, words = CASES[case]
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are what is matched
        action()
    assert [word for word in words if word not in str(error.value)] == []

"""Invalid arguments, by table: each is refused with a message that names it."""

import math

import pytest
import torch

import utils
from model import Net

IMAGES, LABELS = torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, 2, 3])
GOOD = utils.Split(IMAGES, LABELS)


def fit(train=GOOD, test=GOOD, model=None, **options):
    return utils.fit(model or Net(), train, test, **({"epochs": 1} | options))


def classifier(classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, classes))


# What is called, and what its message contains: the argument's name, and what was found.
CASES = [
    (lambda: fit(model=Net), "model is of type type"),
    (lambda: fit(model=classifier(9)), "what model returns is float32 [2, 9] on cpu; it must be logits [N, 10]"),
    (lambda: fit(model=Net().double()), "float64 [8, 1, 3, 3] on cpu; it must be float32; try model.float()"),
    (lambda: fit((IMAGES, LABELS)), "train is (tensor("),
    (lambda: fit(utils.Split(IMAGES.float(), LABELS)), "train.images is float32 [4, 1, 28, 28]"),
    (lambda: fit(utils.Split(IMAGES, LABELS + 7)), "train.labels is [7, 10]"),
    (lambda: fit(test=utils.Split(IMAGES.to("meta"), LABELS)), "test.images is uint8 [4, 1, 28, 28] on meta"),
    (lambda: fit(epochs=1.5), "epochs is 1.5; it must be a whole number"),
    (lambda: fit(lr=math.nan), "lr is nan; it must be a finite number"),
    (lambda: fit(schedule=lambda steps: torch.ones(0)), "schedule(1) is float32 [0]"),
    (lambda: fit(), "schedule(1) is [0.0]; it must be above 0 in at least one step"),
    (lambda: fit(epochs=2, make_optimizers=torch.optim.SGD), "lr)]: 'Net' object is not iterable"),
    (lambda: fit(epochs=2, make_optimizers=lambda model, lr: torch.optim.SGD(model.parameters())), "'SGD' object is"),
    (lambda: utils.random_affines(1, scale=1), "scale is 1; it must be below 1"),
    (lambda: utils.compute_logits(Net().to("meta"), IMAGES), "on cpu; it must be on meta"),
    (lambda: utils.hold_out(GOOD, every=1), "every is 1; it must be a whole number, 2 or more"),
    (lambda: utils.plot_history([]), "history is []"),
    (lambda: utils.plot_augmentation(IMAGES[0]), "images is uint8 [1, 28, 28]"),
    (lambda: utils.plot_stages(Net(), IMAGES), "image is uint8 [4, 1, 28, 28]"),
    (lambda: utils.plot_stages(classifier(10), IMAGES[0]), "model is of type Sequential; it must be like Net"),
]


@pytest.mark.parametrize(("call", "words"), CASES, ids=[words for _, words in CASES])
def test_invalid_argument_is_refused_by_name(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are what is matched
        call()
    assert words in str(error.value)

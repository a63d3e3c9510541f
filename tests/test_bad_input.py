"""Invalid arguments, by table: each is refused with a message that names it."""

import math

import pytest
import torch

import utils
from model import Net
from training.data import shuffled_batches

IMAGES = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
LABELS = torch.tensor([0, 1, 2, 3])
GOOD = utils.Split(IMAGES, LABELS)
LOGITS = torch.zeros(4, 10)


def split(images=IMAGES, labels=LABELS):
    return utils.Split(images, labels)


def fit(train=GOOD, test=GOOD, model=None, **recipe):
    return lambda: utils.fit(Net() if model is None else model, train, test, **({"epochs": 1} | recipe))


def call(function, *args, **options):
    return lambda: function(*args, **options)


class Flat(torch.nn.Module):
    """A model with the wrong number of classes."""

    def __init__(self, classes=9):
        super().__init__()
        self.layer = torch.nn.Linear(784, classes)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Pair(Flat):
    """A model that returns more than logits."""

    def forward(self, images):
        return super().forward(images), images


class First(Flat):
    """A model that returns logits of its first image only."""

    def __init__(self):
        super().__init__(classes=10)

    def forward(self, images):
        return super().forward(images)[:1]


# What is called, what its message must contain: the argument's name, and what was found.
CASES = {
    "model is a class": (fit(model=Net), ["model", "type"]),
    "model has nine classes": (fit(model=Flat()), ["what model returns", "[2, 9]", "[N, 10]"]),
    "model returns a tuple": (fit(model=Pair()), ["what model returns is (tensor", "logits [N, 10]"]),
    "model is of float64": (fit(model=Net().double()), ["model's", "float64", "float32; try model.float()"]),
    "model is frozen": (fit(model=Net().requires_grad_(False)), ["model", "trainable parameters (requires_grad=True)"]),
    "train is a tuple": (fit(train=(IMAGES, LABELS)), ["train is (tensor(", "Split"]),
    "train images are floats": (fit(split(IMAGES.float())), ["train.images", "float32", "uint8"]),
    "train is empty": (fit(split(IMAGES[:0], LABELS[:0])), ["train.images", "[0, 1, 28, 28]", "at least 1"]),
    "train has fewer labels": (fit(split(labels=LABELS[:3])), ["train.labels", "[3]", "[4]"]),
    "train labels are int32": (fit(split(labels=LABELS.int())), ["train.labels", "int32", "int64"]),
    "train labels reach 10": (fit(split(labels=LABELS + 7)), ["train.labels is [7, 10]", "0 to 9"]),
    "test images are elsewhere": (fit(test=split(IMAGES.to("meta"))), ["test.images", "meta", "cpu"]),
    "epochs is 0": (fit(epochs=0), ["epochs", "0", "1 or more"]),
    "epochs is a float": (fit(epochs=1.5), ["epochs", "1.5", "whole"]),
    "batch_size is 0": (fit(batch_size=0), ["batch_size", "0"]),
    "lr is 0": (fit(lr=0), ["lr", "0", "above 0"]),
    "lr is NaN": (fit(lr=math.nan), ["lr", "nan", "finite"]),
    "ema_decay is 1": (fit(ema_decay=1), ["ema_decay", "1", "below 1"]),
    "make_optimizers is missing": (fit(make_optimizers=None), ["make_optimizers is of type NoneType", "function"]),
    "make_optimizers returns one": (
        fit(make_optimizers=lambda model, lr: torch.optim.SGD(model.parameters(), lr), epochs=2),
        ["what make_optimizers returns is of type SGD", "list"],
    ),
    "schedule is too short": (fit(schedule=lambda steps: torch.ones(0)), ["schedule(1) is float32 [0]", "tensor [1]"]),
    "schedule has a single step": (fit(), ["schedule(1) is [0.0]", "more epochs or a smaller batch_size"]),
    "augment returns one map for all": (
        fit(augment=lambda n, generator: torch.zeros(1, 2, 3), epochs=2),
        ["augment(4) is float32 [1, 2, 3]", "tensor [4, 2, 3]"],
    ),
    "augment returns NaN": (
        fit(augment=lambda n, generator: torch.full((n, 2, 3), math.nan), epochs=2),
        ["augment(4)", "finite numbers"],
    ),
    "extra_metrics is a number": (fit(extra_metrics=5), ["extra_metrics is 5", "function"]),
    "extra_metrics returns a number": (
        fit(extra_metrics=lambda state: 5, epochs=2),
        ["what extra_metrics returns is 5", "dictionary"],
    ),
    "checkpoint is a number": (fit(checkpoint=5), ["checkpoint is 5", "path"]),
    "seed is negative": (fit(seed=-1), ["seed", "-1"]),
    "degrees are negative": (call(utils.random_affines, 1, degrees=-1), ["degrees", "-1"]),
    "scale is 1": (call(utils.random_affines, 1, scale=1), ["scale", "1"]),
    "shear is 90": (call(utils.random_affines, 1, shear=90), ["shear", "90"]),
    "model gets bytes": (call(Net(), IMAGES), ["images", "uint8"]),
    "images to read are floats": (call(utils.compute_logits, Net(), IMAGES.float()), ["images", "float32", "uint8"]),
    "images to read are elsewhere": (call(utils.compute_logits, Net().to("meta"), IMAGES), ["images", "cpu", "meta"]),
    "split to evaluate is a tensor": (call(utils.evaluate, Net(), IMAGES), ["split is uint8 [4, 1, 28, 28]"]),
    "warmup is 0": (call(utils.one_cycle, 10, warmup=0), ["warmup", "0"]),
    "batches of nothing": (call(shuffled_batches, 10, 0), ["batch_size", "0"]),
    "history is empty": (call(utils.plot_history, []), ["history is []", "fit"]),
    "digits in no column": (call(utils.plot_digits, GOOD, columns=0), ["columns is 0", "1 or more"]),
    "confusion has nine classes": (call(utils.plot_confusion, LOGITS[:, 1:], LABELS), ["logits", "[4, 9]", "[4, 10]"]),
}


@pytest.mark.parametrize("case", CASES)
def test_invalid_argument_is_refused_by_name(case):
    action, words = CASES[case]
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are what is matched
        action()
    assert [word for word in words if word not in str(error.value)] == []


def test_refused_fit_changes_nothing(capsys):
    model = Net().train()
    before = [p.clone() for p in model.parameters()]
    for options in ({"lr": 0}, {"augment": 1}, {"epochs": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            fit(model=model, **options)()
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    assert model.training
    assert capsys.readouterr().out == ""


def exploding_at(fatal):
    """Return a `make_optimizers` whose step number `fatal` makes the weights infinite."""

    class Explode(torch.optim.SGD):
        @torch.no_grad()
        def step(self):
            for p in self.param_groups[0]["params"]:
                # Counted on the device, since a captured step runs in Python only once.
                count = self.state[p].setdefault("count", torch.zeros((), device=p.device)).add_(1)
                p.mul_(torch.where(count == fatal, math.inf, 1.0))

    return lambda model, lr: [Explode(model.parameters(), lr)]


@pytest.mark.parametrize(("fatal", "words"), [(2, "step 3: the loss"), (3, "the test loss")])
def test_non_finite_loss_stops_the_run(small, fatal, words):
    few = utils.Split(small[0].images[:96], small[0].labels[:96])
    with pytest.raises(FloatingPointError, match=rf"epoch 1, {words} is nan; try a lower lr than 0\.1"):
        utils.fit(Net(), few, few, epochs=2, batch_size=32, make_optimizers=exploding_at(fatal), lr=0.1)

"""The checkpoint of another run is refused, whatever the difference, and that of the same run never."""

import functools

import pytest
import torch
from interrupted import run, run_until, start

import utils
from model import Net
from training.checkpoint import pack, unpack

pytestmark = pytest.mark.numbers


OTHERS = {
    "epochs": {"epochs": 3},
    "batch_size": {"batch_size": 32},
    "lr": {"lr": 0.2},
    "schedule": {"schedule": functools.partial(utils.one_cycle, warmup=0.3)},
    "averaging": {"averaging": 0.9},
    "augment": {"augment": functools.partial(utils.random_affines, degrees=1)},
    "strength": {"strength": (1, 1)},
    "seed": {"seed": 1},
    "optimizers": {"optimizers": lambda model, lr: [torch.optim.SGD(model.parameters(), lr)]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_checkpoint_of_another_recipe_is_refused(tiny, half, name):
    before = half.read_bytes()
    with pytest.raises(ValueError, match=rf"that of another run: {name} is .* in it and .* now: delete it") as error:
        run(start(), tiny, **({"epochs": 2} | OTHERS[name]), checkpoint=half)
    assert str(half) in str(error.value)
    assert half.read_bytes() == before


def scaled(value):
    return lambda steps: value * utils.one_cycle(steps)


def test_the_checkpoint_of_a_function_that_holds_another_value_is_refused(tiny, path):
    run_until(2, start(), tiny, epochs=2, checkpoint=path, schedule=scaled(0.5))
    with pytest.raises(ValueError, match=r"schedule is .* with \[0.5\] in it and .* with \[0.25\] now"):
        run(start(), tiny, epochs=2, checkpoint=path, schedule=scaled(0.25))


class Scaled:
    """A schedule that is an object, and a method of one."""

    def __init__(self, value):
        self.value = value

    def __call__(self, steps):
        return self.value * utils.one_cycle(steps)


def by_default(value):
    def schedule(steps, share=value):
        return share * utils.one_cycle(steps)

    return schedule


HOLDERS = {
    "an object": Scaled,
    "a method": lambda value: Scaled(value).__call__,
    "a partial function of an object": lambda value: functools.partial(apply, Scaled(value)),
    "a closure over an object": lambda value: wrapped(Scaled(value)),
    "a closure over a tensor": lambda value: scaled(torch.tensor(value)),
    "a closure over a list": lambda value: listed([value]),
    "a default": by_default,
}


def apply(function, steps):
    return function(steps)


def listed(values):
    return lambda steps: values[0] * utils.one_cycle(steps)


def wrapped(function):
    return lambda steps: function(steps)


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_a_function_holds_is_part_of_the_recipe(tiny, path, holder):
    """The same in another object is the same recipe, wherever in memory it lies; another value is another recipe."""
    make = HOLDERS[holder]
    first = make(0.5)
    run_until(2, start(), tiny, epochs=2, checkpoint=path, schedule=first)
    with pytest.raises(ValueError, match="that of another run: schedule is"):
        run(start(), tiny, epochs=2, checkpoint=path, schedule=make(0.25))
    assert len(run(start(), tiny, epochs=2, checkpoint=path, schedule=make(0.5))) == 2


def test_what_cannot_be_told_from_another_is_refused(tiny, path):
    numbers = (number for number in (1, 2))

    def schedule(steps):
        return next(numbers) * utils.one_cycle(steps)

    with pytest.raises(ValueError, match="what the recipe holds is of type generator; it must be"):
        run(start(), tiny, epochs=2, checkpoint=path, schedule=schedule)


def test_the_checkpoint_of_a_network_that_computes_otherwise_is_refused(tiny, half):
    """With the same name and the same layers."""

    class Other(Net):
        def forward(self, images):
            return super().forward(images.flip(-1))

    Other.__name__ = Other.__qualname__ = "Net"
    with pytest.raises(ValueError, match=r"another run: architecture is "):
        run(Other(), tiny, epochs=2, checkpoint=half)


def test_the_checkpoint_of_another_network_is_refused(tiny, half):
    with pytest.raises(ValueError, match=r"another run: architecture is "):
        run(start(dropout=0.5), tiny, epochs=2, checkpoint=half)


def test_the_checkpoint_of_other_images_is_refused(tiny, half):
    train = utils.Split(*(part[:64] for part in tiny[0]))
    with pytest.raises(ValueError, match=r"another run: images is "):
        run(start(), (train, tiny[1]), epochs=2, checkpoint=half)


@pytest.mark.parametrize(("name", "value"), [("torch", "1.0"), ("training", 1), ("threads", 64)])
def test_the_checkpoint_of_another_version_is_refused(tiny, half, name, value):
    saved = unpack(half.read_bytes())
    saved["identity"][name] = value
    half.write_bytes(pack(saved))
    with pytest.raises(ValueError, match=rf"another run: {name} is {value} in it and "):
        run(start(), tiny, epochs=2, checkpoint=half)

"""The checkpoint of another run is refused, whatever the difference, and that of the same run never."""

import functools
import importlib.util
import inspect

import pytest
import torch
from helpers import ROOT
from interrupted import run, run_until, start, stop_in

import utils
from model import Net
from training.checkpoint import pack, unpack
from training.identity import WAYS_BACK

pytestmark = pytest.mark.numeric


OTHERS = {
    "epochs": {"epochs": 3},
    "batch_size": {"batch_size": 32},
    "lr": {"lr": 0.2},
    "schedule": {"schedule": functools.partial(utils.one_cycle, warmup=0.3)},
    "averaging": {"averaging": 0.9},
    "augment": {"augment": functools.partial(utils.random_affines, degrees=1)},
    "seed": {"seed": 1},
    "optimizers": {"optimizers": lambda model, lr: [torch.optim.SGD(model.parameters(), lr)]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_checkpoint_of_another_recipe_is_refused(tiny, half, name):
    before = half.read_bytes()
    with pytest.raises(ValueError, match=rf"that of another run: {name} is .* in it and .* now\. To go on") as error:
        run(start(), tiny, **({"epochs": 2} | OTHERS[name]), checkpoint=half)
    assert str(half) in str(error.value)
    assert str(error.value).endswith(
        f"To go on with it, set {name} back. Else delete it to begin anew, or name another file."
    )
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


def by_keyword(value):
    def schedule(steps, *, share=value):
        return share * utils.one_cycle(steps)

    return schedule


def by_global(value):
    """A function without a source, and its module's number."""
    names = {"utils": utils, "SHARE": value}
    exec("def schedule(steps): return SHARE * utils.one_cycle(steps)", names)
    return names["schedule"]


def typed(value):
    """A function without a source, as one typed at a prompt may be."""
    return eval(f"lambda steps: {value} * utils.one_cycle(steps)", {"utils": utils})


def typed_object(value):
    names = {"utils": utils}
    exec(f"class Typed:\n def __call__(self, steps): return {value} * utils.one_cycle(steps)", names)
    return names["Typed"]()


HOLDERS = {
    "an object": Scaled,
    "a method": lambda value: Scaled(value).__call__,
    "a partial function of an object": lambda value: functools.partial(apply, Scaled(value)),
    "a closure over an object": lambda value: wrapped(Scaled(value)),
    "a closure over a tensor": lambda value: scaled(torch.tensor(value)),
    "a closure over a list": lambda value: listed([value]),
    "a default": by_default,
    "a default by keyword": by_keyword,
    "a global": by_global,
    "code typed at a prompt": typed,
    "a class typed at a prompt": typed_object,
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


@pytest.mark.parametrize(
    ("name", "value", "way"),
    [
        ("torch", "1.0", "install torch 1.0 again"),
        ("training", "0", "take back what was changed in the folder training/"),
        ("loop", "0", "take back what was changed in fit or what it calls in utils.py"),
        ("device", "tpu", "train on tpu again"),
        ("images", "0", "give fit the images that it had"),
        ("architecture", "Other", "give fit the model that it was"),
        ("threads", 64, "OMP_NUM_THREADS=64 before Python starts or torch.set_num_threads(64)"),
    ],
)
def test_the_refusal_of_a_checkpoint_says_how_to_go_on_with_it(tiny, half, name, value, way):
    saved = unpack(half.read_bytes())
    assert name in saved["identity"]
    saved["identity"][name] = value
    half.write_bytes(pack(saved))
    with pytest.raises(ValueError, match=rf"another run: {name} is {value} in it and ") as error:
        run(start(), tiny, epochs=2, checkpoint=half)
    assert f"{way}. Else delete it to begin anew, or name another file." in str(error.value)


def test_a_run_with_another_number_of_threads_goes_on_when_that_is_set_back(tiny, half):
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(
            ValueError, match=rf"threads is {threads} in it and {threads + 1} now.*_threads\({threads}\)"
        ):
            run(start(), tiny, epochs=2, checkpoint=half)
    finally:
        torch.set_num_threads(threads)
    assert len(run(start(), tiny, epochs=2, checkpoint=half)) == 2


def test_every_part_of_the_identity_is_an_argument_or_has_a_way_back(tiny, half):
    arguments = inspect.signature(utils.fit).parameters
    assert set(unpack(half.read_bytes())["identity"]) == (set(arguments) & set(OTHERS)) | set(WAYS_BACK)


# --- Which code ---


def load_copy(path, text):
    """Return the module that `text` is when it stands in the file `path`."""
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("copy_of_utils", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CODE = (ROOT / "utils.py").read_text(encoding="utf-8")


def fit_with(module, splits, path, **options):
    return module.fit(start(), *splits, epochs=2, batch_size=64, checkpoint=path, **options)


@pytest.fixture
def half_of_copy(tiny, tmp_path, path):
    """The checkpoint of a run of two epochs, by a copy of utils.py, that was stopped in the second."""
    with pytest.raises(KeyboardInterrupt):
        fit_with(load_copy(tmp_path / "copy.py", CODE), tiny, path, extra=stop_in(2))
    return path


def test_what_the_loop_has_no_part_in_may_change(tiny, tmp_path, half_of_copy):
    """A comment in a plot, say."""
    place = "def plot_confusion(logits, labels):\n"
    assert CODE.count(place) == 1
    changed = load_copy(tmp_path / "copy.py", CODE.replace(place, f"# Another comment.\n{place}    # And one in it.\n"))
    assert len(fit_with(changed, tiny, half_of_copy)) == 2


def test_what_the_loop_does_may_not_change(tiny, tmp_path, half_of_copy):
    line = "    correct = (logits.argmax(dim=1) == split.labels).sum()\n"
    assert CODE.count(line) == 1
    changed = load_copy(tmp_path / "copy.py", CODE.replace(line, line.replace(".sum()", ".sum() + 0")))
    with pytest.raises(ValueError, match="another run: loop is "):
        fit_with(changed, tiny, half_of_copy)

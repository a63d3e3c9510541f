"""Recording a step as a CUDA graph: with stand-ins and without data everywhere, for real where there is a GPU."""

import contextlib
import copy
import itertools
import types

import pytest
import torch
from helpers import make_net, make_trainer

import utils
from training import cuda
from training.data import shuffled_batches
from training.trainer import Trainer, floats

pytestmark = pytest.mark.numeric

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


# --- With stand-ins for CUDA's streams and graphs ---


class StandIns:
    """What stands in for torch.cuda: `log` is what was asked of it; while `recording`, steps compute nothing."""

    def __init__(self, patch):
        self.log, self.recording, self.device = [], False, None
        self.current = types.SimpleNamespace(wait_stream=lambda other: None)
        self.side = types.SimpleNamespace(wait_stream=lambda other: None)
        for name in ("device", "graph", "stream"):
            patch.setattr(torch.cuda, name, getattr(self, f"on_{name}"))
        patch.setattr(torch.cuda, "Stream", lambda: self.note("stream made", self.side))
        patch.setattr(torch.cuda, "CUDAGraph", lambda: types.SimpleNamespace(replay=self.replay))
        patch.setattr(torch.cuda, "current_stream", lambda: self.current)
        patch.setattr(torch.cuda, "set_stream", lambda stream: self.note("stream set back", stream))
        patch.setattr(cuda, "keep_on_device", lambda optimizers: None)  # on a CPU, what it sets is refused

    def note(self, what, value=None):
        assert self.device is not None, f"{what} on whatever device is current"
        self.log.append(what)
        return value

    @contextlib.contextmanager
    def on_device(self, device):
        self.device = device
        yield
        self.device = None

    @contextlib.contextmanager
    def on_stream(self, stream):
        assert stream is self.side
        yield

    @contextlib.contextmanager
    def on_graph(self, graph, stream):
        assert stream is self.side
        self.recording = True
        yield
        self.recording = False

    def watch(self, trainer):
        """Note each step of `trainer`, and have it compute nothing while it is recorded."""
        self.step = trainer.step

        def step():
            self.note("recorded" if self.recording else "step")
            if not self.recording:
                self.step()

        trainer.step = step
        return trainer

    def replay(self):
        self.note("replay")
        self.step()


@pytest.fixture
def stand_ins(monkeypatch):
    return StandIns(monkeypatch)


@pytest.fixture
def split(small):
    """A few training images on the CPU, where nothing else records."""
    return utils.Split(*(part.cpu() for part in small[0]))


def one(kind):
    return lambda model, lr: [kind(model.parameters(), lr)]


OPTIMIZERS = {"muon_and_adam": utils.muon_and_adam}
# Some of these remember what does not start at zero.
OPTIMIZERS |= {kind.__name__: one(kind) for kind in (torch.optim.NAdam, torch.optim.ASGD, torch.optim.Rprop)}


def train(trainer, step):
    """Train ten steps by calling `step`; return what training changed, tensors by name."""
    trainer.run_step = step
    order = shuffled_batches(1280, 128, torch.Generator().manual_seed(0))
    assert list(trainer.epoch(0, order, trainer.affines.clone())) == list(range(1, 11))
    state = trainer.state()
    memory = {
        f"{number} {name}": value
        for number, saved in enumerate(itertools.chain(*state["optimizers"]))
        for name, value in saved.items()
    }
    return {**state["model"], **{f"averaged {name}": value for name, value in state["averaged"].items()}, **memory} | {
        "losses": trainer.losses
    }


def same(ours, expected):
    return list(ours) == list(expected) and all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_recorded_steps_are_the_steps_of_the_run(split, stand_ins, name):
    """The first three as they are, the others replayed: none is lost, none is made twice, nothing is put back."""
    plain = make_trainer(split, optimizers=OPTIMIZERS[name])
    recorded = stand_ins.watch(make_trainer(split, optimizers=OPTIMIZERS[name]))
    assert same(train(recorded, cuda.RecordedStep(recorded)), train(plain, plain.step))
    assert stand_ins.log == ["stream made", *["step"] * 3, "recorded", *["replay"] * 7]


@pytest.mark.parametrize("error", [RuntimeError("operation not permitted\nwhen capturing"), ValueError(), OSError("x")])
def test_where_recording_fails_training_goes_on(split, stand_ins, monkeypatch, capsys, error):
    @contextlib.contextmanager
    def fail(graph, stream):
        stand_ins.note("tried")
        yield
        raise error

    plain, recorded = (make_trainer(split) for _ in range(2))
    stand_ins.watch(recorded)
    step = recorded.step
    monkeypatch.setattr(torch.cuda, "graph", fail)

    def step_that_computes_nothing_while_recorded():
        if stand_ins.log[-1] != "tried":
            step()

    recorded.step = step_that_computes_nothing_while_recorded
    ours = train(recorded, cuda.RecordedStep(recorded))
    assert stand_ins.log == ["stream made", *["step"] * 3, "tried", "stream set back", *["step"] * 7]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"The step cannot be recorded as a CUDA graph ({type(error).__name__}: ")
    assert line.endswith("). Training goes on without, more slowly.")
    assert same(ours, train(plain, plain.step))


def test_record_false_turns_it_off(split, monkeypatch):
    monkeypatch.setattr(cuda, "fast_step", lambda trainer: "recorded")
    assert make_trainer(split).run_step == "recorded"
    plain = make_trainer(split, record=False)
    assert plain.run_step == plain.step


def test_the_warning_of_steps_that_are_not_yet_recorded_is_not_shown(split, stand_ins, recwarn):
    import warnings

    trainer = make_trainer(split)
    step = trainer.step

    def warn_and_step():
        warnings.warn("This instance was constructed with capturable=True, but step() is running without", stacklevel=2)
        warnings.warn("something else", stacklevel=2)
        step()

    trainer.step = warn_and_step
    cuda.RecordedStep(trainer)()
    assert [str(warning.message) for warning in recwarn] == ["something else"]


def test_torch_s_optimizers_keep_on_the_device_what_can_be_kept_there():
    def of(kind, **options):
        return kind(make_net().parameters(), lr=0.1, **options)

    optim = torch.optim
    capturable = (optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.ASGD, optim.Rprop, optim.RMSprop)
    optimizers = [of(kind) for kind in (*capturable, optim.Adadelta, optim.Adamax)]
    assert cuda.keep_on_device(optimizers) is None
    assert all(group["capturable"] for optimizer in optimizers for group in optimizer.param_groups)
    sgd = of(optim.SGD, momentum=0.9, foreach=True)
    assert cuda.keep_on_device([sgd]) is None
    assert [(group["fused"], group["foreach"]) for group in sgd.param_groups] == [(True, False)]
    assert cuda.keep_on_device(utils.muon_and_adam(make_net(), 0.1)) is None
    for kind in (optim.Adagrad, optim.Adafactor, type("Derived", (optim.Adagrad,), {})):
        assert cuda.keep_on_device([sgd, of(kind)]).startswith(f"{kind.__name__} reads its learning rate back")


def test_what_cannot_be_recorded_is_told_and_trained_all_the_same(split, stand_ins, monkeypatch, capsys):
    monkeypatch.setattr(cuda, "keep_on_device", lambda optimizers: "Adagrad reads its learning rate back")
    plain, slow = (make_trainer(split, optimizers=one(torch.optim.Adagrad)) for _ in range(2))
    assert same(train(slow, cuda.RecordedStep(slow)), train(plain, plain.step))
    assert capsys.readouterr().out.count("(Adagrad reads its learning rate back)") == 1


# --- Without data: on torch's meta device nothing can be read back, and no tensor may lie elsewhere ---


class Plain(torch.optim.Optimizer):
    """In place of Adam, which the meta device does not have."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(group["lr"] * parameter.grad)


def muon_and_plain(model, lr):
    muon, adam = utils.muon_and_adam(model, lr)
    return [muon, Plain(adam.param_groups[0]["params"], lr)]


def make_empty_trainer(kind=Trainer):
    images, labels = torch.zeros(1280, 1, 28, 28, dtype=torch.uint8), torch.zeros(1280, dtype=torch.int64)
    split = utils.Split(images.to("meta"), labels.to("meta"))
    return kind(make_net(), split, utils.one_cycle(10), 128, muon_and_plain, lr=0.1, averaging=0.9)


def run_empty(trainer):
    order = shuffled_batches(1280, 128)
    return list(trainer.epoch(0, order, utils.random_affines(1280)))


def tensors_of(trainer):
    """Return all the tensors that a step of `trainer` may touch, by name."""
    found = {name: value for name, value in vars(trainer).items() if isinstance(value, torch.Tensor)}
    found |= dict(zip(("images", "labels"), trainer.split, strict=True))
    for model in (trainer.model, trainer.averaged):
        found |= {f"{id(model)} {name}": value for name, value in model.state_dict().items()}
    lists = trainer.averages + trainer.currents + trainer.weights
    found |= {f"average {number}": value for number, value in enumerate(lists)}
    for number, optimizer in enumerate(trainer.optimizers):
        found |= {f"rate {number} {n}": group["lr"] for n, group in enumerate(optimizer.param_groups)}
        states = itertools.chain(*(state.items() for state in optimizer.state.values()))
        found |= {f"memory {number} {n} {name}": value for n, (name, value) in enumerate(states)}
    return found


def elsewhere(trainer):
    return [name for name, tensor in tensors_of(trainer).items() if tensor.device.type != "meta"]


def test_an_epoch_reads_nothing_back_and_all_of_it_lies_on_one_device():
    trainer = make_empty_trainer()
    assert run_empty(trainer) == list(range(1, 11))
    assert len(tensors_of(trainer)) > 100
    assert elsewhere(trainer) == []
    trainer.number = torch.zeros(1, dtype=torch.int64)
    assert elsewhere(trainer) == ["number"]  # what some operations let pass is seen all the same


def left_behind(trainer):
    trainer.averages = [average.new_zeros(average.shape, device="cpu") for average in trainer.averages]


def read_back(trainer):
    step = trainer.step
    trainer.run_step = lambda: (step(), trainer.losses[0].item())


def shape_by_data(trainer):
    step = trainer.step
    trainer.run_step = lambda: (step(), trainer.split.images[trainer.losses[:1280] > 0])


@pytest.mark.parametrize("fault", [left_behind, read_back, shape_by_data])
def test_the_meta_device_notices(fault):
    """Else the test above proves nothing."""
    trainer = make_empty_trainer()
    fault(trainer)
    with pytest.raises((RuntimeError, NotImplementedError)):
        run_empty(trainer)


# --- Layers computed otherwise ---


def outcome(model, images, weights):
    """Return what a training step computes of `images`, the gradients of the sum of its outputs by `weights`, all."""
    (model(images) * weights).sum().backward()
    return {**dict(model.named_buffers()), **{name: p.grad for name, p in model.named_parameters()}}


@pytest.mark.parametrize("wide", [1, cuda.WIDE], ids=["every BatchNorm", "wide BatchNorm"])
def test_layers_computed_otherwise_compute_the_same(device, monkeypatch, wide):
    """In float64, where rounding is far below what a fault would make; with images that reach the limit as it is."""
    monkeypatch.setattr(cuda, "WIDE", wide)
    plain = make_net().double().to(device).train()
    fast = copy.deepcopy(plain)
    cuda.speed_up_layers(fast)
    assert sum("forward" in vars(layer) for layer in fast.modules()) == 6 + 9
    images, weights = torch.randn(64, 1, 28, 28).double().to(device), torch.randn(64, 10).double().to(device)
    torch.testing.assert_close(outcome(fast, images, weights), outcome(plain, images, weights))
    torch.testing.assert_close(fast.eval()(images), plain.eval()(images))


class Doubled(torch.nn.Conv2d):
    def forward(self, images):
        return 2 * super().forward(images)


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.Conv2d(4, 6, 1),
        torch.nn.Conv2d(4, 6, 1, stride=2),
        torch.nn.Conv2d(4, 6, 1, padding=1),
        torch.nn.Conv2d(4, 4, 1, groups=2),
        torch.nn.Conv2d(4, 6, (1, 3)),
        Doubled(4, 6, 1),
        torch.nn.BatchNorm2d(4, affine=False),
        torch.nn.BatchNorm2d(4, track_running_stats=False),
        torch.nn.BatchNorm2d(4, momentum=None),
    ],
    ids=str,
)
def test_any_convolution_and_batchnorm_computes_the_same(monkeypatch, layer):
    monkeypatch.setattr(cuda, "WIDE", 1)
    plain, fast = (copy.deepcopy(layer).double() for _ in range(2))
    cuda.speed_up_layers(fast)
    images = torch.randn(3, 4, 5, 7).double()
    expected = plain(images)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(fast(images), expected)
    if list(layer.parameters()):
        torch.testing.assert_close(outcome(fast, images, weights), outcome(plain, images, weights))


def test_a_convolution_takes_a_single_image_as_before():
    """As wide as it has channels, so that a matrix product would be possible, and wrong."""
    plain = torch.nn.Conv2d(4, 6, 1)
    fast, image = copy.deepcopy(plain), torch.randn(4, 4, 4)
    cuda.speed_up_layers(fast)
    torch.testing.assert_close(fast(image), plain(image))


# --- With a GPU ---


@needs_cuda
def test_a_recorded_step_is_the_plain_step(small):
    recorded, plain = make_trainer(small[0], steps=100), make_trainer(small[0], steps=100, record=False)
    for _ in range(100):
        recorded.run_step()
        plain.run_step()
    assert recorded.run_step.run != recorded.step
    torch.testing.assert_close(recorded.losses[0], plain.losses[0], atol=1e-3, rtol=1e-2)
    for ours, expected in zip(floats(recorded.averaged), floats(plain.averaged), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-3, rtol=1e-2)


@needs_cuda
def test_an_epoch_never_waits_for_the_gpu(small):
    trainer = make_trainer(small[0])
    order = shuffled_batches(1280, 128).to(trainer.rows.device)
    affines = trainer.affines.clone()
    for _ in range(cuda.WARM_UP + 1):
        trainer.run_step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert list(trainer.epoch(0, order, affines)) == list(range(1, 11))
    finally:
        torch.cuda.set_sync_debug_mode("default")

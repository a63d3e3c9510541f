"""Speed-ups change no result: fast layers, and the step captured as a CUDA graph."""

import contextlib
import copy
import types

import pytest
import torch
from helpers import make_net
from states import make_state

import utils
from training import speedups
from training.data import shuffled_batches
from training.speedups import ALL, GraphedStep, convert, make_run_step, prepare_capture
from training.state import TrainState


def outcome(model, images, weights):
    """Return what a training step computes: the gradients of the weighted sum of the outputs, and all statistics."""
    (model(images) * weights).sum().backward()
    return {**dict(model.named_buffers()), **{name: p.grad for name, p in model.named_parameters()}}


def fast_copy(model, device_type, monkeypatch, threads=2):
    """Return a copy of `model` with the fast layers for a kind of device; it is computed wherever `model` is."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    return convert(copy.deepcopy(model), types.SimpleNamespace(type=device_type), ALL)


@pytest.mark.parametrize(("kind", "threads", "fast_layers"), [("cuda", 2, 15), ("cpu", 2, 4), ("cpu", 1, 0)])
def test_convert_replaces_layers(monkeypatch, kind, threads, fast_layers):
    model = fast_copy(make_net(), kind, monkeypatch, threads)
    assert sum(type(layer).__module__ == "training.speedups" for layer in model.modules()) == fast_layers


class Doubled(torch.nn.Conv2d):
    def forward(self, images):
        return 2 * super().forward(images)


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("minimum", [1, 1000], ids=["every BatchNorm", "large BatchNorm"])
@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.Conv2d(4, 6, 1),
        torch.nn.Conv2d(4, 6, 1, stride=2),
        torch.nn.Conv2d(4, 6, 1, padding=1),
        torch.nn.Conv2d(4, 4, 1, groups=2),
        torch.nn.Conv2d(4, 6, (1, 3)),
        Doubled(4, 6, 1),
        torch.nn.BatchNorm2d(4),
        torch.nn.BatchNorm2d(4, affine=False, track_running_stats=False),
    ],
    ids=str,
)
def test_convert_keeps_what_any_layer_computes(monkeypatch, kind, minimum, layer):
    """In float64, far above rounding, in training and in evaluation."""
    monkeypatch.setattr(speedups, "MIN_VALUES_PER_CHANNEL", minimum)
    plain = copy.deepcopy(layer).double()
    fast = fast_copy(plain, kind, monkeypatch)
    images = torch.randn(3, 4, 5, 7).double()
    expected = plain(images)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(fast(images), expected)
    if list(layer.parameters()):
        torch.testing.assert_close(outcome(fast, images, weights), outcome(plain, images, weights))
    torch.testing.assert_close(fast.eval()(images), plain.eval()(images))


def only_muon(model, lr):
    """The meta device doesn't have Adam."""
    return utils.muon_and_adam(model, lr)[:1]


@pytest.mark.parametrize("error", [None, RuntimeError("not permitted when capturing")])
def test_graphed_step_is_warmed_up_captured_once_and_replayed(small, monkeypatch, error):
    """Or, if it cannot be captured, run as it is, with one warning."""
    log, state = [], make_state(small[0], make_optimizers=only_muon)

    @contextlib.contextmanager
    def capture(graph, stream):
        log.append("capture" if next(state.live_model.parameters()).grad is None else "old gradients")
        yield
        if error:
            raise error

    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    graph = types.SimpleNamespace(replay=lambda: log.append("replay"))
    cuda = {"device": contextlib.nullcontext, "stream": contextlib.nullcontext, "graph": capture}
    cuda |= {"Stream": lambda: stream, "current_stream": lambda: stream, "CUDAGraph": lambda: graph}
    monkeypatch.setattr(torch, "cuda", types.SimpleNamespace(**cuda, set_stream=lambda stream: log.append("restored")))

    def step(state):
        log.append("step")
        for parameter in state.live_model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    run_step = GraphedStep(step, state)
    with pytest.warns(UserWarning, match="not permitted") if error else contextlib.nullcontext():
        for _ in range(5):
            run_step()
    rest = ["restored", "step", "step"] if error else ["replay", "replay"]
    assert log == ["step", "step", "step", "capture", "step", *rest]


def test_prepare_capture_keeps_torch_optimizers_on_the_gpu():
    adam, sgd = (kind(make_net().parameters(), foreach=True) for kind in (torch.optim.AdamW, torch.optim.SGD))
    prepare_capture([adam, sgd, *utils.muon_and_adam(make_net(), 0.1)])
    assert adam.param_groups[0]["capturable"]
    assert [(group["fused"], group["foreach"]) for group in sgd.param_groups] == [(True, False)]


# --- Without data: on PyTorch's meta device nothing can be read back, and no tensor may be elsewhere ---


@pytest.fixture
def meta_state(monkeypatch):
    """A state without data; `read_progress`, the one method that reads from the device, returns made-up numbers."""
    monkeypatch.setattr(TrainState, "read_progress", lambda self, first_step, steps: ([0.0] * steps, 0))
    images, labels = torch.zeros(96, 1, 28, 28, dtype=torch.uint8), torch.zeros(96, dtype=torch.int64)
    return make_state(utils.Split(images.to("meta"), labels.to("meta")), make_optimizers=only_muon)


def run_epoch(state, step=utils.train_step):
    order, affines = shuffled_batches(96, 32), utils.random_affines(96)
    utils.train_epoch(state, lambda: step(state), order, affines, verbose=False)


def test_epoch_reads_nothing_back_and_stays_on_one_device(meta_state):
    run_epoch(meta_state)


def on_the_cpu(state):
    state.ema_tensors = [tensor.new_zeros(tensor.shape, device="cpu") for tensor in state.ema_tensors]
    utils.train_step(state)


def read_back(state):
    utils.train_step(state)
    state.losses[0].item()


@pytest.mark.parametrize("fault", [on_the_cpu, read_back])
def test_meta_device_notices_a_fault(meta_state, fault):
    """Otherwise the test above proves nothing."""
    with pytest.raises((RuntimeError, NotImplementedError)):
        run_epoch(meta_state, fault)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphed_step_is_the_plain_step(small):
    captured, plain = make_state(small[0], 100), make_state(small[0], 100, speedups=ALL - {"cuda_graph"})
    run_captured, run_plain = (make_run_step(utils.train_step, state) for state in (captured, plain))
    for _ in range(100):
        run_captured()
        run_plain()
    assert isinstance(run_captured.run, types.BuiltinMethodType | types.MethodType)  # graph.replay
    torch.testing.assert_close(captured.losses[0], plain.losses[0], atol=1e-3, rtol=1e-2)
    for ours, expected in zip(captured.ema_tensors, plain.ema_tensors, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-3, rtol=1e-2)

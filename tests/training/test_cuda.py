"""Recording a step as a CUDA graph: with stand-ins everywhere, for real where there is a GPU."""

import contextlib
import types

import pytest
import torch
from shared import make_trainer

from training import cuda
from training.data import shuffled_batches
from training.trainer import floats

pytestmark = pytest.mark.numbers


def test_recording_leaves_no_trace(small, monkeypatch):
    """With stand-ins for CUDA's streams and graphs: what recording's own steps changed is put back before training."""

    class Graph:
        def replay(self):
            recorded.step()

    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda _: contextlib.nullcontext())
    recorded, plain = make_trainer(small[0]), make_trainer(small[0])
    replay = cuda.record_step(recorded)
    for trainer, step in ((recorded, replay), (plain, plain.step)):
        order = shuffled_batches(1280, 128, torch.Generator().manual_seed(0))
        trainer.run_step = step
        assert list(trainer.epoch(0, order, trainer.affines.clone())) == list(range(1, 11))
    for part in ("model", "averaged"):
        ours, expected = (getattr(trainer, part).state_dict() for trainer in (recorded, plain))
        assert [name for name in expected if not torch.equal(ours[name], expected[name])] == []
    assert torch.equal(recorded.losses, plain.losses)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_step_is_the_plain_step(small):
    recorded, plain = make_trainer(small[0]), make_trainer(small[0])
    for _ in range(5):
        recorded.run_step()
        plain.step()
    for ours, expected in zip(floats(recorded.averaged), floats(plain.averaged), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_epoch_never_waits_for_the_gpu(small):
    trainer = make_trainer(small[0])
    order = shuffled_batches(1280, 128).to(trainer.rows.device)
    affines = trainer.affines.clone()
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert list(trainer.epoch(0, order, affines)) == list(range(1, 11))
    finally:
        torch.cuda.set_sync_debug_mode("default")

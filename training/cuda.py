"""How a step is made fast on a CUDA GPU: recorded once as a CUDA graph, and replayed."""

import copy
import itertools

import torch


def record_step(trainer):
    """Return a function that replays `step` as one CUDA graph: one launch in place of some two hundred.

    Recording wants a few real steps first, on a side stream, so that every library has its workspace. What they
    changed is put back, and what the optimizers remember is set to zero, which is where it starts.
    """
    before = copy.deepcopy([trainer.model.state_dict(), trainer.averaged.state_dict()])
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            trainer.step()
    torch.cuda.current_stream().wait_stream(stream)
    trainer.model.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        trainer.step()
    trainer.model.load_state_dict(before[0])
    trainer.averaged.load_state_dict(before[1])
    for state in itertools.chain.from_iterable(optimizer.state.values() for optimizer in trainer.optimizers):
        for tensor in state.values():
            tensor.zero_()
    return graph.replay

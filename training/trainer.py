"""A training step on tensors that stay where they are, an epoch of such steps, and the state of both."""

import copy
import itertools

import torch
import torch.nn.functional as F

from training import cpu, cuda
from training.augmentation import make_batch
from training.checks import require
from training.optimizers import parameters_of


class Trainer:
    """Trains a copy of `model`, while `model` itself becomes the running average of the copy's weights.

    All that a step reads or writes are tensors on one device, and nothing of it is read back to the host, so that a
    GPU can record the step once and replay it; `record=False` has it make every step as it is. The arguments are those
    of `fit`, and `shares` what its schedule returns, float32 [steps of the run]. Raises ValueError where `optimizers`
    does not return a list of optimizers, or one whose step wants more than gradients.
    """

    def __init__(self, model, split, shares, batch_size, optimizers, lr, averaging, record=True):
        cpu.keep_freed_memory()
        device = split.images.device
        self.layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self.averaged = model.to(device, memory_format=self.layout).eval()
        self.model = copy.deepcopy(model).train()
        self.averages, self.currents = floats(self.averaged), floats(self.model)
        if device.type == "cpu" and torch.get_num_threads() > 1:
            cpu.spread_narrow_batchnorm(self.model)
        if device.type == "cuda":
            cuda.speed_up_layers(self.model)
        self.split = split
        self.rows = torch.zeros(batch_size, dtype=torch.int64, device=device)  # this step's images, by index
        self.affines = torch.zeros(len(split.labels), 2, 3, device=device)  # this epoch's, one an image
        self.optimizers = optimizers(self.model, lr)
        good = isinstance(self.optimizers, list | tuple) and len(self.optimizers) > 0
        good = good and all(isinstance(optimizer, torch.optim.Optimizer) for optimizer in self.optimizers)
        require(good, "what optimizers returns", self.optimizers, "a list of torch.optim.Optimizer")
        for optimizer in self.optimizers:
            good = not isinstance(optimizer, torch.optim.LBFGS | torch.optim.SparseAdam)
            wanted = "one that needs dense gradients and nothing else, such as SGD or AdamW"
            require(good, "an optimizer", type(optimizer).__name__, wanted)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        peaks = torch.tensor([group["lr"] for group in groups])
        self.rates = (shares[:, None] * peaks).to(device)  # [steps, groups]
        self.lr = torch.zeros(len(groups), device=device)
        for group, rate in zip(groups, self.lr.unbind(), strict=True):
            group["lr"] = rate
        # The average forgets its first steps sooner, so that it is worth a look from the first epoch on.
        count = torch.arange(len(shares), device=device)
        self.blends = 1 - ((count + 1) / (count + 10)).clamp(max=averaging)
        self.blend = torch.zeros(sum(tensor.numel() for tensor in self.averages), device=device)  # all the same
        parts = self.blend.split([tensor.numel() for tensor in self.averages])
        self.weights = [part.view_as(tensor) for part, tensor in zip(parts, self.averages, strict=True)]
        self.correct = torch.zeros((), device=device)
        self.losses = torch.zeros(len(shares), device=device)  # of every step of the run
        self.number = torch.zeros(1, dtype=torch.int64, device=device)  # this step's, from 0
        self.run_step = cuda.fast_step(self) if record else self.step

    def step(self):
        """Train on the images that `rows` points at, and move the averaged model a little towards the result."""
        images, labels = make_batch(self.split, self.rows, self.affines)
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.model.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            # In swa_utils.AveragedModel the same costs a host sync a step. With a weight for every number, a GPU needs
            # a launch or two for it, not one a tensor.
            torch._foreach_lerp_(self.averages, self.currents, self.weights)
            self.losses.index_copy_(0, self.number, loss.view(1))
            self.correct.add_((logits.argmax(dim=1) == labels).sum())

    def epoch(self, first_step, order, affines):
        """Run an epoch over `order`, int64 [steps, batch_size]: after each step, yield how many are done.

        `order` and `affines` go to the device once, here. `first_step` counts from the start of training.
        """
        self.correct.zero_()
        self.affines.copy_(affines)
        for number, rows in enumerate(order.to(self.rows.device), start=first_step):
            self.rows.copy_(rows)
            self.number.fill_(number)
            self.lr.copy_(self.rates[number])
            self.blend.copy_(self.blends[number])
            self.run_step()
            yield number - first_step + 1

    def state(self):
        """Return copies of all that training changes: both models, and what the optimizers remember a parameter."""
        memory = [[optimizer.state.get(p, {}) for p in parameters_of(optimizer)] for optimizer in self.optimizers]
        return copy.deepcopy(
            {"model": self.model.state_dict(), "averaged": self.averaged.state_dict(), "optimizers": memory}
        )

    def random_state(self):
        """Return the states of torch's random numbers on the CPU and, where training runs there, on its GPU."""
        device = self.rows.device
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]

    def set_random_state(self, states):
        """Take over what `random_state` returned, on the same kind of device."""
        torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.cuda.set_rng_state(state, self.rows.device)

    def load(self, state):
        """Take over a `state`, in place: a recorded step goes on working on the same tensors."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        for optimizer, memory in zip(self.optimizers, state["optimizers"], strict=True):
            for parameter, saved in zip(parameters_of(optimizer), memory, strict=True):
                for name, tensor in saved.items():
                    own = optimizer.state[parameter].setdefault(name, torch.empty_like(tensor, device=parameter.device))
                    own.copy_(tensor)


def floats(model):
    """Return the parameters and BatchNorm statistics of `model`: all its tensors but the integer counters."""
    return [t for t in itertools.chain(model.parameters(), model.buffers()) if t.is_floating_point()]

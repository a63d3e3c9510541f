"""Everything that training changes: two models, the optimizers, and the buffers that a step reads and writes."""

import copy
import itertools

import torch

from training.speedups import ALL, convert, tune_malloc


class TrainState:
    """The state of a training run on the `Split` `train`.

    `model` becomes `ema_model`, the exponential moving average (EMA) of the weights; a copy of it, `live_model`, is
    what the optimizers train. `lr_multipliers`, float32 [steps of the run], scale the learning rates that
    `make_optimizers(model, lr)` sets. `speedups` are names from `training.speedups.ALL`.

    A CUDA GPU captures the step as a graph. So every tensor that a step touches stays on one device and keeps its
    place in memory, and nothing is read back to the host.

    Raises ValueError if `make_optimizers` doesn't return a list of optimizers.
    """

    def __init__(self, model, train, lr_multipliers, batch_size, make_optimizers, lr, ema_decay, seed=0, speedups=ALL):
        self.train, self.speedups, device = train, speedups, train.images.device
        self.generator = torch.Generator().manual_seed(seed)  # for shuffling and augmentation; on the CPU
        if "malloc" in speedups:
            tune_malloc()
        channels_last = device.type == "cpu" and "channels_last" in speedups
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        for tensor in itertools.chain(model.parameters(), model.buffers()):
            tensor.data = tensor.data.contiguous()  # an expanded one could not be written to
        self.ema_model = model.to(device, memory_format=self.memory_format).eval()
        self.live_model = convert(copy.deepcopy(model).train(), device, speedups)
        self._make_optimizers(make_optimizers, lr, lr_multipliers.to(device))
        self._make_ema(ema_decay, len(lr_multipliers))
        self.batch_indices = torch.zeros(batch_size, dtype=torch.int64, device=device)  # of this step's images
        self.affines = torch.zeros(len(train.labels), 2, 3, device=device)  # of this epoch, one per image
        self.step_index = torch.zeros(1, dtype=torch.int64, device=device)  # from the start of training
        self.losses = torch.zeros(len(lr_multipliers), device=device)  # of every step of the run
        self.correct = torch.zeros((), device=device)  # this epoch's correctly classified training images so far
        self.history, self.last_good = [], copy.deepcopy(self.ema_model.state_dict())

    def _make_optimizers(self, make_optimizers, lr, lr_multipliers):
        try:
            self.optimizers = list(make_optimizers(self.live_model, lr))
        except TypeError as error:
            expected = "a list of optimizers, such as lambda model, lr: [torch.optim.SGD(model.parameters(), lr)]"
            raise ValueError(f"make_optimizers(model, lr) must return {expected}: {error}") from error
        self.hyperparameters = str(self.optimizers)
        peaks = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]
        peaks = torch.tensor(peaks, dtype=torch.float32, device=lr_multipliers.device)
        self.lr_schedule = lr_multipliers[:, None] * peaks  # [steps, groups]
        self.lr_now = torch.zeros_like(peaks)  # [groups]; each optimizer reads its learning rate from here
        self._share_lr()

    def _share_lr(self):
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, self.lr_now.unbind(), strict=True):
            group["lr"] = rate

    def _make_ema(self, ema_decay, steps):
        self.ema_tensors, self.ema_copies = averaged_and_copied(self.ema_model)
        self.live_tensors, self.live_copies = averaged_and_copied(self.live_model)
        # Ramp the decay up from 0.1, so that the EMA is useful from the first epoch.
        count = torch.arange(steps, device=self.lr_now.device)
        self.ema_rates = 1 - ((count + 1) / (count + 10)).clamp(max=ema_decay)  # [steps]
        # This step's rate, once for every number in the model, with a view for each tensor: a GPU then updates all
        # tensors in one or two launches.
        sizes = [tensor.numel() for tensor in self.ema_tensors]
        self.ema_rate = torch.zeros(sum(sizes), device=self.lr_now.device)
        parts = zip(self.ema_rate.split(sizes), self.ema_tensors, strict=True)
        self.ema_rate_views = [part.view_as(tensor) for part, tensor in parts]

    def start_epoch(self, affines):
        """Put the live model into training mode, reset the count of correct images and copy `affines` [N, 2, 3]."""
        self.live_model.train()
        self.correct.zero_()
        self.affines.copy_(affines)

    def select_batch(self, step, indices):
        """Prepare step number `step`, counted from the start of training, on the images `indices`, int64 [B]."""
        self.batch_indices.copy_(indices)
        self.step_index.fill_(step)
        self.lr_now.copy_(self.lr_schedule[step])
        self.ema_rate.copy_(self.ema_rates[step])

    @torch.no_grad()
    def update_ema(self):
        """Move the EMA weights and statistics a little towards the live ones: ema += rate · (live - ema)."""
        torch._foreach_lerp_(self.ema_tensors, self.live_tensors, self.ema_rate_views)
        if self.ema_copies:
            torch._foreach_copy_(self.ema_copies, self.live_copies)

    @torch.no_grad()
    def record(self, loss, logits, labels):
        """Keep the step's loss and count the images it classified correctly."""
        self.losses.index_copy_(0, self.step_index, loss.view(1))
        self.correct.add_((logits.argmax(dim=1) == labels).sum())

    def read_progress(self, first_step, steps):
        """Return the epoch's losses so far, a list, and its count of correct images. Waits for the device."""
        return self.losses[first_step : first_step + steps].tolist(), self.correct.item()

    def complete_epoch(self, row):
        """Add `row` to the history and remember the EMA weights, in one assignment: an interrupt finds both or none."""
        self.history, self.last_good = [*self.history, row], copy.deepcopy(self.ema_model.state_dict())

    def finish(self):
        """Set the EMA model back to the last complete epoch, and its weights to the usual memory format."""
        self.ema_model.load_state_dict(self.last_good)
        self.ema_model.to(memory_format=torch.contiguous_format).eval()

    def save(self):
        """Return all that training has changed, random number generators included, for `load`."""
        device = self.train.images.device
        random = [self.generator.get_state(), torch.get_rng_state()]
        if device.type == "cuda":
            random.append(torch.cuda.get_rng_state(device))
        models = {"live": self.live_model.state_dict(), "ema": self.ema_model.state_dict()}
        optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        return models | {"optimizers": optimizers, "random": random, "history": self.history}

    def load(self, saved):
        """Restore what `save` returned. Call it before the first step: a captured graph would keep the old tensors."""
        self.live_model.load_state_dict(saved["live"])
        self.ema_model.load_state_dict(saved["ema"])
        for optimizer, memory in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(memory)
        self._share_lr()
        generator, cpu, *cuda = saved["random"]
        self.generator.set_state(generator)
        torch.set_rng_state(cpu)
        for random in cuda:
            torch.cuda.set_rng_state(random, self.train.images.device)
        self.history, self.last_good = saved["history"], copy.deepcopy(self.ema_model.state_dict())


def averaged_and_copied(model):
    """Return what the EMA averages, parameters and BatchNorm's statistics, and the buffers that it copies.

    BatchNorm's counters are neither: they stay as they are.
    """
    averaged, copied = list(model.parameters()), []
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            averaged.append(buffer)
        elif not name.endswith("num_batches_tracked"):
            copied.append(buffer)
    return averaged, copied

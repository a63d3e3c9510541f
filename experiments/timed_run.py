"""Time one training, ours or the DataLoader baseline, in this process. speed.py and time_to_accuracy.py start it.

    python -m experiments.timed_run ours                   start-up, an epoch, evaluation, memory
    python -m experiments.timed_run baseline --epochs 6    a whole run, evaluated after every epoch

The baseline is the way in which most code trains on MNIST: PIL transforms one image at a time in two worker processes,
SGD follows torch's `OneCycleLR`, and the loss is read back after every step. Network, batch size and augmentation are
ours. It has neither our optimizers nor an EMA, so it is spared their time. Prints its figures as one line of JSON.
"""

import argparse
import json
import math
import time

import torch
import torch.nn.functional as F

import utils
from experiments import ROOT, timing
from model import Net
from training.data import MEAN, STD, make_batch, shuffled_batches
from training.speedups import make_run_step

PEAK = 0.1  # the baseline's peak learning rate
BATCH_SIZE = timing.RECIPE["batch_size"]


class Ours:
    """The training of this repository on the first `n` training images."""

    def __init__(self, n, seed, dropout, epochs):
        self.device, self.seed, self.epochs = utils.pick_device(), seed, epochs
        train, self.test = utils.load_mnist(ROOT / "data", self.device)
        self.train, self.data_seconds = utils.Split(train.images[:n], train.labels[:n]), 0.0
        utils.set_seed(seed)
        self.model = Net(dropout).to(self.device)

    def draw(self):
        n = len(self.train.labels)
        return shuffled_batches(n, BATCH_SIZE), utils.random_affines(n)

    def start(self):
        """Train for one epoch and evaluate, which loads libraries and captures the step; time the data of an epoch."""
        order, affines = self.draw()
        self.state = timing.make_state(self.model, self.train, self.epochs * len(order))
        self.run_step = make_run_step(utils.train_step, self.state)
        self.train_epoch()
        order, affines = order.to(self.device), affines.to(self.device)
        batch = timing.median_seconds(lambda: make_batch(self.train, order[0], affines), 100)
        self.data_seconds = timing.median_seconds(self.draw, 3) + batch * len(order)
        self.evaluate()

    def train_epoch(self):
        """Train for one epoch; return the seconds that its data takes, timed by `start`."""
        utils.train_epoch(self.state, self.run_step, *self.draw(), verbose=False)
        timing.synchronize()
        return self.data_seconds

    def evaluate(self):
        """Return mean loss and accuracy over the test images."""
        return utils.evaluate(self.model, self.test)

    def run(self):
        """Train for all epochs, with an evaluation after each; return the last test loss and accuracy."""
        options = {"epochs": self.epochs, "seed": self.seed, "verbose": False}
        last = utils.fit(self.model, self.train, self.test, **options)[-1]
        return last["test_loss"], last["test_accuracy"]


class Baseline:
    """The DataLoader baseline on the first `n` training images."""

    def __init__(self, n, seed, dropout, epochs):
        from torch.utils.data import DataLoader, Subset
        from torchvision import datasets, transforms

        self.device, self.epochs = utils.pick_device(), epochs
        plain = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        limits = timing.defaults(utils.random_affines)
        shift, scale = limits["shift"], limits["scale"]
        affine = transforms.RandomAffine(limits["degrees"], (shift, shift), (1 - scale, 1 + scale), limits["shear"])
        train = datasets.MNIST(ROOT / "data", download=True, transform=transforms.Compose([affine, *plain]))
        test = datasets.MNIST(ROOT / "data", train=False, transform=transforms.Compose(plain))
        options = {"num_workers": 2, "persistent_workers": True, "pin_memory": self.device.type == "cuda"}
        self.train_loader = DataLoader(Subset(train, range(n)), BATCH_SIZE, shuffle=True, **options)
        self.test_loader = DataLoader(test, 1000, **options)
        torch.manual_seed(seed)
        self.model = Net(dropout).to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), PEAK, 0.9, nesterov=True, weight_decay=1e-4)
        steps = self.epochs * len(self.train_loader)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, PEAK, total_steps=steps)

    def start(self):
        """Train for one epoch and evaluate, which loads libraries and starts the workers."""
        self.train_epoch()
        self.evaluate()

    def train_epoch(self):
        """Train for one epoch; return the seconds spent waiting for data."""
        self.model.train()
        waited, asked = 0.0, time.perf_counter()
        for images, labels in self.train_loader:
            waited += time.perf_counter() - asked
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            loss.item()
            asked = time.perf_counter()
        return waited

    @torch.no_grad()
    def evaluate(self):
        """Return mean loss and accuracy over the test images."""
        self.model.eval()
        total, correct, n = 0.0, 0, len(self.test_loader.dataset)
        for images, labels in self.test_loader:
            images, labels = images.to(self.device), labels.to(self.device)
            logits = self.model(images)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(dim=1) == labels).sum().item()
        return total / n, correct / n

    def run(self):
        """Train for all epochs, with an evaluation after each; return the last test loss and accuracy."""
        for _ in range(self.epochs):
            self.train_epoch()
            loss, accuracy = self.evaluate()
        return loss, accuracy


def time_parts(training, n):
    """Return the time of start-up, of the second epoch of the process and of evaluation, and the peak memory."""
    figures = {"startup_s": timing.seconds_since_start()}
    training.start()
    start = time.perf_counter()
    data = training.train_epoch()
    trained = time.perf_counter() - start
    training.evaluate()
    epoch, steps = time.perf_counter() - start, math.ceil(n / BATCH_SIZE)
    return figures | {
        "data_ms": 1000 * data / steps,
        "step_ms": 1000 * trained / steps,
        "epoch_s": epoch,
        "evaluate_s": epoch - trained,
        "peak_mb": timing.peak_mb(training.device),
    }


def main():
    parser = argparse.ArgumentParser(description="Time our training or the DataLoader baseline in this process.")
    parser.add_argument("variant", choices=("ours", "baseline"))
    parser.add_argument("--images", type=int, default=60_000, help="training images (default: 60000)")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout rate (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--epochs", type=int, help="time a whole run of so many epochs instead of its parts")
    options = parser.parse_args()
    make = {"ours": Ours, "baseline": Baseline}[options.variant]
    training = make(options.images, options.seed, options.dropout, options.epochs or timing.RECIPE["epochs"])
    if options.epochs is None:
        figures = time_parts(training, options.images)
    else:
        start = time.perf_counter()
        loss, accuracy = training.run()
        timing.synchronize()
        run_s = time.perf_counter() - start
        figures = {"loss": loss, "accuracy": accuracy, "run_s": run_s, "process_s": timing.seconds_since_start()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

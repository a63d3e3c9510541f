"""The DataLoader baseline, the way in which most code trains on MNIST. `make bench` and `make minutes` take its turns.

A turn is one epoch, by speed.py, or a whole run, by minutes.py. PIL transforms one image at a time in two worker
processes, SGD follows torch's `OneCycleLR`, and the loss is read back after every step. Network, batch size and
distortions are ours. It neither averages the weights nor has our optimizers, so it is spared the time of both. Prints
its figures as one line of JSON.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

import utils
from experiments import timing as bench
from experiments.runner import ROOT
from model import Net
from training.augmentation import MEAN, STD

PEAK = 0.1


def make_loaders(n, device):
    """Return two DataLoaders: of the first `n` training images, distorted and shuffled, and of all test images."""
    plain = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
    limits = bench.defaults(utils.random_affines)
    shift, scale = limits["shift"], limits["scale"]
    distort = transforms.RandomAffine(limits["degrees"], (shift, shift), (1 - scale, 1 + scale), limits["shear"])
    train_set = datasets.MNIST(ROOT / "data", download=True, transform=transforms.Compose([distort, *plain]))
    test_set = datasets.MNIST(ROOT / "data", train=False, transform=transforms.Compose(plain))
    options = {"num_workers": 2, "persistent_workers": True, "pin_memory": device.type == "cuda"}
    train_loader = DataLoader(
        Subset(train_set, range(n)), batch_size=bench.RECIPE["batch_size"], shuffle=True, **options
    )
    return train_loader, DataLoader(test_set, batch_size=1000, **options)


def train_epoch(model, loader, optimizer, scheduler, device):
    """Train one epoch; return the seconds spent waiting for the loader."""
    model.train()
    waited, asked = 0.0, time.perf_counter()
    for images, labels in loader:
        waited += time.perf_counter() - asked
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        loss.item()
        asked = time.perf_counter()
    return waited


@torch.no_grad()
def evaluate(model, loader, device):
    """Return mean loss and accuracy over the images of `loader`."""
    model.eval()
    total, correct = 0.0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        total += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(dim=1) == labels).sum().item()
    return total / len(loader.dataset), correct / len(loader.dataset)


@torch.no_grad()
def classify_first(model, dataset, device):
    """Return the digit that `model` takes the first image of `dataset` for."""
    image, _ = dataset[0]
    return model(image[None].to(device)).argmax().item()


def make_optimizer(model, steps):
    """Return SGD for `model` and its learning-rate cycle of `steps` steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=PEAK, momentum=0.9, nesterov=True, weight_decay=1e-4)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)


def take_run(epochs, seed, dropout):
    """Return test loss and accuracy after one cycle of `epochs`, evaluated after each, and all seconds since the start.

    The start is that of the interpreter: imports and the opening of the data count.
    """
    device = utils.pick_device()
    torch.manual_seed(seed)
    train_loader, test_loader = make_loaders(60_000, device)
    model = Net(dropout).to(device)
    optimizer, scheduler = make_optimizer(model, epochs * len(train_loader))
    for _ in range(epochs):
        train_epoch(model, train_loader, optimizer, scheduler, device)
        loss, accuracy = evaluate(model, test_loader, device)
    return {"loss": loss, "accuracy": accuracy, "seconds": bench.since_start()}


def take_turn(n, dropout):
    """Return the figures of one turn: start-up, an epoch of `n` images, evaluation, single images."""
    device = utils.pick_device()
    train_loader, test_loader = make_loaders(n, device)
    torch.manual_seed(0)
    model = Net(dropout).to(device)
    startup = bench.since_start()

    steps = len(train_loader)
    optimizer, scheduler = make_optimizer(model, bench.RECIPE["epochs"] * steps)
    start = time.perf_counter()
    waited = train_epoch(model, train_loader, optimizer, scheduler, device)
    trained = time.perf_counter() - start
    evaluate(model, test_loader, device)
    epoch = time.perf_counter() - start
    figures = {
        "startup_s": startup,
        "data_ms": 1000 * waited / steps,
        "step_ms": 1000 * trained / steps,
        "images_per_s": n / trained,
        "epoch_s": epoch,
        "evaluate_s": bench.median_seconds(lambda: evaluate(model, test_loader, device), 3),
        "latency_ms": 1000 * bench.median_seconds(lambda: classify_first(model, test_loader.dataset, device), 100),
    }
    return {"device": bench.device_name(device), "peak_mb": bench.peak_mb(device)} | figures


def main():
    parser = argparse.ArgumentParser(description="Take one turn of the DataLoader baseline.")
    parser.add_argument("--images", type=int, default=60_000, help="training images (default: 60000)")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout rate (default: 0)")
    parser.add_argument("--epochs", type=int, help="make a whole run of that many epochs on all images instead")
    parser.add_argument("--seed", type=int, default=0, help="of a whole run (default: 0)")
    options = parser.parse_args()
    whole = options.epochs is not None
    figures = (
        take_run(options.epochs, options.seed, options.dropout) if whole else take_turn(options.images, options.dropout)
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

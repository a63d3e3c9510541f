"""Our training, `utils.fit` and what it stands on. `make bench` and `make minutes` take its turns.

A turn is one epoch, by speed.py, or a whole run, by minutes.py. Prints its figures, which are those of baseline.py, as
one line of JSON.
"""

import argparse
import contextlib
import io
import json
import math
import time

import torch

import utils
from experiments import timing as bench
from experiments.runner import ROOT
from model import Net
from training.augmentation import make_batch
from training.data import shuffled_batches


def data_seconds(train):
    """Return the time that the data of one step takes: order and maps, drawn once an epoch, and the batch itself."""
    n, batch_size = len(train.labels), bench.RECIPE["batch_size"]
    order = shuffled_batches(n, batch_size).to(train.images.device)
    affines = utils.random_affines(n).to(train.images.device)
    per_epoch = bench.median_seconds(lambda: (shuffled_batches(n, batch_size), utils.random_affines(n)), 3)
    batches = iter(order[torch.arange(100) % len(order)])
    return bench.median_seconds(lambda: make_batch(train, next(batches), affines), 100) + per_epoch / len(order)


def take_run(epochs, seed):
    """Return test loss and accuracy after one cycle of `epochs`, evaluated after each, and all seconds since the start.

    The start is that of the interpreter: imports and the unpacking of the data count.
    """
    splits = utils.load_mnist(ROOT / "data", utils.pick_device())
    utils.set_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        last = utils.fit(Net(), *splits, epochs=epochs, seed=seed)[-1]
    return {"loss": last["test_loss"], "accuracy": last["test_accuracy"], "seconds": bench.since_start()}


def take_turn(n, whole_run):
    """Return the figures of one turn on the first `n` training images; `whole_run` adds the time of a whole `fit`."""
    device = utils.pick_device()
    train, test = utils.load_mnist(ROOT / "data", device)
    train = utils.Split(train.images[:n], train.labels[:n])
    utils.set_seed(0)
    model = Net().to(device)
    figures = {"startup_s": bench.since_start()}

    steps = math.ceil(n / bench.RECIPE["batch_size"])
    trainer = bench.make_trainer(model, train, steps=bench.RECIPE["epochs"] * steps)
    generator = torch.Generator().manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        order = shuffled_batches(n, bench.RECIPE["batch_size"], generator)
        utils.train_epoch(trainer, 0, order, utils.random_affines(n, generator=generator))
        trained = time.perf_counter() - start
        utils.evaluate(model, test)
        epoch = time.perf_counter() - start
        if whole_run:
            figures["fit_15_s"] = bench.median_seconds(lambda: utils.fit(Net(), train, test, epochs=15), 1)
    figures |= {
        "data_ms": 1000 * data_seconds(train),
        "step_ms": 1000 * trained / steps,
        "images_per_s": n / trained,
        "epoch_s": epoch,
        "evaluate_s": bench.median_seconds(lambda: utils.evaluate(model, test), 3),
        "latency_ms": 1000
        * bench.median_seconds(lambda: utils.compute_logits(model, test.images[:1]).argmax().item(), 100),
    }
    return {"device": bench.device_name(device), "peak_mb": bench.peak_mb(device)} | figures


def main():
    parser = argparse.ArgumentParser(description="Take one turn of our training.")
    parser.add_argument("--images", type=int, default=60_000, help="training images (default: 60000)")
    parser.add_argument("--whole-run", action="store_true", help="time a whole run as well")
    parser.add_argument("--epochs", type=int, help="make a whole run of that many epochs on all images instead")
    parser.add_argument("--seed", type=int, default=0, help="of a whole run (default: 0)")
    options = parser.parse_args()
    whole = options.epochs is not None
    figures = take_run(options.epochs, options.seed) if whole else take_turn(options.images, options.whole_run)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

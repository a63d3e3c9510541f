"""Every figure shows what it should, regardless of matplotlib's style."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import utils
from model import Net

COLUMNS = ("epoch", "train_loss", "test_loss", "train_accuracy", "test_accuracy")
HISTORY = [dict(zip(COLUMNS, (n, 0.3 / n, 0.2 / n, 1 - 0.05 / n, 1 - 0.03 / n), strict=True)) for n in range(1, 16)]


def logits_with_mistakes(labels, n=40):
    """Return logits [N, 10] that are confident and right, except for the first `n`: these predict the next digit."""
    logits = torch.nn.functional.one_hot(labels, 10).float() * 9
    logits[:n] = logits[:n].roll(1, dims=1)
    return logits


@pytest.fixture(scope="module")
def figures(mnist):
    train, test = mnist
    logits = logits_with_mistakes(test.labels)
    return {
        "digits": utils.plot_digits(train, columns=2),
        "class_balance": utils.plot_class_balance(train, test),
        "augmentation": utils.plot_augmentation(train.images[:1]),
        "parameters": utils.plot_parameters(Net()),
        "stages": utils.plot_stages(Net().to(train.images.device), train.images[7]),
        "learning_rate": utils.plot_learning_rate(0.1 * utils.one_cycle(100), 15),
        "history": utils.plot_history(HISTORY),
        "confusion": utils.plot_confusion(logits, test.labels),
        "mistakes": utils.plot_mistakes(logits, test, most=8),
    }


def test_every_plot_draws(figures, tmp_path):
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=30)
    assert plt.get_fignums() == []  # none is left open to be shown twice


@pytest.mark.parametrize("epochs", [1, 15])
def test_history_shows_every_epoch_and_the_target_in_black_on_white(epochs):
    """From 10% accuracy, as before any training, to no mistake at all; in a dark style the 99.4% line would vanish."""
    accuracies = [0.1, 0.8, 0.995] + 12 * [1.0]
    history = [row | {"train_accuracy": value} for row, value in zip(HISTORY[:epochs], accuracies, strict=False)]
    with plt.style.context("dark_background"):
        loss, accuracy = utils.plot_history(history).axes
    for axes, name, as_fraction in ((loss, "loss", float), (accuracy, "accuracy", lambda errors: 1 - errors / 100)):
        low, high = sorted(axes.get_ylim())
        for line, part in zip(axes.lines, ("train", "test"), strict=False):
            x, y = line.get_data()
            assert list(x) == list(range(1, epochs + 1))
            expected = [row[f"{part}_{name}"] for row in history]
            assert [*map(as_fraction, y)] == pytest.approx(expected, abs=6e-5)  # no mistake is drawn as 0.005%
            assert low < min(y) <= max(y) < high
    assert accuracy.lines[2].get_ydata() == pytest.approx([0.6, 0.6])
    names = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert names == ["training, augmented", "test", "99.4%"] + ["epoch 10"] * (epochs == 15)
    assert accuracy.get_facecolor() == (1, 1, 1, 1)
    assert accuracy.lines[2].get_color() == accuracy.xaxis.label.get_color() == "black"


def test_parameters_add_up_and_fields_grow(figures):
    counts, fields = figures["parameters"].axes
    batchnorm = 2 * (8 + 8 + 16 + 16 + 8 + 16 + 16 + 32 + 10)
    assert sum(bar.get_width() for bar in counts.patches) == 6456 - batchnorm
    widths = [bar.get_width() for bar in fields.patches]
    assert widths == sorted(widths)
    assert widths[-1] == 32


def test_confusion_counts_every_image(figures):
    counts = np.zeros((10, 10), dtype=int)
    for text in figures["confusion"].axes[0].texts:
        predicted, label = text.get_position()
        counts[label, predicted] = int(text.get_text().replace(",", ""))
    assert counts.sum() == 10_000
    assert counts[range(10), (np.arange(10) + 1) % 10].sum() == 10_000 - counts.trace() == 40


def test_mistakes_are_wrong_and_the_most_confident_first(mnist):
    test = mnist[1]
    logits = logits_with_mistakes(test.labels, n=3)
    logits[1] *= 0.3
    figure = utils.plot_mistakes(logits, test, votes={2: 1})
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    labels = test.labels[[0, 2, 1]].tolist()
    assert [title.split(" (")[0] for title in titles] == [f"{label} → {(label + 1) % 10}" for label in labels]
    assert [axes.get_xlabel() for axes in figure.axes[:3]] == ["", f"raters for {labels[1]}: 1 of 5", ""]

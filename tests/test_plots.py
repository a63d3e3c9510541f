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


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_every_plot_draws(figures, tmp_path):
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=30)
    assert plt.get_fignums() == []  # none is left open to be shown twice


def test_history_shows_both_splits_and_the_target(figures):
    loss, accuracy = figures["history"].axes
    assert legend(loss) == ["training, augmented", "test", "epoch 10"]
    assert legend(accuracy) == ["training, augmented", "test", "99.4%", "epoch 10"]
    train, test, target = (list(100 - np.asarray(line.get_ydata())) for line in accuracy.lines[:3])
    assert train == pytest.approx([100 * row["train_accuracy"] for row in HISTORY])
    assert test == pytest.approx([100 * row["test_accuracy"] for row in HISTORY])
    assert target == pytest.approx([99.4, 99.4])
    assert list(loss.lines[1].get_ydata()) == pytest.approx([row["test_loss"] for row in HISTORY])


@pytest.mark.parametrize("epochs", [1, 15])
def test_history_cuts_off_no_epoch_and_is_black_on_white(epochs):
    """From 10% accuracy, as before any training, to no mistake at all; in a dark style the 99.4% line would vanish."""
    accuracies = [0.1, 0.8, 0.995] + 12 * [1.0]
    history = [row | {"train_accuracy": value} for row, value in zip(HISTORY[:epochs], accuracies, strict=False)]
    with plt.style.context("dark_background"):
        figure = utils.plot_history(history)
    for axes in figure.axes:
        low, high = sorted(axes.get_ylim())
        for line in axes.lines[:2]:
            assert all(low < value < high for value in line.get_ydata())
            assert list(line.get_xdata()) == list(range(1, epochs + 1))
    assert figure.get_facecolor()[:3] == figure.axes[1].get_facecolor()[:3] == (1, 1, 1)
    assert figure.axes[1].lines[2].get_color() == figure.axes[0].xaxis.label.get_color() == "black"


def test_class_balance_cuts_off_no_bar(mnist):
    train, test = mnist
    few = utils.Split(train.images[:3], torch.tensor([0, 0, 1]))
    (axes,) = utils.plot_class_balance(few, test).axes
    assert axes.get_ylim()[1] > max(bar.get_height() for bar in axes.patches) > 66


def test_digits_shows_the_first_images_of_each_class(figures, mnist):
    cells = iter(figures["digits"].axes)
    for digit in range(10):
        for image in mnist[0].images[mnist[0].labels == digit][:2].cpu():
            assert (next(cells).images[0].get_array() == image[0].numpy()).all()
    assert list(cells) == []


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

"""The studies that train: what is trained, what is counted, and what is compared with what."""

import inspect
import itertools
import sys
import types

import pandas as pd
import pytest
from helpers import make_net

import utils
from experiments import buildup, exercises, other_networks, results, runner, seeds

# Two runs: one above 99.40% from epoch 6 on, the other exactly at 99.40% in epochs 1 and 14. One never exceeds it.
STEADY = [99.0] * 5 + [99.41] * 4 + [99.50] * 6
EARLY = [99.40] + [99.0] * 8 + [99.44] * 4 + [99.40, 99.60]
NEVER = [99.0] * 14 + [99.40]


def frame(*runs):
    return pd.DataFrame(runs, columns=range(1, 16), index=range(len(runs)))


def test_summarize_counts_strictly_above_the_target():
    figures = seeds.summarize(frame(STEADY, EARLY))
    assert (figures["mean_10"], figures["worst_10"], figures["above_10"]) == ("99.470%", "99.44%", "2 of 2")
    assert figures["estimate_15"] == "99.550% (98.915 to 100.000)"  # Student's t for one degree of freedom is 12.706
    assert (figures["always"], figures["always_at"]) == ("1 of 2", "2 of 2")
    figures = seeds.summarize(frame(STEADY, NEVER))
    assert (figures["within_10"], figures["above_15"]) == ("1 of 2", "1 of 2")
    assert figures["above_10_interval"] == "1.3% to 98.7%"  # 1 - √0.975 and √0.975, as Clopper and Pearson have it


@pytest.mark.parametrize(
    ("study", "runs", "epochs"),
    [(buildup, 5, 15), (exercises, 4, 6), (other_networks, 5, 15), (seeds, 1, 15)],
)
def test_a_study_trains_all_that_its_file_lacks(study, runs, epochs, small, tmp_path, monkeypatch, capsys):
    """From one seed. Only the first epoch is trained, on three batches, and counts as all of them."""
    fit, tiny = utils.fit, [utils.Split(split.images[:384], split.labels[:384]) for split in small]

    def fit_once(*arguments, epochs=15, **options):
        (row,) = fit(*arguments, epochs=1, **options)
        return [row | {"epoch": epoch} for epoch in range(1, epochs + 1)]

    monkeypatch.setattr(utils, "fit", fit_once)
    monkeypatch.setattr(utils, "load_mnist", lambda *_: tiny)
    monkeypatch.setattr(results, "BUILD", tmp_path)
    monkeypatch.setattr(sys, "argv", ["study", "--seeds", "1", "--jobs", "1"])
    study.main()
    (path,) = tmp_path.glob("*.csv")
    assert len(pd.read_csv(path)) == runs * epochs
    study.main()
    assert f"{path.name}: {runs} runs done, 0 to do" in capsys.readouterr().out


def test_a_run_of_the_seeds_is_fit_with_its_defaults_and_records_wrong_images(few, tmp_path):
    rows = seeds.train_one({"seed": 3}, tmp_path, epochs=2)
    utils.set_seed(3)
    net = runner.Net()
    history = utils.fit(net, *few, epochs=2, seed=3, verbose=False)
    for row, epoch in zip(rows, history, strict=True):
        assert row["test_accuracy"] == f"{100 * epoch['test_accuracy']:.2f}"
        assert row["train_loss"] == f"{epoch['train_loss']:.5f}"
    wrong = utils.compute_logits(net, few[1].images).argmax(dim=1) != few[1].labels
    assert rows[-1]["wrong"] == " ".join(str(i) for i in wrong.nonzero()[:, 0].tolist())


def test_the_buildup_changes_one_thing_at_a_time():
    """SGD in place of Muon comes with its own learning rate: those two change together."""
    defaults = {name: p.default for name, p in inspect.signature(utils.fit).parameters.items()}
    names = ("make_optimizers", "lr", "schedule", "augment")
    recipes = [{name: (defaults | changes)[name] for name in names} for changes in buildup.RECIPES.values()]
    changes = [{n for n in names if after[n] != before[n]} for before, after in itertools.pairwise(recipes)]
    assert changes == [{"schedule"}, {"lr"}, {"augment"}, {"make_optimizers", "lr"}]


def test_live_weights_are_not_the_ema_weights(small):
    state = types.SimpleNamespace(live_model=make_net(0), ema_model=make_net(1))
    assert tuple(buildup.live_weights(state, small[1]).values()) == utils.evaluate(state.live_model, small[1])


@pytest.mark.parametrize("parameters", other_networks.SOURCES)
def test_networks_have_the_number_of_parameters_that_their_authors_state(parameters):
    assert sum(p.numel() for p in other_networks.make(parameters).parameters()) == parameters

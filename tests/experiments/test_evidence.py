"""What experiments/README.md tells is what the files beside it hold: every table, every figure in a sentence."""

import inspect
import re
import statistics

import pytest
from helpers import ROOT
from told import FOLDER, README, TEXT

import utils
from experiments import baseline, final, search, seeds, strength
from experiments import buildup as ablation
from experiments import calibration as reliability
from experiments import runner as study
from experiments import schedule_length as budget
from experiments import stats as paired
from experiments import time_to_accuracy as minutes

# --- Seeds ---


def test_the_seeds_are_those_of_the_file():
    runs = seeds.accuracies(study.read(seeds.CSV))
    summary = seeds.summarise(runs)
    assert list(runs) == list(range(len(runs)))
    assert len(runs) >= 40
    assert all(len(run) == 15 for run in runs.values())
    assert f"from {len(runs)} seeds, none left out" in TEXT
    assert seeds.table(summary) in README
    assert seeds.asked(summary) in README
    deviations = "{deviation_10:.2f} after epoch 10 and {deviation_15:.2f} after epoch 15".format(**summary)
    assert f"standard deviation of one run's accuracy is {deviations}" in TEXT
    assert f"In {summary['always_from_10']} of the {summary['seeds']} seeds every epoch from 10 to 15" in TEXT
    assert (
        f"at the median in epoch {summary['first_median']:g}, at the latest in epoch {summary['first_latest']}" in TEXT
    )


def test_what_follows_from_the_seeds_is_so():
    runs = seeds.accuracies(study.read(seeds.CSV))
    assert all(max(run[:10]) > 100 * utils.TARGET_ACCURACY for run in runs.values())
    assert f"all {len(runs)} are above 99.40 % within 10 epochs" in TEXT
    above = [sum(run[epoch - 1] > 100 * utils.TARGET_ACCURACY for run in runs.values()) for epoch in (10, 15)]
    assert "in one of them at least: right after the tenth {} are, and after the fifteenth {}".format(*above) in TEXT
    verdicts = re.findall(r"\| (met|missed) \|", seeds.asked(seeds.summarise(runs)))
    assert verdicts == ["met", "missed", "met", "met"]
    assert "Three of the four things asked are met" in TEXT
    (short,) = (seed for seed, run in runs.items() if run[-1] < 100 * utils.TARGET_ACCURACY)
    images = round(100 * (100 * utils.TARGET_ACCURACY - runs[short][-1]))
    assert (short, images) == (20, 2)
    assert "missed by one seed, 20, which ends two images short" in TEXT


def look_at_sixteen(rows):
    """Return the runs in `rows` and their summary; they are from seeds 0 to 15, and README has their table."""
    runs = seeds.accuracies(rows)
    assert list(runs) == list(range(16))
    summary = seeds.summarise(runs)
    assert seeds.table(summary) in README
    return runs, summary


def test_the_seeds_of_the_gpu_are_those_of_their_file():
    rows, others = study.read(seeds.CSV.with_name("seeds_cuda.csv")), study.read(seeds.CSV)
    assert {row["device"] for row in rows} == {"cuda"}
    assert {row["device"] for row in others} == {"cpu"}
    runs, summary = look_at_sixteen(rows)
    assert summary["within_target_epoch"] == len(runs)
    assert f"All {len(runs)} are at 99.40 % within 10 epochs, too" in TEXT
    accuracy, loss = seeds.against(rows, others).values()
    assert accuracy.high < 0 < loss.low
    lower = f"lower by {-accuracy.mean:.3f} points ({accuracy.low:.3f} to {accuracy.high:.3f})"
    higher = f"higher by {loss.mean:.4f} ({loss.low:.4f} to {loss.high:.4f})"
    assert f"accuracy over epochs 10 to 15 is {lower}, and the loss after epoch 15 {higher}" in TEXT
    late = study.by_seed(others, "test", "accuracy")
    own, whole = statistics.mean(late[seed] for seed in runs), statistics.mean(late.values())
    assert f"reach {own:.3f} % on the CPU, where all {len(late)} reach {whole:.3f} %" in TEXT


def test_the_seeds_of_another_processor_are_those_of_their_file():
    rows, others = study.read(seeds.CSV.with_name("seeds_xeon.csv")), study.read(seeds.CSV)
    runs, summary = look_at_sixteen(rows)
    assert summary["always_from_10"] == len(runs)
    assert f"All {len(runs)} are at 99.40 % or above in every epoch from 10 to 15." in TEXT
    accuracy, loss = seeds.against(rows, others).values()
    assert paired.verdict(accuracy, loss) == paired.NOTHING
    told = f"differs by {accuracy.tell(3)} points, and the loss after epoch 15 by {loss.tell(4)}"
    assert f"{told}: {paired.NOTHING}" in TEXT
    own, base = (study.by_seed(part, "test", "accuracy") for part in (rows, others))
    same = statistics.stdev(own[seed] - base[seed] for seed in own)
    different = 2**0.5 * statistics.stdev(base.values())
    assert f"deviation of {same:.3f} points, that of two different seeds {different:.3f}" in TEXT


# --- Budget ---


def test_the_budget_is_that_of_the_files():
    found = budget.read()
    table = budget.summarise(found)
    assert {epochs: sorted(values) for epochs, values in found.items()} == {
        epochs: list(range(n)) for epochs, n in ({study.EPOCHS: 10} | budget.CYCLES).items()
    }
    assert budget.tell(table) in README
    by_mean, by_seeds = budget.fewest(table)
    assert f"The fewest epochs whose mean is at 99.40 % are {by_mean}" in TEXT
    assert f"the fewest in which 95 % of the seeds are, {by_seeds}" in TEXT
    target, rows = 100 * utils.TARGET_ACCURACY, {row["epochs"]: row for row in table}
    low, high = rows[by_mean]["low"], rows[by_mean]["high"]
    assert low > target
    assert f"The interval of {by_mean} epochs, {low:.3f} to {high:.3f}, leaves 99.40 out" in TEXT
    assert rows[by_mean - 1]["low"] < target < rows[by_mean - 1]["high"]
    assert (
        f"That of {by_mean - 1} holds it, so whether the mean of {by_mean - 1} epochs lies below is not shown" in TEXT
    )


def test_the_baselines_cycles_are_those_of_the_file():
    rows = study.read(minutes.CYCLES_CSV)
    cycles = sorted({int(row["epochs"]) for row in rows})
    assert tuple(cycles) == minutes.CYCLES[: len(cycles)]
    assert sorted((int(row["epochs"]), int(row["seed"])) for row in rows) == [
        (n, s) for n in cycles for s in minutes.SEEDS
    ]
    means = [minutes.mean_accuracy(rows, epochs=str(epochs)) for epochs in cycles]
    assert [mean >= minutes.TARGET for mean in means] == [False] * (len(means) - 1) + [True]
    assert minutes.tell_cycles(rows) in README
    *first, last = minutes.CYCLES
    assert f"the first of {', '.join(map(str, first))} and {last} epochs" in TEXT


def test_the_minutes_are_those_of_the_file():
    rows = study.read(minutes.CSV)
    assert {(row["variant"], int(row["seed"])) for row in rows} == {
        (variant, seed) for variant in ("baseline", "ours") for seed in minutes.SEEDS
    }
    assert {(row["device"], row["cores"]) for row in rows} == {("cpu Intel(R) Xeon(R) Processor", "2")}
    assert "On 2 cores of an Intel Xeon processor, the median of three turns" in TEXT
    found = minutes.summarise(rows)
    assert minutes.tell(found) in README
    assert found["ours"]["epochs"] == minutes.find_our_cycle()
    assert found["baseline"]["epochs"] == max(int(row["epochs"]) for row in study.read(minutes.CYCLES_CSV))
    assert found["baseline"]["epochs"] == found["ours"]["epochs"] + 1
    ratios = minutes.ratios(found)
    told = f"{statistics.median(ratios):.1f} times as long ({min(ratios):.1f} to {max(ratios):.1f})"
    assert f"The baseline takes {told}. The aim was ten times: it is missed" in TEXT
    assert max(ratios) < 10
    assert min(ratios) > (found["baseline"]["epochs"] / found["ours"]["epochs"]) ** 2  # what "most of that" means
    assert f"its peak learning rate, {baseline.PEAK}, was not tuned" in TEXT


# --- Ablation ---


def test_the_constant_rate_is_the_best_of_the_file():
    rows = study.read(ablation.RATES_CSV)
    runs = {(row["line"], int(row["seed"])) for row in rows}
    assert runs == {(f"constant {rate}", seed) for rate in ablation.RATES for seed in final.TUNING_SEEDS}
    assert len(rows) == len(runs) * study.EPOCHS
    best = ablation.best_rate(rows)
    assert best == max(ablation.RATES)
    assert f"The best constant rate over the tuning seeds is {best}, the highest of the three" in TEXT


def test_the_ablation_is_that_of_its_file():
    rows, recipe = (study.read(path) for path in (ablation.CSV, seeds.CSV))
    for metric in ("accuracy", "loss"):
        assert all(sorted(own) == list(final.SEEDS) for own in ablation.readings(rows, recipe, metric).values())
    found = ablation.comparisons(rows, recipe)
    assert paired.tell(found) in README
    shown = [own.is_shown for by_line in found.values() for own in by_line.values()]
    assert f"{sum(shown)} of the {len(shown)} intervals leave zero out" in TEXT


def test_what_follows_from_the_ablation_is_so():
    rows, recipe = (study.read(path) for path in (ablation.CSV, seeds.CSV))
    found = ablation.comparisons(rows, recipe)
    verdicts = {line: paired.verdict(found["accuracy"][line], found["loss"][line]) for line in found["accuracy"]}
    names = dict(
        zip(verdicts, ("the schedule", "the higher peak", "augmentation", "averaging", "Muon and Adam"), strict=True)
    )
    effects = [
        f"with {names[line]} {verdict.replace(' ', ' is ').replace(', is ', ' and ')}"
        for line, verdict in verdicts.items()
        if verdict != paired.NOTHING
    ]
    nothing = [names[line] for line, verdict in verdicts.items() if verdict == paired.NOTHING]
    *most, last = nothing
    told = f"leave zero out: {'; '.join(effects)}. For {', '.join(most)} and {last} no difference was found"
    assert told in TEXT
    means = [statistics.mean(own.values()) for own in ablation.readings(rows, recipe, "accuracy").values()]
    assert f"accuracy over epochs 10 to 15 goes from {means[0]:.2f} % to {means[-1]:.2f} %" in TEXT
    late = statistics.mean(study.by_seed(recipe, "test", "accuracy").values())
    assert means[-1] > late
    assert f"ten seeds of the recipe happen to reach {means[-1]:.3f} %, all 40 {late:.3f} %" in TEXT


# --- Search ---


def test_the_search_is_that_of_the_file():
    table = search.compare(study.read(search.CSV))
    assert {row["candidate"] for row in table} == set(search.CANDIDATES)
    assert f"{len(table)} candidates" in TEXT
    line = "| {candidate} | {seeds} | {late:.3f} % | {accuracy_10:.2f} % | {accuracy_15:.2f} % | {loss_15:.4f} |"
    assert "\n".join(line.format(**row) for row in table) in README
    counts = [row["seeds"] for row in table]
    assert set(counts) == {1, 2}
    assert counts.count(1) > len(counts) / 2
    assert "most candidates have one seed and the others two" in TEXT


def test_the_final_round_began_with_the_first_line_of_the_search():
    first = search.compare(study.read(search.CSV))[0]
    best = search.BASE | search.CANDIDATES[first["candidate"]]
    fit = {name: p.default for name, p in inspect.signature(utils.fit).parameters.items()}
    recipe = fit | final.LINES["recipe"]
    assert best["schedule"](1000).tolist() == recipe["schedule"](1000).tolist()
    del best["schedule"]
    assert best == {name: recipe[name] for name in best}


def test_what_the_names_of_the_candidates_mean_is_so():
    base, limits = search.BASE, search.Annealed(1, 1).limits
    assert base["strength"] == (1, 1)
    assert f"rises to its peak, else {base['schedule'].keywords['warmup']:.0%}".replace("%", " %") in TEXT
    assert f"(EMA) of the weights, else {base['averaging']}" in TEXT
    assert f"else {limits['shift']:.0%}".replace("%", " %") + " of its width" in TEXT
    varied = {name for pieces in search.CANDIDATES.values() for name in pieces}
    assert varied == {"averaging", "dropout", "limits", "lr", "optimizers", "schedule", "strength"}


# --- Final round ---


def test_the_final_round_keeps_to_its_protocol():
    rows = study.read(final.CSV)
    runs = {}
    for row in rows:
        runs.setdefault((row["line"], int(row["seed"])), []).append(int(row["epoch"]))
    assert all(epochs == list(range(1, 16)) for epochs in runs.values())
    tuned = {(f"sgd {peak}", seed) for peak in final.PEAKS for seed in final.TUNING_SEEDS}
    lines = {"recipe", f"sgd {final.best_peak(rows)}", "without annealing", "without weight decay", *final.steps(rows)}
    assert set(runs) == tuned | {(line, seed) for line in lines for seed in final.SEEDS}


def test_the_final_round_is_that_of_the_file():
    rows = study.read(final.CSV)
    found, steps = final.comparisons(rows), list(final.confirmations(rows).values())
    assert paired.tell(found) in README
    assert final.tell_steps(rows) in README
    assert f"SGD's best peak over the tuning seeds is {final.best_peak(rows)}" in TEXT
    worse = [line for line in found["accuracy"] if found["accuracy"][line].high < 0 or found["loss"][line].low > 0]
    assert worse == ["without averaging"]
    assert found["accuracy"]["without averaging"].high < 0
    assert "One interval leaves zero out: without averaging, accuracy is lower" in TEXT
    assert sum(difference.is_shown for by_line in found.values() for difference in by_line.values()) == 1
    assert "For Muon, annealing and weight decay no difference was found" in TEXT
    costs = {line: -difference.mean for line, difference in found["accuracy"].items() if line not in worse}
    assert sorted(costs, key=costs.get) == ["without annealing", "without weight decay", "without Muon"]
    assert [step["accuracy"].high < 0 for step in steps] == [False, False, True]
    assert "Annealing and weight decay go. With SGD in place of Muon as well, accuracy is lower" in TEXT
    last = [name for name, step in zip(final.steps(rows), steps, strict=True) if step["accuracy"].high >= 0][-1]
    assert final.LINES[last] == {"strength": (strength.BEFORE, strength.BEFORE)}


# --- Strength of the augmentation ---


def test_the_strength_is_that_of_the_file_and_the_recipe_has_it():
    rows, before = study.read(strength.CSV), study.read(final.CSV)
    for own in strength.readings(rows, before, "accuracy").values():
        assert sorted(own) == list(final.SEEDS)
    assert strength.tell(rows, before) in README
    best = strength.best(rows, before)
    limits = {name: p.default for name, p in inspect.signature(utils.random_affines).parameters.items()}
    for name, limit in search.Annealed(1, 1).limits.items():
        assert limits[name] == pytest.approx(best * limit)
    told = "{degrees:g}°, {0:g} % of the width, {1:g} % and {shear:g}°".format(
        100 * limits["shift"], 100 * limits["scale"], **limits
    )
    assert f"The strength {best} has the highest mean, so it is the recipe's: {told}" in TEXT


def test_what_had_been_seen_of_the_test_set_is_told():
    runs = seeds.accuracies(study.read(strength.SEEN_CSV))
    assert list(runs) == list(range(len(runs)))
    assert f"{len(runs)} of the 40 seeds on the test set had been run by then" in TEXT
    assert sum(run[-1] < 100 * utils.TARGET_ACCURACY for run in runs.values()) == 1
    assert "one of them was below 99.40 % after epoch 15" in TEXT


# --- Reliability ---


def test_the_reliability_is_that_of_the_file():
    rows = [row for row in study.read(reliability.CSV) if int(row["images"])]
    assert sum(int(row["images"]) for row in rows) == 10_000
    assert reliability.tell(rows) in README
    covered = sum(low <= float(row["sure"]) <= high for row in rows for _, low, high in [reliability.share(row)])
    assert f"In {covered} of {len(rows)} groups the mean probability lies in the interval" in TEXT
    # One of seven 95 % intervals misses by chance in three such tables out of ten; two in one of twenty.
    assert len(rows) - covered <= 1


# --- The text ---


def anchor(heading):
    """Return the address that GitHub gives a heading."""
    return "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links_and_pictures_lead_somewhere(target):
    if target.startswith("#"):
        assert target in [anchor(heading) for heading in re.findall(r"^## (.+)$", README, flags=re.MULTILINE)]
    elif not target.startswith("https://"):
        assert (FOLDER / target).exists()


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z]+)", README))
    assert {
        "seeds",
        "search",
        "ablation",
        "bench",
        "tricks",
        "floor",
        "elsewhere",
        "pictures",
        "numbers",
        "final",
    } <= named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def test_it_uses_the_words_of_the_field():
    prose = re.sub(r"^\|.*$|“.*?”", "", README, flags=re.MULTILINE)  # lines of tables keep the names of their runs
    assert re.findall(r"(?i)\bfading|\bfaded|\bidiom\b|\breads? (?:the |a )?digit", prose) == []

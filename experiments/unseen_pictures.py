"""How well does the reader read real pictures that were never used to improve it? A table of recorded answers.

results/unseen_pictures.csv has one row per picture: how commit fc630f9 read it on 2026-11-29. The pictures are from
public repositories, `source` is the number of the repository. They were chosen and labelled by hand: "held out" by
repository, before any improvement, together with those that were used for improvements; "new" afterwards, without
copies of MNIST, print and plots. Labels of more than five digits are left out, since some may be personal numbers.
"""

from experiments import results, stats

NAMES = {"digit": "single digits", "number": "numbers"}


def cells(name, rows, percentage):
    """Return one row of the table."""
    silent = (rows[["right", "refused", "warned"]] == 0).all(axis=1)
    counts = (rows[column].sum() for column in ("refused", "warned"))
    return name, rows["source"].nunique(), len(rows), rows["right"].sum(), percentage, *counts, silent.sum()


def table():
    """Return one row for all pictures of a task, with the interval clustered by repository, then one per kind."""
    rows, lines = results.read("unseen_pictures"), []
    for task, name in NAMES.items():
        pictures = rows[rows["task"] == task]
        estimate = stats.clustered_interval(100 * pictures["right"], pictures["source"])
        lines.append(cells(f"**{name}**", pictures, estimate.percent(1)))
        for kind, own in pictures.groupby("kind"):
            lines.append(cells(f"{task}: {kind}", own, f"{stats.fixed(100 * own['right'].mean(), 1)}%"))
    counts = ("refused", "with a warning", "wrong without a warning")
    return stats.markdown(("pictures", "repositories", "n", "right", "right (95% interval)", *counts), lines)


def figures():
    """Return how many pictures are right, as text: "digits" and "numbers", and the numbers of each "set"."""
    rows = results.read("unseen_pictures")
    groups = {f"{task}s": own for task, own in rows.groupby("task")}
    groups |= dict(iter(groups["numbers"].groupby("set")))
    return {name.replace(" ", "_"): f"{own['right'].sum():,} of {len(own):,}" for name, own in groups.items()}

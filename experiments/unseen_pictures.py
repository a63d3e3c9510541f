"""How well does the reader read real pictures that were never used to improve it? A table of recorded answers.

results/unseen_pictures.csv has one row per picture: how commit fc630f9 read it on 2026-11-29. The pictures are from
public repositories, `source` is the number of the repository. They were chosen and labelled by hand: "held out" by
repository, before any improvement, together with those that were used for improvements; "new" afterwards, without
copies of MNIST, print and plots. Labels of more than five digits are left out, since some may be personal numbers.
"""

from experiments import results, stats

NAMES = {"digit": "single digits", "number": "numbers"}


def interval(rows):
    """Return the percentage of `rows` that are right, with its 95% interval clustered by repository, as text."""
    estimate, _ = stats.clustered_interval(100 * rows["right"], rows["source"])
    mean, low, high = (stats.fixed(value, 1) for value in (estimate.mean, estimate.low, min(estimate.high, 100)))
    return f"{mean}% ({low} to {high})"


def cells(name, rows, percentage):
    """Return one row of the table."""
    silent = ((rows["right"] == 0) & (rows["warned"] == 0) & (rows["refused"] == 0)).sum()
    warned = (rows["warned"] | rows["refused"]).sum()
    return name, rows["source"].nunique(), len(rows), rows["right"].sum(), percentage, warned, silent


def table():
    """Return one row for all pictures of a task, then one per kind."""
    rows = results.read("unseen_pictures")
    lines = []
    for task, name in NAMES.items():
        pictures = rows[rows["task"] == task]
        lines.append(cells(f"**{name}**", pictures, interval(pictures)))
        for kind, own in pictures.groupby("kind"):
            lines.append(cells(f"{task}: {kind}", own, f"{stats.fixed(100 * own['right'].mean(), 1)}%"))
    columns = (
        "pictures",
        "repositories",
        "n",
        "right",
        "right (95% interval)",
        "with a warning",
        "wrong without a warning",
    )
    return stats.markdown(columns, lines)


def figures():
    """Return counts and percentages as text, such as {"digits": "1,229 of 1,257", "digits_percent": …}."""
    rows = results.read("unseen_pictures")
    texts = {"repositories": f"{rows['source'].nunique()}", "pictures": f"{len(rows):,}"}
    for task in NAMES:
        pictures = rows[rows["task"] == task]
        texts[f"{task}s"] = f"{pictures['right'].sum():,} of {len(pictures):,}"
        texts[f"{task}s_percent"] = interval(pictures)
    return texts

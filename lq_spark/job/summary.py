"""What a run did, as metrics and as the summary that the job prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.health.tables import Overlaps, class_overlaps
from lq_spark.report.parts import Heatmap, Part, Section, Table, count, number, text_of

if TYPE_CHECKING:
    from lq_spark.job.since import Since

N_WORST_CLASSES = 20
N_OVERLAPS = 5
N_MAP_CLASSES = 16

Metric = tuple[str, str | None, float | None]
"""(metric, class or reason or phase or None, value)."""


class Summary:
    """What a task says of the tables that it has made; a task overrides what it has to say."""

    noise: NoiseModel | None = None
    """What the rows say of the label noise, where that was estimated."""

    def metrics(self) -> Iterator[Metric]:
        """Yield the metrics that only this task has."""
        yield from ()

    def details(self, config: Any) -> str:
        """Return how the first line goes on."""
        return ""

    def facts(self, config: Any) -> Mapping[str, str]:
        """Return what stands, by a word, among the places of the tables."""
        return {}

    def parts(self, config: Any) -> Sequence[Part]:
        """Return what the job says below them, and shows in a report."""
        return []


@dataclass(frozen=True, slots=True)
class SetAside:
    """What the rows of a table are, and how many cannot be scored for each reason."""

    rows: str
    reasons: Mapping[str, int]

    @property
    def n(self) -> int:
        """Return how many rows cannot be scored."""
        return sum(self.reasons.values())

    @property
    def text(self) -> str:
        """Return how many rows there are, and for which reasons."""
        counts = "; ".join(f"{reason}: {n:,}" for reason, n in self.reasons.items())
        return f"{self.n:,} {self.rows}{': ' + counts if counts else ''}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who read the source: the Python workers its files, or else the engine, and why."""

    engine: str
    why_not: str | None = None

    @property
    def is_workers(self) -> bool:
        """Return whether the workers read it."""
        return self.why_not is None

    def __str__(self) -> str:
        return "Python workers" if self.is_workers else f"{self.engine} ({self.why_not})"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Attributes
    ----------
    run_id : str
    reader : Reader
    n_rows, n_scored : int
        Rows read; those that could be scored.
    set_aside : mapping of str to SetAside
        By the option that says where they go, ``quarantine`` first.
    found : Summary
        What the task says of them.
    seconds : dict
        Wall-clock time for each phase.
    shown : sequence of Section
        What a report shows of its rows, if one was asked for.
    since : Since or None
        From where it went on, if it is to be of what has changed since the last run.
    """

    run_id: str
    reader: Reader
    n_rows: int
    n_scored: int
    set_aside: Mapping[str, SetAside]
    found: Summary
    seconds: dict[str, float]
    shown: Sequence[Section] = ()
    since: Since | None = None

    @property
    def quarantined(self) -> Mapping[str, int]:
        """Return how many rows could not be scored for each reason."""
        return self.set_aside["quarantine"].reasons

    @property
    def noise(self) -> NoiseModel | None:
        """Return what the rows say of the label noise, where that was estimated."""
        return self.found.noise

    def metrics(self) -> Iterator[Metric]:
        """Yield (metric, class or reason or phase or None, value).

        Reasons are those that were found; :mod:`lq_spark.job.record.history` adds a 0 for each
        that an earlier run found.
        """
        yield "rows", None, self.n_rows
        yield "rows_scored", None, self.n_scored
        yield "read_by_workers", None, float(self.reader.is_workers)
        if self.reader.why_not is not None:
            yield "read_by_workers", self.reader.why_not, 0.0
        for option, aside in self.set_aside.items():
            metric = f"{'rows' if option == 'quarantine' else aside.rows}_quarantined"
            yield metric, None, aside.n
            for reason, n in aside.reasons.items():
                yield metric, reason, n
        if self.since is not None:
            yield from self.since.metrics()
        yield from self.found.metrics()
        for phase, seconds in self.seconds.items():
            yield "seconds", phase, seconds

    def text(self, config: Any) -> str:
        """Return the summary that the job prints."""
        facts = {option: spec.name for option, spec in config.outputs.items()}
        if self.since is not None:
            facts["since"] = self.since.text
        facts["reader"] = str(self.reader)
        facts["metrics"] = f"{config.place('metrics')} (run {self.run_id})"
        if config.on_invalid == "quarantine":
            for option, aside in self.set_aside.items():
                facts[option] = f"{config.place(option)} ({aside.text})"
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        facts |= {**config.files, **config.folders, **config.reports, **self.found.facts(config)}
        facts["time"] = spent
        width = max(map(len, facts)) + 2
        head = f"{self.n_scored:,} of {self.n_rows:,} {self.set_aside['quarantine'].rows} scored"
        lines = [head + self.found.details(config)]
        lines += [f"{name:<{width}}{fact}" for name, fact in facts.items()]
        if self.n_scored:
            lines += text_of(self.found.parts(config))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """A given class: its rows, their mean label quality, and how many are predicted otherwise.

    ``mean`` is None of a class without rows; ``n_issues`` are its label issues, None where they
    were not sought.
    """

    name: str
    n_rows: int
    mean: float | None
    n_disagreeing: int
    n_issues: int | None

    @property
    def issue_rate(self) -> float | None:
        """Return the share of its rows that are label issues; None without rows."""
        return None if self.n_issues is None or not self.n_rows else self.n_issues / self.n_rows


def count_issues(classes: Iterable[ClassQuality]) -> int:
    """Return how many label issues were found."""
    return sum(quality.n_issues or 0 for quality in classes)


def class_metrics(
    classes: Sequence[ClassQuality],
    noise: NoiseModel | None,
    thresholds: Thresholds | None,
    *,
    rows: str,
    sought: bool,
) -> Iterator[Metric]:
    """Yield the metrics of each class and, where label issues were sought, of these.

    ``rows`` is what metrics call the rows that have a label: rows, tokens.
    """
    for quality in classes:
        yield f"class_{rows}", quality.name, quality.n_rows
        yield "class_mean_label_quality", quality.name, quality.mean
        yield f"class_{rows}_predicted_otherwise", quality.name, quality.n_disagreeing
        if sought:
            yield "class_label_issues", quality.name, quality.n_issues
            yield "class_issue_rate", quality.name, quality.issue_rate
    if sought:
        n_issues, n_rows = count_issues(classes), sum(quality.n_rows for quality in classes)
        yield "label_issues", None, n_issues
        yield "issue_rate", None, n_issues / n_rows if n_rows else None
        yield "label_health_score", None, None if noise is None else noise.health_score
    yield from threshold_metrics(thresholds)


def threshold_metrics(thresholds: Thresholds | None) -> Iterator[Metric]:
    """Yield the threshold of each class; a class without rows has none."""
    if thresholds is not None:
        names = thresholds.classes or range(thresholds.n_classes)
        for name, value, count in zip(
            names, thresholds.values, thresholds.class_counts, strict=True
        ):
            yield "class_threshold", str(name), value if count else None


def issue_facts(
    classes: Sequence[ClassQuality], noise: NoiseModel | None, config: Any, rows: str
) -> dict[str, str]:
    """Return where the health of the classes is, and how many issues there are."""
    if noise is None:
        return {}
    n_issues, n_rows = count_issues(classes), sum(quality.n_rows for quality in classes)
    health = (config.place(option) for option in ("class_health", "class_overlaps"))
    return {
        "health": ", ".join(health),
        "issues": f"{n_issues:,} {rows}, {n_issues / n_rows:.2%}, by {config.filter_by}; "
        f"label health {noise.health_score:.4f}",
    }


def class_parts(
    title: str, rows: str, classes: Sequence[ClassQuality], noise: NoiseModel | None, note: str = ""
) -> list[Part]:
    """Return the classes of lowest mean label quality, and which are taken for others."""
    # Adjusted self-confidence has the same mean in every class but for rounding.
    worst_first = sorted(
        (q for q in classes if q.n_rows),
        key=lambda q: (round(q.mean or 0.0, 6), -q.n_disagreeing / q.n_rows),
    )
    shown = worst_first[:N_WORST_CLASSES]
    cut = f", the lowest {len(shown)} of {len(worst_first):,}" * (len(shown) < len(worst_first))
    header = ["class", rows, "mean", "predicted otherwise"]
    cells: list[list[Any]] = [
        [q.name, count(q.n_rows), number(q.mean), count(q.n_disagreeing)] for q in shown
    ]
    if noise is not None:
        header.append("issues")
        cells = [[*row, count(q.n_issues or 0)] for row, q in zip(cells, shown, strict=True)]
    bars = {"mean": 1.0, "issues": None}
    table = Table(f"{title}{cut}{note}", header, cells, bars)
    return [table] if noise is None else [table, *_overlap_parts(noise)]


def _overlap_parts(noise: NoiseModel) -> list[Part]:
    """Return which labels are most often given for which other class."""
    found = class_overlaps(noise.joint, noise.n_rows, asymmetric=True)
    names = noise.classes or range(noise.n_classes)
    pairs = zip(found.class_a, found.class_b, found.num_overlapping, strict=True)
    most = [pair for _, pair in zip(range(N_OVERLAPS), pairs, strict=False)]
    shown = [(names[given], names[true], count(n)) for given, true, n in most if n]
    if not shown:
        return []
    title = "labels most often given for another class, estimated"
    table = Table(title, ("given", "true", "rows"), shown, {"rows": None})
    return [table, _overlap_map(noise, found)]


def _overlap_map(noise: NoiseModel, found: Overlaps) -> Heatmap:
    """Return how many rows given one class truly are of another, of the most confused classes."""
    weights = np.zeros(noise.n_classes)
    for side in (found.class_a, found.class_b):
        np.add.at(weights, side, found.joint_probability)
    most = np.sort(np.argsort(-weights, kind="stable")[:N_MAP_CLASSES])
    values = np.zeros((len(most), len(most)))
    shown = np.isin(found.class_a, most) & np.isin(found.class_b, most)
    places = (np.searchsorted(most, side[shown]) for side in (found.class_a, found.class_b))
    values[tuple(places)] = found.num_overlapping[shown]
    names = [str((noise.classes or range(noise.n_classes))[k]) for k in most]
    of = f", the {len(most)} most confused of {noise.n_classes:,}" * (len(most) < noise.n_classes)
    return Heatmap(
        f"given and true classes{of}",
        names,
        values.tolist(),
        ("given", "true"),
        "How many rows given one class truly are of another, estimated from the confident joint "
        "(Northcutt, Jiang, Chuang 2021); the diagonal, where both agree, is left out.",
    )


def lowest_table(
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    title: str = "lowest label quality (1 clean, 0 suspect)",
) -> Table:
    """Return the lowest rows of the source, each with its key and what is shown of it."""
    bars = {name: 1.0 for name in header if name in ("quality", "score")}
    return Table(title, header, rows, bars, keys=[row[0] for row in rows])


def recall_text(recall: float | None) -> list[str]:
    """Return how many of the nearest neighbours an approximate search found."""
    if recall is None or recall == 1.0:
        return []
    return [f"neighbours are approximate: {recall:.2%} of the nearest found, in a sample of rows"]

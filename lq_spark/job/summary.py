"""What a run did, as metrics and as the summary that the job prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.health.tables import class_overlaps

N_WORST_CLASSES = 20
N_OVERLAPS = 5

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

    def lines(self, config: Any) -> Sequence[str]:
        """Return what the job prints below them."""
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
    """

    run_id: str
    reader: Reader
    n_rows: int
    n_scored: int
    set_aside: Mapping[str, SetAside]
    found: Summary
    seconds: dict[str, float]

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
            for reason, count in aside.reasons.items():
                yield metric, reason, count
        yield from self.found.metrics()
        for phase, seconds in self.seconds.items():
            yield "seconds", phase, seconds

    def text(self, config: Any) -> str:
        """Return the summary that the job prints."""
        facts = {option: spec.name for option, spec in config.outputs.items()}
        facts["reader"] = str(self.reader)
        facts["metrics"] = f"{config.place('metrics')} (run {self.run_id})"
        if config.on_invalid == "quarantine":
            for option, aside in self.set_aside.items():
                facts[option] = f"{config.place(option)} ({aside.text})"
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        facts |= {**config.files, **config.folders, **self.found.facts(config), "time": spent}
        width = max(map(len, facts)) + 2
        head = f"{self.n_scored:,} of {self.n_rows:,} {self.set_aside['quarantine'].rows} scored"
        lines = [head + self.found.details(config)]
        lines += [f"{name:<{width}}{fact}" for name, fact in facts.items()]
        if self.n_scored:
            lines += self.found.lines(config)
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


def class_lines(
    title: str, rows: str, classes: Sequence[ClassQuality], noise: NoiseModel | None, note: str = ""
) -> list[str]:
    """Return the classes of lowest mean label quality as lines, and which are taken for others."""
    # Adjusted self-confidence has the same mean in every class but for rounding.
    worst_first = sorted(
        (q for q in classes if q.n_rows),
        key=lambda q: (round(q.mean or 0.0, 6), -q.n_disagreeing / q.n_rows),
    )
    shown = worst_first[:N_WORST_CLASSES]
    cut = f", the lowest {len(shown)} of {len(worst_first):,}" * (len(shown) < len(worst_first))
    header = ["class", rows, "mean", "predicted otherwise"]
    cells = [[q.name, f"{q.n_rows:,}", f"{q.mean:.4f}", f"{q.n_disagreeing:,}"] for q in shown]
    if noise is not None:
        header.append("issues")
        cells = [[*row, f"{q.n_issues:,}"] for row, q in zip(cells, shown, strict=True)]
    lines = ["", f"{title}{cut}{note}:", *aligned(header, cells)]
    return lines if noise is None else [*lines, *_overlap_lines(noise)]


def _overlap_lines(noise: NoiseModel) -> list[str]:
    """Return which labels are most often given for which other class, as lines."""
    found = class_overlaps(noise.joint, noise.n_rows, asymmetric=True)
    names = noise.classes or range(noise.n_classes)
    pairs = zip(found.class_a, found.class_b, found.num_overlapping, strict=True)
    most = [pair for _, pair in zip(range(N_OVERLAPS), pairs, strict=False)]
    shown = [(names[given], names[true], f"{n:,}") for given, true, n in most if n]
    if not shown:
        return []
    title = "labels most often given for another class, estimated:"
    return ["", title, *aligned(("given", "true", "rows"), shown)]


def lowest_lines(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str = "lowest label quality (1 clean, 0 suspect):",
) -> list[str]:
    """Return the lowest rows as lines; numbers that are no counts have six decimals."""
    cells = (
        ["-" if c is None else f"{c:.6f}" if isinstance(c, float) else c for c in row]
        for row in rows
    )
    return ["", title, *aligned(header, cells)]


def recall_lines(recall: float | None) -> list[str]:
    """Return how many of the nearest neighbours an approximate search found."""
    if recall is None or recall == 1.0:
        return []
    return [f"neighbours are approximate: {recall:.2%} of the nearest found, in a sample of rows"]


def aligned(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a small table as lines, columns aligned to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, columns)) for columns in zip(*cells, strict=True)]
    return [
        "  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
        for row in cells
    ]

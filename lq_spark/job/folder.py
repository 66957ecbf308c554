"""The configurations of a folder: read and checked, each and beside each other, before any runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lq_spark.engine.files import expanded
from lq_spark.errors import OptionError, listed
from lq_spark.job.config import JobConfig
from lq_spark.job.config_file import chosen_task, load_config
from lq_spark.job.places import one_path, one_spelling, staged

ENDING = ".yaml"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of a folder: its name, and its configuration or what is wrong with it."""

    name: str
    config: JobConfig | None
    error: OptionError | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that a run writes: whose it is, how it is named, and whether others may add to it."""

    file: str
    option: str
    name: str
    is_shared: bool = False


def read_folder(
    folder: str,
    flags: Mapping[str, Any],
    task: str | None = None,
    run_results: str | None = None,
) -> list[ConfigFile]:
    """Return the configurations of a folder, by the names of the files, with flags put over each.

    Those that would write one place are wrong, all of them.

    Parameters
    ----------
    folder : str
        Folders within it, hidden files and files of other endings are left out.
    flags : mapping of str to object
    task : str, optional
        The only task that is allowed; None: the one that each file names.
    run_results : str, optional
        A file that is written for all of them.

    Raises
    ------
    OptionError
        If there is no such folder, or no configuration in it.
    """
    try:
        paths = sorted(Path(expanded(folder)).iterdir())
    except OSError as error:
        raise OptionError(f"config_dir: cannot read {folder!r} ({error})") from error
    paths = [path for path in paths if not path.name.startswith(".") and not path.is_dir()]
    chosen = [path for path in paths if path.suffix == ENDING]
    if not chosen:
        there = listed(path.name for path in paths) or "no file"
        raise OptionError(f"config_dir: no *{ENDING} file in {folder!r}; there is {there}")
    files = [_read(path, flags, task) for path in chosen]
    wrong = _clashes(files, run_results)
    return [
        replace(file, config=None, error=OptionError(wrong[file.name]))
        if file.name in wrong
        else file
        for file in files
    ]


def _read(path: Path, flags: Mapping[str, Any], task: str | None) -> ConfigFile:
    try:
        config = load_config(str(path), flags, task or chosen_task(None, str(path)))
    except OptionError as error:
        return ConfigFile(path.name, None, error)
    return ConfigFile(path.name, config)


def _clashes(files: Sequence[ConfigFile], run_results: str | None) -> dict[str, str]:
    """Return what is wrong, by file, with those that would write a place that another writes."""
    taken = [place for file in files if file.config for place in _written(file.name, file.config)]
    if run_results is not None:
        taken.append((one_path(run_results), _Place("the command", "run_results", run_results)))
    by_spelling: dict[str, list[_Place]] = {}
    for spelling, place in taken:
        by_spelling.setdefault(spelling, []).append(place)
    found: dict[str, str] = {}
    for spelling, place in taken:
        for around in _with_parents(spelling):
            for other in by_spelling.get(around, ()):
                is_one_table = place.is_shared and other.is_shared and around == spelling
                if other.file != place.file and not is_one_table:
                    found.setdefault(place.file, _sentence(place, other))
                    found.setdefault(other.file, _sentence(other, place))
    return found


def _written(file: str, config: JobConfig) -> Iterator[tuple[str, _Place]]:
    """Yield the places that a run writes, in one spelling each; where it stages a table, too."""
    own = dict(config.outputs)
    if config.on_invalid == "quarantine":
        own |= config.quarantines
    for option, spec in own.items():
        for spelling in (one_spelling(spec.name), *staged([spec.name])):
            yield spelling, _Place(file, option, spec.name)
    for option, spec in config.records.items():
        yield one_spelling(spec.name), _Place(file, option, spec.name, is_shared=True)
    for option, path in {**config.files, **config.folders, **config.reports}.items():
        yield one_path(path), _Place(file, option, path)


def _with_parents(spelling: str) -> Iterator[str]:
    yield spelling
    while "/" in spelling:
        spelling = spelling.rpartition("/")[0]
        yield spelling


def _sentence(place: _Place, other: _Place) -> str:
    return (
        f"{place.option}: each run must have places of its own, but for tables of metrics, got "
        f"{place.name!r}; {other.file} has {other.option} {other.name!r}"
    )

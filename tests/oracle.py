"""cleanlab, called so that it can be compared with: ties as ours, and no word of it."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest
from cleanlab import filter as rules

_argsort = np.argsort


def _stable(values, axis=-1, kind=None, **kwargs):
    return _argsort(values, axis=axis, kind="stable", **kwargs)


def cleanlabs(function, *args, **kwargs):
    """Call cleanlab with a stable argsort: its own breaks ties by the processor it runs on.

    Of rows that are equal at a cut the first ones are taken, as ours are. It warns of small
    classes, as ours does, it prints, verbose or not, and it starts a process for each processor,
    which takes longer than all it has to do here.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        patch.setattr(np, "argsort", _stable)
        for counts in ("os.cpu_count", "psutil.cpu_count"):  # the second where it is installed
            with contextlib.suppress(ImportError):
                patch.setattr(counts, lambda *_, **__: 1)
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def cleanlabs_flags(labels, pred_probs, **options):
    """Return the rows that cleanlab flags; it computes in the type that it is given."""
    doubles = pred_probs.astype(np.float64)
    return cleanlabs(rules.find_label_issues, labels, doubles, **options)


def ours(function, *args, **kwargs):
    """Call a function of ours without its warnings of classes too small to be pruned."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="classes .* none of them is pruned")
        return function(*args, **kwargs)

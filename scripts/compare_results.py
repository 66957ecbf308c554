"""Compare what environments computed, as tests/jobs/tell_results.py has written it.

    python scripts/compare_results.py FILE FILE [FILE ...]

Each is compared with the first, in what both have: to the bit where both have NumPy of one major
version. NumPy 2 rounds logarithms and powers otherwise in the last bit than NumPy 1, so there
numbers may differ by a billionth of a millionth of them and some; all else must be the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
BITS = re.compile(r" \(-?\d+\)")
NEAR = 1e-12


def near(one: str, other: str) -> bool:
    """Return whether two texts are the same but for the last bits of numbers."""
    one, other = BITS.sub("", one), BITS.sub("", other)
    if NUMBER.sub("", one) != NUMBER.sub("", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=NEAR, abs_tol=NEAR) for a, b in pairs)


def differences(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """Yield what differs in the parts that both have: task, function and column first."""
    same_numpy = first["numpy"].split(".")[0] == second["numpy"].split(".")[0]
    for part in sorted(first["parts"].keys() & second["parts"].keys()):
        one, other = first["parts"][part], second["parts"][part]
        for place in sorted(one.keys() | other.keys()):
            a, b = one.get(place, "nothing"), other.get(place, "nothing")
            if a != b and (same_numpy or not near(a, b)):
                yield f"{part} · {place}: {a} and {b}"


def digest(results: dict[str, Any], parts: set[str]) -> str:
    """Return a digest of some parts."""
    facts = json.dumps([results["parts"][part] for part in sorted(parts)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def main(*files: str) -> int:
    results = {file: json.loads(Path(file).read_text(encoding="utf-8")) for file in files}
    functions = set.intersection(*(set(found["parts"]) for found in results.values()))
    first, failed = files[0], 0
    for file, found in results.items():
        n_facts = sum(map(len, found["parts"].values()))
        print(
            f"{Path(file).stem}: {n_facts} facts in {len(found['parts'])} parts, NumPy "
            f"{found['numpy']}, digest of the {len(functions)} parts of all: "
            f"{digest(found, functions)}"
        )
        differing = list(differences(results[first], found))
        for line in differing[:20]:
            print(f"  DIFFERS from {Path(first).stem}: {line}")
        if len(differing) > 20:
            print(f"  and {len(differing) - 20} more")
        failed += bool(differing)
    print("All are the same." if not failed else f"{failed} of {len(files)} differ.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

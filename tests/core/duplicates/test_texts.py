"""Near duplicates among texts, against all pairs of sets; what the hashes promise."""

import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.duplicates import find_near_duplicate_texts, minhash
from lq_spark.core.duplicates import sets as numbered
from lq_spark.core.duplicates.minhash import (
    N_HASHES,
    Bands,
    band_codes,
    bands_for,
    pairs_of_equal,
    signatures,
)
from lq_spark.core.duplicates.shingles import ShingleRule, shingle_codes, shingles
from lq_spark.errors import DataError, OptionError

SIGNATURE = [4018882981, 1979122921]
WORDS = [f"w{i}" for i in range(300)]
TEXTS = st.lists(st.text(st.sampled_from("ab \u00e9e\u0301\U0001f600\t"), max_size=12), max_size=8)
RULES = st.builds(ShingleRule, st.sampled_from(["word", "character"]), st.integers(1, 6))


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 1.0


def corpus(rng, n_texts=120):
    """Return texts of 30 words, most of them another one with some words changed."""
    texts = [list(rng.choice(WORDS, 30)) for _ in range(10)]
    while len(texts) < n_texts:
        text = list(texts[int(rng.integers(len(texts)))])
        for place in rng.choice(30, int(rng.integers(0, 5)), replace=False):
            text[place] = str(rng.choice(WORDS))
        texts.append(text)
    return [" ".join(text) for text in texts]


@settings(deadline=None)
@given(texts=TEXTS, rule=RULES)
def test_codes_are_equal_where_shingles_are(texts, rule):
    codes, offsets = shingle_codes(texts, rule)
    sets = [shingles(text, rule) for text in texts]
    of_texts = [set(codes[slice(*ends)].tolist()) for ends in itertools.pairwise(offsets.tolist())]
    assert list(map(len, of_texts)) == list(map(len, sets))
    for (a, c), (b, d) in itertools.combinations(zip(sets, of_texts, strict=True), 2):
        assert len(a & b) == len(c & d)


def test_codes_are_the_same_in_every_process():
    assert shingle_codes(["to be"], ShingleRule("word", 2))[0].tolist() == [3032966323472434157]
    assert shingle_codes(["b\u00e9"], ShingleRule("character", 2))[0].tolist() == [
        13316480155457266764
    ]
    codes, offsets = shingle_codes(["to be"], ShingleRule("word", 2))
    assert signatures(codes, offsets)[0, :2].tolist() == SIGNATURE
    assert signatures(codes, offsets, seed=1)[0, :2].tolist() != SIGNATURE


def test_runs_of_the_same_words_in_another_order_differ():
    rule = ShingleRule("word", 2)
    assert len(set(shingle_codes(["a b", "b a", "b b", "b"], rule)[0].tolist())) == 4


@settings(deadline=None, max_examples=30)
@given(texts=TEXTS, rule=RULES, n_at_once=st.integers(1, 600))
def test_a_signature_does_not_depend_on_other_texts(texts, rule, n_at_once):
    whole = signatures(*shingle_codes(texts, rule))
    assert whole.shape == (len(texts), N_HASHES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "_MOST_HASHED", n_at_once)
        np.testing.assert_array_equal(signatures(*shingle_codes(texts, rule)), whole)
    for row, text in enumerate(texts):
        alone = signatures(*shingle_codes([text], rule))
        np.testing.assert_array_equal(alone[0], whole[row])


def test_signatures_agree_as_often_as_sets():
    texts, rule = corpus(np.random.default_rng(0), 40), ShingleRule()
    codes, offsets = shingle_codes(texts, rule)
    signature = signatures(codes, offsets, n_hashes=2048)
    sets = [shingles(text, rule) for text in texts]
    for i, j in itertools.combinations(range(40), 2):
        expected = jaccard(sets[i], sets[j])
        spread = np.sqrt(expected * (1 - expected) / 2048)
        agree = (signature[i] == signature[j]).mean()
        assert abs(agree - expected) <= 5 * spread + 1e-3


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 0.8, 0.95, 1.0])
def test_bands_find_what_is_as_similar_as_the_threshold(threshold):
    bands = bands_for(threshold)
    assert bands.n_bands * bands.n_places <= N_HASHES
    if threshold >= 0.3:
        assert bands.found(threshold) >= 0.99
        longer = Bands(N_HASHES // (bands.n_places + 1), bands.n_places + 1)
        assert threshold == 1.0 or longer.found(threshold) < 0.99
    else:
        assert bands == (N_HASHES, 1)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 12))
def test_pairs_of_equal_codes(seed, n):
    codes = np.random.default_rng(seed).integers(0, 4, (n, 3))
    expected = [
        (a, b) for a, b in itertools.combinations(range(n), 2) if (codes[a] == codes[b]).any()
    ]
    assert list(zip(*(side.tolist() for side in pairs_of_equal(codes)), strict=True)) == expected


def test_bands_are_equal_where_all_their_places_are():
    signature = np.array([[1, 2, 3, 4], [1, 2, 3, 5], [3, 4, 1, 2]], dtype=np.uint32)
    codes = band_codes(signature, Bands(2, 2))
    assert codes.dtype == np.int64
    assert codes[0, 0] == codes[1, 0]
    assert len(set(codes.ravel().tolist())) == 5


@pytest.mark.parametrize("kind", ["word", "character"])
@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_what_is_found_is_similar_and_what_is_similar_is_found(kind, threshold):
    texts = corpus(np.random.default_rng(0))
    found = find_near_duplicate_texts(texts, threshold=threshold, kind=kind)
    rule = ShingleRule(kind, {"word": 2, "character": 5}[kind])
    sets = [shingles(text, rule) for text in texts]
    first = [texts.index(text) for text in texts]
    expected = {}
    for i, j in itertools.combinations(range(len(texts)), 2):
        similarity = jaccard(sets[i], sets[j])
        if (first[i], first[j]) == (i, j) and similarity >= threshold:
            expected[i, j] = similarity
        elif first[j] == i:
            expected[i, j] = 1.0
    pairs = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert pairs == sorted(pairs)
    for pair, similarity in zip(pairs, found.similarity.tolist(), strict=True):
        assert expected[pair] == similarity
    missed = [similarity for pair, similarity in expected.items() if pair not in set(pairs)]
    assert len(missed) <= 0.01 * len(expected)
    assert not [similarity for similarity in missed if similarity > threshold + 0.1]
    in_pairs = set(found.a.tolist()) | set(found.b.tolist())
    assert set(np.flatnonzero(found.is_near_duplicate).tolist()) == in_pairs
    is_exact = [texts.count(text) > 1 for text in texts]
    assert found.is_exact_duplicate.tolist() == is_exact
    assert (found.component[found.a] == found.component[found.b]).all()


@settings(deadline=None)
@given(texts=TEXTS, rule=RULES, n_at_once=st.integers(1, 20))
def test_similarities_are_those_of_sets_however_many_are_looked_up_at_once(texts, rule, n_at_once):
    some = [text for text in texts if shingles(text, rule)]
    pairs = list(itertools.product(range(len(some)), repeat=2))
    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbered, "_MOST_ENTRIES", n_at_once)
        found = numbered.similarities(numbered.shingle_sets(some, rule), a, b)
    of_texts = [shingles(text, rule) for text in some]
    assert found.tolist() == [jaccard(of_texts[i], of_texts[j]) for i, j in pairs]


def test_texts_are_taken_as_they_are():
    composed, apart = "caf\u00e9 noir", unicodedata.normalize("NFD", "caf\u00e9 noir")
    found = find_near_duplicate_texts([composed, apart, "Caf\u00e9 noir", composed + "  "])
    assert found.component.tolist() == [0, 1, 2, 0]
    assert found.similarity.tolist() == [1.0]
    assert found.is_exact_duplicate.tolist() == [False] * 4
    half = "half of a pair: \ud83d"
    assert find_near_duplicate_texts([half, half, "x"]).component.tolist() == [0, 0, 2]
    assert find_near_duplicate_texts([half] * 2, kind="character").similarity.tolist() == [1.0]


def test_texts_without_words_are_like_equal_ones_alone():
    found = find_near_duplicate_texts(["", " ", "", "a"])
    assert list(zip(found.a.tolist(), found.b.tolist(), strict=True)) == [(0, 2)]
    assert find_near_duplicate_texts([]).component.tolist() == []


@pytest.mark.parametrize(
    ("texts", "options", "error", "message"),
    [
        (["a", None], {}, DataError, "texts must be texts, got None at row 1"),
        ("a text", {}, DataError, "must be a list of texts, got one: 'a text'"),
        (["a"], {"threshold": 0.0}, OptionError, "threshold must be a number above 0 and at most"),
        (["a"], {"threshold": 1.5}, OptionError, "at most 1, got 1.5"),
        (["a"], {"kind": "words"}, OptionError, "kind must be one of .* did you mean 'word'"),
        (["a"], {"n": 0}, OptionError, "n must be a whole number of at least 1"),
        (["a"], {"seed": -1}, OptionError, "seed must be a whole number of at least 0"),
    ],
)
def test_what_cannot_be_used(texts, options, error, message):
    with pytest.raises(error, match=message):
        find_near_duplicate_texts(texts, **options)

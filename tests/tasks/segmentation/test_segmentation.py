"""Label quality of images and label issues of pixels on Spark, against core to the bit."""

import numpy as np
import pytest

from lq_spark import segmentation
from lq_spark.core import segmentation as core
from lq_spark.core.segmentation.issues import count_tied, fit_pixels
from lq_spark.core.segmentation.pixels import image_facts, self_confidence
from lq_spark.errors import ColumnError, OptionError

N_CLASSES, SHAPE = 4, (12, 8)
NESTED = "id {id}, label_mask array<array<int>>, pred_probs array<array<array<{element}>>>"
BINARY = (
    "id {id}, label_mask binary, label_mask_shape array<int>, label_mask_dtype string, "
    "pred_probs binary, pred_probs_shape array<int>, pred_probs_dtype string"
)


def data_set(n_images=11, dtype=np.float64, quantised=True, shape=SHAPE, seed=0):
    """Return masks and probabilities; quantised ones tie at the cut, in many images."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(N_CLASSES, 0.4), size=(n_images, *shape)).clip(0.0, 1.0)
    if quantised:
        probs[..., 1:] = np.floor(probs[..., 1:] * 8) / 8
        probs[..., 0] = 1.0 - probs[..., 1:].sum(axis=-1)
    probs = np.moveaxis(probs, -1, 1).astype(dtype)
    right = rng.random((n_images, *shape)) < 0.8
    masks = np.where(right, probs.argmax(axis=1), rng.integers(N_CLASSES, size=right.shape))
    return masks, probs


@pytest.fixture
def table_of(spark):
    """Make a table of images, in the order of a permutation; ids are places in the data."""

    def make(masks, probs, form="binary", id_type="int"):
        element = {"f": "float", "d": "double"}[probs[0].dtype.char]
        schema = (NESTED if form == "nested" else BINARY).format(id=id_type, element=element)
        rows = []
        for i in np.random.default_rng(1).permutation(len(masks)).tolist():
            key = f"{i:03}" if id_type == "string" else i
            mask, image = masks[i].astype(np.uint8), probs[i]
            if form == "nested":
                rows.append((key, mask.tolist(), image.tolist()))
            else:
                both = ((a.tobytes(), list(a.shape), str(a.dtype)) for a in (mask, image))
                rows.append((key, *next(both), *next(both)))
        return spark.createDataFrame(rows, schema)

    return make


def found_masks(found):
    rows = sorted(found.collect(), key=lambda row: row["id"])
    masks = [np.frombuffer(row.issue_mask, bool).reshape(row.issue_mask_shape) for row in rows]
    return rows, masks


def assert_issues(found, masks, probs, method="softmin", **options):
    rows, made = found_masks(found)
    expected = core.find_label_issues(masks, probs, **options)
    np.testing.assert_array_equal(np.stack(made), expected)
    assert [row.num_pixel_issues for row in rows] == expected.sum(axis=(1, 2)).tolist()
    assert [row.pixel_issue_share for row in rows] == expected.mean(axis=(1, 2)).tolist()
    assert [row.is_label_issue for row in rows] == expected.any(axis=(1, 2)).tolist()
    how = options if method == "num_pixel_issues" else {}
    scores, _ = core.get_label_quality_scores(masks, probs, method=method, **how)
    assert [row.label_quality for row in rows] == scores.tolist()


@pytest.mark.parametrize(
    ("form", "n_partitions"),
    [("nested", 2), ("binary", 1), ("binary", 7)],
)
def test_issues_equal_core_however_the_table_is_split(table_of, form, n_partitions):
    masks, probs = data_set()
    table = table_of(masks, probs, form, "string").repartition(n_partitions)
    found = segmentation.find_issues(table)
    assert found.columns == [*table.columns, *found.columns[-6:]]
    assert_issues(found, masks, probs)


def test_what_is_fitted_is_that_of_core_and_its_cut_splits_pixels_that_tie(table_of):
    masks, probs = data_set()
    facts = [image_facts(mask, image) for mask, image in zip(masks, probs, strict=True)]
    fitted = segmentation.fit(table_of(masks, probs).repartition(7))
    assert fitted == fit_pixels(facts)
    assert 0 < fitted.n_taken < fitted.n_tied
    assert count_tied(facts[0].doubtful, fitted.cut) < fitted.n_taken  # more than one has a say


def test_issues_and_scores_on_64_partitions_and_tiny_batches(table_of, batch_size):
    masks, probs = data_set(40, np.float32, quantised=False, shape=(6, 4))
    batch_size(1)
    table = table_of(masks, probs).repartition(64)
    found = segmentation.find_issues(table, method="num_pixel_issues", downsample=2)
    assert_issues(found, masks, probs, method="num_pixel_issues", downsample=2)
    scored = segmentation.score(table, temperature=0.02).orderBy("id").collect()
    expected, _ = core.get_label_quality_scores(masks, probs, temperature=0.02)
    assert [row["label_quality"] for row in scored] == expected.tolist()


def test_a_model_takes_all_pixels_at_its_cut(table_of):
    masks, probs = data_set()
    other_masks, other_probs = data_set(3, seed=5)
    fitted = segmentation.fit(table_of(masks, probs))
    table = table_of(other_masks, other_probs)
    _, made = found_masks(segmentation.find_issues(table, fitted=fitted))
    shares = []
    for mask, image, found in zip(other_masks, other_probs, made, strict=True):
        low = self_confidence(mask, image) <= fitted.cut
        np.testing.assert_array_equal(found, low & (image.argmax(axis=0) != mask))
        shares.append(1.0 - found.mean())
    scored = segmentation.score(table, method="num_pixel_issues", fitted=fitted)
    assert [row["label_quality"] for row in scored.orderBy("id").collect()] == shares


def test_images_of_different_sizes_share_one_cut(table_of):
    parts = [data_set(2, shape=shape, seed=n) for n, shape in enumerate([(4, 6), (9, 3), (16, 2)])]
    masks = [mask for part, _ in parts for mask in part]
    probs = [image for _, part in parts for image in part]
    _, made = found_masks(segmentation.find_issues(table_of(masks, probs).repartition(3)))
    # The same pixels, in the same order, as one image of one row each.
    flat = np.concatenate([image.reshape(N_CLASSES, -1) for image in probs], axis=1)
    labels = np.concatenate([mask.reshape(-1) for mask in masks])
    expected = core.find_label_issues(labels[None, None], flat[None, :, None])
    assert [found.shape for found in made] == [mask.shape for mask in masks]
    np.testing.assert_array_equal(
        np.concatenate([found.reshape(-1) for found in made]), expected.reshape(-1)
    )


def test_the_summary_counts_pairs_and_classes(table_of):
    masks, probs = data_set()
    names = ["road", "sky", "tree", "car"]
    health = segmentation.summarize(
        table_of(masks, probs).repartition(3), classes=names, downsample=2
    )
    issues = core.find_label_issues(masks, probs, downsample=2)
    pairs = core.common_label_issues(issues, masks, probs, class_names=names)
    assert health.common_issues.to_numpy().tolist() == pairs.to_numpy().tolist()
    assert (health.n_images, health.n_pixels) == (len(masks), masks.size)
    assert health.n_pixel_issues == issues.sum()
    by_class = health.classes.set_index("class")
    for k, name in enumerate(names):
        row = by_class.loc[name]
        assert row["num_pixels"] == (masks == k).sum()
        assert row["num_pixel_issues"] == (issues & (masks == k)).sum()
        assert row["pixel_issue_share"] == (issues & (masks == k)).sum() / (masks == k).sum()
        assert row["num_predicted"] == (issues & (probs.argmax(axis=1) == k)).sum()
    assert (np.diff(health.classes["pixel_issue_share"]) <= 0).all()


def test_a_table_without_images_has_no_issues(table_of):
    empty = table_of(*data_set(1)).where("false")
    assert segmentation.fit(empty).cut is None
    assert segmentation.find_issues(empty).collect() == []
    assert segmentation.summarize(empty).n_pixel_issues == 0
    assert segmentation.validate(empty, id="id").collect() == []


def test_scores_are_lazy_and_null_for_images_that_are_not_fit(table_of):
    masks, probs = data_set(3)
    table = table_of(masks, probs).selectExpr(
        *("id", "label_mask_shape", "label_mask_dtype", "pred_probs_shape", "pred_probs_dtype"),
        "if(id = 1, cast(substring(label_mask, 2) as binary), label_mask) as label_mask",
        "if(id = 2, null, pred_probs) as pred_probs",
    )
    quality = [
        row["label_quality"]
        for row in segmentation.score(table, on_invalid="null").orderBy("id").collect()
    ]
    assert [value is None for value in quality] == [False, True, True]
    failing = segmentation.score(table)  # starts nothing that reads the images
    with pytest.raises(Exception, match="1 images with null pred_probs"):
        failing.where("id = 2").collect()
    for function in (segmentation.fit, segmentation.find_issues, segmentation.summarize):
        with pytest.raises(Exception, match=r"1 images with .*segmentation\.validate names"):
            function(table)


def with_ignored(masks, probs, share=0.3, label=255, seed=2):
    """Return masks with pixels to ignore, an image of nothing else, and probabilities of none."""
    left_out = np.random.default_rng(seed).random(masks.shape) < share
    left_out[4] = True
    return np.where(left_out, label, masks), np.where(left_out[:, None], np.nan, probs), left_out


@pytest.mark.parametrize(("form", "downsample"), [("binary", 1), ("binary", 2), ("nested", 1)])
def test_ignored_pixels_count_nowhere(table_of, form, downsample):
    masks, probs, left_out = with_ignored(*data_set())
    table, how = table_of(masks, probs, form), {"ignore_label": 255, "downsample": downsample}
    assert {
        row.invalid_reason for row in segmentation.validate(table, id="id", **how).collect()
    } == {None}
    rows, made = found_masks(segmentation.find_issues(table, **how))
    expected = core.find_label_issues(masks, probs, **how)
    np.testing.assert_array_equal(np.stack(made), expected)
    assert expected.any()
    counted = np.maximum((~left_out).sum(axis=(1, 2)), 1)
    shares = expected.sum(axis=(1, 2)) / counted
    assert [row.pixel_issue_share for row in rows] == shares.tolist()
    qualities, _ = core.get_label_quality_scores(masks, probs, ignore_label=255)
    assert [row.label_quality for row in rows] == qualities.tolist()
    assert qualities[4] == 1.0
    scored = segmentation.score(table, ignore_label=255).orderBy("id").collect()
    assert [row.label_quality for row in scored] == qualities.tolist()
    fitted = segmentation.fit(table, **how)
    facts = [image_facts(mask, image, **how) for mask, image in zip(masks, probs, strict=True)]
    assert fitted == fit_pixels(facts, downsample)
    by_model = segmentation.score(
        table, method="num_pixel_issues", fitted=fitted, ignore_label=255
    ).orderBy("id")
    found = segmentation.find_issues(
        table, method="num_pixel_issues", fitted=fitted, ignore_label=255
    ).orderBy("id")
    assert [row.label_quality for row in by_model.collect()] == [
        1.0 - row.pixel_issue_share for row in found.collect()
    ]
    health = segmentation.summarize(table, **how)
    assert health.n_pixels == (~left_out).sum()
    assert health.n_pixel_issues == expected.sum()
    by_class = health.classes.set_index("class")["num_pixels"]
    assert by_class.to_dict() == {k: (masks == k).sum() for k in range(N_CLASSES)}


def test_pixels_of_a_label_beyond_the_classes_are_named_unless_ignored(table_of):
    masks, probs, _ = with_ignored(*data_set(6), label=200)
    reasons = segmentation.validate(table_of(masks, np.nan_to_num(probs, nan=0.25))).collect()
    assert all("label out of range" in row.invalid_reason for row in reasons)
    with pytest.raises(OptionError, match=r"ignore_label must be a whole number or None, got 1\.5"):
        segmentation.find_issues(table_of(masks, probs), ignore_label=1.5)


def test_a_table_of_ignored_pixels_alone_has_no_issue(table_of):
    masks, probs = data_set(3)
    table = table_of(np.full_like(masks, 255), probs)
    rows, made = found_masks(segmentation.find_issues(table, ignore_label=255))
    assert not np.stack(made).any()
    assert [(row.pixel_issue_share, row.label_quality) for row in rows] == [(0.0, 1.0)] * 3
    assert segmentation.summarize(table, ignore_label=255).n_pixels == 0


@pytest.mark.parametrize(
    ("mask_type", "probs_type"), [("|u1", "<f4"), ("<i8", ">f8"), (">i4", "f4")]
)
def test_types_may_say_the_order_of_their_bytes(spark, mask_type, probs_type):
    masks, probs = data_set(3, dtype=np.dtype(probs_type).newbyteorder("="))
    rows = [
        (
            *(i, m.astype(mask_type).tobytes(), list(m.shape), mask_type),
            *(p.astype(probs_type).tobytes(), list(p.shape), probs_type),
        )
        for i, (m, p) in enumerate(zip(masks, probs, strict=True))
    ]
    assert_issues(
        segmentation.find_issues(spark.createDataFrame(rows, BINARY.format(id="int"))), masks, probs
    )


def test_masks_of_two_classes_may_be_truth_values(spark):
    masks, probs = data_set(3)
    masks, probs = masks % 2, np.stack([probs[:, :2].sum(axis=1), probs[:, 2:].sum(axis=1)], axis=1)
    rows = [
        (i, m.astype(bool).tobytes(), list(m.shape), "bool", p.tobytes(), list(p.shape), "float64")
        for i, (m, p) in enumerate(zip(masks, probs, strict=True))
    ]
    assert_issues(
        segmentation.find_issues(spark.createDataFrame(rows, BINARY.format(id="int"))), masks, probs
    )


@pytest.mark.parametrize("form", ["array<array<int>>", "array<array<double>>", "float64", "int16"])
def test_an_ignored_label_may_be_any_whole_number_of_any_type(spark, form):
    mask, probs = np.array([[0, -100], [1, 0]]), np.full((2, 2, 2), 0.5).tolist()
    if "<" in form:
        given = mask.astype(float if "double" in form else int).tolist()
        rows, columns = [(1, given, probs)], f"id int, label_mask {form}"
    else:
        rows = [(1, mask.astype(form).tobytes(), [2, 2], form, probs)]
        columns = "id int, label_mask binary, label_mask_shape array<int>, label_mask_dtype string"
    df = spark.createDataFrame(rows, f"{columns}, pred_probs array<array<array<double>>>")
    reasons = {
        ignored: segmentation.validate(df, ignore_label=ignored).first()["invalid_reason"]
        for ignored in (None, -1, -100)
    }
    out_of_range = "pixel (0, 1): label out of range"
    assert reasons == {None: out_of_range, -1: out_of_range, -100: None}


BYTES = {
    f"{name}{part}": kind
    for name in ("label_mask", "pred_probs")
    for part, kind in (("", "binary"), ("_shape", "array<int>"), ("_dtype", "string"))
}


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (
            {"label_mask_shape": None},
            "label_mask: column 'label_mask' is binary, so columns 'label_mask_shape' (array<int>)",
        ),
        ({"pred_probs_dtype": None}, "pred_probs: column 'pred_probs' is binary, so col"),
        (
            {"label_mask_shape": "string"},
            "label_mask: column 'label_mask_shape' is string; allowed are arrays of whole numbers",
        ),
        (
            {"pred_probs_dtype": "int"},
            "pred_probs: column 'pred_probs_dtype' is int; allowed is string",
        ),
    ],
    ids=str,
)
def test_bytes_without_their_shape_and_type_are_refused_before_a_job(unread, types, message):
    table = unread(id="int", **{name: kind for name, kind in (BYTES | types).items() if kind})
    for name in ("score", "validate", "fit", "find_issues", "summarize"):
        with pytest.raises(ColumnError) as error:
            getattr(segmentation, name)(table)
        assert str(error.value).startswith(message)


def test_the_number_of_classes_is_that_of_the_first_image(spark, by_id):
    probs = [[[0.75, 0.5]], [[0.25, 0.5]]]
    rows = [(1, [[0, 1]], probs), (2, [[0, 1]], [*probs, [[0.0, 0.0]]]), (3, [[0, 5]], probs)]
    schema = "id int, label_mask array<array<int>>, pred_probs array<array<array<double>>>"
    table = spark.createDataFrame(rows, schema).coalesce(1)
    found = by_id(segmentation.validate(table), "invalid_reason")
    assert found == by_id(segmentation.validate(table, n_classes=2), "invalid_reason")
    assert found[1] == "pred_probs of another number of classes"
    three = segmentation.validate(table.where("id = 2")).collect()
    assert [row["invalid_reason"] for row in three] == [None]

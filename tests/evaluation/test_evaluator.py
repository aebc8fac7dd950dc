import jax
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from gcn_jax.errors import UserError
from gcn_jax.evaluation import evaluate
from gcn_jax.inference import Predictor, large
from gcn_jax.mesh import data_mesh
from tests.helpers.fakes import (
    MEAN,
    NUM_CLASSES,
    STD,
    TinyModel,
    random_source,
    tiny_pretrained,
    tiny_variables,
    traced_shapes,
)

#: Eleven images of odd sizes in three buckets, so that the last batches are short.
SIZES = [(17, 31), (40, 60), (33, 64), (65, 33), (31, 1), (64, 64), (20, 30), (50, 40)]
SIZES += [(1, 1), (96, 64), (32, 32)]


def make_predictor(seed=0, batch_size=8, num_devices=8):
    mesh = data_mesh(jax.devices()[:num_devices])
    return Predictor(tiny_pretrained(seed), batch_size=batch_size, mesh=mesh)


def matrices_one_at_a_time(model, variables, source):
    """Return each image's confusion matrix: unbatched, unjitted, counted by scikit-learn."""
    bucket = {size: -(-size // 32) * 32 for size in range(1, 129)}
    mean, std = np.float32(MEAN), np.float32(STD)
    matrices = []
    for example in source:
        height, width = example["label"].shape
        padded = np.full((1, bucket[height], bucket[width], 3), [124, 116, 104])
        padded[0, :height, :width] = example["image"]
        logits = model.apply(variables, (padded.astype(np.float32) - mean) / std)
        prediction = np.asarray(logits[0]).argmax(-1)[:height, :width]
        valid = example["label"] != 255
        matrices.append(
            sklearn_confusion_matrix(
                example["label"][valid], prediction[valid], labels=range(NUM_CLASSES)
            )
        )
    return matrices


@pytest.mark.parametrize(("num_devices", "batch_size"), [(1, 4), (8, 8)])
def test_equals_an_independent_computation_for_each_image(num_devices, batch_size):
    source = random_source(SIZES)

    result = evaluate(make_predictor(0, batch_size, num_devices), source)

    matrices = matrices_one_at_a_time(TinyModel(), tiny_variables(), source)
    np.testing.assert_array_equal(result.scores.confusion_matrix, sum(matrices))
    assert result.scores.confusion_matrix.dtype == np.int64
    assert result.num_images == len(SIZES)
    assert [image.id for image in result.images] == [example["id"] for example in source]
    assert result.num_compiled_shapes == 3
    for image, matrix in zip(result.images, matrices, strict=True):
        expected = [matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)]
        np.testing.assert_array_equal(image.sums, expected)
        with np.errstate(invalid="ignore"):
            own = expected[0] / (expected[1] + expected[2] - expected[0])
        np.testing.assert_allclose(image.miou, np.nanmean(own) if matrix.sum() else np.nan)
        accuracy = np.trace(matrix) / matrix.sum() if matrix.sum() else np.nan
        np.testing.assert_allclose(image.pixel_accuracy, accuracy, rtol=1e-12)


def test_images_own_miou_leaves_absent_classes_out():
    source = random_source([(16, 16)], num_classes=2, void=0)
    result = evaluate(make_predictor(), source)
    iou = result.scores.per_class_iou
    assert result.images[0].miou == pytest.approx(np.nanmean(iou))


def test_new_variables_and_an_equal_model_compile_nothing():
    source = random_source([(20, 20), (40, 40)])
    first = evaluate(make_predictor(seed=0), source)
    traced = len(traced_shapes)
    second = evaluate(make_predictor(seed=1), source)
    # init of the second variables traces once, outside of evaluate, with a batch of one.
    assert [shape for shape in traced_shapes[traced:] if shape[0] == 8] == []
    assert (first.scores.confusion_matrix != second.scores.confusion_matrix).any()


def test_batch_size_is_rounded_up_to_the_devices():
    source = random_source([(20, 20)] * 3)
    predictor = make_predictor(batch_size=3)
    assert predictor.batch_size == 8
    assert evaluate(predictor, source).num_images == 3


def test_progress_counts_images():
    calls = []
    source = random_source([(20, 20)] * 10)
    evaluate(make_predictor(), source, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(8, 10), (10, 10)]


def test_predictions_are_handed_out_at_the_images_size_and_agree_with_the_matrices():
    source = random_source(SIZES)
    found = {}
    result = evaluate(
        make_predictor(),
        source,
        visit=lambda example, prediction: found.update({example["id"]: prediction}),
    )
    assert len(found) == len(source)
    for example, image in zip(source, result.images, strict=True):
        prediction, valid = found[example["id"]], example["label"] != 255
        truth, predicted = example["label"][valid], prediction[valid]
        pixels = truth[truth == predicted], truth, predicted
        expected = [np.bincount(classes, minlength=NUM_CLASSES) for classes in pixels]
        np.testing.assert_array_equal(image.sums, expected)


def test_void_image_counts_nowhere():
    source = random_source([(20, 20)] * 2)
    source[1]["label"][:] = 255
    result = evaluate(make_predictor(), source)
    assert result.scores.confusion_matrix.sum() == (source[0]["label"] != 255).sum()
    assert np.isnan([result.images[1].miou, result.images[1].pixel_accuracy]).all()


def broken(**changes):
    example = random_source([(20, 30)])[0] | changes
    return [{name: value for name, value in example.items() if value is not None}]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the source has no images"),
        (broken(label=None), "'example_00' has no label"),
        (broken(label=np.zeros((30, 20), np.uint8)), "30 x 20 pixels, but its label is 20 x 30"),
        (broken(label=np.full((20, 30), 5, np.uint8)), "'example_00': 600 of 600 .*found 5"),
    ],
)
def test_mistakes_of_the_user_are_named(source, message):
    with pytest.raises(UserError, match=message):
        evaluate(make_predictor(), source)


def test_large_images_are_scored_as_their_windows_are_predicted(monkeypatch):
    source = random_source([(40, 60), (64, 100), (30, 20)])
    by_index = {1: Predictor(tiny_pretrained()).predict_large(source[1]["image"])}
    monkeypatch.setattr(large, "WHOLE_PIXELS", 64 * 64)
    seen = {}
    result = evaluate(
        make_predictor(0, 2, 2),
        source,
        visit=lambda example, prediction: seen.update({example["id"]: prediction}),
    )
    np.testing.assert_array_equal(seen["example_01"], by_index[1])
    assert [image.id for image in result.images] == [f"example_0{i}" for i in range(3)]
    label = source[1]["label"]
    valid = label != 255
    expected = sklearn_confusion_matrix(label[valid], by_index[1][valid], labels=range(NUM_CLASSES))
    sums = [expected.diagonal(), expected.sum(axis=1), expected.sum(axis=0)]
    np.testing.assert_array_equal(result.images[1].sums, sums)
    assert result.scores.confusion_matrix.sum() == sum((e["label"] != 255).sum() for e in source)

"""Label files: round trip, damage, other people's files."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError, ShapeError
from offline.labels import LabelSet, append_labels, read_labels, sample_stiffnesses, write_labels
from offline.labels.snapshots import Snapshot
from offline.labels.store import SnapshotStore, seal


@pytest.fixture
def labels():
    c = sample_stiffnesses(6, [False, False], seed=1)
    return LabelSet(
        phase_stiffness=c,
        effective=0.7 * c[:, 0] + 0.3 * c[:, 1],
        error=np.linspace(0.0, 1e-3, 6),
        phase_names=("matrix", "fibre"),
        fractions=np.array([0.7, 0.3]),
        rve_hash="abc",
        seed=3,
        card={"method": "test"},
    )


def test_file_round_trip_is_exact(labels, tmp_path):
    labels.save(tmp_path / "a.h5")
    back = read_labels(tmp_path / "a.h5")
    for name in ("phase_stiffness", "effective", "error", "fractions"):
        assert np.array_equal(getattr(back, name), getattr(labels, name))
    for name in ("phase_names", "rve_hash", "seed", "card"):
        assert getattr(back, name) == getattr(labels, name)


def test_appended_labels_follow(labels, tmp_path):
    labels.save(tmp_path / "a.h5")
    both = append_labels(tmp_path / "a.h5", labels.subset([2, 4]))
    assert len(both) == len(read_labels(tmp_path / "a.h5")) == 8
    assert np.array_equal(both.effective[6:], labels.effective[[2, 4]])


def test_labels_of_another_cell_are_not_appended(labels, tmp_path):
    labels.save(tmp_path / "a.h5")
    with pytest.raises(ParameterError, match="belong to different cells"):
        append_labels(tmp_path / "a.h5", replace(labels, rve_hash="other"))
    assert len(read_labels(tmp_path / "a.h5")) == 6


def test_npz_of_a_user_is_read(labels, tmp_path):
    np.savez(
        tmp_path / "mine.npz",
        phase_stiffness=labels.phase_stiffness,
        effective=labels.effective,
        fractions=labels.fractions,
    )
    mine = read_labels(tmp_path / "mine.npz")
    assert mine.phase_names == ("phase0", "phase1")
    assert np.isnan(mine.error).all()
    assert np.array_equal(mine.effective, labels.effective)


def test_npz_without_fractions_is_refused(labels, tmp_path):
    np.savez(tmp_path / "mine.npz", phase_stiffness=labels.phase_stiffness, effective=1.0)
    with pytest.raises(FileFormatError, match=r"^mine\.npz: array 'fractions' is missing"):
        read_labels(tmp_path / "mine.npz")


def test_pickles_are_refused(tmp_path):
    objects = np.array([{}], dtype=object)
    np.savez(tmp_path / "bad.npz", phase_stiffness=objects, effective=objects, fractions=objects)
    with pytest.raises(FileFormatError, match=r"^bad\.npz: cannot be read as labels"):
        read_labels(tmp_path / "bad.npz")


def _drop_effective(file):
    del file["effective"]


def _drop_card(file):
    del file.attrs["card"]


def _other_format(file):
    file.attrs["format"] = "something"


def _newer(file):
    file.attrs["version"] = 99


def _bad_json(file):
    file.attrs["phase_names"] = "["


def _names_not_a_list(file):
    file.attrs["phase_names"] = json.dumps({"a": 1})


def _integers(file):
    del file["error"]
    file["error"] = np.zeros(6, dtype=int)


def _nan(file):
    file["effective"][0, 0, 0] = np.nan


def _indefinite(file):
    file["effective"][1] = -np.eye(6)


def _shape(file):
    del file["fractions"]
    file["fractions"] = np.array([0.5, 0.25, 0.25])


def _sum(file):
    file["fractions"][0] = 0.9


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop_effective, "dataset 'effective' is missing"),
        (_drop_card, "attribute 'card' is missing"),
        (_other_format, "format is 'something', expected 'matnet labels'"),
        (_newer, "version 99 is newer"),
        (_bad_json, "cannot be read as labels"),
        (_names_not_a_list, "attribute 'phase_names' is dict, expected list"),
        (_integers, "dataset 'error' holds 6 values of type int64"),
        (_nan, "effective: 1 of 216 values are not finite"),
        (_indefinite, "effective is not positive definite at label 1"),
        (_shape, r"fractions has shape \(3,\), expected \(2\)"),
        (_sum, "fractions are"),
    ],
)
def test_damaged_files_are_named(labels, tmp_path, damage, message):
    labels.save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        damage(file)
    seal(tmp_path / "a.h5")
    with pytest.raises(FileFormatError, match=rf"^a\.h5: .*{message}"):
        read_labels(tmp_path / "a.h5")


def test_truncated_and_foreign_files_are_named(labels, tmp_path):
    labels.save(tmp_path / "a.h5")
    whole = (tmp_path / "a.h5").read_bytes()
    for name, content in (
        ("cut.h5", whole[: len(whole) // 2]),
        ("no.h5", b"hello"),
        ("e.npz", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=rf"^{name}: cannot be read as labels"):
            read_labels(tmp_path / name)
    with pytest.raises(FileFormatError, match=r"^gone\.h5: cannot be read"):
        read_labels(tmp_path / "gone.h5")


def test_any_flipped_byte_of_the_data_is_noticed(labels, tmp_path):
    labels.save(tmp_path / "a.h5")
    whole = bytearray((tmp_path / "a.h5").read_bytes())
    rng = np.random.default_rng(0)
    for place in [*range(0, 80, 7), *rng.integers(512, len(whole), 40)]:
        mutated = whole.copy()
        mutated[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "b.h5").write_bytes(mutated)
        with pytest.raises(FileFormatError, match=r"^b\.h5: cannot be read as labels"):
            read_labels(tmp_path / "b.h5")


def test_nothing_is_left_when_writing_fails(labels, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="disk full"):
        write_labels(tmp_path / "a.h5", labels)
    assert not list(tmp_path.iterdir())


def test_snapshot_round_trip_and_damage(tmp_path):
    snapshot = Snapshot(
        index=4,
        effective=np.eye(6),
        error=1e-5,
        fields=np.arange(12, dtype=np.float32).reshape(2, 6),
        iterations=7,
        seconds=0.5,
    )
    store = SnapshotStore(tmp_path / "a.h5", {"n": 1})
    assert store.get(4) is None
    store.put(snapshot)
    back = SnapshotStore(tmp_path / "a.h5", {"n": 1}).get(4)
    assert back.error == 1e-5 and back.iterations == 7
    assert np.array_equal(back.fields, snapshot.fields) and back.fields.dtype == np.float32
    path = tmp_path / "a.h5.work" / "sample-000004.h5"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileFormatError, match=r"^sample-000004\.h5: cannot be read"):
        store.get(4)
    store.remove()
    assert not list(tmp_path.iterdir())


def test_split_holds_out_the_end_of_the_stream(labels):
    train, validation = labels.split(2)
    assert (len(train), len(validation)) == (4, 2)
    assert np.array_equal(validation.effective, labels.effective[4:])
    with pytest.raises(ParameterError, match="n_validation is 6, expected 1 to 5"):
        labels.split(6)


def test_contrast_ignores_void():
    c = np.stack([np.zeros((6, 6)), np.eye(6), 8.0 * np.eye(6)])[None]
    made = LabelSet(
        phase_stiffness=c,
        effective=np.eye(6)[None],
        phase_names=("void", "a", "b"),
        fractions=np.array([0.2, 0.3, 0.5]),
    )
    assert made.contrast == pytest.approx([8.0])
    assert "error unknown" in str(made)


def test_arrays_are_read_only(labels):
    with pytest.raises(ValueError, match="read-only"):
        labels.effective[0] = 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effective": np.zeros((0, 6, 6))}, "at least one label"),
        ({"effective": np.zeros((6, 6, 6))}, "effective of label 0 is zero"),
        ({"error": np.full(6, -1.0)}, "error holds negative"),
        ({"error": np.zeros(5)}, r"error has shape \(5,\)"),
        ({"effective": np.triu(np.ones((6, 6, 6)))}, "effective is not symmetric at label 0"),
    ],
)
def test_bad_arrays_are_named(labels, change, message):
    with pytest.raises((ParameterError, ShapeError), match=message):
        replace(labels, **change)


@pytest.mark.parametrize("given", [False, True])
def test_plot_labels_its_axes(labels, given):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = plt.figure().add_subplot() if given else None
    made = labels.plot(ax=ax, color="k")
    assert "estimated error" in made.get_ylabel()
    plt.close("all")


def test_a_missing_label_file_is_one_sentence(tmp_path):
    with pytest.raises(FileFormatError, match=r"^none.h5: cannot be read as labels \(No such file"):
        read_labels(tmp_path / "none.h5")

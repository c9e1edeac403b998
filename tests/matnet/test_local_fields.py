"""Fields in the base nodes: means, first-failure indicators, quantiles by volume."""

import matplotlib as mpl
import numpy as np
import pytest

from matnet import paths
from matnet.errors import ParameterError, ShapeError
from matnet.local_fields import LocalFields, weighted_quantiles
from matnet.mandel import SQRT2, to_mandel
from matnet.material import Material
from matnet.network import Network
from matnet.phases import J2, Damage, Elastic, Linear, Void
from matnet.point import drive

mpl.use("agg")

LAWS = {
    "matrix": J2(E=3.8, nu=0.387, hardening=Linear(sig_y=0.02, H=0.2)),
    "fibre": Elastic(E=20.0, nu=0.2),
}
PATH = paths.uniaxial_stress("11", 0.02, steps=4)


@pytest.fixture(scope="module")
def material():
    network = Network.random("dmn", 3, ("matrix", "fibre"), (0.4, 0.6), seed=3)
    return Material(network=network, phases=LAWS)


@pytest.fixture(scope="module")
def response(material):
    return drive(material, PATH, local=True)


def fields_of(stress, weights=None, **more):
    """One phase with these stresses."""
    n = len(stress)
    weights = np.full(n, 1.0 / n) if weights is None else weights
    arguments = {"strain": np.zeros((n, 6)), "phase_names": ("solid",), **more}
    return LocalFields(weights=weights, base_phase=np.zeros(n, int), stress=stress, **arguments)


def test_fields_are_those_of_the_solution(material, response):
    state = material.initial_state(1)
    for strain, fields in zip(response.strain[1:], response.local, strict=True):
        solution = material.solve(strain[None], 0.25, state)
        assert np.allclose(fields.stress, solution.base_stress[0], rtol=1e-7, atol=1e-12)
        assert np.allclose(fields.strain, solution.base_strain[0], rtol=1e-7, atol=1e-14)
        state = solution.state


def test_means_over_the_phases_add_up_to_the_point(material, response):
    for k, fields in enumerate(response.local, start=1):
        shares = fields.fractions
        assert shares == pytest.approx({"matrix": 0.4, "fibre": 0.6})
        for which, whole in enumerate((response.strain[k], response.stress[k])):
            total = sum(shares[phase] * fields.mean(phase)[which] for phase in shares)
            assert np.allclose(total, whole, rtol=1e-9, atol=1e-9 * np.abs(whole).max())
        for phase in shares:
            nodes = material.layout.nodes(phase)
            by_hand = np.average(fields.stress[nodes], axis=0, weights=fields.weights[nodes])
            assert np.allclose(fields.mean(phase)[1], by_hand, rtol=1e-12, atol=1e-15)
            strain, stress = response.phase(phase, "11")
            assert strain[k] == pytest.approx(fields.mean(phase)[0][0], rel=1e-12)
            assert stress[k] == pytest.approx(by_hand[0], rel=1e-12)


def test_state_variables_are_found_by_name(material, response):
    last = material.layout.phase(response.state[-1:], "matrix")[0]
    names = LAWS["matrix"].state_names
    fields = response.local[-1]
    matrix, fibre = fields.nodes("matrix"), fields.nodes("fibre")
    assert set(names) == set(fields.variables) and "p" in fields.quantities
    for column, name in enumerate(names):
        assert np.allclose(fields.scalar(name)[matrix], last[:, column], rtol=1e-9, atol=1e-15)
        assert np.isnan(fields.scalar(name)[fibre]).all()
    # on the yield surface, node by node
    flow = 0.02 + 0.2 * fields.scalar("p")[matrix]
    yielding = fields.scalar("p")[matrix] > 0.0
    assert yielding.sum() > 1
    assert np.allclose(fields.scalar("von_mises")[matrix][yielding], flow[yielding], rtol=1e-6)


def test_phases_with_other_laws_share_names_where_they_have_them():
    network = Network.random("imn", 2, ("a", "b"), (0.5, 0.5), seed=0)
    laws = {"a": LAWS["matrix"], "b": Damage(E=4.0, nu=0.3, kappa_0=1e-3, kappa_f=4e-3)}
    path = paths.uniaxial_strain("11", 0.004, steps=2)
    fields = drive(Material(network=network, phases=laws), path, local=True).local[-1]
    assert set(fields.variables) == {*laws["a"].state_names, *laws["b"].state_names}
    only_b = set(laws["b"].state_names) - set(laws["a"].state_names)
    assert only_b
    for row in fields.table():
        assert row.quantity not in only_b or row.phase == "b"


@pytest.mark.parametrize(
    ("tensor", "von_mises", "principal", "mean"),
    [
        (np.diag([2.0, 0.0, 0.0]), 2.0, 2.0, 2.0 / 3.0),
        (np.diag([-3.0, -3.0, -3.0]), 0.0, -3.0, -3.0),
        (np.diag([0.0, 1.0, -1.0]), np.sqrt(3.0), 1.0, 0.0),
        (2.0 * np.eye(3)[[1, 0, 2]] - 2.0 * np.diag([0, 0, 1.0]), 2.0 * np.sqrt(3.0), 2.0, 0.0),
        (np.diag([1.0, 2.0, 4.0]), np.sqrt(7.0), 4.0, 7.0 / 3.0),
    ],
)
def test_stress_indicators_have_their_closed_forms(tensor, von_mises, principal, mean):
    fields = fields_of(to_mandel(tensor)[None])
    assert fields.scalar("von_mises")[0] == pytest.approx(von_mises, abs=1e-14)
    assert fields.scalar("principal_stress")[0] == pytest.approx(principal)
    assert fields.scalar("mean_stress")[0] == pytest.approx(mean)


def test_von_mises_is_the_formula_in_components():
    tensors = np.random.default_rng(0).normal(size=(20, 3, 3))
    tensors += tensors.transpose(0, 2, 1)
    s11, s22, s33 = (tensors[:, i, i] for i in range(3))
    shear = tensors[:, 0, 1] ** 2 + tensors[:, 0, 2] ** 2 + tensors[:, 1, 2] ** 2
    square = 0.5 * ((s11 - s22) ** 2 + (s22 - s33) ** 2 + (s33 - s11) ** 2) + 3.0 * shear
    fields = fields_of(to_mandel(tensors))
    assert np.allclose(fields.scalar("von_mises"), np.sqrt(square), rtol=1e-13)
    assert np.allclose(fields.scalar("principal_stress"), np.linalg.eigvalsh(tensors)[:, -1])
    assert np.allclose(fields.scalar("s12"), tensors[:, 0, 1])


def test_equivalent_strain_is_that_of_uniaxial_plastic_flow():
    strain = np.array([[0.02, -0.01, -0.01, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, SQRT2 * 0.03, 0, 0]])
    fields = fields_of(np.zeros((2, 6)), strain=strain)
    assert fields.scalar("equivalent_strain") == pytest.approx([0.02, 0.03 * 2 / np.sqrt(3)])
    assert fields.scalar("e12") == pytest.approx([0.0, 0.03])


def test_quantiles_split_the_volume():
    stress = np.zeros((4, 6))
    stress[:, 0] = [4.0, 1.0, 3.0, 2.0]
    row = fields_of(stress, weights=[0.1, 0.2, 0.3, 0.4]).summary(
        "s11", "solid", (0.0, 0.2, 0.21, 0.6, 0.9, 0.91, 1.0)
    )
    assert row.quantiles == (1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0)
    assert row.mean == pytest.approx(0.4 + 0.2 + 0.9 + 0.8)
    assert (row.smallest, row.largest) == (1.0, 4.0)


def test_quantiles_agree_with_counting_for_random_weights():
    rng = np.random.default_rng(1)
    counts, values = rng.integers(1, 9, size=30), rng.normal(size=30)
    copies = np.sort(np.repeat(values, counts))  # every unit of volume counted
    shares = np.linspace(0.0, 1.0, 41)
    position = np.maximum(np.ceil(shares * len(copies) - 1e-9).astype(int) - 1, 0)
    assert np.array_equal(weighted_quantiles(values, counts / 1.0, shares), copies[position])


def test_table_has_a_row_for_each_phase_and_quantity(response):
    fields = response.local[-1]
    rows = {(row.phase, row.quantity): row for row in fields.table()}
    assert ("matrix", "p") in rows and ("fibre", "von_mises") in rows
    assert ("fibre", "p") not in rows
    for row in rows.values():
        assert row.smallest <= min(row.quantiles) and max(row.quantiles) <= row.largest
        assert row.smallest <= row.mean <= row.largest
    text = str(fields).splitlines()
    assert text[0].split() == [
        "phase", "quantity", "mean", "smallest", "5%", "50%", "95%", "max",
    ]  # fmt: skip
    assert len(text) == len(rows) + 1
    assert [row.quantity for row in fields.table(["s11"])] == ["s11", "s11"]


def test_a_void_carries_nothing():
    network = Network.random("imn", 2, ("void", "solid"), (0.5, 0.5), seed=0)
    material = Material(network=network, phases={"void": Void(), "solid": LAWS["matrix"]})
    fields = drive(material, paths.uniaxial_strain("11", 0.002, steps=1), local=True).local[-1]
    assert np.allclose(fields.mean("void")[1], 0.0)


def test_table_over_time_is_written_whole(tmp_path, response):
    response.local_to_csv(tmp_path / "l.csv", record={"matnet": "1"})
    lines = (tmp_path / "l.csv").read_text().splitlines()
    assert lines[:2] == ["# matnet: 1", "t,phase,quantity,mean,min,q05,q50,q95,max"]
    rows = [line.split(",") for line in lines[2:]]
    assert sorted({float(row[0]) for row in rows}) == [0.25, 0.5, 0.75, 1.0]
    mean = [float(row[3]) for row in rows if row[1:3] == ["matrix", "p"]]
    expected = [fields.summary("p", "matrix").mean for fields in response.local]
    assert mean == pytest.approx(expected, rel=1e-9) and np.all(np.diff(mean) > 0.0)
    with pytest.raises(ParameterError, match=r"has no local fields\. Ask for them"):
        drive(Material.homogeneous(LAWS["fibre"]), PATH).local_to_csv(tmp_path / "none.csv")


def test_bad_names_get_one_sentence(response):
    fields = response.local[-1]
    with pytest.raises(ParameterError, match="phase 'glue' is unknown, expected one of matrix, fi"):
        fields.mean("glue")
    for name in ("tresca", "s14", "", "s"):
        with pytest.raises(
            ParameterError, match=rf"quantity '{name}' is unknown, expected one of von_mises, .* p"
        ):
            fields.scalar(name)
    for shares in ([1.5], [-0.1], [float("nan")], 0.5):
        with pytest.raises(ParameterError, match="expected a list of shares from 0"):
            fields.summary("s11", "fibre", shares)
    with pytest.raises(ParameterError, match="phase 'glue' is unknown, the response has matrix"):
        response.phase("glue", "11")
    with pytest.raises(ShapeError, match=r"strain has shape \(2, 6\), expected \(3, 6\)"):
        fields_of(np.zeros((3, 6)), strain=np.zeros((2, 6)))
    with pytest.raises(ShapeError, match=r"variables\['p'\] has shape \(1,\), expected \(3\)"):
        fields_of(np.zeros((3, 6)), variables={"p": [1.0]})


def test_fields_are_read_only(response):
    with pytest.raises(ValueError, match="read-only"):
        response.local[0].stress[0] = 1.0


@pytest.mark.parametrize(
    ("quantity", "label", "phases"),
    [
        ("von_mises", "von Mises stress [GPa]", ["matrix", "fibre"]),
        ("equivalent_strain", "equivalent strain [-]", ["matrix", "fibre"]),
        ("s11", r"stress $\sigma_{11}$ [GPa]", ["matrix", "fibre"]),
        ("e23", r"strain $\varepsilon_{23}$ [-]", ["matrix", "fibre"]),
        ("p", "internal variable p", ["matrix"]),
    ],
)
def test_plot_is_the_distribution_of_each_phase(response, quantity, label, phases):
    from matplotlib import pyplot

    fields, given = response.local[-1], pyplot.subplots()[1]
    assert fields.plot(given, quantity=quantity, unit="GPa") is given
    assert given.get_xlabel() == label
    assert [line.get_label() for line in given.lines] == phases
    for phase, line in zip(phases, given.lines, strict=True):
        x, y = line.get_data()
        row = fields.summary(quantity, phase)
        assert (x[0], x[-1]) == pytest.approx((row.smallest, row.largest))
        assert y[0] == 0.0 and y[-1] == pytest.approx(1.0)
        assert np.sum(np.diff(y) * x[1:]) == pytest.approx(row.mean)  # area above the curve
    made = fields.plot(quantity=quantity)
    assert made is not given
    pyplot.close("all")

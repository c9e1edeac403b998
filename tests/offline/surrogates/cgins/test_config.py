"""Configurations of CGiNS networks and their text form."""

import pytest

from matnet.errors import FileFormatError, ParameterError
from offline.surrogates.cgins.config import CGiNSConfig


def test_config_survives_json():
    config = CGiNSConfig(
        net="modes", levels=3, channels=20, soft=None, constraint="anchor", periodic=False
    )
    assert CGiNSConfig.from_json(config.to_json()) == config


def test_widths_grow_and_grids_count_levels_and_halvings():
    config = CGiNSConfig(levels=3, channels=10, growth=2.0, depth=2)
    assert [config.width(level) for level in range(4)] == [10, 20, 40, 80]
    assert config.n_grids == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"levels": 4}, "levels is 4, expected a whole number from 1 to 3."),
        ({"depth": 2.0}, "depth is 2.0, expected a whole number from 1 to 4."),
        ({"soft": 0.9}, "soft is 0.9, expected a number from 1e-12 to 0.5."),
        ({"growth": float("nan")}, "growth is nan, expected a number from 1 to 4."),
        ({"net": "fno"}, "net is 'fno', expected one of direct, modes."),
        ({"constraint": "sum"}, "constraint is 'sum', expected one of mean, anchor."),
        ({"periodic": 1}, "periodic is 1, expected true or false."),
    ],
)
def test_values_out_of_range_are_named(values, message):
    with pytest.raises(ParameterError) as refused:
        CGiNSConfig(**values)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "CGiNS configuration is not JSON"),
        ("[1]", "CGiNS configuration is list, expected a JSON object."),
        ('{"lanes": 3, "arms": 2}', "CGiNS configuration has unknown parameters arms, lanes."),
    ],
)
def test_foreign_text_is_refused(text, message):
    with pytest.raises(FileFormatError) as refused:
        CGiNSConfig.from_json(text)
    assert str(refused.value).startswith(message)

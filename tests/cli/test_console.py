"""Tables on stdout."""

from matnet.cli.console import print_table


def test_table_in_a_pipe_is_as_wide_as_it_needs_to_be(capsys):
    columns = [f"column {i} with a long name" for i in range(8)]
    print_table("wide", columns, [[f"value {i}, also not short" for i in range(8)]])
    lines = capsys.readouterr().out.splitlines()
    assert all(any(name in line for line in lines) for name in columns)
    (row,) = [line for line in lines if "value 0" in line]
    assert row.count("also not short") == 8

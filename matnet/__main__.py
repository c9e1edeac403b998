"""``python -m matnet`` is the `matnet` command."""

from matnet.cli import main

main()

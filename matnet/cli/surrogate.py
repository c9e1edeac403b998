"""`matnet surrogate`: train and use neural networks that predict displacements of cells."""

from __future__ import annotations

import click

from matnet.cli.verbs import Verbs

VERBS = {
    "train": ("matnet.cli.surrogate_train", "Train a surrogate on a family of cells."),
    "evaluate": ("matnet.cli.surrogate_evaluate", "Judge trained weights on unseen cells."),
    "compare": ("matnet.cli.surrogate_compare", "Trained weights side by side on unseen cells."),
    "predict": ("matnet.cli.surrogate_predict", "Effective stiffness of a cell by the network."),
}


@click.command("surrogate", cls=Verbs, verbs=VERBS)
def command() -> None:
    """Train and use neural surrogates of the effective stiffness."""

"""The notebook of the journey: real data, a real model, a real drawing, and an added package."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "digits.ipynb"
PACKAGE = "cowsay==6.1"

TRAIN = """\
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

images, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(images / 16, labels, random_state=0)
model = LogisticRegression(max_iter=500).fit(train_x, train_y)
score = model.score(test_x, test_y)
print(f"accuracy {score:.3f}")
assert score > 0.9
"""
DRAW = """\
%matplotlib inline
ConfusionMatrixDisplay.from_estimator(model, test_x, test_y);
"""
ADD = f"%pip install --quiet --disable-pip-version-check {PACKAGE}"
USE = 'import cowsay\nprint("added:", cowsay.get_output_string("cow", "all cells ran"))'


def digits() -> str:
    """The notebook as it would lie on disk, without outputs."""
    cells = [new_markdown_cell("# Digits"), *map(new_code_cell, (TRAIN, DRAW, ADD, USE))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return str(nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})))

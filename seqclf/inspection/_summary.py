"""`ModelSummary`: the description of a fitted model as tables, for a terminal and for a notebook."""

from dataclasses import dataclass
from html import escape

from seqclf.inspection._layers import Layer

_HEADER = ("layer", "settings", "output shape", "weights")
# Numbers are aligned at the right, as in the table for a terminal.
_LEFT, _RIGHT = 'style="text-align: left"', 'style="text-align: right"'


@dataclass(frozen=True)
class ModelSummary:
    """What a fitted model consists of. It prints as a table, and a notebook shows it as an HTML table.

    Attributes
    ----------
    title : str
        The class of the estimator, and the kind of its targets.
    layers : tuple of Layer
        The layers of the network: `name`, `settings`, `output_shape` for one sequence, and `n_weights`.
    facts : dict of str to str
        Descriptions of the inputs, the targets, the linear model and the training, by name.
    """

    title: str
    layers: tuple[Layer, ...]
    facts: dict[str, str]

    @property
    def n_parameters(self) -> int:
        """The number of trained weights of the network."""
        return sum(layer.n_weights for layer in self.layers)

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (layer.name, layer.settings, _shape(layer.output_shape), f"{layer.n_weights:,}") for layer in self.layers
        ]

    def _total(self) -> tuple[str, ...]:
        return ("total", "", "", f"{self.n_parameters:,}")

    def __str__(self) -> str:
        table = [_HEADER, *self._rows(), self._total()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]

        def line(row: tuple[str, ...]) -> str:
            cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
            return "  ".join([*cells, row[-1].rjust(widths[-1])])

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        width = max(map(len, self.facts), default=0)
        facts = [f"{name.ljust(width)}  {text}" for name, text in self.facts.items()]
        layers = [line(_HEADER), rule, *map(line, self._rows()), rule, line(self._total())]
        return "\n".join([self.title, "", *layers, "", *facts])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The tables in HTML, without colours, so that they suit light and dark notebooks."""

        def line(row: tuple[str, ...], tag: str) -> str:
            cells = [f"<{tag} {_LEFT}>{escape(cell)}</{tag}>" for cell in row[:-1]]
            return f"<tr>{''.join(cells)}<{tag} {_RIGHT}>{escape(row[-1])}</{tag}></tr>"

        body = "".join(line(row, "td") for row in self._rows())
        facts = "".join(
            f"<tr><th {_LEFT}>{escape(name)}</th><td {_LEFT}>{escape(text)}</td></tr>"
            for name, text in self.facts.items()
        )
        return (
            f"<div><p><strong>{escape(self.title)}</strong></p>"
            f"<table><thead>{line(_HEADER, 'th')}</thead><tbody>{body}</tbody>"
            f"<tfoot>{line(self._total(), 'th')}</tfoot></table>"
            f"<table><tbody>{facts}</tbody></table></div>"
        )


def _shape(shape: tuple[str | int, ...]) -> str:
    sizes = [size if isinstance(size, str) else f"{size}" for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"

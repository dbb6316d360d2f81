"""Why a call was not recorded, and the line of the program that is to blame."""

from __future__ import annotations

import linecache

Place = tuple[str, int, str]  # file, line, function


def _shown(place: Place | None) -> str:
    """A line of the program as a traceback shows it."""
    if place is None:
        return ""
    name, line, function = place
    code = linecache.getline(name, line).strip()
    text = f'\n\nfrom user code:\n   File "{name}", line {line}, in {function}'
    return text + (f"\n    {code}" if code else "")


def explain_branch(place: Place) -> str:
    """The text of the error where a tensor's value decides what runs, although one graph was asked for."""
    return (
        "Data-dependent branching\n"
        "  Explanation: Detected data-dependent branching (e.g. `if my_tensor.sum() > 0:`): the value of a "
        "tensor decides what runs.\n"
        "  Hint: Use `torch.where` or `torch.cond`. Without fullgraph=True each way is recorded on its own."
        + _shown(place)
    )


class Problem(str):
    """Why a call was not recorded.

    ``kind`` is PyTorch's name for it where PyTorch breaks its graph too, ``place`` the line of the program.
    """

    kind: str | None = None
    place: Place | None = None

    def __new__(cls, text: str, kind: str | None = None, place: Place | None = None) -> Problem:
        self = super().__new__(cls, text)
        self.kind, self.place = kind, place
        return self

    def explain(self) -> str:
        """The text of the error, where a graph was asked for."""
        return (
            f"{self.kind}\n  Explanation: this call cannot be recorded, because {self}\n"
            "  Hint: Take it out of the compiled function. Without fullgraph=True the call runs eagerly."
            + _shown(self.place)
        )

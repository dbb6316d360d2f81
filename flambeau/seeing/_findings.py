"""What an examination found, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field

_MARKS = {"error": "✗", "warning": "!", "note": "·"}


@dataclass
class Finding:
    """One thing the doctor saw."""

    kind: str  # a short constant such as "unused parameter"
    severity: str  # "error", "warning" or "note"
    where: str  # path of the module or name of the parameter; "" for the whole
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        text = f"{_MARKS[self.severity]} {self.kind}{place}: {self.message}"
        return f"{text}\n    {self.remedy}" if self.remedy else text


@dataclass
class Checkup:
    """The findings, the worst first, and the loss and gradient sizes of the examined step."""

    findings: list[Finding] = field(default_factory=list)
    loss: float | None = None
    gradients: dict[str, float] = field(default_factory=dict)  # parameter -> root mean square of its gradient

    @property
    def healthy(self) -> bool:
        """Whether there are no errors and no warnings."""
        return all(finding.severity == "note" for finding in self.findings)

    def add(self, kind: str, severity: str, where: str, message: str, remedy: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, severity, where, message, remedy))

    def kinds(self) -> set[str]:
        """The kinds of the findings."""
        return {finding.kind for finding in self.findings}

    def __repr__(self) -> str:
        counts = [f"{sum(f.severity == s for f in self.findings)} {s}s" for s in _MARKS]
        return f"Checkup({', '.join(counts)})"

    def __str__(self) -> str:
        lines = []
        if self.loss is not None:
            lines.append(f"loss {self.loss:.6g}")
        if sizes := sorted((size, name) for name, size in self.gradients.items()):
            (low, least), (high, most) = sizes[0], sizes[-1]
            lines.append(f"gradients (root mean square) from {low:.2g} ({least}) to {high:.2g} ({most})")
        lines += [str(finding) for finding in self.findings]
        if self.healthy:
            lines.append("✓ nothing is wrong with this training step")
        return "\n".join(lines)

"""What the demo shows: with rich where it is installed, in plain text where not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Screen:
    """Text, a progress bar and tables on the terminal."""

    def __init__(self) -> None:
        self.console: Any = None
        with contextlib.suppress(ImportError):
            from rich.console import Console

            self.console = Console(highlight=False)

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line, in colours where the screen has them."""
        if self.console is not None:
            self.console.print(text, style=style, markup=False)
        else:
            print(text, flush=True)

    @contextlib.contextmanager
    def progress(self, total: int, done: int) -> Iterator[Callable[[int, str], None]]:
        """A bar; gives the function (steps done, what to say beside it)."""
        if self.console is None or not self.console.is_terminal:
            yield self._plain_progress(total)
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(40),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task("", total=total, completed=done)
            yield lambda step, text: bar.update(task, completed=step, description=text)

    def _plain_progress(self, total: int) -> Callable[[int, str], None]:
        shown = -1

        def show(step: int, text: str) -> None:
            nonlocal shown
            tenth = 10 * step // total
            if tenth != shown:
                shown = tenth
                print(f"{step:6d} of {total}  {text}", file=sys.stdout, flush=True)

        return show

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; all columns but the first are numbers."""
        if self.console is not None:
            from rich.table import Table

            table = Table(title=title, title_justify="left")
            for k, name in enumerate(head):
                table.add_column(name, justify="right" if k else "left")
            for row in rows:
                table.add_row(*row)
            self.console.print(table)
            return
        widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
        print(title)
        for row in (head, *rows):
            print(
                "  ".join(
                    f"{cell:>{w}}" if k else f"{cell:<{w}}" for k, (cell, w) in enumerate(zip(row, widths))
                )
            )

"""What functions and classes declare, also where an annotation names what is not there.

Python 3.14 evaluates annotations when somebody asks for them: a name that is imported for type checkers alone
is no error until then, and whoever only wants the names of parameters must not meet it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["annotations_of", "copy_annotations", "signature_of"]

if sys.version_info >= (3, 14):
    from annotationlib import Format, ForwardRef, get_annotations

    def _stated(annotation: Any) -> Any:
        """Of what cannot be evaluated the text, as annotations of postponed evaluation are."""
        return annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation

    def signature_of(function: Callable) -> inspect.Signature:
        """`inspect.signature`, with the text of annotations that cannot be evaluated."""
        try:
            return inspect.signature(function)
        except NameError:
            found = inspect.signature(function, annotation_format=Format.FORWARDREF)
        parameters = [p.replace(annotation=_stated(p.annotation)) for p in found.parameters.values()]
        return found.replace(parameters=parameters, return_annotation=_stated(found.return_annotation))

    def annotations_of(of: Any) -> dict[str, Any]:
        """The object's own annotations, with the text of those that cannot be evaluated."""
        if not callable(of):
            return {}
        return {k: _stated(v) for k, v in get_annotations(of, format=Format.FORWARDREF).items()}

    def copy_annotations(source: Callable, target: Callable) -> None:
        """Let a function have the annotations of another, evaluated no earlier than there."""
        target.__annotate__ = source.__annotate__
        if source.__annotate__ is None:  # set by hand
            target.__annotations__ = source.__annotations__

else:
    signature_of = inspect.signature

    def annotations_of(of: Any) -> dict[str, Any]:
        """The object's own annotations."""
        return dict(getattr(of, "__annotations__", None) or {})

    def copy_annotations(source: Callable, target: Callable) -> None:
        """Let a function have the annotations of another."""
        target.__annotations__ = source.__annotations__

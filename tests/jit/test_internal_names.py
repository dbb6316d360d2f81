"""The private module from which packages take decorators of TorchScript."""

import pytest

import flambeau as fb
from flambeau import _jit_internal as internal


def test_decorators_leave_functions_as_they_are():
    class M(fb.nn.Module):
        @internal._copy_to_script_wrapper
        def extra(self):
            return 3

        @internal.export
        def other(self):
            return 4

    assert M().extra() == 3 and M().other() == 4
    assert internal.get_torchscript_modifier(M.extra) == internal.FunctionModifiers.COPY_TO_SCRIPT_WRAPPER
    assert internal.get_torchscript_modifier(M.other) == internal.FunctionModifiers.EXPORT
    assert internal.get_torchscript_modifier(3) is None and internal.ignore(M) is M
    assert internal._isinstance([1], list[int]) and not internal.is_scripting()


def test_boolean_dispatch():
    def two(x, pair=True):
        """Two of them."""
        return x, x

    def one(x, pair=False):
        return x

    f = internal.boolean_dispatch("pair", 1, False, two, one, "m", "f")
    assert f(1) == 1 and f(1, True) == (1, 1) and f(1, pair=True) == (1, 1) and f(1, False) == 1
    assert f.__doc__ == "Two of them." and f.__name__ == "f" and f.__module__ == "m"
    one.__doc__ = "One."
    with pytest.raises(RuntimeError, match="only one function can have a docstring"):
        internal.boolean_dispatch("pair", 1, False, two, one, None, None)


def test_no_types_are_kept_of_scripted_classes():
    assert fb.jit._recursive.concrete_type_store.type_store.pop(fb.nn.Linear, None) is None

"""Stands in a package for modules that were left out. This file is copied into packages: it needs nothing."""

_magic_methods = (
    "abs add and bool bytes call ceil complex contains copy deepcopy delattr delitem dir div divmod enter eq "
    "exit float floor floordiv ge getattr getitem getstate gt hash hex iadd iand idiv ifloordiv ilshift imod "
    "imul index instancecheck int invert ior ipow irshift isub iter itruediv ixor le len long lshift lt mod "
    "mul ne neg nonzero oct or pos pow rand rdivmod reduce reversed rmul round rrshift rshift setattr "
    "setitem sizeof sub subclasscheck truediv trunc unicode xor"
)


class MockedObject:
    """Any name of a module that was left out: it can be imported and passed on, and nothing else."""

    def __new__(cls, *args, **kwargs):
        # without the flag it is Python, deriving a class from a stand-in, or a pickle that holds one
        if not kwargs.get("_suppress_err"):
            bases = args[1] if len(args) == 3 and isinstance(args[1], tuple) else ()
            name = bases[0]._name if bases else cls.__name__
            raise NotImplementedError(
                f"Object '{name}' was mocked out during packaging but it is being used in '__new__'. If this "
                "error is happening during 'load_pickle', please ensure that your pickled object doesn't "
                "contain any mocked objects."
            )
        return super().__new__(cls)

    def __init__(self, name: str, _suppress_err: bool):
        self.__dict__["_name"] = name

    def __repr__(self):
        return f"MockedObject({self._name})"


def _refusing(name: str):
    def method(self: MockedObject, *args, **kwargs):
        raise NotImplementedError(
            f"Object '{self._name}' was mocked out during packaging but it is being used in {name}"
        )

    return method


for _word in _magic_methods.split():
    setattr(MockedObject, f"__{_word}__", _refusing(f"__{_word}__"))

"""Running a module on stand-ins."""

from __future__ import annotations

import builtins
import copy
import functools
import inspect
import math
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import flambeau as fb
from flambeau import _C, nn
from flambeau._annotations import annotations_of, copy_annotations, signature_of
from flambeau.classes import ScriptObject  # noqa: F401
from flambeau.fx import graph_module
from flambeau.fx._codegen import _PyTreeCodeGen, _PyTreeInfo
from flambeau.fx._compatibility import compatibility  # noqa: F401
from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import base_types, has_side_effect
from flambeau.fx.proxy import ParameterProxy, Proxy, Scope, ScopeContextManager, TracerBase, _signatures
from flambeau.utils import _pytree as pytree

_wrapped_fns_to_patch: dict[tuple[int, str], dict] = {}
_wrapped_methods_to_patch: list[tuple[type, str]] = []
_tracing = 0


def is_fx_tracing() -> bool:
    """Whether a module is being traced."""
    return _tracing > 0


is_fx_symbolic_tracing = is_fx_tracing


class PHBase:
    """Stands in ``concrete_args`` for a value that is not given."""

    def __repr__(self) -> str:
        return "PH"


PH = PHBase()


class PHWithMeta(PHBase):
    """A :class:`PHBase` whose attributes go to the placeholder's ``meta``."""

    def __init__(self, ph_key: str | None = None) -> None:
        super().__init__()
        self.ph_key = ph_key


class ProxyableClassMeta(type):
    """Metaclass of classes that can be made inside a traced forward: making one of stand-ins is recorded."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if (proxy := _find_proxy(args, kwargs)) is not None:
            return proxy.tracer.create_proxy("call_function", cls, args, kwargs)
        return super().__call__(*args, **kwargs)


@has_side_effect
def _assert_is_none(value: Any, msg: str) -> None:
    if value is not None:
        raise AssertionError(msg)


def _find_proxy(*values: Any) -> Proxy | None:
    for value in values:
        if isinstance(value, Proxy):
            return value
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        )
        if (found := _find_proxy(*inner)) is not None:
            return found
        if (
            isinstance(value, slice)
            and (found := _find_proxy(value.start, value.stop, value.step)) is not None
        ):
            return found
    return None


def _create_wrapped_func(orig_fn: Callable) -> Callable:
    """A function that is recorded when it is called with a stand-in."""

    @functools.wraps(orig_fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return orig_fn(*args, **kwargs)
        made = proxy.tracer.create_proxy("call_function", orig_fn, args, kwargs)
        made.node.meta["is_wrapped"] = True
        return made

    return wrapped


def _create_wrapped_method(cls: type, name: str) -> Callable:
    orig_fn = getattr(cls, name)

    @functools.wraps(orig_fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return orig_fn(*args, **kwargs)
        return proxy.tracer.create_proxy("call_method", name, args, kwargs)

    return wrapped


@functools.cache
def _functional_wrapper(function: Callable) -> Callable:
    """A function of nn.functional that is recorded as one call, like an operator."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if _find_proxy(args, kwargs) is None:
            return function(*args, **kwargs)
        return Proxy.__torch_function__(function, (), args, kwargs)

    return wrapped


def wrap(fn_or_name: str | Callable) -> str | Callable:
    """Record calls of a function of this module as they are, instead of looking into it.

    Call it at the top level of a module with the function or its name, or use it as a decorator.

    Raises
    ------
    RuntimeError
        For something else.
    NotImplementedError
        If it is not called at the top level.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    frame = sys._getframe(1)
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    _wrapped_fns_to_patch[(id(frame.f_globals), name)] = frame.f_globals
    return fn_or_name


_orig_module_call = nn.Module.__call__
_orig_module_getattr = nn.Module.__getattr__


class _Patcher:
    """Replaces entries of dictionaries and attributes of classes, and puts them back.

    What is there already, of another patcher, is replaced again only without `deduplicate`.
    """

    _open = 0

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._seen: set[int] = set()

    def patch(
        self, frame_dict: dict[str, Any], name: str, new_fn: Callable, deduplicate: bool = True
    ) -> None:
        """Replace ``frame_dict[name]``; a builtin gets an entry of its own."""
        new_fn._fx_patched = deduplicate
        if name in frame_dict:
            old = frame_dict[name]
            if getattr(old, "_fx_patched", False):
                return
            self._undo.append(lambda: frame_dict.__setitem__(name, old))
        else:
            self._undo.append(lambda: frame_dict.pop(name, None))
        frame_dict[name] = new_fn

    def patch_method(self, cls: type, name: str, new_fn: Callable, deduplicate: bool = True) -> None:
        """Replace an attribute of a class."""
        new_fn._fx_patched = deduplicate
        if getattr(getattr(cls, name), "_fx_patched", False):
            return
        if name in vars(cls):
            old = vars(cls)[name]
            self._undo.append(lambda: setattr(cls, name, old))
        else:
            self._undo.append(lambda: delattr(cls, name))
        setattr(cls, name, new_fn)

    def visit_once(self, thing: Any) -> bool:
        """Whether this is the first time."""
        first = id(thing) not in self._seen
        self._seen.add(id(thing))
        return first

    def __enter__(self) -> _Patcher:
        _Patcher._open += 1
        return self

    def __exit__(self, *exception: object) -> None:
        while self._undo:
            self._undo.pop()()
        _Patcher._open -= 1
        if not _Patcher._open:
            _fast_members_again(_C.ModuleBase)


def _fast_members_again(kind: type) -> None:
    """Patching ``__getattr__`` made attribute access of all modules slow; give them the quick one again."""
    for sub in kind.__subclasses__():
        behind = sub.__mro__[sub.__mro__.index(_C.ModuleBase) + 1 :]
        if all("__init_subclass__" not in vars(c) for c in behind[:-1]):  # nobody else's may run twice
            vars(_C.ModuleBase)["__init_subclass__"].__get__(None, sub)()
        _fast_members_again(sub)


def _patch_wrapped_functions(patcher: _Patcher) -> None:
    """Replace what `wrap` named by functions that record themselves."""
    for (_, name), where in _wrapped_fns_to_patch.copy().items():
        original = where.get(name, getattr(builtins, name, None))
        if original is None:
            raise NameError(f"torch.fx.wrap: there is no function {name!r}")
        patcher.patch(where, name, _create_wrapped_func(original))
    for cls, name in _wrapped_methods_to_patch:
        patcher.patch_method(cls, name, _create_wrapped_method(cls, name))


def _autowrap_check(patcher: _Patcher, frame_dict: dict[str, Any], function_ids: set[int]) -> None:
    """Replace the functions in a module's globals that are to be recorded as they are."""
    if not patcher.visit_once(frame_dict):
        return
    functional = _signatures()
    for name, value in list(frame_dict.items()):
        if (name.startswith("_") and id(value) not in function_ids) or not callable(value):
            continue
        if id(value) in function_ids:
            patcher.patch(frame_dict, name, _create_wrapped_func(value))
        elif id(value) in functional and functional[id(value)][1] is value:
            patcher.patch(frame_dict, name, _functional_wrapper(value))


class Tracer(TracerBase):
    """Makes a graph of a module or function; override its methods to trace another way.

    Parameters
    ----------
    autowrap_modules : tuple of modules
        Their functions are recorded when they are called with stand-ins.
    autowrap_functions : tuple of functions
        These are too.
    param_shapes_constant : bool
        Whether shapes of parameters are numbers, not nodes.
    """

    def __init__(
        self,
        autowrap_modules: tuple[ModuleType, ...] = (math,),
        autowrap_functions: tuple[Callable, ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        super().__init__()
        chosen = [
            v for m in autowrap_modules for n, v in vars(m).items() if not n.startswith("_") and callable(v)
        ]
        self._autowrap_function_ids = {id(f) for f in [*chosen, *autowrap_functions]}
        self._autowrap_search = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.root_module_name = ""
        self.submodule_paths: dict[nn.Module, str] | None = None
        self.scope = Scope("", None)
        self.module_stack = OrderedDict()
        self.num_calls: dict[str, int] = {}
        self.node_name_to_scope = {}

    # ------------------------------------------------------------------ to be overridden
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a call of the module is one node: those of ``torch.nn`` except Sequential."""
        home = m.__module__
        return home.startswith(("flambeau.nn.", "torch.nn.")) and not isinstance(m, nn.Sequential)

    def path_of_module(self, mod: nn.Module) -> str:
        """The name of a module below the root; NameError if it is not there."""
        if self.submodule_paths is not None:
            path = self.submodule_paths.get(mod)
        else:
            path = next((n for n, m in self.root.named_modules() if m is mod), None)
        if path is None:
            raise NameError("module is not installed as a submodule")
        return path

    def call_module(
        self, m: nn.Module, forward: Callable, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What a call of a module gives: a node, or what its ``forward`` gives on stand-ins."""
        path = self.path_of_module(m)
        with ScopeContextManager(self.scope, Scope(path, type(m))):
            calls = self.num_calls.get(path, 0)
            self.num_calls[path] = calls + 1
            key = f"{path}@{calls}" if calls else path
            self.module_stack[key] = (path, type(m))
            try:
                if not self.is_leaf_module(m, path):
                    return forward(*args, **kwargs)
                return self.create_proxy("call_module", path, args, kwargs)
            finally:
                del self.module_stack[key]

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Proxy]) -> Any:
        """What reading a parameter, buffer or child of a module gives: stand-ins of parameters."""
        if isinstance(attr_val, nn.Parameter):
            return self._member_proxy(self.root.named_parameters(), attr_val, parameter_proxy_cache)
        if self.proxy_buffer_attributes and isinstance(attr_val, fb.Tensor):
            return self._member_proxy(self.root.named_buffers(), attr_val, parameter_proxy_cache)
        return attr_val

    def _member_proxy(self, members: Iterator, value: Any, cache: dict[str, Proxy]) -> Any:
        for name, member in members:
            if member is value:
                if name not in cache:
                    constant = self.param_shapes_constant and isinstance(value, nn.Parameter)
                    factory = (
                        (lambda node, name=name: ParameterProxy(self, node, name, value))
                        if constant
                        else None
                    )
                    cache[name] = self.create_proxy("get_attr", name, (), {}, proxy_factory_fn=factory)
                return cache[name]
        return value

    def create_arg(self, a: Any) -> Any:
        """What a node may hold of an argument; tensors become attributes of the root."""
        if isinstance(a, nn.Parameter):
            for name, p in self.root.named_parameters():
                if a is p:
                    return self.create_node("get_attr", name, (), {})
            raise NameError("parameter is not a member of this module")
        if isinstance(a, fb.Tensor):
            for name, b in self.root.named_buffers():
                if a is b:
                    return self.create_node("get_attr", name, (), {})
            name = self.tensor_attrs.get(id(a), (None,))[0]
            if name is None:
                name = self.get_fresh_qualname("_tensor_constant")
                setattr(self.root, name, a)
                self.tensor_attrs[id(a)] = name, a
            return self.create_node("get_attr", name, (), {})
        if isinstance(a, nn.Module):
            return self.create_node("get_attr", self.path_of_module(a), (), {})
        if isinstance(type(a), ProxyableClassMeta):
            name = self.get_fresh_qualname(f"_{type(a).__name__}_constant_")
            setattr(self.root, name, a)
            return self.create_node("get_attr", name, (), {})
        return super().create_arg(a)

    def get_fresh_qualname(self, prefix: str) -> str:
        """An attribute of the root that does not exist."""
        k = 0
        while hasattr(self.root, f"{prefix}{k}"):
            k += 1
        return f"{prefix}{k}"

    # ------------------------------------------------------------------ arguments of the root
    def create_args_for_root(
        self,
        root_fn: Callable,
        is_module: bool,
        concrete_args: dict[str, Any] | tuple[Any, ...] | None = None,
    ) -> tuple[Callable, list[Any]]:
        """Placeholders for the arguments of the function; (what to call, with what)."""
        fn_for_analysis = inspect.unwrap(root_fn)
        code = fn_for_analysis.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        names = iter(code.co_varnames)
        args: list[Any] = []
        skipped = 0
        if is_module:
            if count == 0:
                raise RuntimeError("``self`` argument cannot be part of *args expansion!")
            skipped = 1
            next(names)
            args.append(self.root)
        signature = signature_of(fn_for_analysis)
        if isinstance(concrete_args, tuple):
            wanted = [n for _, n in zip(range(skipped, count), names)]
            if len(wanted) != len(concrete_args):
                raise RuntimeError(
                    f"Tracing expected {len(wanted)} arguments but got {len(concrete_args)} "
                    "concrete arguments"
                )
            concrete_args = dict(zip(wanted, concrete_args))
            names = iter(code.co_varnames[skipped:])
        names_here = [n for _, n in zip(range(skipped, count), names)]
        args += [self._proxy_placeholder(n, concrete_args, signature) for n in names_here]
        flags = code.co_flags
        if concrete_args is None or not concrete_args:
            if flags & inspect.CO_VARARGS:
                args.append(self.create_proxy("placeholder", "*" + next(names), (), {}))
            if flags & inspect.CO_VARKEYWORDS:
                args.append(self.create_proxy("placeholder", "**" + next(names), (), {}))
        if code.co_kwonlyargcount or flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
            root_fn = _take_packed(fn_for_analysis, code, len(args))
        structured = concrete_args and any(isinstance(v, (list, tuple, dict)) for v in concrete_args.values())
        if structured:
            return self._structured(root_fn, args, list(code.co_varnames[:count]))
        return root_fn, args

    def _structured(self, root_fn: Callable, args: list, names: list[str]) -> tuple[Callable, list[Any]]:
        flat, in_spec = pytree.tree_flatten(tuple(args))
        self.graph._codegen = codegen = _PyTreeCodeGen(_PyTreeInfo(names, in_spec, None))

        def flatten_fn(*leaves: Any) -> Any:
            result = root_fn(*pytree.tree_unflatten(list(leaves), in_spec))
            values, out_spec = pytree.tree_flatten(result)
            codegen.pytree_info = codegen.pytree_info._replace(out_spec=out_spec)
            return values

        flatten_fn.__annotations__ = {}
        return flatten_fn, flat

    def _proxy_placeholder(self, name: str, concrete_args: dict | None, sig: inspect.Signature) -> Any:
        parameter = sig.parameters[name]
        default = () if parameter.default is parameter.empty else (parameter.default,)
        if concrete_args is not None and name in concrete_args:
            self._specialized_count = 0
            return pytree.tree_map(lambda v: self._specialized(name, v, default), concrete_args[name])
        kind = None if parameter.annotation is parameter.empty else parameter.annotation
        if name.startswith("*"):
            default = ()
        return self.create_proxy("placeholder", name, default, {}, type_expr=kind)

    def _specialized(self, name: str, value: Any, default: tuple) -> Any:
        self._specialized_count += 1
        out = self.create_proxy("placeholder", f"{name}_{self._specialized_count}", default, {})
        if isinstance(value, PHBase):
            if type(value) is not PHBase:
                out.node.meta.update(vars(value))
            return out
        if value is None:
            text = f"{name} has been specialized to have value None but got another value"
            self.create_proxy("call_function", _assert_is_none, (out, text), {})
        elif isinstance(value, base_types) and not isinstance(value, fb.Tensor):
            fb._assert(
                out == value, f"{name} has been specialized to have value {value} but got another value"
            )
        else:
            warnings.warn(
                f"Was not able to add assertion to guarantee correct input {name} to specialized "
                "function. It is "
                "up to the user to make sure that your inputs match the inputs you specialized the "
                "function with."
            )
        return value

    # ------------------------------------------------------------------ tracing
    def trace(self, root: nn.Module | Callable, concrete_args: dict[str, Any] | None = None) -> Graph:
        """The graph of a module's forward, or of a function.

        Parameters
        ----------
        concrete_args : dict, optional
            Values of arguments that become constants; structures with ``PH`` where values stay open.

        Raises
        ------
        TraceError
            Where the program depends on values.
        """
        global _tracing
        is_module = isinstance(root, nn.Module)
        if is_module:
            fn = getattr(type(root), self.traced_func_name, None)
            if fn is None:
                raise AssertionError(
                    f"traced_func_name={self.traced_func_name} doesn't exist in {type(root).__name__}"
                )
            self.root, self.root_module_name = root, type(root).__name__
            self.submodule_paths = {m: n for n, m in root.named_modules()}
        else:
            self.root, fn = nn.Module(), root
        self.graph = Graph(tracer_cls=type(self))
        self._specialized_count = 0
        self.tensor_attrs = {}
        for prefix, module in self.root.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, fb.Tensor):
                    self.tensor_attrs[id(value)] = ".".join(filter(None, (prefix, name))), value
        if not isinstance(fn, FunctionType):
            raise AssertionError(f"expected a function to trace, got {type(fn)}")
        fn_globals = fn.__globals__
        fn, args = self.create_args_for_root(fn, is_module, concrete_args)
        _tracing += 1
        try:
            with _Patcher() as patcher:
                self._patch(patcher, fn_globals)
                result = fn(*args)
                self.create_node(
                    "output", "output", (self.create_arg(result),), {},
                    type_expr=annotations_of(inspect.unwrap(fn)).get("return"),
                )  # fmt: skip
        finally:
            _tracing -= 1
            self.submodule_paths = None
        return self.graph

    def _patch(self, patcher: _Patcher, fn_globals: dict) -> None:
        orig_call, orig_getattr = nn.Module.__call__, nn.Module.__getattr__
        cache: dict[str, Proxy] = {}

        @functools.wraps(orig_getattr)
        def module_getattr(mod: nn.Module, attr: str) -> Any:
            return self.getattr(attr, orig_getattr(mod, attr), cache)

        @functools.wraps(orig_call)
        def module_call(mod: nn.Module, *args: Any, **kwargs: Any) -> Any:
            def forward(*args: Any, **kwargs: Any) -> Any:
                return orig_call(mod, *args, **kwargs)

            used = getattr(getattr(mod, "forward", mod), "__globals__", {})
            _autowrap_check(patcher, used, self._autowrap_function_ids)
            return self.call_module(mod, forward, args, kwargs)

        patcher.patch_method(nn.Module, "__getattr__", module_getattr, deduplicate=False)
        patcher.patch_method(nn.Module, "__call__", module_call, deduplicate=False)
        _patch_wrapped_functions(patcher)
        for where in (fn_globals, *map(vars, self._autowrap_search), vars(nn.functional)):
            _autowrap_check(patcher, where, self._autowrap_function_ids)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tracer:
        made = type(self).__new__(type(self))
        for key, value in vars(self).items():
            made.__dict__[key] = value if key == "_autowrap_search" else copy.deepcopy(value, memo)
        return made


graph_module.default_tracer = Tracer


def _take_packed(function: Callable, code: Any, count: int) -> Callable:
    """A function that takes its keyword arguments, ``*args`` and ``**kwargs`` as ``count`` single values."""
    flags = code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    if count == code.co_argcount + code.co_kwonlyargcount:
        flags = code.co_flags
    made = FunctionType(
        code.replace(co_flags=flags, co_argcount=count, co_kwonlyargcount=0, co_posonlyargcount=0),
        function.__globals__, function.__name__, None, function.__closure__,
    )  # fmt: skip
    copy_annotations(function, made)
    return made


def symbolic_trace(root: nn.Module | Callable, concrete_args: dict[str, Any] | None = None) -> GraphModule:
    """A :class:`GraphModule` that does what the module or function does.

    Parameters
    ----------
    root : Module or callable
        Its parameters and children are shared with the result.
    concrete_args : dict, optional
        Arguments that become constants, see :meth:`Tracer.trace`.

    Raises
    ------
    TraceError
        Where the program depends on values of tensors.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, nn.Module) else root.__name__
    return GraphModule(tracer.root, graph, name)

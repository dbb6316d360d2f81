"""Module: members, calls, hooks, errors."""

import abc
import copy
import gc
import pickle
import weakref

import pytest

import flambeau as fb
from flambeau import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 3)
        self.body = nn.Sequential(nn.Linear(3, 2), nn.Identity())

    def forward(self, x, *, shift=0):
        return self.body(self.fc1(x)) + shift


class Identity(nn.Module):
    def forward(self, x):
        return x


def raised(kind, function) -> str:
    with pytest.raises(kind) as caught:
        function()
    return str(caught.value)


def test_members_go_into_their_registries():
    m = nn.Module()
    m.p = nn.Parameter(fb.ones(2))
    m.b = nn.Buffer(fb.zeros(1), persistent=False)
    m.c = nn.Linear(1, 1)
    m.plain = 3
    m.register_buffer("kept", fb.ones(1))
    assert list(m._parameters) == ["p"]
    assert list(m._buffers) == ["b", "kept"]
    assert list(m._modules) == ["c"]
    assert m.__dict__["plain"] == 3
    assert list(m.state_dict()) == ["p", "kept", "c.weight", "c.bias"]
    m.plain = nn.Parameter(fb.ones(1))
    assert "plain" not in m.__dict__ and "plain" in m._parameters
    del m.plain, m.c, m.b
    assert not hasattr(m, "plain") and not hasattr(m, "c") and not m._non_persistent_buffers_set


def test_messages_for_wrong_members():
    m = nn.Linear(2, 3)
    text = "cannot assign 'int' as parameter 'weight' (torch.nn.Parameter or None expected)"
    assert raised(TypeError, lambda: setattr(m, "weight", 3)) == text
    s = nn.Sequential(nn.Linear(1, 1))
    text = "cannot assign 'int' as child module '0' (torch.nn.Module or None expected)"
    assert raised(TypeError, lambda: setattr(s, "0", 3)) == text
    b = nn.BatchNorm1d(2)
    text = "cannot assign 'int' as buffer 'running_mean' (torch.nn.Buffer, torch.Tensor or None expected)"
    assert raised(TypeError, lambda: setattr(b, "running_mean", 3)) == text
    assert raised(AttributeError, lambda: m.foo) == "'Linear' object has no attribute 'foo'"
    assert raised(AttributeError, lambda: delattr(m, "foo")) == "'Linear' object has no attribute 'foo'"
    unready = nn.Linear.__new__(nn.Linear)
    text = "cannot assign parameters before Module.__init__() call"
    assert raised(AttributeError, lambda: setattr(unready, "a", nn.Parameter(fb.ones(1)))) == text
    text = "cannot assign module before Module.__init__() call"
    assert raised(AttributeError, lambda: setattr(unready, "a", m)) == text


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda m: m.register_buffer(1, None), TypeError, "buffer name should be a string. Got int"),
        (lambda m: m.register_buffer("a.b", None), KeyError, "'buffer name can\\'t contain \".\"'"),
        (lambda m: m.register_buffer("weight", None), KeyError, "\"attribute 'weight' already exists\""),
        (lambda m: m.register_parameter("", None), KeyError, "'parameter name can\\'t be empty string \"\"'"),
        (lambda m: m.add_module("x", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("a.b", m), KeyError, "'module name can\\'t contain \".\", got: a.b'"),
        (lambda m: m.get_submodule("a"), AttributeError, "Linear has no attribute `a`"),
        (lambda m: m.get_submodule("weight"), AttributeError, "`weight` is not an nn.Module"),
        (lambda m: m.get_parameter("in_features"), AttributeError, "`in_features` is not an nn.Parameter"),
        (lambda m: m.get_buffer("weight"), AttributeError, "`weight` is not a buffer"),
        (lambda m: m.train(3), ValueError, "training mode is expected to be boolean"),
        (
            lambda m: m.to(fb.int32),
            TypeError,
            "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int32",
        ),
        (
            lambda m: nn.Module()(1),
            NotImplementedError,
            'Module [Module] is missing the required "forward" function',
        ),
        (lambda m: nn.Module(1), TypeError, "Module.__init__() takes 1 positional argument but 2 were given"),
        (lambda m: nn.Module(a=1), TypeError, "Module.__init__() got an unexpected keyword argument 'a'"),
    ],
)
def test_messages(call, kind, text):
    assert raised(kind, lambda: call(nn.Linear(2, 3))) == text


def test_walking():
    net = Net()
    assert [n for n, _ in net.named_modules()] == ["", "fc1", "body", "body.0", "body.1"]
    assert [n for n, _ in net.named_children()] == ["fc1", "body"]
    names = ["fc1.weight", "fc1.bias", "body.0.weight", "body.0.bias"]
    assert [n for n, _ in net.named_parameters()] == names
    net.again = net.fc1
    assert [n for n, _ in net.named_parameters()] == names
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Linear", "Identity", "Sequential", "Net"]


def test_conversion_keeps_parameters_and_gradients():
    m = nn.Linear(2, 3)
    weight = m.weight
    m(fb.ones(1, 2)).sum().backward()
    grad = weight.grad
    assert m.double() is m
    assert m.weight is weight and weight.dtype is fb.float64
    assert weight.grad is grad and grad.dtype is fb.float64
    m.zero_grad()
    assert weight.grad is None
    m.requires_grad_(False)
    assert not any(p.requires_grad for p in m.parameters())
    assert not m.eval().training and m.train().training


def test_state_dict_reports():
    m = nn.Linear(2, 3)
    text = raised(
        RuntimeError,
        lambda: m.load_state_dict({"weight": fb.ones(1, 2), "bias": 3, "extra": fb.ones(1)}),
    )
    assert text == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tUnexpected key(s) in state_dict: "extra". \n'
        "\tsize mismatch for weight: copying a param with shape torch.Size([1, 2]) from checkpoint, "
        "the shape in current model is torch.Size([3, 2]).\n"
        '\tWhile copying the parameter named "bias", expected torch.Tensor or Tensor-like object '
        "from checkpoint but received <class 'int'>"
    )
    text = raised(RuntimeError, lambda: m.load_state_dict({}))
    assert text.endswith('\tMissing key(s) in state_dict: "weight", "bias". ')
    report = m.load_state_dict({"weight": fb.zeros(3, 2), "z": 1}, strict=False)
    assert report.missing_keys == ["bias"] and report.unexpected_keys == ["z"]
    assert m.weight.sum().item() == 0
    assert repr(m.load_state_dict(m.state_dict())) == "<All keys matched successfully>"
    state = {"weight": fb.ones(3, 2), "bias": fb.ones(3)}
    m.load_state_dict(state, assign=True)
    assert m.weight.data_ptr() == state["weight"].data_ptr() and isinstance(m.weight, nn.Parameter)
    nested = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
    text = raised(RuntimeError, lambda: nested.load_state_dict({"0.weight.x": 1, "1.weight": 1, "z": 1}))
    assert '\tUnexpected key(s) in state_dict: "z", "0.weight.x", "1.weight". ' in text
    assert nested.state_dict()._metadata["1.0"] == {"version": 1}


def test_extra_state():
    class Counting(nn.Module):
        count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].count = 7
    assert list(a.state_dict()) == ["0._extra_state"]
    b.load_state_dict(a.state_dict())
    assert b[0].count == 7


def test_forward_hooks():
    m, x = Identity(), fb.ones(2)
    order = []
    first = m.register_forward_hook(lambda m, args, out: order.append("a"))
    m.register_forward_hook(lambda m, args, out: order.append("b"), prepend=True)
    m.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    m.register_forward_hook(lambda m, args, kwargs, out: out * 2, with_kwargs=True)
    assert m(x).tolist() == [4, 4]
    assert order == ["b", "a"]
    first.remove()
    m(x)
    assert order == ["b", "a", "b"]
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, a, o: seen.append(type(m).__name__))
    Net()(fb.ones(1, 4))
    handle.remove()
    Net()(fb.ones(1, 4))
    assert seen == ["Linear", "Linear", "Identity", "Sequential", "Net"]


def test_hooks_that_are_always_called():
    m = nn.Linear(2, 2)
    seen = []
    m.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    with pytest.raises(TypeError):
        m(3)
    assert seen == [None]


def test_pre_hook_with_kwargs_must_return_a_pair():
    m = nn.Linear(2, 2)
    m.register_forward_pre_hook(lambda m, a, k: 5.0, with_kwargs=True)
    text = "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got 5.0."
    assert raised(RuntimeError, lambda: m(fb.ones(1, 2))) == text


def test_full_backward_hooks():
    m = nn.Linear(2, 1, bias=False)
    m.load_state_dict({"weight": fb.tensor([[2.0, 3.0]])})
    seen = []

    def hook(module, grad_input, grad_output):
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 10,)

    m.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    m.register_full_backward_hook(hook)
    x = fb.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    assert seen == [([[4.0, 6.0]], [[2.0]])]
    assert x.grad.tolist() == [[40.0, 60.0]]
    assert m.weight.grad.tolist() == [[2.0, 2.0]]
    text = raised(RuntimeError, lambda: m.register_backward_hook(hook))
    assert text.startswith(
        "Cannot use both regular backward hooks and full backward hooks on a single Module."
    )


def test_full_backward_hook_without_inputs_that_require_grad():
    m = nn.Linear(2, 1)
    seen = []
    m.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go[0].tolist())))
    with pytest.warns(UserWarning, match="Full backward hook is firing"):
        m(fb.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1.0]])]


def test_errors_name_the_module():
    net = Net()
    with pytest.raises(RuntimeError) as caught:
        net(fb.ones(1, 3))
    assert str(caught.value).startswith("mat1 and mat2 shapes cannot be multiplied (1x3 and 4x3)")
    assert caught.value.__notes__ == ["in Net.fc1 (Linear 4→3)"]
    with pytest.raises(TypeError) as caught:
        net(fb.ones(1, 4), wrong=1)
    assert caught.value.__notes__ == ["in Net"]
    with pytest.raises(KeyError) as caught:
        nn.Sequential(OtherError())(1)
    assert not hasattr(caught.value, "__notes__")


class OtherError(nn.Module):
    def forward(self, x):
        raise KeyError("mine")


def test_calls_through_overridden_methods():
    class Twice(nn.Module):
        def __call__(self, x):
            return super().__call__(x) * 2

        def forward(self, x):
            return x + 1

    class Static(nn.Module):
        @staticmethod
        def forward(x, y=1):
            return x + y

    assert Twice()(3) == 8
    assert nn.Sequential(Twice(), Static())(1) == 5
    assert Static()(1, y=2) == 3
    m = Identity()
    m.forward = lambda x: "own"
    assert m(1) == "own"


def test_patching_the_class_reaches_all_modules():
    calls = []
    call, get = nn.Module.__call__, nn.Module.__getattr__
    m = nn.Linear(2, 2)
    try:
        nn.Module.__call__ = lambda self, *a, **k: (calls.append("call"), call(self, *a, **k))[1]
        nn.Module.__getattr__ = lambda self, name: (calls.append(name), get(self, name))[1]
        m(fb.ones(1, 2))
        assert calls == ["call", "weight", "bias"]
    finally:
        del nn.Module.__call__, nn.Module.__getattr__  # ModuleBase has them again
    m(fb.ones(1, 2))
    assert len(calls) == 3


def test_getattr_of_a_subclass():
    class Wrapper(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.inner, name)

    w = Wrapper(nn.Linear(2, 3))
    assert w.in_features == 2 and w.weight.shape == (3, 2)
    assert raised(AttributeError, lambda: w.nope) == "'Linear' object has no attribute 'nope'"

    class Failing(nn.Module):
        @property
        def total(self):
            return self.missing

    with pytest.raises(AttributeError) as caught:
        Failing().total  # noqa: B018
    assert str(caught.value) == "'Failing' object has no attribute 'total'"
    assert "missing" in str(caught.value.__context__)


def test_the_object_protocol():
    refs = []
    for _ in range(5):
        net = Net()
        net.me = [net]
        refs.append(weakref.ref(net))
    del net
    gc.collect()
    assert all(r() is None for r in refs)
    net = Net()
    object.__setattr__(net, "hidden", 5)
    assert net.hidden == 5 and vars(net)["hidden"] == 5
    twin = copy.deepcopy(net)
    assert twin.fc1.weight is not net.fc1.weight and fb.equal(twin.fc1.weight, net.fc1.weight)
    again = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))))
    assert list(again.state_dict())[-1] == "1.num_batches_tracked"

    class Abstract(nn.Module, abc.ABC):
        @abc.abstractmethod
        def f(self): ...

    with pytest.raises(TypeError, match="abstract"):
        Abstract()

    class Tagged:
        def __init_subclass__(cls, tag=None, **kwargs):
            super().__init_subclass__(**kwargs)
            cls.tag = tag

    class Child(nn.Module, Tagged, tag=4):
        pass

    assert Child.tag == 4


def test_call_super_init():
    class Base:
        def __init__(self, a):
            self.a = a

    class Both(nn.Module, Base):
        call_super_init = True

        def __init__(self):
            super().__init__(7)

    assert Both().a == 7


def test_registration_hooks():
    names = []
    handles = [
        nn.modules.module.register_module_parameter_registration_hook(lambda m, n, v: names.append(n)),
        nn.modules.module.register_module_module_registration_hook(lambda m, n, v: names.append(n)),
        nn.modules.module.register_module_buffer_registration_hook(lambda m, n, v: names.append(n)),
    ]
    net = nn.Module()
    net.child = nn.BatchNorm1d(1)
    for handle in handles:
        handle.remove()
    assert names == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked", "child"]


class Kept:
    """Notes the arguments of its objects before they are initialised."""

    def __new__(cls, *args, **kwargs):
        made = super().__new__(cls)
        made.given = args, kwargs
        return made


class Noted(nn.Module, Kept):
    def __init__(self, size, bias=True):
        super().__init__()
        self.inner = nn.Linear(size, 2, bias=bias)

    def forward(self, x):
        return self.inner(x)


def test_new_of_a_class_that_comes_after_module_is_called():
    module = Noted(3, bias=False)
    assert module.given == ((3,), {"bias": False})
    x = fb.ones(1, 3)
    expected = (x @ module.inner.weight.T).tolist()
    assert module(x).tolist() == expected and module(x).tolist() == expected
    assert copy.deepcopy(module).given == module.given
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(module, protocol))
        assert again(x).tolist() == expected and again.given == module.given
    assert type(object.__new__(Noted)) is Noted and "__new__" not in vars(nn.Module.__base__)
    with pytest.raises(TypeError, match="positional argument"):
        nn.Module(1)


class Keeping(nn.Module):
    """Keeps a module that is to be no child, as packages do."""

    def __setattr__(self, name, value):
        if name == "kept":
            return super(nn.Module, self).__setattr__(name, value)
        return super().__setattr__(name, value)

    def __delattr__(self, name):
        if name == "kept":
            return super(nn.Module, self).__delattr__(name)
        return super().__delattr__(name)


def test_a_module_as_a_plain_attribute():
    keeping = Keeping()
    keeping.kept, keeping.child = nn.ReLU(), nn.Tanh()
    assert [name for name, _ in keeping.named_children()] == ["child"]
    assert isinstance(vars(keeping)["kept"], nn.ReLU)
    del keeping.kept, keeping.child
    assert not hasattr(keeping, "kept") and not hasattr(keeping, "child")
    object.__setattr__(keeping, "other", nn.ReLU())
    assert not list(keeping.children()) and isinstance(keeping.other, nn.ReLU)

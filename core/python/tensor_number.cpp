// The operators of the language: a + b, a @ b, a += b, a < b, -a, bool(a), …
#include "python/construct.h"
#include "python/function.h"
#include "python/override.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

// An operator slot: its method, and the operator called directly when both sides are plain.
struct Slot {
    const char* name;
    const Group* group = nullptr;
    const Op* direct = nullptr;
    bool looked_up = false;

    void look_up(Form form) {
        looked_up = true;
        group = find_group("", name, form);
        if (!group && form == Form::Inplace) group = find_group("", std::string(name) + "_", form);
        if (!group) return;
        const Op& op = *group->signatures[0].op;
        const auto& a = op.schema.args;
        if (a.size() >= 2 && a[1].kind == Kind::Operand && (a.size() == 2 || a[2].has_default)) direct = &op;
    }
};

// A tensor that nobody else takes calls of over: Tensor itself, Parameter.
bool plain(PyObject* o) {
    PyTypeObject* t = Py_TYPE(o);
    if (t == tensor_type) return true;
    if (t == &PyFloat_Type || t == &PyLong_Type) return false;
    return PyType_IsSubtype(t, tensor_type) && !type_overrides(t);
}
bool undisturbed() { return !override_state.modes; }

// A plain operand: tensor or Python number.
bool operand(PyObject* o, Value& v) {
    if (plain(o)) {
        v = Value(impl_of(o));
        return true;
    }
    if (PyFloat_CheckExact(o)) {
        v = Value(PyFloat_AS_DOUBLE(o));
        return true;
    }
    if (PyLong_CheckExact(o)) {
        int overflow;
        const long long i = PyLong_AsLongLongAndOverflow(o, &overflow);
        v = Value(int64_t(i));
        return !overflow;
    }
    return false;
}

// What a TypeError of the operator means to the interpreter: try the other side.
PyObject* or_not_implemented(PyObject* r) {
    if (r || !PyErr_ExceptionMatches(PyExc_TypeError)) return r;
    PyErr_Clear();
    Py_RETURN_NOTIMPLEMENTED;
}

PyObject* missing(const char* name) {
    return PyErr_Format(PyExc_NotImplementedError, "flambeau has no operator '%s' yet", name);
}

template <int N>
struct Text {
    char s[N];
    constexpr Text(const char (&t)[N]) { std::copy_n(t, N, s); }
};

// What others are told is called where they take over: PyTorch has methods written in Python behind some operators.
PyObject* ask(const char* method, std::initializer_list<PyObject*> args) {
    return or_not_implemented(call_method_override(method, args));
}

PyObject* call_object(const Group& g, std::initializer_list<PyObject*> args) {
    return or_not_implemented(PyObject_Vectorcall(g.object, args.begin(), args.size(), nullptr));
}

PyObject* call_direct(const Op& op, Value* v) {
    return guarded([&] {
        Frame f(op, v);
        invoke(f, v, 2);
        return wrap(std::move(f.result[0]));
    });
}

// tensor OP other, and other OP tensor where `Reversed` names the operator that takes them the other way round ("" =
// the same, with the number first). `Method` and `Reflected` are what others are asked about, the tensor first.
template <Text Name, Text Reversed, Text Method = Name, Text Reflected = Method>
PyObject* binary(PyObject* a, PyObject* b) {
    static Slot forward{Name.s}, reversed{Reversed.s};
    if (!forward.looked_up) [[unlikely]] {
        forward.look_up(Form::Method);
        if (!forward.group) forward.look_up(Form::Function);
        reversed.look_up(Form::Function);
    }
    if (forward.direct && undisturbed()) [[likely]] {
        Value v[kMaxArgs];
        if (plain(a) && operand(b, v[1])) {
            v[0] = Value(impl_of(a));
            return call_direct(*forward.direct, v);
        }
        if (plain(b) && reversed.direct && sizeof(Reversed.s) > 1 && operand(a, v[1])) {
            v[0] = Value(impl_of(b));
            return call_direct(*reversed.direct, v);
        }
        if (plain(b) && sizeof(Reversed.s) == 1 && forward.direct->schema.args[0].kind == Kind::Operand &&
            operand(a, v[0])) {
            v[1] = Value(impl_of(b));
            return call_direct(*forward.direct, v);
        }
    }
    if (asks_outside({a, b})) return is_tensor(a) ? ask(Method.s, {a, b}) : ask(Reflected.s, {b, a});
    if (is_tensor(a)) {
        if (!forward.group) return missing(Name.s);
        return call_object(*forward.group, {a, b});
    }
    if (sizeof(Reversed.s) > 1) {
        if (!reversed.group) return missing(Reversed.s);
        return call_object(*reversed.group, {b, a});
    }
    // Functions accept a number first where methods cannot.
    static const Group* function = find_group("", Name.s, Form::Function);
    if (!function) return missing(Name.s);
    return call_object(*function, {a, b});
}

template <Text Name, Text Method = Name>
PyObject* inplace_binary(PyObject* a, PyObject* b) {
    static Slot slot{Name.s};
    if (!slot.looked_up) [[unlikely]]
        slot.look_up(Form::Inplace);
    if (!slot.group) return missing(Name.s);
    if (slot.direct && undisturbed() && plain(a)) [[likely]] {
        Value v[kMaxArgs];
        if (operand(b, v[1])) {
            v[0] = Value(impl_of(a));
            return guarded([&] {
                Frame f(*slot.direct, v);
                f.given = &v[0].tensor();
                f.inplace = true;
                invoke(f, v, 2);
                return Py_NewRef(a);
            });
        }
    }
    if (asks_outside({a, b})) return ask(Method.s, {a, b});
    return call_object(*slot.group, {a, b});
}

template <Text Name>
PyObject* unary(PyObject* a) {
    static const Group* g = find_group("", Name.s, Form::Method);
    if (!g) return missing(Name.s);
    return PyObject_Vectorcall(g->object, &a, 1, nullptr);
}

PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) {
    if (modulus != Py_None) return PyErr_Format(PyExc_TypeError, "pow() with a modulus is not supported for tensors");
    return binary<"pow", "", "__pow__", "__rpow__">(a, b);
}
PyObject* inplace_power(PyObject* a, PyObject* b, PyObject*) { return inplace_binary<"pow_", "__ipow__">(a, b); }
PyObject* positive(PyObject* a) { return asks_outside({a}) ? ask("positive", {a}) : Py_NewRef(a); }
PyObject* invert(PyObject* a) {
    if (asks_outside({a})) return ask("__invert__", {a});
    return guarded([&] {
        const DType t = unwrap(a).dtype();
        if (is_exact_tensor(a) && (is_floating(t) || is_complex(t)))
            raise(PyExc_TypeError, "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
        return unary<"bitwise_not">(a);
    });
}

// ---------------------------------------------------------------- conversion to Python numbers
Scalar one_element(PyObject* self) {
    check_value(unwrap(self).numel() == 1, "only one element tensors can be converted to Python scalars");
    return unwrap(self).item();
}

int is_true(PyObject* self) {
    if (asks_outside_of(self)) [[unlikely]] {
        const Ref answer(call_method_override("__bool__", {self}));
        if (answer && !PyBool_Check(answer.get()))
            PyErr_Format(PyExc_TypeError, "__bool__ should return bool, returned %s", Py_TYPE(answer.get())->tp_name);
        return PyErr_Occurred() ? -1 : answer.get() == Py_True;
    }
    return guarded(
        [&] {
            const Tensor& t = unwrap(self);
            if (t.numel() != 1) {
                if (t.numel() == 0) fail(ErrorKind::Runtime, "Boolean value of Tensor with no values is ambiguous");
                fail(ErrorKind::Runtime, "Boolean value of Tensor with more than one value is ambiguous");
            }
            return int(!one_element(self).is_zero());
        },
        -1);
}
PyObject* as_int(PyObject* self) {
    if (asks_outside_of(self)) [[unlikely]]
        return call_method_override("__int__", {self});
    return guarded([&]() -> PyObject* {
        const Scalar s = one_element(self);
        if (s.is_integral()) {
            if (unwrap(self).dtype() == DType::u64) return PyLong_FromUnsignedLongLong(uint64_t(s.i));
            return PyLong_FromLongLong(s.i);
        }
        if (s.is_complex() && s.im != 0)
            fail(ErrorKind::Runtime, "value cannot be converted to type int64_t without overflow");
        return PyLong_FromDouble(s.d);
    });
}
PyObject* as_float(PyObject* self) {
    if (asks_outside_of(self)) [[unlikely]]
        return call_method_override("__float__", {self});
    return guarded([&] {
        const Scalar s = one_element(self);
        warn_of_lost_history(unwrap(self));
        if (s.is_complex() && s.im != 0)
            fail(ErrorKind::Runtime, "value cannot be converted to type double without overflow");
        return PyFloat_FromDouble(s.real());
    });
}
PyObject* as_index(PyObject* self) {
    if (asks_outside_of(self)) [[unlikely]]
        return call_method_override("__index__", {self});
    return guarded([&]() -> PyObject* {
        const Tensor& t = unwrap(self);
        if (t.numel() != 1 || !is_integral(t.dtype(), true))
            fail(ErrorKind::Type, "only integer tensors of a single element can be converted to an index");
        return PyLong_FromLongLong(one_element(self).i);
    });
}

template <Text Name, Text Method = Name>
PyObject* compare(PyObject* a, PyObject* b) {
    static Slot slot{Name.s};
    if (!slot.looked_up) [[unlikely]]
        slot.look_up(Form::Method);
    if (!slot.group) return missing(Name.s);
    if (slot.direct && undisturbed() && plain(a)) [[likely]] {
        Value v[kMaxArgs];
        if (operand(b, v[1])) {
            v[0] = Value(impl_of(a));
            return call_direct(*slot.direct, v);
        }
    }
    if (asks_outside({a, b})) return ask(Method.s, {a, b});
    return call_object(*slot.group, {a, b});
}

// PyTorch compares with an array as with a tensor of its elements, in this operator alone.
PyObject* equal_array(PyObject* a, PyObject* array) {
    const Ref b(guarded([&] { return wrap(tensor_from_array(array, false)); }));
    if (b) return compare<"eq", "__eq__">(a, b.get());
    PyErr_Clear();
    Py_RETURN_NOTIMPLEMENTED;
}

}  // namespace

void warn_of_lost_history(const Tensor& t) {
    static std::atomic<bool> told = false;
    if (!t.requires_grad() || !tls.grad || told.exchange(true)) return;
    warn(
        "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
        "Consider using tensor.detach() first.");
}

PyObject* tensor_compare(PyObject* a, PyObject* b, int how) {
    switch (how) {  // the interpreter calls with the tensor first, reflecting the operator where needed
        case Py_EQ:
            if (is_numpy_array(b)) [[unlikely]]
                return equal_array(a, b);
            return compare<"eq", "__eq__">(a, b);
        case Py_NE: return compare<"ne">(a, b);
        case Py_LT: return compare<"lt">(a, b);
        case Py_LE: return compare<"le">(a, b);
        case Py_GT: return compare<"gt">(a, b);
        case Py_GE: return compare<"ge">(a, b);
    }
    Py_RETURN_NOTIMPLEMENTED;
}

PyNumberMethods tensor_numbers = {
    .nb_add = binary<"add", "">,
    .nb_subtract = binary<"sub", "rsub", "sub", "__rsub__">,
    .nb_multiply = binary<"mul", "">,
    .nb_remainder = binary<"remainder", "", "remainder", "__rmod__">,
    .nb_power = power,
    .nb_negative = unary<"neg">,
    .nb_positive = positive,
    .nb_absolute = unary<"abs">,
    .nb_bool = is_true,
    .nb_invert = invert,
    .nb_lshift = binary<"bitwise_left_shift", "", "__lshift__", "__rlshift__">,
    .nb_rshift = binary<"bitwise_right_shift", "", "__rshift__", "__rrshift__">,
    .nb_and = binary<"bitwise_and", "", "__and__", "bitwise_and">,
    .nb_xor = binary<"bitwise_xor", "", "__xor__", "bitwise_xor">,
    .nb_or = binary<"bitwise_or", "", "__or__", "bitwise_or">,
    .nb_int = as_int,
    .nb_float = as_float,
    .nb_inplace_add = inplace_binary<"add_">,
    .nb_inplace_subtract = inplace_binary<"sub_">,
    .nb_inplace_multiply = inplace_binary<"mul_">,
    .nb_inplace_remainder = inplace_binary<"remainder_">,
    .nb_inplace_power = inplace_power,
    .nb_inplace_lshift = inplace_binary<"bitwise_left_shift_", "__ilshift__">,
    .nb_inplace_rshift = inplace_binary<"bitwise_right_shift_", "__irshift__">,
    .nb_inplace_and = inplace_binary<"bitwise_and_", "__iand__">,
    .nb_inplace_xor = inplace_binary<"bitwise_xor_", "__ixor__">,
    .nb_inplace_or = inplace_binary<"bitwise_or_", "__ior__">,
    .nb_floor_divide = binary<"floor_divide", "", "__floordiv__", "__rfloordiv__">,
    .nb_true_divide = binary<"div", "", "div", "__rtruediv__">,
    .nb_inplace_floor_divide = inplace_binary<"floor_divide_">,
    .nb_inplace_true_divide = inplace_binary<"div_">,
    .nb_index = as_index,
    .nb_matrix_multiply = binary<"matmul", "", "matmul", "__rmatmul__">,
};

}  // namespace fb::py

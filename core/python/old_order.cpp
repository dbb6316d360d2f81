// Calls in the argument order of PyTorch before 1.5, which it still takes: x.add_(0.1, y), x.addcdiv_(-lr, m, v),
// torch.addmm(beta, x, alpha, a, b). The numbers have become keywords.
#include <algorithm>
#include <array>
#include "base/warn.h"
#include "python/parse.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

struct Family {
    std::array<std::string_view, 5> operators;
    std::array<const char*, 2> numbers;  // in the order in which they stood; the last may be missing
    bool first_leads;                    // the first stood before `input`, for functions
};
constexpr Family kFamilies[] = {
    {{"add", "sub"}, {"alpha"}, false},
    {{"addcmul", "addcdiv"}, {"value"}, false},
    {{"addmm", "addbmm", "baddbmm", "addmv", "addr"}, {"beta", "alpha"}, true},
};

const Family* family_of(const std::string& name) {
    for (const Family& f : kFamilies)
        if (!name.empty() && std::ranges::find(f.operators, name) != f.operators.end()) return &f;
    return nullptr;
}

void warn_once(const Signature& s, const std::vector<std::string>& order) {
    static bool warned = false;
    if (std::exchange(warned, true)) return;
    std::string old = s.shown + "(";
    for (size_t i = size_t(s.first_shown); i < order.size(); ++i)
        old += (old.back() == '(' ? "" : ", ") + std::string(order[i]);
    old += s.has_out ? ", *, Tensor out = None)" : ")";
    warn(str("This overload of ", s.shown, " is deprecated:\n\t", old,
             "\nConsider using one of the following signatures instead:\n\t", s.shown, s.text()));
}

}  // namespace

bool old_order(const Signature& s, const Arguments& in, const std::function<void(const Arguments&)>& retry) {
    const Family* family = family_of(s.op->schema.name);
    if (!family) return false;
    const Py_ssize_t tensors = s.op->schema.positional, extra = in.n - tensors;
    const Py_ssize_t numbers = family->numbers[1] ? 2 : 1;
    if (extra < 1 || extra > numbers) return false;

    // Positions: which number stands there, or -1.
    std::vector<int> number_at(size_t(in.n), -1);
    const bool leads = family->first_leads && !is_method(s.form);
    number_at[leads ? 0 : 1] = 0;
    if (extra == 2) number_at[2] = 1;

    std::vector<PyObject*> values, moved;
    std::vector<std::string> order;
    for (Py_ssize_t i = 0; i < in.n; ++i) {
        const int number = number_at[size_t(i)];
        if (number >= 0) order.push_back(str("Number ", family->numbers[size_t(number)]));
        else order.push_back("Tensor " + std::string(PyUnicode_AsUTF8(s.names[values.size()])));
        (number < 0 ? values : moved).push_back(in.args[i]);
    }
    const Py_ssize_t given = in.keywords();
    Ref names = checked(PyTuple_New(extra + given));
    for (Py_ssize_t i = 0; i < extra; ++i)
        PyTuple_SET_ITEM(names.get(), i, checked(PyUnicode_InternFromString(family->numbers[size_t(i)])).detach());
    values.insert(values.end(), moved.begin(), moved.end());
    for (Py_ssize_t i = 0; i < given; ++i) {
        PyTuple_SET_ITEM(names.get(), extra + i, Py_NewRef(PyTuple_GET_ITEM(in.names, i)));
        values.push_back(in.args[in.n + i]);
    }
    const Arguments now{values.data(), tensors, names.get()};
    Call call;
    if (!parse(s, now, call)) return false;
    warn_once(s, order);
    retry(now);
    return true;
}

}  // namespace fb::py

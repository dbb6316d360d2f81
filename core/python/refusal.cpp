// What a call is told that fits no overload, in PyTorch's words. PyTorch looks at the overloads that the number of
// arguments allows: a single one explains itself, otherwise all are listed. The operator table often has one entry
// where PyTorch has several overloads, so those are told apart here.
#include <algorithm>
#include <unordered_map>
#include "python/parse.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

// Overloads that cannot be read from the table's entries. Forms: f function, m method, i in-place, o takes out=.
struct Told {
    std::string_view forms, names;  // names that share the row, between blanks
    const char* schema;
};
#define FB_FACTORY "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None)"
#define FB_BOUNDS "bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None"
constexpr Told kTold[] = {
    {"fo", " addmm ", "(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1)"},
    {"fo", " addmm ",
     "(Tensor self, Tensor mat1, Tensor mat2, ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1)"},
    {"fo", " baddbmm ", "(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1)"},
    {"fo", " baddbmm ",
     "(Tensor self, Tensor batch1, Tensor batch2, ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1)"},
    {"fo", " bmm mm dsmm spmm ", "(Tensor self, Tensor mat2)"},
    {"fo", " bmm mm dsmm spmm ", "(Tensor self, Tensor mat2, ScalarType out_dtype)"},
    {"fo", " arange ", "(Scalar end, *, " FB_FACTORY},
    {"f", " arange ", "(Scalar start, Scalar end, *, " FB_FACTORY},
    {"fo", " arange ", "(Scalar start, Scalar end, Scalar step=1, *, " FB_FACTORY},
    {"fo", " linspace ", "(Tensor start, Tensor end, int steps, *, " FB_FACTORY},
    {"fo", " linspace ", "(Tensor start, Scalar end, int steps, *, " FB_FACTORY},
    {"fo", " linspace ", "(Scalar start, Tensor end, int steps, *, " FB_FACTORY},
    {"fo", " linspace ", "(Scalar start, Scalar end, int steps, *, " FB_FACTORY},
    {"fo", " logspace ", "(Tensor start, Tensor end, int steps, float base=10.0, *, " FB_FACTORY},
    {"fo", " logspace ", "(Tensor start, Scalar end, int steps, float base=10.0, *, " FB_FACTORY},
    {"fo", " logspace ", "(Scalar start, Tensor end, int steps, float base=10.0, *, " FB_FACTORY},
    {"fo", " logspace ", "(Scalar start, Scalar end, int steps, float base=10.0, *, " FB_FACTORY},
    {"fm", " count_nonzero ", "(Tensor self, int? dim=None)"},
    {"fm", " count_nonzero ", "(Tensor self, int[] dim)"},
    {"f", " trapezoid cumulative_trapezoid trapz ", "(Tensor y, Tensor x, *, int dim=-1)"},
    {"f", " trapezoid cumulative_trapezoid ", "(Tensor y, *, Scalar dx=1, int dim=-1)"},
    {"f", " trapz ", "(Tensor y, *, float dx=1, int dim=-1)"},
    {"fo", " div divide ", "(Operand self, Operand other)"},
    {"fo", " div divide ", "(Operand self, Operand other, *, str rounding_mode)"},
    {"f", " divide ", "(Tensor self, Scalar other)"},
    {"f", " div divide ", "(Tensor self, Scalar other, *, str rounding_mode)"},
    {"mi", " div divide ", "(Tensor self, Operand other)"},
    {"mi", " div divide ", "(Tensor self, Operand other, *, str rounding_mode)"},
    {"mi", " divide ", "(Tensor self, Scalar other)"},
    {"mi", " div divide ", "(Tensor self, Scalar other, *, str rounding_mode)"},
    {"fo", " true_divide multiply floor_divide ", "(Operand self, Operand other)"},
    {"f", " true_divide multiply floor_divide ", "(Tensor self, Scalar other)"},
    {"mi", " true_divide multiply floor_divide ", "(Tensor self, Operand other)"},
    {"mi", " true_divide multiply floor_divide ", "(Tensor self, Scalar other)"},
    {"fmio", " subtract ", "(Operand self, Operand other, *, Scalar alpha=1)"},
    {"fmi", " subtract ", "(Tensor self, Scalar other, Scalar alpha=1)"},
    {"f", " rsub ", "(Tensor self, Tensor other, *, Scalar alpha=1)"},
    {"f", " rsub ", "(Tensor self, Scalar other, Scalar alpha=1)"},
    {"fmi", " ldexp ", "(Tensor self, Tensor other)"},
    {"f", " embedding_bag ",
     "(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq, int mode, bool sparse, "
     "Tensor? per_sample_weights, bool include_last_offset, int? padding_idx)"},
    {"f", " embedding_bag ",
     "(Tensor weight, Tensor indices, Tensor offsets, " FB_BOUNDS ", bool include_last_offset=False)"},
    {"fo", " histogram ", "(Tensor self, Tensor bins, *, Tensor? weight=None, bool density=False) -> (Tensor, Tensor)"},
    {"fo", " histogram ",
     "(Tensor self, int bins=100, *, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor, "
     "Tensor)"},
    {"m", " histogram ", "(Tensor self, Tensor bins, *, Tensor? weight=None, bool density=False)"},
    {"m", " histogram ",
     "(Tensor self, int bins=100, *, float[]? range=None, Tensor? weight=None, bool density=False)"},
    {"fo", " isin ", "(Tensor elements, Tensor test_elements, *, bool assume_unique=False, bool invert=False)"},
    {"fo", " isin ", "(Scalar element, Tensor test_elements, *, bool assume_unique=False, bool invert=False)"},
    {"fo", " isin ", "(Tensor elements, Scalar test_element, *, bool assume_unique=False, bool invert=False)"},
    {"fo", " searchsorted ",
     "(Tensor sorted_sequence, Tensor self, *, bool out_int32=False, bool right=False, str? side=None, "
     "Tensor? sorter=None)"},
    {"fo", " searchsorted ",
     "(Tensor sorted_sequence, Scalar self, *, bool out_int32=False, bool right=False, str? side=None, "
     "Tensor? sorter=None)"},
    {"fo", " bucketize ", "(Tensor self, Tensor boundaries, *, bool out_int32=False, bool right=False)"},
    {"f", " bucketize ", "(Scalar self, Tensor boundaries, *, bool out_int32=False, bool right=False)"},
    {"fm", " moveaxis ", "(Tensor self, int source, int destination)"},
    {"fm", " moveaxis ", "(Tensor self, int[] source, int[] destination)"},
    {"fo", " nuclear_norm ", "(Tensor self, int[2] dim, bool keepdim=False)"},
    {"fo", " nuclear_norm ", "(Tensor self, bool keepdim=False)"},
    {"f", " native_norm ", "(Tensor self, Scalar p=2)"},
    {"f", " native_norm ", "(Tensor self, Scalar? p, int[1] dim, bool keepdim, ScalarType? dtype)"},
    {"f", " prod ", "(Tensor self, *, ScalarType? dtype=None)"},
    {"fo", " prod ", "(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None)"},
    {"fm", " repeat_interleave ", "(Tensor self, Tensor repeats, int? dim=None, *, int? output_size=None)"},
    {"f", " repeat_interleave ", "(Tensor repeats, *, int? output_size=None)"},
    {"fm", " repeat_interleave ", "(Tensor self, int repeats, int? dim=None, *, int? output_size=None)"},
    {"f", " result_type ", "(Tensor tensor, Tensor other)"},
    {"f", " result_type ", "(Scalar scalar, Tensor tensor)"},
    {"f", " result_type ", "(Tensor tensor, Scalar other)"},
    {"f", " result_type ", "(Scalar scalar1, Scalar scalar2)"},
    {"fmo", " sort ", "(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> (Tensor, Tensor)"},
    {"fmo", " sort ", "(Tensor self, int dim=-1, bool descending=False) -> (Tensor, Tensor)"},
    {"fo", " squeeze_copy ", "(Tensor self)"},
    {"fo", " squeeze_copy ", "(Tensor self, int dim)"},
    {"fo", " squeeze_copy ", "(Tensor self, int[] dim)"},
    {"fo", " view_copy ", "(Tensor self, ScalarType dtype)"},
    {"fo", " view_copy ", "(Tensor self, int[] size)"},
    {"fmo", " std var ", "(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False)"},
    {"fmo", " std var ", "(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False)"},
    {"fm", " std var ", "(Tensor self, bool unbiased=True)"},
    {"f", " std_mean var_mean ", "(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False)"},
    {"f", " std_mean var_mean ", "(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False)"},
    {"f", " std_mean var_mean ", "(Tensor self, bool unbiased=True)"},
    {"f", " where ", "(Tensor condition)"},
    {"fo", " where ", "(Tensor condition, Tensor self, Tensor other)"},
    {"f", " where ", "(Tensor condition, Scalar self, Tensor other)"},
    {"f", " where ", "(Tensor condition, Tensor self, Scalar other)"},
    {"f", " where ", "(Tensor condition, Scalar self, Scalar other)"},
    {"m", " copy_ ", "(Tensor self, Tensor other, bool non_blocking=False)"},
    {"fo", " linalg_cond ", "(Tensor self, Scalar? p=None)"},
    {"fo", " linalg_cond ", "(Tensor self, str p)"},
    {"fo", " linalg_matrix_rank ", "(Tensor self, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False)"},
    {"fo", " linalg_matrix_rank ", "(Tensor self, *, float? atol=None, float? rtol=None, bool hermitian=False)"},
    {"fo", " linalg_matrix_rank ", "(Tensor self, Tensor tol, bool hermitian=False)"},
    {"fo", " linalg_matrix_rank ", "(Tensor self, float tol, bool hermitian=False)"},
    {"fo", " linalg_pinv ", "(Tensor self, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False)"},
    {"fo", " linalg_pinv ", "(Tensor self, *, float? atol=None, float? rtol=None, bool hermitian=False)"},
    {"fo", " linalg_pinv ", "(Tensor self, Tensor rcond, bool hermitian=False)"},
    {"fo", " linalg_pinv ", "(Tensor self, float rcond, bool hermitian=False)"},
    {"fo", " upsample_bicubic2d upsample_bilinear2d ",
     "(Tensor self, int[2] output_size, bool align_corners, float? scales_h=None, float? scales_w=None)"},
    {"fo", " upsample_linear1d ", "(Tensor self, int[1] output_size, bool align_corners, float? scales=None)"},
    {"fo", " upsample_trilinear3d ",
     "(Tensor self, int[3] output_size, bool align_corners, float? scales_d=None, float? scales_h=None, "
     "float? scales_w=None)"},
    {"f", " upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_trilinear3d ",
     "(Tensor input, int[]? output_size, bool align_corners, float[]? scale_factors)"},
    {"fo", " upsample_nearest1d ", "(Tensor self, int[1] output_size, float? scales=None)"},
    {"fo", " upsample_nearest2d ", "(Tensor self, int[2] output_size, float? scales_h=None, float? scales_w=None)"},
    {"fo", " upsample_nearest3d ",
     "(Tensor self, int[3] output_size, float? scales_d=None, float? scales_h=None, float? scales_w=None)"},
    {"f", " upsample_nearest1d upsample_nearest2d upsample_nearest3d ",
     "(Tensor input, int[]? output_size, float[]? scale_factors)"},
};
#undef FB_FACTORY
#undef FB_BOUNDS

// Overloads that PyTorch keeps for old programs: they are not shown, but with them a wrong number of arguments has
// no single reason.
bool has_old_form(std::string_view name) {
    static constexpr std::string_view all[] = {"add",   "sub",  "addbmm",  "addcdiv", "addcmul",  "addmm",
                                               "addmv", "addr", "baddbmm", "copy_",   "sspaddmm", "saddmm"};
    return std::ranges::find(all, name) != std::end(all);
}

// An entry as PyTorch has it: one overload each for tensors and numbers, with and without a generator.
void add_as_told(Overloads& to, const Signature& s) {
    const Schema& schema = s.op->schema;
    auto add_with = [&](auto&& change, bool out) {
        Schema changed = schema;
        for (size_t i = 0; i < changed.args.size(); ++i) change(changed.args[i], i);
        to.add(std::move(changed), s.form, out);
    };
    const bool operands = !works_on_numbers(schema.name) &&
                          std::ranges::any_of(schema.args, [](const Arg& a) { return a.kind == Kind::Operand; });
    if (operands) {
        auto as = [](Arg& a, Kind k) {
            if (a.kind == Kind::Operand) a.kind = k;
        };
        add_with([&](Arg& a, size_t) { as(a, Kind::Tensor); }, s.has_out);
        if (schema.args[0].kind == Kind::Operand && schema.args.size() > 1 && s.form == Form::Function) {
            const bool out = !schema.name.starts_with("bitwise_") && schema.name != "remainder";
            add_with([&](Arg& a, size_t i) { as(a, i ? Kind::Tensor : Kind::Scalar); }, s.has_out && out);
        }
        add_with([&](Arg& a, size_t i) { as(a, i ? Kind::Scalar : Kind::Tensor); }, s.has_out);
        return;
    }
    if (s.factory && schema.index_of("generator") >= 0) {
        auto must = [](Arg& a, size_t) {
            if (a.kind == Kind::Generator) a.has_default = a.optional = false;
        };
        add_with(must, s.has_out);
        Schema without = schema;
        std::erase_if(without.args, [](const Arg& a) { return a.kind == Kind::Generator; });
        to.add(std::move(without), s.form, s.has_out);
        return;
    }
    to.add(schema, s.form, s.has_out);
}

Overloads overloads_of(const std::vector<Signature>& all) {
    const Schema& s = all[0].op->schema;
    Overloads told = told_overloads(s.space, s.name, all[0].form);
    if (told.list.empty())
        for (const Signature& each : all) add_as_told(told, each);
    return told;
}

// Keywords in the order of PyTorch's messages: that of a hash table.
std::vector<std::pair<std::string, PyObject*>> shown_keywords(const Arguments& in) {
    std::unordered_map<std::string, PyObject*> table;
    for (Py_ssize_t i = 0; i < in.keywords(); ++i)
        table.emplace(PyUnicode_AsUTF8(PyTuple_GET_ITEM(in.names, i)), in.args[in.n + i]);
    return {table.begin(), table.end()};
}

// The keywords that PyTorch calls unknown: it looks for k of them among the last k arguments only.
std::string unknown_keywords(const Signature& s, const std::vector<std::pair<std::string, PyObject*>>& keywords) {
    std::vector<std::string> names;
    for (size_t i = size_t(s.first_shown); i < s.names.size(); ++i) names.push_back(PyUnicode_AsUTF8(s.names[i]));
    if (s.has_out) names.push_back("out");
    const auto from = names.end() - std::min(std::ssize(keywords), std::ssize(names));
    std::string unknown;
    for (const auto& [key, value] : keywords)
        if (std::find(from, names.end(), key) == names.end()) unknown += (unknown.empty() ? "" : ", ") + key;
    return unknown;
}

std::string not_fitting(const std::vector<Signature>& all, const Arguments& in) {
    const Py_ssize_t skip = all[0].first_shown;
    const bool one = all.size() == 1;
    std::string text = all[0].shown + "() received an invalid combination of arguments - got ";
    const auto keywords = shown_keywords(in);
    if (one)
        if (const std::string unknown = unknown_keywords(all[0], keywords); !unknown.empty())
            return text + "unrecognized keyword arguments: " + unknown;
    text += "(";
    for (Py_ssize_t i = skip; i < in.n; ++i) text += (i > skip ? ", " : "") + type_name(in.args[i]);
    for (const auto& [key, value] : keywords) {
        const bool positional = in.n > skip;
        if (positional) text += ", ";
        text += str(key, "=", type_name(value));
        if (!positional) text += ", ";
    }
    if (one) return text + "), but expected " + all[0].text();
    text += "), but expected one of:";
    for (const Signature& s : all) text += "\n * " + s.text();
    return text + "\n";
}

}  // namespace

void Overloads::add(Schema schema, Form form, bool out) {
    auto op = std::make_unique<Op>();
    op->schema = std::move(schema);
    op->has_out = out;
    list.emplace_back(*op, form);
    ops.push_back(std::move(op));
}

Overloads told_overloads(const std::string& space, const std::string& name, Form form) {
    const std::string key = " " + (space.empty() || space == "nn" ? "" : space + "_") + name + " ";
    const char wanted = form == Form::Function ? 'f' : form == Form::Method ? 'm' : 'i';
    Overloads told;
    for (const Told& t : kTold) {
        if (t.forms.find(wanted) == t.forms.npos || t.names.find(key) == t.names.npos) continue;
        std::string text = name + t.schema;
        if (!text.ends_with(")") || text.find(") -> (") == text.npos) text += " -> Tensor";
        Schema schema = parse_schema(text);
        schema.space = space;
        schema.name = name;
        told.add(std::move(schema), form, wanted == 'f' && t.forms.find('o') != t.forms.npos);
    }
    return told;
}

void check_self(const std::string& name, const Arguments& in) {
    if (in.n == 0) raise(PyExc_TypeError, "unbound method TensorBase." + name + "() needs an argument");
    if (!is_tensor(in.args[0]))
        raise(PyExc_TypeError, "descriptor '" + name + "' for 'torch._C.TensorBase' objects doesn't apply to a '" +
                                   type_name(in.args[0]) + "' object");
}

void raise_no_match(const std::vector<Signature>& all, const Arguments& in) {
    const std::string& name = all[0].shown;
    if (is_method(all[0].form) && all.size() == 1 && all[0].names.size() == 1) {  // Python's own errors
        const std::string method = "TensorBase." + name;
        if (in.keywords()) raise(PyExc_TypeError, method + "() takes no keyword arguments");
        if (in.n > 1) raise(PyExc_TypeError, str(method, "() takes no arguments (", in.n - 1, " given)"));
    }
    const Overloads told = overloads_of(all);
    const Py_ssize_t given = in.n - all[0].first_shown + in.keywords();
    auto plausible = [&](const Signature& s) { return given >= s.least() && given <= s.most(); };
    const bool alone = told.list.size() == 1 && !has_old_form(all[0].op->schema.name);
    if (alone || std::ranges::count_if(told.list, plausible) == 1) {
        const Signature& only = alone ? told.list[0] : *std::ranges::find_if(told.list, plausible);
        Call call;
        std::string why;
        if (!parse(only, in, call, &why) && !why.empty()) raise(PyExc_TypeError, name + "()" + why);
    }
    raise(PyExc_TypeError, not_fitting(told.list, in));
}

}  // namespace fb::py

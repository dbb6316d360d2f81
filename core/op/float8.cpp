// Float8 tensors are moved, filled, compared and converted; what computes refuses them by the name that PyTorch's
// kernel has in its message. An operator that is missing from the tables is left to its own kernel, which has no loop
// for these types; it must stand here if it would read their bytes as something else, or if its name differs.
#include "op/float8.h"
#include <algorithm>
#include <unordered_map>

namespace fb {
namespace {

constexpr std::string_view kWidened = "mul mm addmm addbmm linear all any isnan isinf isfinite float_power index_put";

// Pairs of an operator and the kernel's name. With + the types of several tensors are promoted, which float8 takes no
// part in; with * the operator has nothing to do for one number or for none.
constexpr std::string_view kRefused = R"(
trace trace
+add add_stub +sub add_stub rsub add_stub +clamp_max clamp +clamp_min clamp +clamp clamp +clip clamp +addr addr_cpu
__rdiv__ reciprocal_cpu +div div +true_divide div +floor_divide div_floor +ldexp pow +max.other maximum_cpu
+min.other minimum_cpu
acosh acosh_cpu asinh asinh_cpu atanh atanh_cpu cosh cosh_cpu sinh sinh_cpu sgn sign_cpu isposinf isposinf_cpu
isneginf isneginf_cpu rad2deg mul_cpu_reduced_float deg2rad mul_cpu_reduced_float frexp frexp_cpu
polygamma polygamma isclose mul_cpu_reduced_float allclose mul_cpu_reduced_float
addmv addmv_impl_cpu mv addmv_impl_cpu baddbmm baddbmm dot dot vdot dot cross cross
sum sum_cpu mean sum_cpu min min_all max max_all *min.dim min_cpu *max.dim max_cpu amin min_values_cpu amax max_values_cpu
*aminmax aminmax_cpu argmin argmin_cpu argmax argmax_cpu logsumexp max_values_cpu *prod prod_out_cpu
vector_norm norm_cpu std std_cpu var std_cpu std_mean std_cpu var_mean std_cpu *count_nonzero nonzero_count_cpu
*cumsum cumsum_out_cpu *cumprod cumprod_out_cpu *cummax cummax_cpu *cummin cummin_cpu
nonzero nonzero_count_cpu nonzero_numpy nonzero_count_cpu
median median_cpu median.dim median_out nanmedian median_cpu nanmedian.dim median_out *mode mode_cpu
*kthvalue kthvalue_cpu sort sorting_kernel_method_name argsort sorting_kernel_method_name
msort sorting_kernel_method_name *topk topk_cpu isin isin_default_cpu _unique2 unique unique_dim unique
_unique_consecutive unique bucketize searchsorted_out_cpu +searchsorted searchsorted_out_cpu
*gather scatter_gather_tensor_cpu scatter scatter_gather_tensor_cpu scatter.value scatter_gather_scalar_cpu
scatter_add scatter_gather_tensor_cpu scatter_reduce scatter_gather_tensor_cpu
index_fill index_fill_cpu index_copy index_copy_cpu index_add index_add_ index_reduce index_func_
masked_fill masked_fill masked_scatter masked_scatter put take_put_cpu *take take_cpu tril tril triu triu
*flip flip_cpu hash_tensor xor_sum_cpu
_adaptive_avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool3d_cpu
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool2d adaptive_avg_pool2d
adaptive_avg_pool3d adaptive_avg_pool3d_cpu adaptive_max_pool1d adaptive_max_pool2d
adaptive_max_pool2d adaptive_max_pool2d adaptive_max_pool3d adaptive_max_pool3d_cpu avg_pool1d avg_pool2d
avg_pool2d avg_pool2d avg_pool3d avg_pool3d_out_frame max_pool1d max_pool2d max_pool2d max_pool2d
max_pool3d max_pool3d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool2d
max_pool3d_with_indices max_pool3d max_unpool2d max_unpool2d max_unpool3d max_unpool3d
fractional_max_pool2d check_uniform_bounds fractional_max_pool3d check_uniform_bounds
conv1d slow_conv2d_cpu conv2d slow_conv2d_cpu conv3d slow_conv3d_cpu
conv_transpose1d slow_conv_transpose2d_out_cpu conv_transpose2d slow_conv_transpose2d_out_cpu
conv_transpose3d slow_conv_transpose3d_out_cpu im2col im2col_out_cpu col2im col2im_out_cpu
channel_shuffle channel_shuffle pixel_shuffle pixel_shuffle pixel_unshuffle pixel_unshuffle
reflection_pad1d reflection_pad1d reflection_pad2d reflection_pad2d reflection_pad3d reflection_pad3d
replication_pad1d replication_pad1d replication_pad2d replication_pad2d replication_pad3d replication_pad3d
glu glu_cpu hardshrink hardshrink_cpu softshrink softshrink_check hardtanh clamp_scalar_cpu relu clamp_min_scalar_cpu
relu6 clamp_scalar_cpu threshold threshold_cpu rrelu rrelu_with_noise_out_cpu rms_norm rms_norm
nll_loss nll_loss_out_frame binary_cross_entropy binary_cross_entropy mvlgamma arange_cpu
_softmax_backward_data softmax_backward_lastdim_kernel_impl
_log_softmax_backward_data log_softmax_backward_lastdim_kernel_impl
_cholesky_inverse cholesky_inverse_out_cpu _cholesky_solve cholesky_solve_cpu householder_product orgqr_cpu
ldl_solve ldl_solve_kernel_cpu
binomial binomial_cpu uniform_ check_uniform_bounds normal_ normal_kernel_cpu random_ random_kernel_cpu bernoulli bernoulli_tensor_cpu_self_
bernoulli_ bernoulli_scalar_cpu_ exponential_ exponential_cpu cauchy_ cauchy_cpu geometric_ geometric_cpu
log_normal_ log_normal_cpu rand_like check_uniform_bounds randn_like normal_kernel_cpu randint_like random_update_from_to
)";
// Of float4_e2m1fn_x2, which cannot be converted.
constexpr std::string_view kRefusedPairs =
    "mul mul_cpu mm addmm_impl_cpu_ addmm addmm_impl_cpu_ matmul addmm_impl_cpu_ linear addmm_impl_cpu_ all copy_ any "
    "copy_ "
    "isinf isinf isfinite isfinite index_select index_select index index_cpu index_put index_put "
    "equal equal_notnan_cpu abs abs_cpu";

struct Rule {
    std::string_view kernel;  // empty: widened
    bool promotes = false, nothing_to_do = false;
};
using Rules = std::unordered_map<std::string_view, Rule>;

std::string_view next_word(std::string_view& text) {
    const size_t from = text.find_first_not_of(" \n");
    if (from == text.npos) return {};
    const size_t to = std::min(text.find_first_of(" \n", from), text.size());
    const std::string_view word = text.substr(from, to - from);
    text.remove_prefix(to);
    return word;
}
Rules rules_of(std::string_view refused, std::string_view widened) {
    Rules r;
    for (std::string_view w; !(w = next_word(widened)).empty();) r[w] = {};
    for (std::string_view w; !(w = next_word(refused)).empty();) {
        const bool promotes = w[0] == '+', nothing = w[0] == '*';
        r[w.substr(promotes || nothing)] = {next_word(refused), promotes, nothing};
    }
    return r;
}
const Rule* rule_of(const Op& op, DType t) {
    static const Rules float8 = rules_of(kRefused, kWidened), pairs = rules_of(kRefusedPairs, "");
    const auto find = [&](const Rules& rules) -> const Rule* {
        const Schema& s = op.schema;
        auto i = s.overload.empty() ? rules.end() : rules.find(s.name + "." + s.overload);
        if (i == rules.end()) i = rules.find(s.name);
        return i == rules.end() ? nullptr : &i->second;
    };
    const Rule* const r = t == DType::f4x2 ? find(pairs) : nullptr;
    return r ? r : find(float8);
}

[[noreturn]] void refuse(std::string_view kernel, DType t) {
    fail(ErrorKind::NotImplemented, "\"", kernel, "\" not implemented for '", scalar_name(t), "'");
}

// What the tensors of a call are.
struct Operands {
    std::vector<const Tensor*> all;
    DType type = DType::none;  // the first float8
    bool meta = true;          // none of those has elements anywhere
    bool mixed = false;        // one of another floating type is beside it
    bool chosen = false;       // the caller gave another type to compute in
    bool complex = false;      // a complex number is among the arguments

    Operands(const Op& op, const Frame& f) {
        for (size_t i = 0; i < op.schema.args.size(); ++i) {
            const Value& v = f.args[i];
            if (v.is_tensor()) all.push_back(&v.tensor());
            else if (v.tag == Tag::Tensors)
                for (const Tensor& t : v.tensors())
                    if (t.defined()) all.push_back(&t);
            complex |= v.tag == Tag::Complex;
            chosen |= v.tag == Tag::DType && v.dt != DType::none && !is_float8(v.dt);
        }
        bool has_dims = false;
        for (const Tensor* t : all) {
            if (!is_float8(t->dtype())) continue;
            if (type == DType::none) type = t->dtype();
            meta &= t->is_meta();
            has_dims |= t->dim() > 0;
        }
        for (const Tensor* t : all)  // the type of one number gives way
            mixed |= t->dtype() != type && (t->dim() > 0 || !has_dims) &&
                     (is_floating(t->dtype()) || is_complex(t->dtype()));
    }
    const Tensor& operator[](size_t i) const { return *all[i]; }
    bool one_number(size_t i) const { return i >= all.size() || all[i]->numel() == 1; }
};

// Products are those of matrices: vectors and batches have kernels of their own.
void check_product(const Operands& o) {
    const int64_t a = o[0].dim(), b = o[1].dim();
    if (a == 0 || b == 0) return;
    if (a == 1 && b == 1) refuse("dot", o.type);
    if (b == 1) refuse("addmv_impl_cpu", o.type);
    if (b == 2) return;
    const int64_t rows = a > 1 ? o[0].sizes()[size_t(a - 2)] : 1;
    refuse(rows * o[1].sizes()[size_t(b - 2)] * o[1].sizes()[size_t(b - 1)] < 400 ? "bmm" : "baddbmm_with_gemm",
           o.type);
}

std::string kernel_of_division(const Op& op, const Frame& f, const Operands& o) {
    if (!f.args[0].is_tensor()) return "reciprocal_cpu";
    std::string_view way = op.schema.name == "floor_divide" ? "floor" : "";
    for (size_t i = 0; i < op.schema.args.size(); ++i)
        if (f.args[i].tag == Tag::String) way = f.args[i].string();
    return str("div_", way, way.empty() ? "" : "_", "cpu", o.one_number(1) ? "_reduced_float" : "");
}
const char* kernel_of_clamp(const Op& op, const Frame& f, const Operands& o) {
    const bool both = op.schema.args.size() > 2;
    const bool low = both ? !f.args[1].is_none() : op.schema.name.ends_with("min");
    const bool high = both ? !f.args[2].is_none() : !low, tensors = o.all.size() > 1;
    if (low && high) return tensors ? "clamp_cpu" : "clamp_scalar_cpu";
    if (tensors) return low ? "maximum_cpu" : "minimum_cpu";
    return low ? "clamp_min_scalar_cpu" : "clamp_max_scalar_cpu";
}

}  // namespace

Float8Use float8_use(const Op& op, const Frame& f) {
    const Operands o(op, f);
    const std::string& name = op.schema.name;
    const Rule* const rule = rule_of(op, o.type);
    if (!rule && name != "matmul" && name != "bmm") return Float8Use::as_is;
    if (o.meta) return op.takes_lazy || o.type == DType::f4x2 ? Float8Use::as_is : Float8Use::widened;
    if (o.complex && rule && (name == "mul" || rule->promotes)) (void)opn<"result_type">(o[0], Scalar(C128{0, 1}));
    if (o.mixed) {
        if (rule && rule->promotes && o.all.size() > 1) (void)opn<"result_type">(o[0], o[1]);
        return Float8Use::as_is;
    }
    if (name == "matmul" || name == "bmm") check_product(o);
    if (rule && !rule->kernel.empty()) {
        if (o.chosen) return Float8Use::widened;
        if (rule->nothing_to_do && (o[0].dim() == 0 || o[0].numel() == 0)) return Float8Use::as_is;
        if (rule->kernel == "clamp") refuse(kernel_of_clamp(op, f, o), o.type);
        if (rule->kernel.starts_with("div")) refuse(kernel_of_division(op, f, o), o.type);
        refuse(rule->kernel, o.type);
    }
    if (o.type == DType::f4x2) return Float8Use::as_is;
    if (name == "mul" && o.one_number(1)) refuse("mul_cpu_reduced_float", o.type);
    if (name.starts_with("is") && name != "isnan" && o.type != DType::f8e5m2) {
        if (name == "isfinite" && o.type == DType::f8e8m0) return Float8Use::as_is;
        refuse(name, o.type);
    }
    if (o.type == DType::f8e8m0 && (name == "matmul" || name == "linear" || name.ends_with("mm")))
        refuse("addmm_impl_cpu_", o.type);
    return Float8Use::widened;
}

}  // namespace fb

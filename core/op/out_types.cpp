#include "op/out_types.h"
#include <string>
#include "base/error.h"
#include "base/names.h"

namespace fb {
namespace {

enum class Takes { Same, Castable, Complex, Real, Bool };
struct Rule {
    Takes takes;
    const char* text;  // %w: the dtype of the result, %o: of out; %W and %O: as C++ calls them; %n: the operator
    const char* ops;
};
constexpr Rule kRules[] = {
    {Takes::Same, "Expected out tensor to have dtype %W, but got %O instead",
     " slogdet addmm addmv baddbmm bmm cross expand_copy diag diagonal_copy alias_copy isin lu_unpack lu_solve matmul "
     "softmax aminmax as_strided_copy avg_pool2d avg_pool3d linear topk mm view_copy permute_copy qr slice_scatter "
     "split_with_sizes_copy triangular_solve svd gather index_copy index_add index_reduce sort scatter scatter_add "
     "unbind_copy unfold_copy msort renorm squeeze_copy take_along_dim unsqueeze_copy transpose_copy tril triu "
     "log_softmax norm t_copy argmax argmin argsort scatter_reduce linalg_cross linalg_det linalg_cholesky "
     "linalg_cholesky_ex linalg_eigh linalg_eigvalsh linalg_ldl_factor linalg_ldl_factor_ex linalg_ldl_solve "
     "linalg_qr linalg_slogdet linalg_vector_norm linalg_lu_factor linalg_lu_factor_ex linalg_lu linalg_lu_solve "
     "linalg_inv linalg_inv_ex inverse linalg_solve linalg_solve_ex linalg_svd linalg_svdvals frobenius_norm det "},
    {Takes::Same, "Found dtype %o but expected %w",
     " hardshrink abs bitwise_not ceil conj_physical frac floor softshrink gelu neg round sign sgn trunc softplus "},
    {Takes::Same, "dtype %w does not match dtype of out parameter (%o)",
     " arange range linspace logspace ones zeros full eye fft_fftfreq fft_rfftfreq "},
    {Takes::Same, "expected scalar_type %w but found %o", " cummax cummin diff logcumsumexp "},
    {Takes::Same, "expected scalar type %w but found %o",
     " native_batch_norm log_sigmoid logsigmoid linalg_solve_triangular "},
    {Takes::Same, "%n: Expected out tensor to have scalar type %w but got scalar type%o", " nonzero nonzero_static "},
    {Takes::Same, "Expected the dtype for input and out to match, but got %w for input's dtype and %o for out's dtype.",
     " amax amin "},
    {Takes::Same, "result dtype %o does not match input dtype %w", " dot vdot "},
    {Takes::Same, "Expected object of scalar type %w but got scalar type %o for argument 'out'", " complex polar "},
    {Takes::Same, "%n does not support non-boolean outputs.", " signbit isposinf isneginf "},
    {Takes::Same, "linalg.%n expected out tensor dtype %w but got: %o", " linalg_norm linalg_matrix_norm "},
    {Takes::Same, "linalg.%n: Expected out of dtype%w but found %o", " linalg_vecdot "},
    {Takes::Same, "multi_dot(): expected out tensor to have dtype %W but got %O", " chain_matmul linalg_multi_dot "},
    {Takes::Same, "self and mat2 must have the same dtype, but got %o and %w", " addbmm "},
    {Takes::Same, "quantile() out tensor must be same dtype as the input tensor", " quantile nanquantile "},
    {Takes::Same, "%n(): self and result must have the same scalar type", " index_select "},
    {Takes::Same, "%n(): self and out expected to have the same dtype, but got self.dtype = %w and out.dtype = %o",
     " take "},
    {Takes::Same, "nan_to_num: dtype of out: %o should be same as input: %w", " nan_to_num "},
    {Takes::Same, "Expected result to be of dtype uint64, but got %o", " hash_tensor "},
    {Takes::Same, "tensordot: Expected the output tensor to have dtype %w, but got an output tensor with dtype %o",
     " tensordot "},
    {Takes::Same,
     "torch.ormqr: Expected input and result to have the same dtype, but input has dtype%w and result has "
     "dtype %o",
     " ormqr "},
    {Takes::Bool, "%n only supports bool tensor for result, got: %o", " all any "},
    {Takes::Same, "output values must be of same type as input", " kthvalue "},
    {Takes::Same, "heaviside is not yet implemented for tensors with different dtypes.", " heaviside "},
    {Takes::Castable, "%n: Expected result to be safely castable from %w dtype, but got result with dtype %o",
     " cholesky cholesky_inverse cholesky_solve linalg_matrix_power linalg_tensorinv linalg_tensorsolve "},
    {Takes::Castable, "linalg.%n: Expected result to be safely castable from %w dtype, but got result with dtype %o",
     " linalg_cond linalg_pinv "},
    {Takes::Castable, "result type %w can't be cast to the desired output type %O",
     " clamp_ clip_ clamp_min_ clamp_max_ "},
    {Takes::Castable,
     "torch.linalg.%n: Expected result to be safely castable from %w dtype, but got result with dtype %o",
     " linalg_householder_product linalg_matrix_rank "},
    {Takes::Complex, "%n expects a complex output tensor, but got %o",
     " fft_fft fft_fftn fft_rfft fft_rfftn fft_ifft fft_ihfft "},
    {Takes::Complex, "fftn expects a complex output tensor, but got %o", " fft_fft2 fft_ifft2 fft_ifftn "},
    {Takes::Complex, "rfftn expects a complex output tensor, but got %o", " fft_rfft2 "},
    {Takes::Complex, "ihfftn expects a complex output tensor, but got %o", " fft_ihfft2 fft_ihfftn "},
    {Takes::Real, "%n expects a floating point output tensor, but got %o", " fft_hfft fft_hfftn fft_irfft fft_irfftn "},
    {Takes::Real, "hfftn expects a floating point output tensor, but got %o", " fft_hfft2 "},
    {Takes::Real, "irfftn expects a floating point output tensor, but got %o", " fft_irfft2 "},
};

bool castable(DType a, DType b) {
    return !(is_complex(a) && !is_complex(b)) && !((is_floating(a) || is_complex(a)) && is_integral(b, true)) &&
           !(b == DType::b1 && a != DType::b1);
}
std::string text_of(const char* pattern, std::string_view op, DType result, DType out) {
    std::string r;
    for (const char* p = pattern; *p; ++p) {
        if (*p != '%') {
            r += *p;
            continue;
        }
        switch (*++p) {
            case 'w': r += scalar_name(result); break;
            case 'o': r += scalar_name(out); break;
            case 'W': r += cpp_name(result); break;
            case 'O': r += cpp_name(out); break;
            default: {  // without its namespace
                const size_t space = op.starts_with("linalg_") ? 7 : op.starts_with("fft_") ? 4 : 0;
                r += op.substr(space);
            }
        }
    }
    return r;
}
}  // namespace

void check_out_type(std::string_view op, int results, DType result, DType out) {
    if (result == out) return;
    const bool pair = (op == "max" || op == "min") && results == 2;  // of two tensors: any that can be cast to
    const std::string word = pair ? " sort " : " " + std::string(op) + " ";
    for (const Rule& rule : kRules) {
        if (std::string_view(rule.ops).find(word) == std::string_view::npos) continue;
        const bool fits = rule.takes == Takes::Castable  ? castable(result, out)
                          : rule.takes == Takes::Complex ? is_complex(out)
                          : rule.takes == Takes::Real    ? is_floating(out)
                          : rule.takes == Takes::Bool    ? itemsize(out) == 1 && out != DType::i8
                                                         : false;
        if (!fits) fail(ErrorKind::Runtime, text_of(rule.text, op, result, out));
    }
    if (!castable(result, out))
        fail(ErrorKind::Runtime, "result type ", result, " can't be cast to the desired output type ", out);
}

}  // namespace fb

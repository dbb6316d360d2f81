#include "op/autocast.h"
#include "op/dispatch.h"

#include <memory>
#include <string_view>
#include <unordered_map>

namespace fb {
namespace {

// PyTorch's lists, by the operator's name without namespace and overload. What is made of other operators and not
// listed here is cast inside.
constexpr std::string_view kLowerOnCpu[] = {
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolution",
    "_convolution",
    "mm",
    "bmm",
    "addmm",
    "addbmm",
    "baddbmm",
    "matmul",
    "linear",
    "vecdot",
    "prelu",
    "scaled_dot_product_attention",
    "_native_multi_head_attention",
};
constexpr std::string_view kFullOnCpu[] = {
    "adaptive_avg_pool3d",
    "avg_pool3d",
    "adaptive_max_pool3d",
    "max_pool3d",
    "max_unpool2d",
    "max_unpool3d",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "reflection_pad1d",
    "reflection_pad2d",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
    "grid_sampler",
    "grid_sampler_2d",
    "grid_sampler_3d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "cosine_embedding_loss",
    "nll_loss",
    "nll_loss2d",
    "nll_loss_nd",
    "hinge_embedding_loss",
    "poisson_nll_loss",
    "cross_entropy",
    "cross_entropy_loss",
    "margin_ranking_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "ctc_loss",
    "kl_div",
    "polar",
    "prod",
    "quantile",
    "nanquantile",
    "stft",
    "cdist",
    "trace",
    "view_as_complex",
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "inverse",
    "lu_solve",
    "orgqr",
    "ormqr",
    "pinverse",
    "geqrf",
    "fft",
    "ifft",
    "fft2",
    "ifft2",
    "fftn",
    "ifftn",
    "rfft",
    "irfft",
    "rfft2",
    "irfft2",
    "rfftn",
    "irfftn",
    "hfft",
    "ihfft",
    "cond",
    "matrix_rank",
    "solve",
    "cholesky_ex",
    "svd",
    "svdvals",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "qr",
    "householder_product",
    "tensorinv",
    "tensorsolve",
};
constexpr std::string_view kPromoteOnCpu[] = {"cat", "stack", "index_copy"};

constexpr std::string_view kLowerOnCuda[] = {
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolution",
    "_convolution",
    "mm",
    "bmm",
    "mv",
    "addmm",
    "addmv",
    "addr",
    "addbmm",
    "baddbmm",
    "matmul",
    "linear",
    "einsum",
    "vecdot",
    "multi_dot",
    "chain_matmul",
    "prelu",
    "scaled_dot_product_attention",
    "lstm_cell",
    "gru_cell",
    "rnn_tanh_cell",
    "rnn_relu_cell",
    "_thnn_fused_lstm_cell",
    "_thnn_fused_gru_cell",
};
constexpr std::string_view kFullOnCuda[] = {
    "acos",
    "asin",
    "cosh",
    "erfinv",
    "exp",
    "expm1",
    "log",
    "log10",
    "log2",
    "log1p",
    "reciprocal",
    "rsqrt",
    "sinh",
    "tan",
    "pow",
    "softplus",
    "softmax",
    "log_softmax",
    "softmin",
    "cumprod",
    "cumsum",
    "dist",
    "norm",
    "vector_norm",
    "matrix_norm",
    "prod",
    "sum",
    "renorm",
    "logsumexp",
    "layer_norm",
    "native_layer_norm",
    "group_norm",
    "rms_norm",
    "frobenius_norm",
    "nuclear_norm",
    "cosine_similarity",
    "cosine_embedding_loss",
    "cross_entropy",
    "cross_entropy_loss",
    "nll_loss",
    "nll_loss2d",
    "nll_loss_nd",
    "hinge_embedding_loss",
    "poisson_nll_loss",
    "kl_div",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "mse_loss",
    "margin_ranking_loss",
    "multilabel_margin_loss",
    "multi_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "binary_cross_entropy_with_logits",
    "cdist",
    "pdist",
    "stft",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_trilinear3d",
    "upsample_bicubic2d",
    "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d",
    "_upsample_nearest_exact3d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
};
constexpr std::string_view kPromoteOnCuda[] = {
    "addcdiv",      "addcmul",   "atan2",     "bilinear",    "cross", "dot",   "vdot",
    "grid_sampler", "index_put", "tensordot", "scatter_add", "cat",   "stack",
};

class Lists {
public:
    Lists() {
        fill(kLowerOnCpu, 0, Cast::lower);
        fill(kFullOnCpu, 0, Cast::full);
        fill(kPromoteOnCpu, 0, Cast::promote);
        fill(kLowerOnCuda, 1, Cast::lower);
        fill(kFullOnCuda, 1, Cast::full);
        fill(kPromoteOnCuda, 1, Cast::promote);
    }
    Cast of(std::string_view name, int device) const {
        const auto it = by_name_.find(name);
        return it == by_name_.end() ? Cast::none : it->second.on[device];
    }

private:
    struct Entry {
        Cast on[kAutocastDevices] = {};
    };
    template <size_t n>
    void fill(const std::string_view (&names)[n], int device, Cast how) {
        for (std::string_view name : names) by_name_[name].on[device] = how;
    }
    std::unordered_map<std::string_view, Entry> by_name_;
};
const Lists& lists() {
    static const Lists all;
    return all;
}

struct State {
    AutocastSetting on[kAutocastDevices] = {{false, DType::bf16}, {false, DType::f16}};
    bool cache_enabled = true;
    int nesting = 0;
    struct Kept {
        Tensor weight, cast;  // the weight is held so that its address stays its own
        uint32_t version;
    };
    std::unordered_map<TensorImpl*, Kept> cache;
};
State& state() {
    static thread_local std::unique_ptr<State> s;  // few threads use autocast
    if (!s) s = std::make_unique<State>();
    return *s;
}

// Autocast off for a scope.
class Without {
public:
    Without() : before_(tls.modes) { tls.modes &= uint8_t(~kAutocastMode); }
    ~Without() { tls.modes = before_; }
    Without(const Without&) = delete;
    Without& operator=(const Without&) = delete;

private:
    uint8_t before_;
};

bool eligible(const Tensor& t, DeviceType device) {
    return t.defined() && is_floating(t.dtype()) && t.dtype() != DType::f64 && t.device().type == device;
}

Tensor cast(const Tensor& t, DType to, DeviceType device) {
    if (!eligible(t, device) || t.dtype() == to) return t;
    State& s = state();
    TensorImpl& impl = *t.get();
    const bool weight = impl.requires_grad && !impl.grad_fn && !impl.base && t.dtype() == DType::f32;
    if (!weight || !s.cache_enabled || s.nesting == 0 || !tls.grad) return t.to(to);
    State::Kept& kept = s.cache[&impl];
    if (!kept.cast.defined() || kept.version != impl.version() || kept.cast.dtype() != to)
        kept = {t, t.to(to), impl.version()};
    return kept.cast;
}

template <class F>
void each_tensor(const Op& op, const Value* args, F&& f) {
    for (size_t i = 0; i < op.schema.args.size(); i++) {
        if (args[i].is_tensor()) f(args[i].tensor());
        else if (args[i].tag == Tag::Tensors)
            for (const Tensor& t : args[i].tensors()) f(t);
    }
}

// float32, unless all are of one lower precision.
DType widest(const Op& op, const Value* args, DeviceType device) {
    DType found = DType::none;
    each_tensor(op, args, [&](const Tensor& t) {
        if (eligible(t, device)) found = found == DType::none || found == t.dtype() ? t.dtype() : DType::f32;
    });
    return found == DType::none ? DType::f32 : found;
}

void call_cast(const Op& op, Frame& f, DType to, DeviceType device) {
    const size_t n = op.schema.args.size();
    std::vector<Value> values(f.args, f.args + n);
    std::vector<Tensor> kept(n);
    std::vector<std::vector<Tensor>> lists(n);
    for (size_t i = 0; i < n; i++) {
        if (values[i].is_tensor()) {
            kept[i] = cast(values[i].tensor(), to, device);
            values[i] = Value(kept[i]);
        } else if (values[i].tag == Tag::Tensors) {
            for (const Tensor& t : values[i].tensors()) lists[i].push_back(cast(t, to, device));
            values[i] = Value(TensorSpan(lists[i]));
        }
    }
    const Value* before = f.args;
    f.args = values.data();
    op.call(f);
    f.args = before;
}

void run_autocast(const Op& op, Frame& f) {
    Tensor first;
    each_tensor(op, f.args, [&](const Tensor& t) {
        if (!first.defined()) first = t;
    });
    const DeviceType device = first.defined() ? first.device().type : DeviceType::Meta;
    const int at = autocast_index(device);
    Cast how = Cast::none;
    // A result that is given keeps its dtype, so nothing is cast.
    if (at >= 0 && state().on[at].enabled && !f.given && !f.inplace) how = lists().of(op.schema.name, at);
    if (how == Cast::none) return call_below_autocast(op, f);
    const DType to = how == Cast::lower  ? state().on[at].dtype
                     : how == Cast::full ? DType::f32
                                         : widest(op, f.args, device);
    const Without casts;
    call_cast(op, f, to, device);
}

const bool installed = (autocast_mode = run_autocast, true);

}  // namespace

Cast autocast_of(std::string_view op_name, DeviceType device) {
    const int at = autocast_index(device);
    return at < 0 ? Cast::none : lists().of(op_name, at);
}
AutocastSetting autocast_setting(DeviceType device) {
    const int at = autocast_index(device);
    return at < 0 ? AutocastSetting{} : state().on[at];
}
void set_autocast_enabled(DeviceType device, bool enabled) {
    const int at = autocast_index(device);
    if (at < 0) fail(ErrorKind::Runtime, "autocast is not available on ", name(device));
    State& s = state();
    s.on[at].enabled = enabled;
    const bool any = s.on[0].enabled || s.on[1].enabled;
    tls.modes = uint8_t(any ? tls.modes | kAutocastMode : tls.modes & ~kAutocastMode);
}
void set_autocast_dtype(DeviceType device, DType dtype) {
    const int at = autocast_index(device);
    if (at < 0) fail(ErrorKind::Runtime, "autocast is not available on ", name(device));
    state().on[at].dtype = dtype;
}
bool autocast_cache_enabled() { return state().cache_enabled; }
void set_autocast_cache_enabled(bool enabled) { state().cache_enabled = enabled; }
void clear_autocast_cache() { state().cache.clear(); }
int change_autocast_nesting(int by) { return state().nesting += by; }

}  // namespace fb

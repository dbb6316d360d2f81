// What programs ask of a tensor, and operators whose words differ from the table's.
#include "cpu/random.h"
#include "runtime/words.h"

namespace fb::runtime {
const Tensor& tensor(const Arguments& a, size_t i) {
    const Tensor* t = as<Tensor>(a[i]);
    if (!t) fail(ErrorKind::Type, "expected a Tensor as argument ", i, " but found a ", type_name(a[i]));
    return *t;
}

namespace {

Any ints(IntSpan span) {
    std::vector<Any> items(span.begin(), span.end());
    return list(std::move(items));
}
Any size(const Arguments& a) { return a.size() > 1 ? Any(tensor(a).size(integer(a[1]))) : ints(tensor(a).sizes()); }
Any stride(const Arguments& a) {
    return a.size() > 1 ? Any(tensor(a).stride(integer(a[1]))) : ints(tensor(a).strides());
}
Any item(const Arguments& a) {
    const Tensor& t = tensor(a);
    check(t.numel() == 1, "a Tensor with ", t.numel(), " elements cannot be converted to Scalar");
    return from_scalar(t.item());
}
DType dtype_of(const Any& v) {
    const int64_t i = integer(v, "a dtype");
    if (i < 0 || i >= kDTypeLimit || !itemsize(DType(i)))
        fail(ErrorKind::NotImplemented, "the program names the dtype of number ", i, ", which flambeau lacks");
    return DType(i);
}
Any make_tensor(const Arguments& a) {
    return tensor_of(a[0], a.given(1, "dtype") ? dtype_of(*a.find(1, "dtype")) : DType::none);
}
Any number_to_tensor(const Arguments& a) { return tensor_of(a[0]); }

Any is_contiguous(const Arguments& a) { return tensor(a).is_contiguous(); }
Any is_signed(const Arguments& a) {
    const DType d = tensor(a).dtype();
    return !(d == DType::u8 || d == DType::u16 || d == DType::u32 || d == DType::u64 || d == DType::b1);
}
template <DeviceType Type>
Any lies_on(const Arguments& a) {
    return tensor(a).device().type == Type;
}
Any no(const Arguments&) { return false; }
Any none(const Arguments&) { return None{}; }

const Device& device(const Arguments& a) {
    const Device* d = as<Device>(a[0]);
    if (!d) fail(ErrorKind::Type, "expected a Device but found a ", type_name(a[0]));
    return *d;
}

Any device_index(const Arguments& a) { return device(a).index < 0 ? Any(None{}) : Any(int64_t(device(a).index)); }

// Older and newer ways of one call; the table has the arguments that change results.
Any convolution(const Arguments& a) {
    static const Overloads now = overloads_of("convolution");
    Arguments b{a.values, {}};
    b.values.resize(std::min<size_t>(b.size(), 9));
    return call_overloads(now, b);
}
Any type(const Arguments& a) { return tensor(a).to(dtype_of(a[1])); }
Any same_type(const Arguments& a) { return Any(tensor(a).to(tensor(a, 1).dtype())); }

// With a size, factors only refine where pixels lie; one size an axis, or a list of factors.
Any upsample(const Overloads& o, const Arguments& a, bool aligned) {
    const size_t flags = aligned ? 3 : 2;
    Arguments b{{a.values.begin(), a.values.begin() + ptrdiff_t(std::min(flags, a.positional()))}, {}};
    const bool sized = a.size() > 1 && !is_none(a[1]);
    if (aligned && b.size() < flags)
        b.values.push_back(a.given(2, "align_corners") ? *a.find(2, "align_corners") : Any(false));
    b.values.push_back(sized || !a.given(flags, "scale_factors") ? Any(None{}) : *a.find(flags, "scale_factors"));
    return call_overloads(o, b);
}
template <Name N, bool Aligned>
Any upsampled(const Arguments& a) {
    static const Overloads o = overloads_of(N.text);
    return upsample(o, a, Aligned);
}

// Written in Python there (flambeau/ops/shape.py); attention in PyTorch's archives needs it.
Any unflatten(const Arguments& a) {
    const Tensor& x = tensor(a);
    const int64_t dim = wrap_dim(integer(a[1]), x.dim(), false);
    const auto* parts = items_of(a[2]);
    check(parts && !parts->empty(), "unflatten: sizes must be non-empty");
    Dims shape;
    for (int64_t d = 0; d < x.dim(); ++d) {
        if (d != dim) shape.push_back(x.sizes()[size_t(d)]);
        else
            for (const Any& n : *parts) shape.push_back(integer(n));
    }
    return op<"view">(x, shape);
}
Any broadcast_tensors(const Arguments& a) {
    const auto* items = items_of(a[0]);
    check(items, "broadcast_tensors takes a list of tensors");
    Dims shape;
    for (const Any& t : *items) {
        check(as<Tensor>(t), "broadcast_tensors takes a list of tensors");
        shape = broadcast_shapes(shape, as<Tensor>(t)->sizes());
    }
    std::vector<Any> all;
    for (const Any& t : *items) all.push_back(op<"expand">(*as<Tensor>(t), shape));
    return list(std::move(all));
}

Any manual_seed(const Arguments& a) {
    default_generator().manual_seed(uint64_t(integer(a[0])));
    return None{};
}

}  // namespace

void add_tensor_words(Words& w) {
    static constexpr Entry entries[] = {
        {"size", {size, true}},
        {"stride", {stride, true}},
        {"dim", {[](const Arguments& a) { return Any(tensor(a).dim()); }, true}},
        {"numel", {[](const Arguments& a) { return Any(tensor(a).numel()); }, true}},
        {"item", {item, true}},
        {"ScalarImplicit", {item, true}},
        {"tensor", {make_tensor, true}},
        {"as_tensor", {make_tensor, true}},
        {"is_floating_point", {[](const Arguments& a) { return Any(is_floating(tensor(a).dtype())); }, true}},
        {"is_complex", {[](const Arguments& a) { return Any(is_complex(tensor(a).dtype())); }, true}},
        {"is_contiguous", {is_contiguous, true}},
        {"is_signed", {is_signed, true}},
        {"get_device", {[](const Arguments& a) { return Any(int64_t(tensor(a).device().index)); }, true}},
        {"device", {[](const Arguments& a) { return Any(device_of(string(a[0]))); }, true}},
        {"type", {type, true}},
        {"type_as", {same_type, true}},
        {"requires_grad_", {[](const Arguments& a) { return a[0]; }, true}},
        {"_convolution", {convolution, true}},
        {"unflatten", {unflatten, true}},
        {"broadcast_tensors", {broadcast_tensors, true}},
        {"manual_seed", {manual_seed, true}},
        {"upsample_nearest1d", {upsampled<"upsample_nearest1d", false>, true}},
        {"upsample_nearest2d", {upsampled<"upsample_nearest2d", false>, true}},
        {"upsample_nearest3d", {upsampled<"upsample_nearest3d", false>, true}},
        {"_upsample_nearest_exact1d", {upsampled<"_upsample_nearest_exact1d", false>, true}},
        {"_upsample_nearest_exact2d", {upsampled<"_upsample_nearest_exact2d", false>, true}},
        {"_upsample_nearest_exact3d", {upsampled<"_upsample_nearest_exact3d", false>, true}},
        {"upsample_linear1d", {upsampled<"upsample_linear1d", true>, true}},
        {"upsample_bilinear2d", {upsampled<"upsample_bilinear2d", true>, true}},
        {"upsample_bicubic2d", {upsampled<"upsample_bicubic2d", true>, true}},
        {"upsample_trilinear3d", {upsampled<"upsample_trilinear3d", true>, true}},
        {"_upsample_bilinear2d_aa", {upsampled<"_upsample_bilinear2d_aa", true>, true}},
        {"_upsample_bicubic2d_aa", {upsampled<"_upsample_bicubic2d_aa", true>, true}},
        {"prim_NumToTensor", {number_to_tensor}},
        {"prim_dtype", {[](const Arguments& a) { return Any(int64_t(tensor(a).dtype())); }}},
        {"prim_device", {[](const Arguments& a) { return Any(tensor(a).device()); }}},
        {"prim_layout", {[](const Arguments& a) { return Any(int64_t(tensor(a)->layout)); }}},
        {"prim_data", {[](const Arguments& a) { return Any(tensor(a).detach()); }}},
        {"prim_requires_grad", {no}},
        {"prim_grad", {none}},
        {"prim_is_nested", {no}},
        {"prim_is_sparse", {no}},
        {"prim_is_quantized", {no}},
        {"prim_is_mkldnn", {no}},
        {"prim_is_vulkan", {no}},
        {"prim_is_xla", {no}},
        {"prim_is_mps", {no}},
        {"prim_is_xpu", {no}},
        {"prim_is_cpu", {lies_on<DeviceType::CPU>}},
        {"prim_is_cuda", {lies_on<DeviceType::CUDA>}},
        {"prim_is_meta", {lies_on<DeviceType::Meta>}},
        {"prim_itemsize", {[](const Arguments& a) { return Any(int64_t(itemsize(tensor(a).dtype()))); }}},
        {"prim_nbytes",
         {[](const Arguments& a) { return Any(tensor(a).numel() * int64_t(itemsize(tensor(a).dtype()))); }}},
        {"prim_tolist", {[](const Arguments& a) { return nested_list(tensor(a)); }}},
        {"prim_type", {[](const Arguments& a) { return text(name(device(a).type)); }}},
        {"prim_index", {device_index}},
    };
    for (const Entry& e : entries) w.emplace(e.name, e.word);
}

}  // namespace fb::runtime

// Hidden layouts: a storage whose bytes lie in another order than the tensor's strides say. See
// docs/design/hidden-layouts.md.
#pragma once
#include "tensor/tensor.h"

namespace fb {

// Order of the elements of a tensor N, C, spatial dimensions…
enum class Order : uint8_t {
    Plain,         // as the strides of a contiguous tensor say
    ChannelsLast,  // N, spatial, C
    Blocked8,      // N, C/8, spatial, 8: the last block is filled up with zeros
    Blocked16,     // N, C/16, spatial, 16
};
constexpr int64_t block_of(Order o) { return o == Order::Blocked8 ? 8 : o == Order::Blocked16 ? 16 : 1; }

// Several storages may share one: an operator keeps what it works on while another thread asks for the plain bytes.
class Image final : public RefCounted {
public:
    Image(IntSpan sizes, DType dtype, Order order);
    ~Image() { cache_free(data, bytes()); }
    static void destroy(Image* i) { delete i; }
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;
    void write_plain(void* destination);

    int64_t channels() const { return sizes[1]; }
    int64_t padded_channels() const;
    bool padded() const { return padded_channels() != channels(); }
    int64_t spatial() const { return product(IntSpan(sizes).subspan(2)); }
    int64_t count() const { return sizes[0] * padded_channels() * spatial(); }  // elements, with the filling
    size_t bytes() const { return size_t(count()) * itemsize(dtype); }
    bool same_layout(const Image& o) const { return order == o.order && dtype == o.dtype && same(sizes, o.sizes); }

    const Dims sizes;
    const DType dtype;
    const Order order;
    void* const data;
};

// The place of an image that is computed later.
class Late final : public RefCounted {
public:
    static void destroy(Late* l) { delete l; }
    Ptr<Image> image;
};
Tensor make_late(IntSpan sizes, DType dtype, Ptr<Late> late);
// The place behind `t`, if t is the whole of it; it may have been computed by now.
Late* late_of(const Tensor& t);

// The image behind `t`, if t is the whole of it (dimensions of size 1 may have come or gone) and nobody has asked for
// the plain bytes yet; else null. Its sizes may differ from t's in these dimensions. Other threads may ask for the
// plain bytes whenever an operator gives the interpreter lock away, so it must hold what it reads: by `hold_image`, or
// by working on `pinned(t)`.
Image* hidden_image(const Tensor& t);
Ptr<Image> hold_image(const Tensor& t);
// A tensor of the caller's own with the same image; `t` itself if there is none.
Tensor pinned(const Tensor& t);

// A contiguous tensor whose bytes lie in `order`, uninitialised (filling included). Writers of every element but the
// filling call `clear_filling`.
Tensor make_hidden(IntSpan sizes, DType dtype, Order order);
void clear_filling(Image& image);

// Copies contiguous elements into `order`.
Tensor hide(const Tensor& plain, Order order);
// A copy of a hidden tensor, hidden as it is; an undefined one if `t` is no image.
Tensor hidden_clone(const Tensor& t);

// How often a whole tensor was brought into a hidden order, and out of it again, in this process.
struct HiddenCounts {
    int64_t hidden = 0, revealed = 0;
};
HiddenCounts hidden_counts();
void count_hidden();  // by an operator that reorders a plain operand itself

}  // namespace fb

#include "cpu/images.h"
#include "cpu/choose.h"
#include "cpu/dnnl.h"

namespace fb::cpu {

// Rows of whole vectors, for the own loops as for the library's, either of which may have been told to use less.
Order preferred_order() {
    static const Order order =
        int(dnnl::get_effective_cpu_isa()) >= int(dnnl::cpu_isa::avx512_core) || cpu_level() == CpuLevel::avx512
            ? Order::Blocked16
            : Order::Blocked8;
    return order;
}

void settle_views(TensorSpan tensors) {
    for (const Tensor& t : tensors)
        if (t.defined() && t->storage->image() && !hidden_image(t)) t->storage->data();
}

Tensor image_in(const Tensor& t, Order order) {
    const Image* i = hidden_image(t);
    return i && i->order == order ? pinned(t) : hide(dense(t), order);
}

Ptr<Image> held_in(const Tensor& t, Order order) {
    Ptr<Image> i = hold_image(t);
    return i && i->order == order ? i : hold_image(hide(dense(t), order));
}

Pictures::Pictures(const Image& i) : data(i.data) {
    const bool last = i.order == Order::ChannelsLast;
    width = last ? i.channels() : block_of(i.order);
    count = i.sizes[0] * (last ? 1 : i.padded_channels() / width);
}

Ptr<Image> float_image(const Tensor& t, int64_t n) {
    Ptr<Image> i = hold_image(t);
    return i && i->dtype == DType::f32 && t.dim() == n + 2 ? i : Ptr<Image>();
}

}  // namespace fb::cpu

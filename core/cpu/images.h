// What operators that work on hidden images share.
#pragma once
#include <optional>
#include "cpu/iter.h"
#include "tensor/hidden.h"

namespace fb::cpu {

// The blocks that oneDNN likes best on this processor, for who may choose an order.
Order preferred_order();

// Call it before taking the images of several tensors: reading a view of an image turns the image back and frees it, so
// storages that are read through views are turned back now.
void settle_views(TensorSpan tensors);

// `t` in an order: pinned, or a copy.
Tensor image_in(const Tensor& t, Order order);

// The image of `t` in an order, or of a copy.
Ptr<Image> held_in(const Tensor& t, Order order);

// An image walked as `count` pictures of rows of `width` channels, one row a position: a picture is what one sample has
// in one block (or in all channels, channels last).
struct Pictures {
    void* data;
    int64_t count, width;
    explicit Pictures(const Image& i);
    template <class T>
    T* as() const {
        return static_cast<T*>(data);
    }
};

// The image of a float tensor with n spatial dimensions, if it is one.
Ptr<Image> float_image(const Tensor& t, int64_t n);

}  // namespace fb::cpu

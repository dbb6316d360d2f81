// Weights in the order a kernel wants them, kept with the plain ones until somebody writes into those.
#pragma once
#include <functional>
#include "cpu/dnnl.h"
#include "tensor/tensor.h"

namespace fb::cpu {

class PackedBytes {
public:
    explicit PackedBytes(size_t bytes);
    ~PackedBytes();
    PackedBytes(const PackedBytes&) = delete;
    PackedBytes& operator=(const PackedBytes&) = delete;
    template <class T = void>
    T* as() const {
        return static_cast<T*>(data_);
    }

private:
    void* data_;
    size_t bytes_;
};
using Packed = std::shared_ptr<const PackedBytes>;

// `w` (contiguous) in a form: the kept copy, or a new one that `fill` writes. A form that was asked for before, with no
// write to the weight since, is kept: so answering packs once and training keeps nothing. All kept copies together stay
// below a bound. `form` and `kind` say which form it is.
Packed packed_weight(const Tensor& w, const dnn::Desc& form, int kind, size_t bytes,
                     const std::function<void(void*)>& fill);

// The transpose of `w` (contiguous, outputs × inputs) in the panels that the product of float matrices reads, or
// that of bfloat16 matrices with an even number of inputs.
Packed packed_panels(const Tensor& w);

int64_t packed_bytes();  // of all copies there are

}  // namespace fb::cpu

// Elementwise operations on hidden images: what holds for every element holds in any order of them.
#include "base/parallel.h"
#include "cpu/iter.h"
#include "tensor/hidden.h"

namespace fb::cpu {

// A number, or a tensor of one element that is used as one.
static bool is_number(const Operand& o) {
    return !o.is_tensor() || (o.tensor().dim() == 0 && o.tensor().dtype() == DType::f32);
}
static float number_of(const Operand& o) { return o.is_tensor() ? *o.tensor().data<float>() : o.scalar().to<float>(); }

// The filling of an image must stay zero: does the operation make zero of zeros?
static bool keeps_zero(Loop loop, std::span<const Operand> inputs, const void* params) {
    float zero = 0, result = 1, number[kMaxOperands];
    char* p[kMaxOperands] = {reinterpret_cast<char*>(&result)};
    int64_t strides[kMaxOperands] = {4};
    for (size_t i = 0; i < inputs.size(); ++i) {
        number[i] = is_number(inputs[i]) ? number_of(inputs[i]) : 0;
        p[i + 1] = reinterpret_cast<char*>(is_number(inputs[i]) ? &number[i] : &zero);
        strides[i + 1] = 4;
    }
    loop(p, strides, 1, params);
    return result == 0;
}

Tensor elementwise_hidden(Loop loop, std::span<const Operand> inputs, const Out& out, const void* params,
                          int64_t grain) {
    const Image* model = nullptr;
    for (const Operand& o : inputs)
        if (o.is_tensor() && !model) model = hidden_image(o.tensor());
    if (!model) return {};
    for (const Operand& o : inputs)
        if (!is_number(o) && (o.tensor().dtype() != DType::f32 || !same(o.tensor().sizes(), model->sizes))) return {};
    // Reading a view of an image would take the image away under our hands.
    for (const Operand& o : inputs)
        if (o.is_tensor() && o.tensor()->storage->image() && !hidden_image(o.tensor())) return {};
    const Tensor* given = out.given();
    Image* target = nullptr;
    if (given) {  // in place, on the image itself
        target = out.inplace() && inputs[0].is_tensor() && given->get() == inputs[0].tensor().get()
                     ? hidden_image(*given)
                     : nullptr;
        if (!target) return {};
        model = target;
    }
    if (model->padded() && !keeps_zero(loop, inputs, params)) return {};
    // Operands that lie otherwise are brought into the order of the first: revealing that one would cost as much.
    Tensor keep[kMaxOperands];
    const Tensor r = given ? *given : make_hidden(model->sizes, DType::f32, model->order);
    char* p[kMaxOperands];
    int64_t strides[kMaxOperands] = {4};
    float numbers[kMaxOperands];
    p[0] = static_cast<char*>(hidden_image(r)->data);
    for (size_t i = 0; i < inputs.size(); ++i) {
        strides[i + 1] = 0;
        if (is_number(inputs[i])) {
            numbers[i] = number_of(inputs[i]);
            p[i + 1] = reinterpret_cast<char*>(&numbers[i]);
            continue;
        }
        const Image* image = hidden_image(inputs[i].tensor());
        if (!image || !image->same_layout(*model)) {
            keep[i] = hide(dense(inputs[i].tensor()), model->order);
            image = hidden_image(keep[i]);
        }
        p[i + 1] = static_cast<char*>(image->data);
        strides[i + 1] = 4;
    }
    parallel_for(model->count(), grain ? grain : model->count(), [&](int64_t begin, int64_t end) {
        char* q[kMaxOperands];
        for (size_t k = 0; k <= inputs.size(); ++k) q[k] = p[k] + begin * strides[k];
        loop(q, strides, end - begin, params);
    });
    return r;
}

}  // namespace fb::cpu

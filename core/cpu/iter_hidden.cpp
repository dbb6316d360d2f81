// Elementwise operations on hidden images: what holds for every element holds in any order of them.
#include "base/parallel.h"
#include "cpu/images.h"

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

// A tensor that says the same at every position of the image: (N or 1, C or 1, 1…), as it is or expanded.
static bool is_channel_wise(const Tensor& t, IntSpan sizes) {
    if (t.dtype() != DType::f32 || t.sizes().size() != sizes.size()) return false;
    for (size_t d = 0; d < sizes.size(); ++d) {
        const bool one = t.sizes()[d] == 1 || t.strides()[d] == 0;
        if (t.sizes()[d] != 1 && t.sizes()[d] != sizes[d]) return false;
        if (d >= 2 && !one) return false;
    }
    return true;
}
// Its values, channels filled up with zeros as the image's are: a row for each sample.
static std::vector<float> channel_rows(const Tensor& t, const Image& model) {
    const int64_t samples = model.sizes[0], channels = model.channels(), padded = model.padded_channels();
    std::vector<float> rows(size_t(samples * padded), 0.f);
    const float* p = t.data<float>();
    const int64_t by_sample = t.sizes()[0] == 1 ? 0 : t.strides()[0],
                  by_channel = t.sizes()[1] == 1 ? 0 : t.strides()[1];
    for (int64_t n = 0; n < samples; ++n)
        for (int64_t c = 0; c < channels; ++c) rows[size_t(n * padded + c)] = p[n * by_sample + c * by_channel];
    return rows;
}

namespace {
// One input of the loop: a number, an image, or a row of channels for each sample.
struct Part {
    Ptr<Image> image;
    std::vector<float> rows;
    float number = 0;
    char* data = nullptr;
    int64_t stride = 0;
};
}  // namespace

// The pictures of the model one after another; what is the same at every position is written out for a few of them.
static void run_pictures(Loop loop, const Image& model, char* out, std::span<const Part> parts, const void* params) {
    const Pictures pictures(model);
    const int64_t spatial = model.spatial(), width = pictures.width, size = spatial * width,
                  step = std::clamp<int64_t>(1024 / width, 1, std::max<int64_t>(1, spatial));
    parallel_for(pictures.count, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, size)),
                 [&](int64_t begin, int64_t end) {
                     std::vector<float> repeated(parts.size() * size_t(step * width));
                     char* q[kMaxOperands];
                     int64_t strides[kMaxOperands] = {4};
                     for (int64_t i = begin; i < end; ++i) {
                         for (size_t k = 0; k < parts.size(); ++k) {
                             const Part& part = parts[k];
                             strides[k + 1] = part.rows.empty() ? part.stride : 4;
                             if (part.rows.empty()) continue;
                             float* to = repeated.data() + k * size_t(step * width);
                             const float* row = part.rows.data() + i * width;  // blocks of a sample lie together
                             for (int64_t r = 0; r < step; ++r) std::copy_n(row, width, to + r * width);
                             q[k + 1] = reinterpret_cast<char*>(to);
                         }
                         for (int64_t at = 0; at < spatial; at += step) {
                             const int64_t offset = (i * size + at * width) * 4;
                             q[0] = out + offset;
                             for (size_t k = 0; k < parts.size(); ++k)
                                 if (parts[k].rows.empty()) q[k + 1] = parts[k].data + (parts[k].stride ? offset : 0);
                             loop(q, strides, std::min(step, spatial - at) * width, params);
                         }
                     }
                 });
}

Tensor elementwise_hidden(Loop loop, std::span<const Operand> inputs, const Out& out, const void* params,
                          int64_t grain) {
    Ptr<Image> model;
    Dims sizes;
    for (const Operand& o : inputs)
        if (o.is_tensor() && !model) {
            model = hold_image(o.tensor());
            sizes = o.tensor().sizes();
        }
    if (!model) return {};
    bool rows = false;
    for (const Operand& o : inputs) {
        if (is_number(o)) continue;
        const Tensor& t = o.tensor();
        const bool whole = t.dtype() == DType::f32 && same(t.sizes(), sizes);
        const bool wise = !hidden_image(t) && is_channel_wise(t, sizes);
        if (!whole && !wise) return {};
        rows = rows || wise;
        // Reading a view of an image would take the image away under our hands.
        if (t->storage->image() && !hidden_image(t)) return {};
    }
    const Tensor* given = out.given();
    Ptr<Image> target;
    if (given) {  // in place, on the image itself
        target = out.inplace() && inputs[0].is_tensor() && given->get() == inputs[0].tensor().get() ? hold_image(*given)
                                                                                                    : nullptr;
        if (!target) return {};
        model = target;
    }
    if (model->padded() && !keeps_zero(loop, inputs, params)) return {};
    // Operands that lie otherwise are brought into the order of the first: revealing that one would cost as much.
    const Tensor r = given ? *given : make_hidden(sizes, DType::f32, model->order);
    Part parts[kMaxOperands];
    for (size_t i = 0; i < inputs.size(); ++i) {
        Part& part = parts[i];
        if (is_number(inputs[i])) {
            part.number = number_of(inputs[i]);
            part.data = reinterpret_cast<char*>(&part.number);
        } else if (const Tensor& t = inputs[i].tensor(); !hidden_image(t) && is_channel_wise(t, sizes)) {
            part.rows = channel_rows(t, *model);
            rows = true;
        } else {
            part.image = held_in(t, model->order);
            part.data = static_cast<char*>(part.image->data);
            part.stride = 4;
        }
    }
    char* to = static_cast<char*>((target ? target.get() : hidden_image(r))->data);
    if (rows) {
        run_pictures(loop, *model, to, {parts, inputs.size()}, params);
        return r;
    }
    parallel_for(model->count(), grain ? grain : model->count(), [&](int64_t begin, int64_t end) {
        char* q[kMaxOperands] = {to + begin * 4};
        int64_t strides[kMaxOperands] = {4};
        for (size_t k = 0; k < inputs.size(); ++k) {
            strides[k + 1] = parts[k].stride;
            q[k + 1] = parts[k].data + begin * parts[k].stride;
        }
        loop(q, strides, end - begin, params);
    });
    return r;
}

}  // namespace fb::cpu

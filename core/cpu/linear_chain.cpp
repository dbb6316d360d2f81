#include "cpu/linear_chain.h"
#include "base/parallel.h"
#include "cpu/dnnl.h"

namespace fb::cpu {

void activate_rows(Unary activation, FloatRows rows, int64_t count, int64_t width) {
    if (activation == Unary::copy) return;
    const Loop loop = unary_loop(activation, DType::f32);
    const int64_t strides[] = {sizeof(float), sizeof(float)};
    for (int64_t i = 0; i < count; ++i) {
        char* const row = reinterpret_cast<char*>(rows.at(i));
        char* const both[] = {row, row};
        loop(both, strides, width, nullptr);
    }
}

void linear_chain(int64_t rows, const float* x, std::span<const ChainLink> links, float* out) {
    const int64_t in = links.front().linear.in, last = links.back().linear.out;
    int64_t widest = 0;
    double products = 0;
    for (const ChainLink& l : links) {
        if (&l != &links.back()) widest = std::max(widest, l.linear.out);
        products += double(l.linear.in) * double(l.linear.out);
    }
    const int64_t most = rows_at_once(std::max(widest, last));
    parallel_for(rows, std::max<int64_t>(1, int64_t(65536 / products)), [&](int64_t begin, int64_t end) {
        const int64_t blocks = (end - begin + most - 1) / most, high = (end - begin + blocks - 1) / blocks,
                      room_of_one = widest ? high * FloatRows::apart(widest) : 0;
        const dnn::Scratch room(size_t(2 * room_of_one) * sizeof(float));
        for (int64_t i = begin; i < end; i += high) {
            const int64_t m = std::min(high, end - i);
            const float* from = x + i * in;
            int64_t from_step = in;
            bool second = false;
            for (const ChainLink& l : links) {
                const FloatRows to = &l == &links.back() ? FloatRows{out + i * last, last}
                                                         : FloatRows{room.as<float>() + (second ? room_of_one : 0),
                                                                     FloatRows::apart(l.linear.out)};
                linear_rows(m, from, from_step, l.linear, false, to.data, to.step);
                activate_rows(l.activation, to, m, l.linear.out);
                from = to.data;
                from_step = to.step;
                second = !second;
            }
        }
    });
}

}  // namespace fb::cpu

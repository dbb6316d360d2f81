// Convolutions of modules that only answer, with what follows them in the same pass: batch norm with trained
// statistics, a residual sum, relu and its like. See docs/design/hidden-layouts.md.
#pragma once
#include <limits>
#include "op/op.h"

namespace fb {

// limits(convolution normalised + other)
struct Answer {
    Tensor x, w, bias;
    Dims stride, padding, dilation;
    int64_t groups;
    Tensor norm_weight, norm_bias, mean, var;  // undefined: no batch norm
    double eps = 0;
    Tensor other = {};
    double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();

    bool normed() const { return mean.defined(); }
    bool limited() const { return low > -kEndless || high < kEndless; }
    static constexpr double kEndless = std::numeric_limits<double>::infinity();
};

// No gradient to record, float, shapes that fit: whatever is wrong is told by the operators themselves.
bool in_one_pass(const Answer& a);
Tensor answer(const Answer& a);      // in one pass if there is a way, else one by one; after `in_one_pass`
Tensor one_by_one(const Answer& a);  // with the operators it stands for

// How many calls have joined a result that waited, in this process.
int64_t joined_calls();

// Inside the call of a module the result may wait for what follows it. Undefined where it may not.
Tensor wait_for_more(const Answer& a);

}  // namespace fb

// Elementwise work on tensors of any shape: broadcasting, dtype conversion of the operands, memory order of the result,
// threads.
#pragma once
#include "cpu/pointwise.h"
#include "op/op.h"

namespace fb::cpu {

// --- promotion (torch.result_type): dimensioned tensors count before 0-d ones, those before Python numbers
DType promote(DType a, DType b);
DType result_type(std::span<const Operand> operands);
inline DType result_type(const Operand& a, const Operand& b) {
    const Operand o[] = {a, b};
    return result_type(o);
}
// Integers and bools become the default dtype: what exp, mean or div give.
inline DType float_type(DType t) { return is_integral(t, true) ? default_dtype() : t; }
bool can_cast(DType from, DType to);

// --- the loop
inline constexpr int kMaxOperands = 5;
// Runs `loop` over all elements of `sizes`. ptr[0] is the output; strides are in elements of each operand's own item
// size.
struct Strided {
    char* ptr;
    Small<int64_t, 6> strides;  // in bytes, one for each dimension of the iteration
    int item = 0;               // bytes of an element, where known
};
// `grain`: elements that are worth a thread; 0 keeps one thread.
void run_loop(Loop loop, IntSpan sizes, std::span<Strided> operands, const void* params, int64_t grain = 32768);

// The elementwise operation on `inputs` converted to `common`: allocates (or takes from `out`) a result of `out_type`.
// An out= tensor of another dtype is served through a temporary by the dispatcher.
Tensor elementwise(Loop loop, DType common, DType out_type, std::span<const Operand> inputs, const Out& out,
                   const void* params = nullptr, int64_t grain = 32768);

// The same on hidden images of float tensors (see tensor/hidden.h); undefined where that is not possible.
Tensor elementwise_hidden(Loop loop, std::span<const Operand> inputs, const Out& out, const void* params,
                          int64_t grain);

// Short forms; a missing kernel is the error PyTorch gives: "exp_cpu" not implemented for 'Bool'.
Tensor unary(Unary op, const char* name, const Tensor& x, DType compute, const Out& out, const void* params = nullptr);
Tensor binary(Binary op, const char* name, const Operand& a, const Operand& b, DType common, const Out& out,
              const void* params = nullptr);
Tensor ternary(Ternary op, const char* name, const Operand& a, const Operand& b, const Operand& c, DType common,
               const Out& out, const void* params = nullptr);
[[noreturn]] void no_kernel(const char* name, DType t);

// --- conversion and copies
void copy_data(const Tensor& to,
               const Tensor& from);            // broadcasting, any dtype, any strides; overlapping memory is handled
Tensor convert(const Tensor& t, DType dtype);  // a new tensor in t's memory order
Tensor dense(const Tensor& t);                 // t if contiguous, else a contiguous copy; no autograd
void fill(const Tensor& t, const Scalar& v);

// The bytes between the first and the last element; false for empty tensors.
bool memory_overlaps(const Tensor& a, const Tensor& b);
void check_writable(const Tensor& out);  // no two elements of `out` may share memory

}  // namespace fb::cpu

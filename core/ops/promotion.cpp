// What types operands of different types meet in.
#include "cpu/iter.h"

namespace fb {
namespace {

DType result_type_of(const Operand& a, const Operand& b) { return cpu::result_type(a, b); }

const Family promotion([](Registry& r) {
    r.add("result_type(Operand tensor1, Operand tensor2) -> ScalarType", "f").kernel<result_type_of>();
    r.add("promote_types(ScalarType type1, ScalarType type2) -> ScalarType", "f").kernel<cpu::promote>();
    r.add("can_cast(ScalarType from_, ScalarType to) -> bool", "f").kernel<cpu::can_cast>();
});

}  // namespace
}  // namespace fb

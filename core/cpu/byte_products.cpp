#include "cpu/byte_products.h"
#include "cpu/choose.h"

namespace fb::cpu {
namespace baseline {
extern const ByteProducts byte_products;
}
namespace avx2 {
extern const ByteProducts byte_products;
}
namespace avx512 {
extern const ByteProducts byte_products;
}

const ByteProducts& byte_products() {
    return for_this_cpu<baseline::byte_products, avx2::byte_products, avx512::byte_products>();
}

}  // namespace fb::cpu

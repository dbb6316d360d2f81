#include "cpu/byte_products.h"
#include <string_view>
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const ByteProducts byte_products;
}
#if FB_X86
namespace avx2 {
extern const ByteProducts byte_products;
}
namespace avx512 {
extern const ByteProducts byte_products;
}
#endif

const ByteProducts& byte_products() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::byte_products;
    if (level == "avx2") return avx2::byte_products;
#endif
    return baseline::byte_products;
}

}  // namespace fb::cpu

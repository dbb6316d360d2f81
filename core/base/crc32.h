#pragma once
#include <cstdint>
#include <span>

namespace fb {

// The check sum of zip archives, of `bytes` that follow those of which `before` is the check sum.
uint32_t crc32(std::span<const uint8_t> bytes, uint32_t before = 0);

}  // namespace fb

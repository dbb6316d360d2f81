#pragma once
#include <cstdint>

namespace fb {

enum class DeviceType : uint8_t { CPU, CUDA, Meta };

struct Device {
    DeviceType type = DeviceType::CPU;
    int8_t index = -1;
    friend bool operator==(Device a, Device b) { return a.type == b.type && a.index == b.index; }
};
inline constexpr Device kCPU{};
// Where a tensor lies that is asked for on a device: only devices of which there may be several keep their number.
constexpr Device placed(Device d) { return d.type == DeviceType::CUDA ? d : Device{d.type, -1}; }
inline constexpr Device kMeta{DeviceType::Meta, -1};

constexpr const char* name(DeviceType t) {
    return t == DeviceType::CPU ? "cpu" : t == DeviceType::CUDA ? "cuda" : "meta";
}

enum class Layout : uint8_t { Strided, SparseCoo, SparseCsr, SparseCsc };
enum class MemoryFormat : uint8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };

}  // namespace fb

// Autocast: inside its context, operators choose the precision they compute in. Each thread has its own state.
#pragma once
#include "op/op.h"

namespace fb {

// Devices that have autocast, as indices of the state.
inline constexpr int kAutocastDevices = 2;
inline int autocast_index(DeviceType t) { return t == DeviceType::CPU ? 0 : t == DeviceType::CUDA ? 1 : -1; }

// How an operator treats the floating point arguments of the context's device; double is never cast.
enum class Cast : uint8_t {
    none,     // takes them as they are
    lower,    // to the context's dtype
    full,     // to float32
    promote,  // to the widest among them
};
Cast autocast_of(std::string_view op_name, DeviceType device);  // by PyTorch's lists

struct AutocastSetting {
    bool enabled = false;
    DType dtype = DType::none;
};
AutocastSetting autocast_setting(DeviceType device);
void set_autocast_enabled(DeviceType device, bool enabled);
void set_autocast_dtype(DeviceType device, DType dtype);

// Weights are cast once for the whole context, not at each use.
bool autocast_cache_enabled();
void set_autocast_cache_enabled(bool enabled);
void clear_autocast_cache();
int change_autocast_nesting(int by);  // returns the new depth

}  // namespace fb

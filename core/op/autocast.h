// Autocast: inside its context, operators choose the precision they compute in. Each thread has its own state.
#pragma once
#include "op/op.h"

namespace fb {

// Devices that have autocast, as indices of the state.
inline constexpr int kAutocastDevices = 2;
inline int autocast_index(DeviceType t) { return t == DeviceType::CPU ? 0 : t == DeviceType::CUDA ? 1 : -1; }

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

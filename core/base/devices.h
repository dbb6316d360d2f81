// The names of devices. PyTorch knows more of them than there are kinds of memory here: those can be named, compared
// and stored, which programs do to find out where they run, and nothing lies on them.
#pragma once
#include <span>
#include <string_view>
#include "base/device.h"

namespace fb {

std::span<const std::string_view> device_names();  // by the number of the type: first those of DeviceType
std::string_view device_name(DeviceType t);
constexpr bool has_memory(DeviceType t) { return t <= DeviceType::Meta; }
[[noreturn]] void raise_no_memory(Device d);  // what PyTorch says of a device that was not built in

}  // namespace fb

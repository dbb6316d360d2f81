// Numbers below the smallest normal one.
#pragma once

namespace fb {

// Whether they count as zero, in all threads; returns false where the CPU has no such switch.
bool set_flush_denormal(bool on);

}  // namespace fb

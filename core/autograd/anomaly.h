#pragma once

namespace fb {

void set_anomaly_mode(bool on);  // also starts and stops noting who writes into which tensor

}  // namespace fb

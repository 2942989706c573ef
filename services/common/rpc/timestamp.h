// Times of protocol messages.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string_view>

#include "services/common/clock.h"
#include "services/common/result.h"

namespace allod {

google::protobuf::Timestamp ToTimestamp(Time time);

// Whole microseconds, what is below is cut. INVALID_ARGUMENT / INVALID_TIME, naming the field, outside the years 1970
// to 2199, which a clock that counts nanoseconds holds.
Result<Time> TimeFrom(std::string_view field, const google::protobuf::Timestamp& time);

}  // namespace allod

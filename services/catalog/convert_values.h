// Conversions of small values that several messages of the catalog hold.
#pragma once

#include <google/protobuf/util/time_util.h>

#include "allod/catalog/v1/model.pb.h"
#include "services/catalog/domain.h"

namespace allod::catalog {

// What the database resolves, so that what is answered now equals what is read later.
inline Time FloorToMicros(Time time) { return std::chrono::floor<std::chrono::microseconds>(time); }

inline google::protobuf::Timestamp ToTimestamp(Time time) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(us);
}

QualityReport FromProto(const v1::QualityReport& report);
v1::QualityReport ToProto(const QualityReport& report);

}  // namespace allod::catalog

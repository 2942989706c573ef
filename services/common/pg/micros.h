// Times cross into SQL as microseconds since 1970, which is what PostgreSQL resolves: PgTx::Exec takes a Time and gives
// its microseconds, RowReader reads a Time from them, and these two stand around the column and the parameter.
#pragma once

#include <chrono>
#include <cstdint>

#include "services/common/clock.h"

#define ALLOD_MICROS(column) "(extract(epoch FROM " column ") * 1000000)::bigint"
#define ALLOD_FROM_MICROS(parameter) "(timestamptz 'epoch' + " parameter "::bigint * interval '1 microsecond')"

namespace allod {

inline std::int64_t ToMicros(Time time) {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

inline Time FromMicros(std::int64_t micros) { return Time(std::chrono::microseconds(micros)); }

}  // namespace allod

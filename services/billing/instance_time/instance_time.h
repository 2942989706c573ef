// How long replicas answered, and what that costs. Pure.
//
// Time is counted in whole seconds from the start of an interval, whatever it was told of in between: what is beyond
// the second that was counted last waits for the next report. So the sum is the same however often, and in how many
// parts, an interval was told. A month's end, in UTC, cuts it: what is whole by then is of the month before. POSIX time
// has no leap seconds; a leap second is part of the second before it, as the databases' clocks have it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/billing/domain.h"

namespace allod::billing::instance_time {

inline constexpr std::size_t kIntervalsPerReportMax = 500;
inline constexpr std::chrono::minutes kIntervalSkewMax{15};  // of its end, beyond the database's clock

// One replica that answered without a break, as far as it was told. Whole microseconds.
struct InstanceInterval {
  Uuid replica;
  Time start;
  Time until;
  std::string instance;
  std::int64_t generation = 0;
  PriceKey terms;
};

// What is known of one already: its terms stand, and it was counted up to `until`.
struct KnownInterval {
  InstanceInterval interval;
  Amount second_price;
};

// A part of an interval, of one month. From the part before it, or from the start.
struct TimeEntry {
  Uuid replica;
  Time start;
  Time from;
  Time until;
  Time month;  // its first moment
  std::int64_t seconds = 0;
  Amount cost;
};

struct TimeDecision {
  Amount second_price;
  bool is_new = false;
  std::vector<TimeEntry> entries;  // in order; empty: nothing is new
};

// The name of its transfer.
Uuid TransferIdOf(const TimeEntry& entry);

// INVALID_ARGUMENT / INVALID_INTERVAL; ALREADY_EXISTS / INTERVAL_REUSED; FAILED_PRECONDITION / PRICE_NOT_FOUND;
// OUT_OF_RANGE. `now` is the database's. A report of less than was counted before changes nothing.
Result<TimeDecision> DecideInstanceTime(const std::optional<KnownInterval>& known, const InstanceInterval& told,
                                        const KeyPrice& price, const std::string& currency_code, Time now);

// What one instance used in one month at one price.
struct InstanceTimeTotal {
  Uuid id;
  Time month;
  std::string instance;
  PriceKey terms;
  Amount second_price;
  std::int64_t seconds = 0;
  Amount amount;
};

}  // namespace allod::billing::instance_time

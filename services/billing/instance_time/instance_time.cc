#include "services/billing/instance_time/instance_time.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/refusals.h"
#include "services/common/pg/micros.h"

namespace allod::billing::instance_time {
namespace {

std::int64_t WholeSeconds(Time start, Time until) {
  return std::chrono::floor<std::chrono::seconds>(until - start).count();
}

Time MonthOf(Time time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  return std::chrono::sys_days(day.year() / day.month() / 1);
}

Status CheckTold(const InstanceInterval& told, Time now) {
  const auto refuse = [&](const std::string& why) {
    return InvalidArgument("INVALID_INTERVAL", fmt::format("{} to {} of replica {}: {}", Instant(told.start),
                                                           Instant(told.until), told.replica.ToString(), why));
  };
  if (told.until < told.start) return refuse("it ends before it starts");
  if (!HasPeriod(told.start) || !HasPeriod(told.until)) return refuse("no invoice is of that time");
  if (told.until > now + kIntervalSkewMax) {
    return refuse(fmt::format("that is more than {} minutes after now, {}; check the clocks of the databases",
                              kIntervalSkewMax.count(), Instant(now)));
  }
  return {};
}

}  // namespace

Uuid TransferIdOf(const TimeEntry& entry) {
  return Uuid::FromName(
      fmt::format("instanceTime/{}/{}/{}", entry.replica.ToString(), ToMicros(entry.start), ToMicros(entry.until)));
}

Result<TimeDecision> DecideInstanceTime(const std::optional<KnownInterval>& known, const InstanceInterval& told,
                                        const KeyPrice& price, const std::string& currency_code, Time now) {
  ALLOD_CHECK_OK(CheckTold(told, now));
  TimeDecision out{.is_new = !known};
  Time from = told.start;
  if (known) {
    const InstanceInterval& stored = known->interval;
    if (stored.instance != told.instance || stored.generation != told.generation || stored.terms != told.terms) {
      return Fail(Code::kAlreadyExists, "INTERVAL_REUSED",
                  fmt::format("replica {} from {} was told of as another instance, generation or price, which stands",
                              told.replica.ToString(), Instant(told.start)));
    }
    out.second_price = known->second_price;
    from = stored.until;
  } else {
    if (!price.price) return PriceNotFound(told.terms, price.book_exists, currency_code);
    out.second_price = price.price->instance_second;
  }
  // Less than a second more is told again with the next.
  while (WholeSeconds(told.start, told.until) > WholeSeconds(told.start, from)) {
    TimeEntry entry{.replica = told.replica, .start = told.start, .from = from, .month = MonthOf(from)};
    entry.until = std::min(told.until, NextMonth(entry.month));
    entry.seconds = WholeSeconds(told.start, entry.until) - WholeSeconds(told.start, from);
    ALLOD_TRY(entry.cost, Multiply(out.second_price, entry.seconds));
    from = entry.until;
    out.entries.push_back(entry);
  }
  return out;
}

}  // namespace allod::billing::instance_time

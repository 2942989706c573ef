// What a report of usage is asked for and answers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/result.h"

namespace allod::billing::analysis {

enum class UsageDimension {
  kHourly,
  kDaily,
  kMonthly,
  kProject,
  kInstance,
  kModel,
  kVariant,
  kIsolationClass,
  kApiKey
};
enum class UsageOrder { kDimensions, kAmount, kRequests, kTokens };

constexpr bool IsPeriod(UsageDimension dimension) { return dimension <= UsageDimension::kMonthly; }

struct UsageReportQuery {
  TenantId tenant;
  Time start, end;  // on full hours
  std::vector<UsageDimension> group_by;
  // Only what is of these; empty: all.
  std::string project;  // its id
  std::string instance;
  std::string model;
  std::string variant;
  std::string isolation_class;
  std::string api_key;
  UsageOrder order = UsageOrder::kDimensions;
  std::int64_t offset = 0;
  int limit = 50;
};

struct UsageSums {
  std::int64_t request_count = 0;
  std::int64_t billed_request_count = 0;
  std::int64_t prompt_tokens = 0;  // delivered
  std::int64_t completion_tokens = 0;
  std::int64_t billed_prompt_tokens = 0;
  std::int64_t billed_completion_tokens = 0;
  Amount amount;

  bool operator==(const UsageSums&) const = default;
};

struct UsageReportRow {
  std::optional<Time> period;
  std::vector<std::string> keys;  // of the dimensions that are no period, in the order of `group_by`
  UsageSums sums;

  bool operator==(const UsageReportRow&) const = default;
};

struct UsageReport {
  std::vector<UsageReportRow> rows;
  UsageSums total;  // of all rows, also those beyond the page
  std::int64_t row_count = 0;
  std::string currency_code;  // of the tenant's account; empty: it has none
};

inline constexpr std::chrono::days kHourlyReportMax{92};

// INVALID_ARGUMENT / INVALID_TIME_RANGE, INVALID_GROUP_BY.
Status CheckReportQuery(const UsageReportQuery& query);

// Full days are read by the day, the rest by the hour: a report of a year reads as many rows as it has days. A range
// that is empty has start >= end.
struct ReportRanges {
  struct Range {
    Time start, end;
    bool is_empty() const { return start >= end; }
  };
  Range days, hours_before, hours_after;
};
ReportRanges SplitByDays(const UsageReportQuery& query);

}  // namespace allod::billing::analysis

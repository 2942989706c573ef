#include "services/billing/analysis/usage_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::billing::analysis {
namespace {

using std::chrono::days;
using std::chrono::hours;

}  // namespace

Status CheckReportQuery(const UsageReportQuery& query) {
  for (const auto& [field, time] : {std::pair{"start_time", query.start}, std::pair{"end_time", query.end}}) {
    if (time != std::chrono::floor<hours>(time)) {
      return InvalidArgument("INVALID_TIME_RANGE",
                             fmt::format("{}: must be on a full hour in UTC, such as 2026-11-01T00:00:00Z", field));
    }
  }
  if (query.start >= query.end) {
    return InvalidArgument("INVALID_TIME_RANGE", "start_time: must be before end_time");
  }
  for (auto it = query.group_by.begin(); it != query.group_by.end(); ++it) {
    if (std::find(query.group_by.begin(), it, *it) != it) {
      return InvalidArgument("INVALID_GROUP_BY", "group_by: names something twice; name each once");
    }
  }
  if (std::ranges::count_if(query.group_by, IsPeriod) > 1) {
    return InvalidArgument("INVALID_GROUP_BY", "group_by: name one of hour, day and month");
  }
  if (std::ranges::count(query.group_by, UsageDimension::kHourly) > 0 && query.end - query.start > kHourlyReportMax) {
    return InvalidArgument("INVALID_TIME_RANGE",
                           fmt::format("end_time: a report by the hour is of at most {} days; ask for less, or by the "
                                       "day",
                                       kHourlyReportMax.count()));
  }
  return {};
}

ReportRanges SplitByDays(const UsageReportQuery& query) {
  const Time first = std::chrono::ceil<days>(query.start), last = std::chrono::floor<days>(query.end);
  if (std::ranges::count(query.group_by, UsageDimension::kHourly) > 0 || first >= last) {
    return {.days = {}, .hours_before = {query.start, query.end}, .hours_after = {}};
  }
  return {.days = {first, last}, .hours_before = {query.start, first}, .hours_after = {last, query.end}};
}

}  // namespace allod::billing::analysis

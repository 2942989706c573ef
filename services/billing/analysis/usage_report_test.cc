#include "services/billing/analysis/usage_report.h"

#include <gtest/gtest.h>

namespace allod::billing::analysis::usage_report_test {
namespace {

using namespace std::chrono_literals;

const Time kDay = std::chrono::sys_days(std::chrono::year(2028) / 2 / 29);

std::string Reason(Time start, Time end, std::vector<UsageDimension> group_by = {}) {
  const Status checked = CheckReportQuery({.start = start, .end = end, .group_by = std::move(group_by)});
  return checked ? "" : checked.error().reason;
}

TEST(UsageReport, IsOfFullHoursAndOfOnePeriod) {
  EXPECT_EQ(Reason(kDay, kDay + 1h), "");
  EXPECT_EQ(Reason(kDay, kDay + 24h * 3660, {UsageDimension::kDaily, UsageDimension::kModel}), "");
  EXPECT_EQ(Reason(kDay, kDay), "INVALID_TIME_RANGE");
  EXPECT_EQ(Reason(kDay + 1h, kDay), "INVALID_TIME_RANGE");
  EXPECT_EQ(Reason(kDay + 1us, kDay + 1h), "INVALID_TIME_RANGE");
  EXPECT_EQ(Reason(kDay, kDay + 90min), "INVALID_TIME_RANGE");
  EXPECT_EQ(Reason(kDay, kDay + 24h * 92, {UsageDimension::kHourly}), "");
  EXPECT_EQ(Reason(kDay, kDay + 24h * 92 + 1h, {UsageDimension::kHourly}), "INVALID_TIME_RANGE");
  EXPECT_EQ(Reason(kDay, kDay + 1h, {UsageDimension::kModel, UsageDimension::kModel}), "INVALID_GROUP_BY");
  EXPECT_EQ(Reason(kDay, kDay + 1h, {UsageDimension::kDaily, UsageDimension::kModel, UsageDimension::kMonthly}),
            "INVALID_GROUP_BY");
}

// Every hour of the range is in one of the three, and in one only.
TEST(UsageReport, ItsRangesAreAllHoursOnce) {
  for (int from = 0; from < 50; ++from) {
    for (int to = from + 1; to < 100; to += 3) {
      for (const bool by_hour : {false, true}) {
        const UsageReportQuery query{.start = kDay + from * 1h,
                                     .end = kDay + to * 1h,
                                     .group_by = {by_hour ? UsageDimension::kHourly : UsageDimension::kDaily}};
        const ReportRanges ranges = SplitByDays(query);
        EXPECT_TRUE(!by_hour || ranges.days.is_empty());
        for (int hour = 0; hour < 100; ++hour) {
          int found = 0;
          for (const auto& range : {ranges.days, ranges.hours_before, ranges.hours_after}) {
            if (range.is_empty()) continue;
            found += range.start <= kDay + hour * 1h && kDay + hour * 1h < range.end ? 1 : 0;
          }
          ASSERT_EQ(found, hour >= from && hour < to ? 1 : 0) << from << " " << to << " " << hour;
        }
        if (!ranges.days.is_empty()) {
          EXPECT_EQ(ranges.days.start, std::chrono::floor<std::chrono::days>(ranges.days.start));
          EXPECT_EQ(ranges.days.end, std::chrono::floor<std::chrono::days>(ranges.days.end));
        }
      }
    }
  }
}

}  // namespace
}  // namespace allod::billing::analysis::usage_report_test

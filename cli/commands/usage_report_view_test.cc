#include "cli/commands/usage_report_view.h"

#include <gtest/gtest.h>

namespace allod::cli::commands::usage_report_view_test {
namespace {

namespace v1 = billing::v1;

TEST(UsageReportView, SaysByWhatAReportIs) {
  EXPECT_EQ(DimensionsFrom("").value().size(), 0U);
  EXPECT_EQ(DimensionsFrom("day,model,key").value(),
            (std::vector{v1::USAGE_DIMENSION_DAY, v1::USAGE_DIMENSION_MODEL, v1::USAGE_DIMENSION_API_KEY}));
  for (const char* text : {"week", "day,,model", "Day", " day"}) {
    EXPECT_EQ(DimensionsFrom(text).error().reason, "INVALID_GROUP_BY") << text;
  }
}

TEST(UsageReportView, ShowsPeriodsAsLongAsTheyAre) {
  v1::UsageReportRow row;
  row.mutable_period_start()->set_seconds(1'764'547'200);
  row.set_model("models/m");
  row.mutable_sums()->set_request_count(3);
  row.mutable_sums()->mutable_amount()->set_amount("0.000000000001");
  row.mutable_sums()->mutable_amount()->set_currency_code("KES");
  const auto first = [&](const char* by) { return ReportCells(DimensionsFrom(by).value(), row).front(); };
  EXPECT_EQ(first("hour"), "2025-12-01T00:00:00Z");
  EXPECT_EQ(first("day"), "2025-12-01");
  EXPECT_EQ(first("month"), "2025-12");
  const auto by = DimensionsFrom("day,model").value();
  EXPECT_EQ(ReportHeadings(by).size(), ReportCells(by, row).size());
  EXPECT_EQ(CsvLine(ReportCells(by, row)), "2025-12-01,models/m,3,0,0,0,0,0,0.000000000001,KES\r\n");
  EXPECT_EQ(RecordHeadings().size(), RecordCells(v1::UsageRecord()).size());
}

TEST(UsageReportView, NoSpreadsheetTakesACellForMoreThanText) {
  EXPECT_EQ(CsvLine({"a", "=1+1", "b,c", "d\"e", ""}), "a,'=1+1,\"b,c\",\"d\"\"e\",\r\n");
}

}  // namespace
}  // namespace allod::cli::commands::usage_report_view_test

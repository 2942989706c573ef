#include "services/billing/analysis/convert_report.h"

#include <gtest/gtest.h>

namespace allod::billing::analysis::convert_report_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2025) / 11 / 23) + 18h + 30min;

v1::QueryUsageRequest Request() {
  v1::QueryUsageRequest out;
  out.set_parent("tenants/ke");
  return out;
}

std::string Reason(const v1::QueryUsageRequest& request) {
  const auto page = FromProto(request, "", kNow);
  return page ? "" : page.error().reason;
}

TEST(ConvertReport, WithoutTimesItIsTheMonthUpToNow) {
  const auto page = FromProto(Request(), "", kNow);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->query.start, Time(std::chrono::sys_days(std::chrono::year(2025) / 11 / 1)));
  EXPECT_EQ(page->query.end, kNow + 30min);
  v1::QueryUsageRequest request = Request();
  request.mutable_end_time()->set_seconds(1'764'547'200);  // 2025-12-01
  EXPECT_EQ(FromProto(request, "", kNow)->query.start, page->query.start) << "its last hour is of November";
}

TEST(ConvertReport, AKeyIsAskedAboutItsOwnProject) {
  v1::QueryUsageRequest request = Request();
  EXPECT_EQ(FromProto(request, "desk", kNow)->query.project, "desk");
  request.set_project("tenants/ke/projects/other");
  EXPECT_EQ(FromProto(request, "desk", kNow)->query.project, "desk") << "whatever it says";
  EXPECT_EQ(FromProto(request, "", kNow)->query.project, "other");
}

TEST(ConvertReport, WhatCannotBeIsRefusedWithItsField) {
  v1::QueryUsageRequest request = Request();
  request.set_parent("tenants/-/x");
  EXPECT_EQ(Reason(request), "INVALID_NAME");
  request = Request();
  request.set_instance("tenants/tz/projects/p/instances/i");
  EXPECT_EQ(Reason(request), "OTHER_TENANT");
  request = Request();
  request.set_model("m");
  EXPECT_EQ(Reason(request), "INVALID_NAME");
  request = Request();
  request.set_isolation_class("own");
  EXPECT_EQ(Reason(request), "INVALID_FILTER");
  request = Request();
  request.add_group_by(static_cast<v1::UsageDimension>(99));
  EXPECT_EQ(Reason(request), "INVALID_GROUP_BY");
  request = Request();
  request.set_order(static_cast<v1::UsageOrder>(99));
  EXPECT_EQ(Reason(request), "INVALID_ORDER");
  request = Request();
  request.mutable_start_time()->set_seconds(1);
  EXPECT_EQ(Reason(request), "INVALID_TIME_RANGE");
}

TEST(ConvertReport, PagesGoToTheEndAndTokensAreOfOneReport) {
  v1::QueryUsageRequest request = Request();
  request.add_group_by(v1::USAGE_DIMENSION_DAY);
  request.add_group_by(v1::USAGE_DIMENSION_PROJECT);
  request.set_page_size(2);
  UsageReport report;
  report.row_count = 3;
  report.currency_code = "KES";
  report.rows = {{.period = kNow, .keys = {"p"}, .sums = {.request_count = 1, .amount = Amount::FromPico(1)}}, {}};
  report.rows[1].keys = {"q"};
  auto page = FromProto(request, "", kNow).value();
  const auto first = ToProto(report, page, "tenants/ke");
  EXPECT_EQ(first.rows(0).project(), "tenants/ke/projects/p");
  EXPECT_EQ(first.rows(0).sums().amount().amount(), "0.000000000001");
  EXPECT_EQ(first.row_count(), 3);
  ASSERT_FALSE(first.next_page_token().empty());
  request.set_page_token(first.next_page_token());
  page = FromProto(request, "", kNow).value();
  EXPECT_EQ(page.query.offset, 2);
  report.rows.resize(1);
  EXPECT_TRUE(ToProto(report, page, "tenants/ke").next_page_token().empty());
  request.set_model("models/m");
  EXPECT_EQ(Reason(request), "INVALID_PAGE_TOKEN");
}

}  // namespace
}  // namespace allod::billing::analysis::convert_report_test

#include "services/billing/analysis/convert_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "services/billing/convert.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing::analysis {
namespace {

constexpr std::int64_t kRowsMax = 10'000'000;

Result<UsageDimension> DimensionFrom(int dimension) {
  switch (dimension) {
    case v1::USAGE_DIMENSION_HOUR:
      return UsageDimension::kHourly;
    case v1::USAGE_DIMENSION_DAY:
      return UsageDimension::kDaily;
    case v1::USAGE_DIMENSION_MONTH:
      return UsageDimension::kMonthly;
    case v1::USAGE_DIMENSION_PROJECT:
      return UsageDimension::kProject;
    case v1::USAGE_DIMENSION_INSTANCE:
      return UsageDimension::kInstance;
    case v1::USAGE_DIMENSION_MODEL:
      return UsageDimension::kModel;
    case v1::USAGE_DIMENSION_VARIANT:
      return UsageDimension::kVariant;
    case v1::USAGE_DIMENSION_ISOLATION_CLASS:
      return UsageDimension::kIsolationClass;
    case v1::USAGE_DIMENSION_API_KEY:
      return UsageDimension::kApiKey;
    default:
      break;
  }
  return InvalidArgument("INVALID_GROUP_BY", fmt::format("group_by: {} is no dimension of usage", dimension));
}

Result<UsageOrder> OrderFrom(v1::UsageOrder order) {
  switch (order) {
    case v1::USAGE_ORDER_UNSPECIFIED:
      return UsageOrder::kDimensions;
    case v1::USAGE_ORDER_AMOUNT:
      return UsageOrder::kAmount;
    case v1::USAGE_ORDER_REQUESTS:
      return UsageOrder::kRequests;
    case v1::USAGE_ORDER_TOKENS:
      return UsageOrder::kTokens;
    default:
      break;
  }
  return InvalidArgument("INVALID_ORDER", fmt::format("order: {} is none", static_cast<int>(order)));
}

Status ReadFilters(const v1::QueryUsageRequest& request, UsageReportQuery& query) {
  if (!request.project().empty()) {
    ALLOD_CHECK_OK(CheckBelow("project", request.project(), "tenants/*/projects/*", request.parent()));
    query.project = request.project().substr(request.project().rfind('/') + 1);
  }
  if (!request.instance().empty()) {
    ALLOD_CHECK_OK(CheckBelow("instance", request.instance(), "tenants/*/projects/*/instances/*", request.parent()));
  }
  if (!request.model().empty()) ALLOD_CHECK_OK(MatchName("model", request.model(), "models/*"));
  if (!request.variant().empty()) {
    ALLOD_CHECK_OK(MatchName("variant", request.variant(), "models/*/versions/*/variants/*"));
  }
  constexpr std::array<std::string_view, 4> kClasses{"", "pooled", "isolated", "dedicated"};
  if (std::ranges::find(kClasses, request.isolation_class()) == kClasses.end()) {
    return InvalidArgument("INVALID_FILTER", "isolation_class: must be pooled, isolated or dedicated");
  }
  ALLOD_CHECK_OK(CheckApiKey(request.api_key(), request.parent()));
  query.instance = request.instance();
  query.model = request.model();
  query.variant = request.variant();
  query.isolation_class = request.isolation_class();
  query.api_key = request.api_key();
  return {};
}

// Up to now, from the beginning of its month.
Status ReadTimes(const v1::QueryUsageRequest& request, Time now, UsageReportQuery& query) {
  query.end = std::chrono::floor<std::chrono::hours>(now) + std::chrono::hours(1);
  if (request.has_end_time()) {
    ALLOD_TRY(query.end, TimeFrom("end_time", request.end_time()));
  }
  const std::chrono::year_month_day last(std::chrono::floor<std::chrono::days>(query.end - std::chrono::hours(1)));
  query.start = std::chrono::sys_days(last.year() / last.month() / 1);
  if (request.has_start_time()) {
    ALLOD_TRY(query.start, TimeFrom("start_time", request.start_time()));
  }
  return {};
}

v1::UsageSums SumsOf(const UsageSums& sums, const std::string& currency_code) {
  v1::UsageSums out;
  out.set_request_count(sums.request_count);
  out.set_billed_request_count(sums.billed_request_count);
  out.set_prompt_tokens(sums.prompt_tokens);
  out.set_completion_tokens(sums.completion_tokens);
  out.set_billed_prompt_tokens(sums.billed_prompt_tokens);
  out.set_billed_completion_tokens(sums.billed_completion_tokens);
  *out.mutable_amount() = billing::ToProto(sums.amount, currency_code);
  return out;
}

void SetKey(UsageDimension dimension, const std::string& key, const std::string& tenant_name, v1::UsageReportRow& row) {
  switch (dimension) {
    case UsageDimension::kProject:
      row.set_project(fmt::format("{}/projects/{}", tenant_name, key));
      break;
    case UsageDimension::kInstance:
      row.set_instance(key);
      break;
    case UsageDimension::kModel:
      row.set_model(key);
      break;
    case UsageDimension::kVariant:
      row.set_variant(key);
      break;
    case UsageDimension::kIsolationClass:
      row.set_isolation_class(key);
      break;
    case UsageDimension::kApiKey:
      row.set_api_key(key);
      break;
    case UsageDimension::kHourly:
    case UsageDimension::kDaily:
    case UsageDimension::kMonthly:
      break;
  }
}

}  // namespace

Result<UsageReportPage> FromProto(const v1::QueryUsageRequest& request, const std::string& project, Time now) {
  UsageReportPage out;
  UsageReportQuery& query = out.query;
  ALLOD_TRY(query.tenant, ParseTenant("parent", request.parent()));
  ALLOD_CHECK_OK(ReadFilters(request, query));
  if (!project.empty()) query.project = project;
  ALLOD_CHECK_OK(ReadTimes(request, now, query));
  for (const int dimension : request.group_by()) {
    ALLOD_TRY(const UsageDimension by, DimensionFrom(dimension));
    query.group_by.push_back(by);
  }
  ALLOD_TRY(query.order, OrderFrom(request.order()));
  ALLOD_CHECK_OK(CheckReportQuery(query));
  v1::QueryUsageRequest asked = request;
  asked.clear_page_size();
  asked.clear_page_token();
  ALLOD_TRY(out.page, ParsePage(fmt::format("usage report of {} {}", project, asked.ShortDebugString()),
                                request.page_size(), request.page_token()));
  const std::string& after = out.page.after;
  const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), query.offset);
  if (!after.empty() &&
      (error != std::errc() || end != after.data() + after.size() || query.offset < 0 || query.offset > kRowsMax)) {
    return InvalidArgument("INVALID_PAGE_TOKEN", "page_token: was not given out by this report");
  }
  query.limit = out.page.size;
  return out;
}

v1::QueryUsageResponse ToProto(const UsageReport& report, const UsageReportPage& page, const std::string& tenant_name) {
  v1::QueryUsageResponse out;
  for (const UsageReportRow& row : report.rows) {
    v1::UsageReportRow& line = *out.add_rows();
    if (row.period) *line.mutable_period_start() = ToTimestamp(*row.period);
    auto key = row.keys.begin();
    for (const UsageDimension dimension : page.query.group_by) {
      if (!IsPeriod(dimension)) SetKey(dimension, *key++, tenant_name, line);
    }
    *line.mutable_sums() = SumsOf(row.sums, report.currency_code);
  }
  const std::int64_t next = page.query.offset + static_cast<std::int64_t>(report.rows.size());
  if (next < report.row_count && !report.rows.empty()) {
    out.set_next_page_token(EncodePageToken(page.page.scope, std::to_string(next)));
  }
  *out.mutable_total() = SumsOf(report.total, report.currency_code);
  out.set_row_count(report.row_count);
  *out.mutable_start_time() = ToTimestamp(page.query.start);
  *out.mutable_end_time() = ToTimestamp(page.query.end);
  return out;
}

}  // namespace allod::billing::analysis

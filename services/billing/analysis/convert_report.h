// Messages of UsageReportService to queries, and reports back. INVALID_ARGUMENT names the field.
#pragma once

#include "allod/billing/v1/usage_report.pb.h"
#include "services/billing/analysis/usage_report.h"
#include "services/common/page_token.h"

namespace allod::billing::analysis {

struct UsageReportPage {
  PageRequest page;
  UsageReportQuery query;
};
// Of that project only; of all if it is empty. What is not said of the time is said by `now`. The query is sound.
Result<UsageReportPage> FromProto(const v1::QueryUsageRequest& request, const std::string& project, Time now);
v1::QueryUsageResponse ToProto(const UsageReport& report, const UsageReportPage& page, const std::string& tenant_name);

}  // namespace allod::billing::analysis

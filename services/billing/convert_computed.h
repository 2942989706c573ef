// Computed usage: protocol messages to domain values and back.
#pragma once

#include "allod/billing/v1/computed_usage.pb.h"
#include "services/billing/computed_usage.h"
#include "services/common/page_token.h"

namespace allod::billing {

// An event that `node` tells of. INVALID_ARGUMENT / INVALID_EVENT and others, all of which refuse the event for good.
Result<ComputedUsage> FromProto(const v1::ComputedUsage& event, const std::string& node);
v1::ComputedUsage ToProto(const ComputedUsage& event);

struct ComputedPage {
  PageRequest page;
  ComputedQuery query;  // its limit is one more than the page's size
};
// Of that project only; of all if it is empty.
Result<ComputedPage> FromProto(const v1::ListComputedUsageRequest& request, const std::string& project);
std::string PageKeyOf(const ComputedUsage& event);

struct TimeRange {
  Time start;
  Time end;
};
// INVALID_ARGUMENT / INVALID_TIME_RANGE.
Result<TimeRange> FromProto(const v1::CheckUsageRequest& request);
v1::CheckUsageResponse::Finding ToProto(const UsageFinding& finding, const std::string& tenant_name);
void FillCounts(const UsageCheck& check, v1::CheckUsageResponse& out);

}  // namespace allod::billing

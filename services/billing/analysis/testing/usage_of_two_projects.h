// A RollupStore for tests that ask whose usage is shown: a request of the project p and one of q.
#pragma once

#include "services/billing/analysis/rollup_store.h"

namespace allod::billing::analysis {

class UsageOfTwoProjects final : public RollupStore {
 public:
  Result<std::vector<TenantId>> TenantsBehind(std::optional<TenantId>, int) override { return std::vector<TenantId>(); }
  Result<int> RollUp(TenantId, int) override { return 0; }
  Result<std::int64_t> Rebuild(TenantId) override { return 0; }
  Result<UsageReport> Report(const UsageReportQuery& query) override {
    UsageReport out;
    for (const char* project : {"p", "q"}) {
      if (!query.project.empty() && query.project != project) continue;
      out.rows.push_back({.keys = {project}, .sums = {.request_count = 1}});
    }
    out.row_count = static_cast<std::int64_t>(out.rows.size());
    return out;
  }
};

}  // namespace allod::billing::analysis

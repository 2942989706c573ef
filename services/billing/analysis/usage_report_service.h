// RPCs of UsageReportService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/usage_report.grpc.pb.h"
#include "services/billing/analysis/rollup_store.h"
#include "services/billing/call_gates.h"
#include "services/common/clock.h"

namespace allod::billing::analysis {

class UsageReportServiceImpl final : public v1::UsageReportService::Service {
 public:
  UsageReportServiceImpl(RollupStore& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status QueryUsage(grpc::ServerContext* context, const v1::QueryUsageRequest* request,
                          v1::QueryUsageResponse* response) override;
  grpc::Status RebuildUsageReports(grpc::ServerContext* context, const v1::RebuildUsageReportsRequest* request,
                                   v1::RebuildUsageReportsResponse* response) override;

 private:
  RollupStore& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing::analysis

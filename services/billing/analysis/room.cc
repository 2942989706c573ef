#include "services/billing/analysis/room.h"

#include <chrono>

#include "services/billing/analysis/partition_maker.h"
#include "services/billing/analysis/pg_partitions.h"
#include "services/billing/analysis/pg_rollups.h"
#include "services/billing/analysis/retention.h"
#include "services/billing/analysis/rollup_worker.h"
#include "services/billing/analysis/usage_report_service.h"

namespace allod::billing::analysis {
namespace {

class AnalysisRoom final : public Room {
 public:
  AnalysisRoom(const Shared& shared, std::chrono::days computed_usage)
      : rollups_(shared.desk, shared.reports),
        service_(rollups_, shared.clock, shared.gates),
        partitions_(shared.desk),
        partition_maker_(partitions_),
        rollup_worker_(rollups_, shared.clock),
        retention_(partitions_, shared.clock, computed_usage) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }
  void Start() override {
    partition_maker_.Start();
    rollup_worker_.Start();
    retention_.Start();
  }
  void Stop() override {
    retention_.Stop();
    rollup_worker_.Stop();
    partition_maker_.Stop();
  }

 private:
  PgRollupStore rollups_;
  UsageReportServiceImpl service_;
  PgPartitionStore partitions_;
  PartitionMaker partition_maker_;
  RollupWorker rollup_worker_;
  Retention retention_;
};

class AnalysisPlan final : public RoomPlan {
 public:
  void Read(ConfigReader& reader) override {
    reader.Optional("computed_usage_days", computed_usage_days_);
    if (computed_usage_days_ != 0 && (computed_usage_days_ < 7 || computed_usage_days_ > 3660)) {
      reader.Complain("computed_usage_days: must be 7 to 3660, or 0 for ever");
    }
  }
  Result<std::unique_ptr<Room>> Make(const Shared& shared) const override {
    return std::unique_ptr<Room>(std::make_unique<AnalysisRoom>(shared, std::chrono::days(computed_usage_days_)));
  }

 private:
  int computed_usage_days_ = kComputedUsageDaysDefault;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<AnalysisPlan>(); }

}  // namespace allod::billing::analysis

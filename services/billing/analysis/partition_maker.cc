#include "services/billing/analysis/partition_maker.h"

#include <chrono>
#include <string>

#include "services/common/log.h"

namespace allod::billing::analysis {
namespace {

constexpr std::chrono::hours kMakerPeriod{1};
constexpr std::chrono::seconds kMakerAgain{30};

}  // namespace

void PartitionMaker::Start() {
  thread_ = OwnedThread("partition maker", [this](const std::stop_token& stop) { Loop(stop); });
}

void PartitionMaker::Stop() { thread_.Stop(); }

void PartitionMaker::Loop(const std::stop_token& stop) {
  bool failing = false;
  while (true) {
    const Result<int> made = store_.MakePartitions(kPartitionsAhead);
    if (!made && !failing) {
      Log(LogLevel::kWarning, "could not make partitions of usage records; trying again every 30 seconds",
          {{"reason", made.error().reason}, {"message", made.error().message}});
    }
    failing = !made;
    if (made.value_or(0) > 0)
      Log(LogLevel::kInfo, "made partitions of usage records", {{"count", std::to_string(*made)}});
    if (!SleepFor(stop, failing ? std::chrono::milliseconds(kMakerAgain) : std::chrono::milliseconds(kMakerPeriod)))
      return;
  }
}

}  // namespace allod::billing::analysis

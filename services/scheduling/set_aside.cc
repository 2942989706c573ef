#include "services/scheduling/set_aside.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>

#include "services/common/metrics.h"

namespace allod::scheduling {
namespace {

constexpr int kDoublingsMax = 6;
constexpr std::chrono::seconds kLongest{60};

void CountFailure(SetAside::Stage stage) {
  static auto& family = prometheus::BuildCounter()
                            .Name("allod_scheduling_tenant_failures_total")
                            .Help("Work on one tenant that failed, by stage; the others went on")
                            .Register(Metrics());
  family.Add({{"stage", NameOf(stage)}}).Increment();
}

prometheus::Gauge& Gauge() {
  static auto& gauge = prometheus::BuildGauge()
                           .Name("allod_scheduling_tenants_set_aside")
                           .Help("Tenants whose work failed last and is tried again later")
                           .Register(Metrics())
                           .Add({});
  return gauge;
}

}  // namespace

const char* NameOf(SetAside::Stage stage) {
  switch (stage) {
    case SetAside::Stage::kLoad:
      return "load";
    case SetAside::Stage::kLook:
      return "look";
    case SetAside::Stage::kDecide:
      return "decide";
  }
  return "decide";
}

SetAside::SetAside() { ShowCount(); }
SetAside::~SetAside() {
  entries_.clear();
  ShowCount();
}

void SetAside::ShowCount() {
  std::set<TenantId> tenants;
  for (const auto& [key, entry] : entries_) tenants.insert(key.first);
  Gauge().Increment(static_cast<double>(std::ssize(tenants) - shown_));
  shown_ = static_cast<int>(tenants.size());
}

std::chrono::seconds SetAside::Fail(const TenantId& tenant, Stage stage, Time now) {
  Entry& entry = entries_[{tenant, stage}];
  const auto wait = std::min(std::chrono::seconds(1 << std::min(entry.failures, kDoublingsMax)), kLongest);
  ++entry.failures;
  entry.retry = now + wait;
  entry.told = false;
  CountFailure(stage);
  ShowCount();
  return wait;
}

void SetAside::Succeed(const TenantId& tenant, Stage stage) {
  if (entries_.erase({tenant, stage}) > 0) ShowCount();
}

bool SetAside::Waits(const TenantId& tenant, Stage stage, Time now) const {
  const auto found = entries_.find({tenant, stage});
  return found != entries_.end() && now < found->second.retry;
}

int SetAside::Failures(const TenantId& tenant, Stage stage) const {
  const auto found = entries_.find({tenant, stage});
  return found == entries_.end() ? 0 : found->second.failures;
}

std::vector<TenantId> SetAside::TakeDue(Time now) {
  std::vector<TenantId> due;
  for (auto& [key, entry] : entries_) {
    if (entry.told || now < entry.retry) continue;
    entry.told = true;
    due.push_back(key.first);
  }
  return due;
}

}  // namespace allod::scheduling

#include "services/common/set_aside.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>

#include "services/common/deadline.h"
#include "services/common/log.h"
#include "services/common/metrics.h"

namespace allod {
namespace {

constexpr int kDoublingsMax = 6;
constexpr std::chrono::seconds kLongest{60};

void CountFailure(const std::string& service, const std::string& stage) {
  prometheus::BuildCounter()
      .Name("allod_" + service + "_tenant_failures_total")
      .Help("Work on one tenant that failed, by stage; the others went on")
      .Register(Metrics())
      .Add({{"stage", stage}})
      .Increment();
}

prometheus::Gauge& GaugeOf(const std::string& service) {
  return prometheus::BuildGauge()
      .Name("allod_" + service + "_tenants_set_aside")
      .Help("Tenants whose work failed last and is tried again later")
      .Register(Metrics())
      .Add({});
}

}  // namespace

bool ConcernsEverybody(const Error& error) {
  return error.code == Code::kUnavailable || error.reason == "DATABASE_FULL" || error == DeadlineExceeded();
}

SetAside::SetAside(std::string service) : service_(std::move(service)), gauge_(GaugeOf(service_)) {}

SetAside::~SetAside() {
  entries_.clear();
  ShowCount();
}

void SetAside::ShowCount() {
  std::set<TenantId> tenants;
  for (const auto& [key, entry] : entries_) tenants.insert(key.first);
  gauge_.Increment(static_cast<double>(std::ssize(tenants) - shown_));
  shown_ = static_cast<int>(tenants.size());
}

std::chrono::seconds SetAside::Fail(const TenantId& tenant, std::string_view stage, const Error& error, Time now,
                                    std::string_view name) {
  Entry& entry = entries_[Key(tenant, stage)];
  const auto wait = std::min(std::chrono::seconds(1 << std::min(entry.failures, kDoublingsMax)), kLongest);
  ++entry.failures;
  entry.retry = now + wait;
  entry.told = false;
  CountFailure(service_, std::string(stage));
  ShowCount();
  Log(LogLevel::kError, "a tenant is left alone for a while; the others go on",
      {{"tenant", name.empty() ? tenant.ToString() : std::string(name)},
       {"stage", std::string(stage)},
       {"reason", error.reason},
       {"message", error.message},
       {"seconds", std::to_string(wait.count())}});
  return wait;
}

void SetAside::Succeed(const TenantId& tenant, std::string_view stage) {
  if (entries_.erase(Key(tenant, stage)) > 0) ShowCount();
}

void SetAside::KeepOnly(std::string_view stage, const std::set<TenantId>& tenants) {
  std::erase_if(entries_,
                [&](const auto& entry) { return entry.first.second == stage && !tenants.contains(entry.first.first); });
  ShowCount();
}

bool SetAside::Waits(const TenantId& tenant, std::string_view stage, Time now) const {
  const auto found = entries_.find(Key(tenant, stage));
  return found != entries_.end() && now < found->second.retry;
}

int SetAside::Failures(const TenantId& tenant, std::string_view stage) const {
  const auto found = entries_.find(Key(tenant, stage));
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

}  // namespace allod

#include "gateway/access/limit_table.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "gateway/access/limits_from.h"
#include "services/common/rpc/watch.h"

namespace allod::gateway::access {
namespace {

std::shared_ptr<const TenantLimits> EntryOf(const tenancy::v1::TenantLimits& limits) {
  auto out = std::make_shared<TenantLimits>();
  out->tenant = LimitsFrom(limits.limits());
  for (const auto& project : limits.projects()) {
    if (project.has_limits()) out->projects[project.project()] = LimitsFrom(project.limits());
    for (const auto& instance : project.instances())
      out->instances[instance.instance()] = LimitsFrom(instance.limits());
  }
  out->above.assign(limits.above().begin(), limits.above().end());
  return out;
}

}  // namespace

void LimitTable::BeginSnapshot() {
  Entries old;  // destroyed when nobody waits for the lock any more
  const std::unique_lock lock(mutex_);
  in_snapshot_ = true;
  old.swap(snapshot_);
}

void LimitTable::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  Entries fresh;
  for (const auto& limits : message.tenant_limits()) fresh[limits.tenant()] = EntryOf(limits);
  Entries old;
  const std::unique_lock lock(mutex_);
  Entries& into = in_snapshot_ ? snapshot_ : entries_;
  for (auto& [tenant, limits] : fresh) into.insert_or_assign(tenant, std::move(limits));
  if (!in_snapshot_ || !message.synced()) return;
  old.swap(entries_);
  entries_.swap(snapshot_);
  in_snapshot_ = false;
  synced_ = true;
}

std::shared_ptr<const TenantLimits> LimitTable::Of(const std::string& tenant) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(tenant);
  return found == entries_.end() ? nullptr : found->second;
}

Result<bool> LimitTable::IsBelow(const std::string& tenant, const std::string& top) const {
  const std::shared_lock lock(mutex_);
  if (!synced_) {
    Error error{Code::kUnavailable, "KEYS_NOT_SYNCED", "the gateway is still fetching tenants; try again in a second"};
    error.retry_after = std::chrono::milliseconds(500);
    return std::unexpected(std::move(error));
  }
  const auto found = entries_.find(tenant);
  return found != entries_.end() && std::ranges::find(found->second->above, top) != found->second->above.end();
}

void PushedKeys::BeginSnapshot() {
  limits_.BeginSnapshot();
  keys_.BeginSnapshot();
}

void PushedKeys::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  limits_.Apply(message);
  keys_.Apply(message);
}

std::unique_ptr<WatchLoop> WatchApiKeys(std::shared_ptr<grpc::Channel> tenancy, PushedKeys& pushed) {
  using Service = tenancy::v1::ApiKeyService;
  return Watch("api-keys", Caller::Service("gateway"), Service::NewStub(tenancy),
               &Service::StubInterface::async_interface::WatchApiKeys, &Service::Stub::AcknowledgeApiKeys, pushed);
}

}  // namespace allod::gateway::access

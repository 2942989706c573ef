#include "gateway/access/limit_table.h"

#include <algorithm>
#include <chrono>
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

void LimitTable::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  Entries fresh;
  for (const auto& limits : message.tenant_limits()) fresh[limits.tenant()] = EntryOf(limits);
  known_.Apply(message.synced(), [&](Entries& entries) {
    for (auto& [tenant, limits] : fresh) entries[tenant].swap(limits);
  });
}

std::shared_ptr<const TenantLimits> LimitTable::Of(const std::string& tenant) const {
  const auto known = known_.Read();
  const auto found = known->find(tenant);
  return found == known->end() ? nullptr : found->second;
}

Result<bool> LimitTable::IsBelow(const std::string& tenant, const std::string& top) const {
  const auto known = known_.Read();
  if (!known.synced()) {
    Error error{Code::kUnavailable, "KEYS_NOT_SYNCED", "the gateway is still fetching tenants; try again in a second"};
    error.retry_after = std::chrono::milliseconds(500);
    return std::unexpected(std::move(error));
  }
  const auto found = known->find(tenant);
  return found != known->end() && std::ranges::find(found->second->above, top) != found->second->above.end();
}

void PushedKeys::BeginSnapshot() {
  limits_.BeginSnapshot();
  keys_.BeginSnapshot();
}

void PushedKeys::Apply(const tenancy::v1::WatchApiKeysResponse& message) {
  limits_.Apply(message);
  keys_.Apply(message);
}

void PushedKeys::EndStream() {
  limits_.EndStream();
  keys_.EndStream();
}

std::unique_ptr<WatchLoop> WatchApiKeys(std::shared_ptr<grpc::Channel> tenancy, PushedKeys& pushed) {
  using Service = tenancy::v1::ApiKeyService;
  return Watch("api-keys", Caller::Service("gateway"), Service::NewStub(tenancy), &Service::Stub::WatchApiKeys,
               &Service::Stub::AcknowledgeApiKeys, pushed);
}

}  // namespace allod::gateway::access

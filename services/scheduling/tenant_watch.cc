#include "services/scheduling/tenant_watch.h"

#include <algorithm>

#include "services/common/log.h"
#include "services/common/rpc/watch.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void TenantTable::BeginSnapshot() {
  terms_.clear();
  is_snapshot_ = true;
}

void TenantTable::Apply(const tenancy::v1::WatchTenantsResponse& message) {
  for (const auto& tenant : message.tenants()) {
    auto terms = TermsFrom(tenant);
    if (terms) {
      terms_.push_back(*std::move(terms));
    } else {
      Log(LogLevel::kError, "what tenancy says of a tenant makes no sense; nothing of it runs until it does",
          {{"tenant", tenant.name()}, {"message", terms.error().message}});
      if (auto closed = ClosedTerms(tenant)) terms_.push_back(*std::move(closed));
    }
  }
  if (!message.synced()) return;
  const auto until = steady_clock::now() + kInForceWait;
  const auto left = [&] {
    return std::max(milliseconds(0), std::chrono::floor<milliseconds>(until - steady_clock::now()));
  };
  const std::uint64_t number = inbox_.Put(terms_, is_snapshot_);
  terms_.clear();
  is_snapshot_ = false;
  if (!inbox_.AwaitInForce(number, left())) return;
  gateways_.Await(static_cast<std::int64_t>(routes_.Await(0, milliseconds(0)).version), left());
}

std::unique_ptr<WatchLoop> WatchTenants(const std::shared_ptr<grpc::Channel>& tenancy, TenantTable& table) {
  using Service = tenancy::v1::TenantService;
  return Watch("tenants", Caller::Service("scheduling"), Service::NewStub(tenancy),
               &Service::StubInterface::async_interface::WatchTenants, &Service::Stub::AcknowledgeTenants, table);
}

}  // namespace allod::scheduling

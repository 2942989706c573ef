// Follows what tenancy says of tenants. What is said is passed on when it is complete, or completes a change, and is
// acknowledged when gateways route accordingly: who suspends a tenant is answered then.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/rpc/watch_loop.h"
#include "services/common/rpc/watchers.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/route_table.h"
#include "services/scheduling/terms_inbox.h"

namespace allod::scheduling {

// Of one stream at a time (see PushedTable in services/common/rpc/watch.h); borrows everything.
class TenantTable {
 public:
  TenantTable(TermsInbox& inbox, const Broadcast<RouteTable>& routes, Watchers& gateways)
      : inbox_(inbox), routes_(routes), gateways_(gateways) {}

  void BeginSnapshot();
  // Blocks up to kInForceWait. A tenant that makes no sense is logged, and in force is that nothing of it may run
  // anywhere: what was said of it before may have been wider. One whose name is none is left out.
  void Apply(const tenancy::v1::WatchTenantsResponse& message);
  void EndStream() {}

  // Less than tenancy waits, so that a reconciler that is slow does not count as one that is gone.
  static constexpr std::chrono::milliseconds kInForceWait{1500};

 private:
  TermsInbox& inbox_;
  const Broadcast<RouteTable>& routes_;
  Watchers& gateways_;
  std::vector<TenantTerms> terms_;  // of a snapshot or change that is not complete yet
  bool is_snapshot_ = true;
};

// The table outlives the loop.
std::unique_ptr<WatchLoop> WatchTenants(const std::shared_ptr<grpc::Channel>& tenancy, TenantTable& table);

}  // namespace allod::scheduling

// RPCs of RegionService. Thread-safe; borrows everything it is given.
#pragma once

#include "allod/scheduling/v1/region.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/call.h"
#include "services/common/rpc/watchers.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/call_gates.h"
#include "services/scheduling/drivers/driver.h"
#include "services/scheduling/region_board.h"
#include "services/scheduling/region_store.h"
#include "services/scheduling/route_table.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class RegionServiceImpl final : public v1::RegionService::Service {
 public:
  // What is changed is put on the board; a change returns when the gateways route accordingly.
  RegionServiceImpl(RegionStore& regions, Store& store, const drivers::Driver& driver, RegionBoard& board,
                    const Broadcast<RouteTable>& routes, Watchers& gateways, const Clock& clock, CallGates& gates)
      : regions_(regions),
        store_(store),
        driver_(driver),
        board_(board),
        routes_(routes),
        gateways_(gateways),
        clock_(clock),
        gates_(gates) {}

  grpc::Status CreateRegion(grpc::ServerContext* context, const v1::CreateRegionRequest* request,
                            v1::Region* response) override;
  grpc::Status GetRegion(grpc::ServerContext* context, const v1::GetRegionRequest* request,
                         v1::Region* response) override;
  grpc::Status UpdateRegion(grpc::ServerContext* context, const v1::UpdateRegionRequest* request,
                            v1::UpdateRegionResponse* response) override;
  grpc::Status ListRegionVersions(grpc::ServerContext* context, const v1::ListRegionVersionsRequest* request,
                                  v1::ListRegionVersionsResponse* response) override;

 private:
  Result<v1::Region> Create(const grpc::ServerContext& context, const Call& call,
                            const v1::CreateRegionRequest& request);
  Result<v1::UpdateRegionResponse> Update(const grpc::ServerContext& context, const Call& call,
                                          const v1::UpdateRegionRequest& request);
  // What would stop if `changed` took the place of the version that there is.
  Result<std::vector<std::string>> Stopped(const RegionVersion& changed);
  void PutInForce(const RegionVersion& made, std::chrono::milliseconds wait);

  RegionStore& regions_;
  Store& store_;
  const drivers::Driver& driver_;
  RegionBoard& board_;
  const Broadcast<RouteTable>& routes_;
  Watchers& gateways_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::scheduling

// RPCs of NodeService: what the pool is made of. Thread-safe; borrows what it is given.
#pragma once

#include <vector>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/clock.h"
#include "services/scheduling/drivers/driver.h"
#include "services/scheduling/figures_board.h"
#include "services/scheduling/region_board.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class NodeServiceImpl final : public v1::NodeService::Service {
 public:
  NodeServiceImpl(Store& store, const drivers::Driver& driver, const FiguresBoard& figures, const Clock& clock,
                  const RegionBoard& regions)
      : store_(store), driver_(driver), figures_(figures), clock_(clock), regions_(regions) {}

  // Open to everyone: a tenant must know where it can be.
  grpc::Status ListRegions(grpc::ServerContext* context, const v1::ListRegionsRequest* request,
                           v1::ListRegionsResponse* response) override;
  grpc::Status ListNodes(grpc::ServerContext* context, const v1::ListNodesRequest* request,
                         v1::ListNodesResponse* response) override;
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;

 private:
  Store& store_;
  const drivers::Driver& driver_;
  const FiguresBoard& figures_;
  const Clock& clock_;
  const RegionBoard& regions_;
};

}  // namespace allod::scheduling

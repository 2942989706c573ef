// RPCs of RouteService: the table that gateways route by. Thread-safe; borrows the table and the list of watchers.
#pragma once

#include <atomic>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/rpc/watchers.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/route_table.h"

namespace allod::scheduling {

class RouteServiceImpl final : public v1::RouteService::Service {
 public:
  RouteServiceImpl(const Broadcast<RouteTable>& routes, Watchers& gateways) : routes_(routes), gateways_(gateways) {}

  // Sends nothing before everything was loaded, so that a restart of this service never empties a gateway's table.
  grpc::Status WatchRoutes(grpc::ServerContext* context, const v1::WatchRoutesRequest* request,
                           grpc::ServerWriter<v1::WatchRoutesResponse>* writer) override;
  grpc::Status AcknowledgeRoutes(grpc::ServerContext* context, const v1::AcknowledgeRoutesRequest* request,
                                 v1::AcknowledgeRoutesResponse* response) override;

  // Ends every stream.
  void Stop() { stopping_ = true; }

 private:
  const Broadcast<RouteTable>& routes_;
  Watchers& gateways_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace allod::scheduling

// RPCs of RouteService: the table that gateways route by. Thread-safe; borrows the table.
#pragma once

#include <atomic>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/reconciler.h"

namespace allod::scheduling {

class RouteServiceImpl final : public v1::RouteService::Service {
 public:
  explicit RouteServiceImpl(const Broadcast<RouteTable>& routes) : routes_(routes) {}

  // Sends nothing before everything was loaded, so that a restart of this service never empties a gateway's table.
  grpc::Status WatchRoutes(grpc::ServerContext* context, const v1::WatchRoutesRequest* request,
                           grpc::ServerWriter<v1::WatchRoutesResponse>* writer) override;

  // Ends every stream.
  void Stop() { stopping_ = true; }

 private:
  const Broadcast<RouteTable>& routes_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace allod::scheduling

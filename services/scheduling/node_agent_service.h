// RPCs of NodeAgentService: agents fetch what they shall run and say what runs. Thread-safe; borrows what it is given.
#pragma once

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/clock.h"
#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/figures_board.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class NodeAgentServiceImpl final : public v1::NodeAgentService::Service {
 public:
  NodeAgentServiceImpl(Store& store, drivers::ProcessDriver& driver, FiguresBoard& figures, const Clock& clock)
      : store_(store), driver_(driver), figures_(figures), clock_(clock) {}

  // Ends with ABORTED / SESSION_REPLACED when the node connects again, UNAVAILABLE when the service stops.
  grpc::Status WatchAssignments(grpc::ServerContext* context, const v1::WatchAssignmentsRequest* request,
                                grpc::ServerWriter<v1::WatchAssignmentsResponse>* writer) override;
  grpc::Status ReportWorkers(grpc::ServerContext* context, const v1::ReportWorkersRequest* request,
                             v1::ReportWorkersResponse* response) override;

 private:
  Status Watch(const grpc::ServerContext& context, const v1::WatchAssignmentsRequest& request,
               grpc::ServerWriter<v1::WatchAssignmentsResponse>& writer);

  Store& store_;
  drivers::ProcessDriver& driver_;
  FiguresBoard& figures_;
  const Clock& clock_;
};

}  // namespace allod::scheduling

// RPCs of InstanceService. Thread-safe; borrows everything it is given.
#pragma once

#include <functional>
#include <vector>

#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/call.h"
#include "services/scheduling/acceptor.h"
#include "services/scheduling/call_gates.h"
#include "services/scheduling/figures_board.h"
#include "services/scheduling/peers.h"
#include "services/scheduling/route_visibility.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class InstanceServiceImpl final : public v1::InstanceService::Service {
 public:
  // `changed` is told which instance's rows changed; it must not block. Mutations return when gateways route
  // accordingly.
  InstanceServiceImpl(Store& store, Peers& peers, const FiguresBoard& figures, const RouteVisibility& routes,
                      const Clock& clock, CallGates& gates, Acceptor& acceptor,
                      std::function<void(const TenantId&, const std::string&)> changed)
      : store_(store),
        peers_(peers),
        figures_(figures),
        routes_(routes),
        clock_(clock),
        gates_(gates),
        acceptor_(acceptor),
        changed_(std::move(changed)) {}

  grpc::Status CreateInstance(grpc::ServerContext* context, const v1::CreateInstanceRequest* request,
                              google::longrunning::Operation* response) override;
  grpc::Status GetInstance(grpc::ServerContext* context, const v1::GetInstanceRequest* request,
                           v1::Instance* response) override;
  grpc::Status ListInstances(grpc::ServerContext* context, const v1::ListInstancesRequest* request,
                             v1::ListInstancesResponse* response) override;
  grpc::Status UpdateInstance(grpc::ServerContext* context, const v1::UpdateInstanceRequest* request,
                              google::longrunning::Operation* response) override;
  grpc::Status GetInstanceQuotaUse(grpc::ServerContext* context, const v1::GetInstanceQuotaUseRequest* request,
                                   v1::GetInstanceQuotaUseResponse* response) override;
  grpc::Status DeleteInstance(grpc::ServerContext* context, const v1::DeleteInstanceRequest* request,
                              google::longrunning::Operation* response) override;

 private:
  // What that would come to; `standing` as in CheckQuotas().
  Status JudgeQuotas(const std::string& name, const Accepted& wanted, const Revision* standing);
  // With what its node measured.
  v1::Instance Describe(const Instance& instance) const;
  // What the mutation that `write` makes is answered with, once it is in force.
  Result<google::longrunning::Operation> Mutate(const grpc::ServerContext& context, const Call& call,
                                                const std::function<Result<Operation>()>& write);
  // What it would be answered with.
  Result<google::longrunning::Operation> Judge(const Call& call,
                                               const std::function<Result<google::longrunning::Operation>()>& preview);
  Result<google::longrunning::Operation> Create(const grpc::ServerContext& context, const Call& call,
                                                const v1::CreateInstanceRequest& request);
  Result<Operation> Write(const std::string& project, const InstanceSpec& spec, NewInstance& instance,
                          const RequestId& request_id);
  Result<google::longrunning::Operation> Update(const grpc::ServerContext& context, const Call& call,
                                                const v1::UpdateInstanceRequest& request);
  Result<Operation> Write(const InstanceSpec& spec, InstanceChange& change, const RequestId& request_id);
  // A finished operation whose response is what would be.
  google::longrunning::Operation Previewed(const Instance& instance) const;
  // What Create and Update would do, without doing it.
  Result<google::longrunning::Operation> Preview(const std::string& project, const InstanceSpec& spec,
                                                 const NewInstance& wanted, const RequestId& request_id);
  Result<google::longrunning::Operation> Preview(const TenantId& tenant, const v1::UpdateInstanceRequest& request,
                                                 const InstanceSpec& spec, const RequestId& request_id);

  Store& store_;
  Peers& peers_;
  const FiguresBoard& figures_;
  const RouteVisibility& routes_;
  const Clock& clock_;
  CallGates& gates_;
  Acceptor& acceptor_;
  const std::function<void(const TenantId&, const std::string&)> changed_;
};

}  // namespace allod::scheduling

// RPCs of WorkloadRuleService. Thread-safe; borrows all that it is given. What changes rules returns when the gateways
// that keep up have applied it.
#pragma once

#include "allod/tenancy/v1/workload_rule.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/caller.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/identity_service.h"
#include "services/tenancy/identity_store.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class WorkloadRuleServiceImpl final : public v1::WorkloadRuleService::Service {
 public:
  // `keys` has the API keys that ask.
  WorkloadRuleServiceImpl(IdentityStore& store, Store& keys, IdentityServiceImpl& gateways, const Clock& clock,
                          CallGates& gates)
      : store_(store), keys_(keys), gateways_(gateways), clock_(clock), gates_(gates) {}

  grpc::Status CreateWorkloadRule(grpc::ServerContext* context, const v1::CreateWorkloadRuleRequest* request,
                                  v1::WorkloadRule* response) override;
  grpc::Status GetWorkloadRule(grpc::ServerContext* context, const v1::GetWorkloadRuleRequest* request,
                               v1::WorkloadRule* response) override;
  grpc::Status ListWorkloadRules(grpc::ServerContext* context, const v1::ListWorkloadRulesRequest* request,
                                 v1::ListWorkloadRulesResponse* response) override;
  grpc::Status UpdateWorkloadRule(grpc::ServerContext* context, const v1::UpdateWorkloadRuleRequest* request,
                                  v1::WorkloadRule* response) override;
  grpc::Status DeleteWorkloadRule(grpc::ServerContext* context, const v1::DeleteWorkloadRuleRequest* request,
                                  google::protobuf::Empty* response) override;

 private:
  // That what asks may grant what lasts.
  Status CheckMaker(const WorkloadRule& rule, const Caller& caller);
  // Checked against its provider and what the caller may hand on.
  Result<WorkloadRule> Check(WorkloadRule rule, const Caller& caller);
  // What the change would leave, without making it.
  Result<WorkloadRule> JudgeCreation(const WorkloadRule& wanted);
  Result<WorkloadRule> JudgeUpdate(const WorkloadRule& wanted, const std::string& etag);

  IdentityStore& store_;
  Store& keys_;
  IdentityServiceImpl& gateways_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy

// RPCs of BudgetService. Thread-safe; borrows the store, the clock, the gates and the hub.
#pragma once

#include "allod/billing/v1/budget.grpc.pb.h"
#include "services/billing/budget/budget_store.h"
#include "services/billing/call_gates.h"
#include "services/billing/recall_hub.h"
#include "services/common/clock.h"

namespace allod::billing::budget {

class BudgetServiceImpl final : public v1::BudgetService::Service {
 public:
  // Gateways that watch `hub` are told of each change.
  BudgetServiceImpl(BudgetStore& store, const Clock& clock, CallGates& gates, RecallHub& hub)
      : store_(store), clock_(clock), gates_(gates), hub_(hub) {}

  grpc::Status CreateBudget(grpc::ServerContext* context, const v1::CreateBudgetRequest* request,
                            v1::Budget* response) override;
  grpc::Status GetBudget(grpc::ServerContext* context, const v1::GetBudgetRequest* request,
                         v1::Budget* response) override;
  grpc::Status ListBudgets(grpc::ServerContext* context, const v1::ListBudgetsRequest* request,
                           v1::ListBudgetsResponse* response) override;
  grpc::Status UpdateBudget(grpc::ServerContext* context, const v1::UpdateBudgetRequest* request,
                            v1::Budget* response) override;
  grpc::Status DeleteBudget(grpc::ServerContext* context, const v1::DeleteBudgetRequest* request,
                            google::protobuf::Empty* response) override;

 private:
  BudgetStore& store_;
  const Clock& clock_;
  CallGates& gates_;
  RecallHub& hub_;
};

}  // namespace allod::billing::budget

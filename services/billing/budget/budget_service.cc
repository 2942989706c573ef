#include "services/billing/budget/budget_service.h"

#include "services/billing/convert_budget.h"
#include "services/common/page_token.h"
#include "services/common/request_id.h"
#include "services/common/rpc/server.h"

namespace allod::billing::budget {

grpc::Status BudgetServiceImpl::CreateBudget(grpc::ServerContext* context, const v1::CreateBudgetRequest* request,
                                             v1::Budget* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Budget> {
    ALLOD_TRY(const Budget wanted, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Budget made, store_.CreateBudget(wanted, request->validate_only(), clock_.Now()));
    if (!request->validate_only()) hub_.TellBudgets(request->parent());
    return ToProto(made);
  });
}

grpc::Status BudgetServiceImpl::GetBudget(grpc::ServerContext* context, const v1::GetBudgetRequest* request,
                                          v1::Budget* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Budget> {
    ALLOD_TRY(const BudgetName name, ParseBudgetName("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Budget budget, store_.GetBudget(name.tenant, name.id, clock_.Now()));
    return ToProto(budget);
  });
}

grpc::Status BudgetServiceImpl::ListBudgets(grpc::ServerContext* context, const v1::ListBudgetsRequest* request,
                                            v1::ListBudgetsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListBudgetsResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("budgets of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto budgets, store_.ListBudgets(tenant, page.after, page.size + 1, clock_.Now()));
    const auto listed = MakePage(page, std::move(budgets), [](const Budget& budget) { return budget.id; });
    v1::ListBudgetsResponse out;
    for (const Budget& budget : listed.items) *out.add_budgets() = ToProto(budget);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status BudgetServiceImpl::UpdateBudget(grpc::ServerContext* context, const v1::UpdateBudgetRequest* request,
                                             v1::Budget* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Budget> {
    ALLOD_TRY(const Budget wanted, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Budget changed,
              store_.UpdateBudget(wanted, request->budget().etag(), request->validate_only(), clock_.Now()));
    if (!request->validate_only()) hub_.TellBudgets(changed.tenant_name);
    return ToProto(changed);
  });
}

grpc::Status BudgetServiceImpl::DeleteBudget(grpc::ServerContext* context, const v1::DeleteBudgetRequest* request,
                                             google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const BudgetName name, ParseBudgetName("name", request->name()));
    ALLOD_CHECK_OK(MakeRequestId(request->request_id(), "DeleteBudget", ""));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_CHECK_OK(store_.DeleteBudget(name.tenant, name.tenant_name, name.id));
    hub_.TellBudgets(name.tenant_name);
    return google::protobuf::Empty();
  });
}

}  // namespace allod::billing::budget

// Budgets of tenants.

#include "allod/billing/v1/budget.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace billing_v1 = allod::billing::v1;
using google::protobuf::Message;
using net::Services;

// Refused when it is no longer what `current` shows.
billing_v1::UpdateBudgetRequest BudgetUpdateOf(const Message& current, const Message& wanted) {
  billing_v1::UpdateBudgetRequest request;
  *request.mutable_budget() = dynamic_cast<const billing_v1::Budget&>(wanted);
  request.mutable_budget()->set_etag(dynamic_cast<const billing_v1::Budget&>(current).etag());
  return request;
}

ResourceKind BudgetKind() {
  using Service = billing_v1::BudgetService;
  return {.kind = "Budget",
          .plural = "budgets",
          .pattern = "tenants/*/budgets/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"PERIOD", "period"},
                      {"CURRENCY", "spent.currency_code"},
                      {"AMOUNT", "amount"},
                      {"SPENT", "spent.amount"},
                      {"HELD", "held.amount"},
                      {"HARD", "hard"},
                      {"REACHED %", "alerts.percent"}},
          .prototype = &billing_v1::Budget::default_instance(),
          .spec_fields = {"display_name", "project", "api_key", "instance", "period", "start_time", "end_time",
                          "amount", "thresholds", "hard"},
          .decimals = {"allod.billing.v1.Budget.amount"},
          .get = Getter<Service>(&Service::Stub::GetBudget),
          .list = Lister<Service>(&Service::Stub::ListBudgets),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            billing_v1::CreateBudgetRequest request;
            *request.mutable_budget() = dynamic_cast<const billing_v1::Budget&>(wanted);
            request.set_parent(ParentOf(request.budget().name()));
            request.set_budget_id(LastSegment(request.budget().name()));
            Mark(request, attempt);
            return Done(net::Ask<Service>(services, &Service::Stub::CreateBudget, request));
          },
          .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
            const std::string& name = dynamic_cast<const billing_v1::Budget&>(wanted).name();
            if (error.reason == "NO_BILLING_ACCOUNT") return {ParentOf(name) + "/billingAccount"};
            return IfNotFound(error, {ParentOf(name)});
          },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = BudgetUpdateOf(current, wanted);
            request.set_validate_only(true);
            return Own(net::Ask<Service>(services, &Service::Stub::UpdateBudget, request));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = BudgetUpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateBudget, request));
          },
          .remove = [](const Services& services, const std::string& name,
                       const std::string& request_id) -> Result<net::Change> {
            billing_v1::DeleteBudgetRequest request;
            request.set_name(name);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::DeleteBudget, request));
          },
          .lost = "what it counted is lost, and it refuses and tells of nothing from then on"};
}

}  // namespace

std::vector<ResourceKind> BudgetKinds() { return {BudgetKind()}; }

}  // namespace allod::cli::kinds

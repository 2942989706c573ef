#include "services/billing/convert_budget.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing {
namespace {

Result<BudgetPeriod> PeriodFrom(v1::Budget::Period period) {
  switch (period) {
    case v1::Budget::PERIOD_MONTH:
      return BudgetPeriod::kMonth;
    case v1::Budget::PERIOD_RANGE:
      return BudgetPeriod::kRange;
    case v1::Budget::PERIOD_TOTAL:
      return BudgetPeriod::kTotal;
    default:
      return InvalidArgument("INVALID_BUDGET", "budget.period: say MONTH, RANGE or TOTAL");
  }
}

Result<Budget> BudgetFrom(const v1::Budget& in, BudgetName name) {
  Budget out{.tenant = name.tenant,
             .tenant_name = std::move(name.tenant_name),
             .id = std::move(name.id),
             .display_name = in.display_name(),
             .hard = in.hard(),
             .thresholds = {in.thresholds().begin(), in.thresholds().end()}};
  if (!in.project().empty()) {
    ALLOD_CHECK_OK(CheckBelow("budget.project", in.project(), "tenants/*/projects/*", out.tenant_name));
    out.scope.project = in.project().substr(in.project().rfind('/') + 1);
  }
  ALLOD_CHECK_OK(CheckApiKey(in.api_key(), out.tenant_name));
  out.scope.api_key = in.api_key();
  if (!in.instance().empty()) {
    ALLOD_CHECK_OK(CheckBelow("budget.instance", in.instance(), "tenants/*/projects/*/instances/*", out.tenant_name));
    out.scope.instance = in.instance();
  }
  ALLOD_TRY(out.period, PeriodFrom(in.period()));
  if (in.has_start_time()) {
    ALLOD_TRY(out.start, TimeFrom("budget.start_time", in.start_time()));
  }
  if (in.has_end_time()) {
    ALLOD_TRY(out.end, TimeFrom("budget.end_time", in.end_time()));
  }
  ALLOD_TRY(out.amount, Amount::Parse("budget.amount", in.amount()));
  return CheckBudget(std::move(out));
}

}  // namespace

v1::Budget::Period ToProto(BudgetPeriod period) {
  switch (period) {
    case BudgetPeriod::kMonth:
      return v1::Budget::PERIOD_MONTH;
    case BudgetPeriod::kRange:
      return v1::Budget::PERIOD_RANGE;
    case BudgetPeriod::kTotal:
      return v1::Budget::PERIOD_TOTAL;
  }
  return v1::Budget::PERIOD_UNSPECIFIED;
}

Result<BudgetName> ParseBudgetName(std::string_view field, const std::string& name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/budgets/*"));
  BudgetName out{.tenant_name = TenantOf(name), .id = parts.at(1)};
  ALLOD_TRY(out.tenant, TenantId::FromName(out.tenant_name));
  return out;
}

Result<Budget> FromProto(const v1::CreateBudgetRequest& request) {
  BudgetName name{.tenant_name = request.parent(), .id = request.budget_id()};
  ALLOD_TRY(name.tenant, ParseTenant("parent", request.parent()));
  ALLOD_CHECK_OK(CheckId("budget_id", request.budget_id()));
  ALLOD_CHECK_OK(MakeRequestId(request.request_id(), "CreateBudget", ""));
  return BudgetFrom(request.budget(), std::move(name));
}

Result<Budget> FromProto(const v1::UpdateBudgetRequest& request) {
  ALLOD_TRY(BudgetName name, ParseBudgetName("budget.name", request.budget().name()));
  ALLOD_CHECK_OK(MakeRequestId(request.request_id(), "UpdateBudget", ""));
  return BudgetFrom(request.budget(), std::move(name));
}

v1::Budget ToProto(const Budget& budget) {
  v1::Budget out;
  out.set_name(fmt::format("{}/budgets/{}", budget.tenant_name, budget.id));
  out.set_display_name(budget.display_name);
  if (!budget.scope.project.empty()) out.set_project(budget.tenant_name + "/projects/" + budget.scope.project);
  out.set_api_key(budget.scope.api_key);
  out.set_instance(budget.scope.instance);
  out.set_period(ToProto(budget.period));
  if (budget.period == BudgetPeriod::kRange) {
    *out.mutable_start_time() = ToTimestamp(budget.start);
    *out.mutable_end_time() = ToTimestamp(budget.end);
  }
  out.set_amount(budget.amount.ToString());
  for (const std::int32_t percent : budget.thresholds) out.add_thresholds(percent);
  out.set_hard(budget.hard);
  *out.mutable_spent() = ToProto(budget.spent, budget.currency_code);
  *out.mutable_held() = ToProto(budget.held, budget.currency_code);
  for (const BudgetAlert& alert : budget.alerts) {
    auto& row = *out.add_alerts();
    row.set_percent(alert.percent);
    *row.mutable_create_time() = ToTimestamp(alert.create_time);
  }
  if (budget.create_time != Time()) {
    *out.mutable_create_time() = ToTimestamp(budget.create_time);
    *out.mutable_update_time() = ToTimestamp(budget.update_time);
  }
  out.set_etag(EtagOf(budget));
  return out;
}

}  // namespace allod::billing

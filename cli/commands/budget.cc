// `allod budget`: how much may be used for a part of what a tenant runs.

#include <fmt/format.h>

#include <map>
#include <vector>

#include "allod/billing/v1/budget.grpc.pb.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/times.h"
#include "cli/kinds/registry.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Budgets = billing_v1::BudgetService;

constexpr int kBudgetsListedMax = 1000;

const std::map<std::string, billing_v1::Budget::Period> kPeriods = {{"month", billing_v1::Budget::PERIOD_MONTH},
                                                                    {"range", billing_v1::Budget::PERIOD_RANGE},
                                                                    {"total", billing_v1::Budget::PERIOD_TOTAL}};

struct BudgetOptions {
  std::string tenant;
  std::string budget;
  std::string display_name;
  std::string project;
  std::string api_key;
  std::string instance;
  billing_v1::Budget::Period period = billing_v1::Budget::PERIOD_MONTH;
  std::string start;
  std::string end;
  std::string amount;
  std::vector<int> thresholds;
  std::string hard;
};

Result<std::string> BudgetName(const BudgetOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("budget", options.budget));
  return tenant + "/budgets/" + options.budget;
}

Status ShowBudgets(const Globals& globals, const billing_v1::Budget& budget) {
  if (globals.json()) {
    terminal::Print(terminal::ToJson(budget));
    return {};
  }
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("Budget"));
  terminal::PrintList(false, kind->columns, {&budget});
  return {};
}

// "p" is short for the project of that tenant.
std::string ProjectName(const std::string& tenant, const std::string& text) {
  if (text.empty() || text.find('/') != std::string::npos) return text;
  return tenant + "/projects/" + text;
}

Status CreateBudget(const Globals& globals, const BudgetOptions& options) {
  billing_v1::CreateBudgetRequest request;
  ALLOD_TRY(*request.mutable_parent(), TenantNameOf(options.tenant));
  request.set_budget_id(options.budget);
  auto& budget = *request.mutable_budget();
  budget.set_display_name(options.display_name);
  budget.set_project(ProjectName(request.parent(), options.project));
  budget.set_api_key(options.api_key);
  budget.set_instance(options.instance);
  budget.set_period(options.period);
  budget.set_amount(options.amount);
  budget.set_hard(options.hard == "yes");
  for (const int percent : options.thresholds) budget.add_thresholds(percent);
  const Time now = std::chrono::system_clock::now();
  if (!options.start.empty()) {
    ALLOD_TRY(const Time start, ParseWhen("--start", options.start, now));
    *budget.mutable_start_time() = ToTimestamp(start);
  }
  if (!options.end.empty()) {
    ALLOD_TRY(const Time end, ParseWhen("--end", options.end, now));
    *budget.mutable_end_time() = ToTimestamp(end);
  }
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto made, net::Ask<Budgets>(services, &Budgets::Stub::CreateBudget, request));
  return ShowBudgets(globals, made);
}

Result<billing_v1::Budget> FindBudget(const net::Services& services, const BudgetOptions& options) {
  billing_v1::GetBudgetRequest request;
  ALLOD_TRY(*request.mutable_name(), BudgetName(options));
  return net::Ask<Budgets>(services, &Budgets::Stub::GetBudget, request);
}

Status GetBudget(const Globals& globals, const BudgetOptions& options) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto budget, FindBudget(services, options));
  return ShowBudgets(globals, budget);
}

Status ListBudgets(const Globals& globals, const BudgetOptions& options) {
  billing_v1::ListBudgetsRequest request;
  ALLOD_TRY(*request.mutable_parent(), TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto listed, net::List<Budgets>(services, &Budgets::Stub::ListBudgets, request, kBudgetsListedMax));
  if (listed.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, request.parent()));
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("Budget"));
  terminal::PrintList(globals.json(), kind->columns, terminal::PointersTo(listed.items));
  return {};
}

// What is not said stays as it is.
Status UpdateBudget(const Globals& globals, const BudgetOptions& options) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::UpdateBudgetRequest request;
  ALLOD_TRY(*request.mutable_budget(), FindBudget(services, options));
  auto& budget = *request.mutable_budget();
  if (!options.display_name.empty()) budget.set_display_name(options.display_name);
  if (!options.amount.empty()) budget.set_amount(options.amount);
  if (!options.hard.empty()) budget.set_hard(options.hard == "yes");
  if (!options.thresholds.empty())
    budget.mutable_thresholds()->Assign(options.thresholds.begin(), options.thresholds.end());
  ALLOD_TRY(const auto changed, net::Ask<Budgets>(services, &Budgets::Stub::UpdateBudget, request));
  return ShowBudgets(globals, changed);
}

Status DeleteBudget(const Globals& globals, const BudgetOptions& options) {
  billing_v1::DeleteBudgetRequest request;
  ALLOD_TRY(*request.mutable_name(), BudgetName(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_CHECK_OK(net::Ask<Budgets>(services, &Budgets::Stub::DeleteBudget, request));
  terminal::Print(globals.json() ? "{}\n" : fmt::format("{} is deleted\n", request.name()));
  return {};
}

}  // namespace

void AddBudget(CLI::App& app, Globals& globals) {
  CLI::App* budget = app.add_subcommand("budget", "How much may be used for a part of what a tenant runs");
  budget->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, auto run, bool of_one) {
    const auto [command, options] = AddCommand<BudgetOptions>(*budget, globals, name, what, run);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    if (of_one) command->add_option("budget", options->budget, "BUDGET: the last part of its name")->required();
    return std::pair(command, options);
  };
  const auto changeable = [](CLI::App* command, const auto& options) {
    command->add_option("--display-name", options->display_name, "What it is for");
    command->add_option("--threshold", options->thresholds, "Percent to tell of, as in 80; may be repeated");
    command->add_option("--hard", options->hard, "yes: requests that would pass it are refused; no: it only tells")
        ->check(CLI::IsMember({"yes", "no"}));
    return command->add_option("--amount", options->amount, "In the account's currency, as in 1000");
  };
  const auto [create, of_create] = add("create", "Make a budget", &CreateBudget, true);
  changeable(create, of_create)->required();
  create->add_option("--project", of_create->project, "PROJECT: only what its instances use");
  create->add_option("--api-key", of_create->api_key, "tenants/T/projects/P/apiKeys/KID: only what this key uses");
  create->add_option("--instance", of_create->instance, "tenants/T/projects/P/instances/I: only what this one is used");
  create->add_option("--period", of_create->period, "month, range or total (default: month)")
      ->type_name("PERIOD")
      ->transform(CLI::CheckedTransformer(kPeriods, CLI::ignore_case).description(""));
  create->add_option("--start", of_create->start, "Of a range: YYYY-MM-DD in UTC, or a time of RFC 3339");
  create->add_option("--end", of_create->end, "Of a range: before it");
  add("list", "List a tenant's budgets and what was used", &ListBudgets, false);
  add("get", "Show a budget", &GetBudget, true);
  const auto [update, of_update] = add("update", "Change a budget; what is not said stays", &UpdateBudget, true);
  changeable(update, of_update);
  add("delete", "Delete a budget with what it counted", &DeleteBudget, true);
}

}  // namespace allod::cli::commands

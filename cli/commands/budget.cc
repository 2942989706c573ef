// `allod budget`: how much may be used for a part of what a tenant runs.

#include <fmt/format.h>

#include <map>
#include <vector>

#include "allod/billing/v1/budget.grpc.pb.h"
#include "cli/commands/delete.h"
#include "cli/commands/short_names.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/times.h"
#include "cli/kinds/registry.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;

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
  std::string from;
  std::string to;
  std::string amount;
  std::vector<int> thresholds;
  bool hard = false;
  bool soft = false;
  DeleteOptions deletion;
};

const kinds::ResourceKind& BudgetKind() { return **kinds::FindKind("budgets"); }

Result<std::string> BudgetName(const BudgetOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("budget", options.budget));
  return tenant + "/budgets/" + options.budget;
}

Status ShowBudget(const Globals& globals, const net::Services& services, const std::string& name) {
  ALLOD_TRY(const auto budget, BudgetKind().get(services, name));
  terminal::Print(globals.json() ? terminal::ToJson(*budget)
                                 : terminal::MessageTable(BudgetKind().columns, {budget.get()}));
  return {};
}

Result<billing_v1::Budget> BudgetFrom(const BudgetOptions& options) {
  billing_v1::Budget out;
  ALLOD_TRY(*out.mutable_name(), BudgetName(options));
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  out.set_display_name(options.display_name);
  if (!options.project.empty()) out.set_project(FullName(tenant + "/projects", options.project));
  out.set_api_key(options.api_key);
  out.set_instance(options.instance);
  out.set_period(options.period);
  out.set_amount(options.amount);
  out.set_hard(options.hard);
  for (const int percent : options.thresholds) out.add_thresholds(percent);
  const Time now = std::chrono::system_clock::now();
  if (!options.from.empty()) {
    ALLOD_TRY(const Time from, ParseWhen("--from", options.from, now));
    *out.mutable_start_time() = ToTimestamp(from);
  }
  if (!options.to.empty()) {
    ALLOD_TRY(const Time to, ParseWhen("--to", options.to, now));
    *out.mutable_end_time() = ToTimestamp(to);
  }
  return out;
}

Status CreateBudget(const Globals& globals, const BudgetOptions& options) {
  ALLOD_TRY(const billing_v1::Budget wanted, BudgetFrom(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_CHECK_OK(BudgetKind().create(services, wanted, {.request_id = Uuid::V7().ToString()}));
  return ShowBudget(globals, services, wanted.name());
}

Status GetBudget(const Globals& globals, const BudgetOptions& options) {
  ALLOD_TRY(const std::string name, BudgetName(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  return ShowBudget(globals, services, name);
}

Status ListBudgets(const Globals& globals, const BudgetOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto budgets, BudgetKind().list(services, tenant));
  if (budgets.empty()) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  terminal::PrintList(globals.json(), BudgetKind().columns, terminal::PointersTo(budgets));
  return {};
}

// What is not said stays as it is.
Status UpdateBudget(const Globals& globals, const BudgetOptions& options) {
  ALLOD_TRY(const std::string name, BudgetName(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto current, BudgetKind().get(services, name));
  auto wanted = dynamic_cast<const billing_v1::Budget&>(*current);
  if (!options.display_name.empty()) wanted.set_display_name(options.display_name);
  if (!options.amount.empty()) wanted.set_amount(options.amount);
  if (options.hard || options.soft) wanted.set_hard(options.hard);
  if (!options.thresholds.empty()) {
    wanted.mutable_thresholds()->Assign(options.thresholds.begin(), options.thresholds.end());
  }
  ALLOD_CHECK_OK(BudgetKind().update(services, *current, wanted, Uuid::V7().ToString()));
  return ShowBudget(globals, services, name);
}

Status DeleteBudget(const Globals& globals, const BudgetOptions& options) {
  DeleteOptions deletion = options.deletion;
  ALLOD_TRY(deletion.name, BudgetName(options));
  return DeleteOne(globals, BudgetKind(), deletion);
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
    command->add_option("--threshold", options->thresholds, "Percent to tell of, as in 80; may be repeated")
        ->allow_extra_args(false);
    return command->add_option("--amount", options->amount, "In the account's currency, as in 1000");
  };
  const auto [create, of_create] = add("create", "Make a budget", &CreateBudget, true);
  changeable(create, of_create)->required();
  create->add_flag("--hard", of_create->hard, "Refuse requests that would pass it (default: it only tells)");
  create->add_option("--project", of_create->project, "PROJECT: only what its instances use");
  create->add_option("--api-key", of_create->api_key, "tenants/T/projects/P/apiKeys/KID: only what this key uses");
  create->add_option("--instance", of_create->instance, "tenants/T/projects/P/instances/I: only what this one is used");
  create->add_option("--per", of_create->period, "month, range or total (default: month)")
      ->type_name("PERIOD")
      ->transform(WordOf(kPeriods));
  create->add_option("--from", of_create->from, "Of a range: YYYY-MM-DD in UTC, or a time of RFC 3339");
  create->add_option("--to", of_create->to, "Of a range: before it");
  add("list", "List a tenant's budgets and what was used", &ListBudgets, false);
  add("get", "Show a budget", &GetBudget, true);
  const auto [update, of_update] = add("update", "Change a budget; what is not said stays", &UpdateBudget, true);
  changeable(update, of_update);
  CLI::Option* hard = update->add_flag("--hard", of_update->hard, "Refuse requests that would pass it");
  update->add_flag("--soft", of_update->soft, "Only tell")->excludes(hard);
  const auto [remove, of_remove] = add("delete", "Delete a budget with what it counted", &DeleteBudget, true);
  AddYesOption(*remove, of_remove->deletion);
}

}  // namespace allod::cli::commands

// `allod tenants`: which there are, below each other; `allod tenants update|suspend|resume|delete|undelete|export`:
// what becomes of one.

#include <fmt/format.h>

#include <algorithm>

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/apply/plan.h"
#include "cli/commands/short_names.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/tenant_tree.h"
#include "cli/kinds/registry.h"
#include "cli/net/connections.h"
#include "cli/terminal/confirm.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"
#include "services/common/rpc/residency.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using Tenants = tenancy_v1::TenantService;

struct UpdateOptions {
  std::string name;
  std::string display_name;
  std::vector<std::string> residency;
  std::vector<std::string> residency_rules;
  int weight = 0;
  bool dry_run = false;
  bool yes = false;
};

struct StateOptions {
  std::string name;
  std::string reason;
};

// As a list in JSON; what is below a tenant says so in `parent`.
Status ShowTree(const Globals& globals) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("tenants"));
  ALLOD_TRY(const auto tenants, kind->list(services, ""));
  if (globals.json()) {
    terminal::PrintList(true, kind->columns, terminal::PointersTo(tenants));
    return {};
  }
  std::vector<Branch> branches;
  for (const auto& tenant : tenants) {
    const auto& one = dynamic_cast<const tenancy_v1::Tenant&>(*tenant);
    branches.push_back({one.name(), one.parent()});
  }
  const std::vector<std::string> fields = {"display_name", "residency", "state", "suspended_by"};
  std::vector<std::vector<std::string>> rows;
  for (const Placed& placed : AsTree(branches)) {
    rows.push_back({std::string(2 * static_cast<std::size_t>(placed.depth), ' ') + branches[placed.at].name});
    for (const std::string& field : fields) rows.back().push_back(terminal::FieldText(*tenants[placed.at], field));
  }
  terminal::Print(terminal::Table({"NAME", "DISPLAY NAME", "RESIDENCY", "STATE", "SUSPENDED BY"}, rows));
  return {};
}

// "PROMPTS=ke,tz" puts a rule in place of the one that the class has, "PROMPTS=" takes it away.
Status SetRule(const std::string& text, ClassResidency& rules) {
  const auto equals = text.find('=');
  const auto data_class = DataClassOf(text.substr(0, equals));
  if (equals == std::string::npos || !data_class) {
    std::string classes;
    for (const DataClass one : kDataClasses) classes.append(classes.empty() ? "" : ", ").append(WordOf(one));
    return InvalidArgument(
        "INVALID_RESIDENCY_RULE",
        fmt::format("--residency-rule {}: write CLASS=COUNTRY,..., with a class of: {}", text, classes));
  }
  rules.erase(*data_class);
  std::string word = text.substr(equals + 1);
  if (word.empty()) return {};
  std::ranges::replace(word, ',', '+');
  const auto made = RulesFromWords(std::vector{text.substr(0, equals) + "=" + word});
  rules[*data_class] = made->at(*data_class);
  return {};
}

Status SetRules(const std::vector<std::string>& texts, tenancy_v1::Tenant& tenant) {
  if (texts.empty()) return {};
  ALLOD_TRY(ClassResidency rules, RulesFrom(tenant.residency_rules()));
  for (const std::string& text : texts) ALLOD_CHECK_OK(SetRule(text, rules));
  tenant.clear_residency_rules();
  FillRules(rules, *tenant.mutable_residency_rules());
  return {};
}

Status Update(const Globals& globals, const UpdateOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("tenants"));
  ALLOD_TRY(const terminal::MessagePtr current, kind->get(services, name));
  tenancy_v1::Tenant wanted = dynamic_cast<const tenancy_v1::Tenant&>(*current);
  if (!options.display_name.empty()) wanted.set_display_name(options.display_name);
  if (options.weight != 0) wanted.set_weight(options.weight);
  if (!options.residency.empty()) {
    wanted.mutable_residency()->Assign(options.residency.begin(), options.residency.end());
  }
  ALLOD_CHECK_OK(SetRules(options.residency_rules, wanted));
  ALLOD_TRY(const terminal::MessagePtr judged, kind->preview(services, *current, wanted));
  const auto changes = apply::Differences(*current, *judged, kind->spec_fields, kind->decimals);
  ALLOD_TRY(const auto stops, kind->stops(services, *current, *judged));
  if (options.dry_run) {
    terminal::Print(fmt::format("{}: {}\n", name, changes.empty() ? "as it is" : apply::ToText(changes)));
    if (!stops.empty()) terminal::Print(fmt::format("it would stop {}\n", terminal::Some(stops)));
    return {};
  }
  if (!stops.empty()) {
    ALLOD_CHECK_OK(terminal::Confirm(fmt::format("{}: this stops {}", apply::ToText(changes), terminal::Some(stops)),
                                     options.yes));
  }
  if (!changes.empty()) ALLOD_CHECK_OK(kind->update(services, *current, wanted, Uuid::V7().ToString()));
  return ShowTenant(globals, services, name);
}

Status Suspend(const Globals& globals, const StateOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy_v1::SuspendTenantRequest request;
  request.set_name(name);
  request.set_reason(options.reason);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::SuspendTenant, request));
  return ShowTenant(globals, services, name);
}

Status Resume(const Globals& globals, const StateOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy_v1::ResumeTenantRequest request;
  request.set_name(name);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::ResumeTenant, request));
  return ShowTenant(globals, services, name);
}

}  // namespace

Result<std::string> TenantNameOf(const std::string& text) {
  const std::string name = FullName("tenants", text);
  ALLOD_CHECK_OK(MatchName("name", name, "tenants/*"));
  return name;
}

Status CheckThereIs(const net::Services& services, const std::string& name) {
  tenancy_v1::GetTenantRequest request;
  request.set_name(name);
  const auto tenant = net::Ask<Tenants>(services, &Tenants::Stub::GetTenant, request);
  if (!tenant && tenant.error().code == Code::kNotFound) return std::unexpected(tenant.error());
  return {};
}

Status ShowTenant(const Globals& globals, const net::Services& services, const std::string& name) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("tenants"));
  ALLOD_TRY(const terminal::MessagePtr now, kind->get(services, name));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(*now) + "\n");
  } else {
    terminal::PrintList(false, kind->columns, {now.get()});
  }
  return {};
}

void AddTenants(CLI::App& app, Globals& globals) {
  CLI::App* tenants = app.add_subcommand(
      "tenants", "Show which tenants there are below each other; change, suspend, resume, delete or export one");
  tenants->require_subcommand(0, 1);
  // It runs after that of a subcommand.
  tenants->callback([&globals, tenants] {
    if (tenants->get_subcommands().empty()) globals.action = [&globals] { return ShowTree(globals); };
  });
  const auto [update, change] = AddCommand<UpdateOptions>(*tenants, globals, "update",
                                                          "Change what a tenant is, as `allod apply` would", &Update);
  update->add_option("name", change->name, kTenantHelp)->required();
  update->add_option("--display-name", change->display_name, "What people call it");
  update
      ->add_option("--residency", change->residency,
                   "COUNTRY,...: where its data may be processed, e.g. ke,tz; replaces what there is")
      ->delimiter(',');
  update->add_option("--residency-rule", change->residency_rules,
                     "CLASS=COUNTRY,..., several times: where data of one class may be instead, e.g. PROMPTS=ke; "
                     "\"PROMPTS=\": as all the rest");
  update->add_option("--weight", change->weight, "Its share of contended compute, 1 to 1000")
      ->check(CLI::Range(1, 1000));
  update->add_flag("--dry-run", change->dry_run, "Only show what would change, and what it would stop");
  update->add_flag("--yes", change->yes, "Do not ask when a narrower residency stops instances");
  const auto [suspend, suspension] = AddCommand<StateOptions>(
      *tenants, globals, "suspend", "Refuse its keys and stop its instances; nothing is deleted, and invoices go on",
      &Suspend);
  suspend->add_option("name", suspension->name, kTenantHelp)->required();
  suspend->add_option("--reason", suspension->reason,
                      "Stands in the tenant and its audit log; its keys are refused as any that does not hold");
  const auto [resume, resumption] = AddCommand<StateOptions>(
      *tenants, globals, "resume", "Let its keys hold again, and bring the same instances back", &Resume);
  resume->add_option("name", resumption->name, kTenantHelp)->required();
  AddTenantDeletion(*tenants, globals);
  AddTenantExport(*tenants, globals);
}

}  // namespace allod::cli::commands

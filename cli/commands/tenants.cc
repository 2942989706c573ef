// `allod tenants update|suspend|resume`: what becomes of a tenant.

#include <fmt/format.h>

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/apply/plan.h"
#include "cli/commands/commands.h"
#include "cli/kinds/registry.h"
#include "cli/net/connections.h"
#include "cli/terminal/confirm.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using Tenants = tenancy_v1::TenantService;

struct UpdateOptions {
  std::string name;
  std::string display_name;
  std::vector<std::string> residency;
  int weight = 0;
  bool dry_run = false;
  bool yes = false;
};

struct StateOptions {
  std::string name;
  std::string reason;
};

// "ke" and "tenants/ke" are the same.
Result<std::string> TenantNameOf(const std::string& text) {
  const std::string name = text.find('/') == std::string::npos ? "tenants/" + text : text;
  ALLOD_CHECK_OK(MatchName("name", name, "tenants/*"));
  return name;
}

Status Show(const Globals& globals, const net::Services& services, const std::string& name) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("tenants"));
  ALLOD_TRY(const terminal::MessagePtr now, kind->get(services, name));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(*now) + "\n");
  } else {
    terminal::PrintList(false, kind->columns, {now.get()});
  }
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
  return Show(globals, services, name);
}

Status Suspend(const Globals& globals, const StateOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy_v1::SuspendTenantRequest request;
  request.set_name(name);
  request.set_reason(options.reason);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::SuspendTenant, request));
  return Show(globals, services, name);
}

Status Resume(const Globals& globals, const StateOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy_v1::ResumeTenantRequest request;
  request.set_name(name);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::ResumeTenant, request));
  return Show(globals, services, name);
}

}  // namespace

void AddTenants(CLI::App& app, Globals& globals) {
  CLI::App* tenants = app.add_subcommand("tenants", "Change, suspend or resume a tenant");
  tenants->require_subcommand(1);
  constexpr char kName[] = "TENANT or tenants/TENANT";
  const auto [update, change] = AddCommand<UpdateOptions>(*tenants, globals, "update",
                                                          "Change what a tenant is, as `allod apply` would", &Update);
  update->add_option("name", change->name, kName)->required();
  update->add_option("--display-name", change->display_name, "What people call it");
  update
      ->add_option("--residency", change->residency,
                   "COUNTRY,...: where its data may be processed, e.g. ke,tz; replaces what there is")
      ->delimiter(',');
  update->add_option("--weight", change->weight, "Its share of contended compute, 1 to 1000")
      ->check(CLI::Range(1, 1000));
  update->add_flag("--dry-run", change->dry_run, "Only show what would change, and what it would stop");
  update->add_flag("--yes", change->yes, "Do not ask when a narrower residency stops instances");
  const auto [suspend, suspension] = AddCommand<StateOptions>(
      *tenants, globals, "suspend", "Refuse its keys and stop its instances; nothing is deleted, and invoices go on",
      &Suspend);
  suspend->add_option("name", suspension->name, kName)->required();
  suspend->add_option("--reason", suspension->reason, "Shown to the tenant");
  const auto [resume, resumption] = AddCommand<StateOptions>(
      *tenants, globals, "resume", "Let its keys hold again, and bring the same instances back", &Resume);
  resume->add_option("name", resumption->name, kName)->required();
}

}  // namespace allod::cli::commands

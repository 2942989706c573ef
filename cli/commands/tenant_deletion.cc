// `allod tenants delete|undelete`: the end of a tenant, and the way back within its grace.

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/times.h"
#include "cli/net/connections.h"
#include "cli/terminal/confirm.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

using Tenants = allod::tenancy::v1::TenantService;

struct DeletionOptions {
  std::string name;
  std::string reason;
  std::string grace = "30d";
  bool yes = false;
};

struct UndeletionOptions {
  std::string name;
};

Status DeleteTenant(const Globals& globals, const DeletionOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const std::chrono::seconds grace, ParseDuration("--grace", options.grace));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy::v1::GetTenantRequest get;
  get.set_name(name);
  ALLOD_TRY(const auto standing, net::Ask<Tenants>(services, &Tenants::Stub::GetTenant, get));
  ALLOD_CHECK_OK(terminal::Confirm(
      fmt::format(
          "{} ({}): its keys are refused, its people are out and its instances stop now; {} from now on what it "
          "has is removed for good. `allod tenants export {}` keeps a copy, `allod tenants undelete {}` brings "
          "it back until then",
          name, standing.display_name(), options.grace, name, name),
      options.yes));
  tenancy::v1::DeleteTenantRequest request;
  request.set_name(name);
  // Of the tenant that was shown.
  request.set_etag(standing.etag());
  request.set_reason(options.reason);
  request.mutable_grace()->set_seconds(grace.count());
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::DeleteTenant, request));
  return ShowTenant(globals, services, name);
}

Status UndeleteTenant(const Globals& globals, const UndeletionOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy::v1::UndeleteTenantRequest request;
  request.set_name(name);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::UndeleteTenant, request));
  return ShowTenant(globals, services, name);
}

}  // namespace

void AddTenantDeletion(CLI::App& tenants, Globals& globals) {
  const auto [command, options] = AddCommand<DeletionOptions>(
      tenants, globals, "delete",
      "Refuse its keys, stop its instances, and remove all it has when the grace is over; usage, invoices, the ledger "
      "and the audit logs stay",
      &DeleteTenant);
  command->add_option("name", options->name, kTenantHelp)->required();
  command->add_option("--reason", options->reason,
                      "Stands in the tenant and its audit log; its keys are refused as any that does not hold");
  command->add_option("--grace", options->grace, "How long `undelete` brings it back: 1d to 365d (default: 30d)");
  command->add_flag("--yes", options->yes, "Do not ask");
  const auto [back, undeletion] = AddCommand<UndeletionOptions>(
      tenants, globals, "undelete", "Bring a deleted tenant back as it was, while its grace goes on", &UndeleteTenant);
  back->add_option("name", undeletion->name, kTenantHelp)->required();
}

}  // namespace allod::cli::commands

// `allod quota`: what a tenant or a project has beside what it may have.

#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "allod/tenancy/v1/quota.grpc.pb.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;
namespace tenancy_v1 = allod::tenancy::v1;

struct QuotaOptions {
  std::string tenant;
  std::string project;
};

Status Quota(const Globals& globals, const QuotaOptions& options) {
  ALLOD_TRY(std::string parent, TenantNameOf(options.tenant));
  if (!options.project.empty()) {
    ALLOD_CHECK_OK(CheckId("--project", options.project));
    parent += "/projects/" + options.project;
  }
  ALLOD_TRY(const net::Services services, FindServices(globals));
  using Quotas = tenancy_v1::QuotaService;
  tenancy_v1::GetQuotaUseRequest request;
  request.set_parent(parent);
  ALLOD_TRY(auto of_tenancy, net::Ask<Quotas>(services, &Quotas::Stub::GetQuotaUse, request));
  using Instances = scheduling_v1::InstanceService;
  scheduling_v1::GetInstanceQuotaUseRequest of_instances;
  of_instances.set_parent(parent);
  ALLOD_TRY(const auto instances, net::Ask<Instances>(services, &Instances::Stub::GetInstanceQuotaUse, of_instances));
  of_tenancy.mutable_uses()->MergeFrom(instances.uses());
  terminal::PrintList(globals.json(),
                      {{"RESOURCE", "resource"}, {"USED", "used"}, {"LIMIT (0: NONE, -1: NOTHING LEFT)", "limit"}},
                      terminal::Messages(of_tenancy.uses().pointer_begin(), of_tenancy.uses().pointer_end()));
  return {};
}

}  // namespace

void AddQuota(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<QuotaOptions>(
      app, globals, "quota", "Show what a tenant, or one of its projects, has beside what it may have", &Quota);
  command->add_option("tenant", options->tenant, kTenantHelp)->required();
  command->add_option("--project", options->project, "PROJECT: only this one");
}

}  // namespace allod::cli::commands

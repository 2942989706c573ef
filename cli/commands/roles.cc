// `allod roles`: the roles of the platform and a tenant's own, and what each permits.

#include "services/common/roles.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "allod/tenancy/v1/role.grpc.pb.h"
#include "cli/commands/tenant_commands.h"
#include "cli/kinds/registry.h"
#include "cli/terminal/print.h"
#include "proto/known_permissions.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;

struct RolesOptions {
  std::string tenant;
  bool permissions = false;
};

constexpr Roles kAll = [] {
  Roles out = kRolesOfKeys;
  out.Add(Role::ROLE_OWNER);
  out.Add(kRolesOfOperators);
  return out;
}();

// A role of the platform, as one that a tenant made.
terminal::MessagePtr AsMessage(Role role) {
  auto out = std::make_unique<tenancy_v1::Role>();
  out->set_name(std::string(WordOfRole(role)));
  out->set_summary(std::string(SummaryOf(role)));
  for (const std::string& pattern : PatternsOf(role)) out->add_permissions(pattern);
  return out;
}

// Of every permission that a role can lead to, the roles that have it. What is an operator's only, operators' roles.
void ShowPermissions(bool as_json) {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  for (const KnownPermission& known : KnownPermissions()) {
    if (!known.is_tenants && !known.is_operators) continue;
    std::vector<std::string> words;
    for (const Role role : RolesWith(known.text).List()) {
      const bool is_of_operators = kRolesOfOperators.Has(role);
      if (is_of_operators ? known.is_operators : known.is_tenants) words.emplace_back(WordOfRole(role));
    }
    rows.push_back({known.text, fmt::format("{}", fmt::join(words, ", "))});
    items.push_back({{"permission", known.text}, {"roles", words}, {"tenants", known.is_tenants}});
  }
  terminal::Print(as_json ? nlohmann::ordered_json{{"items", items}}.dump(2) + "\n"
                          : terminal::Table({"PERMISSION", "ROLES"}, rows));
}

Status ShowRoles(const Globals& globals, const RolesOptions& options) {
  if (options.permissions) {
    ShowPermissions(globals.json());
    return {};
  }
  std::vector<terminal::MessagePtr> found;
  for (const Role role : kAll.List()) found.push_back(AsMessage(role));
  if (!options.tenant.empty()) {
    ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
    ALLOD_TRY(const net::Services services, FindServices(globals));
    ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("roles"));
    ALLOD_TRY(auto own, kind->list(services, tenant));
    for (terminal::MessagePtr& role : own) found.push_back(std::move(role));
  }
  terminal::PrintList(globals.json(), {{"ROLE", "name"}, {"WHAT FOR", "summary"}, {"PERMITS", "permissions"}},
                      terminal::PointersTo(found));
  return {};
}

}  // namespace

void AddRoles(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<RolesOptions>(
      app, globals, "roles", "List the roles of the platform, and those that a tenant made, with what they permit",
      &ShowRoles);
  command->add_option("tenant", options->tenant, fmt::format("{}: its own roles too", kTenantHelp));
  command->add_flag("--permissions", options->permissions, "List every permission instead, and the roles that have it");
}

}  // namespace allod::cli::commands

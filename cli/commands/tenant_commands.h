// Parts of `allod tenants`, which tenants.cc puts together, and how every command names a tenant.
#pragma once

#include "cli/commands/commands.h"
#include "cli/net/services.h"

namespace allod::cli::commands {

inline constexpr char kTenantHelp[] = "TENANT or tenants/TENANT";

// "ke" and "tenants/ke" are the same.
Result<std::string> TenantNameOf(const std::string& text);
// NOT_FOUND if tenancy knows no such tenant: nothing found of one that is none would say that it has nothing. Asked
// only then, because what is issued to a tenant and the logs of it outlive it.
Status CheckThereIs(const net::Services& services, const std::string& name);
// The tenant as it is now.
Status ShowTenant(const Globals& globals, const net::Services& services, const std::string& name);

// `allod tenants delete|undelete` and `allod tenants export`.
void AddTenantDeletion(CLI::App& tenants, Globals& globals);
void AddTenantExport(CLI::App& tenants, Globals& globals);

}  // namespace allod::cli::commands

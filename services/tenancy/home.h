// Where the installation stands, and so where what it stores of tenants is: their usage, invoices and logs, and
// whatever copies of these there are.
#pragma once

#include <string>

#include "services/tenancy/domain.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

ResidencyRules ResidencyOf(const Tenant& tenant);

// Whether a tenant's data may be stored in the jurisdiction `home`. FAILED_PRECONDITION / RESIDENCY names the class,
// its rule and the jurisdiction.
Status CheckHome(const Tenant& tenant, const std::string& home);

// Logs each tenant of which that does not hold: an installation may have been moved, or have had it before it was
// asked. Blocks; what cannot be read is logged too.
void LogTenantsOutside(Store& store, const std::string& home);

}  // namespace allod::tenancy

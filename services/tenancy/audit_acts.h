// What the audit log says of tenancy's changes. What people type to name things may name people, and is erasable.
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/tenancy/domain.h"

namespace allod::tenancy {

audit::Act CreationOf(const Tenant& tenant);
audit::Act CreationOf(const Project& project);
audit::Act CreationOf(const ApiKey& key);
// Of the present key, which names its successor.
audit::Act RotationOf(const ApiKey& present, const ApiKey& successor);
audit::Act RevocationOf(const ApiKey& key);

}  // namespace allod::tenancy

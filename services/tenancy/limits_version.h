// What a change of limits is waited for by.
#pragma once

#include <cstdint>
#include <string>

#include "services/common/log.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

// The version of the tenant's limits; 0 if it never had any. Asked after a change was made, which stands all the same
// if this cannot be read: 0 as well then, and a line in the log, and the change is in force a little later.
inline std::int64_t VersionToAwait(Store& store, const std::string& tenant) {
  const auto version = store.LimitsVersion(tenant);
  if (version) return *version;
  Log(LogLevel::kWarning, "limits were changed, and whether they are in force is not waited for",
      {{"tenant", "tenants/" + tenant}, {"error", version.error().message}});
  return 0;
}

}  // namespace allod::tenancy

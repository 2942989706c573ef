// What the audit log says of changes of instances.
#pragma once

#include <string>

#include "services/common/audit/pg_log.h"
#include "services/scheduling/domain.h"

namespace allod::scheduling {

audit::Act CreationOf(const std::string& instance, const Revision& revision);
// What is another than before, as it is now.
audit::Act ChangeOf(const std::string& instance, const Revision& before, const Revision& now);
audit::Act DeletionOf(const std::string& instance);

}  // namespace allod::scheduling

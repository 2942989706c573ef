// What a plan's changes make of a tenant's rows: the rules of Store::Apply once, for whoever holds rows in memory. In
// SQL they are pg_store_apply.cc; the contract suite holds both to each other.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "services/scheduling/store.h"

namespace allod::scheduling {

// The epoch of a new replica; nothing when its node has no room for it.
using LeaseReplica = std::function<std::optional<std::int64_t>(const NewReplica& replica)>;

struct ChangesApplied {
  Applied applied;               // without the version
  std::vector<Operation> ended;  // taken out of `open_operations`, as they ended
};

// Applies to `rows` what of `changes` still holds and counts the rest as dropped: what names another version of its
// instance or another epoch of its replica, and what the state of either forbids. A replica that is stopping stays so
// until it is seen stopped; one is removed only then or while it is stopping; an instance goes only when it is deleting
// and has no replica left. `lease` is asked for each replica that may be made, in order. Pure but for it.
ChangesApplied ApplyTo(TenantState& rows, const Changes& changes, Time now, const LeaseReplica& lease);

}  // namespace allod::scheduling

// Which API key asks for something that hands on what it may do itself.
#pragma once

#include "services/common/rpc/caller.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

// The key whose row says what it may hand on; none for operators, people and the tenant as a whole. PERMISSION_DENIED /
// WORKLOAD_GRANTS_NOTHING for a workload, whose token of minutes is to leave nothing behind that lasts; UNAUTHENTICATED
// / NO_CALLER when it is not said which key it is.
Result<Maker> MakerOf(const Caller& caller);

// What the caller may hand on to a key or a rule. A scope that this service does not know is none.
Held HeldBy(const Caller& caller);

}  // namespace allod::tenancy

// Entries and heads as messages, both ways: what a service sends is verified by whoever reads it, so nothing may get
// lost between.
#pragma once

#include <string>
#include <string_view>

#include "allod/audit/v1/audit.pb.h"
#include "services/common/audit/chain.h"
#include "services/common/audit/entry.h"

namespace allod::audit {

v1::AuditEntry ToProto(const Entry& entry);
v1::AuditHead ToProto(const Head& head, std::string_view service, std::string_view tenant);

// INVALID_ARGUMENT / INVALID_AUDIT_ENTRY for what no entry is: a hash of another size, an unknown outcome, more than
// CheckEntry() takes.
Result<Entry> FromProto(const v1::AuditEntry& message);
Result<Head> FromProto(const v1::AuditHead& message);

}  // namespace allod::audit

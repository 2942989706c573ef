// What `allod audit` does with the audit logs that services answer for: walks them, compares them with heads that were
// kept, and merges them by time. Knows no service: it is handed how to ask. No more than a page of each log is held.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "allod/audit/v1/audit.pb.h"
#include "services/common/audit/chain.h"
#include "services/common/result.h"

namespace allod::cli::commands {

// The log of one service.
struct AuditPeer {
  std::string service;  // "tenancy"
  // A page of a tenant's log, from a page token on.
  std::function<Result<audit::v1::AuditEntries>(const std::string& tenant, const std::string& page_token)> read_page;
  std::function<Result<audit::v1::AuditHead>(const std::string& tenant)> read_head;
};

// Heads that were kept, by tenant and service. As text a line each, "tenants/ke tenancy 12 HEX"; of the same log there
// may be several. Lines that are empty or begin with # say nothing.
using KeptHeads = std::multimap<std::pair<std::string, std::string>, audit::Head>;

std::string HeadLine(std::string_view tenant, std::string_view service, const audit::Head& head);
// INVALID_ARGUMENT / INVALID_HEADS, naming the line.
Result<KeptHeads> ParseHeads(std::string_view text);

struct LogVerdict {
  std::int64_t entries = 0;            // that were read and found whole
  std::optional<audit::Break> broken;  // the first place
};

// Reads the log up to the head that it has now, which is at least what is there when this begins.
Result<LogVerdict> VerifyLog(const AuditPeer& peer, const std::string& tenant, const KeptHeads& kept);

struct MergedEntry {
  std::string service;
  audit::v1::AuditEntry entry;
};

// The logs of a tenant merged by time, handed to `take` until that says false or there is no more.
Status MergeLogs(const std::vector<AuditPeer>& peers, const std::string& tenant,
                 const std::function<bool(const MergedEntry&)>& take);

// "key=value" of each detail; "(erased)" for a value that is gone.
std::string DetailsText(const audit::v1::AuditEntry& entry);

}  // namespace allod::cli::commands

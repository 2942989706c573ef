#include "services/common/audit/reader.h"

#include <fmt/format.h>

#include <charconv>

#include "services/common/audit/convert.h"
#include "services/common/rpc/fill_page.h"
#include "services/common/text_check.h"

namespace allod::audit {
namespace {

constexpr std::size_t kPrefixBytesMax = 128;

// Which list it is, so that a token of another filter is refused.
std::string ScopeOf(const std::string& service, const std::string& parent, const Filter& filter) {
  const auto micros = [](const std::optional<Time>& time) { return time ? std::to_string(ToMicros(*time)) : ""; };
  return fmt::format("{}/auditEntries of {} from {} to {} {}", parent, service, micros(filter.start),
                     micros(filter.end), filter.action_prefix);
}

}  // namespace

Result<v1::AuditEntries> Reader::List(const Call& call, const std::string& parent, int page_size,
                                      const std::string& page_token, const Filter& filter) {
  ALLOD_TRY(const auto ids, MatchName("parent", parent, "tenants/*"));
  if (filter.action_prefix.size() > kPrefixBytesMax || filter.action_prefix.find('\0') != std::string::npos) {
    return InvalidArgument("INVALID_TEXT",
                           fmt::format("action_prefix: at most {} characters of a permission", kPrefixBytesMax));
  }
  ALLOD_TRY(const PageRequest page, ParsePage(ScopeOf(service_, parent, filter), page_size, page_token));
  std::int64_t after = 0;
  if (!page.after.empty()) {
    const char* const end = page.after.data() + page.after.size();
    const auto [at, error] = std::from_chars(page.after.data(), end, after);
    if (error != std::errc() || at != end || after < 0) {
      return InvalidArgument("INVALID_PAGE_TOKEN", "page_token: was not given out by this list");
    }
  }
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gate_, call));
  const TenantId tenant{Uuid::FromName(parent)};
  ALLOD_TRY(const EntryPage read, pool_.Run<EntryPage>(tenant, [&](TenantTx& tx) -> Result<EntryPage> {
    return log_.Read(tx, after, page.size, filter);
  }));
  v1::AuditEntries out;
  ALLOD_TRY(std::string next,
            FillPage(
                call, page, read.entries, [](const Entry& entry) { return std::optional(ToProto(entry)); },
                [](const Entry& entry) { return std::to_string(entry.sequence); }, *out.mutable_entries()));
  if (next.empty() && read.more_after) next = EncodePageToken(page.scope, std::to_string(*read.more_after));
  out.set_next_page_token(std::move(next));
  return out;
}

Result<v1::AuditHead> Reader::GetHead(const Call& call, const std::string& parent) {
  ALLOD_TRY(const auto ids, MatchName("parent", parent, "tenants/*"));
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gate_, call));
  const TenantId tenant{Uuid::FromName(parent)};
  ALLOD_TRY(const Head head,
            pool_.Run<Head>(tenant, [&](TenantTx& tx) -> Result<Head> { return log_.ReadHead(tx, parent); }));
  return ToProto(head, service_, parent);
}

}  // namespace allod::audit

#include "cli/commands/audit_logs.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <sstream>
#include <tuple>

#include "services/common/audit/convert.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

using google::protobuf::util::TimeUtil;

std::optional<Digest256> DigestFromHex(std::string_view hex) {
  Digest256 out{};
  if (hex.size() != 2 * out.size()) return std::nullopt;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char* const at = hex.data() + 2 * i;
    if (std::from_chars(at, at + 2, out[i], 16).ptr != at + 2) return std::nullopt;
  }
  return out;
}

// One log as it is read entry by entry.
class Cursor {
 public:
  Cursor(const AuditPeer& peer, const std::string& tenant) : peer_(peer), tenant_(tenant) {}

  // The next entry, null at the end; valid until Next() is called.
  Result<const audit::v1::AuditEntry*> Peek() {
    while (at_ == page_.entries_size()) {
      if (begun_ && page_.next_page_token().empty()) return nullptr;
      ALLOD_TRY(page_, peer_.read_page(tenant_, page_.next_page_token()));
      begun_ = true;
      at_ = 0;
    }
    return &page_.entries(at_);
  }
  void Next() { ++at_; }
  const std::string& service() const { return peer_.service; }

 private:
  const AuditPeer& peer_;
  const std::string& tenant_;
  audit::v1::AuditEntries page_;
  int at_ = 0;
  bool begun_ = false;
};

bool IsBefore(const audit::v1::AuditEntry& a, const audit::v1::AuditEntry& b) {
  return TimeUtil::TimestampToNanoseconds(a.time()) < TimeUtil::TimestampToNanoseconds(b.time());
}

}  // namespace

std::string HeadLine(std::string_view tenant, std::string_view service, const audit::Head& head) {
  return fmt::format("{} {} {} {}\n", tenant, service, head.sequence, ToHex(head.hash));
}

Result<KeptHeads> ParseHeads(std::string_view text) {
  KeptHeads out;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string tenant, service, hex, more;
    audit::Head head;
    words >> tenant >> service >> head.sequence >> hex;
    const bool is_whole = !words.fail() && !(words >> more);
    const auto hash = DigestFromHex(hex);
    if (!is_whole || !hash || head.sequence < 0 || !MatchName("tenant", tenant, "tenants/*")) {
      return InvalidArgument("INVALID_HEADS", fmt::format("line {}: not a head as `allod audit heads` writes it, "
                                                          "\"tenants/TENANT SERVICE NUMBER HASH\"",
                                                          number));
    }
    head.hash = *hash;
    out.emplace(std::pair(tenant, service), head);
  }
  return out;
}

Result<LogVerdict> VerifyLog(const AuditPeer& peer, const std::string& tenant, const KeptHeads& kept) {
  ALLOD_TRY(const auto message, peer.read_head(tenant));
  ALLOD_TRY(const audit::Head head, audit::FromProto(message));
  const audit::Head genesis = audit::Genesis(peer.service, tenant);
  LogVerdict out;
  audit::ChainVerifier verifier(genesis);
  verifier.Expect(head);
  std::int64_t last = head.sequence;
  const auto [begin, end] = kept.equal_range({tenant, peer.service});
  for (auto at = begin; at != end; ++at) {
    verifier.Expect(at->second);
    last = std::max(last, at->second.sequence);
  }
  Cursor cursor(peer, tenant);
  // What is added while this reads is left to the next time.
  while (verifier.head().sequence < last) {
    ALLOD_TRY(const auto* next, cursor.Peek());
    if (next == nullptr) break;
    const auto entry = audit::FromProto(*next);
    if (!entry) {
      out.broken = audit::Break{audit::Break::Kind::kChanged, next->sequence(), entry.error().message};
    } else {
      out.broken = verifier.Add(*entry);
    }
    if (out.broken) return out;
    ++out.entries;
    cursor.Next();
  }
  out.broken = verifier.Finish();
  return out;
}

Status MergeLogs(const std::vector<AuditPeer>& peers, const std::string& tenant,
                 const std::function<bool(const MergedEntry&)>& take) {
  std::vector<Cursor> cursors;
  cursors.reserve(peers.size());
  for (const AuditPeer& peer : peers) cursors.emplace_back(peer, tenant);
  while (true) {
    Cursor* first = nullptr;
    const audit::v1::AuditEntry* first_entry = nullptr;
    for (Cursor& cursor : cursors) {
      ALLOD_TRY(const auto* entry, cursor.Peek());
      if (entry == nullptr || (first_entry != nullptr && !IsBefore(*entry, *first_entry))) continue;
      first = &cursor;
      first_entry = entry;
    }
    if (first == nullptr) return {};
    if (!take({first->service(), *first_entry})) return {};
    first->Next();
  }
}

std::string DetailsText(const audit::v1::AuditEntry& entry) {
  std::string out;
  for (const auto& detail : entry.details()) {
    if (!out.empty()) out += ' ';
    const bool is_erased = !detail.commitment().empty() && detail.salt().empty();
    out += fmt::format("{}={}", detail.name(), is_erased ? "(erased)" : detail.value());
  }
  return out;
}

}  // namespace allod::cli::commands

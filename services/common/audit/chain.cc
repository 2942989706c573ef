#include "services/common/audit/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace allod::audit {
namespace {

constexpr std::string_view kChainTag = "allod.audit.chain.1";
constexpr std::string_view kEntryTag = "allod.audit.entry.1";

class Writer {
 public:
  void U8(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void U32(std::uint32_t value) { Integer(value, 4); }
  void U64(std::uint64_t value) { Integer(value, 8); }
  void Bytes(const Digest256& bytes) { bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }
  void Tag(std::string_view tag) { bytes_.append(tag).push_back('\0'); }
  void Text(std::string_view text) {
    U32(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  void Integer(std::uint64_t value, int size) {
    for (int i = size - 1; i >= 0; --i) U8(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  std::string bytes_;
};

Digest256 HashOf(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes.data(), bytes.size());
  return hash.Finish();
}

std::optional<Break> CheckValues(const Entry& entry) {
  for (const Detail& detail : entry.details) {
    if (!detail.commitment) continue;
    const bool is_sound =
        detail.salt ? Commit(*detail.salt, detail.name, detail.value) == *detail.commitment : detail.value.empty();
    if (is_sound) continue;
    return Break{Break::Kind::kValue, entry.sequence,
                 fmt::format("the value of {} beside entry {} is not the one that the entry committed to", detail.name,
                             entry.sequence)};
  }
  return std::nullopt;
}

}  // namespace

Head Genesis(std::string_view service, std::string_view tenant) {
  Writer out;
  out.Tag(kChainTag);
  out.Text(service);
  out.Text(tenant);
  return {0, HashOf(out.Take())};
}

std::string Encode(const Entry& entry) {
  Writer out;
  out.U8(1);
  out.U64(static_cast<std::uint64_t>(entry.sequence));
  out.U64(
      static_cast<std::uint64_t>(std::chrono::floor<std::chrono::microseconds>(entry.time.time_since_epoch()).count()));
  out.Text(entry.actor.kind);
  out.Text(entry.actor.id);
  out.Text(entry.actor.credential);
  out.Text(entry.action);
  out.Text(entry.resource);
  out.U8(entry.outcome == Outcome::kDone ? 0 : 1);
  out.Text(entry.reason);
  out.Text(entry.trace_id);
  std::vector<const Detail*> details;
  for (const Detail& detail : entry.details) details.push_back(&detail);
  std::ranges::stable_sort(details, {}, [](const Detail* detail) -> const std::string& { return detail->name; });
  out.U32(static_cast<std::uint32_t>(details.size()));
  for (const Detail* detail : details) {
    out.Text(detail->name);
    out.U8(detail->commitment ? 1 : 0);
    if (detail->commitment) {
      out.Bytes(*detail->commitment);
    } else {
      out.Text(detail->value);
    }
  }
  return out.Take();
}

Digest256 HashAfter(const Digest256& previous, const Entry& entry) {
  Writer out;
  out.Tag(kEntryTag);
  out.Bytes(previous);
  return HashOf(out.Take() + Encode(entry));
}

void ChainVerifier::Expect(const Head& head) { expected_.emplace(head.sequence, head.hash); }

std::optional<Break> ChainVerifier::Add(const Entry& entry) {
  const std::int64_t wanted = at_.sequence + 1;
  if (entry.sequence > wanted) {
    return Break{Break::Kind::kGap, wanted,
                 fmt::format("entry {} is followed by {}: what was between is missing", at_.sequence, entry.sequence)};
  }
  if (entry.sequence < wanted) {
    return Break{Break::Kind::kReordered, entry.sequence,
                 fmt::format("entry {} stands behind entry {}", entry.sequence, at_.sequence)};
  }
  if (HashAfter(at_.hash, entry) != entry.hash) {
    return Break{Break::Kind::kChanged, entry.sequence,
                 fmt::format("entry {} or its hash was changed, or one before was replaced", entry.sequence)};
  }
  if (entry.time < time_) {
    return Break{Break::Kind::kReordered, entry.sequence,
                 fmt::format("entry {} says that it is older than the one before", entry.sequence)};
  }
  if (auto broken = CheckValues(entry)) return broken;
  at_ = {entry.sequence, entry.hash};
  time_ = entry.time;
  const auto [begin, end] = expected_.equal_range(entry.sequence);
  for (auto at = begin; at != end; ++at) {
    if (at->second == entry.hash) continue;
    return Break{Break::Kind::kRewritten, entry.sequence,
                 fmt::format("entry {} is not the one that it was when the head was kept: the log was written anew",
                             entry.sequence)};
  }
  return std::nullopt;
}

std::optional<Break> ChainVerifier::Finish() const {
  if (expected_.empty() || expected_.rbegin()->first <= at_.sequence) return std::nullopt;
  return Break{Break::Kind::kTruncated, at_.sequence + 1,
               fmt::format("the log ends with entry {}; when the head was kept it went to {}", at_.sequence,
                           expected_.rbegin()->first)};
}

}  // namespace allod::audit

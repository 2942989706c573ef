#include "services/common/audit/convert.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/rpc/timestamp.h"

namespace allod::audit {
namespace {

template <std::size_t kSize>
std::string BytesOf(const std::array<std::uint8_t, kSize>& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size()};
}

std::unexpected<Error> Invalid(std::int64_t sequence, std::string_view what) {
  return InvalidArgument("INVALID_AUDIT_ENTRY", fmt::format("entry {}: {}", sequence, what));
}

template <std::size_t kSize>
Status ReadBytes(std::int64_t sequence, std::string_view what, const std::string& bytes,
                 std::array<std::uint8_t, kSize>& out) {
  if (bytes.size() != kSize) return Invalid(sequence, fmt::format("the {} is not {} bytes", what, kSize));
  std::ranges::copy(bytes, out.begin());
  return {};
}

Result<Detail> DetailFrom(std::int64_t sequence, const v1::Detail& message) {
  Detail out{message.name(), message.value()};
  if (!message.commitment().empty()) {
    ALLOD_CHECK_OK(ReadBytes(sequence, "commitment", message.commitment(), out.commitment.emplace()));
  }
  if (!message.salt().empty()) ALLOD_CHECK_OK(ReadBytes(sequence, "salt", message.salt(), out.salt.emplace()));
  return out;
}

}  // namespace

v1::AuditEntry ToProto(const Entry& entry) {
  v1::AuditEntry out;
  out.set_sequence(entry.sequence);
  *out.mutable_time() = ToTimestamp(entry.time);
  out.mutable_actor()->set_kind(entry.actor.kind);
  out.mutable_actor()->set_id(entry.actor.id);
  out.mutable_actor()->set_credential(entry.actor.credential);
  out.set_action(entry.action);
  out.set_resource(entry.resource);
  out.set_outcome(entry.outcome == Outcome::kDone ? v1::AuditEntry::OUTCOME_DONE : v1::AuditEntry::OUTCOME_REFUSED);
  out.set_reason(entry.reason);
  out.set_trace_id(entry.trace_id);
  for (const Detail& detail : entry.details) {
    v1::Detail& message = *out.add_details();
    message.set_name(detail.name);
    message.set_value(detail.value);
    if (detail.commitment) message.set_commitment(BytesOf(*detail.commitment));
    if (detail.salt) message.set_salt(BytesOf(*detail.salt));
  }
  out.set_hash(BytesOf(entry.hash));
  return out;
}

v1::AuditHead ToProto(const Head& head, std::string_view service, std::string_view tenant) {
  v1::AuditHead out;
  out.set_tenant(std::string(tenant));
  out.set_service(std::string(service));
  out.set_sequence(head.sequence);
  out.set_hash(BytesOf(head.hash));
  return out;
}

Result<Entry> FromProto(const v1::AuditEntry& message) {
  Entry out;
  out.sequence = message.sequence();
  ALLOD_TRY(out.time, TimeFrom("time", message.time()));
  out.actor = {message.actor().kind(), message.actor().id(), message.actor().credential()};
  out.action = message.action();
  out.resource = message.resource();
  switch (message.outcome()) {
    case v1::AuditEntry::OUTCOME_DONE:
      out.outcome = Outcome::kDone;
      break;
    case v1::AuditEntry::OUTCOME_REFUSED:
      out.outcome = Outcome::kRefused;
      break;
    default:
      return Invalid(out.sequence, "the outcome is unknown; use a newer version");
  }
  out.reason = message.reason();
  out.trace_id = message.trace_id();
  for (const v1::Detail& detail : message.details()) {
    ALLOD_TRY(out.details.emplace_back(), DetailFrom(out.sequence, detail));
  }
  ALLOD_CHECK_OK(ReadBytes(out.sequence, "hash", message.hash(), out.hash));
  if (const Status checked = CheckEntry(out); !checked) return Invalid(out.sequence, checked.error().message);
  return out;
}

Result<Head> FromProto(const v1::AuditHead& message) {
  Head out;
  out.sequence = message.sequence();
  if (out.sequence < 0) return Invalid(out.sequence, "a head's number is not negative");
  ALLOD_CHECK_OK(ReadBytes(out.sequence, "hash of the head", message.hash(), out.hash));
  return out;
}

}  // namespace allod::audit

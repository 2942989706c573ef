#include "services/billing/events/event.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace allod::billing::events {
namespace {

constexpr std::size_t kKindsMax = 32;
constexpr std::size_t kKindCharsMax = 64;

// RFC 3339, to the microsecond.
std::string Instant(Time time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", second,
                     std::chrono::floor<std::chrono::microseconds>(time - second).count());
}

bool IsKindWord(std::string_view word) {
  return !word.empty() && word.front() >= 'a' && word.front() <= 'z' &&
         std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

bool IsKindPattern(std::string_view text) {
  if (text.size() > kKindCharsMax) return false;
  int words = 0;
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view word = text.substr(0, dot);
    if (!IsKindWord(word) && !(words > 0 && word == "*" && dot == std::string_view::npos)) return false;
    ++words;
    if (dot == std::string_view::npos) return words >= 2;
    text.remove_prefix(dot + 1);
  }
}

// What the event is about: what its data names, or the tenant.
std::string SubjectOf(std::string_view tenant, const OutboxRow& row) {
  const auto data = nlohmann::json::parse(row.payload, nullptr, false);
  if (data.is_object()) {
    if (const auto name = data.find("name"); name != data.end() && name->is_string()) return name->get<std::string>();
    const auto id = data.find("id");
    if (id != data.end() && id->is_string() && (row.kind == "invoice.issued" || row.kind == "credit_note.issued")) {
      return fmt::format("{}/invoices/{}", tenant, id->get<std::string>());
    }
  }
  return std::string(tenant);
}

}  // namespace

Status CheckKinds(std::string_view field, const std::vector<std::string>& kinds) {
  if (kinds.size() > kKindsMax) {
    return InvalidArgument("UNKNOWN_EVENT_KIND", fmt::format("{}: more than {} kinds", field, kKindsMax));
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (IsKindPattern(kinds[i])) continue;
    return InvalidArgument(
        "UNKNOWN_EVENT_KIND",
        fmt::format("{}[{}]: not a kind of event; write one such as usage.recorded, invoice.issued or "
                    "budget.* (docs/events.md has them)",
                    field, i));
  }
  return {};
}

bool IsWanted(const std::vector<std::string>& kinds, std::string_view kind) {
  return kinds.empty() || std::ranges::any_of(kinds, [&](std::string_view wanted) {
           return wanted.ends_with(".*") ? kind.starts_with(wanted.substr(0, wanted.size() - 1)) : kind == wanted;
         });
}

std::string ToCloudEvent(std::string_view tenant, std::string_view id, std::string_view kind, std::string_view subject,
                         Time time, std::int64_t sequence, std::string_view data) {
  const auto quoted = [](std::string_view text) {
    return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  return fmt::format(
      R"({{"specversion":"1.0","id":{},"source":{},"type":"org.allod.billing.{}.v1","subject":{},"time":"{}",)"
      R"("sequence":"{:020}","datacontenttype":"application/json","data":{}}})",
      quoted(id), quoted(fmt::format("allod/billing/{}", tenant)), kind, quoted(subject), Instant(time), sequence,
      data);
}

std::vector<std::string> ToCloudEvents(std::string_view tenant, const OutboxRow& row) {
  std::vector<std::string> out;
  if (row.kind != kUsageRecorded) {
    out.push_back(ToCloudEvent(tenant, std::to_string(row.sequence), row.kind, SubjectOf(tenant, row), row.create_time,
                               row.sequence, row.payload));
    return out;
  }
  for (const UsageData& usage : row.usage) {
    out.push_back(ToCloudEvent(tenant, usage.request_id, row.kind,
                               fmt::format("{}/usageRecords/{}", tenant, usage.request_id), usage.settle_time,
                               row.sequence, usage.json));
  }
  return out;
}

Batch MakeBatch(std::string_view tenant, const std::vector<OutboxRow>& rows, Position begin,
                const std::vector<std::string>& kinds) {
  Batch batch{.body = "", .event_count = 0, .end = begin};
  for (const OutboxRow& row : rows) {
    const std::int32_t skip = row.sequence == begin.sequence + 1 ? begin.offset : 0;
    if (IsWanted(kinds, row.kind)) {
      const std::vector<std::string> told = ToCloudEvents(tenant, row);
      for (std::size_t i = static_cast<std::size_t>(skip); i < told.size(); ++i) {
        if (batch.event_count > 0 && batch.body.size() + told[i].size() + 2 > kBatchBytesMax) {
          batch.end = {row.sequence - 1, static_cast<std::int32_t>(i)};
          batch.body += ']';
          return batch;
        }
        batch.body += batch.event_count == 0 ? '[' : ',';
        batch.body += told[i];
        ++batch.event_count;
      }
    }
    batch.end = {row.sequence, 0};
  }
  if (batch.event_count > 0) batch.body += ']';
  return batch;
}

}  // namespace allod::billing::events

// Computed usage in the store in memory.
#include <algorithm>

#include "services/billing/testing/fake_store.h"

namespace allod::billing {

Result<RecordedEvents> FakeStore::RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) {
  const std::lock_guard lock(mutex_);
  RecordedEvents out;
  const auto at = books_.find(tenant);
  out.known_tenant = at != books_.end();
  if (!out.known_tenant) return out;
  for (const ComputedUsage& event : events) {
    const auto [stored, inserted] = at->second.computed.try_emplace(event.event_id, event);
    out.recorded += inserted ? 1 : 0;
    if (stored->second != event) out.reused.push_back(event.event_id);
  }
  return out;
}

Result<std::vector<ComputedUsage>> FakeStore::ListComputedUsage(const ComputedQuery& query) {
  const std::lock_guard lock(mutex_);
  std::vector<ComputedUsage> out;
  const auto at = books_.find(query.tenant);
  if (at == books_.end()) return out;
  const auto key = [](const ComputedUsage& event) { return std::pair(event.start_time, event.event_id); };
  for (const auto& [id, event] : at->second.computed) {
    if (query.start && event.start_time < *query.start) continue;
    if (query.end && event.start_time >= *query.end) continue;
    if (!query.instance.empty() && event.instance != query.instance) continue;
    if (!IsOf(query.project, event.instance)) continue;
    if (query.request_id && event.request_id != *query.request_id) continue;
    if (query.before && key(event) >= std::pair(query.before->start_time, query.before->event_id)) continue;
    out.push_back(event);
  }
  std::ranges::sort(out, std::ranges::greater(), key);
  if (out.size() > static_cast<std::size_t>(query.limit)) out.resize(static_cast<std::size_t>(query.limit));
  return out;
}

Result<UsageCheck> FakeStore::CheckUsage(TenantId tenant, const UsageRange& range, Time now) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  return at == books_.end() ? UsageCheck() : CheckUsageIn(at->second, range, now);
}

UsageCheck FakeStore::CheckUsageIn(const Books& books, const UsageRange& range, Time now) {
  UsageCheck out;
  std::map<Uuid, std::int64_t> sampled;  // by request, whenever it was
  for (const auto& [id, event] : books.computed) sampled[event.request_id] += event.sampled_tokens;
  for (const auto& [id, record] : books.usage) {
    if (record.admit_time < range.start || record.admit_time >= range.end) continue;
    ++out.usage_record_count;
    out.completion_tokens += record.completion_tokens;
    const auto found = sampled.find(id);
    const bool told = found != sampled.end();
    const bool enough = told ? record.completion_tokens <= found->second
                             : record.completion_tokens == 0 && !(record.billed && record.prompt_tokens > 0);
    if (enough) continue;
    if (record.settle_time >= now - kReportTimeMax) {
      ++out.unreported_count;
      continue;
    }
    ++(told ? out.overbilled_count : out.uncomputed_count);
    out.findings.push_back({told ? UsageFinding::Kind::kOverbilled : UsageFinding::Kind::kUncomputed, id,
                            record.instance, record.completion_tokens, told ? found->second : 0});
  }
  std::map<Uuid, UsageFinding> requests;
  std::map<Uuid, Time> ended;
  for (const auto& [id, event] : books.computed) {
    if (event.start_time < range.start || event.start_time >= range.end) continue;
    ++out.computed_event_count;
    out.sampled_tokens += event.sampled_tokens;
    UsageFinding& request = requests[event.request_id];
    request = {UsageFinding::Kind::kUnbilled, event.request_id, event.instance, 0,
               request.sampled_tokens + event.sampled_tokens};
    ended[event.request_id] = std::max(ended[event.request_id], event.end_time);
  }
  out.computed_request_count = static_cast<std::int64_t>(requests.size());
  for (const auto& [id, finding] : requests) {
    if (books.usage.contains(id)) continue;
    const bool open = std::ranges::any_of(books.open, [&](const auto& entry) { return entry.second == id; });
    const bool overdue = ended[id] < now - kSettleTimeMax;
    const bool waits = !overdue && (open || !books.reservations.contains(id));
    (waits ? out.open_count : open ? out.unsettled_count : out.unbilled_count) += 1;
    if (waits) continue;
    out.findings.push_back(finding);
    if (open) out.findings.back().kind = UsageFinding::Kind::kUnsettled;
  }
  std::ranges::stable_sort(out.findings, {}, [](const UsageFinding& f) { return std::pair(f.kind, f.request_id); });
  if (out.findings.size() > range.findings_max) out.findings.resize(range.findings_max);
  return out;
}

}  // namespace allod::billing

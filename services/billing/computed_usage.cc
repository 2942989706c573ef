#include "services/billing/computed_usage.h"

#include <fmt/format.h>

namespace allod::billing {

bool IsEventId(std::string_view text) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:-";
  return !text.empty() && text.size() <= kEventIdBytesMax && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

Status CheckComputedUsage(const ComputedUsage& event) {
  const auto invalid = [](std::string what) { return InvalidArgument("INVALID_EVENT", std::move(what)); };
  if (!IsEventId(event.event_id)) {
    return invalid(fmt::format("event_id: give 1 to {} of A-Z a-z 0-9 . _ / : -", kEventIdBytesMax));
  }
  if (event.request_id.is_nil()) return invalid("request_id: must not be nil");
  for (const auto& [field, tokens] : {std::pair{"prompt_tokens_computed", event.prompt_tokens_computed},
                                      std::pair{"prompt_tokens_cached", event.prompt_tokens_cached},
                                      std::pair{"sampled_tokens", event.sampled_tokens}}) {
    if (tokens < 0 || tokens > kTokensMax) {
      return invalid(fmt::format("{}: {} is not from 0 to {}", field, tokens, kTokensMax));
    }
  }
  const auto owner = TenantId::FromName(event.instance);
  if (!owner || *owner != event.tenant) {
    return invalid(
        fmt::format("instance: {} does not belong to the tenant {}", event.instance, event.tenant.ToString()));
  }
  if (event.end_time < event.start_time) return invalid("end_time: lies before start_time");
  return {};
}

void AddCounts(UsageCheck& sum, const UsageCheck& tenant) {
  sum.usage_record_count += tenant.usage_record_count;
  sum.computed_event_count += tenant.computed_event_count;
  sum.computed_request_count += tenant.computed_request_count;
  sum.overbilled_count += tenant.overbilled_count;
  sum.unbilled_count += tenant.unbilled_count;
  sum.uncomputed_count += tenant.uncomputed_count;
  sum.open_count += tenant.open_count;
  sum.unsettled_count += tenant.unsettled_count;
  sum.unreported_count += tenant.unreported_count;
  sum.completion_tokens += tenant.completion_tokens;
  sum.sampled_tokens += tenant.sampled_tokens;
}

}  // namespace allod::billing

#include "inference/usage/ring_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace allod::inference::usage {
namespace {

// Where the ring's deed does not say it: no model has a longer one.
constexpr std::int64_t kContextMax = std::int64_t{1} << 22;
// Of one embedding request, each at most as long as the context.
constexpr std::int64_t kInputsMax = 256;

std::optional<ports::UsageOutcome> OutcomeOf(std::uint32_t value) {
  if (value < static_cast<std::uint32_t>(ports::UsageOutcome::kCompleted) ||
      value > static_cast<std::uint32_t>(ports::UsageOutcome::kLost)) {
    return std::nullopt;
  }
  return static_cast<ports::UsageOutcome>(value);
}

}  // namespace

Judgement Judge(const SlotContent& content, const RingDeed& deed, std::int64_t now_us) {
  const std::optional<RingMember> member = deed.Find(content.instance, content.tenant);
  if (!member) {
    return {std::nullopt, fmt::format("its usage ring names '{}' of the tenant {}, for which it does not answer",
                                      content.instance, content.tenant.ToString())};
  }
  Judgement out;
  UsageEvent& event = out.event.emplace();
  event.event_id = Uuid::FromName(fmt::format("{}/{}", deed.ring_id.ToString(), content.sequence));
  event.request_id = content.request_id;
  event.tenant = content.tenant;
  event.instance = content.instance;
  event.replica_uid = deed.replica_uid;

  const std::int64_t context = member->context_tokens > 0 ? member->context_tokens : kContextMax;
  // A request that sampled nothing may have been one for embeddings, of many inputs.
  const std::int64_t prompt_max = content.sampled_tokens > 0 ? context : context * kInputsMax;
  const auto bounded = [&](const char* what, std::int64_t value, std::int64_t most) {
    if (value >= 0 && value <= most) return value;
    if (out.lie.empty()) {
      out.lie = fmt::format("its usage ring counts {} {} for a request that can have 0 to {}", value, what, most);
    }
    return std::clamp<std::int64_t>(value, 0, most);
  };
  event.prompt_tokens = bounded("prompt tokens", content.prompt_tokens, prompt_max);
  event.cached_prompt_tokens =
      bounded("cached prompt tokens", content.cached_prompt_tokens, prompt_max - event.prompt_tokens);
  event.sampled_tokens = bounded("sampled tokens", content.sampled_tokens, context * std::max(member->choices_max, 1));

  const auto outcome = OutcomeOf(content.outcome);
  if (!outcome && out.lie.empty()) out.lie = fmt::format("its usage ring tells of an outcome {}", content.outcome);
  event.outcome = out.lie.empty() ? *outcome : ports::UsageOutcome::kFailed;
  // The wall clock may be set while a request runs: what lies outside is moved inside, and is no lie.
  const std::int64_t last = std::max(deed.made_us, now_us);
  event.start_us = std::clamp(content.start_us, deed.made_us, last);
  event.end_us = std::clamp(content.end_us, event.start_us, last);
  return out;
}

}  // namespace allod::inference::usage

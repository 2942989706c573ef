#include "inference/engine/request_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "inference/engine/text/sampling.h"

namespace allod::inference::engine {
namespace {

constexpr std::size_t kStopsMax = 4;
constexpr std::size_t kStopBytesMax = 256;
constexpr std::int32_t kChoicesMax = 8;
constexpr std::int32_t kTopLogprobsMax = 20;

Status CheckNumber(const char* field, std::int32_t value, std::int32_t min, std::int32_t max) {
  if (value >= min && value <= max) return {};
  return InvalidArgument("INVALID_SAMPLING", fmt::format("{} is {}; it must be {} to {}", field, value, min, max));
}

Status CheckStops(const std::vector<std::string>& stops) {
  if (stops.size() > kStopsMax) {
    return InvalidArgument("INVALID_SAMPLING",
                           fmt::format("stop has {} strings; at most {} are accepted", stops.size(), kStopsMax));
  }
  for (std::size_t i = 0; i < stops.size(); ++i) {
    if (!stops[i].empty() && stops[i].size() <= kStopBytesMax) continue;
    return InvalidArgument("INVALID_SAMPLING", fmt::format("stop[{}] has {} bytes; 1 to {} are accepted", i,
                                                           stops[i].size(), kStopBytesMax));
  }
  return {};
}

}  // namespace

Status CheckRequest(const ports::GenerationRequest& request, std::int32_t vocabulary, std::int32_t choices_max) {
  ALLOD_CHECK_OK(text::CheckSampling(request.sampling, vocabulary));
  if (request.max_completion_tokens < 0) {
    return InvalidArgument(
        "INVALID_SAMPLING",
        fmt::format("max_completion_tokens is {}; it must be 0 (no limit) or more", request.max_completion_tokens));
  }
  ALLOD_CHECK_OK(CheckNumber("n", request.choices, 1, std::min(kChoicesMax, choices_max)));
  ALLOD_CHECK_OK(CheckNumber("top_logprobs", request.top_logprobs, 0, kTopLogprobsMax));
  if (request.top_logprobs > 0 && !request.logprobs) {
    return InvalidArgument("INVALID_SAMPLING", "top_logprobs needs logprobs; set it, or leave out top_logprobs");
  }
  const auto* chat = std::get_if<ports::ChatPrompt>(&request.prompt);
  const bool with_tools = chat != nullptr && !chat->tools.empty() && chat->tool_choice != ports::ToolChoice::kNone;
  if (with_tools && !std::holds_alternative<ports::NoConstraint>(request.constraint)) {
    return InvalidArgument("INVALID_CONSTRAINT",
                           "an answer that may be a tool call cannot be constrained too; send either tools or a "
                           "constraint, or the tool choice `none`");
  }
  return CheckStops(request.stop);
}

}  // namespace allod::inference::engine

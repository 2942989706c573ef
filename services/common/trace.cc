#include "services/common/trace.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "services/common/digest.h"

namespace allod {
namespace {

// "00-<trace id>-<parent id>-<flags>".
constexpr std::size_t kVersionAt = 0;
constexpr std::size_t kTraceIdAt = 3;
constexpr std::size_t kParentIdAt = 36;
constexpr std::size_t kFlagsAt = 53;
constexpr std::size_t kSize = 55;

bool IsHex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

Trace Trace::New() {
  std::array<std::uint8_t, 24> random;
  FillRandom(random);
  random[0] |= 1;  // neither id is ever all zero
  random[16] |= 1;
  return {ToHex(std::span(random).first(16)), ToHex(std::span(random).subspan(16)), false};
}

std::optional<Trace> Trace::Parse(std::string_view text) {
  if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const std::string_view version = text.substr(kVersionAt, 2);
  const std::string_view trace_id = text.substr(kTraceIdAt, 32);
  const std::string_view parent_id = text.substr(kParentIdAt, 16);
  const std::string_view flags = text.substr(kFlagsAt, 2);
  if (!IsHex(version) || !IsHex(trace_id) || !IsHex(parent_id) || !IsHex(flags)) return std::nullopt;
  // A later version may say more behind what this one knows.
  if (version == "ff" || (text.size() > kSize && (version == "00" || text[kSize] != '-'))) return std::nullopt;
  if (IsZero(trace_id) || IsZero(parent_id)) return std::nullopt;
  const int last = flags[1] <= '9' ? flags[1] - '0' : flags[1] - 'a' + 10;
  return Trace{std::string(trace_id), std::string(parent_id), (last & 1) != 0};
}

std::string Trace::ToString() const { return "00-" + trace_id + "-" + parent_id + (sampled ? "-01" : "-00"); }

}  // namespace allod

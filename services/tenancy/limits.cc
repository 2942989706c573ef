#include "services/tenancy/limits.h"

#include <fmt/format.h>

#include <array>

namespace allod::tenancy {
namespace {

struct Kind {
  std::string_view name;
  std::int64_t most;
};
constexpr std::array<Kind, 3> kKinds{{{"requests_per_minute", kRequestsPerMinuteMax},
                                      {"tokens_per_minute", kTokensPerMinuteMax},
                                      {"concurrency", kConcurrencyMax}}};

std::int64_t ValueOf(const Limits& limits, std::size_t kind) {
  return kind == 0 ? limits.requests_per_minute : kind == 1 ? limits.tokens_per_minute : limits.concurrency;
}

std::unexpected<Error> Invalid(std::string message) { return InvalidArgument("INVALID_LIMITS", std::move(message)); }

}  // namespace

std::string DetailText(const Limits& limits) {
  std::string out;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (ValueOf(limits, i) > 0) {
      out += fmt::format("{}{}={}", out.empty() ? "" : ",", kKinds[i].name, ValueOf(limits, i));
    }
  }
  return out + (limits.shadow ? ",shadow" : "");
}

Status CheckLimits(std::string_view field, const Limits& limits) {
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const std::int64_t value = ValueOf(limits, i);
    if (value >= 0 && value <= kKinds[i].most) continue;
    return Invalid(fmt::format("{}.{} is {}; give 1 to {}, or 0 for no limit of its kind", field, kKinds[i].name, value,
                               kKinds[i].most));
  }
  if (!limits.shadow || limits.any()) return {};
  return Invalid(fmt::format("{}.shadow: there is no limit that could be in shadow; name one, or leave it out", field));
}

Status CheckLimitsWithin(std::string_view field, const Limits& inner, std::string_view whose, const Limits& outer) {
  // One in shadow keeps nobody from anything.
  if (outer.shadow) return {};
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (ValueOf(outer, i) == 0 || ValueOf(inner, i) <= ValueOf(outer, i)) continue;
    return Invalid(
        fmt::format("{}.{} is {} and could never be reached: {} is {}; give at most that, or 0 for no limit "
                    "of its kind",
                    field, kKinds[i].name, ValueOf(inner, i), whose, ValueOf(outer, i)));
  }
  return {};
}

Status CheckProjectLimits(const Limits& project, const InstanceLimits& instances, const Limits& tenant) {
  ALLOD_CHECK_OK(CheckLimitsWithin("project.limits", project, "the tenant's", tenant));
  for (const auto& [instance, limits] : instances) {
    const std::string field = fmt::format("project.instance_limits[{}].limits", instance);
    ALLOD_CHECK_OK(CheckLimitsWithin(field, limits, "the project's", project));
    ALLOD_CHECK_OK(CheckLimitsWithin(field, limits, "the tenant's", tenant));
  }
  return {};
}

Limits HandOnLimits(const Limits& maker, Limits key) {
  if (!key.any()) return maker;
  if (key.requests_per_minute == 0) key.requests_per_minute = maker.requests_per_minute;
  if (key.tokens_per_minute == 0) key.tokens_per_minute = maker.tokens_per_minute;
  if (key.concurrency == 0) key.concurrency = maker.concurrency;
  return key;
}

Status CheckLimitsHeld(const Limits& maker, const Limits& key) {
  if (!maker.any()) return {};
  const auto refuse = [](std::string message) { return Fail(Code::kPermissionDenied, "LIMIT_NOT_HELD", message); };
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const std::int64_t held = ValueOf(maker, i);
    if (held == 0 || (ValueOf(key, i) > 0 && ValueOf(key, i) <= held)) continue;
    return refuse(
        fmt::format("api_key.limits.{}: the API key that asks has {}, and this would be more; give at most "
                    "that, or ask an operator",
                    kKinds[i].name, held));
  }
  if (maker.shadow || !key.shadow) return {};
  return refuse(
      "api_key.limits.shadow: the API key that asks is held to its limits, and this would not be; leave it out, "
      "or ask an operator");
}

}  // namespace allod::tenancy

#include "services/billing/events/sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "services/common/private_url.h"
#include "services/common/text_check.h"

namespace allod::billing::events {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBackoffFirst{1000};
constexpr milliseconds kBackoffMax{3600 * 1000};

}  // namespace

Status CheckSink(const EventSink& sink) {
  ALLOD_CHECK_OK(CheckId("event_sink_id", sink.id));
  ALLOD_CHECK_OK(CheckDisplayName("event_sink.display_name", sink.display_name));
  if (sink.url.size() > kUrlBytesMax || !IsPrivateUrl(sink.url) ||
      !std::ranges::all_of(sink.url, [](char c) { return c > ' ' && c < 0x7f; })) {
    return InvalidArgument("INVALID_URL",
                           fmt::format("event_sink.url: must be https://, name a host and no user, and have at most {} "
                                       "printable ASCII characters",
                                       kUrlBytesMax));
  }
  return CheckKinds("event_sink.kinds", sink.kinds);
}

bool SameContent(const EventSink& a, const EventSink& b) {
  return a.display_name == b.display_name && a.url == b.url && a.kinds == b.kinds && a.disabled == b.disabled;
}

std::string EtagOf(const EventSink& sink) { return fmt::format("{}", sink.version); }

std::string SiteOf(std::string_view url) {
  const std::size_t host = url.find("://");
  if (host == std::string_view::npos) return "";
  return std::string(url.substr(0, url.find_first_of("/?#", host + 3)));
}

std::string WithoutUrl(std::string text, std::string_view url) {
  const std::string site = SiteOf(url);
  for (std::size_t at = 0; !url.empty() && (at = text.find(url, at)) != std::string::npos; at += site.size()) {
    text.replace(at, url.size(), site);
  }
  return text;
}

milliseconds BackoffOf(int failures, double chance) {
  const int doublings = std::clamp(failures - 1, 0, 20);
  const milliseconds full = std::min(kBackoffMax, milliseconds(kBackoffFirst.count() << doublings));
  return milliseconds(std::llround(static_cast<double>(full.count()) * (1 - std::clamp(chance, 0.0, 1.0) / 2)));
}

}  // namespace allod::billing::events

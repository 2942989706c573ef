#include "services/billing/events/webhook.h"

#include <fmt/format.h>

#include "services/common/digest.h"

namespace allod::billing::events {
namespace {

constexpr std::size_t kIdChars = 32;

}  // namespace

FetchRequest WebhookOf(const EventSink& sink, const SinkSecrets& secrets, std::string body, Time now) {
  const std::string id = "msg_" + Sha256Hex(sink.name() + "\n" + body).substr(0, kIdChars);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  std::string signature = SignWebhook(secrets.Secret(sink.name(), sink.salt), id, seconds, body);
  if (sink.previous_salt && sink.previous_expire_time && *sink.previous_expire_time > now) {
    signature += " " + SignWebhook(secrets.Secret(sink.name(), *sink.previous_salt), id, seconds, body);
  }
  FetchRequest out{.url = sink.url};
  out.headers = {"content-type: application/cloudevents-batch+json", "webhook-id: " + id,
                 fmt::format("webhook-timestamp: {}", seconds), "webhook-signature: " + signature};
  out.body = std::move(body);
  out.timeout = kDeliveryTimeout;
  return out;
}

}  // namespace allod::billing::events

// A batch of events as it is posted to a sink: signed headers and body. Pure.
#pragma once

#include <string>

#include "services/billing/events/signature.h"
#include "services/billing/events/sink.h"
#include "services/common/web/fetcher.h"

namespace allod::billing::events {

// For all of a delivery; less than kClaim (event_store.h).
inline constexpr std::chrono::seconds kDeliveryTimeout{10};

// `webhook-id` is the same for the same body. While a secret is rotated there is a signature by each.
FetchRequest WebhookOf(const EventSink& sink, const SinkSecrets& secrets, std::string body, Time now);

}  // namespace allod::billing::events

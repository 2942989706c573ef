// Event sinks as messages, and usage records as the data of events.
#pragma once

#include <string>

#include "allod/billing/v1/event_sink.pb.h"
#include "services/billing/domain.h"
#include "services/billing/events/sink.h"

namespace allod::billing::events {

// JSON of the resource, as the portal shows it.
std::string UsageJson(const UsageRecord& record, const std::string& tenant_name);

v1::EventSink ToProto(const EventSink& sink);
// What a tenant says of one: all but its secret. INVALID_ARGUMENT as CheckSink says; INVALID_NAME.
Result<EventSink> FromProto(const v1::CreateEventSinkRequest& request);
Result<EventSink> FromProto(const v1::UpdateEventSinkRequest& request);
// INVALID_ARGUMENT / INVALID_OVERLAP.
Result<std::chrono::seconds> OverlapOf(const v1::RotateEventSinkSecretRequest& request);
Result<SinkKey> SinkKeyOf(std::string_view field, const std::string& name);

}  // namespace allod::billing::events
